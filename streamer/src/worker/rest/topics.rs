//! `/connectors/{name}/topics`: the topics that a connector has published to (KIP-558).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Api;
use super::answer::Refusal;
use super::connectors::Answer;

pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    if !api.worker.topic_tracking.enabled {
        return Err(Refusal::forbidden("Topic tracking is disabled."));
    }
    let topics = api.herder()?.topics(&name);
    Ok(Json(Value::Object(Map::from_iter([(name, json!({ "topics": topics }))]))))
}

pub(super) async fn reset(State(api): State<Api>, Path(name): Path<String>) -> Answer<StatusCode> {
    let tracking = api.worker.topic_tracking;
    if !tracking.enabled {
        return Err(Refusal::forbidden("Topic tracking is disabled."));
    }
    if !tracking.allow_reset {
        return Err(Refusal::forbidden("Topic tracking reset is disabled."));
    }
    api.herder()?.reset_topics(&name).await?;
    Ok(StatusCode::ACCEPTED)
}
