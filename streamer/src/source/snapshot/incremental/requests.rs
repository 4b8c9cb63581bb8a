//! What signals ask of an incremental snapshot: tables to read, to pause, to go on, to stop.

use proto::position::incremental::Collection;
use proto::xid::Xid;

use super::Incremental;
use crate::error::TaskError;
use crate::signal::SnapshotRequest;
use crate::source::snapshot::Outputs;
use crate::source::table_name::TableName;
use crate::source::{catalog, session};
use crate::transform::java_regex::Pattern;

impl Incremental {
    /// Adds a request's tables; begins to read when nothing is under way.
    ///
    /// # Errors
    /// Retry when the database or Kafka is away.
    pub async fn request(
        &mut self,
        id: &str,
        request: &SnapshotRequest,
        last: Option<Xid>,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TaskError> {
        if self.config.signals.table.is_none() && !self.config.signals.read_only {
            tracing::warn!(id, "an incremental snapshot needs signal.data.collection, or read.only: passed over");
            return Ok(());
        }
        let was_running = self.is_running();
        for table in self.expanded(&request.tables).await? {
            // Its own operators must not mix with those of the chunk's condition.
            let condition = request.condition(&table).filter(|filter| !filter.is_empty());
            self.collections.push_back(Collection {
                condition: condition.map(|filter| format!("({filter})")),
                surrogate_key: request.surrogate_key.clone(),
                id: table,
            });
        }
        self.correlation_id = Some(id.to_owned());
        tracing::info!(id, tables = %self.names(), "incremental snapshot requested");
        if was_running {
            return Ok(());
        }
        self.notify("STARTED", &[("data_collections", self.names())], outputs).await?;
        self.read_chunk(last, outputs).await
    }

    /// Reads no further chunk for now.
    ///
    /// # Errors
    /// Those of the notification.
    pub async fn pause(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        if !self.is_running() || std::mem::replace(&mut self.is_paused, true) {
            return Ok(());
        }
        tracing::info!(connector = %self.config.name, "incremental snapshot paused");
        self.notify("PAUSED", &[("data_collections", self.names())], outputs).await
    }

    /// Goes on behind a pause.
    ///
    /// # Errors
    /// As [`Incremental::request`].
    pub async fn resume(&mut self, last: Option<Xid>, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        if !self.is_running() || !std::mem::replace(&mut self.is_paused, false) {
            return Ok(());
        }
        tracing::info!(connector = %self.config.name, "incremental snapshot goes on");
        self.notify("RESUMED", &[("data_collections", self.names())], outputs).await?;
        if self.chunk_id.is_some() || self.closes_at.is_some() {
            // A chunk is still on its way through its window; the next one follows it.
            return Ok(());
        }
        self.read_chunk(last, outputs).await
    }

    /// Stops reading these tables, all when none is named, before the next chunk.
    pub fn stop(&mut self, tables: Vec<String>) {
        if self.is_running() {
            self.stops.extend(if tables.is_empty() { vec![".*".to_owned()] } else { tables });
        }
    }

    pub(super) async fn stop_what_was_asked(&mut self, outputs: &mut Outputs<'_>) -> Result<(), TaskError> {
        let asked = std::mem::take(&mut self.stops);
        if asked.is_empty() || !self.is_running() {
            return Ok(());
        }
        let current = self.table.as_ref().map(|table| table.name.to_string());
        let (mut stopped, mut stops_current) = (Vec::new(), false);
        for table in self.expanded(&asked).await? {
            if current.as_ref() == Some(&table) {
                stops_current = true;
                continue;
            }
            let before = self.collections.len();
            self.collections.retain(|collection| collection.id != table);
            if self.collections.len() < before {
                stopped.push(table);
            }
        }
        if let Some(current) = current.filter(|_| stops_current) {
            stopped.push(current);
            self.leave_table(outputs).await?;
        }
        tracing::info!(connector = %self.config.name, tables = %stopped.join(","), "incremental snapshot stopped");
        self.notify("ABORTED", &[("data_collections", stopped.join(","))], outputs).await?;
        if !self.is_running() {
            self.correlation_id = None;
        }
        Ok(())
    }

    /// The captured tables that the expressions match; an expression that matches none stands for itself.
    async fn expanded(&self, expressions: &[String]) -> Result<Vec<String>, TaskError> {
        let client = session::connect(&self.config.connection, "catalog").await?;
        let tables: Vec<String> = catalog::list_tables(&client)
            .await?
            .into_iter()
            .filter(|table| self.config.filters.captures_table(&table.name.schema, &table.name.name))
            .map(|table| table.name.to_string())
            .collect();
        let mut expanded: Vec<String> = Vec::new();
        for expression in expressions {
            let pattern = Pattern::new(expression);
            let is_match = |table: &&String| pattern.as_ref().is_ok_and(|pattern| pattern.matches(table));
            let mut matching: Vec<String> = tables.iter().filter(is_match).cloned().collect();
            if matching.is_empty() {
                matching.push(TableName::parse(expression).to_string());
            }
            matching.retain(|table| !expanded.contains(table));
            expanded.extend(matching);
        }
        Ok(expanded)
    }
}
