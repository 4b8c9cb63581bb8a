//! The seam between a type's conversion and a format.

use super::schema::Schema;

/// Takes one value, call by call, in the order it is written.
///
/// A struct is `begin_struct`, then `field` and its value for each field in the schema's order, then `end_struct`; an
/// array is `begin_array`, `element` and its value for each, `end_array`; a map is `begin_map`, for each entry `entry`, the
/// key, `entry_value`, the value, `end_entry`, and then `end_map`.
pub trait ValueWriter {
    /// No value.
    fn null(&mut self);
    /// No value where the schema may have a default for it: the format decides whether that stands in.
    fn null_of(&mut self, _schema: &Schema) {
        self.null();
    }
    /// BOOLEAN.
    fn boolean(&mut self, value: bool);
    /// INT8.
    fn int8(&mut self, value: i8);
    /// INT16.
    fn int16(&mut self, value: i16);
    /// INT32.
    fn int32(&mut self, value: i32);
    /// INT64.
    fn int64(&mut self, value: i64);
    /// FLOAT32.
    fn float32(&mut self, value: f32);
    /// FLOAT64.
    fn float64(&mut self, value: f64);
    /// STRING.
    fn string(&mut self, value: &str);
    /// BYTES.
    fn bytes(&mut self, value: &[u8]);
    /// `org.apache.kafka.connect.data.Decimal`: the unscaled number, big-endian, and the digits behind the point.
    fn decimal(&mut self, unscaled: &[u8], _scale: i32) {
        self.bytes(unscaled);
    }
    /// A struct begins.
    fn begin_struct(&mut self);
    /// Its next field.
    fn field(&mut self, name: &str);
    /// Its next field, by a label rendered once.
    fn labelled(&mut self, label: &Label) {
        self.field(&label.name);
    }
    /// It ends.
    fn end_struct(&mut self);
    /// An array begins.
    fn begin_array(&mut self);
    /// Its next element.
    fn element(&mut self);
    /// It ends.
    fn end_array(&mut self);
    /// A map begins; `named` when its keys are strings.
    fn begin_map(&mut self, named: bool);
    /// Its next entry, the key first.
    fn entry(&mut self);
    /// The entry's value follows.
    fn entry_value(&mut self);
    /// The entry ends.
    fn end_entry(&mut self);
    /// The map ends.
    fn end_map(&mut self);
}

/// A field's name, and the name as JSON with its colon.
#[derive(Debug, Clone)]
pub struct Label {
    name: String,
    json: Vec<u8>,
}

impl Label {
    /// Renders a field's name.
    pub fn new(name: &str) -> Self {
        let mut json = Vec::new();
        super::json::write_string(name, &mut json);
        json.push(b':');
        Self { name: name.to_owned(), json }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `"name":`.
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}
