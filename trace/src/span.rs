//! A span until it ends.

use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::{Attribute, TraceContext, Tracer};

/// How a span begins.
#[derive(Debug)]
pub struct Beginning {
    /// Which span it is.
    pub context: TraceContext,
    /// The span elsewhere that it came of.
    pub parent: Option<TraceContext>,
    /// What it is.
    pub name: &'static str,
    /// What it does.
    pub kind: SpanKind,
    /// When it began.
    pub at: SystemTime,
    /// What it says of itself.
    pub attributes: Vec<Attribute>,
}

/// A span that has not ended. Dropped before that, it is forgotten.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    data: Option<Box<SpanData>>,
}

impl Span {
    pub(crate) fn new(tracer: &Tracer, beginning: Beginning) -> Self {
        let Beginning { context, parent, name, kind, at, attributes } = beginning;
        let data = SpanData {
            span_context: context.for_library(false),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| parent.span),
            parent_span_is_remote: parent.is_some(),
            span_kind: kind,
            name: name.into(),
            start_time: at,
            end_time: at,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: tracer.scope(),
        };
        Self { tracer: tracer.clone(), data: Some(Box::new(data)) }
    }

    /// It says this of itself as well.
    pub fn says(&mut self, attribute: Attribute) {
        if let Some(data) = &mut self.data {
            data.attributes.push(attribute);
        }
    }

    /// Something happened meanwhile.
    pub fn happened(&mut self, what: &'static str, at: SystemTime) {
        if let Some(data) = &mut self.data {
            data.events.events.push(Event::new(what, at, Vec::new(), 0));
        }
    }

    /// It ends now, and goes to the collector some time. Nothing waits for that.
    pub fn end(mut self) {
        if let Some(mut data) = self.data.take() {
            // The clock of another machine can be ahead of this one's.
            data.end_time = SystemTime::now().max(data.start_time);
            self.tracer.ended(*data);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.data.take().is_some() {
            self.tracer.forgotten();
        }
    }
}
