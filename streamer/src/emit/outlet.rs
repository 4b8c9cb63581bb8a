//! The way out of every record: through transforms and converters, or, where rows become JSON with nothing in between,
//! straight into the producer's buffer.

use std::sync::Arc;

use proto::connect::json::JsonConverter;
use proto::connect::record::{ConnectRecord, RecordHeader, SchemaAndValue};
use proto::connect::schema::{Schema, SchemaKind};
use proto::connect::value::{TreeWriter, Value};
use proto::envelope::{Change, Op, Source, TableEnvelope, ValueError};
use proto::pgoutput::Datum;
use proto::types::Phase;
use rdkafka::message::{Header, OwnedHeaders};

use super::headers::ContextHeaders;
use super::traces::{Kind, Traces};
use crate::config::ConnectorConfig;
use crate::convert::Converter;
use crate::error::TaskError;
use crate::publish::producer::{Record, RecordProducer};
use crate::transform::Chain;

/// A record of a table's row, still to be written.
#[derive(Debug, Clone, Copy)]
pub struct RowRecord<'a> {
    /// The table's version.
    pub table: &'a TableEnvelope,
    /// The row that the key is taken from, `None` for a record without a key.
    pub key: Option<&'a [Datum]>,
    /// The change with its source, `None` for a tombstone.
    pub value: Option<(&'a Change<'a>, &'a Source<'a>)>,
    /// The header that links the two halves of a key change, and the row whose key it holds.
    pub link: Option<(&'static str, &'a [Datum])>,
}

impl RowRecord<'_> {
    /// Where the row's values come from.
    fn phase(&self) -> Phase {
        self.value.map_or(Phase::Streaming, |(change, _)| change.op.phase())
    }
}

/// How large a buffer is kept from record to record, in bytes.
const KEPT: usize = 1 << 20;

/// Writes one connector's records. The buffers are reused from record to record: the producer copies them.
#[derive(Debug)]
pub struct Outlet {
    chain: Chain,
    /// What transforms added to the headers of the delete just published: its tombstone has them too.
    added_to_delete: Vec<RecordHeader>,
    key_converter: Converter,
    value_converter: Converter,
    header_converter: Converter,
    /// Key's and value's JSON converter, where rows need neither transforms nor another format.
    direct: Option<(JsonConverter, JsonConverter)>,
    context: ContextHeaders,
    /// `None` where traces are not asked for.
    traces: Option<Traces>,
    string: Arc<Schema>,
    key: Vec<u8>,
    value: Vec<u8>,
    tolerates_errors: bool,
    logs_errors: bool,
}

/// Why a row has no record.
#[derive(Debug)]
pub enum RowError {
    /// A value of it cannot be converted.
    Value(ValueError),
    /// Anything else.
    Task(TaskError),
}

impl From<ValueError> for RowError {
    fn from(error: ValueError) -> Self {
        RowError::Value(error)
    }
}

impl From<TaskError> for RowError {
    fn from(error: TaskError) -> Self {
        RowError::Task(error)
    }
}

/// Why a record was not published.
enum Unpublished {
    /// A transform or a converter failed on it.
    Record(TaskError),
    /// Kafka did not take it.
    Kafka(TaskError),
}

impl From<TaskError> for Unpublished {
    fn from(error: TaskError) -> Self {
        Unpublished::Record(error)
    }
}

impl Outlet {
    /// With the connector's transforms and converters; the run's id in the headers is new.
    ///
    /// # Errors
    /// As [`ConnectorConfig::transforms`].
    pub fn new(config: &ConnectorConfig) -> Result<Self, TaskError> {
        Ok(Self {
            chain: config.transforms()?,
            added_to_delete: Vec::new(),
            key_converter: Converter::new(&config.key_converter),
            value_converter: Converter::new(&config.value_converter),
            header_converter: Converter::new(&config.header_converter),
            direct: config.direct(),
            context: ContextHeaders::new(config),
            traces: None,
            string: Arc::new(Schema::new(SchemaKind::String)),
            key: Vec::new(),
            value: Vec::new(),
            tolerates_errors: config.tolerates_errors,
            logs_errors: config.logs_errors,
        })
    }

