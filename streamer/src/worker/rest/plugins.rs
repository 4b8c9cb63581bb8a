//! `/connector-plugins…`.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};

use super::Api;
use super::answer::Refusal;
use super::connectors::{Answer, config_of, object};
use crate::config::connector::{CONNECTOR_CLASS, DEBEZIUM_VERSION};
use crate::config::definitions::{self, DEFINITIONS, Definition};
use crate::config::plugins::{self, PluginKind};
use crate::config::properties;
use crate::config::{Finding, WorkerConfig};
use crate::transform::CLASSES;

pub(super) async fn list(RawQuery(query): RawQuery) -> Json<Value> {
    let mut all = vec![json!({ "class": CONNECTOR_CLASS, "type": "source", "version": DEBEZIUM_VERSION })];
    if query.unwrap_or_default().split('&').any(|pair| pair == "connectorsOnly=false") {
        let entry =
            |class: &str, kind: &str, version: &str| json!({ "class": class, "type": kind, "version": version });
        // Connect lists kind after kind.
        for kind in ["transformation", "predicate"] {
            let of_kind = CLASSES.iter().filter(|class| class.is_supported() && class.kind() == kind);
            all.extend(of_kind.map(|class| entry(class.name, kind, class.version())));
        }
        let converters = plugins::all();
        all.extend(converters.map(|(kind, class)| entry(class, kind.as_str(), plugins::version(class))));
    }
    Json(Value::Array(all))
}

/// The connector's definitions; the connector's own come first, as in Connect.
pub(super) async fn config(Path(plugin): Path<String>) -> Answer<Json<Value>> {
    if ![CONNECTOR_CLASS, "PostgresConnector", "Postgres"].contains(&plugin.as_str()) {
        return Err(Refusal::not_found(format!("Unknown plugin {plugin}.")));
    }
    let (connects, own): (Vec<_>, Vec<_>) = DEFINITIONS.iter().partition(|definition| definition.is_connects());
    let all = own.into_iter().chain(connects);
    Ok(Json(all.map(|definition| definition.to_json(&definition.name, definition.default_value())).collect()))
}

/// The keys that name a converter, whose settings have the same key in front.
const CONVERTERS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// Every property with its definition, its value, and what is wrong with it.
pub(super) async fn validate(State(api): State<Api>, Path(plugin): Path<String>, body: Bytes) -> Answer<Json<Value>> {
    let config = config_of(&object(&body)?)?;
    let class = config.get("connector.class");
    let normalized = |class: &str| class.strip_suffix("Connector").unwrap_or(class).to_owned();
    if let Some(class) = class.filter(|class| !normalized(class).ends_with(&normalized(&plugin))) {
        return Err(Refusal::bad_request(format!(
            "Included connector type {class} does not match request type {plugin}"
        )));
    }
    // Connect finds out too late to say 400.
    let findings = api.herder()?.findings(&config).await.map_err(|error| {
        Refusal::internal(format!("org.apache.kafka.connect.runtime.rest.errors.BadRequestException: {error}"))
    })?;
    let mut configs: Vec<Value> =
        DEFINITIONS.iter().map(|of| described(of, &of.name, &config, &api.worker, &findings)).collect();
    for side in CONVERTERS {
        for setting in config.get(side).map_or(&[][..], |class| definitions::of_converter(class)) {
            configs.push(described(setting, &format!("{side}.{}", setting.name), &config, &api.worker, &findings));
        }
    }
    for (name, errors) in undefined(&config, &findings) {
        let value = Some(&config).filter(|_| errors.is_empty()).and_then(|config| config.get(name));
        let value = value.map(|value| properties::masked(name, value));
        let definition = definitions::of_producer_override(name);
        configs.push(json!({
            "definition": definition.map(|definition| definition.to_json(name, definition.default_value())),
            "value": { "name": name, "value": value, "recommended_values": [], "errors": errors, "visible": true },
        }));
    }
    let mut groups: Vec<Value> = Vec::new();
    for group in configs.iter().filter_map(|config| config.pointer("/definition/group")) {
        if !group.is_null() && !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    Ok(Json(json!({
        "name": CONNECTOR_CLASS,
        "error_count": findings.len(),
        "groups": groups,
        "configs": configs,
    })))
}

/// What the connector does not define: overrides of the producer, and findings that would be lost otherwise.
fn undefined<'a>(config: &'a BTreeMap<String, String>, findings: &'a [Finding]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = config
        .keys()
        .filter(|key| key.starts_with("producer.override."))
        .map(|key| (key.as_str(), Vec::new()))
        .collect();
    let is_defined = |key: &str| {
        let side = CONVERTERS.into_iter().find(|side| key.strip_prefix(side).is_some_and(|rest| rest.starts_with('.')));
        let settings = side.and_then(|side| config.get(side)).map_or(&[][..], |class| definitions::of_converter(class));
        DEFINITIONS.iter().any(|known| known.name == key)
            || settings.iter().any(|setting| key.ends_with(&format!(".converter.{}", setting.name)))
    };
    for finding in findings {
        if let Some(key) = finding.key.as_deref().filter(|key| !is_defined(key)) {
            found.entry(key).or_default().push(&finding.message);
        }
    }
    found
}

