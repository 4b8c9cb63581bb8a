//! A schema registry with Confluent's REST API (`/subjects/…`), and how it is reached (`AbstractKafkaSchemaSerDeConfig`).
//!
//! # Layout
//! - `client`: what it is asked
//! - `ids`: what stands before a value

mod client;
mod ids;

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

pub(super) use self::client::Registry;
pub(super) use self::ids::{Described, Language, SchemaIds};
use super::settings::Settings;
use crate::config::Secret;

/// The settings that every converter with a registry has.
pub(super) const SETTINGS: &[&str] = &[
    "schema.registry.url",
    "basic.auth.credentials.source",
    "basic.auth.user.info",
    "schema.registry.basic.auth.credentials.source",
    "schema.registry.basic.auth.user.info",
    "bearer.auth.credentials.source",
    "bearer.auth.token",
    "schema.registry.ssl.truststore.location",
    "schema.registry.ssl.truststore.password",
    "schema.registry.ssl.truststore.type",
    "schema.registry.ssl.keystore.location",
    "schema.registry.ssl.keystore.password",
    "schema.registry.ssl.keystore.type",
    "schema.registry.ssl.key.password",
    "auto.register.schemas",
    "use.latest.version",
    "normalize.schemas",
    "max.schemas.per.subject",
    "schemas.cache.config",
    "http.connect.timeout.ms",
    "http.read.timeout.ms",
    "key.subject.name.strategy",
    "value.subject.name.strategy",
];

/// Settings that would change what is written or how the registry is reached, and that are not supported.
const REFUSED: &[(&str, &str)] = &[
    ("proxy.host", "the registry is reached directly"),
    ("use.schema.id", "a table's schema is registered as it is"),
    ("use.latest.with.metadata", "a table's schema is registered as it is"),
    ("context.name.strategy", "put the context into schema.registry.url"),
    ("rule.executors", "schema rules are not run"),
];

/// How the registry is reached and what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    urls: Vec<String>,
    authorization: Authorization,
    truststore: Option<Store>,
    keystore: Option<Store>,
    key_password: Option<Secret>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    read_timeout: Duration,
    auto_register: bool,
    use_latest: bool,
    normalize: bool,
    strategy: SubjectStrategy,
    is_key: bool,
}

/// A file of certificates, with a key or without: JKS, PKCS #12 or PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Store {
    path: String,
    password: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Authorization {
    None,
    Basic { user: String, password: Secret },
    Bearer(Secret),
}

/// How a subject is named (`io.confluent.kafka.serializers.subject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectStrategy {
    Topic,
    Record,
    TopicRecord,
}

impl RegistryConfig {
    /// From a converter's settings.
    pub(super) fn parse(settings: &mut Settings<'_>, is_key: bool) -> Self {
        let given = settings.text("schema.registry.url").unwrap_or_default();
        let urls: Vec<&str> = given.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            settings.missing("schema.registry.url");
        }
        for url in &urls {
            let is_usable = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !is_usable {
                // An address may have a password in it, which is not repeated.
                settings.refuse(
                    "schema.registry.url",
                    "[hidden]",
                    "Expected http:// and https:// addresses, separated by commas",
                );
            }
        }
        for (name, why) in REFUSED {
            if let Some(value) = settings.text(name).filter(|value| !matches!(*value, "-1" | "false")) {
                let shown = if name.contains("password") { "[hidden]" } else { value };
                settings.refuse(name, shown, &format!("not supported by this worker ({why})"));
            }
        }
        settings.integer("max.schemas.per.subject", 1000);
        settings.integer("schemas.cache.config", 1000);
        let strategy = strategy(settings, is_key);
        let auto_register = settings.flag("auto.register.schemas", true);
        let config = Self {
            authorization: authorization(settings, urls.first().copied().unwrap_or_default()),
            urls: urls.into_iter().map(without_user_info).collect(),
            truststore: store(settings, "schema.registry.ssl.truststore"),
            keystore: store(settings, "schema.registry.ssl.keystore"),
            key_password: settings.text("schema.registry.ssl.key.password").map(Secret::new),
            headers: settings
                .with_prefix("request.header.")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            connect_timeout: milliseconds(settings, "http.connect.timeout.ms"),
            read_timeout: milliseconds(settings, "http.read.timeout.ms"),
            auto_register,
            use_latest: settings.flag("use.latest.version", false),
            normalize: settings.flag("normalize.schemas", false),
            strategy,
            is_key,
        };
        for (name, value) in &config.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                settings.refuse(&format!("request.header.{name}"), "[hidden]", "not a header");
            }
        }
        config
    }

    /// The addresses, without what stands in them of user and password.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The subject of a schema, which has a name if it is a record's.
    ///
    /// # Errors
    /// When the subject is named by the record and there is none.
    pub(super) fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, String> {
        let side = if self.is_key { "key" } else { "value" };
        match (self.strategy, record) {
            (SubjectStrategy::Topic, _) => Ok(format!("{topic}-{side}")),
            (SubjectStrategy::Record, Some(record)) => Ok(record.to_owned()),
            (SubjectStrategy::TopicRecord, Some(record)) => Ok(format!("{topic}-{record}")),
            (_, None) => Err(format!(
                "In configuration {side}.subject.name.strategy = {}, the message {side} must only be a record schema",
                STRATEGIES.iter().find(|(_, strategy)| *strategy == self.strategy).map_or("", |(class, _)| class)
            )),
        }
    }
}

