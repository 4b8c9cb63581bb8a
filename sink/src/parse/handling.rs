//! What the connector's configuration says of its records: which form values have, and whether rows come without their envelope.

use proto::types::decimal::Decimal;
use proto::types::{
    BinaryMode, DecimalMode, Fidelity, HstoreMode, IntervalMode, Placeholder, TimePrecision, ValueModes,
};
use serde_json::{Map, Value};

use super::reader::Unavailable;
use super::record::Shape;
use super::unwrap::Unwrap;

/// How a connector writes its records. They do not say it themselves where schemas are off.
#[derive(Debug, Clone)]
pub struct Handling {
    /// The form of values.
    pub modes: ValueModes,
    /// What stands for a value that was not sent.
    pub(super) unavailable: Unavailable,
    /// What takes rows out of their envelopes, each for some topics.
    pub(super) unwraps: Vec<Unwrap>,
    pub(super) topic_prefix: String,
}

/// Debezium's own, without a configuration.
impl Default for Handling {
    fn default() -> Self {
        let unavailable = Unavailable::from(&Placeholder::from(PLACEHOLDER));
        Self { modes: ValueModes::default(), unavailable, unwraps: Vec::new(), topic_prefix: String::new() }
    }
}

/// The default of `unavailable.value.placeholder`.
const PLACEHOLDER: &str = "__debezium_unavailable_value";

impl Handling {
    /// As a connector's configuration has it.
    ///
    /// # Errors
    /// What is no mode, and under what the target would not become equal, all of it; no values.
    pub fn of(config: &Map<String, Value>) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let keys = Keys(config);
        let default = ValueModes::default();
        let mut mode = Modes { keys: &keys, faults: &mut faults };
        let modes = ValueModes {
            decimal: mode.find("decimal.handling.mode", "precise, double, string", DecimalMode::find),
            time: mode.find(
                "time.precision.mode",
                "adaptive, adaptive_time_microseconds, connect, isostring, microseconds, nanoseconds",
                TimePrecision::find,
            ),
            interval: mode.find("interval.handling.mode", "numeric, string", IntervalMode::find),
            binary: mode.find("binary.handling.mode", "bytes, base64, base64-url-safe, hex", BinaryMode::find),
            hstore: mode.find("hstore.handling.mode", "json, map", HstoreMode::find),
            money_digits: mode
                .find("money.fraction.digits", "0, 1, 2, …", |text| text.parse().ok().filter(is_few).map(Some))
                .unwrap_or(default.money_digits),
            include_unknown: keys.flag("include.unknown.datatypes", false),
            fidelity: mode.find("headwater.value.fidelity", "debezium, exact", Fidelity::find),
            ..default
        };
        let placeholder = keys.untrimmed("unavailable.value.placeholder").unwrap_or_else(|| PLACEHOLDER.to_owned());
        let placeholder = Placeholder::parse(&placeholder).filter(|placeholder| !placeholder.bytes().is_empty());
        if placeholder.is_none() {
            faults.push(
                "unavailable.value.placeholder must be a text, or hex: with bytes behind it: every empty text would be taken for \
                 a value that was not sent"
                    .to_owned(),
            );
        }
        let unwraps = Unwrap::all(&keys, &mut faults);
        match placeholder {
            Some(placeholder) if faults.is_empty() => Ok(Self {
                modes,
                unavailable: Unavailable::from(&placeholder),
                unwraps,
                topic_prefix: keys.text("topic.prefix").unwrap_or_default(),
            }),
            _ => Err(faults),
        }
    }

    /// How the records of a topic are.
    pub fn shape(&self, topic: &str) -> Shape {
        let unwrap = self.unwraps.iter().find(|unwrap| unwrap.applies_to(topic));
        unwrap.map_or(Shape::Envelope, |unwrap| Shape::Row(unwrap.of_topic(&self.topic_prefix, topic)))
    }

    /// Whether rows of some topics come without their envelopes.
    pub fn unwraps(&self) -> bool {
        !self.unwraps.is_empty()
    }

    /// The connector's `topic.prefix`.
    pub fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// What of the source's values cannot come back under these modes, each with what to set instead.
    pub fn losses(&self) -> Vec<&'static str> {
        let ValueModes { decimal, time, interval, binary, money_digits, .. } = self.modes;
        let mut losses = Vec::new();
        match decimal {
            DecimalMode::Precise => losses.push(
                "decimal.handling.mode=precise: NaN and the infinities of numeric come as NULL; string keeps them",
            ),
            DecimalMode::Double => losses.push(
                "decimal.handling.mode=double: of numeric and money only the first 15 digits come; precise and string keep them",
            ),
            DecimalMode::String => {}
        }
        if decimal == DecimalMode::Precise && money_digits < 2 {
            losses.push("money.fraction.digits below 2: money comes rounded");
        }
        match time {
            TimePrecision::Connect => losses.push(
                "time.precision.mode=connect: of time and timestamp only milliseconds come; adaptive keeps microseconds",
            ),
            TimePrecision::Nanoseconds => {
                losses.push("time.precision.mode=nanoseconds: timestamps behind the year 68000 come as others; adaptive keeps them");
            }
            TimePrecision::IsoString => {
                losses.push("time.precision.mode=isostring: the time 24:00:00 comes as 00:00:00; adaptive keeps it");
            }
            TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds | TimePrecision::Microseconds => {}
        }
        if interval == IntervalMode::Numeric {
            losses.push(
                "interval.handling.mode=numeric: an interval comes as hours, whatever months and days it had; string keeps them",
            );
        }
        if matches!(binary, BinaryMode::Base64 | BinaryMode::Base64UrlSafe) {
            losses.push(
                "binary.handling.mode=base64, base64-url-safe: a long bytea that a change did not touch comes as NULL unless the \
                 table has REPLICA IDENTITY FULL; bytes and hex leave it as it is",
            );
        }
        if !self.unwraps.is_empty() {
            losses.push("ExtractNewRecordState: a TRUNCATE does not reach the target, for it has no row");
        }
        losses
    }
}

