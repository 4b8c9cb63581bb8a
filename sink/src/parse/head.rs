//! A record's value, and what all values of its topic begin with.
//!
//! A value with its schema is `{"schema": …, "payload": …}`, and of a row's few hundred bytes several thousand are the schema. It is
//! kept once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::record;
use crate::jdbc::schema::Schema;

/// What a value with a schema begins with.
const SCHEMA: &[u8] = b"{\"schema\"";

/// Of so many topics at most it is kept: a sink may have many thousands, each with some kilobytes of schema.
const MOST_TOPICS: usize = 256;

/// A record's value.
#[derive(Debug, Clone)]
pub struct Value {
    /// Up to the payload, where the topic's values have that in common.
    head: Option<Arc<[u8]>>,
    rest: Vec<u8>,
    /// Both, when somebody has asked for it.
    whole: OnceLock<Vec<u8>>,
}

impl Value {
    /// A value that has nothing in common with others.
    pub fn alone(bytes: &[u8]) -> Self {
        Self { head: None, rest: bytes.to_vec(), whole: OnceLock::new() }
    }

    /// One that is in two parts already.
    pub fn behind(head: Arc<[u8]>, rest: Vec<u8>) -> Self {
        Self { head: Some(head), rest, whole: OnceLock::new() }
    }

    /// All its bytes.
    pub fn whole(&self) -> &[u8] {
        match &self.head {
            Some(head) => self.whole.get_or_init(|| [head, self.rest.as_slice()].concat()),
            None => &self.rest,
        }
    }

    /// What the topic's values begin with, up to the payload.
    pub fn head(&self) -> Option<&Arc<[u8]>> {
        self.head.as_ref()
    }

    /// The schema that it brings.
    pub fn schema(&self) -> Option<Schema> {
        self.head.as_deref().map_or_else(|| Schema::of(self.whole()), Schema::of)
    }

    /// What stands behind the head, where the payload is: without the end of what it is in. `None` without a head.
    pub(crate) fn payload_behind_head(&self) -> Option<&str> {
        self.head.as_ref()?;
        let payload = self.rest.trim_ascii_end().strip_suffix(b"}")?;
        // The head ended where a character began.
        std::str::from_utf8(payload).ok().map(|payload| payload.trim_ascii_end())
    }

    /// How many bytes it takes by itself.
    pub fn size(&self) -> usize {
        self.rest.len()
    }
}

/// What each topic's last value with a schema began with.
#[derive(Debug, Default)]
pub struct Heads {
    by_topic: HashMap<String, Arc<[u8]>>,
}

impl Heads {
    /// A topic's next value.
    pub fn value(&mut self, topic: &str, bytes: &[u8]) -> Value {
        if !bytes.starts_with(SCHEMA) {
            return Value::alone(bytes);
        }
        let known = self.by_topic.get(topic).filter(|head| bytes.starts_with(head)).cloned();
        let head = known.or_else(|| {
            let head: Arc<[u8]> = bytes.get(..record::head(bytes)?)?.into();
            if self.by_topic.len() >= MOST_TOPICS {
                self.by_topic.clear();
            }
            self.by_topic.insert(topic.to_owned(), head.clone());
            Some(head)
        });
        let rest = bytes.get(head.as_ref().map_or(0, |head| head.len())..).unwrap_or_default().to_vec();
        Value { head, rest, whole: OnceLock::new() }
    }
}
