//! Traces: a span of each transaction on its way, for OpenTelemetry. Off unless the environment asks for it.
//!
//! # Layout
//! - `environment`: whether traces are asked for, by OpenTelemetry's own variables
//! - `context`: which span of which trace, as the header `traceparent` says it
//! - `span`: a span until it ends
//! - `tracer`: what is sampled, and how many spans wait
//! - `collector`: the way to the collector, which nobody waits for

mod collector;
mod context;
mod environment;
mod span;
mod tracer;

pub use context::{HEADER, TraceContext};
/// What a span says of itself.
pub use opentelemetry::KeyValue as Attribute;
pub use opentelemetry::trace::SpanKind;
pub use opentelemetry::{Array, StringValue, Value};
pub use span::{Beginning, Span};
pub use tracer::{Service, Tracer};
