//! Stores safe positions and says when the slot may be confirmed up to them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::failpoint;
use proto::lsn::Lsn;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::TaskError;
use crate::pipeline::TaskContext;
use crate::publish::producer::RecordProducer;

/// Behind so many acknowledged records a position is stored without waiting for the interval: they would come twice if the
/// process were killed.
const MANY: u64 = 500;
/// How often they are counted: where records come fast or wait, and where they come one by one.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_AT_REST: Duration = Duration::from_millis(100);

/// Runs until `stop`, and once more then: takes the ledger's safe checkpoint every `offset.flush.interval.ms`, and sooner when
/// much is published, stores its offset, and only when Kafka has it, lets `confirmed` say so. Where records are published in
/// transactions, it ends those instead; the offset is in them.
///
/// # Errors
/// Those of the offset topic and of transactions.
pub async fn run(
    context: TaskContext,
    producer: Arc<RecordProducer>,
    confirmed: watch::Sender<Lsn>,
    stop: CancellationToken,
) -> Result<(), TaskError> {
    let every = producer.commit_interval().unwrap_or(context.worker.offset_flush_interval);
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stopping = tokio::select! {
            _ = interval.tick() => false,
            () = many(&producer) => false,
            () = producer.rested() => false,
            () = stop.cancelled() => true,
        };
        producer.commit(stopping).await?;
        if let Some(checkpoint) = producer.ledger().take_safe() {
            failpoint::reached("position-not-stored");
            if !producer.is_transactional()
                && let Some(offset) = producer.positions().of(&checkpoint)?
            {
                producer.positions().write(&offset).await?;
            }
            failpoint::reached("position-stored");
            if let Some(flush) = checkpoint.flush {
                context.metrics.confirmed_lsn.set(flush.as_u64() as f64);
                context.metrics.live.confirmed.store(flush.as_u64(), Ordering::Relaxed);
                confirmed.send_replace(flush);
            }
        }
        if stopping {
            return Ok(());
        }
    }
}

/// Completes when many records are acknowledged whose position is not stored. In transactions none is without.
///
/// What was enqueued by somebody who does not say that nothing more is at hand, a snapshot for example, is sent meanwhile where
/// Kafka has nothing to acknowledge otherwise.
async fn many(producer: &RecordProducer) {
    if producer.is_transactional() {
        return std::future::pending().await;
    }
    let stored = producer.ledger().acknowledged();
    let (mut before, mut pause) = (stored, LOOK);
    loop {
        tokio::time::sleep(pause).await;
        let acknowledged = producer.ledger().acknowledged();
        if acknowledged >= stored + MANY {
            return;
        }
        let waiting = producer.ledger().in_flight() as u64;
        if acknowledged == before && waiting > 0 {
            producer.send_now();
        }
        pause = if acknowledged - before + waiting > MANY / 20 { LOOK } else { LOOK_AT_REST };
        before = acknowledged;
    }
}
