//! How far the copy of each table is, and in which snapshot of the source it was made, in the target's schema `headwater`.
//!
//! A table's rows, and that they are there, are committed together: who begins again after a crash knows which tables are there whole.

use std::sync::Arc;

use proto::lsn::Lsn;
use tokio_postgres::{Client, Row};

use crate::error::SinkError;
use crate::plan::snapshot::Snapshot;

/// How far a table's copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is to be made.
    Wanted,
    /// It is there, and empty.
    Made,
    /// Its rows are there.
    Filled,
    /// So is what is built over them: its changes can be applied.
    Ready,
}

impl State {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Wanted => "wanted",
            State::Made => "made",
            State::Filled => "filled",
            State::Ready => "ready",
        }
    }
}

/// A table of the source, and how far its copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// How far.
    pub state: State,
    /// What told its definition from any other, when it was made.
    pub definition: String,
}

/// A snapshot other than the slot's own, as it is stored.
#[derive(Debug, Clone)]
pub struct Later {
    /// `pg_current_snapshot`.
    pub snapshot: String,
    /// A position in the log behind all that it sees.
    pub seen_to: Lsn,
}

/// Creates the tables that are not there.
///
/// # Errors
/// Stop when the role may not.
pub async fn create(client: &Client) -> Result<(), SinkError> {
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS headwater.copied_tables (
                 topic_prefix text, table_schema text, table_name text,
                 state text NOT NULL CHECK (state IN ('wanted', 'made', 'filled', 'ready')),
                 definition text NOT NULL DEFAULT '', snapshot text, seen_to text,
                 changed_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (topic_prefix, table_schema, table_name));
             CREATE TABLE IF NOT EXISTS headwater.copied_parts (
                 topic_prefix text, part text, PRIMARY KEY (topic_prefix, part));",
        )
        .await
        .map_err(|error| SinkError::from(error).while_doing("creating headwater.copied_tables in the target"))
}

/// Creates the tables unless they are there: who needs no right to create anything otherwise needs none for this.
///
/// # Errors
/// Stop when the role may not.
pub async fn create_if_needed(client: &Client) -> Result<(), SinkError> {
    let sql = "SELECT to_regclass('headwater.copied_tables') IS NOT NULL";
    if client.query_one(sql, &[]).await?.get(0) { Ok(()) } else { create(client).await }
}

/// The snapshot that a table was copied in, `None` where it is the slot's own or there was no copy of it.
///
/// # Errors
/// Retry while it is being copied: its changes wait for its rows.
pub async fn snapshot_of(client: &Client, schema: &str, name: &str) -> Result<Option<Arc<Snapshot>>, SinkError> {
    let sql = "SELECT state = 'ready', snapshot, seen_to FROM headwater.copied_tables
               WHERE table_schema = $1 AND table_name = $2";
    let Some(row) = client.query_opt(sql, &[&schema, &name]).await? else { return Ok(None) };
    if !row.get::<_, bool>(0) {
        return Err(SinkError::retry(format!(
            "table {schema}.{name} is being copied from the source; its changes wait in Kafka until its rows are there"
        )));
    }
    let (Some(snapshot), Some(seen_to)) = (row.get::<_, Option<&str>>(1), row.get::<_, Option<&str>>(2)) else {
        return Ok(None);
    };
    let read = seen_to.parse().ok().and_then(|seen_to| Snapshot::new(snapshot, seen_to));
    read.map(|snapshot| Some(Arc::new(snapshot))).ok_or_else(|| {
        SinkError::stop("copy-unreadable", format!(
            "headwater.copied_tables in the target does not say in a form that is known which snapshot table {schema}.{name} was \
             copied in, so that it cannot be told which changes are there already. They wait in Kafka. Copy anew, as \
             docs/operations.md says"
        ))
    })
}

/// What is stored of the copies of a prefix's tables.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// A session of the target.
    pub target: &'a Client,
    /// The prefix.
    pub prefix: &'a str,
}

