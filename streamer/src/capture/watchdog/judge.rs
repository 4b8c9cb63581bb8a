//! Whether the server's silence means that something stands still.
//!
//! Silence alone says nothing: an idle database has nothing to say, and a walsender that decodes what is not published may say
//! nothing for minutes. It is busy then; one that waits reads what it is sent, and says when.

use std::time::Duration;

use proto::lsn::Lsn;

use super::pulse::{Sources, Still};
use crate::config::ConnectorConfig;
use crate::source::activity::{Activity, Process};

/// How long a process that waits may leave our status updates unread.
const UNREAD: Duration = Duration::from_secs(20);
/// How long what looks like a standstill has to look so.
const SUSPECT: Duration = Duration::from_secs(8);
/// How long a process has to be away.
const AWAY: Duration = Duration::from_secs(3);
/// So much of the log may wait without being sent. Its end may be written in the middle of an entry, which is sent only when it
/// is written whole.
const UNSENT: u64 = 64 * 1024;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing stands still, or nothing is known.
    GoesOn,
    /// Something does, and this is what.
    StandsStill(String),
    /// The server does not read for us any more.
    IsGone(String),
}

/// What is remembered from one answer to the next.
#[derive(Debug)]
pub(super) struct Judge {
    slot: String,
    /// How long a process that waits may leave our status updates unread.
    unread: Duration,
    sent: Still<Option<Lsn>>,
    suspect: Still<bool>,
    away: Still<bool>,
}

impl Judge {
    pub(super) fn new(config: &ConnectorConfig) -> Self {
        Self::of(config.slot.name.clone(), config.status_update_interval)
    }

    fn of(slot: String, status_interval: Duration) -> Self {
        let unread = UNREAD.max(status_interval * 2);
        Self { slot, unread, sent: Still::at(None), suspect: Still::at(false), away: Still::at(false) }
    }

    /// It went on meanwhile.
    pub(super) fn forget(&mut self) {
        (self.sent, self.suspect, self.away) = (Still::at(None), Still::at(false), Still::at(false));
    }

    /// Judges what the server says after this silence; `received` is how far its log was received.
    pub(super) fn hear(&mut self, seen: &Activity, sources: &Sources, received: Lsn, silence: Duration) -> Verdict {
        let is_away = !sources.processes.is_empty() && seen.processes.is_empty();
        if self.away.look(is_away) >= AWAY && is_away {
            return Verdict::IsGone(format!(
                "the server has no process any more that reads slot {} for this connector, and the end of its connection did \
                 not come through the network. Nothing is lost: the slot is taken up again",
                self.slot
            ));
        }
        if let [stream] = seen.processes.as_slice()
            && stream.is_walsender
        {
            return self.stream(stream, seen, received, silence);
        }
        let stands: Option<Vec<String>> = seen.processes.iter().map(|process| standing(process, sources)).collect();
        let stands = stands.filter(|stands| !stands.is_empty()).map(|stands| stands.join("; "));
        self.suspected(stands.map(|stands| {
            format!(
                "the snapshot has brought no row for {} s: {stands}. Nothing is lost: it goes on by itself when the server does",
                silence.as_secs()
            )
        }))
    }

    fn stream(&mut self, process: &Process, seen: &Activity, received: Lsn, silence: Duration) -> Verdict {
        let still = self.sent.look(process.sent);
        let stands = |what: String| {
            format!(
                "the server's process {} that reads slot {} stands still ({}): {what}. The server itself answers. Nothing is lost: \
                 the slot keeps what comes, and it goes on by itself when the process does, or when the server ends it \
                 (wal_sender_timeout)",
                process.id,
                self.slot,
                process.wait_text()
            )
        };
        let unread = |age: Duration| stands(format!("it has not read what it is sent for {} s", age.as_secs()));
        let (waits, writes) =
            (process.waits_for_somebody(), process.wait_event.as_deref() == Some("WalSenderWriteData"));
        let unsent = seen.log_end.as_u64().saturating_sub(received.as_u64());
        match process.replied {
            Some(age) if waits => match age >= self.unread {
                true => Verdict::StandsStill(unread(age)),
                false => Verdict::GoesOn,
            },
            // It looks into its mail at least when half of the timeout is over.
            Some(age) => match seen.sender_timeout {
                Some(timeout) if age >= timeout / 2 + UNREAD && still >= UNREAD => Verdict::StandsStill(unread(age)),
                _ => Verdict::GoesOn,
            },
            None if writes => {
                let why = stands(format!("nothing of what it sends has come for {} s", silence.as_secs()));
                self.suspected(Some(why))
            }
            None if waits && unsent > UNSENT => {
                let why =
                    stands(format!("{unsent} bytes of log wait, and nothing has come for {} s", silence.as_secs()));
                self.suspected(Some(why))
            }
            None => self.suspected(None),
        }
    }

