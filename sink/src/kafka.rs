//! Kafka, and how it is entered.

use access::java_properties;
use access::kafka::Security;
use clap::Args;
use rdkafka::ClientConfig;

/// Where Kafka is, and how it is entered.
#[derive(Debug, Clone, Args)]
pub struct Kafka {
    /// Kafka
    #[arg(long, env = "SINK_BOOTSTRAP_SERVERS", value_name = "HOST:PORT")]
    pub bootstrap_servers: String,
    /// How Kafka is entered: a file of a Java client's properties (security.protocol, ssl.*, sasl.*), as Kafka's own tools
    /// take it with --command-config; what else is in it has no effect
    #[arg(long = "kafka-config", env = "SINK_KAFKA_CONFIG", value_name = "FILE", value_parser = security, default_value = "")]
    pub security: Security,
}

impl Kafka {
    /// What every client of it is configured with.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap_servers).set("reconnect.backoff.max.ms", "1000");
        self.security.apply(&mut client);
        client
    }
}

/// How Kafka is entered, by the file at a path; an empty path is for a Kafka that is open.
///
/// # Errors
/// What is wrong with the file, without its values.
pub fn security(path: &str) -> Result<Security, String> {
    if path.is_empty() {
        return Ok(Security::default());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let properties = java_properties::parse(&text).map_err(|error| error.to_string())?;
    Security::of(&properties, None).map_err(|error| error.to_string())
}
