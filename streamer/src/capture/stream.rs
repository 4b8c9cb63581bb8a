//! The stream's messages, one after another: rows to the emitter, commits to the ledger, and signs of life between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::lsn::Lsn;
use proto::pgoutput::{Commit, Message, OldTuple};
use proto::position::TransactionOffset;
use tokio::sync::watch;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::relations::Relations;
use super::transaction::{Change, Progress};
use super::watchdog::{self, Pulse, Sources};
use crate::config::{ConnectorConfig, FlushMode};
use crate::emit::traces::Traces;
use crate::emit::{RowEmitter, RowOrigin, heartbeat};
use crate::error::TaskError;
use crate::notify::Notifier;
use crate::pipeline::TaskContext;
use crate::position::{Checkpoint, committer};
use crate::publish::producer::RecordProducer;
use crate::signal::channels;
use crate::source::snapshot::incremental::Incremental;
use crate::source::wal::{WalEvent, WalStream};
use crate::source::{session, slot};

/// How many events are handled at most before signals, heartbeats and confirmed positions are looked at.
const AT_ONCE: usize = 200;

/// A running stream with everything it needs.
#[expect(missing_debug_implementations, reason = "a tokio_postgres::Client shows nothing")]
pub struct Streaming<'a> {
    /// The task.
    pub context: &'a TaskContext,
    /// A session for the catalog.
    pub client: Client,
    /// Where records go.
    pub producer: Arc<RecordProducer>,
    /// What makes records of rows.
    pub emitter: RowEmitter,
    /// The tables as the stream describes them.
    pub relations: Relations,
    /// Where the stream stands.
    pub progress: Progress,
    /// The incremental snapshot between the changes.
    pub incremental: Incremental,
    /// Tells of snapshots.
    pub notifier: Notifier,
    /// What the watchdog looks at.
    pub pulse: Arc<Pulse>,
    /// Where the last row came from.
    pub last_origin: RowOrigin,
    /// Whether the transaction under way was replicated to this server, and such are left out.
    pub is_foreign: bool,
    /// When the slot's xmin was asked for.
    pub xmin_fetched: Option<Instant>,
}

