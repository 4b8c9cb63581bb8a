//! Java's decimals (`java.math.BigDecimal`), as far as transforms read and convert them.

use num_bigint::BigInt;

/// A decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BigDecimal {
    /// The digits as one number.
    pub unscaled: BigInt,
    /// How many of them stand behind the point; negative for zeros in front of it.
    pub scale: i64,
}

impl BigDecimal {
    /// Reads what `new BigDecimal(String)` reads; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match number.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        Some(Self { unscaled: format!("{sign}{all}").parse().ok()?, scale })
    }

    /// Of its big-endian bytes, as Connect's `Decimal` has them.
    pub fn of(unscaled: &[u8], scale: i32) -> Self {
        Self { unscaled: BigInt::from_signed_bytes_be(unscaled), scale: i64::from(scale) }
    }

    /// The whole number in front of the point, and whether there was nothing but zeros behind it; `None` where that number
    /// has more than a thousand digits.
    pub fn truncated(&self) -> Option<(BigInt, bool)> {
        let digits = u32::try_from(self.scale.unsigned_abs()).ok().filter(|digits| *digits <= 1000);
        let zero = BigInt::from(0);
        if self.unscaled == zero {
            return Some((zero, true));
        }
        if self.scale <= 0 {
            return Some((&self.unscaled * BigInt::from(10).pow(digits?), true));
        }
        let Some(digits) = digits.or_else(|| u32::try_from(self.scale).ok()).filter(|digits| *digits < 100_000) else {
            return Some((zero, false));
        };
        let power = BigInt::from(10).pow(digits);
        let whole = &self.unscaled / &power;
        let is_exact = &whole * power == self.unscaled;
        Some((whole, is_exact))
    }

    /// The low 64 bits of the whole number (`longValue`).
    pub fn low_bits(&self) -> i64 {
        // More zeros than bits: all low bits are zero.
        let Some((whole, _)) = self.truncated() else { return 0 };
        let fill = if whole.sign() == num_bigint::Sign::Minus { 0xff } else { 0 };
        let mut bytes = [fill; 8];
        for (byte, whole) in bytes.iter_mut().zip(whole.to_signed_bytes_le()) {
            *byte = whole;
        }
        i64::from_le_bytes(bytes)
    }

    /// The nearest double (`doubleValue`).
    pub fn double(&self) -> f64 {
        format!("{}e{}", self.unscaled, -self.scale).parse().unwrap_or_default()
    }

    /// The nearest float (`floatValue`).
    pub fn float(&self) -> f32 {
        format!("{}e{}", self.unscaled, -self.scale).parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_cut_to_its_whole_number_and_that_to_its_low_bits() {
        let low = |text: &str| BigDecimal::parse(text).unwrap().low_bits();
        assert_eq!(low("12.9"), 12);
        assert_eq!(low("-12.9"), -12);
        assert_eq!(low("1e3"), 1000);
        assert_eq!(low("18446744073709551617"), 1);
        assert_eq!(low("1e999999"), 0);
        assert_eq!(low("1e-999999"), 0);
    }

    #[test]
    fn what_java_does_not_read_is_none() {
        for text in ["", "-", ".", "1_0", " 1", "1e", "0x1", "NaN"] {
            assert_eq!(BigDecimal::parse(text), None, "{text}");
        }
        assert_eq!(BigDecimal::parse("+1.50e1"), Some(BigDecimal { unscaled: BigInt::from(150), scale: 1 }));
    }
}
