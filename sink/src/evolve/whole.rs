//! Tables made of the source's catalog all at once, for a copy: first without anything over their rows, and when these are there with
//! their constraints and indexes.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use super::change::{Change, TypeChange, create_sequence, own_sequence};
use super::definition::{Sequence, Table, UserType};
use super::known::Known;
use super::{Evolution, catalog, difference};
use crate::error::SinkError;
use crate::plan::table::qualified;
use crate::postgres::identifier;

/// What tells a table from what it was, but for its partitions, which may come and go: its definition, triggers and rules; `d` is the
/// definition.
const FINGERPRINT: &str = "md5((d - 'partitions')::text
    || coalesce((SELECT string_agg(pg_get_triggerdef(g.oid), ';' ORDER BY g.tgname) FROM pg_trigger g
                 WHERE g.tgrelid = (d ->> 'oid')::bigint::oid AND NOT g.tgisinternal), '')
    || coalesce((SELECT string_agg(pg_get_ruledef(w.oid), ';' ORDER BY w.rulename) FROM pg_rewrite w
                 WHERE w.ev_class = (d ->> 'oid')::bigint::oid), ''))";

/// Makes the source's sequences that are no identity column's.
const SEQUENCES: &str = "SELECT format('CREATE SEQUENCE IF NOT EXISTS %I.%I AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
           n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
           CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END), n.nspname::text, c.relname::text
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'headwater') AND n.nspname NOT LIKE 'pg\\_%'
      AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype IN ('e', 'i'))
    ORDER BY 1";

/// The options of identity columns' sequences, and their names; a partition's are its parent's.
const IDENTITIES: &str = "SELECT n.nspname::text, t.relname::text, a.attname::text, c.relname::text,
           format('ALTER TABLE %I.%I ALTER COLUMN %I SET INCREMENT BY %s SET MINVALUE %s SET MAXVALUE %s SET START WITH %s SET CACHE %s SET %s',
                  n.nspname, t.relname, a.attname, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                  CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
    JOIN pg_depend x ON x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.refclassid = 'pg_class'::regclass AND x.deptype = 'i'
    JOIN pg_class t ON t.oid = x.refobjid AND NOT t.relispartition JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.refobjsubid
    JOIN unnest($1::text[], $2::text[]) AS asked (schema, name) ON asked.schema = n.nspname AND asked.name = t.relname
    ORDER BY 1, 2, 3";

/// Extensions that somebody put into the source.
const EXTENSIONS: &str =
    "SELECT e.extname::text, n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname <> 'plpgsql' ORDER BY e.oid";

/// A table's schema and name.
pub type Name = (String, String);

/// Tables of the source, and what is beside them, as an open transaction sees it.
#[derive(Debug, Default, Clone)]
pub struct Definitions {
    tables: Vec<Table>,
    /// What tells each from any other, in the same order.
    fingerprints: Vec<String>,
    /// Of identity columns: table, column, the sequence's name, and the statement that sets its options.
    identities: Vec<(Name, String, String, String)>,
    /// Extensions with their schemas, where they were asked for.
    extensions: Vec<(String, String)>,
    /// Sequences with the statements that make them: those that the tables use, or all.
    sequences: Vec<(String, Name)>,
}

/// Something over a table's rows.
#[derive(Debug, Clone)]
pub struct Built {
    /// The table.
    pub table: Name,
    /// The statement that makes it.
    pub sql: String,
    /// Whether it is a foreign key.
    pub refers: bool,
}

fn lists(names: &[Name]) -> (Vec<&str>, Vec<&str>) {
    names.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).unzip()
}

