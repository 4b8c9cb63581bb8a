//! The way to the collector. What it does not take is gone: nothing waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::Counter;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

use crate::tracer::Room;

/// How often the log says that spans are lost.
const BETWEEN_WORDS: Duration = Duration::from_secs(60);

/// The largest answer that is read.
const ANSWER_BYTES: usize = 1 << 20;

/// What the last request failed of.
type Failure = Arc<Mutex<Option<String>>>;

/// The HTTP client of the other parts, for a thread that is not the runtime's.
#[derive(Debug)]
pub(crate) struct Client {
    client: reqwest::Client,
    runtime: Handle,
    failure: Failure,
}

impl Client {
    pub(crate) fn new(client: reqwest::Client, runtime: Handle) -> Self {
        Self { client, runtime, failure: Failure::default() }
    }

    pub(crate) fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move { send(&client, request).await });
        let sent = sending.await.unwrap_or_else(|error| Err(error.into()));
        let failure = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        sent
    }
}

async fn send(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut response = client.execute(request.try_into()?).await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err("its answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// What went wrong, without the address, in which there may be a password.
fn failed(error: reqwest::Error) -> HttpError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.into()
}

/// What sends spans, and says when it cannot.
#[derive(Debug)]
pub(crate) struct Collector {
    exporter: opentelemetry_otlp::SpanExporter,
    room: Arc<Room>,
    failure: Failure,
    name: String,
    refused: Counter,
    told: Seldom,
}

impl Collector {
    pub(crate) fn new(
        exporter: opentelemetry_otlp::SpanExporter,
        room: Arc<Room>,
        failure: Failure,
        name: String,
        refused: Counter,
    ) -> Self {
        Self { exporter, room, failure, name, refused, told: Seldom::default() }
    }
}

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        self.room.leave(spans);
        if sent.is_err() {
            self.refused.increment(spans as u64);
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            let error = failure.unwrap_or_else(|| "it did not take them".to_owned());
            self.told.say(spans as u64, |spans| {
                let collector = &self.name;
                tracing::warn!(
                    collector,
                    spans,
                    error,
                    "spans did not reach the collector and are lost; nothing else is"
                );
            });
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Says at most once a minute how many it has come to.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    untold: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    pub(crate) fn say(&self, more: u64, say: impl FnOnce(u64)) {
        self.untold.fetch_add(more, Ordering::Relaxed);
        // Somebody else is just about to say it.
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.is_none_or(|last| last.elapsed() >= BETWEEN_WORDS) {
            *last = Some(Instant::now());
            say(self.untold.swap(0, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_said_seldom() {
        let (seldom, mut said) = (Seldom::default(), Vec::new());
        for _ in 0..3 {
            seldom.say(5, |spans| said.push(spans));
        }
        assert_eq!(said, [5]);
        *seldom.last.lock().expect("no panic") = Instant::now().checked_sub(BETWEEN_WORDS);
        seldom.say(1, |spans| said.push(spans));
        assert_eq!(said, [5, 11]);
    }
}