impl Streaming<'_> {
    /// Publishes what the stream brings until the task is cancelled, and ends it cleanly then.
    ///
    /// # Errors
    /// Those of the stream, of what it says, and of Kafka.
    pub async fn run(mut self, mut stream: WalStream) -> Result<(), TaskError> {
        let config = self.context.config.clone();
        let commit = CancellationToken::new();
        let (confirmed, mut confirmable) = watch::channel(Lsn::ZERO);
        let committer =
            tokio::spawn(committer::run(self.context.clone(), self.producer.clone(), confirmed, commit.clone()));
        // However this ends, the committer ends with it.
        let _ends_with_this = commit.clone().drop_guard();
        let pulse = self.pulse.clone();
        let _listening =
            pulse.listen(Sources { processes: stream.process().into_iter().collect(), may_compute: false });
        let watched = watchdog::watch(self.context.clone(), self.producer.clone(), pulse.clone());
        let mut watched = AbortOnDropHandle::new(tokio::spawn(watched));
        let mut heartbeat = config.heartbeat.interval.map(later);
        let (cancel, producer) = (self.context.cancel.clone(), self.producer.clone());
        let mut signals = channels::open(&config, &self.context.metrics.live)?;
        let going_on = pulse.work();
        let mut broken_off = tokio::select! {
            gone_on = self.go_on() => {
                gone_on?;
                false
            }
            () = cancel.cancelled() => true,
        };
        drop(going_on);
        let mut is_at_cut = false;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                error = self.producer.failed() => return Err(error),
                changed = confirmable.changed() => match changed {
                    Ok(()) => confirm(&stream, &config, *confirmable.borrow_and_update()),
                    Err(_) => break,
                },
                gone = &mut watched => {
                    return Err(gone.unwrap_or_else(|error| TaskError::retry("the watchdog broke off").because(error)));
                }
                // No sign of the server's life.
                () = tick(&mut heartbeat) => self.heartbeat(&config).await?,
                Some(signal) = signals.recv() => {
                    let _working = pulse.work();
                    tokio::select! {
                        signalled = self.signalled_from_outside(&signal) => signalled?,
                        () = cancel.cancelled() => {
                            broken_off = true;
                            break;
                        }
                    }
                }
                event = stream.next(|| producer.nothing_more()) => {
                    let event = event?;
                    let _working = pulse.work();
                    tokio::select! {
                        handled = self.handle_ready(event, &mut stream) => {
                            is_at_cut = handled?;
                            if is_at_cut {
                                break;
                            }
                        }
                        // Kafka may be away and its queue full: a stop does not wait for it.
                        () = cancel.cancelled() => {
                            broken_off = true;
                            break;
                        }
                    }
                }
            }
        }
        if is_at_cut {
            let drained = tokio::select! {
                drained = self.drain_at_cut() => drained.map(|()| true)?,
                () = cancel.cancelled() => false,
            };
            if drained {
                commit.cancel();
                // Others go on behind the cut: here a position that is not stored is a failure.
                let broke_off = |error| Err(TaskError::retry("the committer of positions broke off").because(error));
                committer.await.unwrap_or_else(broke_off)?;
                stream.close().await;
                return Ok(());
            }
        }
        if !cancel.is_cancelled() {
            // The committer ended by itself, with an error.
            return match committer.await {
                Ok(result) => result,
                Err(error) => Err(TaskError::retry("the committer of positions broke off").because(error)),
            };
        }
        // A stop inside a transaction goes on there, not at its beginning. Of a change that was broken off some records can be
        // out: where none may come twice, the last position before it counts.
        let counts = !broken_off || config.exactly_once.is_none();
        if let Some(checkpoint) = self.progress.inside(self.events()).filter(|_| counts) {
            self.checkpoint(checkpoint);
        }
        if tokio::time::timeout(config.replication.shutdown_timeout, self.producer.drain()).await.is_err() {
            tracing::warn!(connector = %config.name, "stopped before Kafka acknowledged everything: those records come again");
        }
        commit.cancel();
        if let Ok(Err(error)) = committer.await {
            tracing::warn!(connector = %config.name, %error, "the last position could not be stored: some records come again");
        }
        confirm(&stream, &config, *confirmable.borrow_and_update());
        stream.close().await;
        Ok(())
    }

    /// Whether everything before the task's cut was sent: what comes from here on is for others.
    fn is_at_cut(&self, event: &WalEvent) -> bool {
        let cut = self.context.cut.as_deref();
        self.progress.is_between_transactions() && cut.is_some_and(|cut| cut.is_reached_by(event))
    }

    /// Waits until Kafka has everything. What it has is a whole: a Kafka transaction ends at a checkpoint.
    async fn drain_at_cut(&mut self) -> Result<(), TaskError> {
        self.checkpoint(Checkpoint { flush: self.context.cut.as_ref().and_then(|cut| cut.at()), offset: None });
        self.producer.drain().await
    }

    /// Handles an event, and some more of those that are there already: asking whether there is something else to do costs as
    /// much as a row. Gives whether the task's cut was reached, before the event that says so.
    async fn handle_ready(&mut self, event: WalEvent, stream: &mut WalStream) -> Result<bool, TaskError> {
        let (mut event, mut left) = (Some(event), AT_ONCE);
        while let Some(next) = event {
            if self.is_at_cut(&next) {
                return Ok(true);
            }
            self.pulse.received(next.lsn());
            self.handle(next).await?;
            left -= 1;
            event = if left > 0 { stream.ready()? } else { None };
        }
        self.emitter.count(&self.producer);
        Ok(false)
    }

    async fn handle(&mut self, event: WalEvent) -> Result<(), TaskError> {
        let (lsn, message) = match event {
            WalEvent::Message(lsn, message) => (lsn, message),
            WalEvent::Large(row) => {
                return match self.relations.envelope(row.relation)?.filter(|_| !self.is_foreign) {
                    Some(table) => self.emitter.announced(&self.producer, table, &row),
                    None => Ok(()),
                };
            }
            WalEvent::Keepalive(lsn) => {
                self.context.metrics.server_lsn.set(lsn.as_u64() as f64);
                // Inside a transaction the position says nothing about that transaction.
                if self.progress.is_between_transactions() {
                    self.quiet(lsn);
                    self.reached(lsn).await?;
                }
                return Ok(());
            }
        };
        self.fetch_xmin().await?;
        match message {
            Message::Begin(begin) => {
                self.is_foreign = false;
                self.progress.begin(&begin);
                if let Some(traces) = self.emitter.outlet().traces() {
                    traces.begin(&begin);
                }
            }
            Message::Commit(commit) => self.commit(&commit).await?,
            Message::Relation(relation) => self.relations.describe(&mut self.client, &relation).await?,
            Message::Insert(insert) => {
                let Some(change) = self.change(lsn, true).await? else { return Ok(()) };
                if let Some(table) = self.relations.envelope(insert.relation)?.cloned() {
                    if !change.was_published {
                        self.inserted(&table, &insert.new.values, change.origin).await?;
                    }
                    self.emitter.insert(&self.producer, &table, &insert, change.origin).await?;
                    self.published(&change, lsn, "INSERT");
                }
            }
            Message::Update(update) => {
                let Some(change) = self.change(lsn, update.old.is_none()).await? else { return Ok(()) };
                if let Some(table) = self.relations.envelope(update.relation)?.cloned() {
                    if let Some(OldTuple::Full(old) | OldTuple::Key(old)) = &update.old {
                        self.changed(&table, &old.values, change.origin);
                    }
                    self.changed(&table, &update.new.values, change.origin);
                    self.emitter.update(&self.producer, &table, &update, change.origin).await?;
                    self.published(&change, lsn, "UPDATE");
                }
            }
            Message::Delete(delete) => {
                let Some(change) = self.change(lsn, false).await? else { return Ok(()) };
                if let Some(table) = self.relations.envelope(delete.relation)?.cloned() {
                    let (OldTuple::Full(old) | OldTuple::Key(old)) = &delete.old;
                    if !change.was_published {
                        self.deleted(&table, &old.values, change.origin).await?;
                    }
                    self.emitter.delete(&self.producer, &table, &delete, change.origin).await?;
                    self.published(&change, lsn, "DELETE");
                }
            }
            Message::Truncate(truncate) => {
                let Some(change) = self.change(lsn, false).await? else { return Ok(()) };
                for relation in &truncate.relations {
                    if let Some(table) = self.relations.envelope(*relation)? {
                        self.incremental.truncated(table);
                        self.emitter.truncate(&self.producer, table, change.origin).await?;
                    }
                }
                self.published(&change, lsn, "TRUNCATE");
            }
            Message::LogicalMessage(message) if message.transactional => {
                let Some(change) = self.change(lsn, true).await? else { return Ok(()) };
                if self.emitter.message(&self.producer, &message, change.origin).await? {
                    self.published(&change, lsn, "MESSAGE");
                }
            }
            Message::LogicalMessage(message) => {
                let origin = self.progress.message(lsn);
                if self.emitter.message(&self.producer, &message, origin).await?
                    && let Some(checkpoint) = self.progress.behind_message(lsn)
                {
                    self.checkpoint(checkpoint);
                }
            }
            // It comes behind the beginning of a transaction that was replicated to this server from elsewhere.
            Message::Origin(_) => self.is_foreign = self.context.config.slot.stream.only_local,
            // Types are described by the catalog.
            Message::Type(_) => {}
        }
        Ok(())
    }

    /// A change of a transaction arrives: `None` when there is nothing to do with it, for it was published before a restart.
    async fn change(&mut self, lsn: Lsn, is_one_record: bool) -> Result<Option<Change>, TaskError> {
        let change = self.progress.change(lsn, is_one_record)?;
        if self.is_foreign {
            return Ok(None);
        }
        let goes_on =
            self.emitter.in_transaction(&self.producer, &change.origin, change.was_begun, change.was_published).await?;
        Ok(goes_on.then_some(change))
    }

    async fn commit(&mut self, commit: &Commit) -> Result<(), TaskError> {
        if std::mem::take(&mut self.is_foreign) {
            // As if the server had not sent it.
            self.progress.leave_out();
            _ = self.emitter.outlet().traces().and_then(Traces::commit);
            self.quiet(commit.end_lsn);
            return self.reached(commit.end_lsn).await;
        }
        if let Some(tx_id) = self.progress.transaction() {
            self.emitter.end_transaction(&self.producer, tx_id, commit.end_lsn, commit.commit_time_us).await?;
        }
        if let Some(span) = self.emitter.outlet().traces().and_then(Traces::commit) {
            self.producer.ledger().ends_with_what_is_enqueued(span);
        }
        let events = self.events();
        let checkpoint = self.progress.commit(commit, events);
        match checkpoint.offset {
            None => self.quiet(commit.end_lsn),
            Some(_) => self.checkpoint(checkpoint),
        }
        self.context.metrics.transactions.increment(1);
        self.context.metrics.live.read(commit.commit_time_us);
        self.context.metrics.commit_lsn.set(commit.end_lsn.as_u64() as f64);
        self.reached(commit.end_lsn).await
    }

    /// Up to here there was nothing to publish. The slot may be confirmed behind it; where the configuration asks for it, only
    /// with the position stored.
    fn quiet(&mut self, lsn: Lsn) {
        if self.context.config.replication.mismatch.stores_quiet_positions() {
            let checkpoint = self.progress.quiet(lsn);
            self.checkpoint(checkpoint);
        } else {
            self.producer.ledger().checkpoint(Checkpoint { flush: Some(lsn), offset: None });
        }
    }

    /// Everything enqueued so far leads to this position, and to where the incremental snapshot is.
    pub(super) fn checkpoint(&mut self, mut checkpoint: Checkpoint) {
        if let Some(offset) = &mut checkpoint.offset {
            offset.incremental = self.incremental.position();
        }
        self.producer.ledger().checkpoint(checkpoint);
    }

    fn published(&mut self, change: &Change, lsn: Lsn, message_type: &'static str) {
        if !change.was_published
            && self.progress.published(lsn, message_type)
            && let Some(checkpoint) = self.progress.inside(self.events())
        {
            self.checkpoint(checkpoint);
        }
    }

    /// What the offset says of the transaction under way.
    pub(super) fn events(&self) -> Option<TransactionOffset> {
        self.emitter.transaction_offset(self.progress.transaction()?)
    }

    /// Asks for the slot's xmin when it is time (`xmin.fetch.interval.ms`).
    async fn fetch_xmin(&mut self) -> Result<(), TaskError> {
        let config = &self.context.config;
        let Some(interval) = config.replication.xmin_interval else { return Ok(()) };
        if self.xmin_fetched.is_some_and(|fetched| fetched.elapsed() < interval) {
            return Ok(());
        }
        if self.client.is_closed() {
            self.client = session::connect(&config.connection, "catalog").await?;
        }
        self.emitter.set_xmin(slot::xmin(&self.client, &config.slot.name).await?);
        self.xmin_fetched = Some(Instant::now());
        Ok(())
    }

    async fn heartbeat(&mut self, config: &ConnectorConfig) -> Result<(), TaskError> {
        heartbeat::emit(&self.producer, self.emitter.outlet(), config).await?;
        if let Some(query) = &config.heartbeat.action_query {
            if self.client.is_closed() {
                self.client = session::connect(&config.connection, "heartbeat").await?;
            }
            // As in Debezium, a query that fails is reported and does not stop the stream.
            if let Err(error) = self.client.batch_execute(query).await {
                let error = session::query_error("running heartbeat.action.query", error);
                tracing::warn!(connector = %config.name, %error, "heartbeat");
            }
        }
        Ok(())
    }
}

/// Tells the server what it may forget, unless somebody else does (`lsn.flush.mode`).
fn confirm(stream: &WalStream, config: &ConnectorConfig, lsn: Lsn) {
    if config.replication.flush == FlushMode::Connector {
        stream.confirm(lsn);
    }
}

/// Ticks from one interval on: Debezium's first heartbeat comes when the first interval is over.
fn later(interval: Duration) -> tokio::time::Interval {
    tokio::time::interval_at(tokio::time::Instant::now() + interval, interval)
}

/// The next heartbeat, or never.
async fn tick(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