impl Definitions {
    /// Those of these tables that the source has, asked in its open transaction. With `all`, extensions and sequences too.
    ///
    /// # Errors
    /// The server's.
    pub async fn of(source: &Client, names: &[Name], all: bool) -> Result<Self, SinkError> {
        let path = catalog::full_names(source).await?;
        let sql = format!(
            "SELECT d::text, {FINGERPRINT} FROM ({}) AS found(d)
             JOIN unnest($1::text[], $2::text[]) AS asked (schema, name) ON asked.schema = d ->> 'schema' AND asked.name = d ->> 'name'
             ORDER BY asked.schema, asked.name",
            catalog::tables_sql()
        );
        let (schemas, tables) = lists(names);
        let mut found = Self::default();
        for row in source.query(&sql, &[&schemas, &tables]).await? {
            found.tables.push(catalog::read(&row)?);
            found.fingerprints.push(row.get(1));
        }
        for row in source.query(IDENTITIES, &[&schemas, &tables]).await? {
            found.identities.push(((row.get(0), row.get(1)), row.get(2), row.get(3), row.get(4)));
        }
        for row in source.query(SEQUENCES, &[]).await? {
            let (sql, name): (String, Name) = (row.get(0), (row.get(1), row.get(2)));
            let is_it = |other: &Sequence| (&other.schema, &other.name) == (&name.0, &name.1);
            if all || found.tables.iter().flat_map(|table| &table.sequences).any(is_it) {
                found.sequences.push((sql, name));
            }
        }
        if all {
            let pair = |row: &Row| (row.get(0), row.get(1));
            found.extensions = source.query(EXTENSIONS, &[]).await?.iter().map(pair).collect();
        }
        catalog::set_search_path(source, &path).await?;
        Ok(found)
    }

    /// Each table's schema, name and fingerprint.
    pub fn fingerprints(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.tables
            .iter()
            .zip(&self.fingerprints)
            .map(|(table, fingerprint)| (table.schema.as_str(), table.name.as_str(), fingerprint.as_str()))
    }

    /// Whether some are partitions.
    pub fn has_partitions(&self) -> bool {
        self.tables.iter().any(|table| table.partition_of.is_some())
    }

    /// Only these tables.
    #[must_use]
    pub fn only(mut self, of: impl Fn(&str, &str) -> bool) -> Self {
        let both = self.tables.into_iter().zip(self.fingerprints);
        (self.tables, self.fingerprints) = both.filter(|(table, _)| of(&table.schema, &table.name)).unzip();
        self.identities.retain(|((schema, name), ..)| of(schema, name));
        self
    }

    /// Makes the tables without anything over their rows, with what they are made of, in the open transaction of `target`. Where changes
    /// are applied meanwhile, types that are there belong to them too, and `beside` changes them; otherwise they are what an interrupted
    /// copy left.
    ///
    /// # Errors
    /// Stop where the target does not take it.
    pub async fn make(&self, target: &Client, beside: Option<&Evolution>) -> Result<(), SinkError> {
        let path = catalog::full_names(target).await?;
        let mut schemas: BTreeSet<&String> = self.tables.iter().map(|table| &table.schema).collect();
        schemas.extend(self.tables.iter().flat_map(|table| &table.types).map(|of| &of.schema));
        schemas.extend(self.sequences.iter().map(|(_, (schema, _))| schema));
        schemas.extend(self.extensions.iter().map(|(_, schema)| schema));
        for schema in schemas {
            if !catalog::has_schema(target, schema).await? {
                run(target, &format!("schema {schema}"), &format!("CREATE SCHEMA {}", identifier(schema))).await?;
            }
        }
        for (extension, schema) in &self.extensions {
            let sql = format!("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}", identifier(extension), identifier(schema));
            target.batch_execute("SAVEPOINT extension").await?;
            if let Err(error) = target.batch_execute(&sql).await {
                // Many are none that tables need; one that does says so below.
                tracing::warn!(
                    "the target does not get extension {extension} of the source: {}",
                    SinkError::from(error)
                );
                target.batch_execute("ROLLBACK TO extension").await?;
            }
        }
        for table in &self.tables {
            match beside {
                Some(evolution) => _ = evolution.follow_types(target, &table.types).await?,
                None => {
                    for of in &table.types {
                        make_type(target, of).await?;
                    }
                }
            }
        }
        for (sql, (schema, name)) in &self.sequences {
            run(target, &format!("sequence {schema}.{name}"), sql).await?;
        }
        for mut table in self.parents_first() {
            if let Some(parent) = &table.partition_of
                && !catalog::is_there(target, &qualified(&parent.schema, &parent.name)).await?
            {
                // It is a table of its own here.
                table.partition_of = None;
            }
            let what = format!("table {}.{}", table.schema, table.name);
            for sequence in &table.sequences {
                run(target, &what, &create_sequence(sequence)).await?;
            }
            run(target, &what, &Change::Create(Box::new(table.clone())).sql(&table.schema, &table.name)).await?;
            for sql in table.sequences.iter().filter_map(|sequence| own_sequence(sequence, &table)) {
                run(target, &what, &sql).await?;
            }
        }
        for ((schema, name), column, sequence, options) in &self.identities {
            let what = format!("table {schema}.{name}");
            run(target, &what, options).await?;
            let asked =
                "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE c.oid = pg_get_serial_sequence($1, $2)::regclass";
            if let Some(row) = target.query_opt(asked, &[&qualified(schema, name), column]).await? {
                let (of, is): (&str, &str) = (row.get(0), row.get(1));
                if is != sequence {
                    let sql = format!("ALTER SEQUENCE {} RENAME TO {}", qualified(of, is), identifier(sequence));
                    run(target, &what, &sql).await?;
                }
            }
        }
        catalog::set_search_path(target, &path).await
    }

