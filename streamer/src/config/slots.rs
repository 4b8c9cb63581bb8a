//! Several slots for one connector (`headwater.slots`), each with a publication, a stored position and a share of the tables of
//! its own.

use super::check::{Checked, Finding};
use super::connector::Keys;
use super::signals::{self, SignalChannel};
use super::snapshot::Snapshot;
use super::{Autocreate, ConnectorConfig, FlushMode, List, Notifications, Replication};

const KEY: &str = "headwater.slots";
/// So many at most: each is a process of the server's that reads the whole log.
const MOST: u32 = 16;
/// PostgreSQL's names have so many bytes at most.
const LONGEST_NAME: usize = 63;

/// One slot of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which of them, from 1 on.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Share {
    /// All shares of so many.
    pub fn all(of: u32) -> impl Iterator<Item = Self> {
        (1..=of).map(move |number| Self { number, of })
    }

    /// What is called `base` where there is one slot: the slot itself, the publication.
    pub fn name(self, base: &str) -> String {
        format!("{base}_{}_of_{}", self.number, self.of)
    }

    /// The share whose slot has this name, `None` where it is none of a connector whose one slot is called `base`.
    pub fn named(base: &str, name: &str) -> Option<Self> {
        let (number, of) = name.strip_prefix(base)?.strip_prefix('_')?.split_once("_of_")?;
        let share = Self { number: number.parse().ok()?, of: of.parse().ok()? };
        (share.name(base) == name).then_some(share)
    }

    /// The share of so many that a table falls to which none of them has yet. It says the same in every version: where it did not,
    /// a table would come through another slot than before.
    pub fn of_table(schema: &str, table: &str, of: u32) -> Self {
        // FNV-1a, and what mixes its bits in the end (MurmurHash3's fmix64): names differ in their last letters often. A NUL is in
        // no name.
        let bytes = schema.bytes().chain([0]).chain(table.bytes());
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let number = (hash ^ (hash >> 33)) % u64::from(of.max(1));
        Self { number: u32::try_from(number).unwrap_or_default() + 1, of }
    }
}

impl ConnectorConfig {
    /// What the pipelines of so many slots are configured with: with one, this; with several, one for each. Called on what is no
    /// such part itself.
    ///
    /// Heartbeats and logical decoding messages are the first one's: no publication keeps messages from a slot. What is
    /// refused with several slots is off: these may still run while the connector goes to one slot.
    pub fn with_slots(&self, slots: u32) -> Vec<Self> {
        if slots <= 1 {
            return vec![self.clone()];
        }
        Share::all(slots).map(|share| self.part(share)).collect()
    }

    fn part(&self, share: Share) -> Self {
        let mut part = self.clone();
        part.slot.name = share.name(&self.slot.name);
        part.publication.name = share.name(&self.publication.name);
        part.share = Some(share);
        part.transaction_metadata = false;
        part.signals.channels = Vec::new();
        part.notifications = Notifications::default();
        if share.number > 1 {
            part.message_prefixes = List::Include(Vec::new());
            part.heartbeat.interval = None;
        }
        part.exactly_once = self.exactly_once.clone().map(|exactly_once| exactly_once.of_share(share));
        part
    }

    /// The publications of all shares, in their order; called on one of them.
    pub fn publications(&self) -> Vec<String> {
        let Some(share) = self.share else { return vec![self.publication.name.clone()] };
        let own = &self.publication.name;
        let base = own.strip_suffix(&share.name("")).unwrap_or(own);
        Share::all(share.of).map(|share| share.name(base)).collect()
    }
}

/// `headwater.slots`.
pub(super) fn parse(keys: &Keys<'_>) -> u32 {
    u32::try_from(keys.number(KEY)).unwrap_or(1).max(1)
}

/// What is wrong with its value.
pub(super) fn invalid(value: &str) -> Option<String> {
    let is_allowed = value.parse().is_ok_and(|slots: u32| (1..=MOST).contains(&slots));
    (!is_allowed).then(|| format!("A number from 1 to {MOST} is expected"))
}

/// What does not go together with several slots.
pub(super) fn check(keys: &Keys<'_>, checked: &mut Checked) {
    let slots = parse(keys);
    if slots == 1 {
        return;
    }
    let mut refuse = |key: &str, why: &str| {
        checked.findings.push(Finding::invalid(key, format_args!("not supported with {KEY}={slots} ({why})")));
    };
    for key in ["slot.name", "publication.name"] {
        let name = Share { number: slots, of: slots }.name(&keys.string(key));
        if name.len() > LONGEST_NAME {
            refuse(key, &format!("the last one would be called {name}, and PostgreSQL takes {LONGEST_NAME} bytes"));
        }
    }
    if Autocreate::parse(keys) != Autocreate::Filtered {
        refuse(
            "publication.autocreate.mode",
            "each slot has a publication of its own tables, which the connector makes: set filtered",
        );
    }
    if keys.flag("provide.transaction.metadata") {
        refuse(
            "provide.transaction.metadata",
            "a transaction's changes come through several slots, none of which knows all of them",
        );
    }
    if keys.text("signal.data.collection").is_some() {
        refuse(
            "signal.data.collection",
            "signals are for one slot's stream. Set one slot, wait until the task runs, and signal then",
        );
    }
    let from_outside = |channel: &SignalChannel| *channel != SignalChannel::Source;
    if signals::Signals::parse(keys).is_ok_and(|signals| signals.channels.iter().any(from_outside)) {
        refuse(
            "signal.enabled.channels",
            "signals are for one slot's stream. Set one slot, wait until the task runs, and signal then",
        );
    }
    if keys.text("notification.enabled.channels").is_some() {
        refuse(
            "notification.enabled.channels",
            "each slot's tables have a snapshot of their own, and no notification would tell of all",
        );
    }
    if Snapshot::parse(keys).is_ok_and(|snapshot| !snapshot.mode.streams()) {
        refuse("snapshot.mode", "nothing is read from a slot");
    }
    if Replication::parse(keys).is_ok_and(|replication| replication.flush == FlushMode::Manual) {
        refuse("lsn.flush.mode", "slots that come and go with their number cannot be confirmed by somebody else");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slots_name_says_which_of_how_many_it_is() {
        let share = Share { number: 3, of: 12 };
        assert_eq!(share.name("dbz"), "dbz_3_of_12");
        assert_eq!(Share::named("dbz", "dbz_3_of_12"), Some(share));
        for other in ["dbz", "dbz_3", "dbz_03_of_12", "db_3_of_12", "dbz_x_3_of_12", "dbz_3_of_12_1"] {
            assert_eq!(Share::named("dbz", other), None, "{other}");
        }
    }

    #[test]
    fn a_table_falls_to_the_same_share_in_every_version() {
        let numbers =
            |of| ["a", "b", "orders", "items", "t1", "t2"].map(|table| Share::of_table("public", table, of).number);
        assert_eq!((numbers(2), numbers(3)), ([2, 2, 2, 1, 2, 1], [3, 2, 2, 2, 3, 1]));
        assert_ne!(Share::of_table("a", "bc", 1 << 20), Share::of_table("ab", "c", 1 << 20));
    }

    #[test]
    fn many_tables_are_spread() {
        let mut tables = [0_u32; 4];
        for number in 0..1_000 {
            let share = Share::of_table("public", &format!("table_{number}"), 4);
            tables[share.number as usize - 1] += 1;
        }
        assert!(tables.iter().all(|count| (200..300).contains(count)), "{tables:?}");
    }
}
