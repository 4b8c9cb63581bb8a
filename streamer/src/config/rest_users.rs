//! Who may use the REST API: Connect's `BasicAuthSecurityRestExtension`, with the JAAS file and the users' file that it is
//! configured with (KIP-285; `JaasBasicAuthFilter`, `PropertyFileLoginModule`).

use std::collections::BTreeMap;

use access::{jaas, java_properties};

use super::worker::WorkerConfigError;

const EXTENSION: &str = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension";
const MODULE: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
/// The entry of the JAAS file.
const ENTRY: &str = "KafkaConnect";

/// Names and passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct RestUsers(BTreeMap<String, String>);

impl std::fmt::Debug for RestUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl RestUsers {
    /// Whether there is such a user with this password. It takes as long whichever byte of it is wrong.
    pub fn admits(&self, name: &str, password: &str) -> bool {
        let Some(expected) = self.0.get(name) else { return false };
        let differing =
            expected.bytes().zip(password.bytes()).fold(0, |differing, (one, other)| differing | (one ^ other));
        expected.len() == password.len() && differing == 0
    }

    /// One of them, for the worker's own questions.
    pub fn any(&self) -> Option<(&str, &str)> {
        self.0.iter().next().map(|(name, password)| (name.as_str(), password.as_str()))
    }

    /// The users of `rest.extension.classes`, `None` when it is not set: then the API is open.
    ///
    /// # Errors
    /// For another extension, and for a JAAS file or users' file that cannot be used: an API that was to be closed is never open.
    pub(super) fn of(
        properties: &BTreeMap<String, String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, WorkerConfigError> {
        let classes = properties.get("rest.extension.classes").map(String::as_str).unwrap_or_default();
        let classes: Vec<&str> = classes.split(',').map(str::trim).filter(|class| !class.is_empty()).collect();
        if classes.is_empty() {
            return Ok(None);
        }
        let refuse = |why: String| WorkerConfigError::RestAccess(format!("rest.extension.classes: {why}"));
        if let Some(other) = classes.iter().find(|class| **class != EXTENSION) {
            return Err(refuse(format!(
                "{other} is a Java class, which this worker cannot load; only {EXTENSION} is known"
            )));
        }
        let jaas = jaas::file_of_a_jvm(variable).map_err(refuse)?;
        Self::of_jaas(&jaas).map(Some).map_err(refuse)
    }

    fn of_jaas(jaas: &str) -> Result<Self, String> {
        let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
        let file = users_file(&read(jaas)?).map_err(|why| format!("{jaas}: {why}"))?;
        let users = java_properties::parse(&read(&file)?).map_err(|error| format!("{file}: {error}"))?;
        if users.is_empty() {
            return Err(format!(
                "{file} has no users; Connect would let everybody in, this worker nobody. Add USER=PASSWORD"
            ));
        }
        Ok(Self(users))
    }
}

/// The file of the one login module that the JAAS file's entry must have.
fn users_file(jaas: &str) -> Result<String, String> {
    let modules = jaas::entry(jaas, ENTRY)?.ok_or_else(|| format!("it has no entry {ENTRY}"))?;
    match modules.as_slice() {
        [module] if module.class == MODULE => {
            module.options.get("file").cloned().ok_or_else(|| format!("{MODULE} is not given a file"))
        }
        _ => Err(format!("entry {ENTRY} must have the login module {MODULE} and no other; others are Java classes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(jaas: &str, users: &str) -> Result<Option<RestUsers>, WorkerConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("users"), users).unwrap();
        std::fs::write(path("jaas"), jaas.replace("USERS", &path("users"))).unwrap();
        let properties = BTreeMap::from([("rest.extension.classes".to_owned(), EXTENSION.to_owned())]);
        let option = format!("-Djava.security.auth.login.config={}", path("jaas"));
        RestUsers::of(&properties, |name| (name == "KAFKA_OPTS").then(|| option.clone()))
    }

    fn jaas(module: &str) -> String {
        format!("Other {{ a.B required; }};\nKafkaConnect {{\n  {module} required\n  file=\"USERS\";\n}};")
    }

    #[test]
    fn the_users_of_connect_s_files_are_admitted_and_nobody_else() {
        let users = users(&jaas(MODULE), "# comment\nme=p\\:w\nother=x\n").unwrap().unwrap();
        assert!(users.admits("me", "p:w") && users.admits("other", "x"));
        for (name, password) in [("me", "x"), ("me", ""), ("me", "p:w "), ("nobody", ""), ("", "")] {
            assert!(!users.admits(name, password), "{name} {password}");
        }
        assert!(!format!("{users:?}").contains("p:w"), "passwords are not shown");
    }

    #[test]
    fn what_cannot_close_the_api_does_not_leave_it_open() {
        assert!(users(&jaas("com.example.LdapModule"), "a=b").is_err(), "another module");
        assert!(users(&jaas(MODULE), "# nobody\n").is_err(), "nobody");
        assert!(users("Other { };", "a=b").is_err(), "no entry");
        assert!(users(&format!("KafkaConnect {{ {MODULE} required; }};"), "a=b").is_err(), "no file");
        let properties = BTreeMap::from([("rest.extension.classes".to_owned(), "com.example.Door".to_owned())]);
        assert!(RestUsers::of(&properties, |_| None).is_err(), "another extension");
        let properties = BTreeMap::from([("rest.extension.classes".to_owned(), EXTENSION.to_owned())]);
        assert!(RestUsers::of(&properties, |_| None).is_err(), "no JAAS file");
        assert_eq!(RestUsers::of(&BTreeMap::new(), |_| None).unwrap(), None);
    }
}
