//! What the target lacks of a table, and what is done about it.

use access::diagnosis::Finding;

use super::copied;
use super::session::Session;
use super::tables::Tables;
use super::write::StageError;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::evolve::definition::Told;
use crate::plan::snapshot::Written;
use crate::plan::table::{TargetTable, qualified};
use crate::postgres::identifier;

/// What it means that the target lacks a table that nobody is to make.
pub fn table_finding(schema: &str, name: &str, topic: &str) -> Finding {
    Finding::error(
        "target-table",
        format!("table {schema}.{name} is not in the target. Its changes wait in topic {topic}"),
        "Create the table there as it is in the source, and they are applied; or run the sink with --schema-evolution basic",
    )
}

/// What it means that the target lacks a column that nobody is to add.
pub fn column_finding(schema: &str, name: &str, column: &str) -> Finding {
    Finding::error(
        "target-column",
        format!("table {schema}.{name} has no column {column} in the target, and changes bring it. They wait in Kafka"),
        format!(
            "Add the column there as it is in the source, and they are applied; or run the sink with --schema-evolution basic:\n\
             ALTER TABLE {} ADD COLUMN {} …;",
            qualified(schema, name),
            identifier(column)
        ),
    )
}

/// Gets to know the table of the next record. One that the target lacks is made, or passed over where the source has none either.
///
/// # Errors
/// Stop where it has to be made by hand.
pub(super) async fn table(
    session: &mut Session,
    evolution: &Evolution,
    tables: &mut Tables,
    topic: &str,
    (schema, name): (&str, &str),
) -> Result<(), SinkError> {
    let client = session.client().await?;
    let tables = match tables {
        Tables::Jdbc(topic) => return Box::pin(topic.describe(client, schema, name)).await,
        Tables::Replica(tables) => tables,
    };
    if tables.describe(client, topic, schema, name).await? {
        return Ok(());
    }
    if !evolution.adds() {
        return Err(table_finding(schema, name, topic).into());
    }
    if Box::pin(evolution.make_table(client, schema, name)).await? {
        tracing::info!("table {schema}.{name} was not in the target, and is made there as the source has it now");
        tables.forget(schema, name);
        if tables.describe(client, topic, schema, name).await? {
            return Ok(());
        }
        return Err(SinkError::stop(
            "target-table",
            format!("table {schema}.{name} was made in the target, and has no columns there"),
        ));
    }
    tracing::warn!(
        topic,
        "table {schema}.{name} is neither in the target nor, any more, in the source: changes from before it was dropped are passed over"
    );
    tables.pass_over(schema, name);
    Ok(())
}

/// A column that the next record brings and the target lacks is added, or passed over where the source has none either.
///
/// # Errors
/// Stop where it has to be added by hand.
pub(super) async fn column(
    session: &mut Session,
    evolution: &Evolution,
    tables: &mut Tables,
    table: &TargetTable,
    column: &str,
) -> Result<(), SinkError> {
    let TargetTable { schema, name, .. } = table;
    let tables = match tables {
        Tables::Jdbc(topic) => return Box::pin(topic.add_column(session.client().await?, table, column)).await,
        Tables::Replica(tables) => tables,
    };
    if !evolution.adds() {
        return Err(column_finding(schema, name, column).into());
    }
    if Box::pin(evolution.make_column(session.client().await?, schema, name, column)).await? {
        tables.forget(schema, name);
    } else {
        tracing::warn!(
            "column {column} of table {schema}.{name} is neither in the target nor, any more, in the source: what changes from before \
             it was dropped bring for it is passed over"
        );
        tables.pass_over_column(table, column);
    }
    Ok(())
}

/// Does what a message of the source's event triggers says.
///
/// # Errors
/// Stop where the target does not take it.
pub(super) async fn definition(
    session: &mut Session,
    evolution: &Evolution,
    tables: &mut Tables,
    (told, written): &(Told, Option<Written>),
) -> Result<(), SinkError> {
    let Tables::Replica(tables) = tables else { return Ok(()) };
    let client = session.client().await?;
    // A table that was copied since is made as it was then.
    if let Some((schema, name)) = told.table()
        && let Some(snapshot) = copied::snapshot_of(client, schema, name).await?
        && written.is_some_and(|written| snapshot.has(written))
    {
        if Box::pin(evolution.follow_copied(client, told)).await? {
            tables.forget_all();
        }
        return Ok(());
    }
    if Box::pin(evolution.follow(client, told)).await? {
        tables.forget_all();
    }
    Ok(())
}

/// Looks whether a row that the target refuses would be taken there if the table were as the source's. Then that is so from now on,
/// and what is at hand is applied once more.
///
/// # Errors
/// Retry where it is.
pub(super) async fn refused(
    session: &mut Session,
    evolution: &Evolution,
    tables: &mut Tables,
    table: &TargetTable,
    error: &StageError,
) -> Result<(), SinkError> {
    let Tables::Replica(tables) = tables else { return Ok(()) };
    let may_help = error.code().is_some_and(|code| evolution.may_make_way(code));
    if !may_help || !tables.refuses_first(table) {
        return Ok(());
    }
    let TargetTable { schema, name, .. } = table;
    // Beside the open transaction, which would hold it up, and of which nothing stays then.
    if Box::pin(evolution.is_in_the_way(schema, name)).await? {
        session.roll_back().await?;
        Box::pin(evolution.make_way(session.client().await?, schema, name)).await?;
        return Err(SinkError::retry(format!(
            "table {schema}.{name} did not take a row that the source's took, and is changed so that it does"
        )));
    }
    Ok(())
}
