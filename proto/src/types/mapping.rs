//! Which conversion and which schema a type has, as `PostgresValueConverter.schemaBuilder` chooses.

use super::array::ArrayLayout;
use super::codec::Codec;
use super::datetime::{ZonedTimeForm, ZonedTimestampForm};
use super::geometric;
use super::modes::{BinaryMode, DecimalMode, Fidelity, HstoreMode, IntervalMode, Phase, ValueModes};
use super::temporal::{DateForm, TimeForm, TimestampForm};
use crate::connect::schema::{DECIMAL, Field, Schema, SchemaKind};
use crate::table::{PgType, PgTypeKind};

/// The type under a domain.
pub(super) fn base(pg_type: &PgType) -> &PgType {
    match &pg_type.kind {
        PgTypeKind::Domain { base: inner, .. } => base(inner),
        _ => pg_type,
    }
}

/// Whether the driver calls the type a CHAR or VARCHAR, which are the ones that Debezium masks.
pub(super) fn is_jdbc_text(pg_type: &PgType) -> bool {
    let base = base(pg_type);
    match base.kind {
        PgTypeKind::Enum { .. } => true,
        PgTypeKind::Base => matches!(base.name.as_str(), "text" | "varchar" | "bpchar" | "char" | "name"),
        _ => false,
    }
}

/// A type's conversion and schema; `None` for types that Debezium leaves out.
pub(super) fn of(pg_type: &PgType, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    known(pg_type, typmod, modes).or_else(|| unknown(pg_type, modes))
}

/// Under `include.unknown.datatypes`, the bytes of a type's text, or of its elements' texts. Of some arrays Debezium knows
/// that it does not know them, and leaves them out in any case.
fn unknown(pg_type: &PgType, modes: &ValueModes) -> Option<(Codec, Schema)> {
    if !modes.include_unknown {
        return None;
    }
    let bytes = |of: &PgType| {
        let codec = Codec::Unknown { mode: modes.binary, is_geometric: geometric::is_geometric(&base(of).name) };
        (codec, Schema::new(binary_kind(modes.binary)))
    };
    let PgTypeKind::Array { element } = &pg_type.kind else { return Some(bytes(pg_type)) };
    if is_left_out_in_arrays(&element.name) {
        return None;
    }
    let (codec, items) = bytes(element);
    let layout = ArrayLayout::of(&base(element).name, true);
    let codec = Codec::Array { element: Box::new(codec), layout, elements_from: Phase::Snapshot };
    Some((codec, Schema::new(SchemaKind::Array(Box::new(items)))))
}

fn is_left_out_in_arrays(element: &str) -> bool {
    matches!(element, "money" | "interval" | "xml" | "point" | "varbit" | "name" | "refcursor")
}

fn known(pg_type: &PgType, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    match &pg_type.kind {
        PgTypeKind::Domain { base, typmod } => known(base, *typmod, modes),
        PgTypeKind::Enum { labels } => {
            let schema = Schema::logical(SchemaKind::String, "io.debezium.data.Enum").with("allowed", labels.join(","));
            Some((Codec::Text, schema))
        }
        PgTypeKind::Array { element } if is_words(pg_type) => {
            let (codec, items) = known(element, typmod, modes)?;
            let codec = Codec::Words { element: Box::new(codec), is_emptied: modes.fidelity == Fidelity::Debezium };
            Some((codec, Schema::new(SchemaKind::Array(Box::new(items)))))
        }
        PgTypeKind::Array { element } => array_of(element, typmod, modes),
        PgTypeKind::Range if pg_type.schema == "pg_catalog" => Some((Codec::Text, Schema::new(SchemaKind::String))),
        PgTypeKind::Base => base_type(&pg_type.name, typmod, modes),
        PgTypeKind::Range | PgTypeKind::Composite | PgTypeKind::Multirange | PgTypeKind::Pseudo => None,
    }
}

/// Whether the catalog calls the type an array, and its text is none.
fn is_words(pg_type: &PgType) -> bool {
    pg_type.schema == "pg_catalog" && matches!(pg_type.name.as_str(), "int2vector" | "oidvector")
}

