//! Tells when a stream or a snapshot stands still: a pipeline that makes no progress is not RUNNING.
//!
//! What waits is not broken off: Kafka's client finds its brokers again by itself, and a server that was frozen goes on where it
//! was; meanwhile the task's state says what is waited for. Only what the server has given up is begun anew.
//!
//! # Layout
//! - `pulse`: what is looked at
//! - `judge`: what the server's answer means

mod judge;
mod pulse;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

pub use pulse::{Pulse, Sources, Turn};

use crate::error::TaskError;
use crate::pipeline::TaskContext;
use crate::publish::producer::RecordProducer;
use crate::source::activity::{self, Activity};
use crate::source::session;
use judge::{Judge, Verdict};
use pulse::Still;

/// How often is looked. All together, what stands still is told within 30 s.
const LOOK: Duration = Duration::from_secs(1);
/// How long Kafka may not acknowledge the oldest record it was given, and a change may be worked at with nothing under way.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// How often a producer whose records are not acknowledged is asked whether it finds Kafka.
const SEARCH: Duration = Duration::from_secs(10);
/// How long the server may be silent before it is asked, and how often it is asked then.
const SILENCE: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_secs(3);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Looks, and keeps the task's state, until what is listened to has to be begun anew.
pub async fn watch(context: TaskContext, producer: Arc<RecordProducer>, pulse: Arc<Pulse>) -> TaskError {
    let ledger = producer.ledger();
    let mut session = None;
    let (mut acknowledged, mut heard) = (Still::at(ledger.acknowledged()), Still::at(pulse.beats()));
    let mut judge = Judge::new(&context.config);
    let mut asked = Still::at(());
    let mut searched = Still::at(());
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let (count, waiting) = (ledger.acknowledged(), ledger.in_flight());
        let unacknowledged = acknowledged.look(count);
        let silence = heard.look(pulse.beats());
        if waiting == 0 {
            // What comes next is given its time.
            acknowledged = Still::at(count);
        }
        if silence < SILENCE {
            judge.forget();
        }
        let why = if waiting > 0 {
            (unacknowledged >= UNACKNOWLEDGED).then(|| {
                format!(
                    "Kafka at {} has not acknowledged the oldest of the {waiting} records under way for {} s. Nothing is lost: \
                     the slot keeps what is not acknowledged, and the server's disk fills with it meanwhile. It goes on by \
                     itself when Kafka takes records again",
                    context.worker.bootstrap_servers(),
                    unacknowledged.as_secs()
                )
            })
        } else if pulse.works() {
            (silence >= UNACKNOWLEDGED).then(|| {
                format!(
                    "one change has been worked at for {} s, with nothing under way to Kafka: it waits for a topic to be made, a \
                     schema registry, or a query to the source. Nothing is lost: the slot keeps it",
                    silence.as_secs()
                )
            })
        } else if silence < SILENCE {
            None
        } else if asked.look(()) < ASK {
            // As it was when it was asked.
            continue;
        } else {
            asked = Still::at(());
            match ask(&context, &mut session, &pulse.sources()).await {
                Err(why) => Some(why),
                Ok(None) => None,
                Ok(Some(seen)) => match judge.hear(&seen, &pulse.sources(), pulse.has_received(), silence) {
                    Verdict::GoesOn => None,
                    Verdict::StandsStill(why) => Some(why),
                    Verdict::IsGone(why) => return TaskError::retry(why),
                },
            }
        };
        context.health.stalled(&context, why);
        // Behind telling it, for Kafka may take its time not to answer.
        if waiting > 0 && unacknowledged >= UNACKNOWLEDGED && searched.look(()) >= SEARCH {
            searched = Still::at(());
            if producer.has_lost_kafka(&context).await {
                return TaskError::retry(format!(
                    "the producer does not find Kafka at {} any more, where others find it. Nothing is lost: a new one goes on \
                     from the stored position",
                    context.worker.bootstrap_servers()
                ));
            }
        }
    }
}

/// What the server says of the processes; `None` where it says nothing. That it refuses is an answer too, and the stream's to
/// tell.
async fn ask(
    context: &TaskContext,
    session: &mut Option<Client>,
    sources: &Sources,
) -> Result<Option<Activity>, String> {
    let connection = &context.config.connection;
    let ask = async {
        let client = match session.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => session::connect(connection, "watchdog").await?,
        };
        let seen = activity::of(&client, &sources.processes).await?;
        Ok::<_, TaskError>((client, seen))
    };
    match tokio::time::timeout(ANSWER, ask).await {
        Ok(Ok((client, seen))) => {
            *session = Some(client);
            Ok(Some(seen))
        }
        Ok(Err(error)) => {
            tracing::debug!(connector = %context.config.name, %error, "asking the server what it does");
            Ok(None)
        }
        Err(_) => Err(format!(
            "PostgreSQL at {}:{} does not answer: it has sent nothing for slot {} for {} s, and a question took longer than \
             {} s. Nothing is lost: it goes on by itself when the server answers",
            connection.hostname,
            connection.port,
            context.config.slot.name,
            SILENCE.as_secs(),
            ANSWER.as_secs()
        )),
    }
}
