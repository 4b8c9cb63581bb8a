//! Which conversion a type has.

use super::{
    IntervalMode, NotA, ValueModes, array, binary, datetime, decimal, default, hstore, interval, number, point,
};
use crate::connect::schema::{Field, Schema, SchemaKind};
use crate::connect::value::{TreeWriter, Value};
use crate::connect::writer::ValueWriter;
use crate::table::{Column, PgType, PgTypeKind};

/// A column's conversion, compiled once a table version.
#[derive(Debug, Clone)]
pub struct ColumnCodec {
    codec: Codec,
    schema: Schema,
}

/// The conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Codec {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal {
        scale: u32,
    },
    VariableDecimal,
    Money,
    /// Types whose text is the value.
    Text,
    Uuid,
    Bytea,
    Bit,
    Bits,
    Date,
    Time {
        unit: datetime::Unit,
    },
    ZonedTime,
    Timestamp {
        unit: datetime::Unit,
    },
    ZonedTimestamp {
        digits: Option<usize>,
    },
    Interval(IntervalMode),
    Hstore,
    Point,
    Array(Box<Codec>),
    /// Arrays that Debezium has a field for, but no values.
    NullArray,
}

/// Money's digits behind the point (`money.fraction.digits`).
const MONEY_SCALE: u32 = 2;

fn is_nested_domain(pg_type: &PgType) -> bool {
    matches!(&pg_type.kind, PgTypeKind::Domain { base, .. } if matches!(base.kind, PgTypeKind::Domain { .. }))
}

impl ColumnCodec {
    /// The conversion of a column; `None` for types that Debezium leaves out of the record.
    pub fn compile(column: &Column, modes: &ValueModes) -> Option<Self> {
        let (codec, schema) = resolve(&column.pg_type, column.typmod, modes)?;
        let mut schema = Schema { optional: !column.not_null, ..schema };
        // Debezium shows no default for a domain over a domain.
        if let Some(expression) = column.default.as_ref().filter(|_| !is_nested_domain(&column.pg_type)) {
            schema.default = default::parse(expression, &codec, base(&column.pg_type)).and_then(|text| {
                let mut writer = TreeWriter::default();
                codec.write(text.as_bytes(), &mut writer).ok()?;
                Some(writer.finish()).filter(|value| *value != Value::Null && !value.is_compound())
            });
        }
        Some(Self { codec, schema })
    }

    /// The field's schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The default in the schema.
    pub fn default(&self) -> Option<&Value> {
        self.schema.default.as_ref()
    }

    /// Writes a value from its text.
    ///
    /// # Errors
    /// When the text is not of the type's form.
    pub fn write(&self, text: &[u8], writer: &mut impl ValueWriter) -> Result<(), NotA> {
        self.codec.write(text, writer)
    }

    /// Writes what stands for a TOASTed value that was not sent, by the type (`unavailable.value.placeholder`).
    pub fn write_unavailable(&self, placeholder: &str, writer: &mut impl ValueWriter) {
        match &self.codec {
            Codec::Text => writer.string(placeholder),
            Codec::Bytea => writer.bytes(placeholder.as_bytes()),
            Codec::Hstore => {
                let pairs = [(placeholder.to_owned(), Some(placeholder.to_owned()))];
                writer.string(&hstore::json(&pairs));
            }
            Codec::Array(element) => match **element {
                Codec::Text => one(writer, |writer| writer.string(placeholder)),
                Codec::Uuid => one(writer, |writer| writer.string(&array::name_uuid(placeholder))),
                Codec::Int32 | Codec::Date => {
                    array::write_all(writer, placeholder.bytes(), |writer, byte| writer.int32(byte.into()));
                }
                Codec::Int16 => array::write_all(writer, placeholder.bytes(), |writer, byte| writer.int16(byte.into())),
                Codec::Int64 => array::write_all(writer, placeholder.bytes(), |writer, byte| writer.int64(byte.into())),
                _ => writer.null(),
            },
            _ => writer.null(),
        }
    }

