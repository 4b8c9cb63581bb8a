//! `numeric` and `money`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::types::decimal::Decimal;

use super::value::append;

/// Appends the number of a Connect `Decimal` by its bytes in base64; `None` where they are none.
pub(super) fn unscaled(encoded: &str, scale: u32, text: &mut String) -> Option<()> {
    // Most have no more than eight bytes, and go without big numbers.
    let mut short = [0; 12];
    let fits = STANDARD.decode_slice(encoded, &mut short).ok().filter(|length| *length <= size_of::<i64>());
    match fits.and_then(|length| short.get(..length)) {
        Some(bytes) => {
            let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
            let start = if negative { -1 } else { 0 };
            let unscaled = bytes.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte));
            small(unscaled, scale as usize, text);
        }
        None => append(text, format_args!("{}", Decimal::from_unscaled_bytes(&STANDARD.decode(encoded).ok()?, scale))),
    }
    Some(())
}

fn small(unscaled: i64, scale: usize, text: &mut String) {
    let sign = if unscaled < 0 { "-" } else { "" };
    // At least a digit in front of the point.
    append(text, format_args!("{sign}{:0>width$}", unscaled.unsigned_abs(), width = scale + 1));
    if scale > 0 {
        text.insert(text.len() - scale, '.');
    }
}

/// Appends a `numeric` that comes as a text. Debezium has names of its own for what is not finite (`SpecialValueDecimal`).
pub(super) fn plain(value: &str, text: &mut String) {
    text.push_str(match value {
        "NAN" => "NaN",
        "POSITIVE_INFINITY" => "Infinity",
        "NEGATIVE_INFINITY" => "-Infinity",
        other => other,
    });
}

/// Appends a `money` that comes as a number's text: its input function knows no exponents.
pub(super) fn money(value: &str, text: &mut String) -> Option<()> {
    if !value.contains(['e', 'E']) {
        text.push_str(value);
        return Some(());
    }
    append(text, format_args!("{}", Decimal::parse(value.as_bytes()).ok()??));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_no_exponent() {
        for (value, expected) in
            [("1.0E7", "10000000"), ("-1234.50", "-1234.50"), ("9.2233720368547758E16", "92233720368547758")]
        {
            let mut text = String::new();
            assert_eq!(money(value, &mut text), Some(()));
            assert_eq!(text, expected);
        }
        assert_eq!(money("E", &mut String::new()), None);
    }

    proptest::proptest! {
        #[test]
        fn a_small_decimal_is_written_as_a_large_one(bytes: Vec<u8>, scale in 0..40_u32) {
            let mut text = String::new();
            unscaled(&STANDARD.encode(&bytes), scale, &mut text).unwrap();
            proptest::prop_assert_eq!(text, Decimal::from_unscaled_bytes(&bytes, scale).to_string());
        }

        #[test]
        fn a_decimal_of_eight_bytes_too(number: i64, scale in 0..40_u32) {
            let (mut text, bytes) = (String::new(), number.to_be_bytes());
            unscaled(&STANDARD.encode(bytes), scale, &mut text).unwrap();
            proptest::prop_assert_eq!(text, Decimal::from_unscaled_bytes(&bytes, scale).to_string());
        }
    }
}
