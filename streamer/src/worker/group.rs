//! The worker's place in its group (`group.id`): one streamer is active, the others stand by.
//!
//! Kafka Connect's workers are members of the group `group.id` with the protocol type `connect`. A streamer joins the same
//! group as a consumer of the config topic: Kafka does not let members of two protocol types into one group, so a Connect
//! worker and a streamer can never run the same connectors. The config topic has one partition, and the streamer that it is
//! assigned to is the active one. The assignment is cooperative: it stays where it is until that streamer leaves or its
//! session ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::diagnosis::Finding;
use access::kafka::has_lost;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::storage::log;
use crate::config::WorkerConfig;
use crate::error::TaskError;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What a streamer's client id begins with; its worker id follows, by which the others reach it.
const CLIENT_PREFIX: &str = "headwater-";

/// How often a worker that stands by is asked whether it finds Kafka.
const SEARCH: std::time::Duration = std::time::Duration::from_secs(5);

/// The client that is in the group, `None` for a worker that has no group, or that is just joining again.
type Member = Arc<Mutex<Option<Arc<StreamConsumer<Watcher>>>>>;

/// A member of the group. Dropping it leaves the group.
pub struct Membership {
    member: Member,
    place: watch::Receiver<Place>,
    group_id: String,
    polling: JoinHandle<TaskError>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("group_id", &self.group_id)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A member's place. Each time that it becomes the active one is another, so that nobody takes two for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Another member is active, or none is yet.
    StandingBy,
    /// This one is, for the n-th time.
    Active(u64),
}

/// Notices whether the config topic is this member's.
#[derive(Clone)]
struct Watcher {
    place: Arc<watch::Sender<Place>>,
    times: Arc<AtomicU64>,
}

impl ClientContext for Watcher {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the worker's group");
    }
}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => {}
            Rebalance::Revoke(partitions) if partitions.count() == 0 => {}
            Rebalance::Revoke(_) | Rebalance::Error(_) => {
                self.place.send_replace(Place::StandingBy);
            }
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance
            && partitions.count() > 0
        {
            let time = self.times.fetch_add(1, Ordering::Relaxed);
            self.place.send_replace(Place::Active(time));
        }
    }
}

impl Membership {
    /// Joins the group; which place it has there, [`Membership::place`] says later.
    ///
    /// # Errors
    /// Stop while a Connect worker of the group is alive; retry when Kafka does not answer.
    pub async fn join(worker: &Arc<WorkerConfig>) -> Result<Self, TaskError> {
        let (sender, place) = watch::channel(Place::StandingBy);
        let watcher = Watcher { place: Arc::new(sender), times: Arc::default() };
        let member = Arc::new(Mutex::new(Some(enter(worker, watcher.clone()).await?)));
        let polling = tokio::spawn(stay(worker.clone(), member.clone(), watcher));
        Ok(Self { member, place, group_id: worker.group_id.clone(), polling })
    }

    /// The place of a worker that runs alone: it is always the active one.
    pub fn alone() -> Self {
        let (sender, place) = watch::channel(Place::Active(0));
        let polling = tokio::spawn(async move {
            sender.closed().await;
            TaskError::stop("worker-group", "nobody asks any more")
        });
        Self { member: Member::default(), place, group_id: String::new(), polling }
    }

    /// Which place this member has; changes are seen by waiting on it.
    pub fn place(&self) -> watch::Receiver<Place> {
        self.place.clone()
    }

    /// Completes when the membership cannot go on, and only then.
    pub async fn failed(&mut self) -> TaskError {
        match (&mut self.polling).await {
            Ok(error) => error,
            Err(error) => {
                TaskError::stop("worker-group", "the membership of the worker's group broke off").because(error)
            }
        }
    }

    /// Where the active member's REST API is, if there is one and it is another.
    pub fn leader(&self) -> Leader {
        Leader { member: self.member.clone(), group_id: self.group_id.clone() }
    }

