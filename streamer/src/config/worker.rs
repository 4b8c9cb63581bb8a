//! The worker's configuration, from the environment or a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use access::diagnosis::Finding;
use access::jaas::{self, LoginModule};
use access::kafka::{self, Security, Unusable};
use rdkafka::ClientConfig;

use super::check::parse_boolean;
use super::exactly_once;
use super::listeners::{Listener, known_host};
use super::rest_users::RestUsers;
use super::worker_keys;
use access::config_providers::Providers;
use access::java_properties;
use access::java_properties::with_prefix;

/// What a Kafka Connect worker is configured with (`DistributedConfig`).
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Every property as it was given.
    pub properties: BTreeMap<String, String>,
    /// `group.id`.
    pub group_id: String,
    /// Where connectors' configurations are kept.
    pub config_topic: StorageTopic,
    /// Where positions are kept.
    pub offset_topic: StorageTopic,
    /// Where states are kept.
    pub status_topic: StorageTopic,
    /// Where the REST API listens.
    pub listeners: Vec<Listener>,
    /// The one of them that other workers use.
    pub advertised: Listener,
    /// Who may use it, everybody without.
    pub rest_users: Option<RestUsers>,
    /// The worker's name in states: the address it is known by.
    pub worker_id: String,
    /// `offset.flush.interval.ms`. Connect's default is a minute; storing a position is one small record, so ours is a
    /// second: the slot is confirmed that much sooner.
    pub offset_flush_interval: Duration,
    /// `session.timeout.ms`: how long this worker may be silent before another one takes over.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: how often it says in the group that it is there.
    pub heartbeat_interval: Duration,
    /// Whether the topics that a connector publishes to are kept.
    pub topic_tracking: TopicTracking,
    /// `topic.creation.enable`: whether connectors may say how their topics are created.
    pub topic_creation: bool,
    /// `connector.client.config.override.policy`.
    pub override_policy: OverridePolicy,
    /// `exactly.once.source.support`: whether connectors publish in transactions.
    pub exactly_once: bool,
    /// `config.providers`: values that stand elsewhere.
    pub providers: Providers,
    /// Whether there is one connector that was given at the start, and no group: nothing but positions is stored.
    pub is_standalone: bool,
    /// `admin.*`, without the prefix.
    pub admin_properties: BTreeMap<String, String>,
    /// `producer.*`, without the prefix.
    pub producer_properties: BTreeMap<String, String>,
    bootstrap_servers: String,
    security: Security,
    /// The entry for Kafka's clients of the JAAS file that a JVM would be told of.
    login: Option<Vec<LoginModule>>,
}

impl WorkerConfigError {
    /// As `doctor` says it, and a start.
    pub fn finding(&self) -> Finding {
        let remedy = "Put it right in the environment, or in the file given with --worker or --application-properties";
        Finding::error("worker-config", self.to_string(), remedy)
    }
}

/// What a connector may override of the worker's Kafka clients (KIP-458).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverridePolicy {
    /// Everything.
    All,
    /// Nothing.
    None,
    /// Who it is to Kafka.
    Principal,
}

impl OverridePolicy {
    /// Connect's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            OverridePolicy::All => "All",
            OverridePolicy::None => "None",
            OverridePolicy::Principal => "Principal",
        }
    }
}

/// The topics that a connector publishes to (KIP-558).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicTracking {
    /// `topic.tracking.enable`.
    pub enabled: bool,
    /// `topic.tracking.allow.reset`.
    pub allow_reset: bool,
}

/// A topic that the worker keeps something in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageTopic {
    /// The property that names it.
    pub property: String,
    /// Its name.
    pub name: String,
    /// How many partitions it is created with.
    pub partitions: i32,
    /// How many replicas it is created with, -1 for the broker's default.
    pub replication: i32,
}

