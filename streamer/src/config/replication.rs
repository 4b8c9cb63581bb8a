//! How the slot and its tables are dealt with beyond their names: what the server may forget and when, replica identities,
//! limits.

use std::time::Duration;

use regex::Regex;

use super::connector::Keys;
use super::{Finding, filters};

/// Settings of the replication.
#[derive(Debug, Clone)]
pub struct Replication {
    /// `lsn.flush.mode`, or what `flush.lsn.source` says of it.
    pub flush: FlushMode,
    /// `offset.mismatch.strategy`.
    pub mismatch: OffsetMismatch,
    /// `xmin.fetch.interval.ms`, `None` for 0.
    pub xmin_interval: Option<Duration>,
    /// `replica.identity.autoset.values`.
    pub identities: Vec<(Regex, Identity)>,
    /// `guardrail.collections.max`, `None` for 0.
    pub guardrail: Option<Guardrail>,
    /// `executor.shutdown.timeout.ms`: how long a clean stop waits for Kafka to acknowledge what is under way.
    pub shutdown_timeout: Duration,
    /// `connection.validation.timeout.ms`.
    pub validation_timeout: Duration,
}

/// Who tells the server what it may forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode {
    /// The streamer, behind the stored position. A quiet database's log is forgotten too, as it is in Debezium only under
    /// `connector_and_driver`.
    Connector,
    /// Nobody here: the slot is moved from outside.
    Manual,
}

/// What a start does when the stored position and the slot's are not the same (`offset.mismatch.strategy`). Whatever it is,
/// the stream goes on from the greater of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetMismatch {
    /// `no_validation`: it does not matter.
    NoValidation,
    /// `trust_offset`: a slot that is ahead was made anew, or moved by somebody else, and the task stops.
    TrustOffset,
    /// `trust_slot` and `trust_greater_lsn`: the slot may be ahead.
    TrustSlot,
}

impl OffsetMismatch {
    fn parse(keys: &Keys<'_>) -> Self {
        match keys.text(MISMATCH).map(str::to_ascii_lowercase).as_deref() {
            Some("trust_offset") => Self::TrustOffset,
            Some("trust_slot" | "trust_greater_lsn") => Self::TrustSlot,
            None if keys.flag("internal.slot.seek.to.known.offset.on.start") => Self::TrustOffset,
            _ => Self::NoValidation,
        }
    }

    /// Whether the slot is never confirmed beyond the stored position, also where nothing is captured.
    pub fn stores_quiet_positions(self) -> bool {
        self != Self::NoValidation
    }
}

const MISMATCH: &str = "offset.mismatch.strategy";

/// What the log says of a changed row's old state (`ALTER TABLE … REPLICA IDENTITY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// All of it.
    Full,
    /// The columns of this index.
    Index(String),
}

/// How many tables may be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guardrail {
    /// At most so many.
    pub max: usize,
    /// Whether more are refused; else they are a warning.
    pub fails: bool,
}

impl Replication {
    /// As the connector's keys say; they were checked before.
    pub(super) fn parse(keys: &Keys<'_>) -> Result<Self, Vec<Finding>> {
        let interval = |key: &str| Some(keys.milliseconds(key)).filter(|interval| !interval.is_zero());
        let flush = match keys.text("lsn.flush.mode") {
            Some(mode) if mode.eq_ignore_ascii_case("manual") => FlushMode::Manual,
            None if !keys.flag("flush.lsn.source") => FlushMode::Manual,
            _ => FlushMode::Connector,
        };
        let max = usize::try_from(keys.number("guardrail.collections.max")).unwrap_or_default();
        Ok(Self {
            flush,
            mismatch: OffsetMismatch::parse(keys),
            xmin_interval: interval("xmin.fetch.interval.ms"),
            identities: identities(&keys.string("replica.identity.autoset.values"))?,
            guardrail: (max > 0).then(|| Guardrail {
                max,
                fails: keys.string("guardrail.collections.limit.action").eq_ignore_ascii_case("fail"),
            }),
            shutdown_timeout: keys.milliseconds("executor.shutdown.timeout.ms"),
            validation_timeout: keys.milliseconds("connection.validation.timeout.ms"),
        })
    }
}

/// Patterns of tables with the identities that they are to have.
fn identities(list: &str) -> Result<Vec<(Regex, Identity)>, Vec<Finding>> {
    const KEY: &str = "replica.identity.autoset.values";
    let mut identities = Vec::new();
    for entry in list.split(',').filter(|entry| !entry.trim().is_empty()) {
        let (tables, identity) = identity(entry).ok_or_else(|| vec![Finding::invalid(KEY, malformed(entry))])?;
        let patterns = filters::patterns(tables).map_err(|why| vec![Finding::invalid(KEY, why)])?;
        identities.extend(patterns.into_iter().map(|pattern| (pattern, identity.clone())));
    }
    Ok(identities)
}

/// One entry: `<pattern>:<identity>`.
fn identity(entry: &str) -> Option<(&str, Identity)> {
    let (tables, identity) = entry.trim().split_once(':')?;
    if tables.is_empty() || tables.contains(char::is_whitespace) {
        return None;
    }
    let identity = match identity.to_ascii_uppercase().as_str() {
        "DEFAULT" => Identity::Default,
        "NOTHING" => Identity::Nothing,
        "FULL" => Identity::Full,
        index => {
            index.strip_prefix("INDEX ")?;
            let (_, name) = identity.split_once(' ')?;
            Identity::Index(Some(name.trim()).filter(|name| !name.is_empty())?.to_owned())
        }
    };
    Some((tables, identity))
}

fn malformed(entry: &str) -> String {
    format!(
        "{entry} has an invalid format (expecting \
         '(?i)^\\s*(?<tablepredicate>[^\\s:]+):(?<replicaidentity>DEFAULT|(INDEX) (?<indexname>.\\w*)|FULL|NOTHING)\\s*$')"
    )
}

/// What is wrong with `replica.identity.autoset.values`, in Debezium's words.
pub(super) fn invalid_identities(list: &str) -> Option<String> {
    list.split(',').find(|entry| identity(entry).is_none()).map(malformed)
}

/// What is wrong with `offset.mismatch.strategy`.
pub(super) fn invalid_mismatch_strategy(value: &str) -> Option<String> {
    match value.to_ascii_lowercase().as_str() {
        "no_validation" | "trust_slot" | "trust_greater_lsn" | "trust_offset" => None,
        _ => Some("Value must be one of no_validation, trust_offset, trust_slot, trust_greater_lsn".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_names_tables_and_their_identity() {
        let identities = identities("public.a:FULL, public.b_.*:index b_u,s.c:Default").unwrap();
        let of =
            |table: &str| identities.iter().find(|(tables, _)| tables.is_match(table)).map(|(_, identity)| identity);
        assert_eq!(of("public.a"), Some(&Identity::Full));
        assert_eq!(of("public.b_1"), Some(&Identity::Index("b_u".to_owned())));
        assert_eq!(of("s.c"), Some(&Identity::Default));
        assert_eq!(of("public.c"), None);
    }

    #[test]
    fn an_entry_of_another_form_is_refused() {
        for list in
            ["public.a", "public.a:HALF", "public.a:INDEX", "public.a:INDEX ", "a b:FULL", "public.a:FULL,:FULL"]
        {
            assert!(invalid_identities(list).is_some(), "{list}");
        }
    }
}
