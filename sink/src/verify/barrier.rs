//! A point of the stream that is known on both sides.
//!
//! [`Barrier::pass`] returns when everything that any session has seen as committed in the source before the call is in the target:
//!
//! 1. Whatever is visible has its commit in the log, before the place where the log is written to now
//!    (`pg_current_wal_insert_lsn()`).
//! 2. When the replication slot is confirmed up to there, all of that is in Kafka: a streamer confirms behind Kafka's
//!    acknowledgement, ours and Debezium alike. With several slots it is the one that is furthest behind that counts.
//! 3. The ends of the topics' partitions, asked for behind that, are behind those records.
//! 4. When the sink's offsets, which it commits with the rows, have come to those ends, the records are applied, or set aside.
//!
//! Nothing of it depends on rows, on the mode of the sink, or on how many of them there are. Nothing is written, but for two things in
//! the source's log. A transaction that changes nothing, so that the log goes on a little behind the place, for on a quiet server
//! no keepalive says that the slot's reader is at a place where nothing ends. And where the slot does not come on for a while, a
//! logical decoding message: Debezium confirms a slot only behind something that it was sent, and of a quiet database nothing is.
//!
//! **Ends that no record reaches.** With `exactly.once.source.support` a partition's last offset is a transaction's end, which takes an
//! offset and is no record, so that the sink's stays before it; records of aborted transactions and compaction leave such gaps as
//! well. So where an offset comes on no further, the partition is read from there, as the sink reads it: where there is no record
//! before the end, nothing is missing. Comparing with the last record's offset instead would mean to read for each partition,
//! also for those where the offsets say enough.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::tables::Table;
use super::unread;
use crate::apply::ledger::{self, Place};
use crate::config::VerifyConfig;
use crate::consume::Subscription;
use crate::consume::topics;
use crate::error::SinkError;
use crate::kafka::Kafka;

/// How often it is looked how far the stream is.
const LOOK: Duration = Duration::from_millis(50);

/// When the slot has not come on for so long, a message is written that its reader has to confirm. A reader that is well tells
/// the server every `status.update.interval.ms`, 10 s unless set.
const MESSAGE_AFTER: Duration = Duration::from_secs(12);

/// When an offset has not come on for so long, it is looked whether there is a record at it, and how often then.
const READ_AFTER: Duration = Duration::from_millis(300);
const READ_AGAIN: Duration = Duration::from_secs(2);

/// How long it may stand still at most when it has stood still before: who asks for the next table need not wait as long again.
const PATIENCE_AGAIN: Duration = Duration::from_secs(15);

/// Whether the slot, or all that stand in its place, are confirmed up to a position; and where they are.
const CONFIRMED: &str = "
    SELECT count(*), coalesce(bool_and(coalesce(confirmed_flush_lsn >= $2::text::pg_lsn, false)), false),
        string_agg(slot_name || ' ' || coalesce(confirmed_flush_lsn::text, 'nowhere'), ', ' ORDER BY slot_name)
    FROM pg_replication_slots WHERE slot_name = $1 OR slot_name ~ ('^' || $1 || '_[0-9]+_of_[0-9]+$')";

/// Waits for the stream.
pub(super) struct Barrier {
    config: VerifyConfig,
    stream: Option<Stream>,
    has_failed: bool,
}

impl Barrier {
    /// Asks nobody yet.
    pub(super) fn new(config: &VerifyConfig) -> Self {
        Self { config: config.clone(), stream: None, has_failed: false }
    }

    /// Whether it is known where the stream is.
    pub(super) fn is_exact(&self) -> bool {
        self.config.bootstrap_servers.is_some()
    }

    /// Returns when everything of a table that was committed in the source before is in the target. Where it is not known where the
    /// stream is, it waits for as long as changes are given to arrive.
    ///
    /// # Errors
    /// Retry when the stream stands still, or a service does not answer; stop when source and target are not those of a sink.
    pub(super) async fn pass(&mut self, table: &Table) -> Result<(), SinkError> {
        let Some(kafka) = self.config.kafka() else {
            tokio::time::sleep(self.config.settle).await;
            return Ok(());
        };
        let patience = self.config.patience;
        let patience = if self.has_failed { patience.min(PATIENCE_AGAIN) } else { patience };
        // One that fails may have lost a session, and is opened anew.
        self.has_failed = true;
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => Stream::open(&self.config, kafka).await?,
        };
        stream.pass(table, patience).await?;
        (self.stream, self.has_failed) = (Some(stream), false);
        Ok(())
    }
}

/// Where the stream is looked at.
struct Stream {
    source: Client,
    target: Client,
    subscription: Subscription,
    prefix: String,
    slot: String,
}

/// Something that has to come on, and since when it has not.
struct Standstill<T> {
    at: T,
    since: Instant,
}

impl<T: PartialEq> Standstill<T> {
    fn new(at: T) -> Self {
        Self { at, since: Instant::now() }
    }

    /// How long it has been here.
    fn is_at(&mut self, at: T) -> Duration {
        if self.at != at {
            *self = Self::new(at);
        }
        self.since.elapsed()
    }
}

