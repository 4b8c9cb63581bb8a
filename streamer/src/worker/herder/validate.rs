//! What is wrong with a configuration.

use std::collections::BTreeMap;

use super::{Herder, HerderError};
use crate::config::connector::{CONNECTOR_CLASS, DEBEZIUM_VERSION};
use crate::config::properties::masked;
use crate::config::{ConnectorConfig, Finding};
use crate::source;

impl Herder {
    /// Checks a configuration as Connect and Debezium do at a put: the keys, then whether PostgreSQL can be reached.
    ///
    /// # Errors
    /// All findings, in one answer.
    pub async fn validate(&self, config: &BTreeMap<String, String>) -> Result<(), HerderError> {
        match self.findings(config).await? {
            findings if findings.is_empty() => Ok(()),
            findings => Err(invalid(&findings)),
        }
    }

    /// The findings of a configuration.
    ///
    /// # Errors
    /// When it names no connector, or one that is not here.
    pub async fn findings(&self, config: &BTreeMap<String, String>) -> Result<Vec<Finding>, HerderError> {
        check_class(config)?;
        let mut findings = match ConnectorConfig::parse(config, &self.worker) {
            Ok(parsed) => source::validate(&parsed).await,
            Err(findings) => findings,
        };
        match config.get("name").map(String::as_str) {
            None => {
                let message = "Missing required configuration \"name\" which has no default value.".to_owned();
                findings.insert(0, Finding { key: Some("name".to_owned()), message });
            }
            Some("") => findings.insert(0, Finding::value("name", "", "String may not be empty")),
            Some(_) => {}
        }
        Ok(findings)
    }
}

/// Whether a configuration is for this worker's one plugin.
pub(crate) fn check_class(config: &BTreeMap<String, String>) -> Result<(), HerderError> {
    let short = |class: &str| matches!(class, "PostgresConnector" | "Postgres");
    match config.get("connector.class") {
        None => {
            let shown: Vec<String> =
                config.iter().map(|(key, value)| format!("{key}={}", masked(key, value))).collect();
            Err(HerderError::BadRequest(format!(
                "Connector config {{{}}} contains no connector type",
                shown.join(", ")
            )))
        }
        Some(class) if class == CONNECTOR_CLASS || short(class) => Ok(()),
        Some(class) => Err(HerderError::BadRequest(format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors \
             are: PluginDesc{{klass=class {CONNECTOR_CLASS}, name='{CONNECTOR_CLASS}', version='{DEBEZIUM_VERSION}', \
             encodedVersion={DEBEZIUM_VERSION}, type=source, typeName='source', location='classpath'}}"
        ))),
    }
}

/// Connect's answer to an invalid configuration.
pub(super) fn invalid(findings: &[Finding]) -> HerderError {
    let mut text =
        format!("Connector configuration is invalid and contains the following {} error(s):", findings.len());
    for finding in findings {
        text.push('\n');
        text.push_str(&finding.message);
    }
    text.push_str("\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`");
    HerderError::BadRequest(text)
}
