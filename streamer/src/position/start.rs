//! What a start does: where it begins, and whether it reads the tables first.

use proto::position::Offset;

use super::{Resume, anchor};
use crate::config::{ConnectorConfig, OffsetMismatch};
use crate::error::TaskError;
use crate::source::slot::{self, SlotState};

/// What a start does.
#[derive(Debug)]
pub struct Start {
    /// Where streaming begins; `None`: where the slot does that is still to be created, or there is no streaming.
    pub resume: Option<Resume>,
    /// Whether it is a stored position: its slot has what a snapshot now would not show, the deletes since then.
    pub is_stored: bool,
    /// What is done about the slot.
    pub slot: SlotAction,
    /// Whether the tables are read.
    pub reads_data: bool,
    /// What an interrupted snapshot published whose slot is still there.
    pub done: Option<String>,
}

/// What a start does about the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotAction {
    /// Nothing.
    Keep,
    /// It is not there and is created.
    Create,
    /// It lost what it kept, and a new one takes its place.
    Replace,
}

impl Start {
    /// From the stored offset and the slot, as `snapshot.mode` says.
    ///
    /// # Errors
    /// Stop when changes behind the stored position are gone and the mode has no answer to that.
    pub fn decide(
        config: &ConnectorConfig,
        offset: Option<Offset>,
        slot: Option<SlotState>,
    ) -> Result<Self, TaskError> {
        let mode = config.snapshot.mode;
        let is_interrupted = offset.as_ref().and_then(|offset| offset.snapshot).is_some_and(|at| !at.completed);
        let reads_data = mode.reads_data(offset.is_some(), is_interrupted);
        if is_interrupted && !reads_data {
            return Err(interrupted(config));
        }
        // An interrupted snapshot has no position to stream from; it goes on with the slot it began with, if that is there.
        let done = offset.as_ref().and_then(|offset| offset.snapshot_done.clone()).filter(|_| is_interrupted);
        let offset = offset.filter(|_| !is_interrupted);
        if !mode.streams() {
            return Ok(Self {
                resume: None,
                is_stored: offset.is_some(),
                slot: SlotAction::Keep,
                reads_data,
                done: None,
            });
        }
        match (offset, slot) {
            (_, Some(SlotState { lost: Some(reason), .. })) => {
                if !mode.mends_a_lost_position() {
                    return Err(slot::lost(config, &reason));
                }
                tracing::warn!(slot = %config.slot.name, "the slot lost WAL it still needed: the tables are read anew");
                Ok(Self { resume: None, is_stored: false, slot: SlotAction::Replace, reads_data: true, done: None })
            }
            (Some(_), None) => {
                if !mode.mends_a_lost_position() {
                    return Err(missing_slot(config));
                }
                tracing::warn!(slot = %config.slot.name, "the slot is gone, and changes with it: the tables are read anew");
                Ok(Self { resume: None, is_stored: false, slot: SlotAction::Create, reads_data: true, done: None })
            }
            (Some(offset), Some(slot)) => {
                let resume = Resume::from_offset(&offset);
                // The server would not complain: it would skip everything up to there.
                if resume.start > slot.log_end {
                    return Err(ahead_of_the_server(config, &resume, &slot));
                }
                let trusts_offset = config.replication.mismatch == OffsetMismatch::TrustOffset;
                if trusts_offset && slot.confirmed_flush > resume.start {
                    return Err(ahead_of_the_position(config, &resume, &slot));
                }
                if let Some(error) = anchor::moved_slot(config, &offset, &resume, &slot) {
                    if !mode.mends_a_lost_position() {
                        return Err(error);
                    }
                    tracing::warn!(slot = %config.slot.name, %error, "changes are lost: the tables are read anew");
                    let resume = Some(Resume::from_slot(slot.confirmed_flush));
                    return Ok(Self { resume, is_stored: false, slot: SlotAction::Keep, reads_data: true, done: None });
                }
                Ok(Self { resume: Some(resume), is_stored: true, slot: SlotAction::Keep, reads_data, done: None })
            }
            (None, Some(slot)) => {
                let resume = Some(Resume::from_slot(slot.confirmed_flush));
                Ok(Self { resume, is_stored: false, slot: SlotAction::Keep, reads_data, done })
            }
            (None, None) => {
                Ok(Self { resume: None, is_stored: false, slot: SlotAction::Create, reads_data, done: None })
            }
        }
    }
}

fn interrupted(config: &ConnectorConfig) -> TaskError {
    TaskError::stop("snapshot-interrupted", 
        "The connector previously stopped while taking a snapshot, but now the connector is configured to never allow \
         snapshots.",
    )
    .mended_by(format!(
            "Reconfigure the connector to use snapshots initially or when needed; or, if the rows that were not read are not \
             needed, stop it and DELETE /connectors/{}/offsets",
            config.name
        ),
    )
}

fn missing_slot(config: &ConnectorConfig) -> TaskError {
    TaskError::stop("slot-missing", format!(
        "slot {} does not exist, but connector {} has a stored position: the changes since then were kept by that slot and \
         are gone with it. A new slot would begin now and skip them in silence. Either it was dropped, or a standby was promoted \
         that did not have it: with slot.failover=true, and sync_replication_slots, hot_standby_feedback and primary_slot_name on \
         the standby, it has",
        config.slot.name, config.name
    ))
    .mended_by(format!(
            "Read the tables anew: stop the connector, DELETE /connectors/{}/offsets, set snapshot.mode=initial, resume; or set \
             snapshot.mode=when_needed",
            config.name
        ),
    )
}

fn ahead_of_the_position(config: &ConnectorConfig, resume: &Resume, slot: &SlotState) -> TaskError {
    TaskError::stop("slot-moved", format!(
        "slot {} is at {}, ahead of the stored position {} of connector {}: it was made anew or moved by somebody else, and the \
         changes in between are not sent any more (offset.mismatch.strategy=trust_offset)",
        config.slot.name, slot.confirmed_flush, resume.start, config.name
    ))
    .mended_by(format!(
            "Read the tables anew: stop the connector, DELETE /connectors/{}/offsets, set snapshot.mode=initial, resume. If nothing \
             was lost, for the connector itself confirmed the slot up to there while it ran without this strategy, start it once \
             with offset.mismatch.strategy=trust_slot",
            config.name
        ),
    )
}

fn ahead_of_the_server(config: &ConnectorConfig, resume: &Resume, slot: &SlotState) -> TaskError {
    TaskError::stop("server-other", format!(
        "connector {} has the stored position {}, and the log of the server at {} ends at {}: it is not the \
         server that the position is of, or it was restored from a backup. Going on there would skip its changes in silence",
        config.name, resume.start, config.connection.hostname, slot.log_end
    ))
    .mended_by(format!(
            "Point database.hostname at the right server; or, if this is the right one now, read its tables anew: stop the \
             connector, DELETE /connectors/{}/offsets, set snapshot.mode=initial, resume",
            config.name
        ),
    )
}