    /// Writes what stands in the old row of a delete for a column that may not be null and was not sent: the default of
    /// the schema, else the type's zero.
    pub fn write_absent(&self, writer: &mut impl ValueWriter) {
        if let Some(default) = self.default() {
            return default.write(Some(&self.schema), writer);
        }
        if self.schema.optional {
            return writer.null();
        }
        match &self.codec {
            Codec::Boolean | Codec::Bit => writer.boolean(false),
            Codec::Int16 => writer.int16(0),
            Codec::Int32 | Codec::Date | Codec::Time { unit: datetime::Unit::Milliseconds } => writer.int32(0),
            Codec::Int64 | Codec::Time { .. } | Codec::Timestamp { .. } | Codec::Interval(IntervalMode::Numeric) => {
                writer.int64(0);
            }
            Codec::Interval(IntervalMode::String) => writer.string(&interval::Interval::default().iso()),
            Codec::Float32 => writer.float32(0.0),
            Codec::Float64 => writer.float64(0.0),
            Codec::Decimal { .. } | Codec::Money => writer.bytes(&[0]),
            Codec::VariableDecimal => decimal::write_variable(&decimal::Decimal::default(), writer),
            Codec::Text | Codec::Uuid => writer.string(""),
            Codec::Bytea | Codec::Bits => writer.bytes(&[]),
            Codec::ZonedTime => writer.string("00:00:00Z"),
            Codec::ZonedTimestamp { .. } => writer.string("1970-01-01T00:00:00Z"),
            Codec::Hstore => writer.string("{}"),
            Codec::Point => point::write(0.0, 0.0, writer),
            Codec::Array(_) | Codec::NullArray => {
                writer.begin_array();
                writer.end_array();
            }
        }
    }
}

fn one<W: ValueWriter>(writer: &mut W, write: impl FnOnce(&mut W)) {
    writer.begin_array();
    writer.element();
    write(writer);
    writer.end_array();
}

/// The type under a domain.
fn base(pg_type: &PgType) -> &PgType {
    match &pg_type.kind {
        PgTypeKind::Domain { base: inner, .. } => base(inner),
        _ => pg_type,
    }
}

fn resolve(pg_type: &PgType, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    match &pg_type.kind {
        PgTypeKind::Domain { base, typmod } => resolve(base, *typmod, modes),
        PgTypeKind::Enum { labels } => {
            let schema = Schema::logical(SchemaKind::String, "io.debezium.data.Enum").with("allowed", labels.join(","));
            Some((Codec::Text, schema))
        }
        PgTypeKind::Array { element } => array_of(element, typmod, modes),
        PgTypeKind::Range if pg_type.schema == "pg_catalog" => Some((Codec::Text, Schema::new(SchemaKind::String))),
        PgTypeKind::Base => base_type(&pg_type.name, typmod, modes),
        PgTypeKind::Range | PgTypeKind::Composite | PgTypeKind::Multirange | PgTypeKind::Pseudo => None,
    }
}

fn array_of(element: &PgType, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    let is_enum = matches!(element.kind, PgTypeKind::Enum { .. });
    if matches!(element.kind, PgTypeKind::Domain { .. })
        || matches!(element.name.as_str(), "money" | "interval" | "xml" | "point" | "varbit" | "name" | "tsvector")
    {
        return None;
    }
    let (mut codec, schema) = resolve(element, typmod, modes)?;
    let values = match &mut codec {
        Codec::Bit | Codec::Bits => Codec::NullArray,
        other => {
            if let Codec::Time { unit } = other {
                // Debezium reads the elements of time[] through java.sql.Time, which has milliseconds.
                *unit = unit.read_in_milliseconds();
            }
            Codec::Array(Box::new(codec))
        }
    };
    let items = Schema { optional: !is_enum, ..schema };
    Some((values, Schema::new(SchemaKind::Array(Box::new(items)))))
}

