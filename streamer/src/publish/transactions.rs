//! Records and position in one Kafka transaction (KIP-98, KIP-618).
//!
//! A transaction ends only where the newest checkpoint lies right behind the last record, and holds that checkpoint's offset: who
//! reads what is committed sees a change with the position behind it, or neither. A start first ends what was left open under
//! its `transactional.id` ([`RecordProducer::open`]), by which whoever published before cannot publish any more, and only then
//! reads the position.

use std::time::{Duration, Instant};

use proto::failpoint;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::hurry::send_at_once;
use super::producer::{Record, RecordProducer};
use crate::config::{ConnectorConfig, ExactlyOnce, WorkerConfig};
use crate::error::TaskError;
use crate::position::Positions;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A transaction of many records is open this many times as long as ending the last one took: nothing is published while one
/// ends, so that this is at most a fifth of the time. Who has few records at a time wants them soon.
const OPEN_TO_ENDING: u32 = 4;
const MANY: u64 = 500;

/// How long no new transaction begins behind the end of the last one. The end is answered before every partition has it
/// (`TransactionCoordinator.endTransaction`); who begins the next one meanwhile is refused (CONCURRENT_TRANSACTIONS), and
/// librdkafka asks again 20 ms later.
const SETTLING: Duration = Duration::from_millis(3);

/// How long to wait, in milliseconds, before it is looked whether a record was refused.
const LOOK_MS: i32 = 100;

/// How one connector publishes in transactions.
pub(super) struct Transactions {
    settings: ExactlyOnce,
    connector: String,
    positions: Positions,
    /// When a position was last stored that nothing was published for, and how often that may be.
    quiet: Mutex<Option<Instant>>,
    quiet_interval: Duration,
    /// Nothing more is at hand.
    rest: Notify,
    /// Held while a record is enqueued and while a transaction ends: nothing is enqueued meanwhile.
    open: Mutex<Open>,
}

/// The transaction that is open, if one is.
pub(super) struct Open {
    since: Option<Instant>,
    /// How many records were under way or acknowledged when it began.
    behind: u64,
    /// How long one of many records is to be open.
    lasts: Duration,
    /// When the last one ended.
    ended: Option<Instant>,
}

impl Open {
    /// Whether it is time to end it, with so many records under way or acknowledged now.
    fn is_due(&self, interval: Duration, enqueued: u64) -> bool {
        let lasts = if enqueued.saturating_sub(self.behind) < MANY { interval } else { self.lasts };
        self.since.is_some_and(|since| since.elapsed() >= lasts)
    }
}

impl Transactions {
    /// `None` where the worker does not publish in transactions.
    ///
    /// # Errors
    /// Stop when the connector publishes to another cluster than the one that positions are kept in: no transaction spans both.
    pub(super) fn new(
        worker: &WorkerConfig,
        config: &ConnectorConfig,
        positions: Positions,
    ) -> Result<Option<Self>, TaskError> {
        let Some(settings) = config.exactly_once.clone() else { return Ok(None) };
        if config.producer_overrides.contains_key("bootstrap.servers") {
            return Err(TaskError::stop(
                "transactions-other-kafka",
                format!(
                    "connector {} publishes to another Kafka (producer.override.bootstrap.servers) than the one that keeps its \
                 position, and no transaction spans both. Nothing was published; set the worker's \
                 exactly.once.source.support=disabled, or give the connector a worker on that Kafka",
                    config.name
                ),
            ));
        }
        let open = Open { since: None, behind: 0, lasts: settings.interval, ended: None };
        Ok(Some(Self {
            settings,
            connector: config.name.clone(),
            positions,
            quiet: Mutex::new(None),
            quiet_interval: worker.offset_flush_interval,
            rest: Notify::new(),
            open: Mutex::new(open),
        }))
    }

    /// Nothing more is at hand for now: where a transaction may end because of that, who ends it is woken.
    pub(super) fn rests(&self) {
        if self.settings.ends_at_rest {
            self.rest.notify_one();
        }
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> TaskError {
        let id = &self.settings.transactional_id;
        let text = format!("connector {}: {doing} (transactional.id {id}): {error}", self.connector);
        let code = error.rdkafka_error_code();
        match code {
            Some(
                RDKafkaErrorCode::TransactionalIdAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed,
            ) => TaskError::stop(
                "transactions-forbidden",
                format!(
                    "{text}. Nothing is lost: the changes are kept in the slot. Allow the worker's principal to Describe and Write \
                     TransactionalId {id}"
                ),
            ),
            Some(RDKafkaErrorCode::InvalidTransactionTimeout) => TaskError::stop(
                "transactions-timeout",
                format!(
                    "{text}. Nothing is lost: the changes are kept in the slot. Lower producer.override.transaction.timeout.ms, or \
                 raise the broker's transaction.max.timeout.ms"
                ),
            ),
            _ => {
                TaskError::retry(format!("{text}. What was not committed is published again from the stored position"))
            }
        }
    }
}

impl RecordProducer {
    /// Shuts out whoever published under this connector's name before, and reads the positions as they are then. Without
    /// transactions there is nothing to do.
    ///
    /// # Errors
    /// Retry when Kafka does not answer; stop when it does not allow transactions.
    pub async fn open(&self, worker: &WorkerConfig) -> Result<(), TaskError> {
        self.shut_out()?;
        match &self.transactions {
            Some(transactions) => transactions.positions.refresh(worker).await,
            None => Ok(()),
        }
    }

