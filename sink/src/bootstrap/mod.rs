//! The first start, step by step; a later start goes on where the last one was.
//!
//! # Layout
//! - [`steps`]: what is printed
//! - [`worker`]: the worker's REST API
//! - [`services`]: waiting for those that are needed
//! - [`turn`]: one sink at a time is at its start
//! - [`connector`]: the connector, from its file or as this sink needs it, and its deployment over REST
//! - [`preflight`]: everything that can be wrong with source and target, at once
//! - [`slot`]: the replication slot and its snapshot
//! - [`copy`]: that snapshot into the target
//! - [`added`]: tables that came to the connector's list later
//! - [`test_rows`]: rows inserted into the source and looked for in the target
//!
//! # Why nothing is lost
//! The publication is there before the slot, and the slot before the copy. The copy is the slot's own snapshot, so every
//! change is in exactly one of both. Consumers begin behind what stood in the topics before the slot was there. What was copied in a later
//! snapshot has some of the changes that come through the slot, and by that they are told (`plan::snapshot`).

pub mod added;
pub mod connector;
pub mod copy;
pub mod preflight;
pub mod services;
pub mod slot;
pub mod steps;
pub mod test_rows;
pub mod turn;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use proto::failpoint;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use trace::Tracer;

use crate::apply::copied::{self, Ledger};
use crate::apply::ledger::{self, CopyState};
use crate::apply::refused::Refused;
use crate::apply::sequences;
use crate::apply::traces::Traces;
use crate::config::RunConfig;
use crate::consume::{self, Feed, Order, Reading, topics};
use crate::error::SinkError;
use crate::evolve::{self, Evolution, trigger};
use crate::metrics::health::Health;
use added::Added;
use connector::Connector;
use copy::Copy;
use copy::resume::{self, Begun, Rest};
use copy::schema::Way;
use preflight::Source;
use steps::Steps;

/// How long a test row may take from source to target.
const TEST_ROW_DEADLINE: Duration = Duration::from_secs(60);

