//! Wires the stages: slot → capture → emit → publish, and positions back.
//!
//! # What may be confirmed when
//! 1. A change's records are enqueued in WAL order; a full queue stops the one task that enqueues, and with it the reading.
//! 2. Behind each commit a [checkpoint](crate::position::Checkpoint) is laid; it becomes safe when Kafka has acknowledged
//!    every record before it.
//! 3. The [committer] stores the safe offset in Connect's offset topic and waits for Kafka.
//! 4. Only then the slot is confirmed up to it. With nothing under way a keepalive's position goes the same way, so that a
//!    quiet database does not pile up WAL.
//!
//! A crash between any two of these finds the server still holding what Kafka does not have; what Kafka has and the offset
//! does not say comes twice.

mod cut;
mod health;
mod number_of_slots;
mod slots;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::diagnosis::{Diagnosis, Finding};
use proto::envelope::EnvelopeSettings;
use proto::lsn::Lsn;
use proto::position::Offset;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use trace::Tracer;

use crate::capture::relations::Relations;
use crate::capture::stream::Streaming;
use crate::capture::transaction::Progress;
use crate::capture::watchdog::{self, Pulse};
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::emit::traces::Traces;
use crate::emit::{RowEmitter, RowOrigin};
use crate::error::TaskError;
use crate::metrics::labels::Labels;
use crate::metrics::live::Lives;
use crate::metrics::task::TaskMetrics;
use crate::notify::Notifier;
use crate::position::{Anchored, Checkpoint, OffsetStore, Resume, SlotAction, Start, committer, on_server};
use crate::publish::producer::RecordProducer;
use crate::source::catalog::ListedTable;
use crate::source::server::Server;
use crate::source::snapshot::incremental::Incremental;
use crate::source::table_name::TableName;
use crate::source::wal::WalStream;
use crate::source::{catalog, preflight, publication, replica_identity, session, share, slot, snapshot};
use crate::worker::storage::statuses::StatusStore;
pub use cut::Cut;
pub use health::{TaskHealth, TaskState};
pub use slots::run;

/// The first pause before starting again; it doubles up to `retriable.restart.connector.wait.ms`.
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Everything one task needs.
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// The connector's configuration.
    pub config: Arc<ConnectorConfig>,
    /// The worker's configuration.
    pub worker: Arc<WorkerConfig>,
    /// Connect's status topic, for the topics that are published to.
    pub statuses: StatusStore,
    /// Connect's offset topic.
    pub offsets: OffsetStore,
    /// Asks the task to stop cleanly.
    pub cancel: CancellationToken,
    /// Where the task says how it is.
    pub health: TaskHealth,
    /// What is counted of it.
    pub metrics: TaskMetrics,
    /// What the page shows of the connector.
    pub lives: Lives,
    /// Where it ends because others go on behind it.
    pub cut: Option<Arc<Cut>>,
    /// What makes a span of each transaction, where traces are asked for.
    pub tracer: Option<Tracer>,
}

