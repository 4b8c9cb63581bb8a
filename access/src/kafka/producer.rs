//! A producer with a thread that takes the reports of its deliveries.
//!
//! The crate's own (`ThreadedProducer`) waits for a report for 100 ms at a time, counts in whole milliseconds what is left of them,
//! and asks without a pause for the last one: a hundredth of a processor for each producer, whether it has anything to do or not.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, ProducerContext};

/// How long the thread waits for a report before it looks whether it is to end. With whole milliseconds and a moment nothing is left
/// of the last one when the wait is over.
const WAIT: Duration = Duration::from_micros(200_050);

/// A producer and its thread. Dropping the last handle ends both, which takes up to 200 ms: no record is sent behind that.
pub struct ReportedProducer<C: ProducerContext + 'static> {
    running: Arc<Running<C>>,
}

struct Running<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<C: ProducerContext + 'static> ReportedProducer<C> {
    /// A producer of these settings, whose deliveries `context` is told of, on the thread.
    ///
    /// # Errors
    /// The client's to a setting, or that the system gives no thread.
    pub fn new(settings: &ClientConfig, context: C) -> Result<Self, KafkaError> {
        let producer: Arc<BaseProducer<C>> = Arc::new(settings.create_with_context(context)?);
        let is_over = Arc::new(AtomicBool::new(false));
        let (theirs, ends) = (producer.clone(), is_over.clone());
        let thread = std::thread::Builder::new().name("kafka reports".to_owned()).spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                theirs.poll(WAIT);
            }
        });
        let thread = thread.map_err(|_| KafkaError::Global(RDKafkaErrorCode::CriticalSystemResource))?;
        Ok(Self { running: Arc::new(Running { producer, is_over, thread: Some(thread) }) })
    }
}

impl<C: ProducerContext + 'static> Clone for ReportedProducer<C> {
    fn clone(&self) -> Self {
        Self { running: self.running.clone() }
    }
}

impl<C: ProducerContext + 'static> Deref for ReportedProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &Self::Target {
        &self.running.producer
    }
}

impl<C: ProducerContext + 'static> Drop for Running<C> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that took the reports of deliveries had panicked");
        }
    }
}