    /// The tables, each behind the one that it is a partition of.
    fn parents_first(&self) -> Vec<Table> {
        let mut waiting: BTreeMap<(&str, &str), &Table> =
            self.tables.iter().map(|table| ((table.schema.as_str(), table.name.as_str()), table)).collect();
        let mut ordered = Vec::with_capacity(waiting.len());
        let parent =
            |table: &Table| table.partition_of.as_ref().map(|parent| (parent.schema.clone(), parent.name.clone()));
        while !waiting.is_empty() {
            let next: Vec<(&str, &str)> = waiting
                .iter()
                .filter(|(_, table)| {
                    parent(table).is_none_or(|(schema, name)| !waiting.contains_key(&(schema.as_str(), name.as_str())))
                })
                .map(|(name, _)| *name)
                .collect();
            // None is above itself.
            if next.is_empty() {
                break;
            }
            for name in next {
                ordered.extend(waiting.remove(&name).cloned());
            }
        }
        ordered
    }

    /// What the target lacks over the tables' rows, in its open transaction. What refers to tables that it does not have is left out.
    ///
    /// # Errors
    /// The server's.
    pub async fn lacking(&self, target: &Client) -> Result<Vec<Built>, SinkError> {
        let path = catalog::full_names(target).await?;
        let mut lacking = Vec::new();
        for want in &self.tables {
            let Some(have) = catalog::table(target, &want.schema, &want.name).await? else { continue };
            for change in difference::constraints(None, want, &have) {
                let other = match &change {
                    Change::AddConstraint(constraint) => constraint.references.as_deref(),
                    _ => None,
                };
                if let Some(other) = other
                    && !catalog::is_there(target, other).await?
                {
                    tracing::warn!(
                        "table {}.{} refers to table {other}, which the target does not have: the foreign key is left out",
                        want.schema,
                        want.name
                    );
                    continue;
                }
                let (table, refers) = ((want.schema.clone(), want.name.clone()), other.is_some());
                lacking.push(Built { sql: change.sql(&table.0, &table.1), table, refers });
            }
        }
        catalog::set_search_path(target, &path).await?;
        Ok(lacking)
    }

    /// The target has followed the source's tables up to these definitions.
    ///
    /// # Errors
    /// The server's.
    pub async fn remember(&self, target: &Client, prefix: &str) -> Result<(), SinkError> {
        let known = Known { target, prefix };
        for table in &self.tables {
            known.put("table", table.oid, &super::follow::json(table)?).await?;
        }
        Ok(())
    }
}

/// Makes a type. One of its name that is another is one that an interrupted copy left.
async fn make_type(target: &Client, of: &UserType) -> Result<(), SinkError> {
    let what = format!("type {}.{}", of.schema, of.name);
    if let Some(there) = catalog::user_type(target, &of.schema, &of.name).await? {
        if (UserType { oid: of.oid, ..there }) == *of {
            return Ok(());
        }
        run(target, &what, &format!("DROP TYPE {}", qualified(&of.schema, &of.name))).await?;
    }
    let create = TypeChange::Create(Box::new(of.clone()));
    run(target, &what, &create.sql(&of.schema, &of.name)).await
}

async fn run(target: &Client, what: &str, sql: &str) -> Result<(), SinkError> {
    target.batch_execute(sql).await.map_err(|error| match SinkError::from(error) {
        SinkError::Stop { text: reason, .. } => SinkError::stop("definition-refused", format!(
            "{what} cannot be made in the target as the source's catalog has it: {reason}. It is: {sql}. Nothing of the tables was made. \
             Make what it needs there by hand (functions, collations and operators are not copied without pg_dump), or leave the table \
             out with the connector's table.exclude.list, and start again"
        )),
        retry => retry,
    })
}
