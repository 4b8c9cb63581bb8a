//! The event triggers by which the source tells of changes of its tables.
//!
//! They write a logical decoding message inside of the transaction that changes a table, behind the change: so it comes through the slot
//! at its place among the rows, and not at all where the transaction is rolled back. What it says is the whole definition as it is
//! then. A failure of theirs is a warning to who changes the table, and no more.

use super::catalog;
use crate::config::RunConfig;
use crate::error::SinkError;

/// The messages' prefix.
pub const PREFIX: &str = "headwater.ddl";

/// Their names.
pub(crate) const EVENT_TRIGGERS: [&str; 2] = ["headwater_ddl_command_end", "headwater_sql_drop"];

/// Changes with what is installed.
const VERSION: &str = "headwater 1";

/// Which commands may change what the target has of a table. Those that drop something are told by what is gone.
const TAGS: &str = "'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX',
    'CREATE TYPE', 'ALTER TYPE', 'CREATE DOMAIN', 'ALTER DOMAIN', 'CREATE SCHEMA', 'ALTER SCHEMA'";

/// Whose settings do not change how values are printed, and under whose names everything has its schema. As its owner: who changes a
/// table needs no right to anything here.
const PINNED: &str = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET \"TimeZone\" = 'UTC'
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = '3' SET bytea_output = 'hex'";

const IS_INSTALLED: &str =
    "SELECT coalesce(obj_description(to_regprocedure('headwater.tell_of_ddl()'), 'pg_proc') = $1, false)
    AND (SELECT count(*) = 2 FROM pg_event_trigger
         WHERE evtname IN ('headwater_ddl_command_end', 'headwater_sql_drop') AND evtenabled = 'A')";

