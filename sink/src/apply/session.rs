//! A session of the target that applies batches.

use std::collections::HashMap;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::future::join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, CopyInSink, Error, Row, Statement};

/// How many statements a session keeps: its share of the tables, which may be many thousands, changes.
const MOST_STATEMENTS: usize = 64;

/// A session, with its statements as the server knows them. Whoever fails in the middle of a transaction rolls it back, or
/// drops the session.
pub(super) struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
    copying: Option<Copying>,
    has_broken_a_copy: bool,
}

/// A `COPY … FROM STDIN` that takes more.
struct Copying {
    sql: String,
    rows: Pin<Box<CopyInSink<Bytes>>>,
}

impl Session {
    /// Nothing is prepared yet.
    pub(super) fn new(client: Client) -> Self {
        Self { client, prepared: HashMap::new(), copying: None, has_broken_a_copy: false }
    }

    /// The session for what has to be asked only once.
    ///
    /// # Errors
    /// As [`end_copy`](Self::end_copy).
    pub(super) async fn client(&mut self) -> Result<&Client, Error> {
        self.end_copy().await?;
        Ok(&self.client)
    }

    async fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
        self.end_copy().await?;
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if self.prepared.len() >= MOST_STATEMENTS {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Begins a transaction with a query of one row.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn begin_with(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let statement = self.statement(sql).await?;
        self.has_broken_a_copy = false;
        // Sent one behind the other, and answered together.
        let begun = self.client.batch_execute("BEGIN");
        let (begun, row) = join(begun, self.client.query_one(&statement, parameters)).await;
        begun.and(row)
    }

    /// Ends the transaction with a statement.
    ///
    /// # Errors
    /// The server's; nothing of the transaction stays then.
    pub(super) async fn commit_with(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        let statement = self.statement(sql).await?;
        // A server whose statement failed rolls back at a COMMIT, and says that all is well.
        let last = self.client.execute(&statement, parameters);
        let (last, committed) = join(last, self.client.batch_execute("COMMIT")).await;
        last.and(committed)
    }

    /// Ends the transaction as if nothing had been.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn roll_back(&mut self) -> Result<(), Error> {
        // Which breaks it off.
        self.copying = None;
        self.client.batch_execute("ROLLBACK").await
    }

    /// What is done from here on can be undone by itself.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn set_savepoint(&mut self) -> Result<(), Error> {
        self.has_broken_a_copy = false;
        self.batch_execute("SAVEPOINT part").await
    }

    /// What was done since is undone only with all the rest.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn release_savepoint(&mut self) -> Result<(), Error> {
        self.batch_execute("RELEASE part").await
    }

    /// Undoes what was done since, and goes on from there.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn roll_back_to_savepoint(&mut self) -> Result<(), Error> {
        // Which breaks it off.
        (self.copying, self.has_broken_a_copy) = (None, false);
        self.client.batch_execute("ROLLBACK TO part").await
    }

    /// Runs a query.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn query(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, parameters).await
    }

    /// Runs a query of one row.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn query_one(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let statement = self.statement(sql).await?;
        self.client.query_one(&statement, parameters).await
    }

    /// Runs a statement, and gives how many rows it was about.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn execute(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.statement(sql).await?;
        self.client.execute(&statement, parameters).await
    }

    /// Runs statements without parameters.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        self.client().await?.batch_execute(sql).await
    }

    /// Copies rows in by a `COPY … FROM STDIN`. It is left open for more of them, and what the server says to these may come
    /// with the next statement, or with [`end_copy`](Self::end_copy).
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn copy(&mut self, sql: &str, rows: Bytes) -> Result<(), Error> {
        let is_open = self.copying.as_ref().is_some_and(|copying| copying.sql == sql);
        if !is_open {
            self.end_copy().await?;
        }
        self.has_broken_a_copy = true;
        let mut copying = match self.copying.take() {
            Some(copying) => copying,
            None => {
                let statement = self.statement(sql).await?;
                Copying { sql: sql.to_owned(), rows: Box::pin(self.client.copy_in(&statement).await?) }
            }
        };
        copying.rows.send(rows).await?;
        (self.copying, self.has_broken_a_copy) = (Some(copying), false);
        Ok(())
    }

    /// Whether the transaction's last error is a `COPY`'s.
    pub(super) fn has_broken_a_copy(&self) -> bool {
        self.has_broken_a_copy
    }

    /// Ends the `COPY` that is open, if one is.
    ///
    /// # Errors
    /// The server's to its rows.
    pub(super) async fn end_copy(&mut self) -> Result<(), Error> {
        let Some(mut copying) = self.copying.take() else { return Ok(()) };
        let ended = copying.rows.as_mut().finish().await;
        self.has_broken_a_copy = ended.is_err();
        ended.map(|_| ())
    }
}