/// Why a worker cannot start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum WorkerConfigError {
    /// Something must be given: each property with the variable of the container image.
    #[error("{} not set: each has an environment variable, or is a property in the file given with --worker", named(.0))]
    Missing(Vec<(&'static str, &'static str)>),
    /// Something is not what it should be.
    #[error("{property}={value} is not usable: {why}")]
    Invalid {
        /// The property.
        property: String,
        /// Its value.
        value: String,
        /// What it should be.
        why: &'static str,
    },
    /// The REST API cannot be closed or encrypted as asked for.
    #[error("{0}. The worker does not start, so that the API is not open")]
    RestAccess(String),
    /// Kafka cannot be entered with these settings.
    #[error(transparent)]
    Security(#[from] Unusable),
    /// A converter or one of its settings cannot be used, in Kafka's words.
    #[error("{0}")]
    Converter(String),
    /// A value that stands elsewhere cannot be had.
    #[error("{0}")]
    Reference(String),
    /// The file cannot be read.
    #[error("the worker's configuration {path} cannot be read: {why}")]
    File {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
}

fn named(missing: &[(&str, &str)]) -> String {
    let each: Vec<String> = missing.iter().map(|(property, variable)| format!("{property} ({variable})")).collect();
    format!("{} {}", each.join(", "), if each.len() == 1 { "is" } else { "are" })
}

impl WorkerConfig {
    /// From the variables of Debezium's connect image: the named ones, and every `CONNECT_A_B` as `a.b`.
    ///
    /// # Errors
    /// What is missing or unusable.
    pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<Self, WorkerConfigError> {
        Self::from_properties(worker_keys::from_variables(variables))
    }

    /// From a worker's `.properties` file.
    ///
    /// # Errors
    /// What is missing or unusable, the file itself included.
    pub fn from_file(path: &Path) -> Result<Self, WorkerConfigError> {
        let file = |why: String| WorkerConfigError::File { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
        Self::from_properties(java_properties::parse(&text).map_err(|error| file(error.to_string()))?)
    }

    /// From a worker's properties.
    ///
    /// # Errors
    /// What is missing or unusable.
    pub fn from_properties(properties: BTreeMap<String, String>) -> Result<Self, WorkerConfigError> {
        let providers = Providers::parse(&properties)
            .map_err(|(property, why)| WorkerConfigError::Reference(format!("{property}: {why}")))?;
        let properties = providers
            .resolve(&properties)
            .map_err(|error| WorkerConfigError::Reference(format!("{}: {error}", error.key)))?;
        let given =
            |property: &str| properties.get(property).map(|value| value.trim()).filter(|value| !value.is_empty());
        let missing: Vec<_> =
            worker_keys::REQUIRED.into_iter().filter(|(property, _)| given(property).is_none()).collect();
        if !missing.is_empty() {
            return Err(WorkerConfigError::Missing(missing));
        }
        let required = |property: &str| given(property).unwrap_or_default().to_owned();
        let number = |property: &str, default: i32| match given(property) {
            None => Ok(default),
            Some(value) => value.parse::<i32>().map_err(|_| invalid(property, value, "a whole number is expected")),
        };
        let flag = |property: &str| match given(property) {
            None => Ok(true),
            Some(value) => parse_boolean(value).ok_or_else(|| invalid(property, value, "true or false is expected")),
        };
        let milliseconds = |property: &str, default: i32| {
            let value = number(property, default)?;
            Ok::<_, WorkerConfigError>(Duration::from_millis(u64::try_from(value).unwrap_or_default().max(1)))
        };
        let storage = |kind: &str, name: String, partitions: i32| {
            Ok::<_, WorkerConfigError>(StorageTopic {
                property: format!("{kind}.storage.topic"),
                name,
                partitions: number(&format!("{kind}.storage.partitions"), partitions)?,
                replication: number(&format!("{kind}.storage.replication.factor"), -1)?,
            })
        };
        worker_keys::refuse_what_is_not_supported(&properties)?;
        let login = login()?;
        let listeners = Listener::all(&properties, number("rest.port", 8083)?)?;
        let advertised = Listener::advertised(&listeners, given("rest.advertised.listener"))?.clone();
        let host = given("rest.advertised.host.name").map_or_else(|| known_host(advertised.address), str::to_owned);
        let port = number("rest.advertised.port", i32::from(advertised.address.port()))?;
        let config = Self {
            bootstrap_servers: required("bootstrap.servers"),
            security: Security::of(&properties, login.clone())?,
            login,
            group_id: required("group.id"),
            config_topic: storage("config", required("config.storage.topic"), 1)?,
            offset_topic: storage("offset", required("offset.storage.topic"), 25)?,
            status_topic: storage("status", required("status.storage.topic"), 5)?,
            listeners,
            advertised,
            rest_users: RestUsers::of(&properties, |name| std::env::var(name).ok())?,
            worker_id: format!("{host}:{port}"),
            offset_flush_interval: milliseconds("offset.flush.interval.ms", 1000)?,
            session_timeout: milliseconds("session.timeout.ms", 10_000)?,
            heartbeat_interval: milliseconds("heartbeat.interval.ms", 3_000)?,
            topic_tracking: TopicTracking {
                enabled: flag("topic.tracking.enable")?,
                allow_reset: flag("topic.tracking.allow.reset")?,
            },
            topic_creation: flag("topic.creation.enable")?,
            exactly_once: exactly_once::is_enabled(given("exactly.once.source.support"))?,
            override_policy: match given("connector.client.config.override.policy").unwrap_or("All") {
                policy if policy.contains("None") => OverridePolicy::None,
                policy if policy.contains("Principal") => OverridePolicy::Principal,
                policy if policy.contains("All") => OverridePolicy::All,
                policy => {
                    let property = "connector.client.config.override.policy";
                    return Err(invalid(property, policy, "All, None or Principal is expected"));
                }
            },
            providers,
            is_standalone: false,
            admin_properties: with_prefix(&properties, "admin."),
            producer_properties: with_prefix(&properties, "producer."),
            properties,
        };
        worker_keys::warn_of_unknown(&config.properties);
        Ok(config)
    }

    /// What every Kafka client of the worker is configured with.
    pub fn kafka_client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            // A broker that comes back is found again soon.
            .set("reconnect.backoff.max.ms", "1000");
        self.security.apply(&mut client);
        client
    }

    /// How a client with some properties of its own enters Kafka. Where they do not lead it to other brokers, what they leave
    /// out is as the worker's: Connect would have it in the clear, to brokers that it speaks TLS to.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn security(&self, own: &BTreeMap<String, String>) -> Result<Security, Unusable> {
        let of_worker = if own.contains_key("bootstrap.servers") { None } else { Some(&self.properties) };
        let properties = of_worker.into_iter().chain([own]).flatten().filter(|(key, _)| kafka::concerns(key));
        Security::of(&properties.map(|(key, value)| (key.clone(), value.clone())).collect(), self.login.clone())
    }

    /// The brokers, for messages.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }
}

