//! `/connector-plugins…`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Api;
use super::answer::Refusal;
use super::connectors::{config_of, object};
use crate::config::Finding;
use crate::config::connector::{CONNECTOR_CLASS, DEBEZIUM_VERSION};
use crate::config::properties::{DECLARED, Property, masked};

pub(super) async fn list() -> Json<Value> {
    Json(json!([{ "class": CONNECTOR_CLASS, "type": "source", "version": DEBEZIUM_VERSION }]))
}

/// Every property with its definition, its value, and what is wrong with it.
pub(super) async fn validate(
    State(api): State<Api>,
    Path(plugin): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let mut config = config_of(&object(&body)?)?;
    let class = config.entry("connector.class".to_owned()).or_insert_with(|| plugin.clone()).clone();
    if !class.ends_with(&plugin) {
        return Err(Refusal::bad_request(format!(
            "Included connector type {class} does not match request type {plugin}"
        )));
    }
    let findings = api.herder.findings(&config).await?;
    let errors = |key: &str| -> Vec<&str> {
        findings
            .iter()
            .filter(|finding| finding.key.as_deref() == Some(key))
            .map(|finding| finding.message.as_str())
            .collect()
    };
    let mut configs: Vec<Value> = DECLARED
        .iter()
        .enumerate()
        .map(|(order, property)| {
            let value = config.get(property.name).map(String::as_str).or(property.default);
            described(property, order, value, &errors(property.name))
        })
        .collect();
    // What is wrong with a key that Debezium does not declare, or with the whole, must not be lost.
    let undeclared = |finding: &&Finding| {
        finding.key.as_deref().is_none_or(|key| !DECLARED.iter().any(|property| property.name == key))
    };
    for finding in findings.iter().filter(undeclared) {
        let name = finding.key.as_deref().unwrap_or("database.hostname");
        configs.push(json!({
            "definition": null,
            "value": { "name": name, "value": null, "recommended_values": [], "errors": [finding.message], "visible": true },
        }));
    }
    Ok(Json(json!({
        "name": CONNECTOR_CLASS,
        "error_count": findings.len(),
        "groups": ["Common", "Postgres", "Connector", "Events"],
        "configs": configs,
    })))
}

fn described(property: &Property, order: usize, value: Option<&str>, errors: &[&str]) -> Value {
    let shown = value.map(|value| masked(property.name, value));
    json!({
        "definition": {
            "name": property.name,
            "type": property.kind.as_str(),
            "required": property.required,
            "default_value": property.default,
            "importance": property.importance.as_str(),
            "documentation": property.title,
            "group": "Postgres",
            "width": "MEDIUM",
            "display_name": property.title,
            "dependents": [],
            "order": order,
        },
        "value": {
            "name": property.name,
            "value": shown,
            "recommended_values": property.allowed,
            "errors": errors,
            "visible": true,
        },
    })
}
