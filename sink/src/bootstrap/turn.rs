//! One sink of a prefix at a time is at its start: the copy is made once, and the connector deployed by one.

use std::time::Duration;

use tokio_postgres::Client;

use crate::error::SinkError;

/// How often it is looked whether the other is done.
const LOOK: Duration = Duration::from_millis(500);

/// Waits until no other sink of this prefix starts on this target. `stands_by` is called once if there is one. The turn is this
/// session's, and ends with it: who dies in the middle of a copy leaves it to the next, and who lost the session can no longer
/// store that it copied.
///
/// # Errors
/// Retry when the target went away.
pub async fn take(client: &Client, topic_prefix: &str, stands_by: impl FnOnce()) -> Result<(), SinkError> {
    let mut stands_by = Some(stands_by);
    loop {
        let sql = "SELECT pg_try_advisory_lock(hashtextextended('headwater start of ' || $1, 0))";
        if client.query_one(sql, &[&topic_prefix]).await?.get(0) {
            return Ok(());
        }
        if let Some(stands_by) = stands_by.take() {
            stands_by();
        }
        tokio::time::sleep(LOOK).await;
    }
}
