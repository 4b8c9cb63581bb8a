//! Who applies a prefix's topics to a target: one sink at a time.
//!
//! A sink claims the prefix with a new, larger epoch. Its transactions read that epoch under a lock which the next claim
//! has to wait for: so what commits was applied by the one that owned the prefix at that moment, and a sink that was frozen
//! in the middle of a batch and wakes behind its successor commits nothing. Kafka fences producers in the same way
//! (KIP-98).
//!
//! A sink whose owner is alive stands by: its session is there, and it has said within `SILENCE` that it is alive.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};
use tokio_util::sync::CancellationToken;

use crate::error::SinkError;
use crate::postgres::Database;

/// What creates the table of owners.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS headwater.owners (
     topic_prefix text PRIMARY KEY,
     epoch bigint NOT NULL,
     session int,
     alive_at timestamptz NOT NULL)";

/// How often an owner says that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// An owner that has been silent for so long is followed by another, in PostgreSQL's words.
const SILENCE: &str = "10 seconds";

/// How often one that stands by looks.
const LOOK: Duration = Duration::from_millis(500);

/// A claim on a topic prefix.
#[derive(Debug, Clone)]
pub struct Claim {
    topic_prefix: String,
    epoch: i64,
    lost: CancellationToken,
    why: Arc<Mutex<Option<String>>>,
}

/// What a look at the owner found.
enum Look {
    /// It was alive a moment ago.
    Alive,
    /// There is none, or it is silent.
    Free,
}

impl Claim {
    /// Waits until no other sink applies the prefix, and takes it. `stands_by` is called once if there is one. The prefix is
    /// free again when this program ends, and with it its sessions.
    ///
    /// # Errors
    /// Retry when the target went away; stop when the role may not end the session of a sink that fell silent.
    pub async fn take(target: &Database, topic_prefix: &str, stands_by: impl FnOnce()) -> Result<Self, SinkError> {
        let mut client = target.connect("owner").await?;
        let mut stands_by = Some(stands_by);
        let epoch = loop {
            match look(&client, topic_prefix).await? {
                Look::Alive => {
                    if let Some(stands_by) = stands_by.take() {
                        stands_by();
                    }
                    tokio::time::sleep(LOOK).await;
                }
                Look::Free => {
                    if let Some(epoch) = try_take(&mut client, topic_prefix).await? {
                        break epoch;
                    }
                }
            }
        };
        tracing::info!(topic_prefix, epoch, "this sink applies the changes from here on");
        let claim =
            Self { topic_prefix: topic_prefix.to_owned(), epoch, lost: CancellationToken::new(), why: Arc::default() };
        tokio::spawn(claim.clone().keep(target.clone(), client));
        Ok(claim)
    }

    /// Makes sure, until the transaction ends, that this claim is the newest.
    ///
    /// # Errors
    /// Stop when it is not; the claim is [lost](Self::lost) then.
    pub async fn hold(&self, transaction: &Transaction<'_>) -> Result<(), SinkError> {
        // The sign of life changes no key and does not wait for this lock; the next claim does.
        let sql = "SELECT epoch FROM headwater.owners WHERE topic_prefix = $1 FOR KEY SHARE";
        let row = transaction.query_opt(sql, &[&self.topic_prefix]).await?;
        if row.is_some_and(|row| row.get::<_, i64>(0) == self.epoch) { Ok(()) } else { Err(self.lose()) }
    }

    /// Whether another sink has taken over.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Completes when another sink has taken over, with what is to be said then.
    pub async fn lost(&self) -> SinkError {
        self.lost.cancelled().await;
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        SinkError::stop(why.unwrap_or_default())
    }

