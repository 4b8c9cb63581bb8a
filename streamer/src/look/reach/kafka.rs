//! Kafka, entered as the worker does, and read without a position in any group.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use access::config_providers::Providers;
use access::java_properties;
use access::kafka::{self, Security};
use clap::Args;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::config::{worker, worker_keys};
use crate::look::Ended;

/// How long Kafka may take for one answer.
const ANSWER: Duration = Duration::from_secs(15);

/// Where Kafka is, and how it is entered.
#[derive(Debug, Clone, Args)]
pub struct Kafka {
    /// Kafka
    #[arg(long, env = "BOOTSTRAP_SERVERS", value_name = "HOST:PORT")]
    bootstrap_servers: Option<String>,
    /// The worker's configuration, for how Kafka is entered (security.protocol, ssl.*, sasl.*); without, the environment's
    /// CONNECT_… variables. A Java client's file, as Kafka's own tools take with --command-config, does too
    #[arg(long, value_name = "FILE.properties")]
    worker: Option<PathBuf>,
}

impl Kafka {
    /// Whether it is said where Kafka is.
    ///
    /// # Errors
    /// When the worker's file cannot be used.
    pub fn is_given(&self) -> Result<bool, Ended> {
        Ok(self.bootstrap_servers.is_some() || self.properties()?.contains_key("bootstrap.servers"))
    }

    /// What every client of it is configured with; `servers` counts where the command line names none.
    ///
    /// # Errors
    /// When nothing says where Kafka is, or its settings cannot be used.
    pub fn client(&self, servers: Option<&str>) -> Result<ClientConfig, Ended> {
        let properties = self.properties()?;
        let servers =
            self.bootstrap_servers.as_deref().or(servers).or(properties.get("bootstrap.servers").map(String::as_str));
        let Some(servers) = servers else {
            return Err(Ended::cannot(
                "--bootstrap-servers (or BOOTSTRAP_SERVERS, or --worker) is missing: where Kafka is",
            ));
        };
        let login = worker::login().map_err(|error| Ended::cannot(error.to_string()))?;
        let security = Security::of(&properties, login).map_err(|error| Ended::cannot(error.to_string()))?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", servers).set("reconnect.backoff.max.ms", "1000");
        security.apply(&mut client);
        Ok(client)
    }

    /// The properties of where Kafka is and how it is entered.
    fn properties(&self) -> Result<BTreeMap<String, String>, Ended> {
        let all = match &self.worker {
            None => worker_keys::from_variables(std::env::vars()),
            Some(path) => {
                let unusable = |why: String| Ended::cannot(format!("--worker {}: {why}", path.display()));
                let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
                let all = java_properties::parse(&text).map_err(|error| unusable(error.to_string()))?;
                let providers = Providers::parse(&all).map_err(|(key, why)| unusable(format!("{key}: {why}")))?;
                providers.resolve(&all).map_err(|error| unusable(format!("{}: {error}", error.key)))?
            }
        };
        Ok(all.into_iter().filter(|(key, _)| key == "bootstrap.servers" || kafka::concerns(key)).collect())
    }
}

/// A consumer that belongs to no group: it is told what to read, and keeps no position.
pub struct Reader {
    consumer: StreamConsumer,
    servers: String,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// What comes of a partition.
pub enum Arrival<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// One of the partitions of this number is at its end.
    End(i32),
}

