//! What signals do to the running stream.

use proto::envelope::TableEnvelope;
use proto::pgoutput::Datum;

use super::stream::Streaming;
use crate::config::Watermarking;
use crate::emit::RowOrigin;
use crate::error::TaskError;
use crate::position::Checkpoint;
use crate::signal::{Action, Signal, SnapshotKind, SnapshotRequest};
use crate::source::snapshot::incremental::Incremental;
use crate::source::snapshot::{self, Outputs, Plan};
use crate::source::{catalog, session};

impl Streaming<'_> {
    /// A row is inserted: in the signal table it is a signal, which counts before its own record is published.
    pub(super) async fn inserted(
        &mut self,
        table: &TableEnvelope,
        row: &[Datum],
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.is_signal_table(table) {
            match Signal::of_row(row) {
                Some(signal) => self.signalled(&signal, origin, true).await?,
                None => {
                    tracing::warn!(table = %table.table().name, "a row of the signal table that is no signal is passed over")
                }
            }
        }
        self.changed(table, row, origin);
        Ok(())
    }

    /// A row is deleted: in the signal table that may close a window.
    pub(super) async fn deleted(
        &mut self,
        table: &TableEnvelope,
        row: &[Datum],
        origin: RowOrigin,
    ) -> Result<(), TaskError> {
        if self.is_signal_table(table)
            && self.context.config.signals.watermarking == Watermarking::InsertDelete
            && let Some(signal) = Signal::of_deleted_row(row)
        {
            self.signalled(&signal, origin, true).await?;
        }
        self.changed(table, row, origin);
        Ok(())
    }

    /// A row is changed: an incremental snapshot that waits to publish it must not.
    pub(super) fn changed(&mut self, table: &TableEnvelope, row: &[Datum], origin: RowOrigin) {
        self.incremental.changed(table, row, origin.tx_id);
        self.last_origin = origin;
    }

    /// A signal came from a channel outside of the stream.
    pub(super) async fn signalled_from_outside(&mut self, signal: &Signal) -> Result<(), TaskError> {
        tracing::info!(id = %signal.id, kind = %signal.kind, "signal");
        self.signalled(signal, self.last_origin, false).await?;
        self.store_incremental();
        Ok(())
    }

    /// The stream stands at `position`, between two transactions.
    pub(super) async fn reached(&mut self, position: proto::lsn::Lsn) -> Result<(), TaskError> {
        if !self.context.config.signals.read_only || !self.incremental.is_running() {
            return Ok(());
        }
        let origin = self.last_origin;
        let (incremental, mut outputs) = self.incremental();
        incremental.reached(position, origin, &mut outputs).await?;
        self.store_incremental();
        Ok(())
    }

    /// Goes on with the incremental snapshot that the last run left.
    pub(super) async fn go_on(&mut self) -> Result<(), TaskError> {
        let (incremental, mut outputs) = self.incremental();
        incremental.go_on(None, &mut outputs).await
    }

    fn is_signal_table(&self, table: &TableEnvelope) -> bool {
        self.context.config.signals.is_table(&table.table().schema, &table.table().name)
    }

    fn incremental(&mut self) -> (&mut Incremental, Outputs<'_>) {
        let Self { incremental, relations, emitter, producer, notifier, pulse, .. } = self;
        (incremental, Outputs { relations, emitter, producer, notifier, pulse })
    }

    /// Without a change in the stream there is no commit that would store how far the incremental snapshot is.
    fn store_incremental(&mut self) {
        if self.progress.is_between_transactions() {
            let offset = Some(self.progress.whole().clone());
            self.checkpoint(Checkpoint { flush: None, offset });
        }
    }

    async fn signalled(&mut self, signal: &Signal, origin: RowOrigin, from_source: bool) -> Result<(), TaskError> {
        let is_mark = matches!(signal.kind.as_str(), "snapshot-window-open" | "snapshot-window-close");
        if from_source && !is_mark && !self.context.config.signals.from_source() {
            return Ok(());
        }
        let Some(action) = Action::of(signal) else { return Ok(()) };
        if !is_mark {
            tracing::info!(id = %signal.id, kind = %signal.kind, "signal");
        }
        // Only a signal in the stream is of the transaction that the stream is at.
        let last = origin.tx_id.filter(|_| from_source);
        let (incremental, mut outputs) = self.incremental();
        match action {
            Action::ExecuteSnapshot(request) if request.kind == SnapshotKind::Blocking => {
                self.blocking_snapshot(&request, origin).await
            }
            Action::ExecuteSnapshot(request) => incremental.request(&signal.id, &request, last, &mut outputs).await,
            Action::StopSnapshot(tables) => {
                incremental.stop(tables);
                Ok(())
            }
            Action::PauseSnapshot => incremental.pause(&mut outputs).await,
            Action::ResumeSnapshot => incremental.resume(last, &mut outputs).await,
            Action::Log(message) => {
                let offset = serde_json::Value::from(self.progress.whole().to_map());
                tracing::info!("{}", message.replacen("{}", &offset.to_string(), 1));
                Ok(())
            }
            Action::OpenWindow => {
                incremental.open_window(&signal.id);
                Ok(())
            }
            Action::CloseWindow => incremental.close_window(&signal.id, origin, &mut outputs).await,
        }
    }

    /// Reads whole tables while the stream waits. Their rows are as of now, the stream behind; it repeats what they show,
    /// and a consumer that takes the newest record of a key is right in the end.
    async fn blocking_snapshot(&mut self, request: &SnapshotRequest, origin: RowOrigin) -> Result<(), TaskError> {
        let config = self.context.config.clone();
        // The rows read now may be committed before the next change is: what came before them is, too.
        if let Some(checkpoint) = self.progress.inside(self.events()) {
            self.checkpoint(checkpoint);
        }
        let read = async {
            let client = session::connect(&config.connection, "catalog").await?;
            let mut tables = catalog::captured_tables(&client, &config).await?;
            tables.retain(|table| {
                request.names(&table.name) && !config.signals.is_table(&table.name.schema, &table.name.name)
            });
            let tables: Vec<_> = tables.into_iter().map(|table| table.name).collect();
            let selects =
                tables.iter().filter_map(|table| Some((table.to_string(), request.select(table)?.to_owned())));
            let plan = Plan {
                created: None,
                start: None,
                selects: selects.collect(),
                tables,
                done: None,
                keeps_done: false,
                origin: Some(origin),
            };
            let (_, mut outputs) = self.incremental();
            snapshot::run(&config, plan, &mut outputs).await
        };
        if let Err(error) = read.await {
            // As in Debezium: the stream goes on, and who asked for the snapshot sees it in the log and the notification.
            tracing::error!(connector = %config.name, %error, "the blocking snapshot is given up");
        }
        Ok(())
    }
}
