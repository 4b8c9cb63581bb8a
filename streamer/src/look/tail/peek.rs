//! What waits in a slot, which stays as it is.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use proto::lsn::Lsn;
use proto::pgoutput;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::printer::Printer;
use super::row::{Event, Rows};
use super::slot::{publication, show};
use super::{Tail, stopped};
use crate::look::Ended;
use crate::look::reach::postgres::Database;
use crate::source::quote_identifier;
use crate::source::session::query_error;

/// So many changes are shown unless the command line says otherwise.
pub(super) const LIMIT: u64 = 1000;

/// So many of the plugin's messages are asked for at least: begins, commits and tables are among them, and what is not wanted.
const MESSAGES: u64 = 10_000;

pub(super) async fn run(tail: &Tail, source: &Database, slot: &str, printer: &mut Printer) -> Result<(), Ended> {
    let client = source.connect("tail").await?;
    let state = State::of(&client, source, slot).await?;
    let publication = publication(&client, tail.publication.as_deref()).await?;
    printer.screen.note(&format!(
        "slot {slot}: confirmed up to {}, {} of log behind that. It stays there: this looks only (publication {publication})",
        state.confirmed, state.behind
    ));
    let what = format!("looking into slot {slot}");
    let failed = |error: tokio_postgres::Error| {
        let error = query_error(&what, error);
        if error.is_retry() { error.while_doing("somebody may just have taken it") } else { error }
    };
    // The server ends behind the transaction in which the number is reached.
    let messages = tail.limit.unwrap_or(LIMIT).saturating_mul(2).max(MESSAGES);
    let messages = i32::try_from(messages).unwrap_or(i32::MAX);
    let publications = quote_identifier(&publication);
    let parameters: [&(dyn ToSql + Sync); 3] = [&slot, &messages, &publications];
    let peek = "SELECT lsn::text, data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2, 'proto_version', '1', \
                'publication_names', $3, 'messages', 'true')";
    let mut rows = std::pin::pin!(client.query_raw(peek, parameters).await.map_err(failed)?);
    // The server's own answer comes over this session; what is asked meanwhile goes over another.
    let catalog = source.connect("tail").await?;
    let (mut decoder, mut changes, mut read) = (Rows::default(), 0_usize, 0);
    let mut stop = std::pin::pin!(stopped());
    loop {
        let row = tokio::select! {
            row = rows.try_next() => row.map_err(failed)?,
            stopped = &mut stop => return stopped,
        };
        let Some(row) = row else { break };
        let lsn = row.get::<_, &str>(0).parse().unwrap_or(Lsn::ZERO);
        let message = pgoutput::decode(Bytes::copy_from_slice(row.get(1))).map_err(|error| {
            Ended::cannot(format!("{what}: the message at {lsn} is not pgoutput protocol version 1")).because(error)
        })?;
        let event = decoder.take(lsn, message, &catalog).await?;
        read += 1;
        if let Event::Changes(of_row) = &event {
            changes += of_row.len();
        }
        if show(tail, event, printer)?.is_break() {
            printer.screen.note(&format!("so far, up to {lsn}: --limit shows more"));
            return Ok(());
        }
    }
    printer.screen.note(&match changes {
        _ if read >= messages => format!("that were the first {changes} changes in it: --limit looks farther"),
        0 => "nothing of the publication's tables waits in it".to_owned(),
        _ => format!("that is what waits in it: {changes} changes"),
    });
    Ok(())
}

struct State {
    confirmed: String,
    behind: String,
}

impl State {
    /// The slot, if it can be looked into.
    async fn of(client: &Client, source: &Database, slot: &str) -> Result<Self, Ended> {
        let rows = client
            .query(
                "SELECT slot_name::text, plugin::text, database::text, active_pid, confirmed_flush_lsn::text,
                        pg_size_pretty(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                                       ELSE pg_current_wal_lsn() END, confirmed_flush_lsn)),
                        wal_status = 'lost'
                 FROM pg_replication_slots ORDER BY 1",
                &[],
            )
            .await
            .map_err(|error| query_error("looking for the slot", error))?;
        let text = |row: &tokio_postgres::Row, column: usize| row.get::<_, Option<String>>(column).unwrap_or_default();
        let Some(row) = rows.iter().find(|row| text(row, 0) == slot) else {
            let names: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Ended::cannot(format!("the server has no slot {slot}; it has {has}")));
        };
        if text(row, 1) != "pgoutput" {
            return Err(Ended::cannot(format!(
                "slot {slot} decodes with {}, and pgoutput is read here",
                row.get::<_, Option<&str>>(1).unwrap_or("nothing (it is a physical slot)")
            )));
        }
        if text(row, 2) != source.connection().dbname {
            return Err(Ended::cannot(format!(
                "slot {slot} is of database {}: name that one with --source",
                text(row, 2)
            )));
        }
        if row.get::<_, Option<bool>>(6) == Some(true) {
            return Err(Ended::cannot(format!(
                "slot {slot} has lost the log that it needed: nothing can be read of it"
            )));
        }
        if let Some(process) = row.get::<_, Option<i32>>(3) {
            return Err(Ended::cannot(format!(
                "slot {slot} is in use by the server's process {process}, most likely its connector, and PostgreSQL lets nobody else look \
                 into it then. To see the changes as they are committed, leave --slot out: a temporary slot beside it is read. What the \
                 slot has brought is in the topics: streamer tail --bootstrap-servers …"
            )));
        }
        Ok(Self { confirmed: text(row, 4), behind: text(row, 5) })
    }
}
