//! Rows in COPY's text format ("Text Format" in the manual's chapter on COPY) into column values.

use bytes::Bytes;
use proto::pgoutput::Datum;

/// A line that is not COPY text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a COPY line ends inside an escape sequence")]
pub struct CopyTextError;

/// Splits one line (without its newline) into values; `\N` is NULL. A value without escapes shares the line's memory.
///
/// # Errors
/// When the line ends in a lone backslash, which the server never sends.
pub fn parse_line(line: &Bytes, values: &mut Vec<Datum>) -> Result<(), CopyTextError> {
    values.clear();
    let mut start = 0;
    for end in memchr_tabs(line).chain([line.len()]) {
        let field = line.slice(start..end);
        values.push(if field.as_ref() == b"\\N" { Datum::Null } else { Datum::Text(unescape(field)?) });
        start = end + 1;
    }
    Ok(())
}

fn memchr_tabs(line: &[u8]) -> impl Iterator<Item = usize> + '_ {
    line.iter().enumerate().filter(|(_, byte)| **byte == b'\t').map(|(position, _)| position)
}

fn unescape(field: Bytes) -> Result<Bytes, CopyTextError> {
    if !field.contains(&b'\\') {
        return Ok(field);
    }
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        // COPY TO writes only these and the backslash itself; octal and hexadecimal forms exist for input alone.
        text.push(match bytes.next().ok_or(CopyTextError)? {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            other => other,
        });
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &'static [u8]) -> Vec<Option<Vec<u8>>> {
        let mut values = Vec::new();
        parse_line(&Bytes::from_static(line), &mut values).expect("a whole line");
        values
            .into_iter()
            .map(|value| match value {
                Datum::Text(text) => Some(text.to_vec()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn null_empty_and_a_backslash_n_in_the_data_are_three_things() {
        assert_eq!(parse(b"\\N\t\t\\\\N"), [None, Some(b"".to_vec()), Some(b"\\N".to_vec())]);
    }

    #[test]
    fn tabs_newlines_and_backslashes_in_a_value_come_back() {
        assert_eq!(parse(b"a\\tb\\nc\\\\d\\re"), [Some(b"a\tb\nc\\d\re".to_vec())]);
    }

    #[test]
    fn a_line_cut_inside_an_escape_is_an_error() {
        assert_eq!(parse_line(&Bytes::from_static(b"a\\"), &mut Vec::new()), Err(CopyTextError));
    }
}
