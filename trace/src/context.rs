//! Which span of which trace: W3C's Trace Context.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use sha2::{Digest as _, Sha256};

/// The header that carries it, in HTTP as in Kafka's records.
pub const HEADER: &str = "traceparent";

/// A span of a trace that is recorded. As text it is the header's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

impl TraceContext {
    /// The first span of a trace: the same parts are the same trace whenever and by whom this is asked. `of_span` tells spans
    /// of one trace from each other.
    pub fn derived(of_trace: &[&[u8]], of_span: &[&[u8]]) -> Self {
        let trace = TraceId::from_bytes(hash(&[], of_trace));
        Self { trace, span: span_of(trace, of_span) }
    }

    /// A span of the same trace that these parts tell from its others.
    #[must_use]
    pub fn child(self, of_span: &[&[u8]]) -> Self {
        let parent = self.span.to_bytes();
        let parts: Vec<&[u8]> = std::iter::once(parent.as_slice()).chain(of_span.iter().copied()).collect();
        Self { trace: self.trace, span: span_of(self.trace, &parts) }
    }

    /// What a header says; `None` where that is no context, or says that its trace is not recorded.
    pub fn read(header: &[u8]) -> Option<Self> {
        let header = Header(std::str::from_utf8(header).ok()?);
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &header);
        let span = context.span();
        let context = span.span_context();
        let is_recorded = context.is_valid() && context.is_sampled();
        is_recorded.then(|| Self { trace: context.trace_id(), span: context.span_id() })
    }

    /// The same for the library, as of a span that began elsewhere, or here.
    pub(crate) fn for_library(self, is_remote: bool) -> SpanContext {
        SpanContext::new(self.trace, self.span, TraceFlags::SAMPLED, is_remote, TraceState::NONE)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

fn span_of(trace: TraceId, parts: &[&[u8]]) -> SpanId {
    SpanId::from_bytes(hash(&trace.to_bytes(), parts))
}

/// As many bytes as are asked for of a hash over the parts and how long each is.
fn hash<const BYTES: usize>(before: &[u8], parts: &[&[u8]]) -> [u8; BYTES] {
    let mut sha = Sha256::new();
    sha.update(before);
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let digest = sha.finalize();
    std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default())
}

struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == HEADER).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(trace: &str, span: &str) -> TraceContext {
        TraceContext::derived(&[trace.as_bytes()], &[span.as_bytes()])
    }

    #[test]
    fn the_same_parts_are_the_same_span_and_others_are_others() {
        assert_eq!(of("a", "x"), of("a", "x"));
        assert_eq!(
            of("a", "x").to_string(),
            "00-3b196fd4907bedf51c3090e9835f2f7c-fac8bbebc4be6049-01",
            "in every release"
        );
        assert_eq!(of("a", "x").trace, of("a", "y").trace, "one trace");
        assert_ne!(of("a", "x").span, of("a", "y").span);
        assert_ne!(of("a", "x").trace, of("b", "x").trace);
        assert_ne!(of("a", "x").span, of("b", "x").span);
        let joined = TraceContext::derived(&[b"ab", b"c"], &[]);
        assert_ne!(joined.trace, TraceContext::derived(&[b"a", b"bc"], &[]).trace, "where a part ends counts");
    }

    #[test]
    fn a_child_is_of_the_same_trace_and_is_another_span_for_each_parent() {
        let (parent, other) = (of("a", "x"), of("a", "y"));
        let child = parent.child(&[b"1"]);
        assert_eq!(child.trace, parent.trace);
        assert_eq!(child, parent.child(&[b"1"]));
        assert!(child != parent.child(&[b"2"]) && child.span != other.child(&[b"1"]).span && child.span != parent.span);
    }

    #[test]
    fn a_context_is_read_as_it_was_written() {
        let context = of("a", "x");
        assert_eq!(TraceContext::read(context.to_string().as_bytes()), Some(context));
    }

    #[test]
    fn what_is_no_context_or_is_not_recorded_is_none() {
        let zeros = "0".repeat(32);
        for header in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            &format!("00-{zeros}-00f067aa0ba902b7-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::read(header.as_bytes()), None, "{header}");
        }
        assert_eq!(TraceContext::read(b"\xff\xfe"), None);
        assert!(TraceContext::read(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").is_some());
    }
}