/// Runs the sequence up to `WRITER COMPLETE`, and then keeps applying until cancelled; with a tracer, what is traced is traced on.
///
/// # Errors
/// What a person must mend; or a service that did not answer before the deadline.
pub async fn run(
    config: &RunConfig,
    tracer: Option<&Tracer>,
    health: &Health,
    cancel: &CancellationToken,
) -> Result<(), SinkError> {
    Refused::check(config)?;
    let connector = Connector::of(config)?;
    let order = connector.order(config)?;
    for loss in connector.handling.losses() {
        tracing::warn!("connector {}: {loss}", connector.name);
    }
    let evolution = Evolution::new(config, &connector, &order);
    let mut steps = Steps::new(health.clone());

    steps.begin("waiting for postgres1, postgres2, Kafka and the worker");
    services::wait(config).await?;
    steps.done("all answer");

    let target = config.target.connect("bootstrap").await?;
    let source = config.source.connect("preflight").await?;
    if let Some(finding) = preflight::same_database(&source, &target).await? {
        return Err(finding.into());
    }
    turn::take(&target, &config.topic_prefix, || {
        steps.begin("standing by: another sink of this prefix is at its start");
    })
    .await?;
    if let Err(error) = ledger::create(&target).await {
        return Err(preflight::schema_rights(&target).await?.map_or(error, SinkError::from));
    }
    copied::create(&target).await?;
    evolve::known::create(&target).await?;
    let mut is_lacking = false;
    let copied = match ledger::copy_state(&target, &config.topic_prefix).await? {
        state @ (Some(CopyState::Copied) | Some(CopyState::Complete)) => {
            steps.begin("the copy was made before: going on where it was");
            slot::require(config, &connector).await?;
            preflight::still_fits(config, &connector).await?;
            for finding in preflight::lacking(config, &connector, &source, &target).await? {
                tracing::warn!(code = finding.id, "{finding}");
            }
            steps.done("the replication slot still keeps what is not in Kafka yet");
            follow_tables(config, &connector, &evolution, &target).await?;
            // Before the connector has them in its list: their changes have to wait.
            is_lacking = Added { config, connector: &connector, evolution: &evolution, health }.note(&target).await?;
            state
        }
        begun => {
            copy_all(config, &connector, &order, &evolution, &target, begun, &mut steps).await?;
            Some(CopyState::Copied)
        }
    };

    drop(source);

    steps.begin(&format!("deploying connector {} to {}", connector.name, config.connect_url));
    failpoint::reached("copy-stored");
    if order == Order::Tables {
        // Whoever applies transactions again must not begin where they were left: tables go on by themselves meanwhile.
        ledger::forget(&target, &connector.transaction_topics(config).all()).await?;
    }
    if let Order::Transactions(names) = &order {
        // The connector's own would have as many partitions as the broker gives any, and this one says what comes before what.
        topics::create(&config.kafka, std::slice::from_ref(&names.transaction), 1).await?;
    }
    connector.deploy(config).await?;
    failpoint::reached("connector-deployed");
    steps.done("connector and task are RUNNING");

    steps.begin(match order {
        Order::Tables => "applying changes, table by table",
        Order::Transactions(_) => "applying changes, transaction by transaction",
    });
    let consumers = tokio::spawn({
        let feed = Feed {
            subscription: config.subscription(),
            target: config.target.clone(),
            target_id: ledger::target_id(&target).await?,
            converters: connector.converters.clone(),
            reading: Reading::Replica(Arc::new(connector.handling.clone())),
            refused: Refused::new(config),
            evolution: evolution.clone(),
            traces: tracer.map(|tracer| Traces::new(tracer, &config.target)),
        };
        let (order, health, cancel) = (order.clone(), health.clone(), cancel.clone());
        async move { consume::run(&feed, &order, &health, &cancel).await }
    });
    let sequences = tokio::spawn({
        let (config, cancel) = (config.clone(), cancel.clone());
        async move { sequences::keep(&config, &cancel).await }
    });
    let added = tokio::spawn({
        let (config, connector, health, cancel) = (config.clone(), connector.clone(), health.clone(), cancel.clone());
        async move {
            let added = Added { config: &config, connector: &connector, evolution: &evolution, health: &health };
            if is_lacking {
                added.load(&cancel).await;
            }
        }
    });
    steps.done("running");

    if let Some(file) = config.test_rows.as_deref().filter(|_| copied != Some(CopyState::Complete)) {
        steps.begin("inserting test rows into postgres1");
        let rows = test_rows::insert(&config.source, file).await?;
        steps.done(&format!("{} rows", rows.len()));
        steps.begin("looking for them in postgres2");
        let mut slowest = Duration::ZERO;
        for row in &rows {
            let after = row.wait_in(&config.target, TEST_ROW_DEADLINE).await?;
            steps.note(&format!("{} is there after {} ms", row.describe(), after.as_millis()));
            slowest = slowest.max(after);
        }
        steps.done(&format!("all there, the slowest after {} ms", slowest.as_millis()));
    }
    ledger::put_copy_state(&target, &config.topic_prefix, &connector.slot, CopyState::Complete).await?;
    // The next one's turn.
    drop(target);
    steps.complete("WRITER COMPLETE");

    cancel.cancelled().await;
    for (what, task) in [("the consumers", consumers), ("keeping sequences", sequences), ("copying new tables", added)]
    {
        if let Err(error) = task.await {
            tracing::error!(%error, "{what} broke off");
        }
    }
    Ok(())
}

