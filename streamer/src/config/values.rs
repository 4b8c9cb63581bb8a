//! How values are represented, as the configuration says it.

use proto::connect::avro_names::NameAdjustment;
use proto::types::{
    BinaryMode, ConversionFailure, DecimalMode, Fidelity, HstoreMode, IntervalMode, Placeholder, TimePrecision,
    ValueModes,
};

use super::Finding;
use super::connector::Keys;

/// The handling modes. Their values were checked against the table of properties.
pub(super) fn modes(keys: &Keys<'_>) -> ValueModes {
    let mode = |key: &str| keys.string(key).to_ascii_lowercase();
    ValueModes {
        decimal: match mode("decimal.handling.mode").as_str() {
            "double" => DecimalMode::Double,
            "string" => DecimalMode::String,
            _ => DecimalMode::Precise,
        },
        time: match mode("time.precision.mode").as_str() {
            "adaptive_time_microseconds" => TimePrecision::AdaptiveTimeMicroseconds,
            "connect" => TimePrecision::Connect,
            "isostring" => TimePrecision::IsoString,
            "microseconds" => TimePrecision::Microseconds,
            "nanoseconds" => TimePrecision::Nanoseconds,
            _ => TimePrecision::Adaptive,
        },
        interval: match mode("interval.handling.mode").as_str() {
            "string" => IntervalMode::String,
            _ => IntervalMode::Numeric,
        },
        binary: match mode("binary.handling.mode").as_str() {
            "base64" => BinaryMode::Base64,
            "base64-url-safe" => BinaryMode::Base64UrlSafe,
            "hex" => BinaryMode::Hex,
            _ => BinaryMode::Bytes,
        },
        hstore: match mode("hstore.handling.mode").as_str() {
            "map" => HstoreMode::Map,
            _ => HstoreMode::Json,
        },
        money_digits: u32::try_from(keys.number("money.fraction.digits")).unwrap_or_default(),
        include_unknown: keys.flag("include.unknown.datatypes"),
        failure: match mode("event.converting.failure.handling.mode").as_str() {
            "fail" => ConversionFailure::Fail,
            "warn" | "skip" => ConversionFailure::Null,
            _ => ConversionFailure::Known,
        },
        fidelity: match mode(FIDELITY).as_str() {
            "exact" => Fidelity::Exact,
            _ => Fidelity::Debezium,
        },
    }
}

/// A property of our own: what becomes of values that Debezium loses something of.
pub(super) const FIDELITY: &str = "headwater.value.fidelity";

/// `schema.name.adjustment.mode` or `field.name.adjustment.mode`.
pub(super) fn name_adjustment(keys: &Keys<'_>, key: &str) -> NameAdjustment {
    match keys.string(key).to_ascii_lowercase().as_str() {
        "avro" => NameAdjustment::Avro,
        "avro_unicode" => NameAdjustment::AvroUnicode,
        _ => NameAdjustment::None,
    }
}

/// `unavailable.value.placeholder`; `hex:` introduces its bytes.
pub(super) fn placeholder(value: &str) -> Result<Placeholder, Vec<Finding>> {
    const KEY: &str = "unavailable.value.placeholder";
    let Some(digits) = value.strip_prefix("hex:") else { return Ok(Placeholder::from(value)) };
    let byte = |index| u8::from_str_radix(digits.get(index..index + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes
        .map(Placeholder::new)
        .ok_or_else(|| vec![Finding::invalid(KEY, "hex: must be followed by bytes of two hexadecimal digits each")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_may_be_given_as_bytes_that_are_no_text() {
        assert_eq!(placeholder("hex:c3a9"), Ok(Placeholder::from("é")));
        assert_eq!(placeholder("hex:00ff41").unwrap().text(), "\0\u{fffd}A");
        assert!(placeholder("hex:c").is_err());
    }
}
