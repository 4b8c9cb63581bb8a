//! Bytes: `bytea`, bit strings, EWKB, and the texts of types without a conversion.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use proto::types::BinaryMode;

/// Appends the hexadecimal form of a `bytea`, `\xdeadbeef`; `None` where the value is none.
pub(super) fn bytea(value: &str, mode: BinaryMode, text: &mut String) -> Option<()> {
    text.push_str("\\x");
    hex(value, mode, text)
}

/// Appends the bytes in hexadecimal digits.
pub(super) fn hex(value: &str, mode: BinaryMode, text: &mut String) -> Option<()> {
    let Some(engine) = engine(mode) else {
        let is_hex = value.len().is_multiple_of(2) && value.bytes().all(|digit| digit.is_ascii_hexdigit());
        return is_hex.then(|| text.push_str(value));
    };
    /// Characters that are decoded at once: whole groups of four.
    const AT_ONCE: usize = 1024;
    text.reserve(value.len() / 4 * 6);
    let mut bytes = [0; AT_ONCE / 4 * 3];
    let mut chunks = value.as_bytes().chunks(AT_ONCE).peekable();
    while let Some(chunk) = chunks.next() {
        let length = engine.decode_slice(chunk, &mut bytes).ok()?;
        if length < bytes.len() && chunks.peek().is_some() {
            // It was padded, and is not at its end.
            return None;
        }
        push_digits(bytes.get(..length)?, text);
    }
    Some(())
}

fn push_digits(bytes: &[u8], text: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(digits.filter_map(|digit| DIGITS.get(usize::from(digit))));
}

/// Appends a text that comes as its bytes.
pub(super) fn text_of_bytes(value: &str, mode: BinaryMode, text: &mut String) -> Option<()> {
    let bytes = match engine(mode) {
        Some(engine) => engine.decode(value).ok()?,
        None => {
            let (pairs, rest) = value.as_bytes().as_chunks::<2>();
            let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
            let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
            pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())?
        }
    };
    text.push_str(std::str::from_utf8(&bytes).ok()?);
    Some(())
}

/// Appends a bit string: lowest bit first, to its length. Without one it has lost the zeros in front of its first one.
pub(super) fn bits(value: &str, length: Option<u32>, text: &mut String) -> Option<()> {
    /// As many characters as most have at most.
    const FEW: usize = 88;
    let mut few = [0; FEW / 4 * 3];
    let many;
    let bytes = match value.len() <= FEW {
        true => {
            let length = STANDARD.decode_slice(value, &mut few).ok()?;
            few.get(..length)?
        }
        false => {
            many = STANDARD.decode(value).ok()?;
            many.as_slice()
        }
    };
    let bit = |position: usize| bytes.get(position / 8).is_some_and(|byte| byte >> (position % 8) & 1 == 1);
    let length = match length {
        Some(length) => length as usize,
        None => (0..bytes.len() * 8).rev().find(|position| bit(*position)).map_or(0, |highest| highest + 1),
    };
    text.extend((0..length).rev().map(|position| if bit(position) { '1' } else { '0' }));
    Some(())
}

/// `None`: hexadecimal.
fn engine(mode: BinaryMode) -> Option<&'static GeneralPurpose> {
    match mode {
        BinaryMode::Bytes | BinaryMode::Base64 => Some(&STANDARD),
        BinaryMode::Base64UrlSafe => Some(&URL_SAFE),
        BinaryMode::Hex => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_bytes_is_refused() {
        for (value, mode) in [
            ("QQ", BinaryMode::Bytes),
            ("_-8=", BinaryMode::Bytes),
            ("/+8=", BinaryMode::Base64UrlSafe),
            ("abc", BinaryMode::Hex),
            ("zz", BinaryMode::Hex),
            ("éé", BinaryMode::Hex),
        ] {
            assert_eq!(bytea(value, mode, &mut String::new()), None, "{value}");
            assert_eq!(text_of_bytes(value, mode, &mut String::new()), None, "{value}");
        }
        let padded_in_the_middle = format!("{}QQ==QUFB", "QUFB".repeat(255));
        assert_eq!(bytea(&padded_in_the_middle, BinaryMode::Bytes, &mut String::new()), None);
    }

    proptest! {
        #[test]
        fn bytes_of_any_length_become_their_digits(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for (mode, value) in [
                (BinaryMode::Bytes, STANDARD.encode(&bytes)),
                (BinaryMode::Base64UrlSafe, URL_SAFE.encode(&bytes)),
                (BinaryMode::Hex, expected.clone()),
            ] {
                let mut text = String::new();
                prop_assert_eq!(bytea(&value, mode, &mut text), Some(()));
                prop_assert_eq!(text.strip_prefix("\\x"), Some(expected.as_str()));
            }
        }
    }
}