    /// From now on transactions are traced.
    pub fn trace_with(&mut self, traces: Traces) {
        self.traces = Some(traces);
    }

    /// What traces transactions, where that is asked for.
    pub fn traces(&mut self) -> Option<&mut Traces> {
        self.traces.as_mut()
    }

    /// Publishes a row's record, whole or not at all.
    ///
    /// # Errors
    /// As [`RecordProducer::publish`]; and when a value cannot be converted, with nothing published.
    pub async fn row(&mut self, producer: &RecordProducer, row: RowRecord<'_>) -> Result<(), RowError> {
        let table = row.table;
        // What a snapshot reads is of no transaction, also where it is read in the middle of one.
        let kind = if row.value.is_some() { Kind::Event } else { Kind::Other };
        let of_transaction = Some(kind).filter(|_| row.phase() == Phase::Streaming);
        let Some((key_converter, value_converter)) = self.direct.filter(|_| row.link.is_none()) else {
            let mut record = self.tree(&row)?;
            let of_delete = std::mem::take(&mut self.added_to_delete);
            if row.value.is_none() {
                record.headers.extend(of_delete);
            }
            self.publish_any(producer, record, of_transaction).await?;
            if row.value.is_some_and(|(change, _)| change.op == Op::Delete) {
                self.added_to_delete = self.chain.take_added();
            }
            return Ok(());
        };
        self.clear();
        if let Some(key) = row.key {
            self.key.extend_from_slice(table.key_schema().head());
            table.write_key(key, row.phase(), &mut key_converter.writer(&mut self.key))?;
            close(table.key_schema().head(), &mut self.key);
        }
        if let Some((change, source)) = row.value {
            self.value.extend_from_slice(table.value_head());
            table.write_change(change, source, &mut value_converter.writer(&mut self.value))?;
            close(table.value_head(), &mut self.value);
        }
        let record = Record {
            topic: table.topic(),
            partition: None,
            key: row.key.map(|_| self.key.as_slice()),
            value: row.value.map(|_| self.value.as_slice()),
            headers: match self.traces.as_mut().zip(of_transaction) {
                Some((traces, kind)) => traces.with_header(self.context.as_kafka(), kind),
                None => self.context.as_kafka(),
            },
            timestamp: None,
        };
        Ok(producer.publish(record).await?)
    }

    /// How many bytes a row's record has at least that the server sends in so many, where that can be said: of JSON that nothing
    /// changes on its way.
    pub fn record_at_least(&self, table: &TableEnvelope, bytes: usize) -> Option<usize> {
        self.direct.and_then(|_| table.record_at_least(bytes))
    }

    /// Whether a row's record could be written. Nothing is published.
    ///
    /// # Errors
    /// When a value cannot be converted.
    pub fn is_writable(&self, row: &RowRecord<'_>) -> Result<(), ValueError> {
        self.tree(row).map(drop)
    }

    /// Publishes a record that is of no transaction.
    ///
    /// # Errors
    /// Those of transforms, converters and the producer.
    pub async fn publish(&mut self, producer: &RecordProducer, record: ConnectRecord) -> Result<(), TaskError> {
        self.publish_any(producer, record, None).await
    }

    /// Publishes a record of the transaction under way, if there is one.
    ///
    /// # Errors
    /// As [`Outlet::publish`].
    pub async fn publish_of_transaction(
        &mut self,
        producer: &RecordProducer,
        record: ConnectRecord,
        kind: Kind,
    ) -> Result<(), TaskError> {
        self.publish_any(producer, record, Some(kind)).await
    }

