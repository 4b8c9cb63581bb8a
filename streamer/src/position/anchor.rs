//! Whether the server and the slot are those that a stored position is of.
//!
//! The server would not say so if they are not: it skips what lies before the position it is asked for, and of a slot made anew
//! it sends what came after that.

use std::sync::atomic::{AtomicU64, Ordering};

use proto::lsn::Lsn;
use proto::position::{Anchor, Offset};

use super::Resume;
use crate::config::{ConnectorConfig, FlushMode, OffsetMismatch};
use crate::error::TaskError;
use crate::source::server::Server;
use crate::source::slot::SlotState;

/// The server that a running task reads, and how far it has confirmed its slot.
#[derive(Debug)]
pub struct Anchored {
    system_id: String,
    timeline: u32,
    confirmed: AtomicU64,
    /// Whether it is us who confirm the slot (`lsn.flush.mode`).
    confirms: bool,
}

impl Anchored {
    /// On this server, with the slot confirmed up to `confirmed`.
    pub fn new(config: &ConnectorConfig, server: Server, confirmed: Lsn) -> Self {
        Self {
            system_id: server.system_id,
            timeline: server.timeline,
            confirmed: AtomicU64::new(confirmed.as_u64()),
            confirms: config.replication.flush == FlushMode::Connector,
        }
    }

    /// Whether it is us who confirm the slot.
    pub(super) fn confirms(&self) -> bool {
        self.confirms
    }

    /// What is stored before the slot is confirmed up to `flush`, or without that.
    pub(super) fn before(&self, flush: Option<Lsn>) -> Anchor {
        let flush = flush.unwrap_or(Lsn::ZERO).as_u64();
        let confirmed = self.confirmed.fetch_max(flush, Ordering::Relaxed).max(flush);
        Anchor { system_id: self.system_id.clone(), timeline: self.timeline, confirmed: Lsn::from(confirmed) }
    }
}

/// What the stored offset says of where it belongs, unless the configuration trusts whatever slot there is.
fn anchor<'a>(config: &ConnectorConfig, offset: &'a Offset) -> Option<&'a Anchor> {
    offset.anchor.as_ref().filter(|_| config.replication.mismatch != OffsetMismatch::TrustSlot)
}

/// The offset as it stands on this server. Behind a promotion a transaction that was published in part is read whole: its
/// id may have gone to another.
///
/// # Errors
/// Stop when the position is none of this server: it is another cluster, or its history is another one.
pub fn on_server(config: &ConnectorConfig, mut offset: Offset, server: &Server) -> Result<Offset, TaskError> {
    let Some(anchor) = anchor(config, &offset).cloned() else { return Ok(offset) };
    let host = &config.connection.hostname;
    if anchor.system_id != server.system_id {
        return Err(TaskError::stop("server-other", format!(
            "the server at {host} is another one than the stored position of connector {name} is of: its system identifier is \
             {}, the position's {}. Nothing was read from it",
            server.system_id,
            anchor.system_id,
            name = config.name
        ))
        .mended_by(format!(
                "Point database.hostname at the right server; or, if this is the right one now, read its tables anew: stop the \
                 connector, DELETE /connectors/{name}/offsets, set snapshot.mode=initial, resume. If it is the same database, and \
                 pg_upgrade brought its slot along, start it once with offset.mismatch.strategy=trust_slot",
                name = config.name
            ),
        ));
    }
    if anchor.timeline == server.timeline {
        return Ok(offset);
    }
    let published = offset.lsn_commit.max(offset.lsn_proc).max(offset.lsn).unwrap_or(Lsn::ZERO);
    let why = match server.left(anchor.timeline) {
        Some(left) if published <= left => {
            tracing::info!(
                connector = %config.name, from = anchor.timeline, to = server.timeline, %left, position = %published,
                "the server was promoted behind the stored position: going on"
            );
            offset.partial = None;
            offset.anchor = Some(Anchor { confirmed: anchor.confirmed.min(left), ..anchor });
            return Ok(offset);
        }
        Some(left) => format!(
            "this server left that timeline at {left}: changes up to {published} are in Kafka that it does not have, and what \
             it has of its own up to there would be skipped in silence. It was promoted before it had received them, or \
             restored to a point in time"
        ),
        None => "this server's history does not come from that timeline: it is a server from before a promotion, or one that was \
                 promoted beside another"
            .to_owned(),
    };
    Err(TaskError::stop("server-other", format!(
        "the stored position {published} of connector {name} is of timeline {} of the server at {host}, which is on timeline {} \
         now, and {why}. Nothing was read from it",
        anchor.timeline,
        server.timeline,
        name = config.name
    ))
    .mended_by(format!(
            "Point database.hostname at the right server; or, if this is the right one, read its tables anew: stop the connector, \
             DELETE /connectors/{name}/offsets, set snapshot.mode=initial, resume",
            name = config.name
        ),
    ))
}

/// What a slot means that is further than it was ever confirmed, `None` where it is not.
pub(super) fn moved_slot(
    config: &ConnectorConfig,
    offset: &Offset,
    resume: &Resume,
    slot: &SlotState,
) -> Option<TaskError> {
    let anchor = anchor(config, offset).filter(|_| config.replication.flush == FlushMode::Connector)?;
    // Where the slot is not further than what is asked for, nothing in between is missing.
    if slot.confirmed_flush <= anchor.confirmed.max(resume.start) {
        return None;
    }
    Some(TaskError::stop("slot-moved", format!(
        "slot {slot_name} is at {}, and connector {name} confirmed it up to {} only: it was dropped and made anew, or moved by \
         somebody else. The changes in between are not sent any more, and the stored position is {}",
        slot.confirmed_flush,
        anchor.confirmed,
        resume.start,
        slot_name = config.slot.name,
        name = config.name
    ))
    .mended_by(format!(
            "Read the tables anew: stop the connector, DELETE /connectors/{name}/offsets, set snapshot.mode=initial, resume; or set \
             snapshot.mode=when_needed. If the changes in between are not needed, start it once with \
             offset.mismatch.strategy=trust_slot",
            name = config.name
        ),
    ))
}
