//! The target's tables follow the source's.
//!
//! # Layout
//! - [`definition`]: what a table or a type is
//! - `catalog`: asks a catalog for that
//! - [`trigger`]: the event triggers by which the source tells of it
//! - [`known`]: how the source's were when the target last followed them
//! - [`difference`]: what has to be done to the target's
//! - [`change`]: that, as SQL
//! - `follow`: does it where a message says so
//! - `missing`: does it where rows show that the target lacks something
//! - [`whole`]: tables made of the source's catalog, for a copy
//!
//! # How
//! With the event triggers each change of a table is a message at its place in the stream, and is done in the transaction of the rows
//! around it: who reads the target sees the old table with the old rows, or the new with the new. That needs transactions that are
//! applied whole: a table's topic alone does not say where a message belongs.
//!
//! Without them the target sees a change when a row brings what it lacks, and asks the source's catalog how that is *now*. What is
//! added may come early then, which hurts nobody. What a row brings and the source has no longer is passed over: it was dropped behind
//! that row, and so would be here. What got another name is not known from what was dropped: rows keep their old values under the old
//! name until `sink verify --repair` compares them.

mod catalog;
pub mod change;
pub mod definition;
pub mod difference;
mod follow;
pub mod known;
mod missing;
pub mod trigger;
pub mod whole;

use std::sync::Arc;

use tokio_postgres::Client;

use self::definition::Table;
use self::known::Known;
use crate::bootstrap::connector::Connector;
use crate::config::{RunConfig, SchemaEvolution};
use crate::consume::Order;
use crate::error::SinkError;
use crate::postgres::Database;

/// One session at a time changes tables or types. Two that bring the first rows of a table would both make it, and what one has made and
/// not committed the other takes for missing, or for nobody's.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('headwater evolution', 0))";

/// What the target does when the source's tables change.
#[derive(Clone)]
pub struct Evolution(Option<Arc<Inner>>);

struct Inner {
    policy: SchemaEvolution,
    /// Whether messages of the event triggers have their place among the rows.
    is_ordered: bool,
    source: Database,
    target: Database,
    prefix: String,
    connector: Connector,
}

/// Without the connector, whose settings hold a password.
impl std::fmt::Debug for Evolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evolution").field("policy", &self.0.as_ref().map(|inner| inner.policy)).finish_non_exhaustive()
    }
}

impl Evolution {
    /// As the settings say.
    pub fn new(config: &RunConfig, connector: &Connector, order: &Order) -> Self {
        Self(Some(Arc::new(Inner {
            policy: config.schema_evolution,
            is_ordered: matches!(order, Order::Transactions(_)),
            source: config.source.clone(),
            target: config.target.clone(),
            prefix: config.topic_prefix.clone(),
            connector: connector.clone(),
        })))
    }

    /// Nothing is done, and there is no source to ask.
    pub fn none() -> Self {
        Self(None)
    }

    fn inner(&self) -> Result<&Inner, SinkError> {
        self.0.as_deref().ok_or_else(|| {
            SinkError::stop("definition-unreadable", "there is no source that could say how its tables are")
        })
    }

    /// Nobody else changes tables or types until the transaction ends.
    ///
    /// # Errors
    /// The server's.
    pub async fn lock(target: &Client) -> Result<(), SinkError> {
        Ok(target.batch_execute(LOCK).await?)
    }

    /// Whether the target gets what it lacks.
    pub fn adds(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.policy != SchemaEvolution::None)
    }

    /// Whether it does all that the source did.
    fn is_full(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.policy == SchemaEvolution::Full)
    }

    /// Whether it does what messages say.
    pub fn follows(&self) -> bool {
        self.is_full() && self.0.as_ref().is_some_and(|inner| inner.is_ordered)
    }

    /// Whether it has to know how the source's tables were.
    pub fn remembers(&self) -> bool {
        self.is_full()
    }

    fn captures(&self, schema: &str, name: &str) -> Result<bool, SinkError> {
        self.inner()?.connector.captures(schema, name)
    }

    fn known<'a>(&'a self, target: &'a Client) -> Known<'a> {
        Known { target, prefix: self.0.as_ref().map_or("", |inner| &inner.prefix) }
    }

    /// A table as the source has it now.
    async fn in_source(&self, schema: &str, name: &str) -> Result<Option<Table>, SinkError> {
        let source = self.inner()?.source.connect("tables").await?;
        source.batch_execute("BEGIN READ ONLY").await?;
        catalog::full_names(&source).await?;
        catalog::table(&source, schema, name).await
    }
}
