//! The largest request that the brokers take (`socket.request.max.bytes`).
//!
//! A broker closes the connection of who sends more, and says why in its own log alone (`InvalidReceiveException`). The producer
//! would see a broker that goes away and send the record for ever. So who has a record of that size asks first.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use tokio::sync::OnceCell;

use crate::error::TaskError;

/// The broker's setting.
const SETTING: &str = "socket.request.max.bytes";

/// Brokers take more than that; nobody is asked for a record that is smaller. It is a tenth of Kafka's default.
const SURELY_TAKEN: usize = 10 << 20;

/// What a request has beside a record's key and value: names, checksums, headers.
const AROUND: usize = 4096;

/// How long Kafka may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the brokers said, once they were asked.
#[derive(Default)]
pub(super) struct Requests {
    largest: OnceCell<Option<usize>>,
}

impl Requests {
    /// Whether the brokers take a record with so many bytes of key and value, uncompressed.
    ///
    /// # Errors
    /// Stop when they do not; it names the setting. Where they cannot be asked, for want of `DescribeConfigs` on the cluster for
    /// example, the record is sent, with a warning.
    pub(super) async fn take(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        topic: &str,
        bytes: usize,
    ) -> Result<(), TaskError> {
        if bytes <= SURELY_TAKEN {
            return Ok(());
        }
        // Boxed: it is rare, and every record's future would be as large otherwise.
        match *self.largest.get_or_init(|| Box::pin(ask(admin))).await {
            Some(largest) if bytes + AROUND > largest => Err(TaskError::stop("record-too-large", format!(
                "Kafka does not take a record of {bytes} bytes for topic {topic}: its brokers close the connection at a request \
                 that is larger than their {SETTING}, which is {largest}. Nothing is lost: the change is kept in the slot, and \
                 nothing behind it is published. Raise {SETTING} on the brokers above that, as well as \
                 producer.override.max.request.size, the topic's max.message.bytes and message.max.bytes, then restart the connector"
            ))
            .of_record()),
            _ => Ok(()),
        }
    }
}

/// The smallest that any broker says, `None` when none says one.
async fn ask(admin: &AdminClient<DefaultClientContext>) -> Option<usize> {
    let unknown = |error: &dyn std::fmt::Display| {
        tracing::warn!(
            %error,
            "the brokers do not say how large a request may be ({SETTING}): a record that is larger will seem to be a broker that \
             goes away"
        );
    };
    let metadata = tokio::task::block_in_place(|| admin.inner().fetch_metadata(None, ANSWER_TIMEOUT));
    let brokers: Vec<i32> = match metadata {
        Ok(metadata) => metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect(),
        Err(error) => {
            unknown(&error);
            return None;
        }
    };
    let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
    let mut smallest = None;
    // One by one: a request about a broker goes to that broker.
    for broker in brokers {
        let answer = match admin.describe_configs([&ResourceSpecifier::Broker(broker)], &options).await {
            Ok(answers) => answers.into_iter().next(),
            Err(error) => {
                unknown(&error);
                continue;
            }
        };
        match answer {
            Some(Ok(config)) => {
                let said = config.get(SETTING).and_then(|entry| entry.value.as_ref()?.parse::<usize>().ok());
                smallest = smallest.into_iter().chain(said).min();
            }
            Some(Err(error)) => unknown(&error),
            None => {}
        }
    }
    smallest
}
