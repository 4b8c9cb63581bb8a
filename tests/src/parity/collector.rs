//! Everything that comes to the harness's topics, from their beginning.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::record::{Content, Record, Whole};
use super::scenario::{Meta, Patterns};

/// Reads all partitions of all topics of the harness in a thread of its own, new ones too.
#[derive(Debug)]
pub(crate) struct Collector {
    collected: Arc<Mutex<Collected>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Debug)]
struct Collected {
    records: Vec<(i64, Record)>,
    counted: usize,
    last: Instant,
}

/// Whether a topic is the harness's: the base configuration's prefix, and what scenarios name themselves.
pub(crate) fn is_ours(topic: &str) -> bool {
    ["srv", "px-", "__debezium-heartbeat.srv"].iter().any(|prefix| topic.starts_with(prefix))
}

impl Collector {
    /// Begins to read.
    ///
    /// # Errors
    /// The broker's address is none.
    pub(crate) fn start(bootstrap_servers: &str, meta: &Meta, patterns: &Patterns) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("group.id", "parity")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .set("log_level", "0")
            .create()?;
        let collected = Arc::new(Mutex::new(Collected { records: Vec::new(), counted: 0, last: Instant::now() }));
        let ends = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            consumer,
            collected: Arc::clone(&collected),
            timestamps: meta.timestamps,
            patterns: patterns.clone(),
            assigned: HashSet::new(),
        };
        let (mut reader, end) = (reader, Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                reader.look_for_topics()?;
                reader.read_for(Duration::from_millis(200))?;
            }
            Ok(())
        });
        Ok(Self { collected, ends, thread: Some(thread) })
    }

    /// How many records came, without those that come in any number.
    pub(crate) fn count(&self) -> usize {
        lock(&self.collected).counted
    }

    /// When the last of those came.
    pub(crate) fn last(&self) -> Instant {
        lock(&self.collected).last
    }

    /// Ends, and gives all records in their topics', partitions' and offsets' order.
    ///
    /// # Errors
    /// Why reading failed.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<Record>> {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the thread that reads the topics panicked"))??;
        }
        let mut records = std::mem::take(&mut lock(&self.collected).records);
        records.sort_by(|(one, first), (other, second)| {
            (&first.topic, first.partition, one).cmp(&(&second.topic, second.partition, other))
        });
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn lock(collected: &Mutex<Collected>) -> std::sync::MutexGuard<'_, Collected> {
    collected.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reader {
    consumer: BaseConsumer,
    collected: Arc<Mutex<Collected>>,
    timestamps: bool,
    patterns: Patterns,
    assigned: HashSet<(String, i32)>,
}

impl Reader {
    fn look_for_topics(&mut self) -> anyhow::Result<()> {
        let metadata = self.consumer.fetch_metadata(None, Duration::from_secs(10)).context("Kafka's topics")?;
        let mut new = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| is_ours(topic.name())) {
            for partition in topic.partitions() {
                if self.assigned.insert((topic.name().to_owned(), partition.id())) {
                    new.add_partition_offset(topic.name(), partition.id(), Offset::Offset(0))?;
                }
            }
        }
        if new.count() > 0 {
            self.consumer.incremental_assign(&new)?;
        }
        Ok(())
    }

    fn read_for(&self, time: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            // A topic that is being made has errors, which pass.
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(50)) else { continue };
            let counts = self.patterns.counts(message.topic())?;
            let record = record(&message, self.timestamps);
            let mut collected = lock(&self.collected);
            collected.records.push((message.offset(), record));
            if counts {
                collected.counted += 1;
                collected.last = Instant::now();
            }
        }
        Ok(())
    }
}

fn record(message: &BorrowedMessage<'_>, timestamps: bool) -> Record {
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(text))).collect::<Vec<_>>()
    });
    let whole = Whole {
        key: message.key().map(text),
        value: message.payload().map(text),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis().filter(|_| timestamps),
    };
    Record { topic: message.topic().to_owned(), partition: message.partition(), content: Content::Whole(whole) }
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| format!("{text}{byte:02x}")),
    }
}
