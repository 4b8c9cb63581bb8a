//! Does in the target what a message says was done in the source.

use serde::Serialize;
use tokio_postgres::Client;

use super::change::{Change, TypeChange, create_sequence, own_sequence};
use super::definition::{Dropped, DroppedKind, Table, Told, UserType};
use super::{Evolution, catalog, difference};
use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::identifier;

/// How long a type or label waits for others who change the same type.
const LABEL_TIMEOUT: &str = "SET lock_timeout = '2s'";

impl Evolution {
    /// Does what a message says, in the open transaction of `target`. Whether something was changed.
    ///
    /// # Errors
    /// Stop where the target does not take it; retry where it may.
    pub async fn follow(&self, target: &Client, told: &Told) -> Result<bool, SinkError> {
        if !self.follows() {
            return Ok(false);
        }
        Self::lock(target).await?;
        let path = catalog::full_names(target).await?;
        let is_changed = match told {
            Told::Table(table) => self.follow_table(target, table).await?,
            Told::Type(of) => self.follow_types(target, std::slice::from_ref(of)).await?,
            Told::Dropped(dropped) => self.follow_drop(target, dropped).await?,
        };
        catalog::set_search_path(target, &path).await?;
        Ok(is_changed)
    }

    /// A table was copied behind what a message says. What the target has of it under the name that it had before goes: its rows came with
    /// the copy. Whether something was changed.
    ///
    /// # Errors
    /// Stop where the target does not take it; retry where it may.
    pub async fn follow_copied(&self, target: &Client, told: &Told) -> Result<bool, SinkError> {
        let (true, Told::Table(want)) = (self.follows(), told) else { return Ok(false) };
        Self::lock(target).await?;
        let known = self.known(target);
        let Some(base) = known.table(want.oid).await? else { return Ok(false) };
        let before = qualified(&base.schema, &base.name);
        if (&base.schema, &base.name) == (&want.schema, &want.name) || !catalog::is_there(target, &before).await? {
            return Ok(false);
        }
        self.run(target, want, &format!("DROP TABLE {before}")).await?;
        known.put("table", want.oid, &json(want)?).await?;
        Ok(true)
    }