    /// Tells what was suspected all the time.
    fn suspected(&mut self, why: Option<String>) -> Verdict {
        let since = self.suspect.look(why.is_some());
        match why {
            Some(why) if since >= SUSPECT => Verdict::StandsStill(why),
            _ => Verdict::GoesOn,
        }
    }
}

/// Why a process that reads a table brings no row, `None` where it works.
fn standing(process: &Process, sources: &Sources) -> Option<String> {
    let id = process.id;
    match process.wait_type.as_deref() {
        Some("Client") => Some(format!("the server's process {id} waits for the network ({})", process.wait_text())),
        Some("Lock") => Some(format!("the server's process {id} waits for a lock that {:?} hold", process.blocked_by)),
        // A table's rows come one after another; only a query may compute first.
        None if !sources.may_compute => Some(format!("the server's process {id} neither waits nor sends")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn walsender(wait: Option<(&str, &str)>, replied: Option<u32>) -> Activity {
        let process = Process {
            id: 7,
            is_walsender: true,
            wait_type: wait.map(|(kind, _)| kind.to_owned()),
            wait_event: wait.map(|(_, event)| event.to_owned()),
            blocked_by: Vec::new(),
            sent: Some(Lsn::from(100)),
            replied: replied.map(|age| age * SECOND),
        };
        Activity { processes: vec![process], log_end: Lsn::from(1 << 20), sender_timeout: Some(60 * SECOND) }
    }

    fn verdict(seen: &Activity) -> bool {
        let sources = Sources { processes: vec![7], may_compute: false };
        let verdict = Judge::of("s".to_owned(), 10 * SECOND).hear(seen, &sources, Lsn::ZERO, 25 * SECOND);
        matches!(verdict, Verdict::StandsStill(_))
    }

    #[test]
    fn a_walsender_that_waits_and_leaves_our_mail_unread_stands_still() {
        let waits = Some(("Activity", "WalSenderMain"));
        assert!(verdict(&walsender(waits, Some(21))));
        assert!(!verdict(&walsender(waits, Some(9))), "an idle database");
    }

    #[test]
    fn a_walsender_that_decodes_may_leave_it_for_half_of_its_timeout() {
        assert!(!verdict(&walsender(None, Some(35))));
        assert!(!verdict(&walsender(Some(("IO", "ReorderBufferRead")), Some(35))));
    }

    #[test]
    fn log_that_waits_is_suspected_at_once_and_told_only_after_a_while() {
        let seen = walsender(Some(("Activity", "WalSenderMain")), None);
        assert!(!verdict(&seen));
        let mut judge = Judge::of("s".to_owned(), SECOND);
        judge.suspect = Still::since(true, SUSPECT);
        let sources = Sources { processes: vec![7], may_compute: false };
        let verdict = judge.hear(&seen, &sources, Lsn::ZERO, 25 * SECOND);
        assert!(matches!(verdict, Verdict::StandsStill(_)), "{verdict:?}");
    }

    #[test]
    fn a_table_that_is_locked_is_told_and_a_long_query_is_not() {
        let sources = |may_compute| Sources { processes: vec![7], may_compute };
        let of = |wait: Option<&str>, may_compute| {
            let mut process = walsender(None, None).processes.remove(0);
            process.wait_type = wait.map(str::to_owned);
            standing(&process, &sources(may_compute)).is_some()
        };
        assert!(of(Some("Lock"), true) && of(Some("Client"), true) && of(None, false));
        assert!(!of(None, true) && !of(Some("IO"), false));
    }
}
