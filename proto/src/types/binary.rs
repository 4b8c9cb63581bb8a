//! `bytea`, `bit`, `varbit`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::NotA;
use super::modes::BinaryMode;
use crate::connect::writer::ValueWriter;

/// Writes bytes in the mode's form.
pub(crate) fn write(bytes: &[u8], mode: BinaryMode, writer: &mut impl ValueWriter) {
    match mode {
        BinaryMode::Bytes => writer.bytes(bytes),
        BinaryMode::Base64 => writer.string(&STANDARD.encode(bytes)),
        BinaryMode::Base64UrlSafe => writer.string(&URL_SAFE.encode(bytes)),
        BinaryMode::Hex => writer.string(&hex(bytes)),
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The hexadecimal form `\xdeadbeef`.
pub(super) fn bytea(text: &[u8]) -> Result<Vec<u8>, NotA> {
    const WHAT: NotA = NotA("a bytea in hexadecimal form");
    from_hex(text.strip_prefix(b"\\x").ok_or(WHAT)?).map_err(|_| WHAT)
}

/// Two digits a byte.
pub(super) fn from_hex(digits: &[u8]) -> Result<Vec<u8>, NotA> {
    const WHAT: NotA = NotA("hexadecimal");
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8).ok_or(WHAT);
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(WHAT);
    }
    pairs.iter().map(|[high, low]| Ok(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

/// Bits as Java's `BitSet.toByteArray`: the last bit is bit 0, lowest byte first, no zero bytes at the end.
pub(super) fn bits(text: &[u8]) -> Result<Vec<u8>, NotA> {
    let mut bytes = vec![0_u8; text.len().div_ceil(8)];
    for (position, bit) in text.iter().rev().enumerate() {
        match (bit, bytes.get_mut(position / 8)) {
            (b'0', _) => {}
            (b'1', Some(byte)) => *byte |= 1 << (position % 8),
            _ => return Err(NotA("a bit string")),
        }
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_little_endian_and_trimmed() {
        assert_eq!(bits(b"10000000000000000000"), Ok(vec![0, 0, 8]));
        assert_eq!(bits(b"00000000"), Ok(vec![]));
        assert!(bits(b"2").is_err());
    }

    #[test]
    fn half_a_byte_is_refused() {
        assert_eq!(bytea(b"\\xdeAD"), Ok(vec![0xde, 0xad]));
        assert!(bytea(b"\\xdea").is_err());
        assert!(bytea(b"abc").is_err());
    }
}
