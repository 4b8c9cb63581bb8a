//! `/connectors…`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Api;
use super::answer::Refusal;
use crate::config::connector::DEBEZIUM_VERSION;
use crate::worker::deploy::flat;
use crate::worker::herder::{ConnectorView, Put};
use crate::worker::storage::configs::TargetState;

pub(super) type Answer<T> = Result<T, Refusal>;

/// A request's body as a JSON object.
pub(super) fn object(body: &Bytes) -> Answer<Map<String, Value>> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("The request's body is no JSON object: {error}")))
}

/// A connector's configuration out of a JSON object.
pub(super) fn config_of(object: &Map<String, Value>) -> Answer<std::collections::BTreeMap<String, String>> {
    flat(object)
        .map_err(|key| Refusal::bad_request(format!("The value of {key} must be a text, a number or a boolean")))
}

/// Connect says `unknown` of a connector whose plugin it does not have.
fn kind(view: &ConnectorView) -> &'static str {
    if view.state == "UNASSIGNED" { "unknown" } else { "source" }
}

fn info(view: &ConnectorView) -> Value {
    let tasks: Vec<Value> = view.task.iter().map(|_| json!({ "connector": view.name, "task": 0 })).collect();
    json!({ "name": view.name, "config": view.config, "tasks": tasks, "type": kind(view) })
}

fn state(state: &str, worker_id: &str, trace: Option<&str>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("state".to_owned(), state.into());
    map.insert("worker_id".to_owned(), worker_id.into());
    if let Some(trace) = trace {
        map.insert("trace".to_owned(), trace.into());
    }
    if state != "UNASSIGNED" || trace.is_none() {
        map.insert("version".to_owned(), DEBEZIUM_VERSION.into());
    }
    map
}

fn task_state(view: &ConnectorView, worker_id: &str) -> Option<Value> {
    let task = view.task.as_ref()?;
    let mut map = Map::from_iter([("id".to_owned(), Value::from(0))]);
    map.extend(state(task.state, worker_id, task.trace.as_deref()));
    Some(Value::Object(map))
}

fn full_status(view: &ConnectorView, worker_id: &str) -> Value {
    let tasks: Vec<Value> = task_state(view, worker_id).into_iter().collect();
    let connector = state(view.state, worker_id, view.trace.as_deref());
    json!({ "name": view.name, "connector": connector, "tasks": tasks, "type": kind(view) })
}

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Answer<Json<Value>> {
    let views = api.herder()?.connectors().await;
    let query = query.unwrap_or_default();
    let expansions: Vec<&str> = query.split('&').filter_map(|pair| pair.strip_prefix("expand=")).collect();
    if expansions.is_empty() {
        return Ok(Json(views.into_iter().map(|view| Value::from(view.name)).collect()));
    }
    let (with_status, with_info) = (expansions.contains(&"status"), expansions.contains(&"info"));
    let mut all = Map::new();
    for view in views {
        let mut one = Map::new();
        if with_info {
            one.insert("info".to_owned(), info(&view));
        }
        if with_status {
            one.insert("status".to_owned(), full_status(&view, &api.worker.worker_id));
        }
        all.insert(view.name, Value::Object(one));
    }
    Ok(Json(Value::Object(all)))
}

pub(super) async fn create(State(api): State<Api>, body: Bytes) -> Answer<Response> {
    let request = object(&body)?;
    let config = request
        .get("config")
        .and_then(Value::as_object)
        .ok_or_else(|| Refusal::bad_request("The request's body has no \"config\" object"))?;
    let config = config_of(config)?;
    let name = request
        .get("name")
        .and_then(Value::as_str)
        .or_else(|| config.get("name").map(String::as_str))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Refusal::bad_request("Connector name is missing"))?
        .to_owned();
    check_name(&name, &config)?;
    let initial = match request.get("initial_state").and_then(Value::as_str) {
        None => TargetState::Started,
        Some(state) => match state.to_ascii_uppercase().as_str() {
            "RUNNING" => TargetState::Started,
            "PAUSED" => TargetState::Paused,
            "STOPPED" => TargetState::Stopped,
            _ => return Err(Refusal::bad_request(format!("initial_state {state} is not RUNNING, PAUSED or STOPPED"))),
        },
    };
    let (view, _) = api.herder()?.put(&name, config, true, initial).await?;
    Ok(created(&view))
}

