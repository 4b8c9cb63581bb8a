//! `org.apache.kafka.connect.json.JsonConverter`'s bytes, as Jackson writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::java;
use super::schema::Schema;
use super::writer::{Label, ValueWriter};

/// `org.apache.kafka.connect.json.JsonConverter`'s settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonConverter {
    /// `schemas.enable`: whether the schema goes with every record.
    pub schemas_enable: bool,
    /// `replace.null.with.default`: whether NULL becomes the column's default. Connect's default is yes, which loses the
    /// difference.
    pub replace_null_with_default: bool,
    /// `decimal.format`.
    pub decimal_format: DecimalFormat,
}

/// `decimal.format`: how `org.apache.kafka.connect.data.Decimal` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalFormat {
    /// The unscaled number's bytes in base64.
    #[default]
    Base64,
    /// A JSON number.
    Numeric,
}

impl Default for JsonConverter {
    /// As Connect has it where nothing is configured.
    fn default() -> Self {
        Self { schemas_enable: true, replace_null_with_default: true, decimal_format: DecimalFormat::Base64 }
    }
}

impl JsonConverter {
    /// A writer of values that appends to `out`.
    pub fn writer<'a>(&self, out: &'a mut Vec<u8>) -> JsonWriter<'a> {
        JsonWriter { converter: *self, ..JsonWriter::new(out) }
    }

    /// What stands before a value: `{"schema":…,"payload":`, or nothing without schemas.
    pub fn head(&self, schema: Option<&Schema>) -> Vec<u8> {
        if !self.schemas_enable {
            return Vec::new();
        }
        let mut head = b"{\"schema\":".to_vec();
        match schema {
            Some(schema) => schema.write_json(self, None, &mut head),
            None => head.extend_from_slice(b"null"),
        }
        head.extend_from_slice(b",\"payload\":");
        head
    }
}

/// Writes values straight into a record's buffer.
#[derive(Debug)]
pub struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Nothing stands yet in the innermost struct, array or map.
    first: bool,
    converter: JsonConverter,
    /// Of the maps that are open, whether their keys are strings.
    maps: Vec<bool>,
}

impl<'a> JsonWriter<'a> {
    /// Appends to `out`; a null stays a null.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let converter = JsonConverter { replace_null_with_default: false, ..JsonConverter::default() };
        Self { out, first: true, converter, maps: Vec::new() }
    }

    fn in_named_map(&self) -> bool {
        self.maps.last().copied().unwrap_or_default()
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn quoted_unless_finite(&mut self, text: &str, is_finite: bool) {
        if is_finite {
            self.out.extend_from_slice(text.as_bytes());
        } else {
            write_string(text, self.out);
        }
    }
}

