//! What happens before a topic's first record: it is created as the connector asks, its leaders are waited for, and it is
//! noted as one of the connector's topics.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::kafka::producer::ReportedProducer;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::producer::Acknowledgements;
use super::requests::Requests;
use super::{leaders, settings};
use crate::config::topic_creation::TopicCreation;
use crate::config::{ConnectorConfig, WorkerConfig};
use crate::error::TaskError;
use crate::worker::storage::statuses::StatusStore;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The topics that one run of a task has published to.
pub struct Topics {
    connector: String,
    admin: AdminClient<DefaultClientContext>,
    creation: Option<TopicCreation>,
    tracking: Option<StatusStore>,
    requests: Requests,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    topics: HashSet<String>,
    resets: u64,
}

impl Topics {
    /// As worker and connector are configured.
    ///
    /// # Errors
    /// Stop when `topic.creation.*` cannot be used.
    pub fn new(worker: &WorkerConfig, config: &ConnectorConfig, statuses: StatusStore) -> Result<Self, TaskError> {
        let creation = config
            .topic_creation
            .clone()
            .map_err(|why| TaskError::stop("topic-creation", why))?
            .filter(|_| worker.topic_creation);
        let admin = settings::admin(worker, config)?.create();
        let admin = admin
            .map_err(|error| TaskError::stop("producer-settings", format!("the admin client's settings: {error}")))?;
        let tracking = worker.topic_tracking.enabled.then_some(statuses);
        Ok(Self {
            connector: config.name.clone(),
            admin,
            creation,
            tracking,
            requests: Requests::default(),
            seen: Mutex::default(),
        })
    }

    /// Makes a topic ready for its first record; free for every other one.
    ///
    /// # Errors
    /// Retry when Kafka does not answer; stop when it refuses the topic.
    pub(super) async fn before_record(
        &self,
        producer: &ReportedProducer<Acknowledgements>,
        topic: &str,
    ) -> Result<(), TaskError> {
        let resets = self.tracking.as_ref().map_or(0, StatusStore::topic_resets);
        {
            // No statement under the lock can leave the set half changed.
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.resets != resets {
                *seen = Seen { topics: HashSet::new(), resets };
            }
            if seen.topics.contains(topic) {
                return Ok(());
            }
        }
        // Boxed: it is rare, and every record's future would be as large otherwise.
        Box::pin(self.open(producer, topic)).await
    }

    /// Whether the brokers take a record with so many bytes of key and value.
    ///
    /// # Errors
    /// Stop when they say that they do not.
    pub(super) async fn take(&self, topic: &str, bytes: usize) -> Result<(), TaskError> {
        self.requests.take(&self.admin, topic, bytes).await
    }

    async fn open(&self, producer: &ReportedProducer<Acknowledgements>, topic: &str) -> Result<(), TaskError> {
        let is_new = match &self.creation {
            Some(creation) => create(&self.admin, creation, topic).await?,
            None => false,
        };
        leaders::wait(producer, topic, is_new).await;
        if let Some(statuses) = &self.tracking {
            statuses.put_topic(&self.connector, topic).await;
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).topics.insert(topic.to_owned());
        Ok(())
    }
}

/// Whether it was not there.
async fn create(
    admin: &AdminClient<DefaultClientContext>,
    creation: &TopicCreation,
    topic: &str,
) -> Result<bool, TaskError> {
    let Some(group) = creation.group(topic) else { return Ok(false) };
    let replication = TopicReplication::Fixed(group.replication_factor);
    let mut new = NewTopic::new(topic, group.partitions, replication);
    for (key, value) in &group.settings {
        new = new.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT)).request_timeout(Some(ANSWER_TIMEOUT));
    let results = admin
        .create_topics([&new], &options)
        .await
        .map_err(|error| TaskError::retry(format!("topic {topic} could not be created: {error}")))?;
    let mut is_new = false;
    for result in results {
        match result {
            Ok(_) => {
                tracing::info!(topic, group = %group.name, "created the topic");
                is_new = true;
            }
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // As in Connect: the topic may be there, and nobody may be allowed to create any.
            Err((_, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)) => {
                tracing::warn!(topic, "creating topics is not allowed; the topic is expected to be there");
            }
            Err((_, code)) => {
                return Err(TaskError::stop(
                    "topic-creation",
                    format!(
                        "Task failed to create new topic {topic} with the group {} of topic.creation.groups: {code}. The \
                     change is kept in the slot: put topic.creation.{}.* right, or create the topic",
                        group.name, group.name
                    ),
                ));
            }
        }
    }
    Ok(is_new)
}
