//! What is different on every run of Debezium itself, blanked: then two runs can be compared.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::Formatter;
use sha2::{Digest as _, Sha256};

use super::json::{Decimal, Json};
use super::record::{Content, Record, Whole};
use super::scenario::Patterns;

/// The parts of a record in the order they are compared in.
pub(crate) const PARTS: [&str; 5] = ["key", "value", "headers", "timestamp", "relations"];

/// What of a record is compared.
#[derive(Debug)]
pub(crate) enum Normal {
    /// All of it.
    Whole {
        /// Its bytes, blanked.
        bytes: String,
        /// Its meaning, part by part.
        parts: [Json; 5],
    },
    /// Its hashes.
    Hashes {
        /// Of the bytes.
        bytes: String,
        /// Of the meaning.
        meaning: String,
    },
}

impl Normal {
    /// Blanks a record. `relation` is what [`relate`](super::relations::relate) found about it.
    ///
    /// # Errors
    /// A pattern of the scenario's cannot be applied.
    pub(crate) fn of(record: &Record, relation: Option<Value>, patterns: &Patterns) -> anyhow::Result<Self> {
        let whole = match &record.content {
            Content::Hashes { b, s } => return Ok(Self::Hashes { bytes: b.clone(), meaning: s.clone() }),
            Content::Whole(whole) => whole,
        };
        let headers = headers(whole, patterns)?;
        let parts = [
            meaning(whole.key.as_deref(), patterns)?,
            meaning(whole.value.as_deref(), patterns)?,
            Json::Array(
                headers
                    .iter()
                    .map(|(name, value)| Json::Array(vec![Json::Text(name.clone()), value.as_deref().into()]))
                    .collect(),
            ),
            whole.timestamp.map_or(Json::Null, |timestamp| Json::Number(timestamp.to_string())),
            relation.as_ref().map_or(Ok(Json::Null), |relation| Json::parse(&relation.to_string()))?,
        ];
        Ok(Self::Whole { bytes: bytes(record, relation, patterns)?, parts })
    }
}

/// A record's bytes, blanked.
///
/// # Errors
/// A pattern of the scenario's cannot be applied.
pub(crate) fn bytes(record: &Record, relation: Option<Value>, patterns: &Patterns) -> anyhow::Result<String> {
    let Some(whole) = record.whole() else { return Ok(String::new()) };
    let text = |text: Option<&str>| text.map(|text| blank(text, patterns)).transpose();
    Ok(python_json(&serde_json::json!([
        text(whole.key.as_deref())?,
        text(whole.value.as_deref())?,
        headers(whole, patterns)?,
        whole.timestamp,
        relation
    ])))
}

/// Debezium's own fields, also as ExtractNewRecordState flattens them.
const VOLATILE: &str = r"(?:__|h\.)?(?:source_|source\.)?(?:ts_ms|ts_us|ts_ns|lsn|txId|xmin)";
const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

