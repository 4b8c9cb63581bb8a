//! Which of the captured tables are one slot's, where a connector has several.
//!
//! A table stays with the publication that has it, whatever it is called by now: one that changed its place would be missing
//! between leaving the one and entering the other. Only a table that none of them has falls to a share by its name, a partition
//! by its root's: a publication sends what becomes a partition of its tables, also later, and another slot would send it again.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::catalog::ListedTable;
use super::publication;
use super::session::query_error;
use super::table_name::TableName;
use crate::config::{ConnectorConfig, Share};
use crate::error::TaskError;

/// What says where a table belongs.
struct Belonging {
    /// The table, or the root that it is a partition of.
    root: TableName,
    /// The publication that has the root, and the one that has the table itself.
    published: [Option<String>; 2],
}

/// Those of the captured tables that are the slot's of this configuration; all where there is only one.
///
/// # Errors
/// Stop when no table is captured at all; else as [`query_error`].
pub async fn of_slot(
    client: &Client,
    config: &ConnectorConfig,
    mut captured: Vec<ListedTable>,
) -> Result<Vec<ListedTable>, TaskError> {
    let Some(share) = config.share else { return Ok(captured) };
    if captured.is_empty() {
        return Err(publication::nothing_captured(config).into());
    }
    let publications = config.publications();
    let mut belongings = belongings(client, &publications).await?;
    captured.retain(|table| {
        let place = match belongings.remove(&table.name) {
            Some(belonging) => place(config, share, &publications, &table.name, &belonging),
            None => Share::of_table(&table.name.schema, &table.name.name, share.of),
        };
        place == share
    });
    Ok(captured)
}

fn place(
    config: &ConnectorConfig,
    share: Share,
    publications: &[String],
    table: &TableName,
    belonging: &Belonging,
) -> Share {
    let by_publication = |name: &String| {
        let all = Share::all(share.of).zip(publications);
        all.into_iter().find(|(_, publication)| *publication == name).map(|(share, _)| share)
    };
    let [of_root, of_table] = belonging.published.each_ref().map(|name| name.as_ref().and_then(by_publication));
    if let (Some(of_root), Some(of_table)) = (of_root, of_table)
        && of_root != of_table
        && of_table == share
    {
        tracing::warn!(
            connector = %config.name, %table, root = %belonging.root, slots = ?[of_root.number, of_table.number],
            "the table became a partition of one that comes through another slot: its changes come through both, each twice. \
             Where that matters, set headwater.slots=1, wait until the task runs, and set it back"
        );
    }
    // Its own first: what its slot has still to send of it is sent by no other.
    of_table.or(of_root).unwrap_or_else(|| Share::of_table(&belonging.root.schema, &belonging.root.name, share.of))
}

async fn belongings(client: &Client, publications: &[String]) -> Result<HashMap<TableName, Belonging>, TaskError> {
    let rows = client
        .query(
            "WITH published AS MATERIALIZED ( \
                SELECT r.prrelid AS id, min(p.pubname::text) AS name \
                FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid \
                WHERE p.pubname::text = ANY($1) GROUP BY 1) \
             SELECT n.nspname::text, c.relname::text, rn.nspname::text, root.relname::text, of_root.name, of_table.name \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid) \
             JOIN pg_namespace rn ON rn.oid = root.relnamespace \
             LEFT JOIN published of_root ON of_root.id = root.oid \
             LEFT JOIN published of_table ON of_table.id = c.oid \
             WHERE c.relkind IN ('r', 'p') AND (c.relispartition OR of_table.id IS NOT NULL)",
            &[&publications],
        )
        .await
        .map_err(|error| query_error("looking for what the publications of the connector's slots publish", error))?;
    let name = |row: &tokio_postgres::Row, schema, name| TableName { schema: row.get(schema), name: row.get(name) };
    let belonging = |row: &tokio_postgres::Row| {
        (name(row, 0, 1), Belonging { root: name(row, 2, 3), published: [row.get(4), row.get(5)] })
    };
    Ok(rows.iter().map(belonging).collect())
}
