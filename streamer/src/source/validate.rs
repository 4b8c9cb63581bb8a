//! What Debezium checks against the database when a configuration is put: that one can connect with it.

use super::session;
use crate::config::{ConnectorConfig, Finding};

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
