//! Whether Kafka lets one in.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long one question may take; what was wrong with it is looked at in between.
const ASKING: Duration = Duration::from_millis(250);

/// How long a client that had Kafka may take to find it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Kafka that lets one in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id, empty when it does not say.
    pub id: String,
    /// How many brokers are known.
    pub brokers: usize,
}

/// Why nobody came in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Certificates, names or passwords are wrong, or a setting: a person must act.
    #[error("{0}")]
    Locked(String),
    /// It does not answer, for what it said last.
    #[error("{0}")]
    Away(String),
}

/// Asks Kafka who it is. It blocks up to `patience`, or until it is refused for good.
///
/// # Errors
/// As [`Refusal`] says. Java's clients take the same failures for lasting (`AuthenticationException`).
pub fn enter(client: &ClientConfig, patience: Duration) -> Result<Cluster, Refusal> {
    let consumer: BaseConsumer<Listener> = client
        .create_with_context(Listener::default())
        // The setting's name only: its value can be a password.
        .map_err(|error| match error {
            KafkaError::ClientConfig(_, why, name, _) => Refusal::Locked(format!("{name} is not usable: {why}")),
            other => Refusal::Locked(other.to_string()),
        })?;
    let deadline = Instant::now() + patience;
    loop {
        let failure = match consumer.fetch_metadata(None, ASKING) {
            Ok(metadata) => {
                let id = consumer.client().fetch_cluster_id(ASKING).unwrap_or_default();
                return Ok(Cluster { id, brokers: metadata.brokers().len() });
            }
            Err(failure) => failure,
        };
        // What went wrong underneath is told by the way.
        _ = consumer.poll(Duration::ZERO);
        let heard = consumer.context().heard();
        if let Some((code, reason)) = &heard
            && is_lasting(*code, reason)
        {
            return Err(Refusal::Locked(without_times(reason)));
        }
        if Instant::now() >= deadline {
            return Err(Refusal::Away(heard.map_or_else(|| failure.to_string(), |(_, reason)| without_times(&reason))));
        }
    }
}

/// Whether a client has lost Kafka where another one finds it. It blocks for up to 15 s, and for a moment where all is well.
///
/// librdkafka forgets its brokers at an answer that names topics and no broker, as one gives that was frozen and that the
/// controller has fenced meanwhile, and asks nobody any more then (its issue 5301, from 2.10.0 on). Only a new client helps.
pub fn has_lost<C: ClientContext>(client: &Client<C>, topic: Option<&str>, settings: &ClientConfig) -> bool {
    let is_away = || client.fetch_metadata(topic, PATIENCE).is_err();
    is_away() && enter(settings, PATIENCE).is_ok_and(|cluster| cluster.brokers > 0) && is_away()
}

/// Whether trying again cannot help. A handshake that is broken off can be a broker that stops.
fn is_lasting(code: RDKafkaErrorCode, reason: &str) -> bool {
    let handshake = ["certificate", "alert", "wrong version number"];
    code == RDKafkaErrorCode::Authentication
        || code == RDKafkaErrorCode::SSL && handshake.iter().any(|sign| reason.contains(sign))
}

/// What librdkafka says of a failure, without how long it took and how often it was: `… (after 3ms in state CONNECT, 1 identical
/// error(s) suppressed)`. So the same failure has the same words.
fn without_times(reason: &str) -> String {
    reason.split(" (after ").next().unwrap_or(reason).to_owned()
}

/// Keeps the last thing that was said of a connection; that all brokers are down says nothing.
#[derive(Default)]
struct Listener(Mutex<Option<(RDKafkaErrorCode, String)>>);

impl Listener {
    fn heard(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl ClientContext for Listener {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code()
            && code != RDKafkaErrorCode::AllBrokersDown
        {
            *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Listener {}
