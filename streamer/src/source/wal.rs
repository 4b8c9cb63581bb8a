//! The replication stream: what the server sends of a slot, and what it is told.
//!
//! What the bytes mean is `proto`'s, and what may be confirmed is the [ledger](crate::publish)'s. The server is told that we are
//! alive by a task of its own, also while we are slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, Bytes};
use pgwire_replication::PgWireError;
use pgwire_replication::protocol::framing::{write_copy_data, write_copy_done};
use pgwire_replication::protocol::replication::{
    PG_EPOCH_MICROS, ReplicationCopyData, encode_standby_status_update, parse_copy_data,
};
use proto::lsn::Lsn;
use proto::oid::Oid;
use proto::pgoutput::{self, Message};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::quote_identifier;
use super::session::{self, sqlstate_needs_a_person};
use super::walsender::{Inbox, Session, Socket};
use crate::config::{Connection, ConnectorConfig};
use crate::error::TaskError;

/// A message of more bytes is looked at before it is read: reading takes as much memory.
const LARGE: usize = 8 << 20;

/// How long the server may take to end the session. One that sends a large transaction looks up late.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a server that is ahead is let alone: a reader that waits has it send a row at a time, and wake it for each. 300 µs do as
/// well, and a millisecond is the least that tokio's timers know.
const PILING_UP: Duration = Duration::from_millis(1);

/// How often the server is told how far a temporary slot is, which is how much of its log that holds back.
const TEMPORARY_STATUS: Duration = Duration::from_secs(1);

/// What the stream brings.
#[derive(Debug)]
pub enum WalEvent {
    /// A decoded message and the LSN its WAL record starts at (`0/0` for a Relation; where a transaction ends for its Begin and Commit).
    Message(Lsn, Message),
    /// The next message is a large row. It is read when the next event is asked for.
    Large(LargeRow),
    /// Everything up to here was sent (the server's last sent position, whatever the manual calls it).
    Keepalive(Lsn),
}

impl WalEvent {
    /// Where it is.
    pub fn lsn(&self) -> Lsn {
        match self {
            Self::Message(lsn, _) | Self::Keepalive(lsn) => *lsn,
            Self::Large(row) => row.lsn,
        }
    }
}

/// What is known of a row before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeRow {
    /// The LSN of its WAL record.
    pub lsn: Lsn,
    /// What happened to it.
    pub change: RowChange,
    /// Its table.
    pub relation: Oid,
    /// How many bytes the server sends.
    pub bytes: usize,
}

/// What can happen to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// It is new.
    Insert,
    /// It has other values, and perhaps another key.
    Update,
    /// It is gone.
    Delete,
}

impl LargeRow {
    /// How much of an XLogData message says it: the LSN where its record starts, two more numbers, and the first of the row's message,
    /// its kind and its table.
    const SAID_IN: usize = 1 + 3 * 8 + 1 + 4;

    /// What the beginning of an XLogData message of so many bytes says; `None` when it brings no row.
    fn of(mut beginning: &[u8], bytes: usize) -> Option<Self> {
        if beginning.len() < Self::SAID_IN || beginning.get_u8() != b'w' {
            return None;
        }
        let lsn = Lsn::from(beginning.get_u64());
        beginning.advance(16);
        let change = match beginning.get_u8() {
            b'I' => RowChange::Insert,
            b'U' => RowChange::Update,
            b'D' => RowChange::Delete,
            _ => return None,
        };
        Some(Self { lsn, change, relation: Oid::from(beginning.get_u32()), bytes: bytes - Self::SAID_IN })
    }
}

/// An open replication stream. Dropping it ends the session.
pub struct WalStream {
    socket: ReadHalf<Box<dyn Socket>>,
    inbox: Inbox,
    /// Whether the next message was told of as a large row.
    is_announced: bool,
    status: Arc<Status>,
    reporter: AbortOnDropHandle<Result<(), PgWireError>>,
    slot: String,
    process: Option<i32>,
}