    /// Leaves the group, so that another member becomes the active one at once.
    pub async fn leave(self) {
        self.polling.abort();
        if !self.polling.is_finished() {
            let _aborted = self.polling.await;
        }
        let consumer = current(&self.member).take();
        close(consumer).await;
    }
}

/// Who the active member is.
#[derive(Clone)]
pub struct Leader {
    member: Member,
    group_id: String,
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").field("group_id", &self.group_id).finish_non_exhaustive()
    }
}

impl Leader {
    /// The active member's worker id (`host:port`), `None` while there is none.
    pub async fn worker_id(&self) -> Option<String> {
        let (consumer, group_id) = (current(&self.member).clone()?, self.group_id.clone());
        let find = move || {
            let groups = consumer.fetch_group_list(Some(&group_id), ANSWER_TIMEOUT).ok()?;
            let group = groups.groups().iter().find(|group| group.name() == group_id)?;
            let leader =
                group.members().iter().find(|member| has_partitions(member.assignment().unwrap_or_default()))?;
            leader.client_id().strip_prefix(CLIENT_PREFIX).map(str::to_owned)
        };
        tokio::task::spawn_blocking(find).await.ok().flatten()
    }
}

/// Whether an assignment in the consumer protocol names a topic: its version, 16 bits, is followed by their number.
fn has_partitions(assignment: &[u8]) -> bool {
    assignment.get(2..6).is_some_and(|topics| topics.iter().any(|byte| *byte != 0))
}

fn current(member: &Member) -> std::sync::MutexGuard<'_, Option<Arc<StreamConsumer<Watcher>>>> {
    // It is replaced whole.
    member.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a client, which waits for Kafka's answer.
async fn close(consumer: Option<Arc<StreamConsumer<Watcher>>>) {
    if let Err(error) = tokio::task::spawn_blocking(move || drop(consumer)).await {
        tracing::warn!(%error, "leaving the worker's group broke off");
    }
}

/// Joins the group with a new client.
async fn enter(worker: &WorkerConfig, watcher: Watcher) -> Result<Arc<StreamConsumer<Watcher>>, TaskError> {
    log::create(worker, &worker.config_topic).await?;
    let group_id = &worker.group_id;
    let failed = |error: KafkaError| TaskError::retry(format!("joining the group {group_id} failed: {error}"));
    let mut client = worker.kafka_client();
    client
        .set("group.id", group_id)
        .set("client.id", format!("{CLIENT_PREFIX}{}", worker.worker_id))
        .set("session.timeout.ms", worker.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", worker.heartbeat_interval.as_millis().to_string())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "latest")
        .set("enable.auto.commit", "false");
    let consumer: StreamConsumer<Watcher> = client.create_with_context(watcher).map_err(failed)?;
    let consumer = Arc::new(consumer);
    refuse_beside_connect(&consumer, group_id).await?;
    consumer.subscribe(&[&worker.config_topic.name]).map_err(failed)?;
    Ok(consumer)
}

/// Stays in the group, with a new client whenever the one that is there has lost Kafka.
async fn stay(worker: Arc<WorkerConfig>, member: Member, watcher: Watcher) -> TaskError {
    loop {
        let consumer = current(&member).clone();
        if let Some(consumer) = consumer {
            tokio::select! {
                ended = poll(consumer.clone(), worker.group_id.clone()) => return ended,
                () = lost(consumer, &worker, &watcher) => {}
            }
            tracing::warn!(
                group = %worker.group_id,
                "the member of the worker's group has lost Kafka's brokers, and does not find them again by itself: a new one joins"
            );
            let gone = current(&member).take();
            // Without Kafka it cannot take leave, and need not be waited for.
            _ = tokio::time::timeout(ANSWER_TIMEOUT, close(gone)).await;
        }
        match enter(&worker, watcher.clone()).await {
            Ok(consumer) => *current(&member) = Some(consumer),
            Err(error @ TaskError::Stop(_)) => return error,
            Err(error) => {
                tracing::warn!(%error, group = %worker.group_id, "joining the worker's group again");
                tokio::time::sleep(SEARCH).await;
            }
        }
    }
}

/// Completes when this client has lost Kafka. The active one's heartbeats say that it has not.
async fn lost(consumer: Arc<StreamConsumer<Watcher>>, worker: &WorkerConfig, watcher: &Watcher) {
    loop {
        tokio::time::sleep(SEARCH).await;
        if *watcher.place.borrow() != Place::StandingBy {
            continue;
        }
        let (consumer, settings) = (consumer.clone(), worker.kafka_client());
        let topic = worker.config_topic.name.clone();
        let asked = tokio::task::spawn_blocking(move || has_lost(consumer.client(), Some(&topic), &settings));
        if asked.await.unwrap_or(false) {
            return;
        }
    }
}

/// Reads the group's events for as long as the membership lasts; what is in the topic is read elsewhere.
async fn poll(consumer: Arc<StreamConsumer<Watcher>>, group_id: String) -> TaskError {
    loop {
        let Err(error) = consumer.recv().await else { continue };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InconsistentGroupProtocol) {
            return match refuse_beside_connect(&consumer, &group_id).await {
                Err(refusal) => refusal,
                // It has gone again: joining is tried again by librdkafka.
                Ok(()) => continue,
            };
        }
        if let Some((_, reason)) = consumer.client().fatal_error() {
            return TaskError::stop(
                "worker-group",
                format!("Kafka ended the membership of the group {group_id}: {reason}"),
            );
        }
        tracing::warn!(%error, group = group_id, "the worker's group");
    }
}

