//! `/connectors/{name}/incremental-snapshot`, which Connect does not have: what a signal asks for, without a channel for signals.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Api;
use super::answer::Refusal;
use super::connectors::{Answer, object, view};
use crate::config::ConnectorConfig;
use crate::signal::Signal;
use crate::source::session;
use crate::worker::page;

/// Reads tables between the changes: `{"tables": ["public.orders"], "conditions": {"public.orders": "id > 5"}}`. Answers with the
/// snapshot's id when the running stream has heard of it.
///
/// # Errors
/// 415 for a body that is not said to be JSON, which a page of another site could send without asking; 400 for tables that the
/// connector does not capture; 409 where the connector does not stream, or its configuration allows no such snapshot.
pub(super) async fn ask(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<(StatusCode, Json<Value>)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Refusal::unsupported("The request's body has to be application/json"));
    }
    let request = object(&body)?;
    let (tables, conditions) = asked(&request)?;
    let view = view(&api, &name).await?;
    let config = ConnectorConfig::parse(&view.config, &api.worker)
        .map_err(|_| Refusal::conflict(format!("The configuration of connector {name} cannot be run")))?;
    if let Some(why) = page::no_snapshot(&config) {
        return Err(Refusal::conflict(why));
    }
    let live = view.lives.of(&config.slot.name);
    let not_streaming = || {
        Refusal::conflict(format!(
            "Connector {name} does not stream now: an incremental snapshot goes between its changes"
        ))
    };
    if !live.is_listening() {
        return Err(not_streaming());
    }
    let away = |error: crate::error::TaskError| {
        Refusal::conflict(format!("The connector's tables cannot be looked at: {error}"))
    };
    let client = session::connect(&config.connection, "incremental snapshot").await.map_err(away)?;
    let captured = page::captured(&client, &config).await.map_err(away)?;
    if let Some(unknown) = tables.iter().chain(conditions.keys()).find(|table| !captured.contains(table)) {
        return Err(Refusal::bad_request(format!(
            "Connector {name} does not capture {unknown}. Tables are named as schema.table"
        )));
    }
    let id = Uuid::new_v4().to_string();
    // They are names here, and expressions in a signal.
    let escaped: Vec<_> = tables.iter().map(|table| fancy_regex::escape(table)).collect();
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(table, filter)| json!({ "data-collection": fancy_regex::escape(table), "filter": filter }))
        .collect();
    let data = json!({ "data-collections": escaped, "type": "incremental", "additional-conditions": conditions });
    let signal = Signal { id: id.clone(), kind: "execute-snapshot".to_owned(), data: data.to_string() };
    if !live.ask(signal) {
        return Err(not_streaming());
    }
    tracing::info!(connector = %name, id, tables = %tables.join(","), "an incremental snapshot was asked for over REST");
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id, "tables": tables }))))
}

fn asked(request: &Map<String, Value>) -> Answer<(Vec<String>, Map<String, Value>)> {
    let tables = request.get("tables").and_then(Value::as_array);
    let tables: Option<Vec<String>> =
        tables.and_then(|tables| tables.iter().map(|table| table.as_str().map(str::to_owned)).collect());
    let tables = tables
        .filter(|tables| !tables.is_empty())
        .ok_or_else(|| Refusal::bad_request("\"tables\" has to be a list of tables, as schema.table"))?;
    let conditions = match request.get("conditions") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(conditions)) if conditions.values().all(Value::is_string) => conditions.clone(),
        Some(_) => {
            return Err(Refusal::bad_request(
                "\"conditions\" has to be an object of a table's name and an SQL condition",
            ));
        }
    };
    Ok((tables, conditions))
}
