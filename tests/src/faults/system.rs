//! What is put under test: source, streamer, Kafka, sink and target, with a proxy between every two of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio_postgres::Client;

use super::disk::Disk;
use super::fault::Who;
use super::pipeline::Pipeline;
use super::proxy::{Network, Proxy};
use super::service::Service;
use super::workload;
use crate::artifacts::Artifacts;
use crate::kafka::{self, Kafka};
use crate::postgres::{self, Postgres};
use crate::sink::{self, Sink};
use crate::wait::{Condition, wait_until};
use crate::worker::{self, Rest};
use crate::{happened, ports};

/// The databases', the connector's, the topics', the slot's name.
pub const NAME: &str = "faults";
/// The slot that says what happened.
pub const WATCHER: &str = "happened";

/// The links that have a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The one that reads the slot, and postgres1.
    SourceStreamer,
    /// The one that publishes, and Kafka.
    StreamerKafka,
    /// The one that consumes, and Kafka.
    KafkaSink,
    /// The one that applies, and postgres2.
    SinkTarget,
}

/// All links.
pub const LINKS: [Link; 4] = [Link::SourceStreamer, Link::StreamerKafka, Link::KafkaSink, Link::SinkTarget];

/// Everything under test.
pub struct System {
    /// What is tested.
    pub pipeline: Pipeline,
    /// Where everything is.
    pub directory: PathBuf,
    /// The source's server.
    pub postgres1: Arc<Service>,
    /// The target's server.
    pub postgres2: Arc<Service>,
    /// The broker.
    pub kafka: Arc<Service>,
    /// The streamer, or the Connect worker with both of Debezium's connectors.
    pub worker: Arc<Service>,
    /// The sink; the Connect worker has its own.
    pub sink: Option<Arc<Service>>,
    /// The worker's REST API.
    pub rest: Rest,
    /// How to start another worker of the same group.
    pub worker_settings: worker::Settings,
    /// How to start another sink.
    pub sink_settings: Option<sink::Settings>,
    /// Where Kafka is, without a proxy.
    pub bootstrap_servers: String,
    /// The source's URL, without a proxy.
    pub source_url: String,
    /// The target's URL, without a proxy.
    pub target_url: String,
    proxies: [Proxy; 4],
    /// Kafka's disk, where it has one of its own.
    pub disk: Option<Disk>,
}

