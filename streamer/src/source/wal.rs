//! The replication stream: the one seam to the crate that speaks the replication protocol.
//!
//! The crate moves bytes and keeps the session alive (standby status, keepalive answers, also while we are slow); what
//! the bytes mean is `proto`'s, and what may be confirmed is the [ledger](crate::publish)'s.

use std::time::Duration;

use bytes::Bytes;
use pgwire_replication::{PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent, TlsConfig};
use proto::lsn::Lsn;
use proto::pgoutput::{self, Message};
use proto::xid::Xid;

use super::client_key::KeyFile;
use super::session::{self, CONNECT_TIMEOUT, sqlstate_needs_a_person};
use crate::config::{ConnectorConfig, SslMode};
use crate::error::TaskError;

/// PostgreSQL's epoch (2000-01-01) in Unix microseconds: the replication protocol counts from there.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// Messages the session may read ahead of the task. It counts messages and not bytes, and a message is a row of any size: so it is
/// as small as the hand-over between two tasks allows. What is worth to be read ahead lies in the socket's buffer.
const READ_AHEAD: usize = 4;

/// What the stream brings.
#[derive(Debug)]
pub enum WalEvent {
    /// A decoded message and the LSN its WAL record starts at (`0/0` for a Relation).
    Message(Lsn, Message),
    /// Everything up to here was sent (the server's last sent position, whatever the manual calls it).
    Keepalive(Lsn),
}

/// An open replication stream. Dropping it ends the session.
pub struct WalStream {
    client: ReplicationClient,
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
        let what = format!("starting replication from slot {}", config.slot.name);
        let mut client = open_session(config, start).await?;
        let answer = client.simple_query("SELECT pg_backend_pid()").await;
        let answer = answer.map_err(|error| replication_error(&what, &error))?;
        let process = answer.first().and_then(|row| row.first()).and_then(Option::as_ref);
        let process = process.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        client.start().await.map_err(|error| replication_error(&what, &error))?;
        tokio::time::timeout(CONNECT_TIMEOUT, client.wait_started())
            .await
            .map_err(|_| TaskError::retry(format!("{what}: the server did not answer in {CONNECT_TIMEOUT:?}")))?
            .map_err(|error| replication_error(&what, &error))?;
        Ok(Self { client, slot: config.slot.name.clone(), process })
    }

    /// The server's process that sends it.
    pub fn process(&self) -> Option<i32> {
        self.process
    }

    /// The next event. Cancel safe: it only waits on a channel.
    ///
    /// # Errors
    /// Retry when the session ended; stop when the server can no longer serve the slot, or sent what cannot be decoded.
    pub async fn next(&mut self) -> Result<WalEvent, TaskError> {
        let event = self
            .client
            .recv()
            .await
            .map_err(|error| replication_error(&format!("reading slot {}", self.slot), &error))?
            .ok_or_else(|| {
                TaskError::retry(format!("the server ended the replication session of slot {}", self.slot))
            })?;
        Ok(match event {
            ReplicationEvent::KeepAlive { wal_end, .. } => WalEvent::Keepalive(Lsn::from(wal_end.as_u64())),
            ReplicationEvent::Begin { final_lsn, xid, commit_time_micros } => WalEvent::Message(
                Lsn::from(final_lsn.as_u64()),
                Message::Begin(pgoutput::Begin {
                    final_lsn: Lsn::from(final_lsn.as_u64()),
                    commit_time_us: commit_time_micros + POSTGRES_EPOCH_US,
                    xid: Xid::from(xid),
                }),
            ),
            ReplicationEvent::Commit { lsn, end_lsn, commit_time_micros } => WalEvent::Message(
                Lsn::from(end_lsn.as_u64()),
                Message::Commit(pgoutput::Commit {
                    commit_lsn: Lsn::from(lsn.as_u64()),
                    end_lsn: Lsn::from(end_lsn.as_u64()),
                    commit_time_us: commit_time_micros + POSTGRES_EPOCH_US,
                }),
            ),
            ReplicationEvent::Message { transactional, lsn, prefix, content } => WalEvent::Message(
                Lsn::from(lsn.as_u64()),
                Message::LogicalMessage(pgoutput::LogicalMessage {
                    transactional,
                    lsn: Lsn::from(lsn.as_u64()),
                    prefix,
                    content,
                }),
            ),
            ReplicationEvent::XLogData { wal_start, data, .. } => {
                let lsn = Lsn::from(wal_start.as_u64());
                WalEvent::Message(lsn, self.decode(lsn, data)?)
            }
            ReplicationEvent::StoppedAt { reached } => {
                return Err(TaskError::retry(format!(
                    "the replication session of slot {} stopped at {reached}",
                    self.slot
                )));
            }
        })
    }

    fn decode(&self, lsn: Lsn, data: Bytes) -> Result<Message, TaskError> {
        pgoutput::decode(data).map_err(|error| {
            TaskError::stop(format!(
                "slot {} sent a message at {lsn} that is not pgoutput protocol version 1; nothing behind it was read, \
                 and the server keeps it. Report it with the server's version",
                self.slot
            ))
            .because(error)
        })
    }

    /// Lets the server forget everything up to `lsn`. Only the committer calls it, behind Kafka's acknowledgement and the
    /// stored position. It never goes back.
    pub fn confirm(&self, lsn: Lsn) {
        self.client.update_applied_lsn(pgwire_replication::Lsn::from_u64(lsn.as_u64()));
    }

    /// Ends the stream and waits until the session is over, so that the slot is free when this returns.
    pub async fn close(mut self) {
        if let Err(error) = self.client.shutdown().await {
            tracing::debug!(%error, slot = %self.slot, "replication session ended");
        }
    }
}

