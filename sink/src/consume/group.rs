//! Which partitions are this sink's: its place in the consumer group of the prefix.
//!
//! The group says who reads a partition, and nothing else: where reading goes on is in the target. What it gives is taken up by the
//! dispatcher when it has read the offset there. What it takes away is given back by the dispatcher as well, when the batch under
//! way has ended; only then does the group give it to another sink.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::diagnosis::Finding;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use crate::apply::ledger::Place;
use crate::error::SinkError;

/// How long a sink may be silent before its partitions are given to others. Kafka takes no less, unless its
/// `group.min.session.timeout.ms` is another.
const SESSION_TIMEOUT_MS: &str = "6000";

/// How often it says that it is there, and hears that the group changes.
const HEARTBEAT_MS: &str = "500";

/// How long Kafka may take to say who is in the group.
const ANSWER: Duration = Duration::from_secs(10);

/// What a member calls itself: the group is told from its members whether they have one target.
fn client_id(target_id: &str) -> String {
    format!("headwater-sink-{target_id}")
}

/// What a member is configured with.
pub(super) fn configure(client: &mut ClientConfig, group: &str, target_id: &str) {
    client
        .set("group.id", group)
        .set("client.id", client_id(target_id))
        .set("session.timeout.ms", SESSION_TIMEOUT_MS)
        .set("heartbeat.interval.ms", HEARTBEAT_MS)
        // Who joins or leaves stops the reading of those partitions only that move.
        .set("partition.assignment.strategy", "cooperative-sticky");
}

/// A member of the group, as the Kafka client calls it back.
#[derive(Default)]
pub(super) struct Member {
    shares: Mutex<Shares>,
}

#[derive(Default)]
struct Shares {
    /// What the group gave.
    mine: BTreeSet<Place>,
    /// What the client reads.
    read: BTreeSet<Place>,
    /// Whether the group waits for what it takes away.
    is_awaited: bool,
    /// What is to be read no longer, and waits until the group has its answer: the client takes any of it for the answer.
    later: BTreeSet<Place>,
    is_changed: bool,
    is_closing: bool,
}

impl Member {
    /// What the group gave, if that has changed since it was asked last.
    pub(super) fn changed(&self) -> Option<BTreeSet<Place>> {
        let mut shares = self.lock();
        std::mem::take(&mut shares.is_changed).then(|| shares.mine.clone())
    }

