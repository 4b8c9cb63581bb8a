//! `/connectors/{name}/offsets`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Api;
use super::connectors::{Answer, object};

pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let stored = api.herder()?.offsets(&name).await?;
    let offsets: Vec<Value> =
        stored.into_iter().map(|(partition, offset)| json!({ "partition": partition, "offset": offset })).collect();
    Ok(Json(json!({ "offsets": offsets })))
}

pub(super) async fn alter(State(api): State<Api>, Path(name): Path<String>, body: Bytes) -> Answer<Json<Value>> {
    api.herder()?.alter_offsets(&name, &object(&body)?).await?;
    Ok(done("altered"))
}

pub(super) async fn reset(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    api.herder()?.reset_offsets(&name).await?;
    Ok(done("reset"))
}

fn done(what: &str) -> Json<Value> {
    Json(json!({
        "message": format!(
            "The Connect framework-managed offsets for this connector have been {what} successfully. However, if this \
             connector manages offsets externally, they will need to be manually {what} in the system that the connector \
             uses."
        ),
    }))
}