/// Runs one pipeline until it is cancelled or has come to its cut (`Ok`), or a person must act.
///
/// What time may mend is tried again here, from the stored position, `errors.max.retries` times in a row (-1: for ever).
///
/// # Errors
/// Stop, or the last Retry when the retries are used up.
async fn keep_running(context: TaskContext) -> Result<(), TaskError> {
    let retry = &context.config.retry;
    let (mut failures, mut pause) = (0_i64, FIRST_RETRY_PAUSE.min(retry.wait));
    context.metrics.beans.show();
    loop {
        context.health.set(TaskState::Starting);
        context.metrics.stalled.set(0.0);
        let mut was_running = false;
        let attempted = Box::pin(attempt(&context, &mut was_running)).await;
        context.metrics.beans.connected.store(false, Ordering::Relaxed);
        match attempted {
            Ok(()) => return Ok(()),
            Err(_) if context.cancel.is_cancelled() => return Ok(()),
            Err(error @ TaskError::Stop(_)) => return Err(error),
            Err(error) => {
                if was_running {
                    (failures, pause) = (0, FIRST_RETRY_PAUSE.min(retry.wait));
                }
                failures += 1;
                if retry.max >= 0 && failures > retry.max {
                    return Err(error);
                }
                context.metrics.retries.increment(1);
                context.metrics.live.retries.fetch_add(1, Ordering::Relaxed);
                context.metrics.live.failed(error.told(), error.id());
                tracing::warn!(connector = %context.config.name, code = error.id(), %error, ?pause, "starting again from the stored position");
                context.health.set(TaskState::Retrying(error.trace()));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(retry.wait),
            () = context.cancel.cancelled() => return Ok(()),
        }
    }
}

/// One attempt: set up, snapshot if there is to be one, stream until cancelled.
async fn attempt(context: &TaskContext, was_running: &mut bool) -> Result<(), TaskError> {
    let config = &context.config;
    let (worker, metrics, statuses) = (&context.worker, context.metrics.clone(), context.statuses.clone());
    let producer = Arc::new(RecordProducer::new(worker, config, metrics, statuses, context.offsets.clone())?);
    producer.open(worker).await?;
    let attempt = tokio::select! {
        attempt = stream_from_position(context, &producer, was_running) => attempt,
        // Only before streaming: a stream that runs ends by itself, cleanly.
        () = cancelled_while_starting(context) => Ok(()),
    };
    producer.abandon().await;
    attempt?;
    if config.slot.drop_on_stop {
        let client = session::connect(&config.connection, "slot").await?;
        slot::drop(&client, &config.slot.name).await?;
        tracing::info!(slot = %config.slot.name, "dropped the replication slot (slot.drop.on.stop)");
    }
    Ok(())
}

async fn cancelled_while_starting(context: &TaskContext) {
    context.cancel.cancelled().await;
    if context.health.runs() {
        std::future::pending::<()>().await;
    }
}

/// More tables than `guardrail.collections.max` are refused or warned of (`CommonConnectorConfig.validateGuardrailLimits`).
pub(crate) fn guard(config: &ConnectorConfig, tables: usize) -> Result<(), TaskError> {
    let Some(guardrail) = config.replication.guardrail.filter(|guardrail| tables > guardrail.max) else {
        return Ok(());
    };
    let finding = Finding::error(
        "guardrail-tables",
        format!("guardrail.collections.max allows {} tables, and {tables} are captured", guardrail.max),
        "Narrow table.include.list, or raise the limit",
    );
    if guardrail.fails {
        return Err(finding.into());
    }
    tracing::warn!(connector = %config.name, code = finding.id, "{finding}");
    Ok(())
}

async fn stream_from_position(
    context: &TaskContext,
    producer: &Arc<RecordProducer>,
    was_running: &mut bool,
) -> Result<(), TaskError> {
    let config = &context.config;
    let offset = context.offsets.read(&config.name, &OffsetStore::partition(config))?;
    let offset = offset.map(|map| Offset::from_map(&map)).transpose().map_err(|error| {
        TaskError::stop("position-unreadable", format!(
            "the stored offset of connector {} cannot be read ({error}); starting without it could lose changes. Look at \
             GET /connectors/{}/offsets; delete it only if the tables may be read anew",
            config.name, config.name
        ))
    })?;
    let has_position = offset.is_some();
    let client = session::connect(&config.connection, "catalog").await?;
    let mut diagnosis = Diagnosis::default();
    preflight::source(&client, config, std::slice::from_ref(&config.slot.name), &mut diagnosis).await;
    let server = Server::identify(config).await;
    let server =
        server.map_err(|error| preflight::explained(error, &diagnosis, &["role-replication", "wal-senders"]))?;
    // Before anything is done on the server.
    let offset = offset.map(|offset| on_server(config, offset, &server)).transpose()?;
    let captured = catalog::captured_tables(&client, config).await?;
    guard(config, captured.len())?;
    let captured = share::of_slot(&client, config, captured).await?;
    let published: Vec<TableName> =
        captured.iter().filter(|table| table.is_logged).map(|table| table.name.clone()).collect();
    replica_identity::set(&client, config, &captured).await?;
    publication::ensure(&client, config, &published).await?;

    let settings = envelope_settings(config);
    let relations = Relations::new(config.clone(), settings.clone());
    let mut emitter = RowEmitter::new(config, &settings)?;
    if let Some(tracer) = &context.tracer {
        emitter.outlet().trace_with(Traces::new(tracer, config));
    }
    let slot = slot::read(&client, config).await?;
    let confirmed = slot.as_ref().map(|slot| slot.confirmed_flush);
    let start = Start::decide(config, offset, slot)?;
    let confirmed = confirmed.filter(|_| start.slot == SlotAction::Keep);
    if start.slot == SlotAction::Replace {
        slot::drop(&client, &config.slot.name).await?;
    }
    let notifier = Notifier::new(config);
    let pulse = Arc::new(Pulse::default());
    context.metrics.live.has_pulse(&pulse);
    let mut outputs = snapshot::Outputs {
        relations: &relations,
        emitter: &mut emitter,
        producer,
        notifier: &notifier,
        pulse: &pulse,
    };
    preflight::tables(&client, config, &captured, start.reads_data, &mut diagnosis).await;
    preflight::tell(config, &diagnosis);
    let first = first_position(context, start, &captured, producer, &mut outputs).await;
    let why = ["wal-level", "replication-slots", "wal-senders", "table-select"];
    let Some(resume) = first.map_err(|error| preflight::explained(error, &diagnosis, &why))? else {
        return Ok(());
    };
    if !config.snapshot.mode.streams() {
        tracing::info!(connector = %config.name, "nothing is streamed (snapshot.mode)");
        *was_running = true;
        context.health.set(TaskState::Running);
        context.cancel.cancelled().await;
        return Ok(());
    }
    if !config.snapshot.streaming_delay.is_zero() {
        tracing::info!(connector = %config.name, delay = ?config.snapshot.streaming_delay, "waiting before streaming");
        tokio::select! {
            () = tokio::time::sleep(config.snapshot.streaming_delay) => {}
            () = context.cancel.cancelled() => return Ok(()),
        }
    }

    producer.positions().belong_to(Anchored::new(config, server, confirmed.unwrap_or(resume.start)));
    let stream = start_stream(context, resume.start).await?;
    context.metrics.beans.connected.store(true, Ordering::Relaxed);
    // Where the stored position belongs is stored at once, not only with the next one. Of several slots each has one from the
    // beginning: by them a start knows how many there are.
    let offset = (config.share.is_some() && !has_position).then(|| resume.whole.clone());
    producer.ledger().checkpoint(Checkpoint { flush: Some(resume.start), offset });
    tracing::info!(connector = %config.name, slot = %config.slot.name, start = %resume.start, "streaming");
    *was_running = true;
    context.health.set(TaskState::Running);
    let relations = Relations::new(config.clone(), settings);
    let last_origin = RowOrigin::at(&resume.whole);
    let incremental = Incremental::new(config.clone(), resume.whole.incremental.clone());
    let progress = Progress::new(resume);
    let streaming = Streaming {
        context,
        client,
        producer: producer.clone(),
        emitter,
        relations,
        progress,
        incremental,
        notifier,
        pulse,
        last_origin,
        is_foreign: false,
        xmin_fetched: None,
    };
    Box::pin(streaming.run(stream)).await
}

/// Takes the snapshot, if there is to be one, and gives where streaming begins; `None` when cancelled meanwhile.
async fn first_position(
    context: &TaskContext,
    start: Start,
    captured: &[ListedTable],
    producer: &Arc<RecordProducer>,
    outputs: &mut snapshot::Outputs<'_>,
) -> Result<Option<Resume>, TaskError> {
    let config = &context.config;
    let created = match start.slot {
        SlotAction::Keep => None,
        SlotAction::Create | SlotAction::Replace => Some(slot::create(config).await?),
    };
    let resume = start.resume.or_else(|| created.as_ref().map(|slot| Resume::from_slot(slot.consistent_point)));
    if !start.reads_data {
        snapshot::skipped(outputs).await?;
        return Ok(Some(resume.unwrap_or_default()));
    }
    context.health.set(TaskState::Running);
    let plan = snapshot::Plan {
        created,
        start: resume.as_ref().map(|resume| resume.start),
        tables: snapshot_tables(config, captured),
        selects: config.snapshot.selects.clone(),
        done: start.done,
        keeps_done: resume.is_some() && !start.is_stored,
        origin: None,
    };
    let (stop, (confirmed, _)) = (CancellationToken::new(), watch::channel(Lsn::ZERO));
    // What is published is stored meanwhile. However this ends, that ends with it.
    let mut committer = tokio::spawn(committer::run(context.clone(), producer.clone(), confirmed, stop.clone()));
    let _ends_with_this = stop.clone().drop_guard();
    let watched = watchdog::watch(context.clone(), producer.clone(), outputs.pulse.clone());
    let watched = AbortOnDropHandle::new(tokio::spawn(watched));
    let read = async {
        let checkpoint = snapshot::run(config, plan, outputs).await?;
        producer.drain().await?;
        // What happened since a stored position is streamed from there: its deletes are in no snapshot. Otherwise the snapshot's
        // end is stored before streaming begins, and from then on a restart does not read the tables again.
        let end = if start.is_stored { Checkpoint::default() } else { checkpoint.clone() };
        producer.ledger().checkpoint(end);
        Ok::<_, TaskError>(checkpoint)
    };
    let read = tokio::select! {
        read = read => Some(read),
        () = context.cancel.cancelled() => None,
        gone = watched => {
            return Err(gone.unwrap_or_else(|error| TaskError::retry("the watchdog broke off").because(error)));
        }
        committed = &mut committer => match committed {
            Ok(Err(error)) => return Err(error),
            _ => return Err(TaskError::retry("the committer of positions broke off")),
        },
    };
    stop.cancel();
    let stored = match committer.await {
        Ok(stored) => stored,
        Err(error) => Err(TaskError::retry("the committer of positions broke off").because(error)),
    };
    let Some(read) = read else {
        if let Err(error) = stored {
            tracing::warn!(%error, "how far the snapshot is could not be stored: some rows come again");
        }
        return Ok(None);
    };
    let checkpoint = read?;
    stored?;
    match resume {
        Some(resume) if start.is_stored => Ok(Some(resume)),
        _ => Ok(Some(checkpoint.offset.as_ref().map(Resume::from_offset).unwrap_or_default())),
    }
}

/// The captured tables of which a snapshot reads the rows: those that `snapshot.include.collection.list` names, and never
/// the signal table.
fn snapshot_tables(config: &ConnectorConfig, captured: &[ListedTable]) -> Vec<TableName> {
    let reads = |name: &TableName| {
        config.snapshot.reads_table(&name.schema, &name.name) && !config.signals.is_table(&name.schema, &name.name)
    };
    captured.iter().map(|table| &table.name).filter(|name| reads(name)).cloned().collect()
}

/// Starts the stream, waiting for a slot that another session still holds (`slot.max.retries`, `slot.retry.delay.ms`): a
/// server notices the end of a killed reader late.
async fn start_stream(context: &TaskContext, start: Lsn) -> Result<WalStream, TaskError> {
    let slot = &context.config.slot;
    let mut tries = 0;
    loop {
        match WalStream::start(&context.config, start).await {
            Err(error) if error.is_retry() && tries < slot.max_retries => {
                tries += 1;
                tracing::warn!(%error, tries, of = slot.max_retries, delay = ?slot.retry_delay, "slot is not available yet");
                tokio::time::sleep(slot.retry_delay.min(Duration::from_secs(1) * tries)).await;
            }
            result => return result,
        }
    }
}

fn envelope_settings(config: &ConnectorConfig) -> EnvelopeSettings {
    EnvelopeSettings {
        topic_prefix: config.topic_prefix.clone(),
        database: config.connection.dbname.clone(),
        source_version: config.source_version.clone(),
        key_converter: config.direct().map(|(key, _)| key),
        value_converter: config.direct().map(|(_, value)| value),
        modes: config.modes,
        column_rules: config.column_rules.clone(),
        losses: crate::metrics::task::losses(Labels::of(config)),
        schema_names: config.schema_names,
        field_names: config.field_names,
        placeholder: config.placeholder.clone(),
    }
}
