//! A column's type as Debezium's relational model has it: name, length, scale, from pgjdbc's `TypeInfoCache`.

use std::borrow::Cow;

use super::modes::Phase;
use crate::table::{Column, PgType, PgTypeKind};

/// A column's type as it came through the driver's metadata (a snapshot's tables) or the stream (`ColumnMetaData`).
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceType<'a> {
    column: &'a Column,
    described_by: Phase,
}

impl<'a> SourceType<'a> {
    pub(super) fn new(column: &'a Column, described_by: Phase) -> Self {
        Self { column, described_by }
    }

    /// The column's name.
    pub(super) fn column(&self) -> &'a str {
        &self.column.name
    }

    /// The type's name: the driver calls a whole number with a sequence for its default a serial, and names the schema of
    /// a type that is not on the search path.
    pub(super) fn name(&self) -> Cow<'a, str> {
        let PgType { schema, .. } = &self.column.pg_type;
        if self.described_by == Phase::Snapshot && !matches!(schema.as_str(), "pg_catalog" | "public") {
            return Cow::Owned(format!("\"{schema}\".\"{}\"", self.column.pg_type.name));
        }
        Cow::Borrowed(self.simple_name())
    }

    fn simple_name(&self) -> &'a str {
        let name = self.column.pg_type.name.as_str();
        let is_sequence = self.column.default.as_ref().is_some_and(|default| default.contains("nextval("));
        match (self.described_by, is_sequence, name) {
            (Phase::Snapshot, true, "int2") => "smallserial",
            (Phase::Snapshot, true, "int4") => "serial",
            (Phase::Snapshot, true, "int8") => "bigserial",
            (_, _, name) => name,
        }
    }

    /// The length, 2147483647 for none.
    pub(super) fn length(&self) -> i32 {
        if let PgTypeKind::Domain { .. } = self.column.pg_type.kind {
            return default_length(&self.column.pg_type);
        }
        match (element(&self.column.pg_type), self.column.typmod) {
            // The driver's metadata has nothing for it, but something for its arrays.
            ("numeric", -1) if self.described_by == Phase::Snapshot && self.column.pg_type.name == "numeric" => 0,
            ("numeric", -1) => UNBOUNDED_NUMERIC,
            (name, typmod) => precision(name, typmod),
        }
    }

    /// The scale; the driver has none for a numeric without one.
    pub(super) fn scale(&self) -> Option<i32> {
        match &self.column.pg_type {
            domain @ PgType { kind: PgTypeKind::Domain { .. }, .. } => Some(default_scale(domain)),
            PgType { name, .. } if name == "numeric" && self.column.typmod == -1 => {
                (self.described_by == Phase::Streaming).then_some(0)
            }
            other => Some(scale(element(other), self.column.typmod)),
        }
    }
}

/// The digits that an unbounded numeric can have (`TypeInfoCache.getDisplaySize`).
const UNBOUNDED_NUMERIC: i32 = 131_089;

/// The type's name, of an array the elements'.
fn element(pg_type: &PgType) -> &str {
    match &pg_type.kind {
        PgTypeKind::Array { element } => &element.name,
        _ => &pg_type.name,
    }
}

/// `PostgresType.getDefaultLength`.
fn default_length(pg_type: &PgType) -> i32 {
    let PgTypeKind::Domain { base, typmod } = &pg_type.kind else {
        let length = precision(element(pg_type), -1);
        return if length == 0 { UNBOUNDED_NUMERIC } else { length };
    };
    match typmod {
        -1 => default_length(base),
        typmod => precision(element(base), *typmod),
    }
}

/// `PostgresType.getDefaultScale`.
fn default_scale(pg_type: &PgType) -> i32 {
    match &pg_type.kind {
        PgTypeKind::Domain { base, typmod: -1 } => default_scale(base),
        PgTypeKind::Domain { base, typmod } => scale(element(base), *typmod),
        _ => scale(element(pg_type), -1),
    }
}

/// `TypeInfoCache.getPrecision`.
fn precision(name: &str, typmod: i32) -> i32 {
    // The digits of a fraction and its point.
    let fraction = match typmod {
        -1 => 7,
        0 => 0,
        1 => 3,
        digits => digits.saturating_add(1),
    };
    match name {
        "int2" => 5,
        "int4" | "oid" => 10,
        "int8" => 19,
        "float4" => 8,
        "float8" => 17,
        "numeric" if typmod == -1 => 0,
        "numeric" => typmod.wrapping_sub(4) >> 16 & 0xFFFF,
        "char" | "bool" => 1,
        "bpchar" | "varchar" if typmod != -1 => typmod.wrapping_sub(4),
        "date" => 13,
        "time" => 8 + fraction,
        "timetz" => 14 + fraction,
        "timestamp" => 22 + fraction,
        "timestamptz" => 28 + fraction,
        "interval" => 49,
        "bit" => typmod,
        "varbit" if typmod != -1 => typmod,
        _ => i32::MAX,
    }
}

/// `TypeInfoCache.getScale`.
fn scale(name: &str, typmod: i32) -> i32 {
    match (name, typmod) {
        ("float4", _) => 8,
        ("float8", _) => 17,
        ("time" | "timetz" | "timestamp" | "timestamptz" | "interval", -1) => 6,
        ("time" | "timetz" | "timestamp" | "timestamptz", typmod) => typmod,
        ("interval", typmod) => typmod & 0xFFFF,
        ("numeric", typmod) if typmod != -1 => typmod.wrapping_sub(4) & 0xFFFF,
        _ => 0,
    }
}
