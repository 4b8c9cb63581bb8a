//! What Java does its own way: numbers as texts (`Double.toString`, JDK 19 and later: the shortest decimal that reads back),
//! and the order of a `HashMap`.

use std::fmt::{LowerExp, Write};
use std::str::FromStr;

use num_bigint::{BigInt, Sign};

/// A number as `Float.toString` writes it: `1.0`, `1.0E10`, `NaN`, `-Infinity`.
pub fn float(value: f32) -> String {
    if value.is_finite() { decimal(&value) } else { not_finite(value.is_nan(), value < 0.0) }
}

/// A number as `Double.toString` writes it.
pub fn double(value: f64) -> String {
    if value.is_finite() { decimal(&value) } else { not_finite(value.is_nan(), value < 0.0) }
}

/// A decimal as `BigDecimal.toString` writes it, from its unscaled number (big-endian, two's complement) and its scale:
/// plain, or with an exponent when the scale is negative or more than five zeros would stand behind the point.
pub fn big_decimal(unscaled: &[u8], scale: i32) -> String {
    let number = BigInt::from_signed_bytes_be(unscaled);
    let sign = if number.sign() == Sign::Minus { "-" } else { "" };
    let digits = number.magnitude().to_string();
    let scale = i64::from(scale);
    let exponent = digits.len() as i64 - 1 - scale;
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if scale > 0 && exponent >= -6 {
        let whole = digits.len().saturating_sub(scale as usize);
        return if whole > 0 {
            let (whole, fraction) = digits.split_at(whole);
            format!("{sign}{whole}.{fraction}")
        } else {
            format!("{sign}0.{digits:0>width$}", width = scale as usize)
        };
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    match exponent {
        0 => format!("{sign}{first}{point}{rest}"),
        _ => format!("{sign}{first}{point}{rest}E{exponent:+}"),
    }
}

/// The table's size of a `HashMap` that grew to `entries`: 16, doubled whenever it is three quarters full.
pub fn buckets_for(entries: usize) -> usize {
    let mut buckets = 16;
    while entries * 4 > buckets * 3 {
        buckets *= 2;
    }
    buckets
}

/// Where a `HashMap` of that size keeps a `String` key; it is walked in this order, and in that of insertion inside one.
pub fn bucket(key: &str, buckets: usize) -> usize {
    let hash = key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    (hash ^ hash >> 16) as usize & (buckets - 1)
}

fn not_finite(is_nan: bool, is_negative: bool) -> String {
    match (is_nan, is_negative) {
        (true, _) => "NaN",
        (false, true) => "-Infinity",
        (false, false) => "Infinity",
    }
    .to_owned()
}

fn decimal<T: LowerExp + FromStr + PartialEq>(value: &T) -> String {
    let mut shortest = format!("{value:e}");
    // Of two shortest ones that are as near, Java takes the one with the even last digit.
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{value:.places$e}", places = digits - 1);
    if even.parse().is_ok_and(|read: T| read == *value) {
        shortest = even;
    }
    // Java writes at least two digits, and takes the second one from the exact value: 4.9E-324, not 5.0E-324.
    if !shortest.contains('.') {
        shortest = format!("{value:.1e}");
    }
    let (sign, unsigned) = match shortest.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", shortest.as_str()),
    };
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let mut text = String::with_capacity(26);
    text.push_str(sign);
    match usize::try_from(exponent) {
        Ok(places @ 0..=6) => {
            let fraction = if fraction == "0" { "" } else { fraction };
            text.push_str(whole);
            for place in 0..places {
                text.push(fraction.as_bytes().get(place).map_or('0', |digit| char::from(*digit)));
            }
            text.push('.');
            text.push_str(fraction.get(places..).filter(|rest| !rest.is_empty()).unwrap_or("0"));
        }
        Err(_) if exponent >= -3 => {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
            text.push_str(whole);
            text.push_str(if fraction == "0" { "" } else { fraction });
        }
        _ => {
            // Writing into a String cannot fail.
            let _infallible = write!(text, "{whole}.{fraction}E{exponent}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (1e6, "1000000.0"),
            (1e7, "1.0E7"),
            (1e22, "1.0E22"),
            (123_456_789.123_456_79, "1.2345678912345679E8"),
            (1_234_567.5, "1234567.5"),
            (5e-324, "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn decimals_are_written_as_java_writes_them() {
        for (unscaled, scale, text) in [
            (12345, 2, "123.45"),
            (-5, 3, "-0.005"),
            (0, 2, "0.00"),
            (0, 7, "0E-7"),
            (1, 7, "1E-7"),
            (12, 7, "0.0000012"),
            (123, -2, "1.23E+4"),
            (7, 0, "7"),
        ] {
            assert_eq!(big_decimal(&BigInt::from(unscaled).to_signed_bytes_be(), scale), text);
        }
    }

    #[test]
    fn floats_are_written_as_java_writes_them() {
        for (value, text) in [
            (1e10, "1.0E10"),
            (1e-45, "1.4E-45"),
            (f32::MIN_POSITIVE, "1.1754944E-38"),
            (123_456.79, "123456.79"),
            (8_388_609.0 / 4.0, "2097152.2"),
            (-2_803_553.0 / 8.0, "-350444.12"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