static VOLATILE_NAME: LazyLock<Regex> = LazyLock::new(|| regex(&format!("^{VOLATILE}$")));
static TRANSACTION_NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:__)?(?:transaction_|transaction\.)?id$"));
static SEQUENCE_NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:__)?(?:source_|source\.)?sequence$"));
static VOLATILE_MEMBER: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r#"("{VOLATILE}":)-?\d+"#)));
static TRANSACTION_MEMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"("(?:__)?(?:transaction_|transaction\.)?id":")\d+:\d+(")"#));
static SEQUENCE_MEMBER: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"("(?:__)?(?:source_|source\.)?sequence":")((?:[^"\\]|\\.)*)(")"#));
static WATERMARK: LazyLock<Regex> = LazyLock::new(|| regex(&format!("{UUID}(-open|-close)")));
/// In the data column of an incremental snapshot's watermark rows.
static WINDOW: LazyLock<Regex> = LazyLock::new(|| regex(r#"((?:open|close)WindowTimestamp\\*": *\\*")[^"\\]+"#));
static SHUFFLED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"("(?:last_processed_key|status)":"(?:[^"\\]|\\.)*"),("data_collections":"(?:[^"\\]|\\.)*")"#)
});
static ANY_UUID: LazyLock<Regex> = LazyLock::new(|| regex(UUID));
static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex(r"\d+"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"^-?\d+$"));
static TRANSACTION: LazyLock<Regex> = LazyLock::new(|| regex(r"^\d+:\d+$"));
static QUOTED_TRANSACTION: LazyLock<Regex> = LazyLock::new(|| regex(r#"^"?\d+:\d+"?$"#));

/// Null stays null: only digits go.
fn blank(text: &str, patterns: &Patterns) -> anyhow::Result<String> {
    let text = VOLATILE_MEMBER.replace_all(text, "${1}<n>");
    let text = TRANSACTION_MEMBER.replace_all(&text, "${1}<n>:<n>${2}");
    let text = SEQUENCE_MEMBER.replace_all(&text, |found: &Captures<'_>| {
        format!("{}{}{}", &found[1], DIGITS.replace_all(&found[2], "<n>"), &found[3])
    });
    patterns.blank(blank_watermark(&in_one_order(&text)))
}

fn blank_watermark(text: &str) -> String {
    WINDOW.replace_all(&WATERMARK.replace_all(text, "<uuid>${1}"), "${1}<ts>").into_owned()
}

/// Two keys of some notifications are in one bucket of Java's map, in the order of another map that every start of Java
/// shuffles anew.
fn in_one_order(text: &str) -> Cow<'_, str> {
    SHUFFLED.replace(text, "${2},${1}")
}

fn headers(whole: &Whole, patterns: &Patterns) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let header = |(name, value): &(String, Option<String>)| {
        let Some(value) = value else { return Ok((name.clone(), None)) };
        let blanked = if name == "__debezium.context.runId" {
            ANY_UUID.replace_all(value, "<uuid>").into_owned()
        } else if VOLATILE_NAME.is_match(name) && NUMBER.is_match(value) {
            "<n>".to_owned()
        } else if TRANSACTION_NAME.is_match(name) && QUOTED_TRANSACTION.is_match(value) {
            "<n>:<n>".to_owned()
        } else if SEQUENCE_NAME.is_match(name) {
            DIGITS.replace_all(value, "<n>").into_owned()
        } else {
            blank(value, patterns)?
        };
        Ok((name.clone(), Some(blanked)))
    };
    whole.headers.iter().map(header).collect()
}

/// A key's or value's JSON, blanked; its text where it is no JSON.
fn meaning(text: Option<&str>, patterns: &Patterns) -> anyhow::Result<Json> {
    let Some(text) = text else { return Ok(Json::Null) };
    let text = patterns.blank(text.to_owned())?;
    Ok(match Json::parse(&text) {
        Ok(json) => blank_members(json),
        Err(_) => Json::Array(vec![Json::Text("<raw>".to_owned()), Json::Text(blank(&text, &Patterns::default())?)]),
    })
}

fn blank_members(json: Json) -> Json {
    match json {
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let blanked = match value {
                        Json::Number(_) if VOLATILE_NAME.is_match(&name) => Json::Text("<n>".to_owned()),
                        Json::Text(text) if TRANSACTION_NAME.is_match(&name) && TRANSACTION.is_match(&text) => {
                            Json::Text("<n>:<n>".to_owned())
                        }
                        Json::Text(text) if SEQUENCE_NAME.is_match(&name) => {
                            Json::Text(DIGITS.replace_all(&text, "<n>").into_owned())
                        }
                        value => blank_members(value),
                    };
                    (name, blanked)
                })
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(blank_members).collect()),
        Json::Text(text) => Json::Text(blank_watermark(&text)),
        json => json,
    }
}

/// A hash as goldens keep it.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a record's meaning: numbers by their value.
pub(crate) fn hash_of_meaning(parts: &[Json; 5]) -> String {
    fn canonical(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Number(number) => format!("N{}", Decimal::of(number)).into(),
            Json::Text(text) => text.clone().into(),
            Json::Array(items) => items.iter().map(canonical).collect(),
            Json::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
            }
        }
    }
    hash(&python_json(&parts.iter().map(canonical).collect()))
}

/// JSON as Python's `json.dumps` spaces it: the goldens' hashes are of that.
pub(crate) fn python_json(value: &Value) -> String {
    struct Spaced;
    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            out.write_all(if first { b"" } else { b", " })
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)).expect("a value is JSON");
    String::from_utf8(out).expect("JSON is UTF-8")
}
