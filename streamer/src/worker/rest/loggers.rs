//! `/admin/loggers…`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::Api;
use super::answer::Refusal;
use super::connectors::{Answer, object};
use crate::worker::log_levels::Level;

fn shown(level: &Level) -> Value {
    json!({ "level": level.level, "last_modified": level.last_modified })
}

pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    let levels: Map<String, Value> =
        api.levels.all().into_iter().map(|(logger, level)| (logger, shown(&level))).collect();
    Json(Value::Object(levels))
}

pub(super) async fn show(State(api): State<Api>, Path(logger): Path<String>) -> Answer<Json<Value>> {
    let level = api.levels.get(&logger);
    let level = level.ok_or_else(|| Refusal::not_found(format!("Logger {logger} not found.")))?;
    Ok(Json(shown(&level)))
}

/// For this worker, or with `scope=cluster` for the group, of which one worker runs.
pub(super) async fn set(
    State(api): State<Api>,
    Path(logger): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Answer<Response> {
    let body = object(&body)?;
    let level = body
        .get("level")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::bad_request("Desired 'level' parameter was not specified in request."))?;
    if !api.levels.set(&logger, level) {
        return Err(Refusal::not_found(format!("invalid log level '{level}'.")));
    }
    let is_cluster = query.unwrap_or_default().split('&').any(|pair| pair.eq_ignore_ascii_case("scope=cluster"));
    Ok(if is_cluster { StatusCode::NO_CONTENT.into_response() } else { Json(json!([logger])).into_response() })
}
