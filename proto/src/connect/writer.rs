//! The seam between a type's conversion and a format.

/// Takes one value, call by call, in the order it is written.
///
/// A struct is `begin_struct`, then `field` and its value for each field in the schema's order, then `end_struct`; an
/// array is `begin_array`, `element` and its value for each, `end_array`.
pub trait ValueWriter {
    /// No value.
    fn null(&mut self);
    /// BOOLEAN.
    fn boolean(&mut self, value: bool);
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
    /// A struct begins.
    fn begin_struct(&mut self);
    /// Its next field.
    fn field(&mut self, name: &str);
    /// It ends.
    fn end_struct(&mut self);
    /// An array begins.
    fn begin_array(&mut self);
    /// Its next element.
    fn element(&mut self);
    /// It ends.
    fn end_array(&mut self);
}
