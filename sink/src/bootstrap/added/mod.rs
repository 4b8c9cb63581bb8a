//! Tables that came to the connector's list later: they are made and filled while the changes of the others are applied.
//!
//! # Layout
//! - `publishing`: when every change that a snapshot lacks comes
//!
//! # Order
//! 1. What is to come is noted in the target (`apply::copied`). From then on whoever reads its changes waits for its rows: with tables at
//!    their own speeds that holds up the table alone, with whole transactions what is behind the first change of it.
//! 2. The connector runs with the new list, and the source publishes the tables.
//! 3. Every transaction that may have written before that has ended. What it wrote is in no stream, and so has to be in the copy.
//! 4. A snapshot is taken and copied. Of the changes that come, those that it has are passed over (`plan::snapshot`).
//! 5. With its indexes a table is ready. Its foreign keys come when what they refer to has come so far.
//!
//! Whatever ends in between, the next start goes on with: of a table that is not ready nothing was applied.

mod publishing;

use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::connector::Connector;
use super::copy::progress::Progress;
use super::copy::snapshot::LaterSnapshot;
use super::copy::{rows, schema};
use super::preflight::Source;
use super::steps::{Steps, megabytes};
use crate::apply::copied::{Copied, Ledger, State};
use crate::config::RunConfig;
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::evolve::whole::{Built, Definitions, Name};
use crate::metrics::health::Health;
use crate::parse::record::Shape;
use crate::plan::table::qualified;

/// Stored for as long as foreign keys of such tables are not there.
const FOREIGN_KEYS: &str = "foreign keys to come";

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often it is looked whether another sink is done.
const LOOK: Duration = Duration::from_secs(1);

/// How often a foreign key is tried.
const FOREIGN_KEYS_PAUSE: Duration = Duration::from_secs(5);

/// Tables on their way into the target.
#[derive(Debug)]
pub struct Added<'a> {
    /// The settings.
    pub config: &'a RunConfig,
    /// The connector, with its new list.
    pub connector: &'a Connector,
    /// What is done when tables change.
    pub evolution: &'a Evolution,
    /// Where it is said what stands still.
    pub health: &'a Health,
}

fn is_of(table: &Copied, schema: &str, name: &str) -> bool {
    table.schema == schema && table.name == name
}

fn name_of(table: &Copied) -> Name {
    (table.schema.clone(), table.name.clone())
}

