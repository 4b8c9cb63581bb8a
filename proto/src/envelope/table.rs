//! One table version's key and value, compiled once.

use std::sync::{Arc, LazyLock, OnceLock};

use super::row::{Gaps, RowFields};
use super::source::{self, SourceFields};
use super::transaction;
use super::{Before, Change, EnvelopeSettings, JsonConverter, Op, Source, ValueError};
use crate::connect::avro_names::NameAdjustment;
use crate::connect::schema::{Schema, SchemaKind};
use crate::connect::value::TreeWriter;
use crate::connect::writer::{Label, ValueWriter};
use crate::pgoutput::Datum;
use crate::table::{PgTypeKind, Table};
use crate::types::{Phase, Placeholder};

/// Where a table's records go, and what their keys have beside the table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordNaming {
    /// The topic; the records' schemas are called after it.
    pub topic: String,
    /// A field of every key, by which tables that share a topic are told apart, and its value.
    pub identifier: Option<(String, String)>,
}

/// A key's schema, and what it is as JSON before every value.
#[derive(Debug, Clone)]
pub struct RecordSchema {
    schema: Arc<Schema>,
    head: Vec<u8>,
}

impl RecordSchema {
    fn new(schema: Schema, converter: Option<JsonConverter>) -> Self {
        Self { head: head(&schema, converter), schema: Arc::new(schema) }
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// `{"schema":…,"payload":` where schemas go with the records, else empty.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

fn head(schema: &Schema, converter: Option<JsonConverter>) -> Vec<u8> {
    converter.map(|converter| converter.head(Some(schema))).unwrap_or_default()
}

/// Writes the records of one version of one table. All that does not change from row to row is made already.
#[derive(Debug, Clone)]
pub struct TableEnvelope {
    table: Table,
    collection: String,
    topic: String,
    key: RowFields,
    value: RowFields,
    source: SourceFields,
    placeholder: Placeholder,
    names: NameAdjustment,
    key_schema: RecordSchema,
    value_head: Vec<u8>,
    /// The larger part of a compiled table, and without transforms and schemas in the records nobody asks for it.
    value_schema: OnceLock<Arc<Schema>>,
}

impl TableEnvelope {
    /// Compiles a table; `included` says which columns the value has. The key has its columns in any case.
    pub fn compile(
        table: &Table,
        naming: RecordNaming,
        included: &dyn Fn(&str) -> bool,
        settings: &EnvelopeSettings,
    ) -> Self {
        let columns = table.columns.iter().enumerate().filter(|(_, column)| included(&column.name));
        let value = RowFields::compile(table, columns.map(|(index, _)| index), settings, Some(&settings.column_rules));
        let key = RowFields::compile(table, table.key.iter().copied(), settings, None)
            .with_constant(naming.identifier.as_ref());
        let topic = naming.topic;
        let names = settings.schema_names;
        let key_schema = RecordSchema::new(key.schema(names.schema(&format!("{topic}.Key"))), settings.key_converter);
        let has_schemas = settings.value_converter.is_some_and(|converter| !converter.head(None).is_empty());
        let mut compiled = Self {
            table: table.clone(),
            collection: format!("{}.{}", table.schema, table.name),
            topic,
            key,
            value,
            source: SourceFields::new(settings),
            placeholder: settings.placeholder.clone(),
            names,
            key_schema,
            value_head: Vec::new(),
            value_schema: OnceLock::new(),
        };
        if has_schemas {
            compiled.value_head = head(&compiled.envelope_schema(), settings.value_converter);
        }
        compiled
    }

    fn envelope_schema(&self) -> Schema {
        let name = |suffix: &str| self.names.schema(&format!("{}.{suffix}", self.topic));
        envelope_schema(name("Envelope"), self.value.schema(name("Value")))
    }

    /// The key's schema.
    pub fn key_schema(&self) -> &RecordSchema {
        &self.key_schema
    }

    /// The columns of the value: their places in a row, with their schemas.
    pub fn value_columns(&self) -> impl Iterator<Item = (usize, &Schema)> {
        self.value.columns()
    }

    /// The columns of the key, likewise.
    pub fn key_columns(&self) -> impl Iterator<Item = (usize, &Schema)> {
        self.key.columns()
    }

    /// The value's schema.
    pub fn value_schema(&self) -> &Arc<Schema> {
        self.value_schema.get_or_init(|| Arc::new(self.envelope_schema()))
    }

    /// What it is as JSON before every value, `{"schema":…,"payload":`, where schemas go with the records, else empty.
    pub fn value_head(&self) -> &[u8] {
        &self.value_head
    }

    /// The topic of its records.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether its records have keys.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// `<schema>.<table>`, by which transaction metadata, signals and notifications name the table.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How many bytes a record of a row has at least, as JSON, when the server sends the row in so many. `None` where that cannot
    /// be said before the values are there: a column is left out or changed, or is of a type whose text can be much longer than
    /// what becomes of it, an array for example.
    pub fn record_at_least(&self, bytes: usize) -> Option<usize> {
        // numeric's longest text: 131,072 digits, a point, 16,383 more, a sign. No other of these types has a longer one.
        const BOUNDED: usize = 150_000;
        if !self.value.is_as_sent() {
            return None;
        }
        let mut bounded = 0;
        for column in &self.table.columns {
            let mut pg_type = &column.pg_type;
            while let PgTypeKind::Domain { base, .. } = &pg_type.kind {
                pg_type = base;
            }
            if pg_type.schema != "pg_catalog" {
                return None;
            }
            match &*pg_type.name {
                // bytea comes with two characters a byte, and is Base64 or hexadecimal in JSON.
                "text" | "varchar" | "bpchar" | "json" | "jsonb" | "xml" | "bytea" => {}
                "bool" | "int2" | "int4" | "int8" | "oid" | "float4" | "float8" | "numeric" | "money" | "uuid"
                | "date" | "time" | "timetz" | "timestamp" | "timestamptz" | "interval" | "inet" | "cidr"
                | "macaddr" | "macaddr8" => {
                    bounded += BOUNDED;
                }
                _ => return None,
            }
        }
        // Half for bytea, and half for an UPDATE: the old row is beside the new one, and where the key changed it is another
        // record's.
        Some(bytes.saturating_sub(2 * bounded) / 4)
    }

    /// Writes the record key of a row.
    ///
    /// # Errors
    /// When a value is not of its type's form.
    pub fn write_key(&self, row: &[Datum], phase: Phase, writer: &mut impl ValueWriter) -> Result<(), ValueError> {
        self.key.write(row, Gaps::KeyOnly, phase, &self.placeholder, writer)
    }

    /// Whether the key differs between an old and a new row.
    pub fn key_changed(&self, old: &[Datum], new: &[Datum]) -> bool {
        self.table.key.iter().any(|index| match (old.get(*index), new.get(*index)) {
            // A TOASTed key value that was not sent did not change.
            (_, Some(Datum::Unchanged)) => false,
            (old, new) => old != new,
        })
    }

    /// Whether two rows have the same value, as far as records show it.
    ///
    /// # Errors
    /// When a value is not of its type's form.
    pub fn is_unchanged(&self, old: &[Datum], new: &[Datum]) -> Result<bool, ValueError> {
        let value = |row| {
            let mut writer = TreeWriter::default();
            self.value.write(row, Gaps::Row { old: None }, Op::Update.phase(), &self.placeholder, &mut writer)?;
            Ok::<_, ValueError>(writer.finish())
        };
        Ok(value(old)? == value(new)?)
    }

    /// Writes the record value of a change.
    ///
    /// # Errors
    /// When a value is not of its type's form.
    pub fn write_change(
        &self,
        change: &Change<'_>,
        source: &Source<'_>,
        writer: &mut impl ValueWriter,
    ) -> Result<(), ValueError> {
        let labels = &*LABELS;
        let phase = change.op.phase();
        writer.begin_struct();
        writer.labelled(&labels.before);
        let mut old = None;
        match change.before {
            Some(Before::Full(row)) => {
                self.value.write(row, Gaps::Row { old: None }, phase, &self.placeholder, writer)?;
                old = Some(row);
            }
            Some(Before::Key(row)) => self.value.write(row, Gaps::KeyOnly, phase, &self.placeholder, writer)?,
            None => writer.null(),
        }
        writer.labelled(&labels.after);
        match change.after {
            Some(row) => self.value.write(row, Gaps::Row { old }, phase, &self.placeholder, writer)?,
            None => writer.null(),
        }
        writer.labelled(&labels.source);
        self.source.write(source, writer);
        writer.labelled(&labels.transaction);
        match change.transaction {
            Some(transaction) => {
                writer.begin_struct();
                writer.field("id");
                writer.string(&transaction.id);
                writer.field("total_order");
                writer.int64(transaction.total_order);
                writer.field("data_collection_order");
                writer.int64(transaction.data_collection_order);
                writer.end_struct();
            }
            None => writer.null(),
        }
        writer.labelled(&labels.op);
        writer.string(change.op.letter().encode_utf8(&mut [0; 4]));
        for (label, divisor) in labels.clocks.iter().zip([1_000_000, 1000, 1]) {
            writer.labelled(label);
            writer.int64(change.ts_ns.div_euclid(divisor));
        }
        writer.end_struct();
        Ok(())
    }
}

/// The names of the envelope's fields.
#[derive(Debug, Clone)]
struct EnvelopeLabels {
    before: Label,
    after: Label,
    source: Label,
    transaction: Label,
    op: Label,
    clocks: [Label; 3],
}

static LABELS: LazyLock<EnvelopeLabels> = LazyLock::new(EnvelopeLabels::default);

impl Default for EnvelopeLabels {
    fn default() -> Self {
        Self {
            before: Label::new("before"),
            after: Label::new("after"),
            source: Label::new("source"),
            transaction: Label::new("transaction"),
            op: Label::new("op"),
            clocks: ["ts_ms", "ts_us", "ts_ns"].map(Label::new),
        }
    }
}

fn envelope_schema(name: String, row: Schema) -> Schema {
    let row = row.optional();
    let int64 = || Schema::new(SchemaKind::Int64);
    let fields = [
        ("before", row.clone()),
        ("after", row),
        ("source", source::schema()),
        ("transaction", transaction::block_schema().optional()),
        ("op", Schema::new(SchemaKind::String)),
        ("ts_ms", int64().optional()),
        ("ts_us", int64().optional()),
        ("ts_ns", int64().optional()),
    ];
    Schema::structure(fields).named(name, 2)
}
