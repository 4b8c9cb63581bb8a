//! What rows show that the target lacks: the source is asked for it, as it is now.

use tokio_postgres::Client;

use super::change::Change;
use super::definition::{Column, Table};
use super::{Evolution, catalog, difference};
use crate::error::SinkError;

impl Evolution {
    /// Makes a table that rows are of, in the open transaction of `target`. `false` where the source has no such table either: it was
    /// dropped behind these rows.
    ///
    /// # Errors
    /// Stop where the target does not take it; retry where it may.
    pub async fn make_table(&self, target: &Client, schema: &str, name: &str) -> Result<bool, SinkError> {
        let Some(want) = self.in_source(schema, name).await? else { return Ok(false) };
        Self::lock(target).await?;
        let path = catalog::full_names(target).await?;
        // Somebody else may have made it meanwhile.
        if catalog::table(target, schema, name).await?.is_none() {
            self.make(target, &want).await?;
        }
        catalog::set_search_path(target, &path).await?;
        Ok(true)
    }

    async fn make(&self, target: &Client, want: &Table) -> Result<(), SinkError> {
        if let Some(parent) = &want.partition_of
            && catalog::table(target, &parent.schema, &parent.name).await?.is_none()
            && let Some(parent) = self.in_source(&parent.schema, &parent.name).await?
        {
            Box::pin(self.make(target, &parent)).await?;
        }
        self.follow_types(target, &want.types).await?;
        self.create(target, want).await
    }

    /// Adds a column that rows bring, in the open transaction of `target`. `false` where the source has none of that name that rows
    /// bring: it was dropped behind these rows.
    ///
    /// # Errors
    /// Stop where the target does not take it; retry where it may.
    pub async fn make_column(
        &self,
        target: &Client,
        schema: &str,
        name: &str,
        column: &str,
    ) -> Result<bool, SinkError> {
        let Some(want) = self.in_source(schema, name).await? else { return Ok(false) };
        let Some(new) = want.column(column).filter(|column| column.generated.is_none()) else { return Ok(false) };
        Self::lock(target).await?;
        let path = catalog::full_names(target).await?;
        let have = catalog::table(target, schema, name).await?;
        let there = have.as_ref().and_then(|have| have.column(column));
        let is_writable = there.is_none_or(|there| there.generated.is_none());
        if there.is_none() {
            self.follow_types(target, &want.types).await?;
            // Rows that are on their way may be older than that it takes no NULL.
            let new = Column { not_null: false, ..new.clone() };
            self.carry_out(target, &want, &difference::added(&new)).await?;
        }
        catalog::set_search_path(target, &path).await?;
        Ok(is_writable)
    }

    /// Whether a row that was refused with this code may be taken when the target is as the source.
    pub fn may_make_way(&self, code: &str) -> bool {
        match code {
            // An enum without the label, a column that takes no NULL.
            "22P02" | "23502" => self.adds(),
            // Too long, too large, against a constraint.
            "22001" | "22003" | "23505" | "23514" | "23P01" => self.is_full(),
            _ => false,
        }
    }

    /// Whether [`make_way`](Self::make_way) would find something.
    ///
    /// # Errors
    /// The servers'.
    pub async fn is_in_the_way(&self, schema: &str, name: &str) -> Result<bool, SinkError> {
        let Some(want) = self.in_source(schema, name).await? else { return Ok(false) };
        let target = self.inner()?.target.connect("tables").await?;
        target.batch_execute("BEGIN READ ONLY").await?;
        catalog::full_names(&target).await?;
        let Some(have) = catalog::table(&target, schema, name).await? else { return Ok(false) };
        for of in &want.types {
            let there = catalog::user_type(&target, &of.schema, &of.name).await?;
            if there.is_none_or(|there| !self.type_changes(None, of, &there).is_empty()) {
                return Ok(true);
            }
        }
        Ok(!self.obstacles(&target, &want, &have).await?.is_empty())
    }

    async fn obstacles(&self, target: &Client, want: &Table, have: &Table) -> Result<Vec<Change>, SinkError> {
        let base = if self.is_full() { self.known(target).table(want.oid).await? } else { None };
        Ok(difference::in_the_way(base.as_ref(), want, have, self.is_full()))
    }

    /// Takes away what keeps out of the target a row that the source took, in a transaction of its own: a column that the source has
    /// no longer and that takes no NULL here, a label that an enum lacks; with `full`, another type, a constraint that the source has
    /// no longer.
    ///
    /// # Errors
    /// Stop where the target does not take it; retry where it may.
    pub async fn make_way(&self, target: &Client, schema: &str, name: &str) -> Result<(), SinkError> {
        let Some(want) = self.in_source(schema, name).await? else { return Ok(()) };
        target.batch_execute("BEGIN").await?;
        Self::lock(target).await?;
        catalog::full_names(target).await?;
        if let Some(have) = catalog::table(target, schema, name).await? {
            self.follow_types(target, &want.types).await?;
            let changes = self.obstacles(target, &want, &have).await?;
            self.carry_out(target, &want, &changes).await?;
        }
        Ok(target.batch_execute("COMMIT").await?)
    }
}
