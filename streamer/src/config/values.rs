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
    let mode = |key: &str| keys.string(key);
    ValueModes {
        decimal: DecimalMode::find(&mode("decimal.handling.mode")).unwrap_or_default(),
        time: TimePrecision::find(&mode("time.precision.mode")).unwrap_or_default(),
        interval: IntervalMode::find(&mode("interval.handling.mode")).unwrap_or_default(),
        binary: BinaryMode::find(&mode("binary.handling.mode")).unwrap_or_default(),
        hstore: HstoreMode::find(&mode("hstore.handling.mode")).unwrap_or_default(),
        money_digits: u32::try_from(keys.number("money.fraction.digits")).unwrap_or_default(),
        include_unknown: keys.flag("include.unknown.datatypes"),
        failure: match mode("event.converting.failure.handling.mode").to_ascii_lowercase().as_str() {
            "fail" => ConversionFailure::Fail,
            "warn" | "skip" => ConversionFailure::Null,
            _ => ConversionFailure::Known,
        },
        fidelity: Fidelity::find(&mode(FIDELITY)).unwrap_or_default(),
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
    Placeholder::parse(value)
        .ok_or_else(|| vec![Finding::invalid(KEY, "hex: must be followed by bytes of two hexadecimal digits each")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_byte_of_a_placeholder_is_refused() {
        assert_eq!(placeholder("hex:c3a9"), Ok(Placeholder::from("é")));
        assert!(placeholder("hex:c").is_err());
    }
}