impl ValueWriter for JsonWriter<'_> {
    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }
    fn null_of(&mut self, schema: &Schema) {
        match schema.default.as_ref().filter(|_| self.converter.replace_null_with_default) {
            Some(default) => default.write(Some(schema), self),
            None => self.null(),
        }
    }
    fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }
    fn int8(&mut self, value: i8) {
        self.integer(value);
    }
    fn int16(&mut self, value: i16) {
        self.integer(value);
    }
    fn int32(&mut self, value: i32) {
        self.integer(value);
    }
    fn int64(&mut self, value: i64) {
        self.integer(value);
    }
    fn float32(&mut self, value: f32) {
        self.quoted_unless_finite(&java::float(value), value.is_finite());
    }
    fn float64(&mut self, value: f64) {
        self.quoted_unless_finite(&java::double(value), value.is_finite());
    }
    fn string(&mut self, value: &str) {
        write_string(value, self.out);
    }
    fn bytes(&mut self, value: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        let length = value.len().div_ceil(3) * 4;
        self.out.resize(start + length, 0);
        if let Some(room) = self.out.get_mut(start..) {
            // The room is exactly as long as the encoding.
            let written = STANDARD.encode_slice(value, room).unwrap_or_default();
            self.out.truncate(start + written);
        }
        self.out.push(b'"');
    }
    fn decimal(&mut self, unscaled: &[u8], scale: i32) {
        match self.converter.decimal_format {
            DecimalFormat::Base64 => self.bytes(unscaled),
            DecimalFormat::Numeric => self.out.extend_from_slice(java::big_decimal(unscaled, scale).as_bytes()),
        }
    }
    fn begin_struct(&mut self) {
        self.out.push(b'{');
        self.first = true;
    }
    fn field(&mut self, name: &str) {
        self.comma();
        write_string(name, self.out);
        self.out.push(b':');
    }
    fn labelled(&mut self, label: &Label) {
        self.comma();
        self.out.extend_from_slice(label.json());
    }
    fn end_struct(&mut self) {
        self.out.push(b'}');
        self.first = false;
    }
    fn begin_array(&mut self) {
        self.out.push(b'[');
        self.first = true;
    }
    fn element(&mut self) {
        self.comma();
    }
    fn end_array(&mut self) {
        self.out.push(b']');
        self.first = false;
    }
    fn begin_map(&mut self, named: bool) {
        self.maps.push(named);
        self.out.push(if named { b'{' } else { b'[' });
        self.first = true;
    }
    fn entry(&mut self) {
        self.comma();
        if !self.in_named_map() {
            self.out.push(b'[');
        }
    }
    fn entry_value(&mut self) {
        let separator = if self.in_named_map() { b':' } else { b',' };
        self.out.push(separator);
    }
    fn end_entry(&mut self) {
        if !self.in_named_map() {
            self.out.push(b']');
        }
        self.first = false;
    }
    fn end_map(&mut self) {
        let named = self.maps.pop().unwrap_or_default();
        self.out.push(if named { b'}' } else { b']' });
        self.first = false;
    }
}

/// Writes a string with its quotes, escaped as Jackson's UTF-8 generator does: quotes, backslashes, control characters, and
/// characters beyond the basic plane as surrogate pairs.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    let mut next = 0;
    // Byte by byte: what is escaped shows in its first byte, and most of a text is not.
    while let Some(found) = bytes.get(next..).and_then(|rest| rest.iter().position(|byte| is_escaped(*byte))) {
        let index = next + found;
        let Some(character) = text.get(index..).and_then(|rest| rest.chars().next()) else { break };
        out.extend_from_slice(bytes.get(plain_from..index).unwrap_or_default());
        next = index + character.len_utf8();
        plain_from = next;
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(bytes.get(plain_from..).unwrap_or_default());
    out.push(b'"');
}

/// Whether a character that begins with this byte is escaped: quotes, backslashes, controls, and what UTF-16 writes as two.
const fn is_escaped(first: u8) -> bool {
    matches!(first, b'"' | b'\\' | 0..=0x1f | 0xf0..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_jackson_escapes_them() {
        assert_eq!(string("a\"b\\c\n\u{1}/é\u{7f}"), "\"a\\\"b\\\\c\\n\\u0001/é\u{7f}\"");
        assert_eq!(string("🦀"), "\"\\uD83E\\uDD80\"");
    }

    #[test]
    fn nested_values_have_their_commas() {
        let mut out = Vec::new();
        let mut writer = JsonWriter::new(&mut out);
        writer.begin_struct();
        writer.field("a");
        writer.begin_array();
        writer.element();
        writer.int16(1);
        writer.element();
        writer.null();
        writer.end_array();
        writer.field("b");
        writer.bytes(&[0xde, 0xad]);
        writer.field("c");
        writer.float32(f32::NAN);
        writer.end_struct();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":[1,null],"b":"3q0=","c":"NaN"}"#);
    }

    proptest! {
        #[test]
        fn any_string_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&string(&text)).unwrap(), text);
        }

        #[test]
        fn any_bytes_read_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            JsonWriter::new(&mut out).bytes(&bytes);
            let text = serde_json::from_slice::<String>(&out).unwrap();
            prop_assert_eq!(STANDARD.decode(text).unwrap(), bytes);
        }
    }
}
