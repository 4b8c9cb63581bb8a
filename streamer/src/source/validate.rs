//! What Debezium checks against the database when a configuration is put: that one can connect with it.

use super::session;
use crate::config::ConnectorConfig;

/// One thing wrong with a configuration: the key it belongs to (none for the configuration as a whole) and the sentence
/// that Connect's answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The configuration key, or `None` where no single key is to blame.
    pub key: Option<String>,
    /// What is wrong, in the words that go into the answer.
    pub message: String,
}

/// Connects once with the connector's settings (`PostgresConnector.validateConnection`); findings, not an error, because
/// the REST API answers with all of them.
pub async fn validate(config: &ConnectorConfig) -> Vec<Finding> {
    match session::connect(&config.connection, "validation").await {
        Ok(_) => Vec::new(),
        Err(error) => {
            vec![Finding { key: None, message: format!("Error while validating connector config: {error}") }]
        }
    }
}
