//! The captured tables, the heartbeat's query, the signal table.

use access::diagnosis::{Diagnosis, Finding};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{TABLES, lines, listed, unasked};
use crate::config::ConnectorConfig;
use crate::error::TaskError;
use crate::source::catalog::ListedTable;
use crate::source::session::query_error;
use crate::source::table_name::TableName;
use crate::source::{publication, quote_identifier};

/// The errors without which a start goes on, as Debezium does: what they are of does not work.
pub(super) const GOES_ON: [&str; 2] = ["heartbeat-query", "signal-table"];

const TABLES_QUERY: &str = "
    SELECT n.nspname::text, c.relname::text, current_user::text,
           has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'),
           c.relkind = 'r' AND (c.relreplident = 'n' OR c.relreplident = 'd' AND NOT EXISTS (
               SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS captured (schema, name, place)
    JOIN pg_namespace n ON n.nspname = captured.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = captured.name
    ORDER BY captured.place";

/// Looks at the captured tables. `reads_data` says whether their rows are to be read.
pub async fn tables(
    client: &Client,
    config: &ConnectorConfig,
    captured: &[ListedTable],
    reads_data: bool,
    diagnosis: &mut Diagnosis,
) {
    if captured.is_empty() {
        diagnosis.found(TABLES, "captured tables", publication::nothing_captured(config));
    } else if let Err(error) = each(client, config, captured, reads_data, diagnosis).await {
        unasked(diagnosis, TABLES, "captured tables", &error);
    }
    heartbeat(client, config, diagnosis).await;
    if let Err(error) = signal_table(client, config, diagnosis).await {
        unasked(diagnosis, TABLES, "signal table", &error);
    }
}

async fn each(
    client: &Client,
    config: &ConnectorConfig,
    captured: &[ListedTable],
    reads_data: bool,
    diagnosis: &mut Diagnosis,
) -> Result<(), TaskError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        captured.iter().map(|table| (table.name.schema.as_str(), table.name.name.as_str())).unzip();
    let rows = client
        .query(TABLES_QUERY, &[&schemas, &names])
        .await
        .map_err(|error| query_error("looking at the captured tables", error))?;
    let mut user = String::new();
    let (mut unreadable, mut schemas, mut unidentified) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let table = TableName { schema: row.get(0), name: row.get(1) };
        user = row.get(2);
        // With a statement of its own another thing may be read.
        let is_read = config.snapshot.reads_table(&table.schema, &table.name)
            && !config.snapshot.selects.contains_key(&table.to_string())
            && !config.signals.is_table(&table.schema, &table.name);
        if is_read && !row.get::<_, bool>(3) {
            unreadable.push(table.quoted());
            if !schemas.contains(&table.schema) {
                schemas.push(table.schema.clone());
            }
        }
        let is_set = config.replication.identities.iter().any(|(tables, _)| tables.is_match(&table.to_string()));
        if row.get::<_, bool>(4) && !is_set && !config.signals.is_table(&table.schema, &table.name) {
            unidentified.push(table.quoted());
        }
    }
    let mut findings = Vec::new();
    if !unreadable.is_empty() {
        let role = quote_identifier(&user);
        let usage = lines(&schemas, |schema| format!("GRANT USAGE ON SCHEMA {} TO {role};", quote_identifier(schema)));
        let select = lines(&unreadable, |table| format!("GRANT SELECT ON {table} TO {role};"));
        let means = if reads_data { "the snapshot cannot read them" } else { "no snapshot could read them" };
        let finding = Finding::error(
            "table-select",
            format!("user {role} may not read captured tables: {}; {means}", listed(&unreadable)),
            format!("{usage}\n{select}"),
        );
        findings.push(if reads_data {
            finding
        } else {
            Finding::warning("table-select", finding.message, finding.remedy)
        });
    }
    if !unidentified.is_empty() {
        let full = lines(&unidentified, |table| format!("ALTER TABLE {table} REPLICA IDENTITY FULL;"));
        findings.push(Finding::warning(
            "table-identity",
            format!(
                "captured tables have neither a primary key nor a replica identity: {}; once they are published, the source refuses \
                 every UPDATE and DELETE of their rows",
                listed(&unidentified)
            ),
            format!("{full}\nor ADD PRIMARY KEY (…), or leave them out with table.exclude.list"),
        ));
    }
    let count = rows.len();
    diagnosis.settle(
        TABLES,
        "captured tables",
        findings,
        format!("{count}, all of them can be read, and their rows told"),
    );
    Ok(())
}

