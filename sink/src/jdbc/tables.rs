//! The target's tables as a topic's records are to be written into them, and what they lack (`RecordWriter`,
//! `GeneralDatabaseDialect.getCreateTableStatement`, `getAlterTableStatement`).

use std::collections::HashMap;

use tokio_postgres::Client;

use super::column::{default_of, form, type_of};
use super::layout::Layout;
use super::schema::Field;
use super::settings::{InsertMode, Settings};
use crate::error::SinkError;
use crate::parse::handling::Handling;
use crate::parse::reader::Reader;
use crate::plan::table::{TargetTable, Writes, qualified};
use crate::postgres::identifier;

/// One session at a time makes something: two that bring the first rows of a table would both make it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('headwater evolution', 0))";

/// Describes a table; makes it where it is not there and may be made. `None` where that is to be, and only keys are known of its rows.
///
/// # Errors
/// Stop where it is not there, or has no column for the key.
pub(super) async fn describe(
    client: &Client,
    settings: &Settings,
    layout: &Layout,
    topic: &str,
    (schema, name): (&str, &str),
) -> Result<Option<TargetTable>, SinkError> {
    if let Some(table) = described(client, settings, layout, (schema, name)).await? {
        return Ok(Some(table));
    }
    if !settings.evolves {
        return Err(SinkError::stop(
            "target-table",
            format!(
                "table {schema}.{name}, into which topic {topic} goes, is not in {}. Its records wait in Kafka; create the table, or set \
             schema.evolution=basic, and it is made as the records' schema says",
                settings.address.database.address()
            ),
        ));
    }
    if !layout.knows_key || layout.row.is_empty() && layout.is_envelope.is_none() {
        return Ok(None);
    }
    let sql = create_sql(settings, layout, topic, (schema, name))?;
    client.batch_execute(LOCK).await?;
    tracing::info!(%sql, "a table is made as the records' schema says");
    client.batch_execute(&sql).await.map_err(|error| refused(error, schema, name))?;
    let made = described(client, settings, layout, (schema, name)).await?;
    made.map(Some)
        .ok_or_else(|| SinkError::stop("target-table", format!("table {schema}.{name} was made, and is not there")))
}

async fn described(
    client: &Client,
    settings: &Settings,
    layout: &Layout,
    (schema, name): (&str, &str),
) -> Result<Option<TargetTable>, SinkError> {
    let fields: HashMap<String, &Field> = layout.all().map(|field| (settings.column(&field.name), field)).collect();
    let handling = Handling::default();
    let table = TargetTable::described(client, schema, name, |column, pg_type, typmod| {
        let field = fields.get(column);
        // Without a schema a value's form can only be the one that Debezium gives the column's type by itself.
        let reader = match field.filter(|field| !field.schema.kind.is_empty()) {
            Some(field) => Reader::in_column(form(&field.schema, &pg_type.name), pg_type, &handling),
            None => Reader::new(pg_type, typmod, &handling),
        };
        (field.map_or_else(|| column.to_owned(), |field| field.name.clone()), reader)
    })
    .await?;
    let Some(mut table) = table else { return Ok(None) };
    table.passed_over.extend(layout.left_out.iter().cloned());
    table.columns.retain(|column| !layout.left_out.contains(&column.field));
    let position = |field: &Field| table.columns.iter().position(|column| column.field == field.name);
    table.key = layout
        .key
        .iter()
        .map(|field| {
            position(field).ok_or_else(|| {
                SinkError::stop("target-column", format!(
                    "table {schema}.{name} has no column {}, by which its rows are told (primary.key.mode). Its records wait in Kafka; add \
                     the column",
                    settings.column(&field.name)
                ))
            })
        })
        .collect::<Result<_, _>>()?;
    table.writes = match settings.insert_mode {
        InsertMode::Insert => Writes::Insert,
        InsertMode::Upsert => Writes::Upsert,
        InsertMode::Update => Writes::Update,
    };
    if table.writes == Writes::Upsert && layout.knows_key && !has_unique_index(client, &table).await? {
        let key: Vec<&str> = table.key_columns().collect();
        return Err(SinkError::stop(
            "target-key",
            format!(
                "table {schema}.{name} has no primary key and no unique index over {}, by which insert.mode=upsert finds its rows. Its records \
             wait in Kafka; ALTER TABLE {} ADD PRIMARY KEY (…)",
                key.join(", "),
                table.sql_name()
            ),
        ));
    }
    Ok(Some(table))
}