impl std::fmt::Debug for WalStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalStream").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl WalStream {
    /// Starts streaming behind `start`, which must be durably published: the server does not send what is before it.
    /// `Lsn::ZERO` starts at the slot's own confirmed position.
    ///
    /// # Errors
    /// Retry while another session holds the slot or the server is away; stop when slot or publication are missing.
    pub async fn start(config: &ConnectorConfig, start: Lsn) -> Result<Self, TaskError> {
        let session = Session::open(&config.connection).await?;
        Self::over(session, &config.slot.name, &config.publication.name, start, config.status_update_interval).await
    }

    /// Streams what is committed from now on over a slot of its own, which ends with the session. Other slots stay as they are. The
    /// server keeps its log from the last [confirmation](Self::confirm) on.
    ///
    /// # Errors
    /// Stop when the role may not, or every slot is taken (`max_replication_slots`).
    pub async fn temporary(connection: &Connection, publication: &str) -> Result<Self, TaskError> {
        let mut session = Session::open(connection).await?;
        let slot = format!("headwater_tail_{}", session.process().unwrap_or_default());
        let what = format!("creating the temporary slot {slot}");
        let create = format!(
            "CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')",
            quote_identifier(&slot)
        );
        session.query(&what, &create).await?;
        Self::over(session, &slot, publication, Lsn::ZERO, TEMPORARY_STATUS).await
    }

    async fn over(
        session: Session,
        slot: &str,
        publication: &str,
        start: Lsn,
        status_interval: Duration,
    ) -> Result<Self, TaskError> {
        let process = session.process();
        // The server folds the names in publication_names to lower case unless they are quoted. Its grammar here knows no
        // backslashes.
        let publication = quote_identifier(publication).replace('\'', "''");
        let start = format!(
            "START_REPLICATION SLOT {} LOGICAL {start} (proto_version '1', publication_names '{publication}', messages 'true')",
            quote_identifier(slot)
        );
        let (socket, inbox) = session.stream(&format!("starting replication from slot {slot}"), &start).await?;
        let (socket, writer) = tokio::io::split(socket);
        let status = Arc::new(Status::default());
        let reporter = tokio::spawn(report(writer, status.clone(), status_interval));
        let reporter = AbortOnDropHandle::new(reporter);
        Ok(Self { socket, inbox, is_announced: false, status, reporter, slot: slot.to_owned(), process })
    }

    /// The slot that it reads.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// The server's process that sends it.
    pub fn process(&self) -> Option<i32> {
        self.process
    }

    /// The next event. `idle` is called when the server has sent nothing more for now. Cancel safe.
    ///
    /// # Errors
    /// Retry when the session ended; stop when the server can no longer serve the slot, or sent what cannot be decoded.
    pub async fn next(&mut self, idle: impl Fn()) -> Result<WalEvent, TaskError> {
        // A server that is ahead would never let go of this thread otherwise.
        tokio::task::coop::consume_budget().await;
        loop {
            if let Some(event) = self.ready()? {
                return Ok(event);
            }
            if self.inbox.lets_pile_up() {
                tokio::time::sleep(PILING_UP).await;
                self.inbox.has_piled_up();
            }
            let arrived = self.arrived(&idle).await;
            match arrived.map_err(|error| self.broken(&error))? {
                Arrived::Large(row) => return Ok(WalEvent::Large(row)),
                Arrived::Message(kind, body) => {
                    if let Some(event) = self.event(kind, body)? {
                        return Ok(event);
                    }
                }
            }
        }
    }

    /// The next event, if all of it is here already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn ready(&mut self) -> Result<Option<WalEvent>, TaskError> {
        while let Some((kind, body)) = self.inbox.whole(LARGE).map_err(|error| self.broken(&error))? {
            let event = self.event(kind, body)?;
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn broken(&self, error: &PgWireError) -> TaskError {
        replication_error(&format!("reading slot {}", self.slot), error)
    }

    /// What a message of the server's means; `None` for a notice or a changed parameter.
    fn event(&self, kind: u8, body: Bytes) -> Result<Option<WalEvent>, TaskError> {
        match kind {
            b'd' => {}
            // CopyDone, CommandComplete, ReadyForQuery.
            b'c' | b'C' | b'Z' => {
                return Err(TaskError::retry(format!(
                    "the server ended the replication session of slot {}",
                    self.slot
                )));
            }
            _ => return Ok(None),
        }
        match parse_copy_data(body).map_err(|error| self.broken(&error))? {
            ReplicationCopyData::KeepAlive { wal_end, reply_requested, .. } => {
                if reply_requested {
                    self.status.is_asked.notify_one();
                }
                Ok(Some(WalEvent::Keepalive(Lsn::from(wal_end.as_u64()))))
            }
            ReplicationCopyData::XLogData { wal_start, data, .. } => {
                let lsn = Lsn::from(wal_start.as_u64());
                let message = self.decode(lsn, data)?;
                let lsn = match &message {
                    Message::Begin(begin) => begin.final_lsn,
                    Message::Commit(commit) => commit.end_lsn,
                    Message::LogicalMessage(message) => message.lsn,
                    _ => lsn,
                };
                Ok(Some(WalEvent::Message(lsn, message)))
            }
        }
    }

    async fn arrived(&mut self, idle: impl Fn()) -> Result<Arrived, PgWireError> {
        let read = async {
            let (kind, bytes) = self.inbox.head(&mut self.socket).await?;
            if kind == b'd' && bytes > LARGE && !self.is_announced {
                let beginning = self.inbox.beginning(&mut self.socket, LargeRow::SAID_IN).await?;
                if let Some(row) = LargeRow::of(beginning, bytes) {
                    self.is_announced = true;
                    return Ok(Arrived::Large(row));
                }
            }
            let (kind, body) = self.inbox.message(&mut self.socket).await?;
            self.is_announced = false;
            Ok(Arrived::Message(kind, body))
        };
        let mut read = std::pin::pin!(read);
        let read = std::future::poll_fn(|context| {
            let read = read.as_mut().poll(context);
            if read.is_pending() {
                idle();
            }
            read
        });
        tokio::select! {
            biased;
            arrived = read => arrived,
            // The server is not told any more that we are alive, and would end the session.
            ended = &mut self.reporter => {
                ended.map_err(|error| PgWireError::Task(error.to_string()))??;
                Err(PgWireError::Task("nothing is reported to the server any more".to_owned()))
            }
        }
    }

    fn decode(&self, lsn: Lsn, data: Bytes) -> Result<Message, TaskError> {
        pgoutput::decode(data).map_err(|error| {
            TaskError::stop("protocol-unknown", format!(
                "slot {} sent a message at {lsn} that is not pgoutput protocol version 1; nothing behind it was read, \
                 and the server keeps it. Report it with the server's version",
                self.slot
            ))
            .because(error)
        })
    }

    /// Lets the server forget everything up to `lsn`. Of a connector's slot only the committer calls it, behind Kafka's
    /// acknowledgement and the stored position. It never goes back.
    pub fn confirm(&self, lsn: Lsn) {
        self.status.confirmed.fetch_max(lsn.as_u64(), Ordering::Relaxed);
    }

    /// Ends the stream and waits until the session is over, so that the slot is free when this returns; not longer than half a
    /// second.
    pub async fn close(mut self) {
        self.status.is_over.cancel();
        let ended = async {
            (&mut self.reporter).await.map_err(|error| PgWireError::Task(error.to_string()))??;
            // What was under way still comes, and then ReadyForQuery, with the slot given up.
            while self.inbox.message(&mut self.socket).await?.0 != b'Z' {}
            Ok::<_, PgWireError>(())
        };
        let ended = tokio::time::timeout(LAST_WORDS, ended).await;
        tracing::debug!(?ended, slot = %self.slot, "replication session ended");
    }
}

