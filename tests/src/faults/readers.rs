//! Who reads the target all the time, and whether they see what the source never was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::postgres;

/// In every state of the source: transfers move money and make none, and the transfer that an account names is there.
const IS_WHOLE: &str = "SELECT (SELECT sum(balance) = 500000 FROM accounts WHERE id > 0) AND NOT EXISTS (
    SELECT FROM accounts WHERE owner LIKE 'transfer %'
    AND split_part(owner, ' ', 2)::bigint > (SELECT coalesce(max(id), 0) FROM transfers))";

/// How long a reader waits between two looks, and for a target that is away.
const LOOKING: Duration = Duration::from_millis(10);
const AWAY: Duration = Duration::from_millis(200);

/// A reader, until it is dropped.
pub struct Reader {
    _stop: DropGuard,
    seen: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
}

impl Reader {
    /// Begins to read.
    pub fn begin(target: &str) -> Self {
        let stop = CancellationToken::new();
        let (seen, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let reader = Self { _stop: stop.clone().drop_guard(), seen: seen.clone(), broken: broken.clone() };
        let target = target.to_owned();
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let Ok(client) = postgres::connect(&target).await else {
                    tokio::time::sleep(AWAY).await;
                    continue;
                };
                // Until its session ends.
                while let Ok(row) = client.query_one(IS_WHOLE, &[]).await {
                    if stop.is_cancelled() {
                        return;
                    }
                    seen.fetch_add(1, Ordering::Relaxed);
                    broken.fetch_add(u64::from(row.get::<_, Option<bool>>(0) == Some(false)), Ordering::Relaxed);
                    tokio::time::sleep(LOOKING).await;
                }
            }
        });
        reader
    }

    /// How often it looked, and how often it saw a half of a transaction.
    pub fn found(&self) -> (u64, u64) {
        (self.seen.load(Ordering::Relaxed), self.broken.load(Ordering::Relaxed))
    }
}