/// Refuses to be in a group that has other members than streamers.
async fn refuse_beside_connect(consumer: &Arc<StreamConsumer<Watcher>>, group_id: &str) -> Result<(), TaskError> {
    let members = members(consumer.clone(), group_id).await?;
    members.refusal(group_id).map_or(Ok(()), |finding| Err(finding.into()))
}

/// Who is in a group.
#[derive(Debug, Clone, Default)]
pub struct Members {
    protocol: String,
    /// The streamers: where each one's REST API is.
    pub streamers: Vec<String>,
    others: Vec<String>,
}

impl Members {
    /// Why a streamer cannot be among them.
    pub fn refusal(&self, group_id: &str) -> Option<Finding> {
        if self.others.is_empty() {
            return None;
        }
        let what = if self.protocol == "connect" { "a Kafka Connect worker" } else { "another program" };
        Some(Finding::error(
            "worker-group",
            format!(
                "{what} of the group {group_id} (group.id) is alive: {}. Two of them would publish the same changes twice, so nothing \
                 was started",
                self.others.join(", ")
            ),
            "Stop it first; if it was killed, its session ends within its session.timeout.ms, 10 s unless set otherwise",
        ))
    }
}

/// Asks Kafka who is in a group.
///
/// # Errors
/// Retry when it does not answer.
pub async fn members<C, X>(consumer: Arc<C>, group_id: &str) -> Result<Members, TaskError>
where
    C: Consumer<X> + Send + Sync + 'static,
    X: ConsumerContext,
{
    let name = group_id.to_owned();
    let find = move || {
        let groups = consumer.fetch_group_list(Some(&name), ANSWER_TIMEOUT)?;
        let mut found = Members::default();
        for group in groups.groups().iter().filter(|group| group.name() == name) {
            group.protocol_type().clone_into(&mut found.protocol);
            for member in group.members() {
                match member.client_id().strip_prefix(CLIENT_PREFIX) {
                    Some(worker) => found.streamers.push(worker.to_owned()),
                    None => found.others.push(format!("{} at {}", member.client_id(), member.client_host())),
                }
            }
        }
        Ok::<_, KafkaError>(found)
    };
    let found = tokio::task::spawn_blocking(find).await;
    found
        .map_err(|error| TaskError::retry("asking for the worker's group broke off").because(error))?
        .map_err(|error| TaskError::retry(format!("asking Kafka for the group {group_id} failed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_without_topics_is_a_standby_s() {
        assert!(has_partitions(b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0"));
        assert!(!has_partitions(b"\0\x01\0\0\0\0\0\0\0\0"));
        assert!(!has_partitions(b""));
    }
}
