//! Records that shall not wait for company (`linger.ms` where nobody sets it).
//!
//! librdkafka sends a partition's records when a batch is full, or the oldest of them has waited for `linger.ms`. A short linger
//! costs much while there is a backlog: of an idempotent producer's records a partition has one request under way, and until it is
//! answered librdkafka's thread asks without a pause whether the next may go, because its records have waited long enough. A
//! long one costs every lone record that time. So here the linger is long, and who has nothing more at hand says so: then what is
//! there is sent.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::kafka::producer::ReportedProducer;
use rdkafka::bindings::rd_kafka_flush;
use rdkafka::producer::{Producer, ProducerContext};

use super::ledger::Ledger;

/// What `linger.ms` is then, in milliseconds: longer than a full queue takes to get to Kafka. Nothing waits so long.
pub(super) const LONG_LINGER: &str = "2000";

/// How long librdkafka is kept at sending at once, in milliseconds. Its threads have heard of it long before.
const WINDOW_MS: i32 = 2;

/// How long it is let alone then while records wait for the answer to those before them: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Has records sent at once, on a thread of its own: librdkafka answers only when they are there.
#[derive(Debug)]
pub(super) struct Hurry {
    asked: Arc<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_asked: bool,
    is_over: bool,
}

impl Hurry {
    /// For a producer's records, which are counted in `ledger`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn new<C: ProducerContext + 'static>(
        producer: ReportedProducer<C>,
        ledger: Arc<Ledger>,
    ) -> std::io::Result<Self> {
        let asked = Arc::new(Asked::default());
        let theirs = asked.clone();
        std::thread::Builder::new().name("hurry".to_owned()).spawn(move || {
            while theirs.wait() {
                let last = ledger.enqueued();
                let mut pause = PAUSES.0;
                while !send_at_once(&producer, WINDOW_MS) && ledger.acknowledged() < last && !theirs.is_over_in(pause) {
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        })?;
        Ok(Self { asked })
    }

    /// Has what is enqueued sent.
    pub(super) fn ask(&self) {
        self.asked.lock().is_asked = true;
        self.asked.changed.notify_one();
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.asked.lock().is_over = true;
        self.asked.changed.notify_one();
    }
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody asks; `false` when nobody will any more.
    fn wait(&self) -> bool {
        let waited = self.changed.wait_while(self.lock(), |state| !state.is_asked && !state.is_over);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_asked = false;
        !state.is_over
    }

    /// Waits for so long, whoever asks meanwhile; `true` when nobody will any more.
    fn is_over_in(&self, pause: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), pause, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

/// Sends what is enqueued, as far as Kafka has answered to what was sent before, and waits for so many milliseconds at most until
/// everything is there and reported. Whether it is.
pub(super) fn send_at_once<C: ProducerContext>(producer: &ReportedProducer<C>, longest_ms: i32) -> bool {
    let client = producer.client().native_ptr();
    // The crate's own `flush` keeps librdkafka at it for no time at all, which its threads can miss.
    #[expect(unsafe_code, reason = "there is no other way to say it")]
    // SAFETY: rd_kafka_flush may be called from any thread while the client is there, and `producer` keeps it.
    let answered = unsafe { rd_kafka_flush(client, longest_ms) };
    !rdkafka::error::IsError::is_error(&answered)
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseRecord, DefaultProducerContext};

    use super::*;

    /// A linger of minutes: without hurry the record is still waiting when the test gives up.
    #[test]
    fn a_lone_record_does_not_wait_for_company_where_nothing_more_is_at_hand() -> anyhow::Result<()> {
        let cluster = MockCluster::new(1)?;
        cluster.create_topic("t", 1, 1)?;
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("enable.idempotence", "true")
            .set("linger.ms", "200000");
        let producer = ReportedProducer::new(&settings, DefaultProducerContext)?;
        let ledger = Arc::new(Ledger::default());
        let hurry = Hurry::new(producer.clone(), ledger.clone())?;
        ledger.enqueue();
        producer.send(BaseRecord::to("t").key("k").payload("")).map_err(|(error, _)| error)?;
        hurry.ask();
        let begun = std::time::Instant::now();
        while producer.in_flight_count() > 0 {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "it is not sent");
            std::thread::yield_now();
        }
        Ok(())
    }
}
