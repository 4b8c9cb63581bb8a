//! What Debezium checks against the database when a configuration is put: that one can connect with it.

use super::session;
use crate::config::{ConnectorConfig, Finding};
use crate::error::TaskError;

/// Connects once with the connector's settings (`PostgresConnector.validateConnection`); findings, not an error, because
/// the REST API answers with all of them.
pub async fn validate(config: &ConnectorConfig) -> Vec<Finding> {
    let limit = config.replication.validation_timeout;
    let connected = tokio::time::timeout(limit, session::connect(&config.connection, "validation"));
    let connected = connected.await.unwrap_or_else(|_| {
        Err(TaskError::retry(format!("no connection in {limit:?} (connection.validation.timeout.ms)")))
    });
    match connected {
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(connector = %config.name, %error, "PostgreSQL does not let the connector in");
            // Debezium's words end with the server's; what a running task is to be told does not belong into the answer.
            vec![Finding {
                key: None,
                message: format!("Error while validating connector config: {}", error.message()),
            }]
        }
    }
}
