//! One is frozen, another takes its place, and the frozen one wakes.

use std::time::Duration;

use anyhow::Context as _;

use super::fault::Who;
use super::system::{NAME, System};
use crate::ports;
use crate::process::Process;
use crate::sink::{self, Sink};
use crate::wait::{Condition, wait_until};
use crate::worker::Rest;

/// How long the other may need until it carries changes.
const TIME: Duration = Duration::from_secs(90);

/// Freezes the streamer or the sink, starts another, waits until it works, lets the first go on, and ends the other after
/// `both`.
pub(super) async fn carry_out(system: &System, who: Who, both: Duration) -> anyhow::Result<()> {
    let frozen = system.service(who);
    frozen.signal("STOP")?;
    let port = ports::lasting()?;
    let (command, name) = match (&system.sink_settings, who) {
        (Some(settings), Who::Sink) => (Sink::command(&sink::Settings { port, ..settings.clone() })?, "sink-2"),
        _ => (system.another_worker(port)?, "streamer-2"),
    };
    let mut other = Process::start(name, command, &system.directory.join(format!("{name}.log")), "TERM")?;
    let works = works(&mut other, who, port).await;
    frozen.signal("CONT")?;
    works.with_context(|| format!("while {who} was frozen"))?;
    tokio::time::sleep(both).await;
    other.stop().await
}

async fn works(other: &mut Process, who: Who, port: u16) -> anyhow::Result<()> {
    let rest = Rest::new(port);
    wait_until("another to take over", TIME, async || {
        other.check_running()?;
        let path = if who == Who::Sink { "/health".to_owned() } else { format!("/connectors/{NAME}/status") };
        let Ok((_, said)) = rest.get(&path).await else { return Ok(Condition::NotYet("no answer".to_owned())) };
        let works = if who == Who::Sink {
            said["step"] == "applying changes"
        } else {
            said.pointer("/tasks/0/state").is_some_and(|state| state == "RUNNING")
        };
        Ok(if works { Condition::Met(()) } else { Condition::NotYet(said.to_string()) })
    })
    .await
}