/// The server parses the heartbeat's query and does not run it.
async fn heartbeat(client: &Client, config: &ConnectorConfig, diagnosis: &mut Diagnosis) {
    let Some(query) = config.heartbeat.action_query.as_ref().filter(|_| config.heartbeat.interval.is_some()) else {
        return;
    };
    let subject = "heartbeat.action.query";
    let error = match client.prepare(query).await {
        Ok(_) => return diagnosis.well(TABLES, subject, "can be run"),
        Err(error) => error,
    };
    // Several statements in one text are not to be parsed so.
    if error.code() == Some(&SqlState::SYNTAX_ERROR) && query.trim_end_matches([';', ' ', '\n']).contains(';') {
        return diagnosis.not_made(TABLES, subject, "it has several statements");
    }
    let Some(server) = error.as_db_error() else {
        return unasked(diagnosis, TABLES, subject, &query_error("parsing heartbeat.action.query", error));
    };
    diagnosis.found(
        TABLES,
        subject,
        Finding::error(
            "heartbeat-query",
            format!(
                "heartbeat.action.query cannot be run: {}. Without it nothing is written in a quiet database, and where others on the \
                 server write, their log is kept",
                server.message()
            ),
            "Create what it names, for example:\nCREATE TABLE IF NOT EXISTS public.heartbeat (id int PRIMARY KEY, at timestamptz);\nor \
             put heartbeat.action.query right",
        ),
    );
}

const SIGNAL_QUERY: &str = "
    SELECT array_agg(a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
           bool_and(has_table_privilege(c.oid, 'INSERT')), current_user::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";

async fn signal_table(client: &Client, config: &ConnectorConfig, diagnosis: &mut Diagnosis) -> Result<(), TaskError> {
    let Some((schema, name)) = &config.signals.table else { return Ok(()) };
    let table = TableName { schema: schema.clone(), name: name.clone() };
    let row = client
        .query_one(SIGNAL_QUERY, &[schema, name])
        .await
        .map_err(|error| query_error(&format!("looking at signal table {table}"), error))?;
    let columns: Option<Vec<String>> = row.get(0);
    let sql = table.quoted();
    let create =
        format!("CREATE TABLE {sql} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));");
    let means = "no signal arrives by it, and no incremental snapshot is taken";
    let mut findings = Vec::new();
    match columns {
        None => findings.push(Finding::error(
            "signal-table",
            format!("signal.data.collection names table {table}, which is not there: {means}"),
            create,
        )),
        Some(columns) if columns.len() != 3 => findings.push(Finding::error(
            "signal-table",
            format!(
                "signal table {table} has other columns than three, for id, type and data ({}): {means}",
                columns.join(", ")
            ),
            format!("DROP TABLE {sql};\n{create}"),
        )),
        Some(_) if !config.signals.read_only && !row.get::<_, Option<bool>>(1).unwrap_or_default() => {
            let user = quote_identifier(row.get(2));
            findings.push(Finding::warning(
                "signal-table-rights",
                format!("user {user} may not write into signal table {table}: an incremental snapshot marks its chunks there"),
                format!("GRANT INSERT, DELETE ON {sql} TO {user};"),
            ));
        }
        Some(_) => {}
    }
    diagnosis.settle(TABLES, table.to_string(), findings, "is a signal table");
    Ok(())
}