impl Added<'_> {
    /// Notes the captured tables that were never copied and are not in the target. Whether something is to be done, for these or for some
    /// that were noted before.
    ///
    /// # Errors
    /// The servers'.
    pub async fn note(&self, target: &Client) -> Result<bool, SinkError> {
        let ledger = Ledger { target, prefix: &self.config.topic_prefix };
        let known = ledger.tables().await?;
        let source = self.config.source.connect("new tables").await?;
        let found = Source::captured(&source, self.connector).await?;
        let (schemas, names): (Vec<&str>, Vec<&str>) =
            found.tables.iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip();
        let sql = "SELECT schema, name, to_regclass(format('%I.%I', schema, name)) IS NOT NULL
                   FROM unnest($1::text[], $2::text[]) AS asked (schema, name)";
        let there: Vec<Name> = target
            .query(sql, &[&schemas, &names])
            .await?
            .iter()
            .filter(|row| row.get(2))
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let renamed = self.evolution.renamed(&source, target).await?;
        let mut new = Vec::new();
        for table in &found.tables {
            let name: Name = (table.schema.clone(), table.name.clone());
            if there.contains(&name) || renamed.contains(&name) || known.iter().any(|known| name_of(known) == name) {
                continue;
            }
            let topic = proto::topic::of_table(&self.config.topic_prefix, &table.schema, &table.name);
            let (what, sql_name) = (format!("{}.{}", table.schema, table.name), table.sql_name());
            if !self.evolution.adds() {
                tracing::warn!(
                    "table {what} is captured and not in the target, and --schema-evolution none leaves it to you"
                );
            } else if let Shape::Row(_) = self.connector.handling.shape(&topic) {
                tracing::warn!(
                    "table {what} is captured and not in the target. Its changes come without their envelopes and do not say which of them \
                     a copy of its rows would have: they are applied, and the rows that were there before do not come. Copy anew, as \
                     docs/operations.md says"
                );
            } else if found.without_identity.contains(table) {
                tracing::warn!(
                    "table {what} is captured and not in the target, and has no primary key: it is not copied. ALTER TABLE {sql_name} \
                     REPLICA IDENTITY FULL, or ADD PRIMARY KEY (…), and start the sink again"
                );
            } else {
                new.push(name);
            }
        }
        let new = without_parts(&source, new, &there).await?;
        ledger.put(State::Wanted, new.iter().map(|(schema, name)| (schema.as_str(), name.as_str(), ""))).await?;
        for (schema, name) in &new {
            tracing::info!(
                "table {schema}.{name} is not in the target: its rows are copied, and its changes wait until they are there"
            );
        }
        let is_unfinished = known.iter().any(|table| table.state != State::Ready);
        Ok(is_unfinished || !new.is_empty() || ledger.parts().await?.iter().any(|part| part == FOREIGN_KEYS))
    }

    /// Makes and fills what was noted, until it is done or cancelled. What fails is tried again.
    pub async fn load(&self, cancel: &CancellationToken) {
        let (mut pause, mut runs) = (FIRST_PAUSE, false);
        while let Some(result) = cancel.run_until_cancelled(Box::pin(self.attempt(&mut runs))).await {
            let Err(error) = result else { return };
            match &error {
                SinkError::Retry(text) => {
                    tracing::warn!(?pause, "tables that are to be copied wait: {text}; trying again")
                }
                SinkError::Stop { id, text } => {
                    tracing::error!(?pause, code = id, "tables that are to be copied wait: {text}")
                }
            }
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `runs` is whether the connector is known to run with its new list.
    async fn attempt(&self, runs: &mut bool) -> Result<(), SinkError> {
        let config = self.config;
        let target = config.target.connect("new tables").await?;
        // Other sinks that were started with the list wait, and find that all is done.
        let lock = "SELECT pg_try_advisory_lock(hashtextextended('headwater new tables of ' || $1, 0))";
        while !target.query_one(lock, &[&config.topic_prefix]).await?.get::<_, bool>(0) {
            tokio::time::sleep(LOOK).await;
        }
        let ledger = Ledger { target: &target, prefix: &config.topic_prefix };
        let waiting: Vec<Copied> =
            ledger.tables().await?.into_iter().filter(|table| table.state != State::Ready).collect();
        if !waiting.is_empty() {
            let result = self.copy(ledger, waiting.clone(), runs).await;
            for table in &waiting {
                let topic = proto::topic::of_table(&config.topic_prefix, &table.schema, &table.name);
                self.health.topic(&topic, result.as_ref().err().map(Into::into));
            }
            result?;
        }
        self.add_foreign_keys(ledger).await
    }

    async fn copy(&self, ledger: Ledger<'_>, waiting: Vec<Copied>, runs: &mut bool) -> Result<(), SinkError> {
        let (config, target) = (self.config, ledger.target);
        let mut names: Vec<Name> = waiting.iter().map(name_of).collect();
        if !*runs {
            publishing::runs_with_its_list(config, self.connector).await?;
            *runs = true;
        }
        publishing::publishes(config, self.connector, &names).await?;
        publishing::older_transactions_have_ended(config).await?;
        let snapshot = LaterSnapshot::take(&config.source).await?;
        let definitions = Definitions::of(snapshot.session(), &names, false).await?;
        let there = self.make(ledger, &waiting, &definitions).await?;
        names.retain(|(schema, name)| there.iter().any(|table| is_of(table, schema, name)));
        let definitions = definitions.only(|schema, name| there.iter().any(|table| is_of(table, schema, name)));

        let steps = Steps::new(self.health.clone());
        let is_filled = |table: &rows::Table| {
            there.iter().any(|known| is_of(known, &table.schema, &table.name) && known.state == State::Filled)
        };
        let mut tables = rows::tables(snapshot.session(), &names).await?;
        tables.retain(|table| !is_filled(table));
        let progress = Progress::new(&tables, 0, &steps);
        let copied = rows::copy(config, &snapshot.name, Some(&snapshot.later), tables, &progress).await?;
        progress.end();

        let lacking = in_transaction(target, definitions.lacking(target)).await?;
        let (refer, keys): (Vec<Built>, Vec<Built>) = lacking.into_iter().partition(|built| built.refers);
        schema::build(config, keys, config.copy_jobs).await?;
        target.batch_execute("BEGIN").await?;
        if self.evolution.remembers() {
            definitions.remember(target, &config.topic_prefix).await?;
        }
        if !refer.is_empty() {
            ledger.has(FOREIGN_KEYS).await?;
        }
        ledger.are_ready(&names).await?;
        target.batch_execute("COMMIT").await?;
        steps.note(&format!("{} new tables are there: {} rows, {}", names.len(), copied.rows, megabytes(copied.bytes)));
        Ok(())
    }

    /// Makes the tables that are not there; those that are, and how far.
    async fn make(
        &self,
        ledger: Ledger<'_>,
        waiting: &[Copied],
        definitions: &Definitions,
    ) -> Result<Vec<Copied>, SinkError> {
        let target = ledger.target;
        let fingerprint = |table: &Copied| {
            let found = definitions.fingerprints().find(|(schema, name, _)| is_of(table, schema, name));
            found.map(|(.., fingerprint)| fingerprint.to_owned())
        };
        // All partitions of a table are of one snapshot where its changes come under its own name: all begin anew together.
        let is_broken = waiting.iter().any(|table| {
            table.state != State::Wanted && fingerprint(table).is_none_or(|fingerprint| fingerprint != table.definition)
        }) || definitions.has_partitions();
        target.batch_execute("BEGIN").await?;
        Evolution::lock(target).await?;
        let mut there = Vec::new();
        for table in waiting {
            let sql_name = qualified(&table.schema, &table.name);
            let sql = "SELECT to_regclass($1) IS NOT NULL";
            let is_there: bool = target.query_one(sql, &[&sql_name]).await?.get(0);
            let Some(definition) = fingerprint(table) else {
                tracing::info!(
                    "table {}.{} is not in the source any more, and is not copied",
                    table.schema,
                    table.name
                );
                if table.state != State::Wanted {
                    target.batch_execute(&format!("DROP TABLE IF EXISTS {sql_name} CASCADE")).await?;
                }
                ledger.forget(&table.schema, &table.name).await?;
                continue;
            };
            if table.state == State::Wanted && is_there {
                tracing::info!("table {}.{} is in the target by now, and stays as it is", table.schema, table.name);
                ledger.forget(&table.schema, &table.name).await?;
                continue;
            }
            let mut table = Copied { definition, ..table.clone() };
            if table.state != State::Wanted && is_broken {
                target.batch_execute(&format!("DROP TABLE IF EXISTS {sql_name} CASCADE")).await?;
                table.state = State::Wanted;
            }
            there.push(table);
        }
        let is_new = |schema: &str, name: &str| {
            there.iter().any(|table| table.state == State::Wanted && is_of(table, schema, name))
        };
        let new = definitions.clone().only(is_new);
        new.make(target, Some(self.evolution)).await?;
        ledger.put(State::Made, new.fingerprints()).await?;
        target.batch_execute("COMMIT").await?;
        Ok(there)
    }

    /// Adds foreign keys that refer to what may not have come so far.
    async fn add_foreign_keys(&self, ledger: Ledger<'_>) -> Result<(), SinkError> {
        if !ledger.parts().await?.iter().any(|part| part == FOREIGN_KEYS) {
            return Ok(());
        }
        let names = ledger.copied_later().await?;
        let source = self.config.source.connect("new tables").await?;
        source.batch_execute("BEGIN READ ONLY").await?;
        let definitions = Definitions::of(&source, &names, false).await?;
        drop(source);
        let mut said = false;
        loop {
            let lacking = in_transaction(ledger.target, definitions.lacking(ledger.target)).await?;
            let mut refused = None;
            for built in lacking.into_iter().filter(|built| built.refers) {
                match schema::build(self.config, vec![built], 1).await {
                    Err(error @ SinkError::Retry(_)) => return Err(error),
                    result => refused = result.err().or(refused),
                }
            }
            let Some(refused) = refused else { return ledger.lacks(FOREIGN_KEYS).await };
            if !std::mem::replace(&mut said, true) {
                tracing::info!("a foreign key is added when what it refers to has come: {refused}");
            }
            tokio::time::sleep(FOREIGN_KEYS_PAUSE).await;
        }
    }
}

async fn in_transaction<T>(target: &Client, work: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
    target.batch_execute("BEGIN READ ONLY").await?;
    let done = work.await;
    target.batch_execute("ROLLBACK").await?;
    done
}

/// Leaves out partitions of tables that are in the target: their rows come through the stream from the first one on, and under their
/// root's name where the publication says so.
async fn without_parts(source: &Client, new: Vec<Name>, there: &[Name]) -> Result<Vec<Name>, SinkError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        new.iter().map(|(schema, name)| (schema.as_str(), name.as_str())).unzip();
    let sql = "SELECT asked.schema, asked.name, n.nspname::text, r.relname::text
               FROM unnest($1::text[], $2::text[]) AS asked (schema, name)
               JOIN pg_partition_ancestors(to_regclass(format('%I.%I', asked.schema, asked.name))) AS a (id) ON true
               JOIN pg_class r ON r.oid = a.id JOIN pg_namespace n ON n.oid = r.relnamespace";
    let above: Vec<(Name, Name)> = source
        .query(sql, &[&schemas, &names])
        .await?
        .iter()
        .map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3))))
        .collect();
    let is_part = |name: &Name| above.iter().any(|(of, other)| of == name && there.contains(other));
    Ok(new.into_iter().filter(|name| !is_part(name)).collect())
}