const STRATEGIES: [(&str, SubjectStrategy); 3] = [
    ("io.confluent.kafka.serializers.subject.TopicNameStrategy", SubjectStrategy::Topic),
    ("io.confluent.kafka.serializers.subject.RecordNameStrategy", SubjectStrategy::Record),
    ("io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", SubjectStrategy::TopicRecord),
];

fn strategy(settings: &mut Settings<'_>, is_key: bool) -> SubjectStrategy {
    let name = if is_key { "key.subject.name.strategy" } else { "value.subject.name.strategy" };
    let Some(class) = settings.text(name) else { return SubjectStrategy::Topic };
    STRATEGIES.iter().find(|(known, _)| *known == class).map_or_else(
        || {
            settings.refuse(name, class, &format!("Class {class} could not be found."));
            SubjectStrategy::Topic
        },
        |(_, strategy)| *strategy,
    )
}

fn milliseconds(settings: &mut Settings<'_>, name: &str) -> Duration {
    Duration::from_millis(u64::try_from(settings.integer(name, 60_000)).unwrap_or(60_000))
}

/// `basic.auth.*` and `bearer.auth.*`; by default what stands in the address.
fn authorization(settings: &mut Settings<'_>, url: &str) -> Authorization {
    let either = |settings: &Settings<'_>, name: &'static str, old: &'static str| {
        [name, old].into_iter().find_map(|name| settings.text(name).map(|value| (name, value.to_owned())))
    };
    if let Some(source) = settings.text("bearer.auth.credentials.source") {
        match (source, settings.text("bearer.auth.token")) {
            ("STATIC_TOKEN", Some(token)) => return Authorization::Bearer(Secret::new(token)),
            ("STATIC_TOKEN", None) => settings.missing("bearer.auth.token"),
            _ => settings.refuse(
                "bearer.auth.credentials.source",
                source,
                "not supported by this worker (STATIC_TOKEN is)",
            ),
        }
        return Authorization::None;
    }
    let source = either(settings, "basic.auth.credentials.source", "schema.registry.basic.auth.credentials.source");
    let user_info = match source.as_ref().map(|(name, source)| (*name, source.as_str())) {
        None | Some((_, "URL")) => {
            let Ok(url) = reqwest::Url::parse(url) else { return Authorization::None };
            if url.username().is_empty() {
                return Authorization::None;
            }
            return Authorization::Basic {
                user: url.username().to_owned(),
                password: Secret::new(url.password().unwrap_or_default()),
            };
        }
        Some((_, "USER_INFO")) => either(settings, "basic.auth.user.info", "schema.registry.basic.auth.user.info"),
        Some((name, source)) => {
            settings.refuse(name, source, "not supported by this worker (URL and USER_INFO are)");
            return Authorization::None;
        }
    };
    match user_info.as_ref().and_then(|(_, user_info)| user_info.split_once(':')) {
        Some((user, password)) => Authorization::Basic { user: user.to_owned(), password: Secret::new(password) },
        None => {
            settings.refuse("basic.auth.user.info", "[hidden]", "Expected user:password");
            Authorization::None
        }
    }
}

fn without_user_info(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return url.to_owned() };
    let _cannot_be_a_base = parsed.set_username("");
    let _cannot_be_a_base = parsed.set_password(None);
    parsed.as_str().trim_end_matches('/').to_owned()
}

/// What kind of store it is says its content; `type` is not asked.
fn store(settings: &Settings<'_>, name: &str) -> Option<Store> {
    let path = settings.text(&format!("{name}.location"))?.to_owned();
    Some(Store { path, password: settings.text(&format!("{name}.password")).map(Secret::new) })
}
