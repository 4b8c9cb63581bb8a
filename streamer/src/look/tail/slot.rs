//! The changes of a database as they are committed, over a slot of our own.

use super::printer::{More, Printer};
use super::row::{Event, Rows};
use super::{Tail, stopped};
use crate::look::Ended;
use crate::look::reach::postgres::Database;
use crate::source::session::query_error;
use crate::source::wal::{WalEvent, WalStream};
use tokio_postgres::Client;

pub(super) async fn run(tail: &Tail, source: &Database, printer: &mut Printer) -> Result<(), Ended> {
    let client = source.connect("tail").await?;
    let publication = publication(&client, tail.publication.as_deref()).await?;
    printer.screen.note(&format!(
        "publication {publication}; a temporary slot begins when the transactions that are open now have ended"
    ));
    let mut stream = tokio::select! {
        stream = WalStream::temporary(source.connection(), &publication) => stream?,
        stopped = stopped() => return stopped,
    };
    printer.screen.note(&format!(
        "slot {}, which ends with this command: until then the server keeps its log from where this has come to",
        stream.slot()
    ));
    let result = follow(tail, &client, &mut stream, printer).await;
    // The server drops the slot with its session.
    stream.close().await;
    result
}

async fn follow(tail: &Tail, client: &Client, stream: &mut WalStream, printer: &mut Printer) -> Result<(), Ended> {
    let mut rows = Rows::default();
    let mut stop = std::pin::pin!(stopped());
    loop {
        let event = tokio::select! {
            event = stream.next(|| ()) => event?,
            stopped = &mut stop => return stopped,
        };
        match event {
            WalEvent::Message(lsn, message) => {
                let end = match &message {
                    proto::pgoutput::Message::Commit(commit) => Some(commit.end_lsn),
                    _ => None,
                };
                let event = rows.take(lsn, message, client).await?;
                if show(tail, event, printer)?.is_break() {
                    return Ok(());
                }
                if let Some(end) = end {
                    stream.confirm(end);
                }
            }
            WalEvent::Keepalive(lsn) => stream.confirm(lsn),
            WalEvent::Large(_) => {}
        }
    }
}

/// Prints an event.
pub(super) fn show(tail: &Tail, event: Event, printer: &mut Printer) -> Result<More, Ended> {
    match event {
        Event::Changes(changes) => {
            let fits = |schema: &str, table: &str| {
                tail.patterns.is_empty() || tail.patterns.iter().any(|pattern| pattern.fits(schema, table))
            };
            for change in changes.iter().filter(|change| fits(&change.schema, &change.table)) {
                if printer.change(change)?.is_break() {
                    return Ok(More::Break(()));
                }
            }
        }
        Event::Commit(tx, lsn) => printer.commit(tx, lsn)?,
        Event::Nothing => {}
    }
    Ok(More::Continue(()))
}

/// The publication that was named, or the only one.
///
/// # Errors
/// When it is not there, or several are.
pub(super) async fn publication(client: &Client, named: Option<&str>) -> Result<String, Ended> {
    let rows = client
        .query("SELECT pubname::text FROM pg_publication ORDER BY 1", &[])
        .await
        .map_err(|error| query_error("looking for the database's publications", error))?;
    let all: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    match (named, all.as_slice()) {
        (Some(name), _) if all.iter().any(|known| known == name) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(Ended::cannot(
            "the database has no publication, and without one nothing is sent of a change. A connector makes its own when it starts; \
             or CREATE PUBLICATION looking FOR ALL TABLES",
        )),
        (Some(name), _) => {
            Err(Ended::cannot(format!("the database has no publication {name}; it has {}", all.join(", "))))
        }
        (None, _) => Err(Ended::cannot(format!("which publication? --publication is one of {}", all.join(", ")))),
    }
}
