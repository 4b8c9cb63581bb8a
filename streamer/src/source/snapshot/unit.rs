//! What is read at one go: a table, or a range of a big table's blocks.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::envelope::TableEnvelope;
use proto::pgoutput::Datum;
use tokio_postgres::Client;

use super::Plan;
use super::done::Done;
use crate::capture::relations::Relations;
use crate::error::TaskError;
use crate::source::catalog::{self, Types};
use crate::source::quote_identifier;
use crate::source::session::query_error;
use crate::source::table_name::TableName;

/// How many blocks a range has: 8 MB of blocks of 8 kB.
const RANGE: u64 = 1024;

/// A table that is read.
#[derive(Debug)]
pub(super) struct SourceTable {
    /// `schema.table`.
    pub(super) name: String,
    pub(super) envelope: Arc<TableEnvelope>,
    /// Where each of the table's columns is among the selected ones; `None` when they are the same.
    pub(super) columns: Option<Vec<Option<usize>>>,
    /// The table's file.
    pub(super) file: u32,
}

/// What is read at one go.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// The table's number.
    pub(super) table: usize,
    pub(super) select: String,
    /// The range of blocks, from the first up to the second; the last range of a table has no end.
    pub(super) blocks: Option<(u64, Option<u64>)>,
    /// Whether blocks that are done are looked through for rows that moved there.
    pub(super) is_again: bool,
}

/// The tables and their units, in the order in which they are read.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub(super) tables: Vec<SourceTable>,
    pub(super) units: VecDeque<Unit>,
}

impl Units {
    /// Looks at the tables. Those that are done, or are gone, are left out.
    ///
    /// # Errors
    /// As [`query_error`]; stop when a statement that replaces a table's selects what the table does not have.
    pub(super) async fn plan(
        client: &Client,
        plan: &Plan,
        done: &Done,
        relations: &Relations,
    ) -> Result<Self, TaskError> {
        let mut types = Types::default();
        let has_ranges = has_range_scans(client).await?;
        let mut planned = Self::default();
        for name in plan.tables.iter().filter(|name| !done.tables.contains(&name.to_string())) {
            let Some(table) = catalog::describe_table(client, &mut types, name).await? else { continue };
            let text = name.to_string();
            let number = planned.tables.len();
            let mut source =
                SourceTable { envelope: Arc::new(relations.compile(&table)), name: text, columns: None, file: 0 };
            if let Some(select) = plan.selects.get(&source.name) {
                source.columns = Some(selected_columns(client, name, &source.envelope, select).await?);
                planned.units.push_back(Unit { table: number, select: select.clone(), blocks: None, is_again: false });
                planned.tables.push(source);
                continue;
            }
            let columns = table.columns.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>();
            // A SELECT, not the table itself: it reads partitioned tables and includes generated columns.
            let select = format!("SELECT {} FROM {}", columns.join(", "), name.quoted());
            let (file, blocks) = if has_ranges { size(client, name).await? } else { (0, 0) };
            source.file = file;
            planned.split(number, &select, blocks, done, &source);
            planned.tables.push(source);
        }
        Ok(planned)
    }

    /// The units of a table: its ranges one after another, those that are done only for rows of later transactions.
    fn split(&mut self, table: usize, select: &str, blocks: u64, done: &Done, source: &SourceTable) {
        let ranges = done.ranges(&source.name, source.file);
        if blocks <= RANGE && ranges.is_empty() {
            self.units.push_back(Unit { table, select: select.to_owned(), blocks: None, is_again: false });
            return;
        }
        for (from, to) in ranges {
            let xid = "xmin::text::int8";
            let select = format!(
                "{select} WHERE ctid >= '({from},0)' AND ctid < '({to},0)' \
                 AND ({xid} - {} + 4294967296) % 4294967296 < 2147483648 AND {xid} > 2",
                done.xmin
            );
            self.units.push_back(Unit { table, select, blocks: Some((*from, Some(*to))), is_again: true });
        }
        let mut from = 0;
        loop {
            if let Some((_, end)) = ranges.iter().find(|(start, end)| (start..end).contains(&&from)) {
                from = *end;
                continue;
            }
            let next_done = ranges.iter().map(|(start, _)| *start).find(|start| *start > from);
            let is_last = from + RANGE >= blocks && next_done.is_none();
            let to = (from + RANGE).min(next_done.unwrap_or(u64::MAX));
            let end = if is_last { String::new() } else { format!(" AND ctid < '({to},0)'") };
            self.units.push_back(Unit {
                table,
                select: format!("{select} WHERE ctid >= '({from},0)'{end}"),
                blocks: Some((from, (!is_last).then_some(to))),
                is_again: false,
            });
            if is_last {
                return;
            }
            from = to;
        }
    }
}

impl SourceTable {
    /// A selected row as a row of the table: a column that is not selected is null, as in Debezium.
    pub(super) fn arrange(&self, selected: Vec<Datum>) -> Vec<Datum> {
        let Some(columns) = &self.columns else { return selected };
        let value = |place: &Option<usize>| place.and_then(|place| selected.get(place)).cloned().unwrap_or(Datum::Null);
        columns.iter().map(value).collect()
    }
}

/// PostgreSQL 14 and later read a range of blocks without looking at the others.
async fn has_range_scans(client: &Client) -> Result<bool, TaskError> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4 >= 140000", &[])
        .await
        .map_err(|error| query_error("reading the server's version", error))?;
    Ok(row.get(0))
}

/// A table's file and how many blocks it has; neither for one that is not a heap of its own.
async fn size(client: &Client, name: &TableName) -> Result<(u32, u64), TaskError> {
    let row = client
        .query_opt(
            "SELECT pg_relation_filenode(c.oid), \
                    (pg_relation_size(c.oid) / current_setting('block_size')::int8)::int8 \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r' AND a.amname = 'heap'",
            &[&name.schema, &name.name],
        )
        .await
        .map_err(|error| query_error(&format!("reading the size of table {name}"), error))?;
    Ok(row.map_or((0, 0), |row| (row.get::<_, Option<u32>>(0).unwrap_or_default(), row.get::<_, i64>(1) as u64)))
}

/// Where each of the table's columns is among those that a statement selects.
async fn selected_columns(
    client: &Client,
    name: &TableName,
    envelope: &TableEnvelope,
    select: &str,
) -> Result<Vec<Option<usize>>, TaskError> {
    let what = format!("preparing the statement that is read instead of table {name}");
    let statement = client.prepare(select).await.map_err(|error| query_error(&what, error))?;
    let selected: Vec<&str> = statement.columns().iter().map(tokio_postgres::Column::name).collect();
    let columns = &envelope.table().columns;
    if let Some(unknown) = selected.iter().find(|name| !columns.iter().any(|column| &&column.name == name)) {
        return Err(TaskError::stop(
            "snapshot-select",
            format!(
                "{what}: it selects {unknown}, which is not a column of the table; select columns of the table only"
            ),
        ));
    }
    Ok(columns.iter().map(|column| selected.iter().position(|name| *name == column.name)).collect())
}