fn base_type(name: &str, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    let plain = |codec, kind| Some((codec, Schema::new(kind)));
    let logical = |codec, kind, name: &str| Some((codec, Schema::logical(kind, name)));
    match name {
        "bool" => plain(Codec::Boolean, SchemaKind::Boolean),
        "int2" => plain(Codec::Int16, SchemaKind::Int16),
        "int4" => plain(Codec::Int32, SchemaKind::Int32),
        "int8" | "oid" => plain(Codec::Int64, SchemaKind::Int64),
        "float4" => plain(Codec::Float32, SchemaKind::Float32),
        "float8" => plain(Codec::Float64, SchemaKind::Float64),
        "numeric" => Some(numeric(typmod)),
        "money" => {
            let schema = Schema::logical(SchemaKind::Bytes, decimal::CONNECT_DECIMAL);
            Some((Codec::Money, schema.with("scale", MONEY_SCALE.to_string())))
        }
        "text" | "varchar" | "bpchar" | "char" | "name" | "citext" | "inet" | "cidr" | "macaddr" | "macaddr8"
        | "isbn" => plain(Codec::Text, SchemaKind::String),
        "uuid" => logical(Codec::Uuid, SchemaKind::String, "io.debezium.data.Uuid"),
        "json" | "jsonb" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Json"),
        "xml" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Xml"),
        "tsvector" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Tsvector"),
        "ltree" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Ltree"),
        "hstore" => logical(Codec::Hstore, SchemaKind::String, "io.debezium.data.Json"),
        "bytea" => plain(Codec::Bytea, SchemaKind::Bytes),
        "bit" | "varbit" if typmod == 1 => plain(Codec::Bit, SchemaKind::Boolean),
        "bit" | "varbit" => {
            let length = if typmod > 0 { typmod } else { i32::MAX };
            let schema = Schema::logical(SchemaKind::Bytes, "io.debezium.data.Bits").with("length", length.to_string());
            Some((Codec::Bits, schema))
        }
        "date" => logical(Codec::Date, SchemaKind::Int32, "io.debezium.time.Date"),
        "time" if (0..=3).contains(&typmod) => {
            logical(Codec::Time { unit: datetime::Unit::Milliseconds }, SchemaKind::Int32, "io.debezium.time.Time")
        }
        "time" => {
            logical(Codec::Time { unit: datetime::Unit::Microseconds }, SchemaKind::Int64, "io.debezium.time.MicroTime")
        }
        "timetz" => logical(Codec::ZonedTime, SchemaKind::String, "io.debezium.time.ZonedTime"),
        "timestamp" if (0..=3).contains(&typmod) => logical(
            Codec::Timestamp { unit: datetime::Unit::Milliseconds },
            SchemaKind::Int64,
            "io.debezium.time.Timestamp",
        ),
        "timestamp" => logical(
            Codec::Timestamp { unit: datetime::Unit::Microseconds },
            SchemaKind::Int64,
            "io.debezium.time.MicroTimestamp",
        ),
        "timestamptz" => {
            let digits = Some(usize::try_from(typmod).unwrap_or(6));
            logical(Codec::ZonedTimestamp { digits }, SchemaKind::String, "io.debezium.time.ZonedTimestamp")
        }
        "interval" => match modes.interval {
            IntervalMode::Numeric => {
                logical(Codec::Interval(modes.interval), SchemaKind::Int64, "io.debezium.time.MicroDuration")
            }
            IntervalMode::String => {
                logical(Codec::Interval(modes.interval), SchemaKind::String, "io.debezium.time.Interval")
            }
        },
        "point" => {
            let field = |name: &str, schema| Field { name: name.to_owned(), schema };
            let kind = SchemaKind::Struct(vec![
                field("x", Schema::new(SchemaKind::Float64)),
                field("y", Schema::new(SchemaKind::Float64)),
                field("wkb", Schema::new(SchemaKind::Bytes).optional()),
                field("srid", Schema::new(SchemaKind::Int32).optional()),
            ]);
            let schema = Schema {
                doc: Some("Geometry (POINT)".into()),
                ..Schema::logical(kind, "io.debezium.data.geometry.Point")
            };
            Some((Codec::Point, schema))
        }
        _ => None,
    }
}