    /// Of tables of the source those that it has under other names than the target last knew: messages tell of them.
    ///
    /// # Errors
    /// The servers'.
    pub async fn renamed(&self, source: &Client, target: &Client) -> Result<Vec<(String, String)>, SinkError> {
        if !self.follows() {
            return Ok(Vec::new());
        }
        let sql = "SELECT source_oid, definition ->> 'schema', definition ->> 'name' FROM headwater.definitions
                   WHERE topic_prefix = $1 AND kind = 'table'";
        let known = target.query(sql, &[&self.inner()?.prefix]).await?;
        let oids: Vec<i64> = known.iter().map(|row| row.get(0)).collect();
        let schemas: Vec<&str> = known.iter().map(|row| row.get(1)).collect();
        let names: Vec<&str> = known.iter().map(|row| row.get(2)).collect();
        let sql = "SELECT n.nspname::text, c.relname::text
                   FROM unnest($1::bigint[], $2::text[], $3::text[]) AS known (id, schema, name)
                   JOIN pg_class c ON c.oid = known.id::oid JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE (n.nspname, c.relname) <> (known.schema, known.name)";
        let rows = source.query(sql, &[&oids, &schemas, &names]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn follow_table(&self, target: &Client, want: &Table) -> Result<bool, SinkError> {
        if !self.captures(&want.schema, &want.name)? {
            return Ok(false);
        }
        let known = self.known(target);
        let base = known.table(want.oid).await?;
        if base.as_ref() == Some(want) && catalog::is_there(target, &qualified(&want.schema, &want.name)).await? {
            return Ok(false);
        }
        self.follow_types(target, &want.types).await?;
        let mut have = catalog::table(target, &want.schema, &want.name).await?;
        if let (None, Some(base)) = (&have, &base) {
            have = catalog::table(target, &base.schema, &base.name).await?;
        }
        match have {
            None => self.create(target, want).await?,
            Some(have) => {
                for sequence in &want.sequences {
                    if !catalog::is_there(target, &qualified(&sequence.schema, &sequence.name)).await? {
                        self.run(target, want, &create_sequence(sequence)).await?;
                    }
                }
                let changes = difference::columns(base.as_ref(), want, &have);
                self.carry_out(target, want, &changes).await?;
                if changes.iter().any(Change::may_differ) {
                    tracing::warn!(
                        table = %format!("{}.{}", want.schema, want.name),
                        "rows that were there before this change of their columns may differ from the source's, whose own new values \
                         come in no change: sink verify --repair compares them"
                    );
                }
                // PostgreSQL has written expressions anew.
                let have = catalog::table(target, &want.schema, &want.name).await?.unwrap_or(have);
                let changes = difference::constraints(base.as_ref(), want, &have);
                let changes = self.possible(target, want, changes).await?;
                self.carry_out(target, want, &changes).await?;
            }
        }
        known.put("table", want.oid, &json(want)?).await?;
        Ok(true)
    }

    /// Makes a table that is not there.
    pub(super) async fn create(&self, target: &Client, want: &Table) -> Result<(), SinkError> {
        if !catalog::has_schema(target, &want.schema).await? {
            self.run(target, want, &format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(&want.schema))).await?;
        }
        for sequence in &want.sequences {
            self.run(target, want, &create_sequence(sequence)).await?;
        }
        self.carry_out(target, want, &[Change::Create(Box::new(want.clone()))]).await?;
        for sequence in want.sequences.iter().filter_map(|sequence| own_sequence(sequence, want)) {
            self.run(target, want, &sequence).await?;
        }
        let have = catalog::table(target, &want.schema, &want.name).await?.unwrap_or_default();
        let changes = self.possible(target, want, difference::constraints(None, want, &have)).await?;
        self.carry_out(target, want, &changes).await
    }

    /// Leaves out what refers to tables that the target does not have.
    async fn possible(
        &self,
        target: &Client,
        table: &Table,
        mut changes: Vec<Change>,
    ) -> Result<Vec<Change>, SinkError> {
        let mut lacking = Vec::new();
        for change in &changes {
            let other = match change {
                Change::AddConstraint(constraint) => constraint.references.clone(),
                Change::Attach(part) => Some(qualified(&part.schema, &part.name)),
                _ => None,
            };
            if let Some(other) = other
                && !catalog::is_there(target, &other).await?
            {
                tracing::warn!(
                    table = %format!("{}.{}", table.schema, table.name),
                    "the target does not have table {other}, and so not what refers to it"
                );
                lacking.push(change.clone());
            }
        }
        changes.retain(|change| !lacking.contains(change));
        Ok(changes)
    }

    pub(super) async fn carry_out(&self, target: &Client, table: &Table, changes: &[Change]) -> Result<(), SinkError> {
        for change in changes {
            let sql = change.sql(&table.schema, &table.name);
            tracing::info!(%sql, "the target follows the source's tables");
            self.run(target, table, &sql).await?;
        }
        Ok(())
    }

    async fn run(&self, target: &Client, table: &Table, sql: &str) -> Result<(), SinkError> {
        let what = format!("table {}.{}", table.schema, table.name);
        target.batch_execute(sql).await.map_err(|error| held(error, &what, sql))
    }

    /// Makes and changes types as the source's are. Whether something was changed.
    pub(super) async fn follow_types(&self, target: &Client, types: &[UserType]) -> Result<bool, SinkError> {
        let known = self.known(target);
        let mut is_changed = false;
        for want in types {
            let base = if self.follows() { known.user_type(want.oid).await? } else { None };
            let mut have = catalog::user_type(target, &want.schema, &want.name).await?;
            if let (None, Some(base)) = (&have, &base) {
                have = catalog::user_type(target, &base.schema, &base.name).await?;
            }
            let changes = match &have {
                Some(_) if base.as_ref() == Some(want) => continue,
                Some(have) => self.type_changes(base.as_ref(), want, have),
                None => {
                    if !catalog::has_schema(target, &want.schema).await? {
                        let schema = format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(&want.schema));
                        self.run_beside(target, want, &schema).await?;
                    }
                    vec![TypeChange::Create(Box::new(want.clone()))]
                }
            };
            for change in changes {
                let sql = change.sql(&want.schema, &want.name);
                tracing::info!(%sql, "the target follows the source's types");
                match change {
                    TypeChange::AddLabel(..) | TypeChange::Create(_) => self.run_beside(target, want, &sql).await?,
                    _ => self.run_for_type(target, want, &sql).await?,
                }
                is_changed = true;
            }
            if self.follows() {
                known.put("type", want.oid, &json(want)?).await?;
            }
        }
        Ok(is_changed)
    }

