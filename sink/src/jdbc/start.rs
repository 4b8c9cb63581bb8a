//! From a configuration to its records in the target.

use std::sync::Arc;

use access::kafka::Security;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use trace::Tracer;

use super::settings::Settings;
use crate::apply::ledger;
use crate::apply::refused::Refused;
use crate::apply::traces::Traces;
use crate::bootstrap::services;
use crate::bootstrap::steps::Steps;
use crate::config::{JdbcConfig, OnRefused};
use crate::consume::{self, Feed, Order, Reading, Subscription};
use crate::error::SinkError;
use crate::evolve::Evolution;
use crate::kafka::Kafka;
use crate::metrics::health::Health;

/// Applies the records of a connector's topics until cancelled; with a tracer, what is traced is traced on.
///
/// # Errors
/// What is wrong with the configuration; or a service that did not answer before the deadline.
pub async fn run(
    config: &JdbcConfig,
    tracer: Option<&Tracer>,
    health: &Health,
    cancel: &CancellationToken,
) -> Result<(), SinkError> {
    let settings = Arc::new(Settings::read(config.connector.as_deref())?);
    for key in &settings.unknown {
        tracing::warn!(
            "connector {}: {key} is not a property of the JDBC sink connector, and has no effect",
            settings.name
        );
    }
    let kafka = kafka(config, &settings)?;
    let mut steps = Steps::new(health.clone());

    steps.begin("waiting for the database and Kafka");
    let database = &settings.address.database;
    services::wait_without_source(database, &kafka, config.deadline).await?;
    steps.done("both answer");

    steps.begin(&format!("consuming as connector {}", settings.name));
    let client = database.connect("start").await?;
    ledger::create(&client).await?;
    let schema = own_schema(&settings, &client).await?;
    let on = if settings.tolerates { OnRefused::SetAside } else { OnRefused::Stop };
    let feed = Feed {
        subscription: Subscription {
            // As Connect's sinks: who takes over from them, or hands back, goes on where the other was.
            group: format!("connect-{}", settings.name),
            topics: settings.topics.clone(),
            kafka: kafka.clone(),
        },
        target: database.clone(),
        target_id: ledger::target_id(&client).await?,
        refused: Refused::of_connector(&kafka, on, settings.dead_letter_topic.clone(), &settings.name),
        converters: settings.converters.clone(),
        reading: Reading::Jdbc(settings.clone(), schema),
        evolution: Evolution::none(),
        traces: tracer.map(|tracer| Traces::new(tracer, database)),
    };
    drop(client);
    steps.done(&format!("into {}", database.address()));
    steps.complete("CONNECTOR RUNNING");
    consume::run(&feed, &Order::Tables, health, cancel).await;
    Ok(())
}

/// Where tables are whose names have no schema.
///
/// # Errors
/// The server's.
pub(crate) async fn own_schema(settings: &Settings, client: &Client) -> Result<Arc<str>, SinkError> {
    if let Some(schema) = &settings.address.schema {
        return Ok(settings.identifier(schema).into());
    }
    let current: Option<String> = client.query_one("SELECT current_schema()", &[]).await?.get(0);
    Ok(current.unwrap_or_else(|| "public".to_owned()).into())
}

/// Kafka, with what the connector says of how it is entered over what the worker would.
fn kafka(config: &JdbcConfig, settings: &Settings) -> Result<Kafka, SinkError> {
    let mut kafka = config.kafka.clone();
    let overrides = &settings.consumer_overrides;
    if overrides.keys().any(|key| ["security.", "sasl.", "ssl."].iter().any(|of| key.starts_with(of))) {
        kafka.security = Security::of(overrides, None).map_err(|error| {
            SinkError::stop("connector-config", format!("connector {}: consumer.override.{error}", settings.name))
        })?;
    }
    Ok(kafka)
}