impl Stream {
    async fn open(config: &VerifyConfig, kafka: Kafka) -> Result<Self, SinkError> {
        let (source, target) =
            tokio::try_join!(config.source.connect("verify stream"), config.target.connect("verify stream"))?;
        let is_sink_s = target.query_one("SELECT to_regclass('headwater.copies') IS NOT NULL", &[]).await?;
        if !is_sink_s.get::<_, bool>(0) {
            return Err(SinkError::stop(
                "no-copy",
                "the target has no schema headwater: no sink applies changes to it. Compare without --bootstrap-servers",
            ));
        }
        let sql = "SELECT topic_prefix, slot FROM headwater.copies WHERE topic_prefix = coalesce($1, topic_prefix)";
        let copies = target.query(sql, &[&config.topic_prefix]).await?;
        let [copy] = copies.as_slice() else {
            return Err(SinkError::stop(
                "no-copy",
                match &config.topic_prefix {
                    Some(prefix) => format!("the target has no copy of topic prefix {prefix} (headwater.copies)"),
                    None => {
                        format!(
                            "the target has {} copies (headwater.copies): say which by --topic-prefix",
                            copies.len()
                        )
                    }
                },
            ));
        };
        let prefix: String = copy.get(0);
        let subscription = Subscription::of_tables(kafka, &prefix);
        Ok(Self { source, target, subscription, prefix, slot: copy.get(1) })
    }

    async fn pass(&self, table: &Table, patience: Duration) -> Result<(), SinkError> {
        let position: String = self.source.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?.get(0);
        // Commits, for it has a number of its own.
        self.source.query_one("SELECT txid_current()", &[]).await?;
        self.wait_confirmed(&position, patience).await?;
        let all = topics::list(&self.subscription, &[]).await?;
        let mut topics = all.clone();
        let partitions = table.partitions.iter().map(|(schema, name)| (schema.as_str(), name.as_str()));
        let own: Vec<String> = std::iter::once((table.schema.as_str(), table.name.as_str()))
            .chain(partitions)
            .map(|(schema, name)| proto::topic::of_table(&self.prefix, schema, name))
            .collect();
        topics.retain(|topic, _| own.contains(topic));
        // Another table that stands still does not matter. But a transform may have given the table another topic.
        let topics = if topics.is_empty() { all } else { topics };
        let ends = topics::ends(&self.subscription.kafka, &topics).await?;
        self.wait_applied(ends, patience).await
    }

    async fn wait_confirmed(&self, position: &str, patience: Duration) -> Result<(), SinkError> {
        let (slot, mut standstill, mut has_message) = (&self.slot, Standstill::new(String::new()), false);
        loop {
            let row = self.source.query_one(CONFIRMED, &[slot, &position]).await?;
            if row.get::<_, i64>(0) == 0 {
                return Err(SinkError::stop(
                    "slot-missing",
                    format!(
                        "replication slot {slot}, by which the target was copied, is not in the source: changes that were not in \
                     Kafka when it was dropped do not come any more"
                    ),
                ));
            }
            if row.get::<_, bool>(1) {
                return Ok(());
            }
            let at: String = row.get(2);
            let standing = standstill.is_at(at.clone());
            if standing >= patience {
                return Err(SinkError::retry(format!(
                    "the changes of the source do not get to Kafka: it is at {position}, and its replication slot has not been \
                     confirmed any further for {} s ({at}). Look at the worker's connector status",
                    patience.as_secs()
                )));
            }
            if standing >= MESSAGE_AFTER && !std::mem::replace(&mut has_message, true) {
                self.source.query_one("SELECT pg_logical_emit_message(true, 'headwater', '')::text", &[]).await?;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn wait_applied(&self, mut open: topics::Offsets, patience: Duration) -> Result<(), SinkError> {
        let (mut standstill, mut read) = (Standstill::new(Vec::new()), None::<Instant>);
        loop {
            let places: Vec<Place> = open.keys().cloned().collect();
            let stored = ledger::offsets(&self.target, &places).await?;
            let next = |place: &Place| stored.get(place).map(|next| next.offset);
            open.retain(|place, end| next(place).unwrap_or_default() < *end);
            let Some(((topic, partition), end)) = open.first_key_value() else { return Ok(()) };
            let standing = standstill.is_at(open.keys().map(next).collect::<Vec<_>>());
            if standing >= patience {
                return Err(SinkError::retry(format!(
                    "the changes that are in Kafka do not get to the target: for {} s the sink has not come on (topic {topic}, \
                     partition {partition}, at {} of {end}). Look at the sink's /health, and whether one runs",
                    patience.as_secs(),
                    next(&(topic.clone(), *partition)).unwrap_or_default()
                )));
            }
            if standing >= READ_AFTER && read.is_none_or(|read| read.elapsed() >= READ_AGAIN) {
                let begins = open.iter().map(|(place, end)| (place.clone(), (next(place), *end))).collect();
                for place in unread::without_records(&self.subscription, begins).await? {
                    open.remove(&place);
                }
                read = Some(Instant::now());
                continue;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