    /// Whether the group waits for [`give_back`](Self::give_back).
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().is_awaited
    }

    /// Reads nothing more of what the group took away, and tells it so.
    pub(super) fn give_back<C: Consumer<Self>>(&self, consumer: &C) {
        let mut shares = self.lock();
        shares.is_awaited = false;
        let later = std::mem::take(&mut shares.later);
        let gone: Vec<Place> = shares
            .read
            .iter()
            .filter(|place| later.contains(*place) || !shares.mine.contains(*place))
            .cloned()
            .collect();
        for place in &gone {
            shares.read.remove(place);
        }
        drop(shares);
        // An empty list is an answer as well.
        let answer = list(gone.iter().map(|place| (place, None))).and_then(|gone| consumer.incremental_unassign(&gone));
        if let Err(error) = answer {
            tracing::warn!(%error, "partitions cannot be given back");
            _ = consumer.incremental_unassign(&TopicPartitionList::new());
        }
    }

    /// Reads partitions from now on, each from its offset, `None` for the beginning.
    ///
    /// # Errors
    /// Retry with the client's words.
    pub(super) fn read<C: Consumer<Self>>(
        &self,
        consumer: &C,
        begins: &[(Place, Option<i64>)],
    ) -> Result<(), SinkError> {
        for (place, _) in begins {
            self.leave(consumer, place);
        }
        let begin = |(place, offset): &'_ (Place, Option<i64>)| (place.clone(), *offset);
        let begins: Vec<_> = begins.iter().map(begin).collect();
        list(begins.iter().map(|(place, offset)| (place, Some(*offset))))
            .and_then(|begins| consumer.incremental_assign(&begins))
            .map_err(|error| SinkError::retry(format!("Kafka: {error}")))?;
        self.lock().read.extend(begins.into_iter().map(|(place, _)| place));
        Ok(())
    }

    /// Reads a partition no longer; what was read ahead of it does not come any more.
    pub(super) fn leave<C: Consumer<Self>>(&self, consumer: &C, place: &Place) {
        let mut shares = self.lock();
        if !shares.read.contains(place) {
            return;
        }
        if shares.is_awaited {
            shares.later.insert(place.clone());
            return;
        }
        shares.read.remove(place);
        drop(shares);
        if let Err(error) = list([(place, None)]).and_then(|gone| consumer.incremental_unassign(&gone)) {
            tracing::debug!(topic = place.0, partition = place.1, %error, "the partition was not read");
        }
    }

    /// From here on it gives back what the group takes away at once, and what it took away before: a client that has not answered
    /// never ends.
    pub(super) fn close<C: Consumer<Self>>(&self, consumer: &C) {
        let mut shares = self.lock();
        shares.is_closing = true;
        let owes = shares.is_awaited;
        drop(shares);
        if owes {
            self.give_back(consumer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        // A panic cannot leave it half changed.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Partitions as the client takes them, with where to begin where they are to be read.
fn list<'a>(places: impl IntoIterator<Item = (&'a Place, Option<Option<i64>>)>) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), begin) in places {
        match begin {
            Some(begin) => {
                let begin = begin.map_or(rdkafka::Offset::Beginning, rdkafka::Offset::Offset);
                list.add_partition_offset(topic, *partition, begin)?;
            }
            None => _ = list.add_partition(topic, *partition),
        }
    }
    Ok(list)
}

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let places = partitions.elements().iter().map(|at| (at.topic().to_owned(), at.partition())).collect::<Vec<_>>();
        let mut shares = self.lock();
        shares.is_changed = true;
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            shares.mine.extend(places);
            drop(shares);
            // The group has its answer; reading begins when the offsets are known.
            if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
                tracing::warn!(%error, "the group's partitions cannot be taken up");
            }
            return;
        }
        for place in &places {
            shares.mine.remove(place);
        }
        // What is lost may be another's already: there is nothing to wait for.
        shares.is_awaited = !(shares.is_closing || consumer.assignment_lost());
        let answers = !shares.is_awaited;
        drop(shares);
        if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Eager) {
            tracing::warn!("the group does not hand over partitions one by one");
        }
        if answers {
            self.give_back(consumer);
        }
    }
}

/// Says which members of the group are no sinks of this target: what the group gave to them would be missing here. It blocks.
pub fn others<C: Consumer<X>, X: ConsumerContext>(consumer: &C, group: &str, target_id: &str) -> Option<Finding> {
    let list = consumer.client().fetch_group_list(Some(group), ANSWER).ok()?;
    let mine = client_id(target_id);
    let members = list.groups().iter().filter(|found| found.name() == group).flat_map(GroupInfo::members);
    let others: Vec<String> = members
        .filter(|member| member.client_id() != mine)
        .map(|member| format!("{} at {}", member.client_id(), member.client_host()))
        .collect();
    (!others.is_empty()).then(|| {
        Finding::error(
            "consumer-group",
            format!(
                "group {group} has members that are no sinks of this target, or apply in another order (--mode): {}. Partitions that the \
                 group gave to them would be missing here, so this sink does not join, and applies nothing",
                others.join(", ")
            ),
            "Stop them: a topic prefix has one target and one mode, and a connector runs in one place",
        )
    })
}

/// What keeps this sink out of the group, if an error says so.
pub(super) fn refusal(error: &KafkaError, group: &str) -> Option<SinkError> {
    let why = match error.rdkafka_error_code()? {
        RDKafkaErrorCode::GroupAuthorizationFailed => format!(
            "its ACLs do not let this sink into the group: allow it READ on group {group} (kafka-acls --add --allow-principal … \
             --operation Read --group {group})"
        ),
        RDKafkaErrorCode::InconsistentGroupProtocol => format!(
            "group {group} has members that share out partitions in another way than cooperative-sticky, or are no consumers: \
             another program uses the name. Stop it"
        ),
        RDKafkaErrorCode::InvalidSessionTimeout => format!(
            "the brokers' group.min.session.timeout.ms or group.max.session.timeout.ms refuses {SESSION_TIMEOUT_MS} ms, which is what \
             a sink may be silent for"
        ),
        RDKafkaErrorCode::GroupMaxSizeReached => {
            "the group has as many members as the brokers' group.max.size allows: stop one, or raise it".to_owned()
        }
        _ => return None,
    };
    Some(SinkError::stop(
        "consumer-group-forbidden",
        format!("Kafka gives this sink no partitions: {why}. Nothing is applied here meanwhile"),
    ))
}
