//! One of the two that are compared: a worker with a Kafka of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use reqwest::Method;
use serde_json::Value;

use super::collector::is_ours;
use super::scenario::{Config, Step};
use crate::artifacts::Artifacts;
use crate::kafka::Kafka;
use crate::wait::{Condition, wait_until};
use crate::worker::{self, Worker};
use crate::{demo, ports, topic};

/// A worker and its Kafka.
#[derive(Debug)]
pub(crate) struct Side {
    /// What a reader knows it by.
    pub(crate) name: &'static str,
    /// What its slot's name has behind the scenario's.
    pub(crate) slot: &'static str,
    /// Where its Kafka is.
    pub(crate) bootstrap_servers: String,
    directory: PathBuf,
    worker: Worker,
    kafka: Kafka,
}

impl Side {
    /// Starts both.
    ///
    /// # Errors
    /// What does not come up.
    pub(crate) async fn start(
        artifacts: &Artifacts,
        directory: &Path,
        pipeline: demo::Pipeline,
        slot: &'static str,
    ) -> anyhow::Result<Self> {
        let name = match pipeline {
            demo::Pipeline::Streamer => "streamer",
            demo::Pipeline::Debezium => "Debezium",
        };
        let directory = directory.join(name);
        std::fs::create_dir_all(&directory)?;
        let kafka = Kafka::start(artifacts, &directory, ports::free()?).await?;
        let settings = worker::Settings {
            bootstrap_servers: kafka.bootstrap_servers(),
            port: ports::free()?,
            group: "parity".to_owned(),
            more: vec![("offset.flush.interval.ms", "1000".to_owned())],
            environment: vec![],
        };
        let worker = match pipeline {
            demo::Pipeline::Streamer => Worker::streamer(&directory, &settings).await?,
            demo::Pipeline::Debezium => Worker::debezium(artifacts, &directory, &settings).await?,
        };
        Ok(Self { name, slot, bootstrap_servers: kafka.bootstrap_servers(), directory, worker, kafka })
    }

    /// A configuration as this side gets it: with a slot, a Kafka and a file of signals of its own.
    pub(crate) fn own(&self, mut config: Config) -> Config {
        if let Some(Value::String(slot)) = config.get_mut("slot.name") {
            slot.push_str(self.slot);
        }
        if let Some(servers) = config.get_mut("signal.kafka.bootstrap.servers") {
            *servers = self.bootstrap_servers.clone().into();
        }
        if let Some(Value::String(file)) = config.get_mut("signal.file") {
            *file = self.directory.join(&*file).to_string_lossy().into_owned();
        }
        config
    }

    /// Sends a step's signals through the channels outside of the database, as a configuration of [`Side::own`] has them.
    ///
    /// # Errors
    /// The configuration has no such channel, or it cannot be written to.
    pub(crate) async fn signal(&self, config: &Config, step: &Step) -> anyhow::Result<()> {
        let property = |name: &str| config.get(name).and_then(Value::as_str).context(name.to_owned());
        if let Some(signal) = &step.kafka_signal {
            let (topic, key) = (property("signal.kafka.topic")?, property("topic.prefix")?);
            topic::write(&self.bootstrap_servers, topic, key.as_bytes(), signal.to_string().as_bytes()).await?;
        }
        if let Some(signal) = &step.file_signal {
            std::fs::write(property("signal.file")?, format!("{signal}\n"))?;
        }
        Ok(())
    }

    /// Puts a connector's configuration.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn put(&self, connector: &str, config: &Config) -> anyhow::Result<(u16, Value)> {
        let body = serde_json::to_string(config)?;
        self.worker.rest().settled(Method::PUT, &format!("/connectors/{connector}/config"), Some(&body)).await
    }

    /// A connector's status, nothing when there is none yet.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn status(&self, connector: &str) -> anyhow::Result<Option<Value>> {
        let (status, answer) =
            self.worker.rest().settled(Method::GET, &format!("/connectors/{connector}/status"), None).await?;
        Ok((status == 200).then_some(answer))
    }

    /// Fails when a connector has failed; else whether its task runs.
    ///
    /// # Errors
    /// The first lines of its trace.
    pub(crate) async fn check(&self, connector: &str) -> anyhow::Result<bool> {
        let Some(status) = self.status(connector).await? else { return Ok(false) };
        let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        for (what, state, trace) in
            [("connector", "/connector/state", "/connector/trace"), ("task", "/tasks/0/state", "/tasks/0/trace")]
        {
            if text(state) == "FAILED" {
                bail!("{}'s {what} FAILED: {}", self.name, causes(text(trace)));
            }
        }
        Ok(text("/tasks/0/state") == "RUNNING")
    }

    /// Waits until a connector's task runs.
    ///
    /// # Errors
    /// It fails, or takes too long.
    pub(crate) async fn wait_running(&self, connector: &str, deadline: Instant) -> anyhow::Result<()> {
        wait_until("the task to run", deadline - Instant::now(), async || {
            Ok(if self.check(connector).await? {
                Condition::Met(())
            } else {
                Condition::NotYet("it does not".to_owned())
            })
        })
        .await
    }

    /// Deletes a connector and waits until it is gone.
    ///
    /// # Errors
    /// It stays.
    pub(crate) async fn delete(&self, connector: &str) -> anyhow::Result<()> {
        let (status, answer) =
            self.worker.rest().settled(Method::DELETE, &format!("/connectors/{connector}"), None).await?;
        if !matches!(status, 200 | 204 | 404) {
            bail!("DELETE of {connector}: {status} {answer}");
        }
        wait_until("the connector to go", Duration::from_secs(30), async || {
            let status = self.status(connector).await?;
            Ok(status.map_or(Condition::Met(()), |status| Condition::NotYet(status.to_string())))
        })
        .await
    }

    /// Deletes what an interrupted scenario left.
    ///
    /// # Errors
    /// The worker's.
    pub(crate) async fn delete_connectors(&self) -> anyhow::Result<()> {
        let (status, answer) = self.worker.rest().settled(Method::GET, "/connectors", None).await?;
        let connectors = answer.as_array().with_context(|| format!("GET /connectors: {status} {answer}"))?;
        for connector in connectors.iter().filter_map(Value::as_str) {
            self.delete(connector).await?;
        }
        Ok(())
    }

    /// Deletes the harness's topics.
    ///
    /// # Errors
    /// They stay.
    pub(crate) async fn delete_topics(&self) -> anyhow::Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers).set("log_level", "0");
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let consumer: BaseConsumer = config.create()?;
        wait_until("the topics to be deleted", Duration::from_secs(40), async || {
            let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(None, Duration::from_secs(10)))?;
            let names = metadata.topics().iter().map(|topic| topic.name()).filter(|topic| is_ours(topic));
            let topics: Vec<&str> = names.collect();
            if topics.is_empty() {
                return Ok(Condition::Met(()));
            }
            // One that somebody else deleted is an error here, and gone.
            let _deleted = admin.delete_topics(&topics, &AdminOptions::new()).await?;
            Ok(Condition::NotYet(topics.join(", ")))
        })
        .await
    }

    /// Ends both.
    ///
    /// # Errors
    /// They do not end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.worker.into_process().stop().await?;
        self.kafka.into_process().stop().await
    }
}

/// A trace's first line and causes.
fn causes(trace: &str) -> String {
    let mut lines = trace.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let causes = lines.filter(|line| line.starts_with("Caused by"));
    let text: String = std::iter::once(first).chain(causes).collect::<Vec<_>>().join(" | ");
    text.chars().take(800).collect()
}
