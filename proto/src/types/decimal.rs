//! `numeric` and `money` as Java's `BigDecimal`: an unscaled whole number and a scale.

use num_bigint::BigInt;

use super::codec::Kept;
use super::modes::{DecimalMode, Phase};
use super::{NotA, Unconvertible, number};
use crate::connect::java;
use crate::connect::writer::ValueWriter;

/// `unscaled` × 10^-`scale`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decimal {
    unscaled: BigInt,
    scale: u32,
}

impl Decimal {
    /// How many digits a `numeric` has behind its point at most (the manual, "Arbitrary Precision Numbers"). What says that
    /// it has more was not written by PostgreSQL, and its zeros could take all the memory there is.
    pub const MOST_BEHIND_POINT: u32 = 16_383;
    /// How many it has in front of its point.
    const MOST_BEFORE_POINT: u32 = 131_072;

    /// From `numeric`'s text; `None` for `NaN` and the infinities, which `BigDecimal` does not have.
    ///
    /// # Errors
    /// When the text is no number.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, NotA> {
        match is_not_finite(text) {
            true => Ok(None),
            false => Self::parse_finite(super::text(text, "a numeric")?).map(Some),
        }
    }

    fn parse_finite(text: &str) -> Result<Self, NotA> {
        const WHAT: NotA = NotA("a numeric");
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| WHAT)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let length = whole.len().saturating_add(fraction.len());
        // With the sign.
        if length > (Self::MOST_BEFORE_POINT + Self::MOST_BEHIND_POINT + 1) as usize {
            return Err(WHAT);
        }
        let mut digits = String::with_capacity(length);
        digits.push_str(whole);
        digits.push_str(fraction);
        let mut unscaled = parse_digits(&digits).ok_or(WHAT)?;
        let scale = i64::try_from(fraction.len()).map_err(|_| WHAT)? - i64::from(exponent);
        let scale = match u32::try_from(scale) {
            Ok(scale) if scale <= Self::MOST_BEHIND_POINT => scale,
            Ok(_) => return Err(WHAT),
            Err(_) => {
                let zeros = u32::try_from(-scale).ok().filter(|zeros| *zeros <= Self::MOST_BEFORE_POINT);
                unscaled *= power_of_ten(zeros.ok_or(WHAT)?);
                0
            }
        };
        Ok(Self { unscaled, scale })
    }

    /// From `money`'s text in the C locale: `-$1,234.56`.
    ///
    /// # Errors
    /// When there are no digits in it.
    pub fn parse_money(text: &[u8]) -> Result<Self, NotA> {
        const WHAT: NotA = NotA("money");
        let text = super::text(text, "money")?;
        let plain: String = text.chars().filter(|character| character.is_ascii_digit() || *character == '.').collect();
        let negative = text.contains('-') || text.starts_with('(');
        let value = Self::parse_finite(&plain).map_err(|_| WHAT)?;
        Ok(if negative { Self { unscaled: -value.unscaled, ..value } } else { value })
    }

    /// From the bytes of a Connect `Decimal`.
    pub fn from_unscaled_bytes(bytes: &[u8], scale: u32) -> Self {
        Self { unscaled: BigInt::from_signed_bytes_be(bytes), scale }
    }

    /// The same number with `scale` digits behind the point; further digits are cut, which a column's own scale excludes.
    pub fn with_scale(self, scale: u32) -> Self {
        let unscaled = match scale.cmp(&self.scale) {
            std::cmp::Ordering::Greater => self.unscaled * power_of_ten(scale - self.scale),
            std::cmp::Ordering::Equal => self.unscaled,
            std::cmp::Ordering::Less => self.unscaled / power_of_ten(self.scale - scale),
        };
        Self { unscaled, scale }
    }

    /// The same number with `scale` digits behind the point, rounded half away from zero.
    pub fn rounded(self, scale: u32) -> Self {
        let Some(cut) = self.scale.checked_sub(scale).filter(|cut| *cut > 0) else { return self.with_scale(scale) };
        let divisor = power_of_ten(cut);
        let half = BigInt::from(5) * power_of_ten(cut - 1);
        let away = if self.unscaled < BigInt::ZERO { -half } else { half };
        Self { unscaled: (self.unscaled + away) / divisor, scale }
    }

    /// The nearest double.
    pub fn to_double(&self) -> f64 {
        // Digits and a point are what f64 reads.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// As `BigDecimal.valueOf` reads a double: its shortest digits. An infinity is zero.
    pub(super) fn from_double(value: f64) -> Self {
        Self::parse_finite(&java::double(value)).unwrap_or_default()
    }

    /// The digits behind the point.
    pub(super) fn scale(&self) -> u32 {
        self.scale
    }

    /// The same number without trailing zeros behind the point.
    pub fn stripped(mut self) -> Self {
        let ten = BigInt::from(10);
        while self.scale > 0 && &self.unscaled % &ten == BigInt::ZERO {
            self.unscaled /= &ten;
            self.scale -= 1;
        }
        self
    }

    /// Two's complement, big-endian, as short as it goes (`BigInteger.toByteArray`).
    pub fn unscaled_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }
}