/// What came.
enum Arrived {
    /// A large row is coming.
    Large(LargeRow),
    /// A message, by kind and body.
    Message(u8, Bytes),
}

/// What the server is told.
#[derive(Debug, Default)]
struct Status {
    /// It may forget everything up to here. Nothing at first: only what is stored with the position confirms the slot.
    confirmed: AtomicU64,
    /// It wants to know at once.
    is_asked: Notify,
    /// It shall stop sending.
    is_over: CancellationToken,
}

/// Tells the server in every interval how far it may forget, and so that we are alive, until it is over.
async fn report(
    mut socket: WriteHalf<Box<dyn Socket>>,
    status: Arc<Status>,
    interval: Duration,
) -> Result<(), PgWireError> {
    let mut is_asked = false;
    loop {
        let confirmed = pgwire_replication::Lsn::from_u64(status.confirmed.load(Ordering::Relaxed));
        // Asked, we ask back: its answer says how far it is behind what we confirm.
        write_copy_data(&mut socket, &encode_standby_status_update(confirmed, now_us(), is_asked)).await?;
        is_asked = tokio::select! {
            () = status.is_over.cancelled() => return write_copy_done(&mut socket).await,
            () = status.is_asked.notified() => true,
            () = tokio::time::sleep(interval) => false,
        };
    }
}

/// The time as the protocol counts it: microseconds since 2000.
fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX) - PG_EPOCH_MICROS
}

