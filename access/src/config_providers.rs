//! Values that stand elsewhere: `${env:NAME}`, `${file:PATH:KEY}`, `${dir:PATH:FILE}` (KIP-297).
//!
//! They are looked up when a configuration is used. What is stored, and what the REST API shows, has the reference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::{Captures, Regex};

use crate::java_properties::{self, with_prefix};

/// `config.providers`.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    providers: BTreeMap<String, Provider>,
}

#[derive(Debug, Clone)]
enum Provider {
    /// `EnvVarConfigProvider`, with `allowlist.pattern`.
    Environment(Option<Regex>),
    /// `FileConfigProvider`, with `allowed.paths`.
    File(Vec<PathBuf>),
    /// `DirectoryConfigProvider`, with `allowed.paths`.
    Directory(Vec<PathBuf>),
}

/// A reference that cannot be looked up. Its text is in the message, what it stands for never is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference} cannot be looked up: {why}")]
pub struct ProviderError {
    /// The key whose value holds the reference.
    pub key: String,
    reference: String,
    why: String,
}

impl Providers {
    /// From a worker's properties: `config.providers`, and each one's `class` and `param.*`.
    ///
    /// # Errors
    /// The property and what is wrong with it.
    pub fn parse(properties: &BTreeMap<String, String>) -> Result<Self, (String, String)> {
        let mut providers = BTreeMap::new();
        let names = properties.get("config.providers").map_or("", String::as_str);
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let key = format!("config.providers.{name}.class");
            let class = properties.get(&key).map_or("", |class| class.trim());
            let parameters = with_prefix(properties, &format!("config.providers.{name}.param."));
            let paths = || {
                let list = parameters.get("allowed.paths").map_or("", String::as_str);
                list.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
            };
            let provider = match class.strip_prefix("org.apache.kafka.common.config.provider.").unwrap_or(class) {
                "EnvVarConfigProvider" => {
                    let pattern =
                        parameters.get("allowlist.pattern").map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
                    Provider::Environment(pattern.transpose().map_err(|error| {
                        (format!("config.providers.{name}.param.allowlist.pattern"), error.to_string())
                    })?)
                }
                "FileConfigProvider" => Provider::File(paths()),
                "DirectoryConfigProvider" => Provider::Directory(paths()),
                _ => {
                    return Err((
                        key,
                        format!("{class} is not one of Kafka's EnvVar-, File- and DirectoryConfigProvider"),
                    ));
                }
            };
            providers.insert(name.to_owned(), provider);
        }
        Ok(Self { providers })
    }

    /// The configuration with its references looked up. As in Kafka, what names no provider, and what its provider does
    /// not have, stays as it is; the log says so.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn resolve(&self, config: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ProviderError> {
        if self.providers.is_empty() {
            return Ok(config.clone());
        }
        config.iter().map(|(key, value)| Ok((key.clone(), self.resolved(key, value)?))).collect()
    }

    fn resolved(&self, key: &str, value: &str) -> Result<String, ProviderError> {
        // `ConfigTransformer`'s: a provider, a path that may be missing, a key.
        let Ok(reference) = Regex::new(r"\$\{([^}:]*):(?:([^}:]*):)?([^}]*)\}") else { return Ok(value.to_owned()) };
        let mut failure = None;
        let text = reference.replace_all(value, |found: &Captures<'_>| {
            let part = |index| found.get(index).map_or("", |part| part.as_str());
            let whole = part(0).to_owned();
            let Some(provider) = self.providers.get(part(1)) else { return whole };
            match provider.get(part(2), part(3)) {
                Ok(Some(text)) => text,
                Ok(None) => {
                    tracing::warn!(key, reference = %whole, "there is nothing under this reference; it is left as it is");
                    whole
                }
                Err(why) => {
                    failure.get_or_insert(ProviderError { key: key.to_owned(), reference: whole.clone(), why });
                    whole
                }
            }
        });
        let text = text.into_owned();
        failure.map_or(Ok(text), Err)
    }
}

impl Provider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, String> {
        let (allowed, path) = match self {
            Provider::Environment(pattern) => {
                let is_allowed = pattern.as_ref().is_none_or(|pattern| pattern.is_match(key));
                return Ok(std::env::var(key).ok().filter(|_| is_allowed));
            }
            Provider::File(allowed) | Provider::Directory(allowed) => (allowed, Path::new(path)),
        };
        if !is_allowed(path, allowed) {
            return Ok(None);
        }
        match self {
            Provider::File(_) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let properties =
                    java_properties::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(properties.get(key).cloned())
            }
            // A name, not a path that leads elsewhere.
            _ if Path::new(key).components().count() != 1 || key == ".." => Ok(None),
            _ => Ok(std::fs::read_to_string(path.join(key)).ok()),
        }
    }
}

/// Whether a path is in one of the folders, whatever links and dots are in it.
fn is_allowed(path: &Path, allowed: &[PathBuf]) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    allowed.is_empty() || allowed.iter().any(|folder| real(path).starts_with(real(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn providers(more: &[(&str, &str)]) -> Providers {
        let mut properties = map(&[
            ("config.providers", "env, file,dir"),
            ("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
            ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
            ("config.providers.dir.class", "org.apache.kafka.common.config.provider.DirectoryConfigProvider"),
        ]);
        properties.extend(map(more));
        Providers::parse(&properties).unwrap()
    }

    #[test]
    fn a_reference_is_looked_up_also_inside_a_text() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets.properties");
        std::fs::write(&file, "user=me\npassword=p\\:w\n").unwrap();
        let (file, folder) = (file.display(), directory.path().display());
        let config = map(&[
            ("a", &format!("${{file:{file}:user}}@${{file:{file}:password}}")),
            ("b", &format!("${{dir:{folder}:secrets.properties}}")),
            ("c", "${env:PATH}"),
            ("d", "${none:x} ${env:NO_SUCH_VARIABLE_HERE} ${file:x"),
        ]);
        let resolved = providers(&[]).resolve(&config).unwrap();
        assert_eq!(resolved["a"], "me@p:w");
        assert!(resolved["b"].starts_with("user=me"));
        assert_eq!(Some(resolved["c"].clone()), std::env::var("PATH").ok());
        assert_eq!(resolved["d"], config["d"], "what is not there stays as it is");
    }

    #[test]
    fn what_is_not_allowed_is_not_looked_up() {
        let directory = tempfile::tempdir().unwrap();
        let (inside, outside) = (directory.path().join("in"), directory.path().join("out"));
        for folder in [&inside, &outside] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("f"), "k=v").unwrap();
        }
        let inside = inside.display().to_string();
        let providers = providers(&[
            ("config.providers.file.param.allowed.paths", &inside),
            ("config.providers.dir.param.allowed.paths", &inside),
            ("config.providers.env.param.allowlist.pattern", "CONNECT_.*"),
        ]);
        let escaping = format!("${{file:{inside}/../out/f:k}}${{dir:{inside}:../out/f}}${{env:PATH}}");
        let config = map(&[("a", &format!("${{file:{inside}/f:k}}")), ("b", &escaping)]);
        let resolved = providers.resolve(&config).unwrap();
        assert_eq!((resolved["a"].as_str(), resolved["b"].as_str()), ("v", escaping.as_str()));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
        let error = providers(&[]).resolve(&map(&[("password", "${file:/no/such/file:k}")])).unwrap_err();
        assert!(error.key == "password" && error.to_string().contains("/no/such/file"), "{error}");
    }
}
