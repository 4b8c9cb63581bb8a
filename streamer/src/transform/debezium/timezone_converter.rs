//! `io.debezium.transforms.TimezoneConverter`: points in time of another time zone.

use std::collections::{HashMap, HashSet};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proto::connect::record::ConnectRecord;
use proto::connect::schema::{Field, Schema};
use proto::connect::value::Value;
use regex::Regex;

use super::envelope::is_envelope;
use super::options::required;
use super::schemas::or_default;
use super::zoned_text::{ZonedText, ZonedTime};
use crate::config::properties::Kind;
use crate::transform::settings::{Setting, Settings};
use crate::transform::{Transform, TransformError};

/// Its settings.
pub(in crate::transform) const SETTINGS: &[Setting] = &[
    Setting::optional("converted.timezone", Kind::String),
    Setting::with_default("include.list", Kind::List, ""),
    Setting::with_default("exclude.list", Kind::List, ""),
];

/// Of its settings.
pub(in crate::transform) fn make(settings: &Settings) -> Result<Box<dyn Transform>, String> {
    let (include, exclude) = (settings.list("include.list"), settings.list("exclude.list"));
    for (which, list) in [("include", &include), ("exclude", &exclude)] {
        if !list.is_empty() && !is_list_of_rules(list)? {
            return Err(format!(
                "Invalid {which} list format. Please specify a list of rules in the format of \
                 \"source:<tablename>:<fieldnames>\", \"topic:<topicname>:<fieldnames>\", \"<matchname>:<fieldnames>\""
            ));
        }
    }
    let zone = required(settings, "converted.timezone")?;
    let zone = time_zone(&zone).ok_or(
        "Invalid timezone format. Please specify either a geographic timezone (e.g. America/Los_Angeles) or a UTC offset in \
         the format of +/-hh:mm, (e.g. +08:00).",
    )?;
    let lists = match (include.is_empty(), exclude.is_empty()) {
        (false, false) => {
            return Err("Both include and exclude lists are specified. Please specify only one.".to_owned());
        }
        (false, true) => Lists::Include(Rules::read(&include)),
        (true, false) => Lists::Exclude(Rules::read(&exclude)),
        (true, true) => Lists::All,
    };
    Ok(Box::new(TimezoneConverter { zone, lists }))
}

fn is_list_of_rules(list: &[String]) -> Result<bool, String> {
    let name = r#"["\.A-Za-z0-9_\s]+"#;
    let rule = format!(r"^\[(?:source|topic|{name}):(?:{name}(?::{name})?(?:,|\]$))+$");
    let rule = Regex::new(&rule).map_err(|error| error.to_string())?;
    // Debezium looks at the whole list at once: only its first rule may have a prefix and a field, which hold for all.
    Ok(rule.is_match(&format!("[{}]", list.join(", "))))
}

fn time_zone(name: &str) -> Option<TimeZone> {
    if name.starts_with(['+', '-']) {
        let offset = ZonedText::read_offset(name)?;
        return Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(offset).ok()?));
    }
    TimeZone::get(name).ok()
}

#[derive(Debug)]
struct TimezoneConverter {
    zone: TimeZone,
    lists: Lists,
}

#[derive(Debug)]
enum Lists {
    All,
    Include(Rules),
    Exclude(Rules),
}

/// The fields that are listed, by topic or table.
#[derive(Debug, Default)]
struct Rules {
    topics: HashMap<String, HashSet<String>>,
    tables: HashMap<String, HashSet<String>>,
    either: HashMap<String, HashSet<String>>,
}

impl Rules {
    fn read(list: &[String]) -> Self {
        let mut rules = Self::default();
        let mut common: Option<&str> = None;
        for rule in list {
            let parts: Vec<&str> = rule.split(':').collect();
            let is_prefix = |part: &str| ["source", "topic"].iter().any(|known| part.eq_ignore_ascii_case(known));
            let (prefix, name, field) = match parts.as_slice() {
                [prefix, name] if is_prefix(prefix) => (Some(*prefix), *name, None),
                [prefix, name, field, ..] if is_prefix(prefix) => (Some(*prefix), *name, Some(*field)),
                [name, field, ..] => (None, *name, Some(*field)),
                _ => (None, rule.as_str(), None),
            };
            // A rule without a prefix has that of the rule before it.
            common = prefix.or(common);
            let of = match common {
                Some("topic") => &mut rules.topics,
                Some("source") => &mut rules.tables,
                _ => &mut rules.either,
            };
            of.entry(name.to_owned()).or_default().extend(field.map(str::to_owned));
        }
        rules
    }

    fn fields(&self, topic: &str, table: &str) -> Option<&HashSet<String>> {
        let either = || self.either.get(topic).or_else(|| self.either.get(table));
        self.topics.get(topic).or_else(|| self.tables.get(table)).or_else(either)
    }
}

