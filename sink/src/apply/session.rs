//! A session of the target that applies batches.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::future::join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// How many statements a session keeps: its share of the tables, which may be many thousands, changes.
const MOST_STATEMENTS: usize = 64;

/// A session, with its statements as the server knows them. Whoever fails in the middle of a transaction rolls it back, or
/// drops the session.
pub(super) struct Session {
    /// The session.
    pub(super) client: Client,
    prepared: HashMap<String, Statement>,
}

impl Session {
    /// Nothing is prepared yet.
    pub(super) fn new(client: Client) -> Self {
        Self { client, prepared: HashMap::new() }
    }

    async fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
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
        self.client.batch_execute("ROLLBACK").await
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

    /// Runs a `COPY … FROM STDIN` with all of its data.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn copy(&mut self, sql: &str, data: Bytes) -> Result<u64, Error> {
        let statement = self.statement(sql).await?;
        let mut copying = Box::pin(self.client.copy_in(&statement).await?);
        copying.send(data).await?;
        copying.as_mut().finish().await
    }
}
