//! A value in Avro's binary encoding (specification, "Binary Encoding") into the JSON that Connect's JSON converter writes of it
//! (`JsonConverter.convertToJson`).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Node, Schema};

/// The value's JSON; `None` where the bytes are not of the schema.
pub fn json(schema: &Schema, bytes: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut rest = bytes;
    value(&schema.root, &mut rest, &mut out)?;
    rest.is_empty().then_some(out)
}

fn value(node: &Node, rest: &mut &[u8], out: &mut String) -> Option<()> {
    match node {
        Node::Null => out.push_str("null"),
        Node::Boolean => out.push_str(if take::<1>(rest)? == [0] { "false" } else { "true" }),
        Node::Long => append(out, long(rest)?),
        Node::Float => {
            let number = f32::from_le_bytes(take(rest)?);
            float(number.is_finite(), number, f64::from(number), out);
        }
        Node::Double => {
            let number = f64::from_le_bytes(take(rest)?);
            float(number.is_finite(), number, number, out);
        }
        Node::Bytes => base64(sized(rest)?, out),
        Node::Fixed(size) => base64(cut(rest, *size)?, out),
        Node::String => quote(std::str::from_utf8(sized(rest)?).ok()?, out),
        Node::Enum(symbols) => quote(symbols.get(usize::try_from(long(rest)?).ok()?)?, out),
        Node::Union(branches) => {
            let branch = branches.get(usize::try_from(long(rest)?).ok()?)?;
            value(branch, rest, out)?;
        }
        Node::Record(fields) => {
            out.push('{');
            for (place, (name, node)) in fields.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(name);
                value(node, rest, out)?;
            }
            out.push('}');
        }
        Node::Array(items) => list(('[', ']'), rest, out, |rest, out| value(items, rest, out))?,
        Node::Entries(keys, values) => list(('[', ']'), rest, out, |rest, out| {
            out.push('[');
            value(keys, rest, out)?;
            out.push(',');
            value(values, rest, out)?;
            out.push(']');
            Some(())
        })?,
        Node::Map(values) => list(('{', '}'), rest, out, |rest, out| {
            quote(std::str::from_utf8(sized(rest)?).ok()?, out);
            out.push(':');
            value(values, rest, out)
        })?,
    }
    Some(())
}

/// Blocks of items, up to an empty one; of one with a negative count the bytes are given too.
fn list(
    (open, close): (char, char),
    rest: &mut &[u8],
    out: &mut String,
    mut item: impl FnMut(&mut &[u8], &mut String) -> Option<()>,
) -> Option<()> {
    out.push(open);
    let mut is_first = true;
    loop {
        let mut count = long(rest)?;
        if count == 0 {
            break;
        }
        if count < 0 {
            long(rest)?;
            count = count.checked_neg()?;
        }
        // Each has a byte at least: items without any could be counted for ever.
        if usize::try_from(count).ok()? > rest.len() {
            return None;
        }
        for _ in 0..count {
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            item(rest, out)?;
        }
    }
    out.push(close);
    Some(())
}

/// Zig-zag and seven bits a byte, the lowest first.
fn long(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take::<1>(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

fn cut<'b>(rest: &mut &'b [u8], size: usize) -> Option<&'b [u8]> {
    let (taken, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(taken)
}

fn sized<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let size = usize::try_from(long(rest)?).ok()?;
    cut(rest, size)
}

fn append(out: &mut String, value: impl std::fmt::Display) {
    // Into memory, which does not fail.
    _ = write!(out, "{value}");
}

/// JSON has no others than finite numbers: the others are texts, as Java prints them.
fn float(is_finite: bool, number: impl std::fmt::Display, wide: f64, out: &mut String) {
    if is_finite {
        append(out, number);
    } else if wide.is_nan() {
        out.push_str("\"NaN\"");
    } else {
        out.push_str(if wide > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
}

fn base64(bytes: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn quote(text: &str, out: &mut String) {
    append(out, serde_json::Value::from(text));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What Confluent's converter makes of values: three lines each, the record in JSON, the Avro schema, the bytes.
    const REFERENCE: &str = include_str!("../../../streamer/src/convert/avro/reference.txt");

    /// Numbers by their values, however they are printed; and of a null that has a default Confluent's converter writes the default,
    /// unless it is told not to.
    fn same(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (_, Value::Null) => true,
            (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
            }
            (one, other) => one == other,
        }
    }

    #[test]
    fn what_confluents_converter_wrote_is_the_json_converters_record_again() {
        let lines: Vec<&str> = REFERENCE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let mut count = 0;
        for lines in lines.chunks(3) {
            let [record, schema, bytes] = lines else { panic!("{lines:?}") };
            let bytes: Vec<u8> =
                (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
            let schema = Schema::parse(schema).unwrap();
            let read: Value = serde_json::from_str(&json(&schema, &bytes).unwrap()).unwrap();
            let record: Value = serde_json::from_str(record).unwrap();
            assert!(same(&read, &record["payload"]), "{read}\n{}", record["payload"]);
            // Each byte counts.
            assert_eq!(json(&schema, &[bytes.as_slice(), b"x"].concat()), None);
            assert_eq!(json(&schema, bytes.split_last().map_or(&[][..], |(_, less)| less)), None);
            count += 1;
        }
        assert!(count >= 5, "{count}");
    }

    #[test]
    fn the_schema_that_connect_left_in_it_is_read_back() {
        let lines: Vec<&str> = REFERENCE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        for lines in lines.chunks(3) {
            let [record, schema, _] = lines else { panic!("{lines:?}") };
            let head = Schema::parse(schema).unwrap().head;
            let (read, written) = (
                crate::jdbc::schema::Schema::of(&head).unwrap(),
                crate::jdbc::schema::Schema::of(record.as_bytes()).unwrap(),
            );
            assert_eq!(
                (&read.kind, &read.name, read.fields.len()),
                (&written.kind, &written.name, written.fields.len())
            );
            for (read, written) in read.fields.iter().zip(&written.fields) {
                let of =
                    |schema: &crate::jdbc::schema::Schema| (schema.kind.clone(), schema.name.clone(), schema.optional);
                assert_eq!((&read.name, of(&read.schema)), (&written.name, of(&written.schema)));
                for (read, written) in read.schema.fields.iter().zip(&written.schema.fields) {
                    assert_eq!((&read.name, of(&read.schema)), (&written.name, of(&written.schema)));
                    assert_eq!(read.schema.parameter("scale"), written.schema.parameter("scale"));
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_not_of_the_schema_are_nothing_and_end() {
        let schema = |text: &str| Schema::parse(text).unwrap();
        let nulls = schema(r#"{"type":"array","items":"null"}"#);
        assert_eq!(json(&nulls, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), None);
        assert_eq!(json(&schema(r#""string""#), &[0x01]), None);
        assert_eq!(json(&schema(r#"["null","long"]"#), &[4]), None);
        for none in ["", "7", r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}"#, r#""B""#] {
            assert!(Schema::parse(none).is_err(), "{none}");
        }
    }
}
