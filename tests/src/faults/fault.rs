//! What breaks: chosen from a seed, and carried out.

use std::time::Duration;

use fastrand::Rng;

use super::pipeline::Carrier;
use super::proxy::Network;
use super::system::{LINKS, Link, System};
use super::take_over;

/// Whose process something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The streamer, or the Connect worker.
    Worker,
    /// Our sink.
    Sink,
    /// The broker.
    Kafka,
    /// The source's server.
    Source,
    /// The target's server.
    Target,
}

/// What goes wrong between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// All connections are cut once.
    Cut,
    /// Connections are cut, and refused for a while.
    Away(Duration),
    /// Everything comes later, for a while.
    Slow(Duration, Duration),
    /// Half of the next chunk arrives, and its connection is cut.
    Halved,
    /// Nothing arrives for a while, and then all of it.
    Silent(Duration),
    /// Nothing arrives for a while, and then connections are cut.
    SilentThenCut(Duration),
}

/// Something that breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill(Who),
    /// A clean stop; of a PostgreSQL server, one that ends all sessions (`fast`).
    Stop(Who),
    /// A PostgreSQL server ends without a checkpoint and recovers (`immediate`).
    Crash(Who),
    /// SIGSTOP, and after a while SIGCONT.
    Freeze(Who, Duration),
    /// SIGSTOP, another takes its place, SIGCONT, and both are there for a while.
    TakeOver(Who, Duration),
    /// The connector is restarted over REST.
    Restart,
    /// `pg_terminate_backend` of a server's sessions; of the source's the replication session alone, or all.
    Terminate(Who, bool),
    /// A bad network.
    Network(Link, Trouble),
    /// The broker's disk is full for a while.
    DiskFull(Duration),
}

/// The kinds of faults, as they are counted and asked for.
pub const KINDS: [&str; 9] =
    ["kill", "stop", "crash", "freeze", "take-over", "restart", "terminate", "network", "disk-full"];