/// Whether PostgreSQL takes `ON CONFLICT` over the key's columns.
async fn has_unique_index(client: &Client, table: &TargetTable) -> Result<bool, SinkError> {
    let sql = "SELECT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
              AND i.indpred IS NULL AND i.indexprs IS NULL
              AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text)
                   FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k (attnum)
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
                  = (SELECT array_agg(c ORDER BY c) FROM unnest($2::text[]) AS c))";
    let key: Vec<&str> = table.key_columns().collect();
    Ok(client.query_one(sql, &[&table.sql_name(), &key]).await?.get(0))
}

/// The table that records of a schema are for: the key's columns first.
fn create_sql(
    settings: &Settings,
    layout: &Layout,
    topic: &str,
    (schema, name): (&str, &str),
) -> Result<String, SinkError> {
    let cannot = |why: &str| {
        SinkError::stop(
            "target-table",
            format!(
                "table {schema}.{name}, into which topic {topic} goes, cannot be made of its records: {why}. They wait in Kafka; create the \
             table"
            ),
        )
    };
    if !layout.has_schema || layout.row.is_empty() {
        return Err(cannot("they do not bring their schema (value.converter.schemas.enable of who publishes them)"));
    }
    let mut columns = Vec::new();
    for field in layout.all() {
        let is_key_s = layout.key.iter().any(|key| key.name == field.name);
        columns.push(column_sql(settings, field, is_key_s).map_err(|why| cannot(&why))?);
    }
    let key: Vec<String> = layout.key.iter().map(|field| identifier(&settings.column(&field.name))).collect();
    if !key.is_empty() {
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    Ok(format!("CREATE TABLE IF NOT EXISTS {} ({})", qualified(schema, name), columns.join(", ")))
}

fn column_sql(settings: &Settings, field: &Field, is_key_s: bool) -> Result<String, String> {
    let of = type_of(&field.schema).map_err(|why| format!("{} is {why}", field.name))?;
    let default = default_of(&field.schema).map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
    let null = if is_key_s || !field.schema.optional { " NOT NULL" } else { "" };
    Ok(format!("{} {of}{default}{null}", identifier(&settings.column(&field.name))))
}

/// Adds the column of a field.
///
/// # Errors
/// Stop where it may not be added, or cannot.
pub(super) async fn add_column(
    client: &Client,
    settings: &Settings,
    layout: &Layout,
    (schema, name): (&str, &str),
    field: &str,
) -> Result<(), SinkError> {
    let column = settings.column(field);
    let Some(known) = layout.all().find(|known| known.name == field).filter(|_| settings.evolves && layout.has_schema)
    else {
        return Err(SinkError::stop(
            "target-column",
            format!(
                "table {schema}.{name} has no column {column}, and records bring it. They wait in Kafka; add the column, set \
             schema.evolution=basic for records that bring their schemas, or leave the field out by field.exclude.list"
            ),
        ));
    };
    if !known.schema.optional && known.schema.default.is_none() {
        return Err(SinkError::stop(
            "target-column",
            format!(
                "table {schema}.{name} has no column {column}, and records bring it: as it takes no NULL and has no default, there is no \
             value for the rows that are there. They wait in Kafka; add the column by hand"
            ),
        ));
    }
    let sql = column_sql(settings, known, false).map_err(|why| {
        SinkError::stop(
            "target-column",
            format!(
                "table {schema}.{name} lacks a column that records bring: {why}. They wait in Kafka; add it by hand"
            ),
        )
    })?;
    let sql = format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {sql}", qualified(schema, name));
    client.batch_execute(LOCK).await?;
    tracing::info!(%sql, "a column is made as the records' schema says");
    client.batch_execute(&sql).await.map_err(|error| refused(error, schema, name))
}

fn refused(error: tokio_postgres::Error, schema: &str, name: &str) -> SinkError {
    SinkError::from(error)
        .while_doing(&format!("making table {schema}.{name}, or a column of it, as the records' schema says"))
}