    /// Shuts out whoever published under this connector's name before, and ends what they left open. Without transactions there
    /// is nothing to do.
    ///
    /// # Errors
    /// As [`RecordProducer::open`].
    pub fn shut_out(&self) -> Result<(), TaskError> {
        let Some(transactions) = &self.transactions else { return Ok(()) };
        tokio::task::block_in_place(|| self.producer.init_transactions(ANSWER_TIMEOUT))
            .map_err(|error| transactions.failed("beginning to publish in transactions failed", &error))
    }

    /// A transaction for the next record: the one that is open, unless it is time to end it and this is a place for it.
    pub(super) async fn in_transaction(&self) -> Result<Option<MutexGuard<'_, Open>>, TaskError> {
        let Some(transactions) = &self.transactions else { return Ok(None) };
        let mut open = transactions.open.lock().await;
        if open.is_due(transactions.settings.interval, self.ledger().enqueued()) {
            self.end(transactions, &mut open).await?;
        }
        self.begin(transactions, &mut open).await?;
        Ok(Some(open))
    }

    /// How often [`RecordProducer::commit`] is to be called, `None` without transactions.
    pub fn commit_interval(&self) -> Option<Duration> {
        self.transactions.as_ref().map(|transactions| transactions.settings.interval.max(Duration::from_millis(1)))
    }

    /// Completes when a transaction is to be ended because nothing more is at hand, and only then.
    pub async fn rested(&self) {
        match &self.transactions {
            Some(transactions) => transactions.rest.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Whether it publishes in transactions, and the position with them.
    pub fn is_transactional(&self) -> bool {
        self.transactions.is_some()
    }

    /// Ends the transaction that is open, if it is time to or `is_last`, and if every record in it has its position: the
    /// [ledger](RecordProducer::ledger) says then that this position is safe. Without transactions there is nothing to do.
    ///
    /// # Errors
    /// Retry when Kafka did not take a record or the end: everything since the last end comes again, and only then counts.
    pub async fn commit(&self, is_last: bool) -> Result<(), TaskError> {
        let Some(transactions) = &self.transactions else { return Ok(()) };
        let mut open = transactions.open.lock().await;
        let is_of_many = self.ledger().enqueued().saturating_sub(open.behind) >= MANY;
        if is_of_many && !open.is_due(transactions.settings.interval, self.ledger().enqueued()) && !is_last {
            return Ok(());
        }
        self.end(transactions, &mut open).await
    }

    /// Throws away what is not committed, so that those who read what is committed do not wait for it.
    pub async fn abandon(&self) {
        let Some(transactions) = &self.transactions else { return };
        if transactions.open.lock().await.since.take().is_none() {
            return;
        }
        if let Err(error) = tokio::task::block_in_place(|| self.producer.abort_transaction(ANSWER_TIMEOUT)) {
            // The next start ends it, or Kafka does by itself.
            tracing::debug!(connector = %transactions.connector, %error, "the open transaction could not be ended");
        }
    }

    async fn begin(&self, transactions: &Transactions, open: &mut Open) -> Result<(), TaskError> {
        if open.since.is_none() {
            if let Some(ended) = open.ended {
                tokio::time::sleep_until((ended + SETTLING).into()).await;
            }
            let begun = self.producer.begin_transaction();
            begun.map_err(|error| transactions.failed("beginning a transaction failed", &error))?;
            (open.since, open.behind) = (Some(Instant::now()), self.ledger().enqueued());
        }
        Ok(())
    }

    async fn end(&self, transactions: &Transactions, open: &mut Open) -> Result<(), TaskError> {
        let Some(checkpoint) = self.ledger().boundary() else { return Ok(()) };
        if checkpoint.offset.is_none() && open.since.is_none() {
            // A transaction every time for what nothing was published for would be many.
            let mut quiet = transactions.quiet.lock().await;
            if quiet.is_some_and(|last| last.elapsed() < transactions.quiet_interval) {
                return Ok(());
            }
            *quiet = Some(Instant::now());
        }
        let (begun, settings) = (Instant::now(), &transactions.settings);
        let offset = transactions.positions.of(&checkpoint)?;
        if let Some(offset) = &offset {
            self.begin(transactions, open).await?;
            let (topic, key, value) = transactions.positions.record(offset)?;
            let record =
                Record { topic, partition: None, key: Some(&key), value: Some(&value), headers: None, timestamp: None };
            self.enqueue(record).await?;
        }
        if open.since.is_some() {
            if self.ledger().enqueued().saturating_sub(open.behind) < MANY {
                self.flush().await?;
            }
            // Whether Kafka surely has them, the ledger says, and not librdkafka: see `Undelivered::Presumed`.
            self.drain().await?;
            failpoint::reached("transaction-not-committed");
            // The last report is counted before librdkafka is done with it. The crate takes it for a record then, and waits 100 ms.
            self.flush().await?;
            tokio::task::block_in_place(|| self.producer.commit_transaction(ANSWER_TIMEOUT))
                .map_err(|error| transactions.failed("Kafka did not confirm the end of a transaction", &error))?;
            (open.since, open.ended) = (None, Some(Instant::now()));
            open.lasts = (begun.elapsed() * OPEN_TO_ENDING).clamp(settings.interval, settings.longest);
            failpoint::reached("transaction-committed");
            self.metrics().kafka_transactions.increment(1);
        }
        if let Some(offset) = &offset {
            transactions.positions.remember(offset)?;
        }
        self.ledger().committed(checkpoint);
        Ok(())
    }

    /// Waits until librdkafka is done with everything, and has it sent without a pause: the partitions are part of the transaction a
    /// moment after their records are enqueued, and only then may those go.
    async fn flush(&self) -> Result<(), TaskError> {
        while !tokio::task::block_in_place(|| send_at_once(&self.producer, LOOK_MS)) {
            self.check()?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