fn array_of(element: &PgType, typmod: i32, modes: &ValueModes) -> Option<(Codec, Schema)> {
    // The elements of the arrays that Debezium lists by themselves may be null, those of others may not.
    let is_required = matches!(element.kind, PgTypeKind::Enum { .. })
        || matches!(element.name.as_str(), "tsvector" | "isbn" | "vector" | "halfvec" | "sparsevec");
    if matches!(element.kind, PgTypeKind::Domain { .. }) || is_left_out_in_arrays(&element.name) {
        return None;
    }
    let (codec, schema) = known(element, typmod, modes)?;
    if matches!(codec, Codec::Bit | Codec::VarBit | Codec::Bits) {
        // Debezium gives bit[] the schema of bit, in which none of its values fits.
        return Some((Codec::NullArray(Box::new(codec)), schema));
    }
    let (element_codec, elements_from) = match (codec, modes.fidelity) {
        (codec, Fidelity::Exact) => (codec, Phase::Streaming),
        (Codec::Time(form), _) => (Codec::Time(form.in_array()), Phase::Snapshot),
        (Codec::ZonedTime(_), _) => (Codec::ZonedTime(ZonedTimeForm::Seconds), Phase::Snapshot),
        (Codec::ZonedTimestamp(form), _) => (Codec::ZonedTimestamp(form.in_array()), Phase::Snapshot),
        (codec, _) => (codec, Phase::Snapshot),
    };
    let layout = ArrayLayout::of(&element.name, is_required);
    let items = Schema { optional: !is_required, ..schema };
    let codec = Codec::Array { element: Box::new(element_codec), layout, elements_from };
    Some((codec, Schema::new(SchemaKind::Array(Box::new(items)))))
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
        "numeric" => Some(numeric(typmod, modes.decimal)),
        "money" => Some(money(modes)),
        "text" | "varchar" | "bpchar" | "char" | "citext" | "inet" | "cidr" | "macaddr" | "macaddr8" | "isbn" => {
            plain(Codec::Text, SchemaKind::String)
        }
        // The stream's unknown types are texts under include.unknown.datatypes, and `name` is one of them there.
        "name" if modes.include_unknown || modes.fidelity == Fidelity::Exact => plain(Codec::Text, SchemaKind::String),
        "name" => plain(Codec::Name, SchemaKind::String),
        "uuid" => logical(Codec::Uuid, SchemaKind::String, "io.debezium.data.Uuid"),
        "json" | "jsonb" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Json"),
        "xml" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Xml"),
        "tsvector" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Tsvector"),
        "ltree" => logical(Codec::Text, SchemaKind::String, "io.debezium.data.Ltree"),
        "hstore" => Some(hstore(modes.hstore)),
        "bytea" => plain(Codec::Bytea(modes.binary), binary_kind(modes.binary)),
        "bit" if typmod == 1 => plain(Codec::Bit, SchemaKind::Boolean),
        "varbit" if typmod == 1 => plain(Codec::VarBit, SchemaKind::Boolean),
        "bit" | "varbit" => {
            let length = if typmod > 0 { typmod } else { i32::MAX };
            let schema = Schema::logical(SchemaKind::Bytes, "io.debezium.data.Bits").with("length", length.to_string());
            Some((Codec::Bits, schema))
        }
        "date" => {
            let form = DateForm::of(modes.time);
            let (kind, name) = form.schema();
            logical(Codec::Date(form), kind, name)
        }
        "time" => {
            let form = TimeForm::of(modes.time, typmod);
            let (kind, name) = form.schema();
            logical(Codec::Time(form), kind, name)
        }
        "timestamp" => {
            let form = TimestampForm::of(modes.time, typmod);
            let (kind, name) = form.schema();
            logical(Codec::Timestamp(form), kind, name)
        }
        "timetz" => {
            let form = match modes.fidelity {
                Fidelity::Debezium => ZonedTimeForm::Whole,
                Fidelity::Exact => ZonedTimeForm::WithOffset,
            };
            logical(Codec::ZonedTime(form), SchemaKind::String, "io.debezium.time.ZonedTime")
        }
        "timestamptz" => {
            let codec = Codec::ZonedTimestamp(ZonedTimestampForm::of(typmod));
            logical(codec, SchemaKind::String, "io.debezium.time.ZonedTimestamp")
        }
        "interval" => match modes.interval {
            IntervalMode::Numeric => {
                logical(Codec::Interval(modes.interval), SchemaKind::Int64, "io.debezium.time.MicroDuration")
            }
            IntervalMode::String => {
                logical(Codec::Interval(modes.interval), SchemaKind::String, "io.debezium.time.Interval")
            }
        },
        "point" => Some((Codec::Point, point())),
        "geometry" => Some((Codec::PostGis, postgis("Geometry").optional())),
        "geography" => Some((Codec::PostGis, postgis("Geography"))),
        "vector" | "halfvec" => {
            let (codec, kind, name) = match name {
                "vector" => (Codec::Vector, SchemaKind::Float64, "io.debezium.data.DoubleVector"),
                _ => (Codec::HalfVector, SchemaKind::Float32, "io.debezium.data.FloatVector"),
            };
            logical(codec, SchemaKind::Array(Box::new(Schema::new(kind))), name)
        }
        "sparsevec" => Some((Codec::SparseVector, sparse_vector())),
        _ => None,
    }
}