fn server(name: &'static str, port: u16) -> postgres::Settings<'static> {
    postgres::Settings { name, port, wal_level: "logical", durable: false, hba: None }
}

/// Starts a server, and makes it one that keeps what it has confirmed through any end of its process.
async fn postgres(artifacts: &Artifacts, directory: &Path, name: &'static str, port: u16) -> anyhow::Result<Service> {
    let settings = server(name, port);
    let postgres = Postgres::start(artifacts, directory, &settings).await?;
    let client = postgres::connect(&postgres.url(postgres::USER)).await?;
    // A silent reader is given up soon, so that another can have its slot.
    for setting in ["synchronous_commit = on", "full_page_writes = on", "wal_sender_timeout = '6s'"] {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await?;
    }
    client.batch_execute("SELECT pg_reload_conf()").await?;
    client.batch_execute(&format!("CREATE DATABASE {NAME}")).await?;
    let (artifacts, directory) = (artifacts.clone(), directory.to_owned());
    Ok(Service::new(name, postgres.into_process(), "INT", move || {
        Postgres::command(&artifacts, &directory, &server(name, port))
    }))
}

impl System {
    /// Starts everything, up to the first rows in the target.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn start(directory: &Path, pipeline: Pipeline, disk: Option<Disk>) -> anyhow::Result<Self> {
        let artifacts = Artifacts::fetch()?;
        let [source, target, broker, rest] =
            [ports::lasting()?, ports::lasting()?, ports::lasting()?, ports::lasting()?];
        let listener = |name| -> anyhow::Result<kafka::Listener> {
            Ok(kafka::Listener { name, port: ports::lasting()?, advertised: ports::lasting()?, protocol: "PLAINTEXT" })
        };
        let (streamer, consumer) = (listener("STREAMER")?, listener("SINK")?);
        let proxies = [
            Proxy::start(ports::lasting()?, source).await?,
            Proxy::start(streamer.advertised, streamer.port).await?,
            Proxy::start(consumer.advertised, consumer.port).await?,
            Proxy::start(ports::lasting()?, target).await?,
        ];
        let broker = kafka::Settings {
            port: broker,
            listeners: vec![streamer, consumer],
            // Who is silent is given up sooner than Kafka would by itself.
            more: "group.min.session.timeout.ms=1000\n".to_owned(),
            ..kafka::Settings::default()
        };
        let (postgres1, postgres2, kafka) = tokio::try_join!(
            postgres(&artifacts, directory, "postgres1", source),
            postgres(&artifacts, directory, "postgres2", target),
            Kafka::start_with(&artifacts, directory, &broker),
        )?;
        let bootstrap_servers = kafka.bootstrap_servers();
        let kafka = Service::new("kafka", kafka.into_process(), "TERM", {
            let (artifacts, directory) = (artifacts.clone(), directory.to_owned());
            move || Ok(Kafka::command(&artifacts, &directory, &broker))
        });
        let (source_url, target_url) = (postgres::url(source, NAME), postgres::url(target, NAME));
        let client = postgres::connect(&source_url).await?;
        client.batch_execute(workload::SCHEMA).await.context("the tables")?;
        pipeline.prepare(&client, &target_url).await?;
        client.batch_execute(workload::FIRST_ROWS).await.context("the first rows")?;
        happened::watch(&client, WATCHER).await?;

        let through = |link: Link| format!("127.0.0.1:{}", proxies[link as usize].port());
        let worker_settings = worker::Settings {
            bootstrap_servers: through(Link::StreamerKafka),
            port: rest,
            group: NAME.to_owned(),
            more: pipeline.worker_properties(directory, &through(Link::KafkaSink)),
            environment: vec![],
        };
        let (rest, worker) = pipeline.start_worker(&artifacts, directory, &worker_settings).await?;
        let connector = pipeline.connector(proxies[Link::SourceStreamer as usize].port());
        let (mut sink, mut sink_settings) = (None, None);
        if pipeline.has_sink() {
            let file = directory.join("connector.json");
            std::fs::write(&file, json!({ "name": NAME, "config": connector }).to_string())?;
            let settings = sink::Settings {
                source: source_url.clone(),
                target: postgres::url(proxies[Link::SinkTarget as usize].port(), NAME),
                bootstrap_servers: through(Link::KafkaSink),
                connect_url: rest.url().to_owned(),
                topic_prefix: NAME.to_owned(),
                connector: Some(file),
                test_rows: None,
                port: ports::lasting()?,
                pg_bin: artifacts.postgres_client(),
                environment: vec![],
            };
            let mut started = Sink::start(directory, &settings)?;
            started.wait_complete(1, |_| {}).await?;
            let again = settings.clone();
            sink = Some(Service::new("sink", started.into_process(), "TERM", move || Sink::command(&again)));
            sink_settings = Some(settings);
        } else {
            let target = proxies[Link::SinkTarget as usize].port();
            pipeline.deploy(&rest, &connector, target).await?;
        }
        let system = Self {
            pipeline,
            directory: directory.to_owned(),
            postgres1: Arc::new(postgres1),
            postgres2: Arc::new(postgres2),
            kafka: Arc::new(kafka),
            worker: Arc::new(worker),
            sink: sink.map(Arc::new),
            rest,
            worker_settings,
            sink_settings,
            bootstrap_servers,
            source_url,
            target_url,
            proxies,
            disk,
        };
        system.arrives("accounts", 0, Duration::from_secs(90)).await.context("before any fault")?;
        Ok(system)
    }

    /// A link's proxy.
    pub fn proxy(&self, link: Link) -> &Proxy {
        &self.proxies[link as usize]
    }

    /// Whose process it is.
    pub fn service(&self, who: Who) -> &Arc<Service> {
        match who {
            Who::Worker => &self.worker,
            Who::Sink => self.sink.as_ref().unwrap_or(&self.worker),
            Who::Kafka => &self.kafka,
            Who::Source => &self.postgres1,
            Who::Target => &self.postgres2,
        }
    }

    /// All processes.
    pub fn services(&self) -> Vec<Arc<Service>> {
        let all = [&self.postgres1, &self.postgres2, &self.kafka, &self.worker];
        all.into_iter().cloned().chain(self.sink.clone()).collect()
    }

    /// A session to the source.
    ///
    /// # Errors
    /// The server's.
    pub async fn source(&self) -> anyhow::Result<Client> {
        patiently(&self.source_url).await
    }

    /// A session to the target.
    ///
    /// # Errors
    /// The server's.
    pub async fn target(&self) -> anyhow::Result<Client> {
        patiently(&self.target_url).await
    }

    /// Makes every network good again, and lets go on what was stopped.
    ///
    /// # Errors
    /// `kill` is not there.
    pub fn mend(&self) -> anyhow::Result<()> {
        self.proxies.iter().for_each(|proxy| proxy.set(Network::Good));
        self.services().iter().try_for_each(|service| service.signal("CONT"))
    }

    /// Ends all processes: their files are nobody's then.
    ///
    /// # Errors
    /// `kill` is not there.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let services = self.services();
        services.iter().for_each(|service| service.is_held.store(true, Ordering::SeqCst));
        futures_util::future::try_join_all(services.iter().map(|service| service.stop(None))).await?;
        Ok(())
    }

    /// Writes a row into a table of the source, and waits until it is in the target. `number` is not positive, and its own.
    ///
    /// # Errors
    /// It does not come in time; with how the worker and the sink are.
    pub async fn arrives(&self, table: &str, number: i64, within: Duration) -> anyhow::Result<()> {
        let row = match table {
            "accounts" => "'the last', 0, NULL",
            "transfers" => "0, 0, 0",
            _ => "'the last'",
        };
        self.source().await?.batch_execute(&format!("INSERT INTO {table} VALUES ({number}, {row})")).await?;
        let sql = format!("SELECT count(*) FROM {table} WHERE id = {number}");
        wait_until(&format!("the last row of {table} in the target"), within, async || {
            let count: i64 = self.target().await?.query_one(&sql, &[]).await?.get(0);
            Ok(if count == 1 { Condition::Met(()) } else { Condition::NotYet(self.standing().await) })
        })
        .await
    }

    /// How the worker's connectors and the sink say that they are.
    pub async fn standing(&self) -> String {
        let status = self.rest.get("/connectors?expand=status").await;
        let mut text = status.map_or_else(|error| error.to_string(), |(_, status)| status.to_string());
        if let Some(settings) = &self.sink_settings {
            let health = Rest::new(settings.port).get("/health").await;
            text += &health.map_or_else(|error| error.to_string(), |(_, health)| format!("\nsink: {health}"));
        }
        text
    }
}

/// Opens a session to a server that may be starting.
async fn patiently(url: &str) -> anyhow::Result<Client> {
    wait_until("a session", Duration::from_secs(60), async || {
        Ok(match postgres::connect(url).await {
            Ok(client) => Condition::Met(client),
            Err(error) => Condition::NotYet(format!("{error:#}")),
        })
    })
    .await
}