impl std::fmt::Display for Decimal {
    /// As `numeric` reads it: plain digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        let sign = if self.unscaled < BigInt::ZERO { "-" } else { "" };
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// Up to 38 digits without going through big numbers: most of what there is.
fn parse_digits(digits: &str) -> Option<BigInt> {
    match digits.parse::<i128>() {
        Ok(small) => Some(BigInt::from(small)),
        Err(_) => digits.parse().ok(),
    }
}

fn power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

/// `NaN` and the infinities.
pub(super) fn is_not_finite(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"Infinity" | b"-Infinity")
}

/// Writes a numeric in the mode's form; without a scale each value has its own.
pub(super) fn write(
    text: &[u8],
    scale: Option<u32>,
    mode: DecimalMode,
    writer: &mut impl ValueWriter,
) -> Result<Kept, Unconvertible> {
    let Some(value) = Decimal::parse(text)? else {
        match mode {
            DecimalMode::Precise => return Err(Unconvertible::NoForm),
            DecimalMode::Double => writer.float64(number::parse(text, "a numeric")?),
            // `SpecialValueDecimal`'s names.
            DecimalMode::String => writer.string(match text {
                b"NaN" => "NAN",
                b"Infinity" => "POSITIVE_INFINITY",
                _ => "NEGATIVE_INFINITY",
            }),
        }
        return Ok(Kept::All);
    };
    write_value(value, scale, mode, writer);
    Ok(Kept::All)
}

fn write_value(value: Decimal, scale: Option<u32>, mode: DecimalMode, writer: &mut impl ValueWriter) {
    match (mode, scale) {
        (DecimalMode::Precise, Some(scale)) => {
            writer.decimal(&value.with_scale(scale).unscaled_bytes(), i32::try_from(scale).unwrap_or(i32::MAX));
        }
        (DecimalMode::Precise, None) => write_variable(&value.stripped(), writer),
        (DecimalMode::Double, _) => writer.float64(value.to_double()),
        (DecimalMode::String, Some(scale)) => writer.string(&value.with_scale(scale).to_string()),
        (DecimalMode::String, None) => writer.string(&value.to_string()),
    }
}

/// Writes zero.
pub(super) fn write_zero(scale: Option<u32>, mode: DecimalMode, writer: &mut impl ValueWriter) {
    write_value(Decimal::default(), scale, mode, writer);
}

/// Writes money. A snapshot's is a double by the time Debezium converts it (`PGmoney`).
pub(super) fn write_money(
    text: &[u8],
    digits: u32,
    mode: DecimalMode,
    phase: Phase,
    writer: &mut impl ValueWriter,
) -> Result<Kept, NotA> {
    let exact = Decimal::parse_money(text)?;
    let mut kept = Kept::All;
    let value = match phase {
        Phase::Streaming => exact,
        Phase::Snapshot => {
            let text = java::double(exact.to_double());
            if mode == DecimalMode::String {
                writer.string(&text);
                return Ok(kept);
            }
            let value = Decimal::parse_finite(&text)?;
            kept = Kept::unless(value.clone().stripped() != exact.stripped());
            value
        }
    };
    match mode {
        DecimalMode::Precise => write_value(value.rounded(digits), Some(digits), mode, writer),
        DecimalMode::Double | DecimalMode::String => write_value(value, None, mode, writer),
    }
    Ok(kept)
}

/// A `VariableScaleDecimal`.
fn write_variable(value: &Decimal, writer: &mut impl ValueWriter) {
    writer.begin_struct();
    writer.field("scale");
    writer.int32(value.scale as i32);
    writer.field("value");
    writer.bytes(&value.unscaled_bytes());
    writer.end_struct();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_number_prints_as_it_was_written() {
        for text in ["0", "-1", "123.4500", "0.001", "-0.5", "99999999999999999999999999999999999999999.1"] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn trailing_zeros_go_from_a_number_of_variable_scale() {
        assert_eq!(parse("123.4500").stripped(), Decimal { unscaled: BigInt::from(12345), scale: 2 });
        assert_eq!(parse("100").stripped(), Decimal { unscaled: BigInt::from(100), scale: 0 });
        assert_eq!(parse("0.000").stripped(), Decimal { unscaled: BigInt::from(0), scale: 0 });
    }

    #[test]
    fn money_is_rounded_to_its_digits_half_away_from_zero() {
        for (text, rounded) in [("1.25", "1.3"), ("-1.25", "-1.3"), ("1.24", "1.2"), ("1", "1.0")] {
            assert_eq!(parse(text).rounded(1).to_string(), rounded);
        }
    }

    #[test]
    fn money_loses_its_dress() {
        assert_eq!(Decimal::parse_money(b"-$1,234.56").unwrap().to_string(), "-1234.56");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "abc", "1.2.3", "--1", "1e", "€"] {
            assert!(Decimal::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_exponent_does_not_make_more_digits_than_a_numeric_has() {
        for text in ["1e2147483647", "1e-2147483648", "1e-16384", "1e131073"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(NotA("a numeric")), "{text}");
        }
        assert!(Decimal::parse("9".repeat(200_000).as_bytes()).is_err());
        assert_eq!(parse("1e-16383").scale(), Decimal::MOST_BEHIND_POINT);
    }

    proptest! {
        #[test]
        fn bytes_read_back(whole in any::<i128>(), scale in 0_u32..40) {
            let value = Decimal { unscaled: BigInt::from(whole), scale };
            prop_assert_eq!(Decimal::from_unscaled_bytes(&value.unscaled_bytes(), scale), value.clone());
            prop_assert_eq!(parse(&value.to_string()), value);
        }
    }
}
