//! Everything that could be wrong with a sink, looked at before a run or while it goes on.
//!
//! It writes nothing and joins no group. What is looked at is what a start looks at, by the same functions: the words of its findings
//! are those of a start's errors.

use std::process::ExitCode;
use std::sync::Arc;

use access::diagnosis::{Diagnosis, Finding, Form, print};
use rdkafka::consumer::BaseConsumer;
use tokio_postgres::Client;

use crate::apply::ledger::{self, CopyState};
use crate::apply::refused::Refused;
use crate::bootstrap::connector::Connector;
use crate::bootstrap::copy::schema::Way;
use crate::bootstrap::preflight::{self, Source};
use crate::bootstrap::services::{self, KAFKA, SOURCE, TARGET, WORKER};
use crate::bootstrap::slot;
use crate::config::{CopySchema, RunConfig};
use crate::consume::{Order, group, topics};
use crate::error::SinkError;

const CONNECTOR: &str = "connector";
const TOOLS: &str = "tools";

/// Looks at everything and prints it. The exit status is 0 where nothing is an error, 1 otherwise, 2 where it cannot be printed.
pub async fn run(config: &RunConfig, json: bool) -> ExitCode {
    let diagnosis = look(config).await.in_order(&[SOURCE, TARGET, KAFKA, WORKER, CONNECTOR, TOOLS]);
    match print(&diagnosis, Form::of(json), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::from(diagnosis.status()),
        Err(_) => ExitCode::from(2),
    }
}

/// Looks at everything.
pub async fn look(config: &RunConfig) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    services::look(config, &mut diagnosis).await;
    let (connector, order) = connector(config, &mut diagnosis);
    let source = config.source.connect("doctor").await.ok();
    let target = config.target.connect("doctor").await.ok();
    let state = match &target {
        Some(target) => copy_state(config, target, &mut diagnosis).await,
        None => {
            diagnosis.not_made(TARGET, config.target.address(), "what is in it: there is no session");
            None
        }
    };
    let is_copied = matches!(state, Some(CopyState::Copied | CopyState::Complete));
    match (&source, &connector) {
        (Some(client), Some(connector)) => {
            let looked = look_at_source(config, connector, client, state, &mut diagnosis).await;
            told(looked, SOURCE, &config.source.address(), &mut diagnosis);
        }
        (None, _) => diagnosis.not_made(SOURCE, config.source.address(), "what is in it: there is no session"),
        (_, None) => diagnosis.not_made(SOURCE, config.source.address(), "what is in it: the connector cannot be used"),
    }
    if let Some(client) = &target {
        let looked = look_at_target(config, client, state, &mut diagnosis).await;
        told(looked, TARGET, &config.target.address(), &mut diagnosis);
    }
    if let (Some(source), Some(target)) = (&source, &target) {
        let looked = together(config, connector.as_ref().filter(|_| is_copied), source, target, &mut diagnosis).await;
        told(looked, TARGET, &config.target.address(), &mut diagnosis);
    }
    if let Some(target) = &target {
        let looked = look_at_kafka(config, order.as_ref(), target, &mut diagnosis).await;
        told(looked, KAFKA, &config.kafka.bootstrap_servers, &mut diagnosis);
    }
    if let Some(connector) = &connector {
        match connector.failure(config).await {
            Ok(finding) => {
                let well = "the worker says of no failure";
                diagnosis.settle(WORKER, connector.name.as_str(), finding.into_iter().collect(), well);
            }
            Err(error) => diagnosis.not_made(WORKER, connector.name.as_str(), error.to_string()),
        }
    }
    match is_copied || source.is_none() {
        true if is_copied => diagnosis.well(TOOLS, "pg_dump", "is not needed: the first copy was made"),
        true => diagnosis.not_made(TOOLS, "pg_dump", "there is no session to the source, whose version counts"),
        false => tools(config, &mut diagnosis).await,
    }
    diagnosis
}

/// What could not be asked.
fn told(looked: Result<(), SinkError>, group: &'static str, subject: &str, diagnosis: &mut Diagnosis) {
    if let Err(error) = looked {
        diagnosis.not_made(group, subject, error.to_string());
    }
}

fn connector(config: &RunConfig, diagnosis: &mut Diagnosis) -> (Option<Connector>, Option<Order>) {
    if let Err(finding) = Refused::check(config) {
        diagnosis.found(CONNECTOR, "--dead-letter-topic", finding);
    }
    let file = config.connector.as_ref().map(|file| file.display().to_string());
    let subject = file.unwrap_or_else(|| "the sink's own connector".to_owned());
    let connector = match Connector::of(config) {
        Ok(connector) => connector,
        Err(finding) => {
            diagnosis.found(CONNECTOR, subject, finding);
            return (None, None);
        }
    };
    for loss in connector.handling.losses() {
        diagnosis.found(CONNECTOR, subject.as_str(), Finding::note("connector-loss", loss, ""));
    }
    match connector.order(config) {
        Ok(order) => {
            let how = match order {
                Order::Tables => "table by table",
                Order::Transactions(_) => "transaction by transaction",
            };
            diagnosis.well(CONNECTOR, subject, format!("{} can be used, changes are applied {how}", connector.name));
            (Some(connector), Some(order))
        }
        Err(finding) => {
            diagnosis.found(CONNECTOR, subject, finding);
            (Some(connector), None)
        }
    }
}