impl Reader {
    /// One for these settings.
    ///
    /// # Errors
    /// When they are not accepted.
    pub fn new(client: &ClientConfig) -> Result<Self, Ended> {
        let servers = client.get("bootstrap.servers").unwrap_or_default().to_owned();
        let consumer = client
            .clone()
            // The client's library wants a name; it is never used to join, and nothing is committed under it.
            .set("group.id", "headwater-look")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "100")
            .create()
            .map_err(|error| Ended::cannot("the consumer's settings are not accepted").because(error))?;
        Ok(Self { consumer, servers })
    }

    fn failed(&self, what: &str, error: KafkaError) -> Ended {
        Ended::cannot(format!("Kafka at {}: {what}: {error}", self.servers))
    }

    /// All topics with their partitions.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn topics(&self) -> Result<BTreeMap<String, Vec<i32>>, Ended> {
        let metadata = tokio::task::block_in_place(|| self.consumer.fetch_metadata(None, ANSWER));
        let metadata = metadata.map_err(|error| self.failed("asking for its topics", error))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(topics
            .map(|topic| (topic.name().to_owned(), topic.partitions().iter().map(|partition| partition.id()).collect()))
            .collect())
    }

    /// Where a partition begins and ends: its first offset, and the one that its next record gets.
    ///
    /// # Errors
    /// When Kafka does not answer, or has no such partition.
    pub fn range(&self, topic: &str, partition: i32) -> Result<(i64, i64), Ended> {
        tokio::task::block_in_place(|| self.consumer.fetch_watermarks(topic, partition, ANSWER))
            .map_err(|error| self.failed(&format!("asking for the ends of {topic}/{partition}"), error))
    }

    /// The first offset of a partition whose record has this timestamp or a later one; its end where there is none.
    ///
    /// # Errors
    /// As [`Reader::range`].
    pub fn since(&self, topic: &str, partition: i32, ms: i64) -> Result<i64, Ended> {
        let what = format!("asking for what was when in {topic}/{partition}");
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(topic, partition, Offset::Offset(ms)).map_err(|error| self.failed(&what, error))?;
        let told = tokio::task::block_in_place(|| self.consumer.offsets_for_times(asked, ANSWER));
        let told = told.map_err(|error| self.failed(&what, error))?;
        match told.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) if offset >= 0 => Ok(offset),
            _ => Ok(self.range(topic, partition)?.1),
        }
    }

    /// Reads these partitions from these offsets, and no others.
    ///
    /// # Errors
    /// When the client cannot.
    pub fn assign<'a>(&self, from: impl IntoIterator<Item = (&'a str, i32, i64)>) -> Result<(), Ended> {
        let what = "reading its topics";
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in from {
            list.add_partition_offset(topic, partition, Offset::Offset(offset))
                .map_err(|error| self.failed(what, error))?;
        }
        self.consumer.assign(&list).map_err(|error| self.failed(what, error))
    }

    /// Reads one more partition.
    ///
    /// # Errors
    /// When the client cannot.
    pub fn add(&self, topic: &str, partition: i32, offset: i64) -> Result<(), Ended> {
        let what = format!("reading {topic}/{partition}");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|error| self.failed(&what, error))
    }

    /// What comes next. Cancel safe.
    ///
    /// # Errors
    /// When Kafka cannot be read, or when it does not let us.
    pub async fn next(&self) -> Result<Arrival<'_>, Ended> {
        loop {
            match self.consumer.recv().await {
                Ok(message) => return Ok(Arrival::Record(message)),
                Err(KafkaError::PartitionEOF(partition)) => return Ok(Arrival::End(partition)),
                // Nobody asks for a group; the library looks for its coordinator all the same.
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                // It is looked for again by itself.
                Err(error) if is_passing(&error) => tracing::warn!(%error, "Kafka at {}", self.servers),
                Err(error) => return Err(self.failed("reading", error)),
            }
        }
    }

    /// The first record of a partition at an offset or behind it, `None` where there is none.
    ///
    /// # Errors
    /// As [`Reader::next`], or when nothing comes.
    pub async fn read_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<BorrowedMessage<'_>>, Ended> {
        let (first, end) = self.range(topic, partition)?;
        if offset.max(first) >= end {
            return Ok(None);
        }
        self.assign([(topic, partition, offset.max(first))])?;
        let arrival = tokio::time::timeout(ANSWER, self.next()).await.map_err(|_| {
            Ended::cannot(format!("Kafka at {} did not deliver {topic}/{partition}/{offset}", self.servers))
        })??;
        Ok(match arrival {
            Arrival::Record(message) => Some(message),
            Arrival::End(_) => None,
        })
    }
}

/// Whether the client goes on by itself behind an error.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}