    /// What is to be done to a type that is there: with the policy `basic` it gets only what it lacks.
    pub(super) fn type_changes(&self, base: Option<&UserType>, want: &UserType, have: &UserType) -> Vec<TypeChange> {
        let mut changes = difference::types(base, want, have);
        if !self.is_full() {
            changes.retain(|change| matches!(change, TypeChange::AddLabel(..)));
        }
        changes
    }

    async fn run_for_type(&self, target: &Client, of: &UserType, sql: &str) -> Result<(), SinkError> {
        let what = format!("type {}.{}", of.schema, of.name);
        target.batch_execute(sql).await.map_err(|error| held(error, &what, sql))
    }

    /// PostgreSQL takes a new label in no row before the transaction that added it is committed, and the next rows of the same
    /// transaction here may have it: so labels, and the types that may get some, come in a session of their own. A type or label that no
    /// row has yet hurts nobody. Where the open transaction itself stands in the way, having dropped or renamed the type, it is done
    /// there.
    async fn run_beside(&self, target: &Client, of: &UserType, sql: &str) -> Result<(), SinkError> {
        let own = self.inner()?.target.connect("types").await?;
        own.batch_execute(LABEL_TIMEOUT).await?;
        match own.batch_execute(sql).await {
            Ok(()) => Ok(()),
            Err(_) => self.run_for_type(target, of, sql).await,
        }
    }

    async fn follow_drop(&self, target: &Client, gone: &Dropped) -> Result<bool, SinkError> {
        let known = self.known(target);
        let what = format!("{}.{}", gone.schema, gone.name);
        let sql_name = qualified(&gone.schema, &gone.name);
        match gone.kind {
            DroppedKind::Table => {
                known.forget("table", gone.oid).await?;
                if !self.captures(&gone.schema, &gone.name)? {
                    return Ok(false);
                }
                let sql = format!("DROP TABLE IF EXISTS {sql_name}");
                tracing::info!(%sql, "the target follows the source's tables");
                target.batch_execute(&sql).await.map_err(|error| held(error, &format!("table {what}"), &sql))?;
            }
            DroppedKind::Index => {
                let sql = format!("DROP INDEX IF EXISTS {sql_name}");
                tracing::info!(%sql, "the target follows the source's tables");
                target.batch_execute(&sql).await.map_err(|error| held(error, &format!("index {what}"), &sql))?;
            }
            DroppedKind::Type => {
                known.forget("type", gone.oid).await?;
                if catalog::user_type(target, &gone.schema, &gone.name).await?.is_none() {
                    return Ok(false);
                }
                target.batch_execute("SAVEPOINT dropped_type").await?;
                // What still uses it here is the target's own: the type stays, and hurts nobody.
                match target.batch_execute(&format!("DROP TYPE {sql_name}")).await {
                    Ok(()) => target.batch_execute("RELEASE dropped_type").await?,
                    Err(error) => {
                        tracing::warn!(
                            "type {what} is gone in the source and stays in the target: {}",
                            SinkError::from(error)
                        );
                        target.batch_execute("ROLLBACK TO dropped_type; RELEASE dropped_type").await?;
                    }
                }
            }
        }
        Ok(true)
    }
}

pub(super) fn json<T: Serialize>(of: &T) -> Result<String, SinkError> {
    serde_json::to_string(of).map_err(|error| {
        SinkError::stop("definition-unreadable", format!("a definition cannot be written down: {error}"))
    })
}

/// The target does not take a change.
fn held(error: tokio_postgres::Error, what: &str, sql: &str) -> SinkError {
    match SinkError::from(error) {
        SinkError::Stop { text: reason, .. } => SinkError::stop(
            "definition-refused",
            format!(
                "{what} has changed in the source, and the target does not take that: {reason}. It is: {sql}. What comes behind it waits in \
             Kafka. Take away what is in its way, or do in the target by hand what leads there: what is done already is not done \
             again"
            ),
        ),
        retry => retry,
    }
}
