//! What is sampled, and how many spans wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::Counter;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry::{Context, InstrumentationScope, Key};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanData, SpanProcessor};
use tokio::runtime::Handle;

use crate::collector::{Client, Collector, Seldom};
use crate::environment::{self, Settings};
use crate::{Attribute, Beginning, Span, TraceContext};

/// How long the end of the program waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// Whose spans they are.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name, unless the environment gives it another.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The metric that counts spans that did not reach the collector.
    pub dropped: &'static str,
}

/// Makes spans and hands them to a thread that sends them. There is none where traces are not asked for.
#[derive(Debug, Clone)]
pub struct Tracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sampler: Box<dyn ShouldSample>,
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    room: Arc<Room>,
    dropped: Counter,
    told: Seldom,
}

/// Room for spans that have begun and were not sent.
#[derive(Debug)]
pub(crate) struct Room {
    taken: AtomicUsize,
    limit: usize,
}

impl Room {
    fn new(limit: usize) -> Self {
        Self { taken: AtomicUsize::new(0), limit }
    }

    fn enter(&self) -> bool {
        let enter = |taken| (taken < self.limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).is_ok()
    }

    pub(crate) fn leave(&self, spans: usize) {
        self.taken.fetch_sub(spans, Ordering::Relaxed);
    }
}

impl Tracer {
    /// The tracer that the process's environment asks for; `None` where it asks for none, or for one that cannot be, which is in
    /// the log then: traces are no reason to stop. Spans are sent by the runtime that this is called in.
    pub fn from_environment(service: Service) -> Option<Self> {
        let warn = |text| tracing::warn!("traces: {text}");
        let asked = environment::read(|name| std::env::var(name).ok(), warn);
        let made = asked.and_then(|settings| settings.map(|settings| Self::new(service, &settings)).transpose());
        made.unwrap_or_else(|why| {
            tracing::warn!("there are no traces: {why}. Everything else goes on");
            None
        })
    }

    fn new(service: Service, settings: &Settings) -> Result<Self, String> {
        let client = Client::new(settings.client()?, Handle::current());
        let failure = client.failure();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(settings.timeout)
            .with_http_client(client)
            .build()
            // The library's words could repeat the address.
            .map_err(|_| "the address of the collector, or a header for it, cannot be used".to_owned())?;
        let room = Arc::new(Room::new(settings.waiting));
        let refused = metrics::counter!(service.dropped, "reason" => "collector");
        let collector = Collector::new(exporter, room.clone(), failure, settings.collector.clone(), refused);
        let mut processor = BatchSpanProcessor::builder(collector).build();
        processor.set_resource(&resource(service));
        let Config { sampler, .. } = Config::default();
        tracing::info!(collector = settings.collector, ?sampler, "transactions are traced");
        Ok(Self(Arc::new(Inner {
            sampler,
            processor,
            scope: InstrumentationScope::builder("headwater").with_version(service.version).build(),
            room,
            dropped: metrics::counter!(service.dropped, "reason" => "waiting"),
            told: Seldom::default(),
        })))
    }

    /// Whether a span is recorded, which the sampler says: of the trace's id, or because its parent is.
    pub fn samples(&self, context: TraceContext, parent: Option<TraceContext>, name: &str, kind: &SpanKind) -> bool {
        let parent = parent.map(|parent| Context::new().with_remote_span_context(parent.for_library(true)));
        let result = self.0.sampler.should_sample(parent.as_ref(), context.trace, name, kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    /// A span begins. `None` where too many wait for their end or for the collector: it is counted instead.
    pub fn begin(&self, beginning: Beginning) -> Option<Span> {
        if self.0.room.enter() {
            return Some(Span::new(self, beginning));
        }
        self.0.dropped.increment(1);
        self.0.told.say(1, |spans| {
            tracing::warn!(
                spans,
                limit = self.0.room.limit,
                "spans were dropped, for too many wait to end or to be sent (OTEL_BSP_MAX_QUEUE_SIZE); nothing else is lost. \
                 OTEL_TRACES_SAMPLER=parentbased_traceidratio with OTEL_TRACES_SAMPLER_ARG traces fewer transactions"
            );
        });
        None
    }

    pub(crate) fn scope(&self) -> InstrumentationScope {
        self.0.scope.clone()
    }

    pub(crate) fn ended(&self, span: SpanData) {
        // There is room in its queue, which is as long as this one counts.
        self.0.processor.on_end(span);
    }

    pub(crate) fn forgotten(&self) {
        self.0.room.leave(1);
    }

    /// Sends what has ended, unless the collector takes long.
    pub async fn shut_down(self) {
        let inner = self.0.clone();
        let ending = tokio::task::spawn_blocking(move || inner.processor.shutdown_with_timeout(LAST_SPANS));
        if !matches!(ending.await, Ok(Ok(()))) {
            tracing::debug!("the last spans were not sent");
        }
    }
}

/// What all spans say of the process.
fn resource(service: Service) -> Resource {
    const NAME: &str = "service.name";
    let found = Resource::builder().build();
    let is_named =
        found.get(&Key::from_static_str(NAME)).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = Attribute::new("service.version", service.version);
    let builder = Resource::builder();
    let builder = if is_named { builder } else { builder.with_attribute(Attribute::new(NAME, service.name)) };
    match found.get(&version.key) {
        Some(_) => builder.build(),
        None => builder.with_attribute(version).build(),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::Sampler;

    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl opentelemetry_sdk::trace::SpanExporter for Nowhere {
        async fn export(&self, _batch: Vec<SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
            Ok(())
        }
    }

    fn tracer(sampler: Sampler, limit: usize) -> Tracer {
        Tracer(Arc::new(Inner {
            sampler: Box::new(sampler),
            processor: BatchSpanProcessor::builder(Nowhere).build(),
            scope: InstrumentationScope::builder("test").build(),
            room: Arc::new(Room::new(limit)),
            dropped: Counter::noop(),
            told: Seldom::default(),
        }))
    }

    fn context(number: u32) -> TraceContext {
        TraceContext::derived(&[&number.to_be_bytes()], &[])
    }

    fn beginning(number: u32) -> Beginning {
        Beginning {
            context: context(number),
            parent: None,
            name: "transaction",
            kind: SpanKind::Producer,
            at: std::time::SystemTime::now(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn of_many_traces_so_many_are_sampled_as_was_asked_for_and_always_the_same() {
        let sampled = || {
            let tracer = tracer(Sampler::TraceIdRatioBased(0.1), 1);
            (0..10_000)
                .filter(|number| tracer.samples(context(*number), None, "transaction", &SpanKind::Producer))
                .collect::<Vec<_>>()
        };
        let first = sampled();
        assert!((850..1150).contains(&first.len()), "{} of 10,000", first.len());
        assert_eq!(first, sampled());
    }

    #[test]
    fn a_child_is_sampled_as_its_parent_was() {
        let never = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        let parent = context(1);
        let child = parent.child(&[b"batch"]);
        let tracer = tracer(never, 1);
        assert!(!tracer.samples(parent, None, "transaction", &SpanKind::Producer));
        assert!(tracer.samples(child, Some(parent), "apply", &SpanKind::Consumer));
    }

    #[test]
    fn so_many_spans_wait_and_no_more() {
        let tracer = tracer(Sampler::AlwaysOn, 2);
        let (first, second) = (tracer.begin(beginning(1)), tracer.begin(beginning(2)));
        assert!(first.is_some() && second.is_some());
        assert!(tracer.begin(beginning(3)).is_none(), "no room");
        drop(first);
        assert!(tracer.begin(beginning(4)).is_some(), "one was forgotten");
    }
}
