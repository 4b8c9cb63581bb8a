//! One table version's key and value, compiled once.

use super::row::{Gaps, RowFields};
use super::source::{self, SourceTemplate};
use super::{Before, Change, EnvelopeSettings, Source, ValueError};
use crate::connect::schema::{Field, Schema, SchemaKind};
use crate::pgoutput::Datum;
use crate::table::Table;
use crate::topic;

/// Writes the records of one version of one table. All that does not change from row to row is rendered already.
#[derive(Debug, Clone)]
pub struct TableEnvelope {
    table: Table,
    topic: String,
    key: RowFields,
    value: RowFields,
    source: SourceTemplate,
    placeholder: String,
    /// `{"schema":…,"payload":` where schemas go with the records, else empty.
    key_head: Vec<u8>,
    value_head: Vec<u8>,
}

impl TableEnvelope {
    /// Compiles a table; `included` says which columns the value has. The key has its columns in any case.
    pub fn compile(table: &Table, included: &dyn Fn(&str) -> bool, settings: &EnvelopeSettings) -> Self {
        let columns = table.columns.iter().enumerate().filter(|(_, column)| included(&column.name));
        let value_nulls = settings.value_converter.replace_null_with_default;
        let value = RowFields::compile(table, columns.map(|(index, _)| index), &settings.modes, value_nulls);
        let key_nulls = settings.key_converter.replace_null_with_default;
        let key = RowFields::compile(table, table.key.iter().copied(), &settings.modes, key_nulls);
        let topic = topic::of_table(&settings.topic_prefix, &table.schema, &table.name);
        let key_head =
            if settings.key_converter.schemas_enable { head(&key.schema(format!("{topic}.Key"))) } else { Vec::new() };
        let value_head = if settings.value_converter.schemas_enable {
            head(&envelope_schema(&topic, value.schema(format!("{topic}.Value"))))
        } else {
            Vec::new()
        };
        let source = SourceTemplate::new(settings);
        let placeholder = settings.placeholder.clone();
        Self { table: table.clone(), topic, key, value, source, placeholder, key_head, value_head }
    }

    /// The topic of its records.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether its records have keys.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Appends the record key of a row; `false` without one.
    ///
    /// # Errors
    /// When a value is not of its type's form.
    pub fn write_key(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<bool, ValueError> {
        if !self.has_key() {
            return Ok(false);
        }
        out.extend_from_slice(&self.key_head);
        self.key.write(row, Gaps::KeyOnly, &self.placeholder, out)?;
        close(&self.key_head, out);
        Ok(true)
    }

    /// Appends a row's key as Connect's `SimpleHeaderConverter` prints a struct, for the headers that link the two halves
    /// of a key change. A value that cannot be converted fails the key itself first, so this leaves the header empty.
    pub fn key_header(&self, row: &[Datum], out: &mut Vec<u8>) {
        if self.key.write(row, Gaps::KeyOnly, &self.placeholder, out).is_err() {
            out.clear();
        }
    }

    /// Whether the key differs between an old and a new row.
    pub fn key_changed(&self, old: &[Datum], new: &[Datum]) -> bool {
        self.table.key.iter().any(|index| match (old.get(*index), new.get(*index)) {
            // A TOASTed key value that was not sent did not change.
            (_, Some(Datum::Unchanged)) => false,
            (old, new) => old != new,
        })
    }

    /// Appends the record value of a change.
    ///
    /// # Errors
    /// When a value is not of its type's form.
    pub fn write_change(&self, change: &Change<'_>, source: &Source<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
        out.extend_from_slice(&self.value_head);
        out.extend_from_slice(b"{\"before\":");
        let mut old = None;
        match change.before {
            Some(Before::Full(row)) => {
                self.value.write(row, Gaps::Row { old: None }, &self.placeholder, out)?;
                old = Some(row);
            }
            Some(Before::Key(row)) => self.value.write(row, Gaps::KeyOnly, &self.placeholder, out)?,
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"after\":");
        match change.after {
            Some(row) => self.value.write(row, Gaps::Row { old }, &self.placeholder, out)?,
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"source\":");
        self.source.write(source, out);
        out.extend_from_slice(b",\"transaction\":null,\"op\":\"");
        out.push(change.op.letter() as u8);
        let mut integers = itoa::Buffer::new();
        for (name, divisor) in [("\",\"ts_ms\":", 1_000_000), (",\"ts_us\":", 1000), (",\"ts_ns\":", 1)] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(integers.format(change.ts_ns.div_euclid(divisor)).as_bytes());
        }
        out.push(b'}');
        close(&self.value_head, out);
        Ok(())
    }
}

/// `{"schema":…,"payload":`.
pub(super) fn head(schema: &Schema) -> Vec<u8> {
    let mut head = b"{\"schema\":".to_vec();
    schema.write_json(None, &mut head);
    head.extend_from_slice(b",\"payload\":");
    head
}

/// Closes what [`head`] opened.
pub(super) fn close(head: &[u8], out: &mut Vec<u8>) {
    if !head.is_empty() {
        out.push(b'}');
    }
}

fn envelope_schema(topic: &str, row: Schema) -> Schema {
    let row = row.optional();
    let int64 = || Schema::new(SchemaKind::Int64);
    let field = |name: &str, schema| Field { name: name.to_owned(), schema };
    let transaction = Schema::logical(
        SchemaKind::Struct(vec![
            field("id", Schema::new(SchemaKind::String)),
            field("total_order", int64()),
            field("data_collection_order", int64()),
        ]),
        "event.block",
    );
    let fields = vec![
        field("before", row.clone()),
        field("after", row),
        field("source", source::schema()),
        field("transaction", transaction.optional()),
        field("op", Schema::new(SchemaKind::String)),
        field("ts_ms", int64().optional()),
        field("ts_us", int64().optional()),
        field("ts_ns", int64().optional()),
    ];
    Schema { version: Some(2), ..Schema::logical(SchemaKind::Struct(fields), &format!("{topic}.Envelope")) }
}
