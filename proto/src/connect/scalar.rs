//! One simple value, for the defaults in schemas.

use super::writer::ValueWriter;

/// A value that is neither struct nor array.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// BOOLEAN.
    Boolean(bool),
    /// INT16.
    Int16(i16),
    /// INT32.
    Int32(i32),
    /// INT64.
    Int64(i64),
    /// FLOAT32.
    Float32(f32),
    /// FLOAT64.
    Float64(f64),
    /// STRING.
    String(String),
    /// BYTES.
    Bytes(Vec<u8>),
}

impl Scalar {
    /// Writes the value.
    pub fn write(&self, writer: &mut impl ValueWriter) {
        match self {
            Scalar::Boolean(value) => writer.boolean(*value),
            Scalar::Int16(value) => writer.int16(*value),
            Scalar::Int32(value) => writer.int32(*value),
            Scalar::Int64(value) => writer.int64(*value),
            Scalar::Float32(value) => writer.float32(*value),
            Scalar::Float64(value) => writer.float64(*value),
            Scalar::String(value) => writer.string(value),
            Scalar::Bytes(value) => writer.bytes(value),
        }
    }
}

/// Keeps what is written, if that is one scalar.
#[derive(Debug, Default)]
pub struct ScalarWriter {
    scalar: Option<Scalar>,
    compound: bool,
}

impl ScalarWriter {
    /// The scalar; `None` when nothing, a null, a struct or an array was written.
    pub fn finish(self) -> Option<Scalar> {
        self.scalar.filter(|_| !self.compound)
    }
}

impl ValueWriter for ScalarWriter {
    fn null(&mut self) {
        self.scalar = None;
    }
    fn boolean(&mut self, value: bool) {
        self.scalar = Some(Scalar::Boolean(value));
    }
    fn int16(&mut self, value: i16) {
        self.scalar = Some(Scalar::Int16(value));
    }
    fn int32(&mut self, value: i32) {
        self.scalar = Some(Scalar::Int32(value));
    }
    fn int64(&mut self, value: i64) {
        self.scalar = Some(Scalar::Int64(value));
    }
    fn float32(&mut self, value: f32) {
        self.scalar = Some(Scalar::Float32(value));
    }
    fn float64(&mut self, value: f64) {
        self.scalar = Some(Scalar::Float64(value));
    }
    fn string(&mut self, value: &str) {
        self.scalar = Some(Scalar::String(value.to_owned()));
    }
    fn bytes(&mut self, value: &[u8]) {
        self.scalar = Some(Scalar::Bytes(value.to_vec()));
    }
    fn begin_struct(&mut self) {
        self.compound = true;
    }
    fn field(&mut self, _name: &str) {}
    fn end_struct(&mut self) {}
    fn begin_array(&mut self) {
        self.compound = true;
    }
    fn element(&mut self) {}
    fn end_array(&mut self) {}
}