fn binary_kind(mode: BinaryMode) -> SchemaKind {
    match mode {
        BinaryMode::Bytes => SchemaKind::Bytes,
        BinaryMode::Base64 | BinaryMode::Base64UrlSafe | BinaryMode::Hex => SchemaKind::String,
    }
}

fn field(name: &str, schema: Schema) -> Field {
    Field { name: name.to_owned(), schema }
}

fn point() -> Schema {
    let kind = SchemaKind::Struct(vec![
        field("x", Schema::new(SchemaKind::Float64)),
        field("y", Schema::new(SchemaKind::Float64)),
        field("wkb", Schema::new(SchemaKind::Bytes).optional()),
        field("srid", Schema::new(SchemaKind::Int32).optional()),
    ]);
    Schema { doc: Some("Geometry (POINT)".into()), ..Schema::logical(kind, "io.debezium.data.geometry.Point") }
}

fn postgis(name: &'static str) -> Schema {
    let fields = [("wkb", Schema::new(SchemaKind::Bytes)), ("srid", Schema::new(SchemaKind::Int32).optional())];
    let schema = Schema::structure(fields).named(format!("io.debezium.data.geometry.{name}"), 1);
    Schema { doc: Some(name.into()), ..schema }
}

fn sparse_vector() -> Schema {
    let entries = SchemaKind::Map(Box::new(Schema::new(SchemaKind::Int16)), Box::new(Schema::new(SchemaKind::Float64)));
    let fields = [("dimensions", Schema::new(SchemaKind::Int16)), ("vector", Schema::new(entries))];
    let schema = Schema::structure(fields).named("io.debezium.data.SparseDoubleVector", 1);
    Schema { doc: Some("Sparse double vector".into()), ..schema }
}

fn hstore(mode: HstoreMode) -> (Codec, Schema) {
    let schema = match mode {
        HstoreMode::Json => Schema::logical(SchemaKind::String, "io.debezium.data.Json"),
        HstoreMode::Map => {
            let keys = Box::new(Schema::new(SchemaKind::String));
            Schema::new(SchemaKind::Map(keys.clone(), Box::new(keys.optional())))
        }
    };
    (Codec::Hstore(mode), schema)
}

fn decimal_schema(mode: DecimalMode, scale: u32) -> Schema {
    match mode {
        DecimalMode::Precise => Schema::logical(SchemaKind::Bytes, DECIMAL).with("scale", scale.to_string()),
        DecimalMode::Double => Schema::new(SchemaKind::Float64),
        DecimalMode::String => Schema::new(SchemaKind::String),
    }
}

fn money(modes: &ValueModes) -> (Codec, Schema) {
    let codec = Codec::Money { digits: modes.money_digits, mode: modes.decimal };
    (codec, decimal_schema(modes.decimal, modes.money_digits))
}

fn numeric(typmod: i32, mode: DecimalMode) -> (Codec, Schema) {
    if typmod < 4 {
        let schema = match mode {
            DecimalMode::Precise => {
                let kind = SchemaKind::Struct(vec![
                    field("scale", Schema::new(SchemaKind::Int32)),
                    field("value", Schema::new(SchemaKind::Bytes)),
                ]);
                let schema = Schema::logical(kind, "io.debezium.data.VariableScaleDecimal");
                Schema { doc: Some("Variable scaled decimal".into()), ..schema }
            }
            DecimalMode::Double | DecimalMode::String => decimal_schema(mode, 0),
        };
        return (Codec::Decimal { scale: None, mode }, schema);
    }
    let modifier = (typmod - 4).unsigned_abs();
    // PostgreSQL 15 and later keep a signed 11-bit scale here. Debezium reads it as unsigned, so that numeric(5,-2) has
    // scale 2046: odd, but the number is right, and the schema is the one its readers know.
    let (precision, scale) = (modifier >> 16, modifier & 0x7FF);
    let schema = decimal_schema(mode, scale);
    let schema = match mode {
        DecimalMode::Precise => schema.with("connect.decimal.precision", precision.to_string()),
        DecimalMode::Double | DecimalMode::String => schema,
    };
    (Codec::Decimal { scale: Some(scale), mode }, schema)
}
