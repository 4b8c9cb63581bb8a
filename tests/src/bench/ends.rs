//! What Kafka has of some topics.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

const ANSWER: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// How long a thousand new topics may take to have leaders, and how often that is asked: each question is about all of them.
const LEADERS: Duration = Duration::from_secs(180);
const LEADERS_LOOK: Duration = Duration::from_millis(300);

/// Nothing takes longer, or it stands still.
const PATIENCE: Duration = Duration::from_secs(600);

/// Topics, and where they end.
pub(super) struct Ends {
    bootstrap_servers: String,
    consumer: BaseConsumer,
    topics: Vec<String>,
    /// Of each topic.
    partitions: i32,
}

impl Ends {
    /// Makes the topics, with one partition each.
    ///
    /// # Errors
    /// Kafka does not.
    pub(super) async fn create(bootstrap_servers: &str, topics: Vec<String>) -> anyhow::Result<Self> {
        Self::with_partitions(bootstrap_servers, topics, 1).await
    }

    /// Makes the topics, with so many partitions each.
    ///
    /// # Errors
    /// Kafka does not.
    pub(super) async fn with_partitions(
        bootstrap_servers: &str,
        topics: Vec<String>,
        partitions: i32,
    ) -> anyhow::Result<Self> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap_servers);
        let admin: AdminClient<DefaultClientContext> = client.create()?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        for topics in topics.chunks(200) {
            let new = topics.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
            let new: Vec<_> = new.collect();
            for result in admin.create_topics(&new, &options).await? {
                result.map_err(|(topic, code)| anyhow::anyhow!("topic {topic}: {code}"))?;
            }
        }
        let mut ends =
            Self { bootstrap_servers: bootstrap_servers.to_owned(), consumer: client.create()?, topics, partitions };
        // Their leaders are there.
        let begun = Instant::now();
        while let Err(error) = ends.sum() {
            ensure!(begun.elapsed() < LEADERS, "the new topics have no leaders: {error:#}");
            tokio::time::sleep(LEADERS_LOOK).await;
            // A client remembers for long which topics it did not find.
            ends.consumer = client.create()?;
        }
        Ok(ends)
    }

    /// How many records they have had together. Ends of Kafka transactions count: a few dozen among hundreds of thousands.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(super) fn sum(&self) -> anyhow::Result<usize> {
        let mut asked = TopicPartitionList::new();
        for topic in &self.topics {
            for partition in 0..self.partitions {
                asked.add_partition_offset(topic, partition, Offset::End)?;
            }
        }
        let answered = tokio::task::block_in_place(|| self.consumer.offsets_for_times(asked, ANSWER))?;
        let mut sum = 0;
        for element in answered.elements() {
            element.error()?;
            sum += usize::try_from(element.offset().to_raw().context("no offset")?)?;
        }
        Ok(sum)
    }

    /// Waits until there are so many records, and gives how many there are then, and when it was.
    ///
    /// # Errors
    /// They do not come.
    pub(super) async fn reach(&self, records: usize) -> anyhow::Result<(usize, Instant)> {
        let (begun, mut last) = (Instant::now(), (0, Instant::now()));
        loop {
            let sum = self.sum()?;
            if sum >= records {
                return Ok((sum, Instant::now()));
            }
            if sum != last.0 {
                last = (sum, Instant::now());
            }
            let stands = last.1.elapsed() > Duration::from_secs(120);
            ensure!(begun.elapsed() < PATIENCE && !stands, "{sum} of {records} records came, and no more");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What they take on the broker's disk, whose data is in `log`.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(super) fn bytes(&self, log: &Path) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for topic in &self.topics {
            for partition in 0..self.partitions {
                for entry in std::fs::read_dir(log.join(format!("{topic}-{partition}")))? {
                    let path = entry?.path();
                    if path.extension().is_some_and(|extension| extension == "log") {
                        bytes += path.metadata()?.len();
                    }
                }
            }
        }
        Ok(bytes)
    }

    /// Deletes them.
    ///
    /// # Errors
    /// Kafka does not.
    pub(super) async fn delete(self) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap_servers).create()?;
        for topics in self.topics.chunks(200) {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            admin.delete_topics(&names, &AdminOptions::new().operation_timeout(Some(ANSWER))).await?;
        }
        Ok(())
    }
}
