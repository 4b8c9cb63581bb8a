//! How values are represented where the configuration gives a choice.

use super::{Unconvertible, binary};

/// How values are represented where Debezium gives a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueModes {
    /// `decimal.handling.mode`.
    pub decimal: DecimalMode,
    /// `time.precision.mode`.
    pub time: TimePrecision,
    /// `interval.handling.mode`.
    pub interval: IntervalMode,
    /// `binary.handling.mode`.
    pub binary: BinaryMode,
    /// `hstore.handling.mode`.
    pub hstore: HstoreMode,
    /// `money.fraction.digits`: money's digits behind the point.
    pub money_digits: u32,
    /// `include.unknown.datatypes`: whether types without a conversion are shown by the bytes of their text.
    pub include_unknown: bool,
    /// `event.converting.failure.handling.mode`.
    pub failure: ConversionFailure,
    /// `headwater.value.fidelity`, a property of our own.
    pub fidelity: Fidelity,
}

impl Default for ValueModes {
    fn default() -> Self {
        Self {
            decimal: DecimalMode::default(),
            time: TimePrecision::default(),
            interval: IntervalMode::default(),
            binary: BinaryMode::default(),
            hstore: HstoreMode::default(),
            money_digits: 2,
            include_unknown: false,
            failure: ConversionFailure::default(),
            fidelity: Fidelity::default(),
        }
    }
}

/// `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMode {
    /// An unscaled number and a scale; `NaN` and the infinities are not among them.
    #[default]
    Precise,
    /// A double.
    Double,
    /// Plain digits.
    String,
}

impl DecimalMode {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "precise" => Self::Precise,
            "double" => Self::Double,
            "string" => Self::String,
            _ => return None,
        })
    }
}

/// `time.precision.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimePrecision {
    /// Milliseconds up to precision 3, else microseconds.
    #[default]
    Adaptive,
    /// The same for timestamps; times are always microseconds.
    AdaptiveTimeMicroseconds,
    /// Connect's own logical types, in milliseconds.
    Connect,
    /// ISO 8601.
    IsoString,
    /// Always microseconds.
    Microseconds,
    /// Always nanoseconds, which overflow beyond the year 2262.
    Nanoseconds,
}

impl TimePrecision {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "adaptive" => Self::Adaptive,
            "adaptive_time_microseconds" => Self::AdaptiveTimeMicroseconds,
            "connect" => Self::Connect,
            "isostring" => Self::IsoString,
            "microseconds" => Self::Microseconds,
            "nanoseconds" => Self::Nanoseconds,
            _ => return None,
        })
    }
}

/// `interval.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalMode {
    /// Microseconds, a month being 365.25 / 12 days: it does not say which interval it was.
    #[default]
    Numeric,
    /// ISO 8601: `P1Y2M3DT4H5M6.789S`.
    String,
}

impl IntervalMode {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "numeric" => Self::Numeric,
            "string" => Self::String,
            _ => return None,
        })
    }
}

/// `binary.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BinaryMode {
    /// BYTES.
    #[default]
    Bytes,
    /// Base64 as a STRING.
    Base64,
    /// Base64 with the alphabet for URLs, as a STRING.
    Base64UrlSafe,
    /// Hexadecimal as a STRING.
    Hex,
}

impl BinaryMode {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bytes" => Self::Bytes,
            "base64" => Self::Base64,
            "base64-url-safe" => Self::Base64UrlSafe,
            "hex" => Self::Hex,
            _ => return None,
        })
    }
}

/// `hstore.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HstoreMode {
    /// A JSON object's text.
    #[default]
    Json,
    /// A MAP.
    Map,
}

impl HstoreMode {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "map" => Self::Map,
            _ => return None,
        })
    }
}

/// `event.converting.failure.handling.mode`: what becomes of a value that cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConversionFailure {
    /// Not given: null, where Debezium is known to have nothing else (`NaN` under precise decimals). Whatever else cannot
    /// be converted is no value that Debezium would have given up, and stops the task.
    #[default]
    Known,
    /// `fail`: the task stops.
    Fail,
    /// `warn`, `skip`: null.
    Null,
}

impl ConversionFailure {
    pub(super) fn becomes_null(self, failure: Unconvertible) -> bool {
        match self {
            ConversionFailure::Known => failure == Unconvertible::NoForm,
            ConversionFailure::Fail => false,
            ConversionFailure::Null => true,
        }
    }
}

/// `headwater.value.fidelity`: what becomes of values that Debezium loses something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fidelity {
    /// What Debezium 3.4.3 writes.
    #[default]
    Debezium,
    /// What PostgreSQL has, wherever the column's schema can carry it.
    Exact,
}

impl Fidelity {
    /// By its name in a configuration.
    pub fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "debezium" => Self::Debezium,
            "exact" => Self::Exact,
            _ => return None,
        })
    }
}

/// Where a value comes from. Debezium reads a snapshot through the JDBC driver's objects and the stream by itself, and the
/// two do not agree on every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A query: every kind of snapshot.
    Snapshot,
    /// The replication stream.
    Streaming,
}

/// `unavailable.value.placeholder`: what stands for a TOASTed value that was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    bytes: Vec<u8>,
    text: String,
}

impl Placeholder {
    /// From its bytes, which need not be a text: a column of texts gets replacement characters, as Java decodes them.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    /// As a configuration gives it: a text, or bytes behind `hex:`; `None` where no bytes are behind it.
    pub fn parse(value: &str) -> Option<Self> {
        let Some(digits) = value.strip_prefix("hex:") else { return Some(Self::from(value)) };
        binary::from_hex(digits.as_bytes()).ok().map(Self::new)
    }

    /// For columns of texts.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For columns of bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<&str> for Placeholder {
    fn from(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_may_be_given_as_bytes_that_are_no_text() {
        assert_eq!(Placeholder::parse("hex:c3a9"), Some(Placeholder::from("é")));
        assert_eq!(Placeholder::parse("hex:00ff41").unwrap().text(), "\0\u{fffd}A");
        assert_eq!(Placeholder::parse("gone"), Some(Placeholder::from("gone")));
        for text in ["hex:c", "hex:zz", "hex:é"] {
            assert_eq!(Placeholder::parse(text), None, "{text}");
        }
    }
}