async fn copy_all(
    config: &RunConfig,
    connector: &Connector,
    order: &Order,
    evolution: &Evolution,
    target: &Client,
    begun: Option<CopyState>,
    steps: &mut Steps,
) -> Result<(), SinkError> {
    steps.begin("looking for everything that could go wrong");
    let ledger = Ledger { target, prefix: &config.topic_prefix };
    let way_begun = match begun {
        Some(CopyState::Copying) => ledger.parts().await?.into_iter().find(|part| Way::is_one(part)),
        _ => None,
    };
    let (way, why) = Way::find(config, way_begun.as_deref()).await?;
    let source = Source::inspect(config, connector).await?;
    preflight::target(config, target, begun).await?;
    if let Some(why) = why {
        steps.note(&why);
    }
    steps.done(&format!("{} tables to copy, {}", source.tables.len(), steps::megabytes(source.bytes)));

    let anew = match begun {
        Some(CopyState::Copying) => match resume::look(config, connector, target, &source, &way).await? {
            Begun::GoesOn(rest) => {
                let Rest { snapshot, source, there } = *rest;
                steps.begin("going on with the copy that was begun before");
                steps.note(&format!("{there} tables are there already, and stay"));
                let (name, later) = (&snapshot.name, Some(&snapshot.later));
                let copy = Copy { config, target, source: &source, way: &way, snapshot: name, later };
                return finish(&copy, connector, evolution, steps).await;
            }
            Begun::Anew(why) => Some(why),
        },
        _ => None,
    };

    steps.begin("preparing the tables' topics");
    let names: Vec<String> = source
        .tables
        .iter()
        .map(|table| proto::topic::of_table(&config.topic_prefix, &table.schema, &table.name))
        .collect();
    topics::create(&config.kafka, &names, -1).await?;
    if let Order::Transactions(own) = order {
        topics::create(&config.kafka, std::slice::from_ref(&own.transaction), 1).await?;
    }
    // Before the slot: whatever comes through it lands behind these ends.
    remember_ends(config, order, target).await?;
    steps.done(&format!("{} topics", names.len()));

    steps.begin(&format!("creating replication slot {}", connector.slot));
    if let Some(why) = anew {
        steps.note(&format!("a copy was begun before and not finished: it begins anew, for {why}"));
        slot::drop_own(config, connector).await?;
        copy::clear(target, &source, ledger).await?;
    }
    ledger.begin(way.as_str()).await?;
    ledger::put_copy_state(target, &config.topic_prefix, &connector.slot, CopyState::Copying).await?;
    slot::create_publication(config, connector, &source).await?;
    if evolution.follows() {
        // Before the slot, so that whatever is done to tables behind its snapshot is told.
        install(config, connector).await?;
    }
    let slot = slot::ExportedSlot::create(config, connector).await?;
    steps.done(&format!("consistent point {}, snapshot {} exported (T1)", slot.consistent_point, slot.snapshot));

    steps.begin("copying schema and data of that snapshot");
    failpoint::reached("slot-created");
    let copy = Copy { config, target, source: &source, way: &way, snapshot: &slot.snapshot, later: None };
    finish(&copy, connector, evolution, steps).await
}

/// Copies what is not there.
async fn finish(
    copy: &Copy<'_>,
    connector: &Connector,
    evolution: &Evolution,
    steps: &mut Steps,
) -> Result<(), SinkError> {
    let (target, prefix) = (copy.target, &copy.config.topic_prefix);
    copy::run(copy, evolution, steps).await?;
    failpoint::reached("rows-copied");
    Ledger { target, prefix }.finish().await?;
    ledger::put_copy_state(target, prefix, &connector.slot, CopyState::Copied).await?;
    steps.done(&format!("{} tables", copy.source.tables.len()));
    Ok(())
}

/// Goes on following the source's tables, or begins to.
async fn follow_tables(
    config: &RunConfig,
    connector: &Connector,
    evolution: &Evolution,
    target: &Client,
) -> Result<(), SinkError> {
    if evolution.remembers() {
        let source = config.source.connect("definitions").await?;
        evolve::known::remember(&source, target, &config.topic_prefix, None).await?;
    }
    // Behind that: what changes between is told of with the next change of the same table. The other way round it would be taken for
    // done.
    if evolution.follows() {
        install(config, connector).await?;
    }
    Ok(())
}

async fn install(config: &RunConfig, connector: &Connector) -> Result<(), SinkError> {
    if connector.passes_message(trigger::PREFIX)? {
        trigger::install(config).await?;
    } else {
        tracing::warn!(
            "the connector's message.prefix.include.list or message.prefix.exclude.list leaves out {}, by which the source tells of \
             changes of its tables: the target adds what it lacks when rows bring it, and does no more",
            trigger::PREFIX
        );
    }
    Ok(())
}

/// What stands in the topics already is older than the copy: reading begins behind it.
async fn remember_ends(config: &RunConfig, order: &Order, target: &Client) -> Result<(), SinkError> {
    let all = topics::list(&config.subscription(), &order.topics()).await?;
    // Also of topics without a table: there may be one again, and what stands there is of the table that was.
    for ((topic, partition), end) in topics::ends(&config.kafka, &all).await? {
        target
            .execute(
                "INSERT INTO headwater.offsets (topic, partition, next_offset) VALUES ($1, $2, $3)
                     ON CONFLICT (topic, partition) DO UPDATE SET next_offset = $3, last_offset = NULL, last_commit = NULL,
                         changed_at = now()",
                &[&topic, &partition, &end],
            )
            .await?;
    }
    Ok(())
}