/// What is installed.
fn sql() -> String {
    let (tables, types) = (catalog::tables_sql(), catalog::types_sql());
    format!(
        r"
CREATE SCHEMA IF NOT EXISTS headwater;
CREATE OR REPLACE FUNCTION headwater.table_definition(oid) RETURNS jsonb LANGUAGE sql STABLE {PINNED} AS $definition$
{tables} AND c.oid = $1 $definition$;
CREATE OR REPLACE FUNCTION headwater.type_definition(oid) RETURNS jsonb LANGUAGE sql STABLE {PINNED} AS $definition$
{types} AND (t.oid = $1 OR (t.typtype = 'c' AND t.typrelid = $1)) $definition$;
CREATE OR REPLACE FUNCTION headwater.tell_of_ddl() RETURNS event_trigger LANGUAGE plpgsql {PINNED} AS $tell$
DECLARE
    told jsonb[];
    message jsonb;
BEGIN
    BEGIN
    IF tg_event = 'ddl_command_end' THEN
        told := ARRAY(
            WITH commands AS (
                SELECT classid, objid, object_type FROM pg_event_trigger_ddl_commands() WHERE NOT in_extension),
            types AS (
                SELECT DISTINCT headwater.type_definition(objid) AS definition FROM commands
                WHERE classid IN ('pg_type'::regclass, 'pg_class'::regclass) AND object_type LIKE '%type%'),
            touched AS (
                SELECT coalesce(i.indrelid, k.conrelid, c.objid) AS oid FROM commands c
                LEFT JOIN pg_index i ON c.classid = 'pg_class'::regclass AND i.indexrelid = c.objid
                LEFT JOIN pg_constraint k ON c.classid = 'pg_constraint'::regclass AND k.oid = c.objid
                WHERE c.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass)
                UNION
                SELECT t.oid FROM commands c JOIN pg_class t ON t.relnamespace = c.objid AND t.relkind IN ('r', 'p')
                WHERE c.classid = 'pg_namespace'::regclass AND tg_tag = 'ALTER SCHEMA'),
            tables AS (SELECT oid, headwater.table_definition(oid) AS definition FROM touched),
            all_of_them AS (
                SELECT 0 AS place, 0::oid AS oid, jsonb_build_object('type', definition) AS message
                FROM types WHERE definition IS NOT NULL
                UNION ALL
                SELECT 1, oid, jsonb_build_object('table', definition) FROM tables WHERE definition IS NOT NULL)
            SELECT all_of_them.message FROM all_of_them ORDER BY place, oid);
    ELSE
        told := ARRAY(
            WITH gone AS (SELECT * FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary),
            -- What goes with a table that goes is not told of; what goes from one that stays is told by its definition.
            touched AS (
                SELECT DISTINCT to_regclass(quote_ident(address_names[1]) || '.' || quote_ident(address_names[2]))::oid AS oid
                FROM gone WHERE object_type IN ('table column', 'table constraint', 'default value')
                  AND tg_tag <> 'ALTER TABLE' OR object_type = 'table constraint' AND NOT original),
            tables AS (SELECT oid, headwater.table_definition(oid) AS definition FROM touched WHERE oid IS NOT NULL),
            all_of_them AS (
                SELECT 0 AS place, oid, jsonb_build_object('table', definition) AS message FROM tables WHERE definition IS NOT NULL
                UNION ALL
                SELECT CASE WHEN object_type = 'type' THEN 2 ELSE 1 END, objid,
                       jsonb_build_object('dropped', jsonb_build_object(
                           'kind', object_type, 'oid', objid::bigint, 'schema', schema_name, 'name', object_name))
                FROM gone
                WHERE schema_name IS NOT NULL AND object_name IS NOT NULL
                  AND (object_type = 'table' OR object_type = 'index' AND tg_tag = 'DROP INDEX' AND original
                       OR object_type = 'type' AND object_identity NOT LIKE '%[]'
                          AND NOT EXISTS (SELECT FROM gone t WHERE t.object_type NOT IN ('type', 'composite type') AND t.object_identity = gone.object_identity))
                  AND schema_name NOT IN ('pg_catalog', 'information_schema', 'headwater') AND schema_name NOT LIKE 'pg\_%')
            SELECT all_of_them.message FROM all_of_them ORDER BY place, oid);
    END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'headwater: this change is not told to who follows the tables: %', SQLERRM;
        RETURN;
    END;
    FOREACH message IN ARRAY told LOOP
        PERFORM pg_logical_emit_message(true, '{PREFIX}', convert_to(message::text, 'UTF8'));
    END LOOP;
    -- Logical decoding takes a message for as old as what is behind it in the log. A row of another subtransaction would come first,
    -- so what is behind the last one is another message.
    IF cardinality(told) > 0 THEN
        PERFORM pg_logical_emit_message(true, '{PREFIX}.end', '');
    END IF;
END $tell$;
COMMENT ON FUNCTION headwater.tell_of_ddl() IS '{VERSION}';
DROP EVENT TRIGGER IF EXISTS headwater_ddl_command_end;
CREATE EVENT TRIGGER headwater_ddl_command_end ON ddl_command_end WHEN TAG IN ({TAGS}) EXECUTE FUNCTION headwater.tell_of_ddl();
DROP EVENT TRIGGER IF EXISTS headwater_sql_drop;
CREATE EVENT TRIGGER headwater_sql_drop ON sql_drop EXECUTE FUNCTION headwater.tell_of_ddl();
-- Also for who applies the changes of another server.
ALTER EVENT TRIGGER headwater_ddl_command_end ENABLE ALWAYS;
ALTER EVENT TRIGGER headwater_sql_drop ENABLE ALWAYS"
    )
}

/// Installs them in the source, unless they are there; whether they are.
///
/// # Errors
/// The server's, but that the role may not.
pub async fn install(config: &RunConfig) -> Result<bool, SinkError> {
    let mut source = config.source.connect("event triggers").await?;
    if source.query_one(IS_INSTALLED, &[&VERSION]).await?.get(0) {
        return Ok(true);
    }
    let transaction = source.transaction().await?;
    // Another sink may be at it.
    transaction.batch_execute("SELECT pg_advisory_xact_lock(hashtextextended('headwater event triggers', 0))").await?;
    match transaction.batch_execute(&sql()).await {
        Ok(()) => {
            transaction.commit().await?;
            tracing::info!(
                "event triggers headwater_ddl_command_end and headwater_sql_drop are installed in the source"
            );
            Ok(true)
        }
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
            let reason = SinkError::from(error);
            tracing::warn!(
                "user {} may not install the event triggers by which the source tells of changes of its tables ({reason}). The target \
                 adds what it lacks when rows bring it, as with --schema-evolution basic; renames, drops and the like are not \
                 carried over. Start the sink once with a superuser of the source, or do them by hand in the target",
                config.source.user()
            );
            Ok(false)
        }
        Err(error) => Err(SinkError::from(error).while_doing("installing event triggers in the source")),
    }
}