impl Ledger<'_> {
    /// Forgets everything, and that `schema_by` makes the tables: `pg_dump` or `catalog`.
    ///
    /// # Errors
    /// The server's.
    pub async fn begin(self, schema_by: &str) -> Result<(), SinkError> {
        self.target.execute("DELETE FROM headwater.copied_tables WHERE topic_prefix = $1", &[&self.prefix]).await?;
        self.target.execute("DELETE FROM headwater.copied_parts WHERE topic_prefix = $1", &[&self.prefix]).await?;
        self.has(schema_by).await
    }

    /// A part of the copy is there.
    ///
    /// # Errors
    /// The server's.
    pub async fn has(self, part: &str) -> Result<(), SinkError> {
        let sql = "INSERT INTO headwater.copied_parts VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.target.execute(sql, &[&self.prefix, &part]).await?;
        Ok(())
    }

    /// The parts that are there.
    ///
    /// # Errors
    /// The server's.
    pub async fn parts(self) -> Result<Vec<String>, SinkError> {
        let sql = "SELECT part FROM headwater.copied_parts WHERE topic_prefix = $1";
        Ok(self.target.query(sql, &[&self.prefix]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// The tables, in their names' order.
    ///
    /// # Errors
    /// The server's.
    pub async fn tables(self) -> Result<Vec<Copied>, SinkError> {
        let sql = "SELECT table_schema, table_name, state, definition FROM headwater.copied_tables
                   WHERE topic_prefix = $1 ORDER BY 1, 2";
        let table = |row: &Row| Copied {
            schema: row.get(0),
            name: row.get(1),
            state: match row.get::<_, &str>(2) {
                "wanted" => State::Wanted,
                "made" => State::Made,
                "filled" => State::Filled,
                _ => State::Ready,
            },
            definition: row.get(3),
        };
        Ok(self.target.query(sql, &[&self.prefix]).await?.iter().map(table).collect())
    }

    /// Tables are to be made, or are, each with what tells its definition from any other.
    ///
    /// # Errors
    /// The server's.
    pub async fn put<'a>(
        self,
        state: State,
        tables: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Result<(), SinkError> {
        let (mut schemas, mut names, mut definitions) = (Vec::new(), Vec::new(), Vec::new());
        for (schema, name, definition) in tables {
            schemas.push(schema);
            names.push(name);
            definitions.push(definition);
        }
        let sql = "INSERT INTO headwater.copied_tables (topic_prefix, table_schema, table_name, state, definition)
                   SELECT $1::text, t.schema, t.name, $2::text, t.definition
                   FROM unnest($3::text[], $4::text[], $5::text[]) AS t (schema, name, definition)
                   ON CONFLICT (topic_prefix, table_schema, table_name) DO UPDATE SET
                       state = EXCLUDED.state, definition = EXCLUDED.definition, snapshot = NULL, seen_to = NULL,
                       changed_at = now()";
        self.target.execute(sql, &[&self.prefix, &state.as_str(), &schemas, &names, &definitions]).await?;
        Ok(())
    }

    /// Locks a table's row for this transaction, and says whether its rows are there: a session that ended may have committed them.
    ///
    /// # Errors
    /// The server's.
    pub async fn is_filled(self, schema: &str, name: &str) -> Result<bool, SinkError> {
        let sql = "SELECT state IN ('filled', 'ready') FROM headwater.copied_tables
                   WHERE topic_prefix = $1 AND table_schema = $2 AND table_name = $3 FOR UPDATE";
        let row = self.target.query_opt(sql, &[&self.prefix, &schema, &name]).await?;
        Ok(row.is_some_and(|row| row.get(0)))
    }

    /// A table's rows are there, of this snapshot; `None` for the slot's own. `root` is the table under whose name its changes come, where
    /// that is another.
    ///
    /// # Errors
    /// The server's.
    pub async fn fill(
        self,
        schema: &str,
        name: &str,
        root: Option<&(String, String)>,
        later: Option<&Later>,
    ) -> Result<(), SinkError> {
        let (snapshot, seen_to) = later.map(|later| (later.snapshot.as_str(), later.seen_to.to_string())).unzip();
        let sql = "UPDATE headwater.copied_tables SET state = 'filled', snapshot = $4, seen_to = $5, changed_at = now()
                   WHERE topic_prefix = $1 AND table_schema = $2 AND table_name = $3";
        self.target.execute(sql, &[&self.prefix, &schema, &name, &snapshot, &seen_to]).await?;
        if let Some((schema, name)) = root {
            let sql = "UPDATE headwater.copied_tables SET snapshot = $4, seen_to = $5, changed_at = now()
                       WHERE topic_prefix = $1 AND table_schema = $2 AND table_name = $3";
            self.target.execute(sql, &[&self.prefix, &schema, &name, &snapshot, &seen_to]).await?;
        }
        Ok(())
    }

    /// A part of the copy is no longer to come.
    ///
    /// # Errors
    /// The server's.
    pub async fn lacks(self, part: &str) -> Result<(), SinkError> {
        let sql = "DELETE FROM headwater.copied_parts WHERE topic_prefix = $1 AND part = $2";
        self.target.execute(sql, &[&self.prefix, &part]).await?;
        Ok(())
    }

    /// The tables whose rows are not of the slot's own snapshot, by schema and name.
    ///
    /// # Errors
    /// The server's.
    pub async fn copied_later(self) -> Result<Vec<(String, String)>, SinkError> {
        let sql = "SELECT table_schema, table_name FROM headwater.copied_tables
                   WHERE topic_prefix = $1 AND snapshot IS NOT NULL ORDER BY 1, 2";
        Ok(self.target.query(sql, &[&self.prefix]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// A table is none that is copied.
    ///
    /// # Errors
    /// The server's.
    pub async fn forget(self, schema: &str, name: &str) -> Result<(), SinkError> {
        let sql =
            "DELETE FROM headwater.copied_tables WHERE topic_prefix = $1 AND table_schema = $2 AND table_name = $3";
        self.target.execute(sql, &[&self.prefix, &schema, &name]).await?;
        Ok(())
    }

    /// Changes of these tables can be applied.
    ///
    /// # Errors
    /// The server's.
    pub async fn are_ready(self, names: &[(String, String)]) -> Result<(), SinkError> {
        let (schemas, names): (Vec<&str>, Vec<&str>) =
            names.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).unzip();
        let sql = "UPDATE headwater.copied_tables SET state = 'ready', changed_at = now()
                   FROM unnest($2::text[], $3::text[]) AS done (schema, name)
                   WHERE topic_prefix = $1 AND table_schema = done.schema AND table_name = done.name";
        self.target.execute(sql, &[&self.prefix, &schemas, &names]).await?;
        Ok(())
    }

    /// Changes of all tables that are there can be applied.
    ///
    /// # Errors
    /// The server's.
    pub async fn finish(self) -> Result<(), SinkError> {
        let sql = "UPDATE headwater.copied_tables SET state = 'ready', changed_at = now()
                   WHERE topic_prefix = $1 AND state <> 'ready'";
        self.target.execute(sql, &[&self.prefix]).await?;
        Ok(())
    }
}