impl Fault {
    /// Its kind, one of [`KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill(_) => "kill",
            Fault::Stop(_) => "stop",
            Fault::Crash(_) => "crash",
            Fault::Freeze(..) => "freeze",
            Fault::TakeOver(..) => "take-over",
            Fault::Restart => "restart",
            Fault::Terminate(..) => "terminate",
            Fault::Network(..) => "network",
            Fault::DiskFull(_) => "disk-full",
        }
    }

    /// The row that it is counted in: what happened to whom, without times.
    pub fn row(&self) -> String {
        match self {
            Fault::Freeze(who, _) => format!("freeze {who}"),
            Fault::TakeOver(who, _) => format!("freeze {who}, another takes over"),
            Fault::DiskFull(_) => "Kafka's disk is full".to_owned(),
            Fault::Network(link, trouble) => {
                let what = match trouble {
                    Trouble::Cut => "cut",
                    Trouble::Halved => "halve",
                    Trouble::Away(_) => "refuse",
                    Trouble::Slow(..) => "delay",
                    Trouble::Silent(_) | Trouble::SilentThenCut(_) => "silence",
                };
                format!("{what} {link}")
            }
            other => other.to_string(),
        }
    }

    /// Any fault of these kinds that the pipeline can have.
    fn any(random: &mut Rng, carrier: Carrier, kinds: &[&'static str]) -> Self {
        let is_ours = carrier == Carrier::Headwater;
        let ours: &[Who] = if is_ours { &[Who::Worker, Who::Sink, Who::Kafka] } else { &[Who::Worker, Who::Kafka] };
        let who = ours[random.usize(..ours.len())];
        let server = if random.bool() { Who::Source } else { Who::Target };
        let seconds = |random: &mut Rng, from: u64, to: u64| Duration::from_millis(random.u64(from * 1000..to * 1000));
        match kinds[random.usize(..kinds.len())] {
            "kill" => Fault::Kill(who),
            "stop" if random.u8(..4) == 0 => Fault::Stop(server),
            "stop" => Fault::Stop(who),
            "crash" => Fault::Crash(server),
            "freeze" if random.u8(..4) == 0 => Fault::Freeze(who, seconds(random, 8, 14)),
            "freeze" => Fault::Freeze(who, seconds(random, 1, 4)),
            "take-over" => Fault::TakeOver(if random.bool() { Who::Worker } else { Who::Sink }, seconds(random, 1, 4)),
            "restart" => Fault::Restart,
            "terminate" => Fault::Terminate(server, random.bool()),
            "disk-full" => Fault::DiskFull(seconds(random, 2, 7)),
            _ => {
                let trouble = match random.u8(..8) {
                    0 => Trouble::Cut,
                    1 => Trouble::Away(seconds(random, 1, 5)),
                    2 => Trouble::Slow(Duration::from_millis(random.u64(20..400)), seconds(random, 2, 6)),
                    3 => Trouble::Silent(seconds(random, 1, 12)),
                    4 => Trouble::SilentThenCut(seconds(random, 1, 12)),
                    _ => Trouble::Halved,
                };
                Fault::Network(LINKS[random.usize(..LINKS.len())], trouble)
            }
        }
    }

    /// One fault, or two that come at once.
    pub fn one_or_two(random: &mut Rng, carrier: Carrier, kinds: &[&'static str]) -> Vec<Self> {
        let mut faults = vec![Self::any(random, carrier, kinds)];
        if random.u8(..3) == 0 {
            let other = Self::any(random, carrier, kinds);
            // These two need the others to be well.
            let is_alone = |fault: &Fault| matches!(fault, Fault::TakeOver(..) | Fault::DiskFull(_));
            if other.kind() != faults[0].kind() && !is_alone(&other) && !is_alone(&faults[0]) {
                faults.push(other);
            }
        }
        faults
    }

    /// Breaks it, and lets go on what goes on by itself. What came of it beyond that, if anything did.
    ///
    /// # Errors
    /// It cannot be broken; which says nothing of those under test, unless another could not take over.
    pub async fn carry_out(self, system: &System) -> anyhow::Result<()> {
        match self {
            Fault::Kill(who) => system.service(who).kill(),
            Fault::Stop(who) => system.service(who).stop(None).await?,
            Fault::Crash(who) => system.service(who).stop(Some("QUIT")).await?,
            Fault::Freeze(who, time) => {
                let service = system.service(who);
                service.signal("STOP")?;
                tokio::time::sleep(time).await;
                service.signal("CONT")?;
            }
            Fault::TakeOver(who, both) => take_over::carry_out(system, who, both).await?,
            Fault::Restart => system.restart_connector().await?,
            Fault::Terminate(who, all) => system.terminate(who, all).await?,
            Fault::Network(link, trouble) => system.trouble(link, trouble).await,
            Fault::DiskFull(time) => system.fill_disk(time).await?,
        }
        Ok(())
    }
}

impl System {
    async fn trouble(&self, link: Link, trouble: Trouble) {
        let proxy = self.proxy(link);
        let (network, time) = match trouble {
            Trouble::Cut => return proxy.cut(),
            Trouble::Halved => return proxy.halve(),
            Trouble::Away(time) => (Network::Away, time),
            Trouble::Slow(delay, time) => (Network::Slow(delay), time),
            Trouble::Silent(time) | Trouble::SilentThenCut(time) => (Network::Silent, time),
        };
        proxy.set(network);
        if network == Network::Away {
            proxy.cut();
        }
        tokio::time::sleep(time).await;
        if matches!(trouble, Trouble::SilentThenCut(_)) {
            proxy.cut();
        }
        proxy.set(Network::Good);
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |time: &Duration| format!("{:.1} s", time.as_secs_f64());
        match self {
            Fault::Kill(who) => write!(f, "kill {who}"),
            Fault::Stop(who) => write!(f, "stop {who}"),
            Fault::Crash(who) => write!(f, "crash {who}"),
            Fault::Freeze(who, time) => write!(f, "freeze {who} for {}", s(time)),
            Fault::TakeOver(who, both) => write!(f, "freeze {who}, another takes over, both for {}", s(both)),
            Fault::Restart => write!(f, "restart the connector"),
            Fault::Terminate(who, true) => write!(f, "terminate all sessions of {who}"),
            Fault::Terminate(who, false) => write!(f, "terminate sessions of {who}"),
            Fault::DiskFull(time) => write!(f, "Kafka's disk is full for {}", s(time)),
            Fault::Network(link, trouble) => match trouble {
                Trouble::Cut => write!(f, "cut {link}"),
                Trouble::Halved => write!(f, "halve {link}"),
                Trouble::Away(time) => write!(f, "refuse {link} for {}", s(time)),
                Trouble::Slow(delay, time) => write!(f, "delay {link} by {} ms for {}", delay.as_millis(), s(time)),
                Trouble::Silent(time) => write!(f, "silence {link} for {}", s(time)),
                Trouble::SilentThenCut(time) => write!(f, "silence {link} for {}, then cut", s(time)),
            },
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Who::Worker => "the worker",
            Who::Sink => "the sink",
            Who::Kafka => "Kafka",
            Who::Source => "postgres1",
            Who::Target => "postgres2",
        })
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Link::SourceStreamer => "postgres1–worker",
            Link::StreamerKafka => "worker–Kafka",
            Link::KafkaSink => "Kafka–sink",
            Link::SinkTarget => "sink–postgres2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_all_and_every_kind_comes_up() {
        let faults = |seed| -> Vec<Fault> {
            let mut random = Rng::with_seed(seed);
            (0..200).flat_map(|_| Fault::one_or_two(&mut random, Carrier::Headwater, &KINDS)).collect()
        };
        assert_eq!(faults(5), faults(5));
        assert_ne!(faults(5), faults(6));
        assert!(KINDS.iter().all(|kind| faults(5).iter().any(|fault| fault.kind() == *kind)));
        let mut random = Rng::with_seed(1);
        let of_one = |_| Fault::one_or_two(&mut random, Carrier::Debezium, &["kill"]);
        let kills: Vec<Fault> = (0..20).flat_map(of_one).collect();
        assert!(kills.iter().all(|fault| matches!(fault, Fault::Kill(Who::Worker | Who::Kafka))), "{kills:?}");
    }
}
