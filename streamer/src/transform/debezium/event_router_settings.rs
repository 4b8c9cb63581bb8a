//! The settings of `EventRouter` (`EventRouterConfigDefinition`).

use std::collections::HashMap;

use super::event_router::EventRouter;
use super::json_payload::{Interned, JsonPayloads};
use super::options::{ADJUSTMENTS, choice, filled, pattern};
use super::schemas::Made;
use crate::config::properties::Kind;
use crate::transform::Transform;
use crate::transform::settings::{Setting, Settings, invalid};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::with_default("table.field.event.id", Kind::String, "id"),
    Setting::with_default("table.field.event.key", Kind::String, "aggregateid"),
    Setting::with_default("table.field.event.type", Kind::String, "type"),
    Setting::with_default("table.field.event.payload", Kind::String, "payload"),
    Setting::optional("table.field.event.timestamp", Kind::String),
    Setting::optional(PLACEMENT, Kind::List),
    Setting::with_default("table.fields.additional.error.on.missing", Kind::Boolean, "true"),
    Setting::optional("table.field.event.schema.version", Kind::String),
    Setting::with_default("table.op.invalid.behavior", Kind::String, "warn"),
    Setting::with_default("table.expand.json.payload", Kind::Boolean, "false"),
    Setting::with_default("table.json.payload.null.behavior", Kind::String, "ignore"),
    Setting::with_default("route.by.field", Kind::String, "aggregatetype"),
    Setting::with_default("route.topic.regex", Kind::String, "(?<routedByValue>.*)"),
    Setting::with_default("route.topic.replacement", Kind::String, "outbox.event.${routedByValue}"),
    Setting::with_default("route.tombstone.on.empty.payload", Kind::Boolean, "false"),
    // Without OpenTelemetry's libraries these have no effect in Debezium either.
    Setting::with_default("tracing.span.context.field", Kind::String, "tracingspancontext"),
    Setting::with_default("tracing.operation.name", Kind::String, "debezium-read"),
    Setting::with_default("tracing.with.context.field.only", Kind::Boolean, "false"),
    // Debezium reads it without declaring it.
    Setting::with_default("field.name.adjustment.mode", Kind::String, "none"),
];

const PLACEMENT: &str = "table.fields.additional.placement";

/// `table.op.invalid.behavior`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    Warn,
    Error,
    Fatal,
}

/// A column that goes along with the event (`table.fields.additional.placement`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Additional {
    pub(super) field: String,
    pub(super) placement: Placement,
    pub(super) alias: String,
}

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    Header,
    Envelope,
    Partition,
}

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let behaviors = [("warn", Invalid::Warn), ("error", Invalid::Error), ("fatal", Invalid::Fatal)];
    let nulls = choice(settings, "table.json.payload.null.behavior", &[("ignore", false), ("optional_bytes", true)])?;
    let names = choice(settings, "field.name.adjustment.mode", &ADJUSTMENTS)?;
    Ok(Box::new(EventRouter {
        invalid: choice(settings, "table.op.invalid.behavior", &behaviors)?,
        id: settings.string("table.field.event.id"),
        key: settings.string("table.field.event.key"),
        payload: settings.string("table.field.event.payload"),
        timestamp: filled(settings, "table.field.event.timestamp"),
        schema_version: filled(settings, "table.field.event.schema.version"),
        route_by: settings.string("route.by.field"),
        topic_regex: pattern("route.topic.regex", &settings.string("route.topic.regex"))?,
        topic_replacement: settings.string("route.topic.replacement"),
        tombstone_on_empty: settings.flag("route.tombstone.on.empty.payload"),
        expand: settings.flag("table.expand.json.payload").then(|| JsonPayloads::new(nulls, names)),
        additional: additional(settings)?,
        error_on_missing: settings.flag("table.fields.additional.error.on.missing"),
        events: Made::default(),
        by_payload: Interned::default(),
        by_version: HashMap::new(),
    }))
}

fn additional(settings: &Settings) -> Result<Vec<Additional>, String> {
    let list = settings.list(PLACEMENT);
    let additional = |entry: &String| {
        let parts: Vec<&str> = entry.split(':').map(str::trim).collect();
        let (field, placement, alias) = match parts.as_slice() {
            [field, placement] => (field, placement, field),
            [field, placement, alias] => (field, placement, alias),
            _ => {
                let why = "A comma-separated list of valid String pairs or trios is expected but got: ";
                return Err(invalid(PLACEMENT, entry, format_args!("{why}[{}]", list.join(", "))));
            }
        };
        let placements =
            [("header", Placement::Header), ("envelope", Placement::Envelope), ("partition", Placement::Partition)];
        let placement = placements.iter().find(|(word, _)| word.eq_ignore_ascii_case(placement));
        let (_, placement) = placement
            .ok_or_else(|| invalid(PLACEMENT, entry, "the placement must be one of header, envelope, partition"))?;
        Ok(Additional { field: (*field).to_owned(), placement: *placement, alias: (*alias).to_owned() })
    };
    list.iter().map(additional).collect()
}
