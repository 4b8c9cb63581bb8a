//! What was worked out for a schema, kept from record to record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use proto::connect::schema::Schema;

/// So many schemas are kept; then all are worked out anew, as they come.
const MOST: usize = 1000;

/// By the schema's place in memory: a table's rows share one. A copy of it is looked for among the equal ones.
#[derive(Debug)]
pub(super) struct KnownSchemas<T> {
    known: Mutex<HashMap<usize, Vec<Known<T>>>>,
}

#[derive(Debug)]
struct Known<T> {
    topic: String,
    /// Held, so that no other schema takes its place.
    schema: Arc<Schema>,
    outcome: T,
}

impl<T> Default for KnownSchemas<T> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

impl<T: Clone> KnownSchemas<T> {
    /// What was worked out for a topic's schema.
    pub(super) fn get(&self, topic: &str, schema: &Arc<Schema>) -> Option<T> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at_place = known.get(&place(schema)).and_then(|all| all.iter().find(|one| one.topic == topic));
        let equal = || known.values().flatten().find(|one| one.topic == topic && one.schema == *schema);
        at_place.or_else(equal).map(|one| one.outcome.clone())
    }

    /// Keeps it.
    pub(super) fn insert(&self, topic: &str, schema: &Arc<Schema>, outcome: T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        let one = Known { topic: topic.to_owned(), schema: schema.clone(), outcome: outcome.clone() };
        known.entry(place(schema)).or_default().push(one);
        outcome
    }
}

fn place(schema: &Arc<Schema>) -> usize {
    Arc::as_ptr(schema).addr()
}