fn described(
    definition: &Definition,
    name: &str,
    config: &BTreeMap<String, String>,
    worker: &WorkerConfig,
    findings: &[Finding],
) -> Value {
    // What is wrong with the configuration as a whole, Debezium says at the host.
    let of_this = |finding: &&Finding| finding.key.as_deref().unwrap_or("database.hostname") == name;
    let errors: Vec<&str> = findings.iter().filter(of_this).map(|finding| finding.message.as_str()).collect();
    let (default, recommended) = choices(definition, name, config, worker);
    // Connect shows a value that it could read, even if it is refused; Debezium shows none of its own.
    let unreadable = ["Not a number of type", "Expected value to be either", "could not be found"];
    let is_readable = !errors.iter().any(|error| unreadable.iter().any(|why| error.contains(why)));
    let used_as = name.strip_suffix(".converter.converter.type");
    let value = (definition.is_connects() && is_readable)
        .then(|| config.get(name).map(String::as_str).or(used_as).or(default.as_deref()))
        .flatten();
    json!({
        "definition": definition.to_json(name, default.as_deref()),
        "value": {
            "name": name,
            "value": value,
            "recommended_values": recommended,
            "errors": errors,
            // A converter that is not there has no version to choose.
            "visible": definition.visible && (default.is_some() || !name.ends_with(".plugin.version")),
        },
    })
}

/// A property's default, which the worker's converters decide for some, and the values offered for it.
fn choices(
    definition: &Definition,
    name: &str,
    config: &BTreeMap<String, String>,
    worker: &WorkerConfig,
) -> (Option<String>, Vec<&'static str>) {
    let class_of = |key: &str| {
        let worker_s = || worker.properties.get(key).map_or(default_converter(key), String::as_str);
        config.get(key).map_or_else(worker_s, String::as_str).to_owned()
    };
    match name {
        "connector.plugin.version" => (Some(DEBEZIUM_VERSION.to_owned()), vec![DEBEZIUM_VERSION]),
        "key.converter" | "value.converter" | "header.converter" => {
            let kind = if name == "header.converter" { PluginKind::HeaderConverter } else { PluginKind::Converter };
            let default = worker.properties.get(name).map_or(default_converter(name), String::as_str);
            (Some(default.to_owned()), plugins::of_kind(kind).collect())
        }
        "key.converter.plugin.version" | "value.converter.plugin.version" | "header.converter.plugin.version" => {
            let class = class_of(name.trim_end_matches(".plugin.version"));
            let version = plugins::all().find(|(_, known)| *known == class).map(|(_, known)| plugins::version(known));
            (version.map(str::to_owned), version.into_iter().collect())
        }
        _ => {
            let allowed = properties::find(name).map_or(&[][..], |property| property.allowed);
            (definition.default_value().map(str::to_owned), allowed.to_vec())
        }
    }
}

fn default_converter(key: &str) -> &'static str {
    match key {
        "header.converter" => "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        _ => "org.apache.kafka.connect.json.JsonConverter",
    }
}
