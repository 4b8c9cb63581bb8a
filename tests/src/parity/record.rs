//! A record as `golden.jsonl` keeps it, and what of a run's records is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::normal::{self, Normal};
use super::relations::relate;
use super::scenario::{Meta, Patterns};

/// One record of a topic, or its hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its topic.
    pub(crate) topic: String,
    /// Its partition.
    pub(crate) partition: i32,
    /// What is in it.
    #[serde(flatten)]
    pub(crate) content: Content,
}

/// What is in a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    /// All of it.
    Whole(Whole),
    /// Where there are too many records to keep: hashes of what is compared.
    Hashes {
        /// Of the bytes.
        b: String,
        /// Of the meaning.
        s: String,
    },
}

/// All of a record. Bytes that are no text are given in hexadecimal, behind `bytes:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// Its key.
    pub(crate) key: Option<String>,
    /// Its value, none for a tombstone.
    pub(crate) value: Option<String>,
    /// Names and values in their order.
    pub(crate) headers: Vec<(String, Option<String>)>,
    /// Its time, where a scenario compares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<i64>,
}

impl Record {
    /// All of it, if it is there.
    pub(crate) fn whole(&self) -> Option<&Whole> {
        match &self.content {
            Content::Whole(whole) => Some(whole),
            Content::Hashes { .. } => None,
        }
    }
}

/// What of a run's records is compared: without the topics that are left out, heartbeats and topics of that kind once where
/// they repeat, the last image of each row where only the state counts, hashes where the scenario wants those.
///
/// # Errors
/// A pattern of the scenario's cannot be applied, or a record of a state is no envelope.
pub(crate) fn reduce(records: Vec<Record>, meta: &Meta, patterns: &Patterns) -> anyhow::Result<Vec<Record>> {
    let mut kept: Vec<Record> = Vec::new();
    for record in records {
        if patterns.is_ignored(&record.topic)? {
            continue;
        }
        let before = kept.last().filter(|before| before.topic == record.topic);
        if let (true, Some(before)) = (patterns.repeats(&record.topic)?, before)
            && normal::bytes(before, None, patterns)? == normal::bytes(&record, None, patterns)?
        {
            continue;
        }
        kept.push(record);
    }
    if meta.compare.as_deref() == Some("state") {
        kept = last_images(kept)?;
    }
    if meta.hash_only {
        let relations = relate(&kept, false);
        for (record, relation) in kept.iter_mut().zip(relations) {
            if let Normal::Whole { bytes, parts } = Normal::of(record, relation, patterns)? {
                record.content = Content::Hashes { b: normal::hash(&bytes), s: normal::hash_of_meaning(&parts) };
            }
        }
    }
    Ok(kept)
}

/// A tombstone says nothing about a row's image.
fn last_images(records: Vec<Record>) -> anyhow::Result<Vec<Record>> {
    let mut last = BTreeMap::new();
    for record in records {
        let Some(whole) = record.whole().filter(|whole| whole.value.is_some()) else { continue };
        last.insert((record.topic.clone(), record.partition, whole.key.clone()), whole.value.clone());
    }
    last.into_iter()
        .map(|((topic, partition, key), value)| {
            let mut value: Value = serde_json::from_str(&value.unwrap_or_default())?;
            if let Some(payload) = value.get_mut("payload") {
                value = payload.take();
            }
            let after = normal::python_json(&value["after"]);
            let whole = Whole { key, value: Some(after), headers: Vec::new(), timestamp: None };
            Ok(Record { topic, partition, content: Content::Whole(whole) })
        })
        .collect()
}
