//! Columns read again from the table (`io.debezium.processors.reselect.ReselectColumnsPostProcessor`): what TOAST left out
//! of a change, and what is null in it. The row may have changed since; it is the newest state that is read.

use bytes::Bytes;
use proto::envelope::TableEnvelope;
use proto::pgoutput::Datum;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::config::{ConnectorConfig, Reselect};
use crate::error::TaskError;
use crate::source::table_name::TableName;
use crate::source::{quote_identifier, quote_literal, session};

/// One connector's post processors, and their session.
pub(super) struct Reselection {
    processors: Vec<Reselect>,
    connection: crate::config::Connection,
    /// The signal table's rows are signals: nothing of them is read again.
    signals: crate::config::Signals,
    client: Option<Client>,
}

impl std::fmt::Debug for Reselection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reselection").field("processors", &self.processors).finish_non_exhaustive()
    }
}

impl Reselection {
    /// `None` where no post processor is asked for.
    pub(super) fn new(config: &ConnectorConfig) -> Option<Self> {
        (!config.post_processors.is_empty()).then(|| Self {
            processors: config.post_processors.clone(),
            connection: config.connection.clone(),
            signals: config.signals.clone(),
            client: None,
        })
    }

    /// The new row with what could be read again; `None` where nothing was to be.
    ///
    /// # Errors
    /// Retry when the session breaks; stop when the row is gone and the configuration says `fail`.
    pub(super) async fn apply(
        &mut self,
        table: &TableEnvelope,
        key_row: &[Datum],
        row: &[Datum],
    ) -> Result<Option<Vec<Datum>>, TaskError> {
        let described = table.table();
        if self.signals.is_table(&described.schema, &described.name) {
            return Ok(None);
        }
        let mut reselected: Option<Vec<Datum>> = None;
        for index in 0..self.processors.len() {
            let current = reselected.as_deref().unwrap_or(row);
            let Some(processor) = self.processors.get(index) else { continue };
            let wanted = wanted(processor, table, current);
            let (key_columns, key_values) = if processor.by_event_key {
                (table.key_columns().map(|(index, _)| index).collect(), key_row)
            } else {
                (described.key.clone(), current)
            };
            let fails = processor.fails;
            let Some(sql) = statement(table, &wanted, &key_columns, key_values) else { continue };
            match self.read(table, &sql).await? {
                Some(values) => {
                    let row = reselected.get_or_insert_with(|| row.to_vec());
                    for (index, value) in wanted.into_iter().zip(values) {
                        if let Some(place) = row.get_mut(index) {
                            *place = value;
                        }
                    }
                }
                None if fails => {
                    return Err(TaskError::stop(
                        "reselect-row-gone",
                        format!(
                            "table {}.{}: a row whose columns were to be read again is gone (reselect.error.handling.mode is \
                         fail). Nothing is lost: the change is kept in the slot. Set the mode to warn and restart the \
                         connector",
                            described.schema, described.name
                        ),
                    ));
                }
                None => tracing::warn!(
                    schema = %described.schema,
                    table = %described.name,
                    "a row whose columns were to be read again is gone; its record has what the change brought"
                ),
            }
        }
        Ok(reselected)
    }

    /// The first row's values, `None` without a row. A session that broke is replaced once.
    async fn read(&mut self, table: &TableEnvelope, sql: &str) -> Result<Option<Vec<Datum>>, TaskError> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(session::connect(&self.connection, "reselection").await?);
        }
        let Some(client) = &self.client else { return Ok(None) };
        let what = format!("reading columns of table {}.{} again", table.table().schema, table.table().name);
        let messages = client.simple_query(sql).await.map_err(|error| session::query_error(&what, error))?;
        Ok(messages.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let value = |index| {
                    row.get(index).map_or(Datum::Null, |text| Datum::Text(Bytes::copy_from_slice(text.as_bytes())))
                };
                Some((0..row.len()).map(value).collect())
            }
            _ => None,
        }))
    }
}

/// The columns to be read again, by their places.
fn wanted(processor: &Reselect, table: &TableEnvelope, row: &[Datum]) -> Vec<usize> {
    let described = table.table();
    let is_wanted = |(index, schema): &(usize, &proto::connect::schema::Schema)| {
        let is_missing = match row.get(*index) {
            Some(Datum::Unchanged) => processor.unavailable,
            // A null with a default counts as that default.
            Some(Datum::Null) => processor.nulls && schema.default.is_none(),
            _ => false,
        };
        let name = described.columns.get(*index).map(|column| column.name.as_str()).unwrap_or_default();
        is_missing && processor.selects(&described.schema, &described.name, name)
    };
    table.value_columns().filter(is_wanted).map(|(index, _)| index).collect()
}

/// The query for one row; `None` when there is nothing to read, or no whole key to find the row by.
fn statement(table: &TableEnvelope, wanted: &[usize], key: &[usize], key_row: &[Datum]) -> Option<String> {
    if wanted.is_empty() || key.is_empty() {
        return None;
    }
    let described = table.table();
    let name = |index: usize| described.columns.get(index).map(|column| quote_identifier(&column.name));
    let columns = wanted.iter().map(|index| name(*index)).collect::<Option<Vec<_>>>()?;
    let condition = |index: &usize| match key_row.get(*index)? {
        Datum::Text(text) => Some(format!("{} = {}", name(*index)?, quote_literal(std::str::from_utf8(text).ok()?))),
        _ => None,
    };
    let conditions = key.iter().map(condition).collect::<Option<Vec<_>>>()?;
    let from = TableName { schema: described.schema.clone(), name: described.name.clone() };
    Some(format!("SELECT {} FROM {} WHERE {}", columns.join(", "), from.quoted(), conditions.join(" AND ")))
}
