//! Waits for a new topic's leaders before its first record.
//!
//! A topic's metadata names leaders before the brokers know that they lead. A producer that trusts it has its first batches
//! refused, while those behind them may already be taken: see [`Undelivered::Presumed`](super::ledger::Undelivered). A
//! leader that answers a `ListOffsets` request takes records too.

use std::time::{Duration, Instant};

use access::kafka::producer::ReportedProducer;
use rdkafka::client::Client;
use rdkafka::producer::Producer as _;

use super::producer::Acknowledgements;

/// How long the leaders are waited for. Behind it the producer waits, and says what is wrong.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until every partition of a new topic has a leader that takes records. `is_new` says that the topic was just created;
/// without it the topic is looked up, which has the broker create it if it does so by itself, and one that was there
/// before is not waited for. The producer asks, because a client never forgets a topic that it asked for by name, and this
/// one has to know it in any case.
pub(super) async fn wait(producer: &ReportedProducer<Acknowledgements>, topic: &str, mut is_new: bool) {
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT {
        let (producer, name) = (producer.clone(), topic.to_owned());
        // The client's questions block their thread.
        let asked = tokio::task::spawn_blocking(move || takes_records(producer.client(), &name, is_new));
        if asked.await.unwrap_or(false) {
            return;
        }
        is_new = true;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the topic is there and, if it is new, all its leaders answer.
fn takes_records(client: &Client<Acknowledgements>, topic: &str, is_new: bool) -> bool {
    let answers = |partition: &i32| client.fetch_watermarks(topic, *partition, ANSWER_TIMEOUT).is_ok();
    partitions(client, topic).is_some_and(|partitions| !is_new || partitions.iter().all(answers))
}

/// The topic's partitions; `None` while it is not there, or not all of them have a leader.
fn partitions(client: &Client<Acknowledgements>, topic: &str) -> Option<Vec<i32>> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER_TIMEOUT).ok()?;
    let topic = metadata.topics().iter().find(|found| found.name() == topic)?;
    let has_leaders = topic.error().is_none() && topic.partitions().iter().all(|partition| partition.error().is_none());
    (has_leaders && !topic.partitions().is_empty())
        .then(|| topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
}
