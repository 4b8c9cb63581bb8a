//! The sessions that read, each a unit at a time, and the one queue in which their rows come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use proto::pgoutput::Datum;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::copy_text;
use super::unit::Unit;
use crate::error::TaskError;
use crate::source::session::query_error;

/// A batch is full with so many bytes of rows.
const BATCH_BYTES: usize = 256 * 1024;
/// Or with so many rows.
const BATCH_ROWS: usize = 1024;

/// What a session has read.
#[derive(Debug)]
pub(super) enum Read {
    /// A unit is begun.
    Begun(Unit),
    /// Rows of a table, as selected.
    Rows(usize, Vec<Vec<Datum>>),
    /// A unit is read to its end.
    Ended(Unit),
    /// A session failed.
    Failed(TaskError),
}

/// The sessions at work; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Readers {
    reads: mpsc::Receiver<Read>,
    _sessions: JoinSet<()>,
}

impl Readers {
    /// Lets the sessions read the units, in order; with one session they come in order too.
    pub(super) fn start(clients: Vec<Client>, units: VecDeque<Unit>) -> Self {
        let units = Arc::new(Mutex::new(units));
        let (sender, reads) = mpsc::channel(clients.len() * 2);
        let mut sessions = JoinSet::new();
        for client in clients {
            let (units, sender) = (units.clone(), sender.clone());
            sessions.spawn(async move {
                // The queue is closed only when nobody wants the rows any more.
                if let Err(Some(error)) = read_all(&client, &units, &sender).await {
                    let _closed = sender.send(Read::Failed(error)).await;
                }
            });
        }
        Self { reads, _sessions: sessions }
    }

    /// What was read next, `None` at the end.
    ///
    /// # Errors
    /// Of the session that failed first.
    pub(super) async fn next(&mut self) -> Result<Option<Read>, TaskError> {
        match self.reads.recv().await {
            Some(Read::Failed(error)) => Err(error),
            read => Ok(read),
        }
    }
}

/// Reads units until there are none; `Err(None)` when nobody listens.
async fn read_all(
    client: &Client,
    units: &Mutex<VecDeque<Unit>>,
    reads: &mpsc::Sender<Read>,
) -> Result<(), Option<TaskError>> {
    let send = async |read| reads.send(read).await.map_err(|_| None);
    loop {
        let next = units.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(unit) = next else { break };
        send(Read::Begun(unit.clone())).await?;
        let failed = |error| Some(query_error("reading a table for the snapshot", error));
        let lines = client.copy_out(&format!("COPY ({}) TO STDOUT", unit.select)).await.map_err(failed)?;
        let mut lines = std::pin::pin!(lines);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(line) = lines.next().await {
            let line: Bytes = line.map_err(failed)?;
            let mut row = Vec::new();
            // The server sends one row a message, with its newline.
            copy_text::parse_line(&line.slice(..line.len().saturating_sub(1)), &mut row)
                .map_err(|error| TaskError::retry(format!("reading a table for the snapshot: {error}")))?;
            rows.push(row);
            bytes += line.len();
            if bytes >= BATCH_BYTES || rows.len() >= BATCH_ROWS {
                bytes = 0;
                send(Read::Rows(unit.table, std::mem::take(&mut rows))).await?;
            }
        }
        if !rows.is_empty() {
            send(Read::Rows(unit.table, rows)).await?;
        }
        send(Read::Ended(unit)).await?;
    }
    client.batch_execute("COMMIT").await.map_err(|error| Some(query_error("ending the snapshot", error)))
}
