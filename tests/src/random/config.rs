//! Random configurations: any mode with any other.

use fastrand::Rng;
use serde_json::{Map, Value};

use super::kind::one_in;

/// The modes that rows pass through, each with what it may be.
const MODES: &[(&str, &[&str])] = &[
    ("decimal.handling.mode", &["precise", "double", "string"]),
    (
        "time.precision.mode",
        &["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"],
    ),
    ("binary.handling.mode", &["bytes", "base64", "base64-url-safe", "hex"]),
    ("hstore.handling.mode", &["map", "json"]),
    ("interval.handling.mode", &["numeric", "string"]),
    ("money.fraction.digits", &["0", "2", "4"]),
    ("include.unknown.datatypes", &["true", "false"]),
    ("key.converter.schemas.enable", &["true", "false"]),
    ("value.converter.schemas.enable", &["true", "false"]),
    ("value.converter.replace.null.with.default", &["true", "false"]),
    ("value.converter.decimal.format", &["BASE64", "NUMERIC"]),
    ("tombstones.on.delete", &["true", "false"]),
    ("skipped.operations", &["none", "t", "d,t"]),
    ("skip.messages.without.change", &["true", "false"]),
    ("provide.transaction.metadata", &["true", "false"]),
    ("snapshot.mode", &["initial", "no_data"]),
    ("unavailable.value.placeholder", &["__gone__", "hex:DEADBEEF"]),
    ("schema.name.adjustment.mode", &["none", "avro", "avro_unicode"]),
    ("field.name.adjustment.mode", &["none", "avro", "avro_unicode"]),
    ("column.propagate.source.type", &[".*"]),
    ("publication.autocreate.mode", &["all_tables", "filtered"]),
    ("column.truncate.to.5.chars", &["public\\..*\\..*c.*"]),
    ("column.mask.with.4.chars", &["public\\..*\\..*Col.*"]),
    ("extended.headers.enabled", &["true", "false"]),
];

/// Some properties; those that are not there have their defaults.
pub(crate) fn random(rng: &mut Rng) -> Map<String, Value> {
    let mut config = Map::new();
    for (property, values) in MODES {
        if one_in(3, rng) {
            let value = rng.choice(*values).copied().unwrap_or_default();
            config.insert((*property).to_owned(), value.into());
        }
    }
    config
}