/// Turns the crate's error into ours. It carries the SQLSTATE only inside the text.
pub(super) fn replication_error(what: &str, error: &PgWireError) -> TaskError {
    let text = format!("{what}: {error}");
    match error {
        PgWireError::Server(_) | PgWireError::Auth(_) => match sqlstate(&error.to_string()) {
            Some("55006") => TaskError::retry(format!(
                "{text}. Another session reads the slot: a second connector with the same slot.name, or one that is \
                 just ending"
            )),
            Some(code) => {
                let failure = if sqlstate_needs_a_person(code) {
                    TaskError::stop("server-refused", &text)
                } else {
                    TaskError::retry(&text)
                };
                match remedy(code, &text).filter(|_| !failure.is_retry()) {
                    Some((id, remedy)) => failure.called(id).mended_by(remedy),
                    None => failure,
                }
            }
            None if matches!(error, PgWireError::Auth(_)) => TaskError::stop("login-refused", text),
            None => TaskError::retry(text),
        },
        PgWireError::Tls(_) | PgWireError::MessageTooLarge { .. } => TaskError::stop("replication-session", text),
        _ => TaskError::retry(text),
    }
}

/// The SQLSTATE behind the server's words.
pub(super) fn sqlstate(text: &str) -> Option<&str> {
    let (_, code) = text.rsplit_once("(SQLSTATE ")?;
    code.get(..5)
}

fn remedy(code: &str, text: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "28P01" | "28000" => ("login-refused", session::LOGIN),
        "42704" if text.contains("publication") => (
            "publication-missing",
            "It is looked up as of each change: what was changed while it was not there cannot be decoded, also when it is made \
             anew. Nothing was skipped. Drop the slot, delete the connector's offsets and start with snapshot.mode=initial, so that \
             the tables are read anew",
        ),
        "55000" if text.contains("invalidated") || text.contains("no longer") => (
            "slot-lost",
            "The slot is lost, and with it what was changed since its position: drop it, delete the connector's offsets and start \
             with snapshot.mode=initial",
        ),
        "42501" => ("role-replication", "Give the role the right: ALTER ROLE ... REPLICATION"),
        "55000" if text.contains("wal_level") => {
            ("wal-level", "Set wal_level = logical in postgresql.conf and restart the server")
        }
        "42704" if text.contains("replication slot") => (
            "slot-missing",
            "A slot that is made by hand begins behind what was changed meanwhile. Read the tables anew: stop the connector, delete its \
             offsets, set snapshot.mode=initial, resume; or set snapshot.mode=when_needed",
        ),
        "58P01" => (
            "slot-lost",
            "The WAL that the slot needs is gone: changes are lost to this slot. Drop the slot, delete the connector's \
             offsets and start with snapshot.mode=initial",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_by_the_beginning_of_its_message() {
        let message = |kind: &[u8]| [b"w", &[0; 7][..], &[9], &[0; 16], kind, &[0, 0, 0x40, 1]].concat();
        let row = |change| Some(LargeRow { lsn: Lsn::from(9), change, relation: Oid::from(0x4001), bytes: 70 });
        assert_eq!(LargeRow::of(&message(b"I"), 100), row(RowChange::Insert));
        assert_eq!(LargeRow::of(&message(b"U"), 100), row(RowChange::Update));
        assert_eq!(LargeRow::of(&message(b"D"), 100), row(RowChange::Delete));
        assert_eq!(LargeRow::of(&message(b"M"), 100), None, "an application's message");
        assert_eq!(LargeRow::of(&message(b"I")[..20], 100), None, "less than says it");
    }

    #[test]
    fn the_sqlstate_in_the_text_decides_between_retry_and_stop() {
        let of = |code: &str| {
            replication_error("reading slot s", &PgWireError::Server(format!("some text (SQLSTATE {code})")))
        };
        assert!(of("55006").is_retry(), "a slot still held by an ending session frees itself");
        assert!(of("57P01").is_retry(), "the server is shutting down");
        assert!(!of("42704").is_retry(), "a missing slot does not come back");
        assert!(!of("58P01").is_retry(), "removed WAL does not come back");
        assert!(!of("28P01").is_retry(), "a wrong password stays wrong");
    }

    #[test]
    fn an_error_without_a_sqlstate_is_tried_again() {
        assert!(replication_error("x", &PgWireError::Server("terminating".to_owned())).is_retry());
    }
}