/// What a JAAS file says of Kafka's clients (`JaasContext.loadClientContext`), where a JVM would be told of one.
pub(crate) fn login() -> Result<Option<Vec<LoginModule>>, WorkerConfigError> {
    let Ok(path) = jaas::file_of_a_jvm(|name| std::env::var(name).ok()) else { return Ok(None) };
    let file = |why: String| WorkerConfigError::File { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| file(error.to_string()))?;
    jaas::entry(&text, "KafkaClient").map_err(file)
}

pub(super) fn invalid(property: &str, value: &str, why: &'static str) -> WorkerConfigError {
    WorkerConfigError::Invalid { property: property.to_owned(), value: value.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(extra: &[(&str, &str)]) -> Result<WorkerConfig, WorkerConfigError> {
        let image = [
            ("BOOTSTRAP_SERVERS", "kafka:9092"),
            ("GROUP_ID", "1"),
            ("CONFIG_STORAGE_TOPIC", "configs"),
            ("OFFSET_STORAGE_TOPIC", "offsets"),
            ("STATUS_STORAGE_TOPIC", "statuses"),
        ];
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        WorkerConfig::from_environment(image.iter().chain(extra).map(owned))
    }

    #[test]
    fn the_image_s_variables_are_enough() {
        let config = environment(&[]).unwrap();
        assert_eq!(config.advertised.address.to_string(), "0.0.0.0:8083");
        assert_eq!((config.offset_topic.partitions, config.status_topic.partitions), (25, 5));
    }

    #[test]
    fn every_connect_variable_is_a_property() {
        let config = environment(&[
            ("CONNECT_LISTENERS", "http://127.0.0.1:18083"),
            ("CONNECT_OFFSET_STORAGE_PARTITIONS", "3"),
            ("CONNECT_VALUE_CONVERTER_SCHEMAS_ENABLE", "false"),
            ("CONNECT_PRODUCER_LINGER_MS", "1"),
        ])
        .unwrap();
        assert_eq!(config.worker_id, "127.0.0.1:18083");
        assert_eq!(config.offset_topic.partitions, 3);
        assert_eq!(config.properties["value.converter.schemas.enable"], "false");
        assert_eq!(config.producer_properties["linger.ms"], "1");
    }

    #[test]
    fn other_workers_are_told_of_the_listener_that_is_advertised() {
        let worker = |asked: &'static str| {
            let listeners = ("CONNECT_LISTENERS", "http://127.0.0.1:18083, HTTP://127.0.0.2:18084");
            environment(&[listeners, ("CONNECT_REST_ADVERTISED_LISTENER", asked)])
        };
        let config = worker("http").unwrap();
        let addresses: Vec<String> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
        assert_eq!(addresses, ["127.0.0.1:18083", "127.0.0.2:18084"]);
        assert_eq!(config.worker_id, "127.0.0.1:18083");
        let error = worker("https").unwrap_err().to_string();
        assert!(error.contains("rest.advertised.listener"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let error = WorkerConfig::from_environment(std::iter::empty()).unwrap_err().to_string();
        assert!(error.contains("bootstrap.servers (BOOTSTRAP_SERVERS)"), "{error}");
        assert!(
            error.contains("STATUS_STORAGE_TOPIC") && !error.contains("GROUP_ID"),
            "all, and the group has a default: {error}"
        );
    }

    #[test]
    fn a_client_without_security_of_its_own_has_the_worker_s_unless_it_goes_elsewhere() {
        let config = environment(&[("CONNECT_SECURITY_PROTOCOL", "SSL")]).unwrap();
        let protocol = |own: &[(&str, &str)]| {
            let own = own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let mut client = ClientConfig::new();
            config.security(&own).unwrap().apply(&mut client);
            client.get("security.protocol").map(str::to_owned)
        };
        assert_eq!(config.kafka_client().get("security.protocol"), Some("SSL"));
        assert_eq!(protocol(&[]).as_deref(), Some("SSL"));
        assert_eq!(protocol(&[("security.protocol", "PLAINTEXT")]).as_deref(), Some("PLAINTEXT"));
        assert_eq!(protocol(&[("bootstrap.servers", "other:9092")]).as_deref(), Some("PLAINTEXT"));
        assert!(environment(&[("CONNECT_SECURITY_PROTOCOL", "SASL_SSL")]).unwrap_err().to_string().contains("GSSAPI"));
    }
}