/// Opens an authenticated replication session that does not stream yet.
///
/// # Errors
/// As [`WalStream::start`].
pub(super) async fn open_session(config: &ConnectorConfig, start: Lsn) -> Result<ReplicationClient, TaskError> {
    let connection = &config.connection;
    let password = session::password(connection);
    // It is read when the session is opened.
    let key = KeyFile::of(connection)?;
    let mut settings = ReplicationConfig::new(
        &connection.hostname,
        &connection.user,
        password.as_ref().map_or("", |password| password.expose()),
        &connection.dbname,
        &config.slot.name,
        quoted_publication(&config.publication.name),
    )
    .with_port(connection.port)
    .with_tls(tls(config, key.as_ref()))
    .with_start_lsn(pgwire_replication::Lsn::from_u64(start.as_u64()))
    // The crate would confirm the slot up to the start at once: only what is stored with the position confirms it.
    .with_ack_lsn(pgwire_replication::Lsn::from_u64(0))
    .with_status_interval(config.status_update_interval)
    .with_wakeup_interval(config.status_update_interval)
    .with_options(session::options(connection))
    .with_application_name(session::application_name(connection, "Streaming"));
    settings = settings.with_buffer_size(READ_AHEAD);
    let what = format!("opening a replication session to {}:{}", connection.hostname, connection.port);
    let driver = &connection.driver;
    let limit = driver.login_timeout.or(driver.connect_timeout.or(CONNECT_TIMEOUT).unwrap_or(Duration::MAX));
    session::in_time(limit, async {
        let mut client = ReplicationClient::connect_gated(settings).await?;
        // Connecting happens behind the call above; the first command brings its error to light.
        client.identify_system().await?;
        Ok(client)
    })
    .await
    .map_err(|limit| TaskError::retry(format!("{what}: no answer in {limit:?}")))?
    .map_err(|error| replication_error(&what, &error))
}

/// The server folds the names in `publication_names` to lower case unless they are quoted.
fn quoted_publication(name: &str) -> String {
    super::quote_identifier(name)
}

fn tls(config: &ConnectorConfig, key: Option<&KeyFile>) -> TlsConfig {
    let connection = &config.connection;
    let ca = connection.sslrootcert.as_ref().map(Into::into);
    let tls = match connection.sslmode {
        SslMode::Disable => return TlsConfig::disabled(),
        SslMode::Allow | SslMode::Prefer => {
            TlsConfig { mode: pgwire_replication::SslMode::Prefer, ..TlsConfig::disabled() }
        }
        SslMode::Require => TlsConfig::require(),
        SslMode::VerifyCa => TlsConfig::verify_ca(ca),
        SslMode::VerifyFull => TlsConfig::verify_full(ca),
    };
    // Without a name given, the crate refuses a host that is an IP address even when the certificate lists it.
    let tls = tls.with_sni_hostname(&connection.hostname);
    match (&connection.sslcert, key) {
        (Some(cert), Some(key)) => tls.with_client_cert(cert, key.path()),
        _ => tls,
    }
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
            Some(code) if sqlstate_needs_a_person(code) => TaskError::stop(format!("{text}{}", remedy(code, &text))),
            Some(_) => TaskError::retry(text),
            None if matches!(error, PgWireError::Auth(_)) => TaskError::stop(text),
            None => TaskError::retry(text),
        },
        PgWireError::Tls(_) | PgWireError::MessageTooLarge { .. } => TaskError::stop(text),
        _ => TaskError::retry(text),
    }
}

fn sqlstate(text: &str) -> Option<&str> {
    let (_, code) = text.rsplit_once("(SQLSTATE ")?;
    code.get(..5)
}

fn remedy(code: &str, text: &str) -> &'static str {
    match code {
        "28P01" | "28000" => session::refusal(code),
        "42704" if text.contains("publication") => {
            ". It is looked up as of each change: what was changed while it was not there cannot be decoded, also when it is made \
             anew. Nothing was skipped. Drop the slot, delete the connector's offsets and start with snapshot.mode=initial, so that \
             the tables are read anew"
        }
        "55000" if text.contains("invalidated") || text.contains("no longer") => {
            ". The slot is lost, and with it what was changed since its position: drop it, delete the connector's offsets and start \
             with snapshot.mode=initial"
        }
        "42501" => ". Give the role the right: ALTER ROLE ... REPLICATION",
        "55000" => ". Set wal_level = logical in postgresql.conf and restart the server",
        "42704" => {
            ". Nothing was read and nothing is lost by this failure alone; create what is missing and restart the connector"
        }
        "58P01" => {
            ". The WAL that the slot needs is gone: changes are lost to this slot. Drop the slot, delete the connector's \
             offsets and start with snapshot.mode=initial"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