/// Which fields of a record are converted.
#[derive(Clone, Copy)]
enum Which<'a> {
    All,
    Only(&'a HashSet<String>),
    AllBut(&'a HashSet<String>),
}

impl Which<'_> {
    /// `image` is `before`, `after` or `source`: a listed field without one of these before it is of both rows.
    fn takes(self, image: &str, field: &str) -> bool {
        let listed = |fields: &HashSet<String>| {
            let plain = image != "source" && fields.contains(field);
            plain || fields.contains(&format!("{image}.{field}"))
        };
        match self {
            Which::All => true,
            Which::Only(fields) => listed(fields),
            Which::AllBut(fields) => !listed(fields),
        }
    }

    /// The source block is touched only where one of its fields is listed.
    fn takes_source(self) -> bool {
        match self {
            Which::All => false,
            Which::Only(fields) | Which::AllBut(fields) => fields.iter().any(|field| field.starts_with("source.")),
        }
    }
}

impl Transform for TimezoneConverter {
    fn apply(&mut self, mut record: ConnectRecord) -> Result<Option<ConnectRecord>, TransformError> {
        let Some(envelope) = record.value.schema.clone().filter(|schema| is_envelope(Some(schema))) else {
            return Ok(Some(record));
        };
        let Value::Struct(values) = &mut record.value.value else { return Ok(Some(record)) };
        let table = table_of(&envelope, values).unwrap_or_default().to_owned();
        let which = match &self.lists {
            Lists::All => Which::All,
            Lists::Include(rules) => match rules.fields(&record.topic, &table) {
                None => return Ok(Some(record)),
                Some(fields) if fields.is_empty() => Which::All,
                Some(fields) => Which::Only(fields),
            },
            Lists::Exclude(rules) => match rules.fields(&record.topic, &table) {
                None => Which::All,
                Some(fields) if fields.is_empty() => return Ok(Some(record)),
                Some(fields) => Which::AllBut(fields),
            },
        };
        for (field, value) in envelope.fields().iter().zip(values) {
            let is_row = matches!(field.name.as_str(), "before" | "after");
            let Value::Struct(values) = value else { continue };
            if is_row || (field.name == "source" && which.takes_source()) {
                for (inner, value) in field.schema.fields().iter().zip(values) {
                    if which.takes(&field.name, &inner.name) {
                        self.convert(inner, value, !is_row);
                    }
                }
            }
        }
        Ok(Some(record))
    }
}

fn table_of<'a>(envelope: &Schema, values: &'a [Value]) -> Option<&'a str> {
    let index = envelope.field_index("source")?;
    let Some(Value::Struct(source)) = values.get(index) else { return None };
    let table = envelope.fields().get(index)?.schema.field_index("table")?;
    source.get(table)?.as_str()
}

impl TimezoneConverter {
    fn convert(&self, field: &Field, value: &mut Value, is_source: bool) {
        let converted = match (or_default(value.clone(), &field.schema), field.schema.name.as_deref()) {
            (Value::Int64(local), Some("io.debezium.time.MicroTimestamp")) => self.shifted(local, 1_000_000),
            (Value::Int64(local), Some("io.debezium.time.NanoTimestamp")) => self.shifted(local, 1_000_000_000),
            (Value::Int64(local), Some("io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp")) => {
                self.shifted(local, 1_000)
            }
            (Value::String(text), Some("io.debezium.time.ZonedTimestamp")) => {
                ZonedText::read(&text).and_then(|zoned| {
                    let offset = self.offset_of_local(zoned.local())?;
                    Some(Value::String(zoned.with_offset(offset)?.to_string()))
                })
            }
            (Value::String(text), Some("io.debezium.time.ZonedTime")) => ZonedTime::read(&text).map(|zoned| {
                let offset = self.zone.to_offset(Timestamp::now()).seconds();
                Value::String(zoned.with_offset(offset).to_string())
            }),
            (Value::Int64(instant), None) if is_source => match field.name.as_str() {
                "ts_ms" => self.moved(instant, 1_000),
                "ts_us" => self.moved(instant, 1_000_000),
                "ts_ns" => self.moved(instant, 1_000_000_000),
                _ => None,
            },
            _ => None,
        };
        if let Some(converted) = converted {
            *value = converted;
        }
    }

    /// The instant of what the clock of the zone showed.
    fn shifted(&self, local: i64, unit: i64) -> Option<Value> {
        let offset = self.offset_of_local(date_time(local.div_euclid(unit))?)?;
        Some(Value::Int64(local.wrapping_sub(i64::from(offset) * unit)))
    }

    /// An instant, moved by the zone's offset then.
    fn moved(&self, instant: i64, unit: i64) -> Option<Value> {
        let at = Timestamp::from_second(instant.div_euclid(unit)).ok()?;
        Some(Value::Int64(instant.wrapping_add(i64::from(self.zone.to_offset(at).seconds()) * unit)))
    }

    /// The zone's offset when its clock shows this; the earlier one where it shows it twice or never (`ZoneRules.getOffset`).
    fn offset_of_local(&self, local: DateTime) -> Option<i32> {
        let offset = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        Some(offset.seconds())
    }
}

/// Seconds since 1970 as a clock shows them; beyond the years that the calendar knows, its last ones.
fn date_time(seconds: i64) -> Option<DateTime> {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    Some(epoch.saturating_add(SignedDuration::from_secs(seconds)))
}