    fn lose(&self) -> SinkError {
        let text = format!(
            "another sink has taken over the topics of prefix {}: this one (epoch {}) did not say that it was alive for more than \
             {SILENCE}. What it had not committed was rolled back, and the other applies it; nothing is lost or applied twice. \
             This one stops. Started again, it stands by until the other ends",
            self.topic_prefix, self.epoch
        );
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text.clone());
        self.lost.cancel();
        SinkError::stop(text)
    }

    /// Says that the owner is alive, until it has lost the claim.
    async fn keep(self, target: Database, client: Client) {
        let mut session = Some(client);
        loop {
            tokio::select! {
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
                () = self.lost.cancelled() => return,
            }
            let client = match session.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => match target.connect("owner").await {
                    Ok(client) => client,
                    Err(error) => {
                        tracing::debug!(%error, "the owner's session cannot be opened");
                        continue;
                    }
                },
            };
            match self.sign(&client).await {
                Ok(true) => session = Some(client),
                Ok(false) => {
                    self.lose();
                    return;
                }
                Err(error) => tracing::debug!(%error, "no sign of life"),
            }
        }
    }

    /// Whether the claim still is the newest.
    async fn sign(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let sql = "UPDATE headwater.owners SET alive_at = clock_timestamp(), session = pg_backend_pid()
                   WHERE topic_prefix = $1 AND epoch = $2";
        Ok(client.execute(sql, &[&self.topic_prefix, &self.epoch]).await? == 1)
    }
}

/// Whether the owner is alive, by the server's clock and its list of sessions.
async fn look(client: &Client, topic_prefix: &str) -> Result<Look, SinkError> {
    let sql = format!(
        "SELECT FROM headwater.owners WHERE topic_prefix = $1 AND alive_at > clock_timestamp() - interval '{SILENCE}'
         AND session IN (SELECT pid FROM pg_stat_activity)"
    );
    Ok(if client.query_opt(&sql, &[&topic_prefix]).await?.is_some() { Look::Alive } else { Look::Free })
}

/// Takes the prefix with the next epoch; `None` when somebody was faster, or a silent owner's transaction had to be ended first.
async fn try_take(client: &mut Client, topic_prefix: &str) -> Result<Option<i64>, SinkError> {
    client
        .execute(
            "INSERT INTO headwater.owners (topic_prefix, epoch, alive_at) VALUES ($1, 0, '-infinity')
             ON CONFLICT DO NOTHING",
            &[&topic_prefix],
        )
        .await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute("SET LOCAL lock_timeout = '2s'").await?;
    let lock = "SELECT FROM headwater.owners WHERE topic_prefix = $1 FOR UPDATE";
    match transaction.query_one(lock, &[&topic_prefix]).await {
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            transaction.rollback().await?;
            end_silent_transactions(client).await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    // Of two that stand by, the one that waited for the lock sees that the other is alive.
    if matches!(look(transaction.client(), topic_prefix).await?, Look::Alive) {
        return Ok(None);
    }
    let row = transaction
        .query_one(
            "UPDATE headwater.owners SET epoch = epoch + 1, session = pg_backend_pid(), alive_at = clock_timestamp()
             WHERE topic_prefix = $1 RETURNING epoch",
            &[&topic_prefix],
        )
        .await?;
    transaction.commit().await?;
    Ok(Some(row.get(0)))
}

/// Ends the sessions in whose transactions a silent owner applies: their locks would stand in the way for as long as it is
/// frozen.
async fn end_silent_transactions(client: &Client) -> Result<(), SinkError> {
    let sql = "SELECT DISTINCT a.pid, pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE l.relation = 'headwater.owners'::regclass AND l.mode = 'RowShareLock'
               AND a.application_name <> 'Headwater sink owner'";
    let ended = client.query(sql, &[]).await.map_err(|error| {
        SinkError::from(error).while_doing(
            "another sink has fallen silent in the middle of a batch, and its session to the target cannot be ended: end it \
             with pg_terminate_backend, or start this sink under the same role",
        )
    })?;
    tracing::warn!(sessions = ended.len(), "ended the open transactions of a sink that fell silent");
    Ok(())
}