fn numeric(typmod: i32) -> (Codec, Schema) {
    if typmod < 4 {
        let field = |name: &str, kind| Field { name: name.to_owned(), schema: Schema::new(kind) };
        let kind = SchemaKind::Struct(vec![field("scale", SchemaKind::Int32), field("value", SchemaKind::Bytes)]);
        let schema = Schema::logical(kind, "io.debezium.data.VariableScaleDecimal");
        return (Codec::VariableDecimal, Schema { doc: Some("Variable scaled decimal".into()), ..schema });
    }
    let modifier = (typmod - 4).unsigned_abs();
    // PostgreSQL 15 and later keep a signed 11-bit scale here. Debezium reads it as unsigned, so that numeric(5,-2) has
    // scale 2046: odd, but the number is right, and the schema is the one its readers know.
    let (precision, scale) = (modifier >> 16, modifier & 0x7FF);
    let schema = Schema::logical(SchemaKind::Bytes, decimal::CONNECT_DECIMAL)
        .with("scale", scale.to_string())
        .with("connect.decimal.precision", precision.to_string());
    (Codec::Decimal { scale }, schema)
}

impl Codec {
    pub(super) fn write(&self, text: &[u8], writer: &mut impl ValueWriter) -> Result<(), NotA> {
        match self {
            Codec::Boolean => writer.boolean(number::boolean(text)?),
            Codec::Int16 => writer.int16(number::parse(text, "a smallint")?),
            Codec::Int32 => writer.int32(number::parse(text, "an integer")?),
            Codec::Int64 => writer.int64(number::parse(text, "a bigint")?),
            Codec::Float32 => writer.float32(number::parse(text, "a real")?),
            Codec::Float64 => writer.float64(number::parse(text, "a double precision")?),
            Codec::Decimal { scale } => match decimal::Decimal::parse(text)? {
                Some(value) => writer.decimal(&value.with_scale(*scale).unscaled_bytes(), *scale as i32),
                None => writer.null(),
            },
            Codec::VariableDecimal => match decimal::Decimal::parse(text)? {
                Some(value) => decimal::write_variable(&value.stripped(), writer),
                None => writer.null(),
            },
            Codec::Money => writer.decimal(
                &decimal::Decimal::parse_money(text)?.with_scale(MONEY_SCALE).unscaled_bytes(),
                MONEY_SCALE as i32,
            ),
            Codec::Text | Codec::Uuid => writer.string(super::text(text, "a text in UTF-8")?),
            Codec::Bytea => writer.bytes(&binary::bytea(text)?),
            Codec::Bit => writer.boolean(text == b"1"),
            Codec::Bits => writer.bytes(&binary::bits(text)?),
            Codec::Date => writer.int32(datetime::debezium_date(super::text(text, "a date")?)?),
            Codec::Time { unit } => {
                let micros = datetime::time_micros(super::text(text, "a time")?)?;
                match unit {
                    datetime::Unit::Milliseconds => writer.int32((micros / 1000) as i32),
                    datetime::Unit::Microseconds => writer.int64(micros),
                    datetime::Unit::MicrosecondsReadAsMilliseconds => writer.int64(micros / 1000 * 1000),
                }
            }
            Codec::ZonedTime => writer.string(&datetime::zoned_time(super::text(text, "a timetz")?)?),
            Codec::Timestamp { unit } => {
                let micros = datetime::debezium_timestamp(super::text(text, "a timestamp")?)?;
                writer.int64(match unit {
                    datetime::Unit::Milliseconds => micros.div_euclid(1000),
                    _ => micros,
                });
            }
            Codec::ZonedTimestamp { digits } => {
                writer.string(&datetime::zoned_timestamp(super::text(text, "a timestamptz")?, *digits)?);
            }
            Codec::Interval(mode) => {
                let interval = interval::Interval::parse(super::text(text, "an interval")?)?;
                match mode {
                    IntervalMode::Numeric => writer.int64(interval.micros()),
                    IntervalMode::String => writer.string(&interval.iso()),
                }
            }
            Codec::Hstore => writer.string(&hstore::json(&hstore::parse(super::text(text, "an hstore")?)?)),
            Codec::Point => {
                let (x, y) = point::parse(super::text(text, "a point")?)?;
                point::write(x, y, writer);
            }
            Codec::Array(element) => return array::write(super::text(text, "an array")?, element, writer),
            Codec::NullArray => writer.null(),
        }
        Ok(())
    }
}
