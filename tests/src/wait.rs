//! Waiting for a condition.

use std::time::{Duration, Instant};

use anyhow::bail;

/// What a look at a condition found.
#[derive(Debug)]
pub enum Condition<T> {
    /// It holds.
    Met(T),
    /// It does not hold yet, and how things stand.
    NotYet(String),
}

/// Looks again and again until the condition holds. An error of a look ends the waiting.
///
/// # Errors
/// The look's; or that it took too long, with how things stood last.
pub async fn wait_until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Condition<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        let standing = match look().await? {
            Condition::Met(value) => return Ok(value),
            Condition::NotYet(standing) => standing,
        };
        if begun.elapsed() > within {
            bail!("waited {} s in vain for {what}: {standing}", within.as_secs());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