fn check_name(name: &str, config: &std::collections::BTreeMap<String, String>) -> Answer<()> {
    match config.get("name") {
        Some(other) if other != name => Err(Refusal::bad_request(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
        ))),
        _ => Ok(()),
    }
}

/// A new connector's tasks are not known yet when Connect answers.
fn created(view: &ConnectorView) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::from_str(&format!("/connectors/{}", view.name)) {
        headers.insert(header::LOCATION, location);
    }
    let new = ConnectorView { task: None, ..view.clone() };
    (StatusCode::CREATED, headers, Json(info(&new))).into_response()
}

pub(super) async fn view(api: &Api, name: &str) -> Answer<ConnectorView> {
    Ok(api.herder()?.connector(name, || format!("Connector {name} not found")).await?)
}

pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(info(&view(&api, &name).await?)))
}

pub(super) async fn delete(State(api): State<Api>, Path(name): Path<String>) -> Answer<StatusCode> {
    api.herder()?.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn config(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!(view(&api, &name).await?.config)))
}

pub(super) async fn put_config(State(api): State<Api>, Path(name): Path<String>, body: Bytes) -> Answer<Response> {
    let config = config_of(&object(&body)?)?;
    check_name(&name, &config)?;
    let (view, put) = api.herder()?.put(&name, config, false, TargetState::Started).await?;
    Ok(match put {
        Put::Created => created(&view),
        Put::Updated => Json(info(&view)).into_response(),
    })
}

/// A merge into the stored configuration: a null removes its key.
pub(super) async fn patch_config(State(api): State<Api>, Path(name): Path<String>, body: Bytes) -> Answer<Json<Value>> {
    let patch = object(&body)?;
    let mut config = view(&api, &name).await?.config;
    for key in patch.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key) {
        config.remove(key);
    }
    config.extend(config_of(&patch)?);
    check_name(&name, &config)?;
    let (view, _) = api.herder()?.put(&name, config, false, TargetState::Started).await?;
    Ok(Json(info(&view)))
}

pub(super) async fn status(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let view = api.herder()?.connector(&name, || format!("No status found for connector {name}")).await?;
    Ok(Json(full_status(&view, &api.worker.worker_id)))
}

pub(super) async fn tasks(State(api): State<Api>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let view = view(&api, &name).await?;
    let mut config = view.config.clone();
    config.insert("task.class".to_owned(), "io.debezium.connector.postgresql.PostgresConnectorTask".to_owned());
    let task = json!({ "id": { "connector": view.name, "task": 0 }, "config": config });
    Ok(Json(view.task.iter().map(|_| task.clone()).collect()))
}

/// A task's number in a path; what is none is a path that does not exist.
fn task_number(task: &str) -> Answer<u32> {
    task.parse().map_err(|_| Refusal::not_found("HTTP 404 Not Found"))
}

pub(super) async fn task_status(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let task = task_number(&task)?;
    let unknown = || format!("No status found for task {name}-{task}");
    let view = api.herder()?.connector(&name, unknown).await?;
    let state = task_state(&view, &api.worker.worker_id).filter(|_| task == 0);
    Ok(Json(state.ok_or_else(|| Refusal::not_found(unknown()))?))
}

pub(super) async fn restart_task(
    State(api): State<Api>,
    Path((name, task)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let task = task_number(&task)?;
    let view = api.herder()?.connector(&name, || format!("Unknown connector: {name}")).await?;
    if view.task.is_none() || task != 0 {
        return Err(Refusal::not_found(format!("Unknown task: {name}-{task}")));
    }
    api.herder()?.restart(&name, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn restart(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer<Response> {
    let query = query.unwrap_or_default();
    let asks = |flag: &str| query.split('&').any(|pair| pair == format!("{flag}=true"));
    // There is no connector instance apart from its task, so the task is what a restart restarts.
    let view = api.herder()?.restart(&name, asks("onlyFailed")).await?;
    if asks("includeTasks") || asks("onlyFailed") {
        let status = full_status(&view, &api.worker.worker_id);
        return Ok((StatusCode::ACCEPTED, Json(status)).into_response());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn pause(State(api): State<Api>, Path(name): Path<String>) -> Answer<StatusCode> {
    api.herder()?.set_target(&name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn resume(State(api): State<Api>, Path(name): Path<String>) -> Answer<StatusCode> {
    api.herder()?.set_target(&name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Connect answers 204 to a stop.
pub(super) async fn stop(State(api): State<Api>, Path(name): Path<String>) -> Answer<StatusCode> {
    api.herder()?.set_target(&name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}