    async fn publish_any(
        &mut self,
        producer: &RecordProducer,
        record: ConnectRecord,
        of_transaction: Option<Kind>,
    ) -> Result<(), TaskError> {
        let topic = record.topic.clone();
        match self.converted(producer, record, of_transaction).await {
            // As `errors.tolerance=all` asks. What time may mend is no fault of the record's.
            Err(Unpublished::Record(error @ TaskError::Stop(_))) if self.tolerates_errors => {
                producer.metrics().records_tolerated.increment(1);
                if self.logs_errors {
                    tracing::error!(topic, %error, "a record was passed over (errors.tolerance=all)");
                }
                Ok(())
            }
            Err(Unpublished::Record(error) | Unpublished::Kafka(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    async fn converted(
        &mut self,
        producer: &RecordProducer,
        record: ConnectRecord,
        of_transaction: Option<Kind>,
    ) -> Result<(), Unpublished> {
        let applied = self.chain.apply(record);
        let tolerated = applied.map_err(|error| {
            TaskError::stop("transform-failed", "Tolerance exceeded in error handler").because(error)
        })?;
        let Some(record) = tolerated else { return Ok(()) };
        self.clear();
        let has_key = self.key_converter.convert(&record.topic, &record.key, &record.headers, &mut self.key).await?;
        let has_value =
            self.value_converter.convert(&record.topic, &record.value, &record.headers, &mut self.value).await?;
        let mut headers = (!record.headers.is_empty()).then(|| OwnedHeaders::new_with_capacity(record.headers.len()));
        for RecordHeader { key, value } in &record.headers {
            let mut bytes = Vec::new();
            let has_value = self.header_converter.convert(&record.topic, value, &[], &mut bytes).await?;
            let header = Header { key, value: has_value.then_some(&bytes) };
            headers = headers.map(|headers| headers.insert(header));
        }
        // Behind transforms and converters, which could take it away or write it in another form. One that a transform put there is
        // the application's own.
        if let Some((traces, kind)) = self.traces.as_mut().zip(of_transaction) {
            match record.headers.iter().any(|header| header.key == trace::HEADER) {
                true => traces.count(kind),
                false => headers = traces.with_header(headers, kind),
            }
        }
        let record = Record {
            topic: &record.topic,
            partition: record.partition,
            key: has_key.then_some(self.key.as_slice()),
            value: has_value.then_some(self.value.as_slice()),
            headers,
            timestamp: record.timestamp,
        };
        producer.publish(record).await.map_err(Unpublished::Kafka)
    }

    /// Makes room for the next record. What only a rare large one needed is given back.
    fn clear(&mut self) {
        for buffer in [&mut self.key, &mut self.value] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
    }

    /// The record as transforms see it.
    fn tree(&self, row: &RowRecord<'_>) -> Result<ConnectRecord, ValueError> {
        let table = row.table;
        let key_of = |values: &[Datum]| {
            let mut writer = TreeWriter::default();
            table.write_key(values, row.phase(), &mut writer)?;
            Ok::<_, ValueError>(SchemaAndValue::new(table.key_schema().schema().clone(), writer.finish()))
        };
        let mut record = ConnectRecord { topic: table.topic().to_owned(), ..ConnectRecord::default() };
        if let Some(key) = row.key {
            record.key = key_of(key)?;
        }
        if let Some((change, source)) = row.value {
            let mut writer = TreeWriter::default();
            table.write_change(change, source, &mut writer)?;
            record.value = SchemaAndValue::new(table.value_schema().clone(), writer.finish());
        }
        if let Some((name, values)) = row.link {
            record.headers.push(RecordHeader { key: name.to_owned(), value: key_of(values)? });
        }
        for (name, value) in self.context.pairs() {
            let value = SchemaAndValue::new(self.string.clone(), Value::String(value.to_owned()));
            record.headers.push(RecordHeader { key: name.to_owned(), value });
        }
        Ok(record)
    }
}

/// Closes what a schema's head opened.
fn close(head: &[u8], out: &mut Vec<u8>) {
    if !head.is_empty() {
        out.push(b'}');
    }
}
