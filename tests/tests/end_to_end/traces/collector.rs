//! What spans are sent to: OTLP over HTTP, in OpenTelemetry's own messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use stack::wait::{Condition, wait_until};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What an [`OTEL_EXPORTER_OTLP_HEADERS`](Collector::variables) of the tests says.
const TOKEN: &str = "token of the collector";

/// A span as it came.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: i32,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) events: Vec<(String, u64)>,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Span {
    /// The header that says that something came of it.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }

    /// What it says of itself, empty for nothing.
    pub(super) fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A collector that keeps what it gets.
pub(super) struct Collector {
    port: u16,
    spans: Arc<Mutex<Vec<Span>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let port = door.local_addr()?.port();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        let serving = tokio::spawn(async move {
            _ = axum::serve(door, routes).await;
        });
        Ok(Self { port, spans, _serving: AbortOnDropHandle::new(serving) })
    }

    /// By which a program sends its spans here, soon.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-token={}", TOKEN.replace(' ', "%20"))),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
        ]
    }

    /// The spans of this name that have come.
    pub(super) fn spans(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }

    /// Waits until so many spans of this name have come.
    pub(super) async fn wait(&self, name: &str, count: usize) -> anyhow::Result<Vec<Span>> {
        wait_until(&format!("{count} spans {name}"), Duration::from_secs(30), async || {
            let spans = self.spans(name);
            Ok(match spans.len() {
                has if has >= count => Condition::Met(spans),
                has => Condition::NotYet(format!("{has} spans")),
            })
        })
        .await
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get("x-token").is_none_or(|token| token != TOKEN) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut kept = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        if resource.get("deployment.environment.name").is_none_or(|name| name != "test") {
            return StatusCode::BAD_REQUEST;
        }
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            kept.push(Span {
                service: resource.get("service.name").cloned().unwrap_or_default(),
                name: span.name,
                kind: span.kind,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                events: span.events.into_iter().map(|event| (event.name, event.time_unix_nano)).collect(),
                attributes: attributes(span.attributes),
            });
        }
    }
    StatusCode::OK
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => {
            array.values.into_iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