/// No more digits than a decimal can have.
fn is_few(digits: &u32) -> bool {
    *digits <= Decimal::MOST_BEHIND_POINT
}

/// A connector's configuration.
pub(super) struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.untrimmed(key).map(|text| text.trim().to_owned())
    }

    fn untrimmed(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.text(key).map_or(default, |text| text.eq_ignore_ascii_case("true"))
    }
}

/// Looks modes up, and keeps what is none.
struct Modes<'a> {
    keys: &'a Keys<'a>,
    faults: &'a mut Vec<String>,
}

impl Modes<'_> {
    fn find<T: Default>(&mut self, key: &str, known: &str, find: impl FnOnce(&str) -> Option<T>) -> T {
        let Some(text) = self.keys.text(key) else { return T::default() };
        find(&text).unwrap_or_else(|| {
            self.faults.push(format!("{key} must be one of {known}"));
            T::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(config: Value) -> Result<Handling, Vec<String>> {
        Handling::of(config.as_object().unwrap())
    }

    #[test]
    fn modes_are_the_connectors_and_debeziums_own_without_it() {
        assert_eq!(of(json!({})).unwrap().modes, ValueModes::default());
        let modes = of(json!({
            "decimal.handling.mode": "STRING", "time.precision.mode": "isostring", "interval.handling.mode": "string",
            "binary.handling.mode": "base64-url-safe", "hstore.handling.mode": "map", "money.fraction.digits": 4,
            "include.unknown.datatypes": "true", "headwater.value.fidelity": "exact",
        }));
        let expected = ValueModes {
            decimal: DecimalMode::String,
            time: TimePrecision::IsoString,
            interval: IntervalMode::String,
            binary: BinaryMode::Base64UrlSafe,
            hstore: HstoreMode::Map,
            money_digits: 4,
            include_unknown: true,
            fidelity: Fidelity::Exact,
            ..ValueModes::default()
        };
        assert_eq!(modes.unwrap().modes, expected);
    }

    #[test]
    fn what_is_no_mode_is_refused_all_at_once_without_its_value() {
        let faults = of(json!({
            "decimal.handling.mode": "hidden", "hstore.handling.mode": "hidden", "unavailable.value.placeholder": "hex:",
        }));
        let faults = faults.unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].starts_with("decimal.handling.mode must be one of precise"), "{faults:?}");
        assert!(!faults.iter().any(|fault| fault.contains("hidden")), "{faults:?}");
    }

    #[test]
    fn what_a_mode_loses_is_told() {
        let losses = |config| of(config).unwrap().losses();
        assert!(losses(json!({ "decimal.handling.mode": "string", "interval.handling.mode": "string" })).is_empty());
        let told = losses(json!({ "decimal.handling.mode": "double", "time.precision.mode": "connect" })).join("\n");
        for key in ["decimal.handling.mode=double", "time.precision.mode=connect", "interval.handling.mode=numeric"] {
            assert!(told.contains(key), "{told}");
        }
    }
}