/// How far the first copy is, where the sink has begun one.
async fn copy_state(config: &RunConfig, target: &Client, diagnosis: &mut Diagnosis) -> Option<CopyState> {
    let asked = async {
        let there: bool = target.query_one("SELECT to_regclass('headwater.copies') IS NOT NULL", &[]).await?.get(0);
        if there { ledger::copy_state(target, &config.topic_prefix).await } else { Ok(None) }
    };
    match asked.await {
        Ok(state) => state,
        Err(error) => {
            diagnosis.not_made(TARGET, "the first copy", error.to_string());
            None
        }
    }
}

async fn look_at_source(
    config: &RunConfig,
    connector: &Connector,
    client: &Client,
    state: Option<CopyState>,
    diagnosis: &mut Diagnosis,
) -> Result<(), SinkError> {
    let address = config.source.address();
    if matches!(state, Some(CopyState::Copied | CopyState::Complete)) {
        let findings = preflight::misleading_identities(client, connector).await?;
        diagnosis.settle(SOURCE, address, findings, "its tables can be followed");
        let gone = slot::gone(config, connector).await?.into_iter().collect();
        let well = "still keeps what is not in Kafka yet";
        diagnosis.settle(SOURCE, format!("slot {}", connector.slot), gone, well);
        return Ok(());
    }
    let (source, findings) = Source::look(client, connector).await?;
    diagnosis.settle(SOURCE, address, findings, format!("{} tables can be copied and followed", source.tables.len()));
    if state.is_none() {
        let taken = slot::taken(client, &connector.slot).await?.into_iter().collect();
        diagnosis.settle(SOURCE, format!("slot {}", connector.slot), taken, "is free: the sink makes it");
    }
    Ok(())
}

async fn look_at_target(
    config: &RunConfig,
    client: &Client,
    state: Option<CopyState>,
    diagnosis: &mut Diagnosis,
) -> Result<(), SinkError> {
    let mut findings = preflight::look_at_target(config, client, state).await?;
    findings.extend(preflight::schema_rights(client).await?);
    let well = match state {
        None => "is empty, and may be written",
        Some(CopyState::Copying) => "a first copy was begun and is gone on with, and it may be written",
        Some(CopyState::Copied | CopyState::Complete) => "the first copy was made, and it may be written",
    };
    diagnosis.settle(TARGET, config.target.address(), findings, well);
    Ok(())
}

/// What is wrong with the two of them.
async fn together(
    config: &RunConfig,
    connector: Option<&Connector>,
    source: &Client,
    target: &Client,
    diagnosis: &mut Diagnosis,
) -> Result<(), SinkError> {
    let same = preflight::same_database(source, target).await?.into_iter().collect();
    diagnosis.settle(TARGET, config.target.address(), same, "is another database than the source");
    if let Some(connector) = connector {
        let lacking = preflight::lacking(config, connector, source, target).await?;
        let well = "has what the source's tables have, or makes it";
        diagnosis.settle(TARGET, config.target.address(), lacking, well);
    }
    Ok(())
}

async fn look_at_kafka(
    config: &RunConfig,
    order: Option<&Order>,
    target: &Client,
    diagnosis: &mut Diagnosis,
) -> Result<(), SinkError> {
    if let Some(Order::Transactions(names)) = order {
        let topic = &names.transaction;
        let found = topics::list(&config.subscription(), std::slice::from_ref(topic)).await?;
        match found.get(topic) {
            Some(1) => diagnosis.well(KAFKA, topic.as_str(), "has one partition"),
            Some(partitions) => {
                diagnosis.found(KAFKA, topic.as_str(), topics::several_partitions(topic, *partitions));
            }
            None => diagnosis.well(KAFKA, topic.as_str(), "is not there yet: the sink makes it"),
        }
    }
    let there: bool = target.query_one("SELECT to_regclass('headwater.target') IS NOT NULL", &[]).await?.get(0);
    let id = if there { ledger::target_id(target).await? } else { String::new() };
    let group = config.subscription().group;
    let client: BaseConsumer =
        config.kafka.client().create().map_err(|error| SinkError::retry(format!("Kafka: {error}")))?;
    let (client, name) = (Arc::new(client), group.clone());
    let others = topics::blocking(move || Ok(group::others(client.as_ref(), &name, &id))).await?;
    let well = "has no members but sinks of this target";
    diagnosis.settle(KAFKA, format!("group {group}"), others.into_iter().collect(), well);
    Ok(())
}

async fn tools(config: &RunConfig, diagnosis: &mut Diagnosis) {
    let subject = "pg_dump";
    if config.copy_schema == CopySchema::Catalog {
        return diagnosis.well(TOOLS, subject, "is not needed (--copy-schema catalog)");
    }
    match Way::tools(config).await {
        Ok(Ok(tools)) => diagnosis.well(TOOLS, subject, format!("is of version {}", tools.version)),
        Ok(Err(finding)) if config.copy_schema == CopySchema::Auto => {
            let message = format!("the tables are made of the source's catalog, for {}", finding.message);
            diagnosis.found(TOOLS, subject, Finding::note(finding.id, message, finding.remedy));
        }
        Ok(Err(finding)) => diagnosis.found(TOOLS, subject, finding),
        Err(error) => diagnosis.not_made(TOOLS, subject, error.to_string()),
    }
}
