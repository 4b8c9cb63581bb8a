//! One chunk after another, one table after another.

use std::sync::Arc;

use proto::position::incremental::Collection;
use proto::xid::Xid;
use tokio_postgres::Client;

use super::Incremental;
use super::chunk::{self, ChunkTable};
use super::watermark::{self, Watermarks};
use crate::capture::relations::Relations;
use crate::error::TaskError;
use crate::source::snapshot::Outputs;
use crate::source::table_name::TableName;
use crate::source::{catalog, session};

impl Incremental {
    pub(super) async fn read_chunk(&mut self, last: Option<Xid>, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        self.stop_what_was_asked(outputs).await?;
        if !self.is_running() || self.is_paused {
            return Ok(());
        }
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = Some(session::connect(&self.config.connection, "incremental snapshot").await?);
        }
        let Some(client) = self.client.take() else { return Ok(()) };
        let read = self.read_window(&client, last, outputs).await;
        self.client = Some(client);
        match read {
            Err(error) if !error.is_retry() => {
                // As in Debezium the stream goes on: a snapshot that somebody asked for is not worth the changes.
                tracing::error!(connector = %self.config.name, tables = %self.names(), %error, "the incremental snapshot is given up");
                let tables = self.names();
                self.collections.clear();
                self.forget_table();
                (self.chunk_id, self.closes_at, self.client) = (None, None, None);
                self.notify("ABORTED", &[("data_collections", tables)], outputs).await
            }
            read => read,
        }
    }

    /// Marks where a window opens, reads its chunk and marks where it closes.
    async fn read_window(
        &mut self,
        client: &Client,
        last: Option<Xid>,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let watermarks = Watermarks::of_chunk(&self.config.signals);
        if let Some(watermarks) = &watermarks {
            watermarks.open(client).await?;
        }
        self.chunk_id = watermarks.as_ref().map(|watermarks| watermarks.chunk_id.clone());
        self.visible = chunk::begin(client, last).await?;
        let read = self.read_rows(client, outputs).await;
        chunk::end(client).await?;
        read?;
        match watermarks {
            Some(watermarks) => watermarks.close(client).await,
            None => {
                self.is_open = true;
                self.closes_at = Some(watermark::log_end(client).await?);
                Ok(())
            }
        }
    }

    /// Reads the next rows there are: of the table under way, or the first that has any.
    async fn read_rows(&mut self, client: &Client, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        while let Some(collection) = self.collections.front().cloned() {
            if self.table.is_none() {
                match self.describe(client, &collection, outputs.relations).await? {
                    Ok(table) => self.table = Some(table),
                    Err(why) => {
                        tracing::warn!(table = %collection.id, why, "the incremental snapshot passes over a table");
                        self.next_table(&collection.id, why, outputs).await?;
                        continue;
                    }
                }
            }
            let Some(table) = &self.table else { return Ok(()) };
            if self.maximum.is_none() {
                let rows = chunk::rows(client, &table.name, &table.maximum()).await?;
                self.maximum = rows.first().map(|row| table.key_of(row));
                if self.maximum.is_none() {
                    self.next_table(&collection.id, "EMPTY", outputs).await?;
                    continue;
                }
            }
            let limit = self.config.signals.chunk_size;
            let select = table.chunk(self.chunk_end.as_ref(), self.maximum.as_ref(), limit);
            let rows = chunk::rows(client, &table.name, &select).await?;
            let Some(end) = rows.last().map(|row| table.key_of(row)) else {
                self.next_table(&collection.id, "SUCCEEDED", outputs).await?;
                continue;
            };
            self.scanned += rows.len() as u64;
            for row in rows {
                self.window.push(row, &table.envelope.table().key);
            }
            let data = [
                ("data_collections", self.names()),
                ("current_collection_in_progress", collection.id),
                ("maximum_key", self.maximum.as_ref().map(|key| table.key_text(key)).unwrap_or_default()),
                ("last_processed_key", table.key_text(&end)),
            ];
            self.chunk_end = Some(end);
            return self.notify("IN_PROGRESS", &data, outputs).await;
        }
        Ok(())
    }

    /// The table of a collection, or why it is passed over, in the words of the notification.
    async fn describe(
        &mut self,
        client: &Client,
        collection: &Collection,
        relations: &Relations,
    ) -> Result<Result<ChunkTable, &'static str>, TaskError> {
        let (schema, name) = collection.id.split_once('.').unwrap_or(("public", &collection.id));
        let name = TableName { schema: schema.to_owned(), name: name.to_owned() };
        let captured = self.config.filters.captures_table(&name.schema, &name.name);
        let table = catalog::describe_table(client, &mut self.types, &name).await?.filter(|_| captured);
        let Some(table) = table else { return Ok(Err("UNKNOWN_SCHEMA")) };
        let envelope = Arc::new(relations.compile(&table));
        Ok(ChunkTable::new(name, envelope, collection)?.ok_or("NO_PRIMARY_KEY"))
    }

    async fn next_table(
        &mut self,
        table: &str,
        status: &'static str,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        let data = [
            ("data_collections", self.names()),
            ("scanned_collection", table.to_owned()),
            ("total_rows_scanned", self.scanned.to_string()),
            ("status", status.to_owned()),
        ];
        self.notify("TABLE_SCAN_COMPLETED", &data, outputs).await?;
        tracing::info!(table, status, rows = self.scanned, "incremental snapshot of a table ended");
        self.leave_table(outputs).await
    }

    pub(super) async fn leave_table(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        self.collections.pop_front();
        self.forget_table();
        if self.is_running() {
            return Ok(());
        }
        self.notify("COMPLETED", &[], outputs).await?;
        self.correlation_id = None;
        tracing::info!(connector = %self.config.name, "incremental snapshot completed");
        Ok(())
    }

    pub(super) fn forget_table(&mut self) {
        (self.table, self.last_sent, self.chunk_end, self.maximum) = (None, None, None, None);
        self.window.take();
        self.scanned = 0;
    }
}
