//! `slot.stream.params`: options of the replication stream, `k=v;k=v` (`PostgresReplicationConnection`, and the chapter on
//! logical streaming replication in PostgreSQL's manual).
//!
//! The session's own options are fixed. Some are in Debezium too, which sets its own over them; the others may be given as
//! they are. `origin` is done behind the stream; the rest is refused.

use std::collections::BTreeMap;

use super::connector::Keys;

/// What the options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamParams {
    /// `origin=none`: only what was written here, nothing that was replicated from elsewhere.
    pub only_local: bool,
}

const KEY: &str = "slot.stream.params";

impl StreamParams {
    /// From a checked configuration.
    pub(super) fn parse(keys: &Keys<'_>) -> Self {
        let list = keys.string(KEY);
        let options: BTreeMap<&str, &str> = pairs(&list).flatten().collect();
        Self { only_local: options.get("origin").is_some_and(|origin| origin.eq_ignore_ascii_case("none")) }
    }
}

/// What is wrong with the list. A part that is no pair is not: Debezium passes over it.
pub(super) fn invalid(list: &str) -> Option<String> {
    pairs(list).flatten().find_map(|(name, value)| {
        let why = refused(name, value)?;
        Some(format!("{name}={value} is not supported by this worker ({why})"))
    })
}

/// What has no effect: parts that are no pairs, and options that Debezium sets its own over.
pub(super) fn passed_over(list: &str) -> Vec<String> {
    let passed_over = |pair| match pair {
        None => Some(format!("{KEY}: what is not of the form name=value has no effect")),
        Some((name, _)) if OVERRIDDEN.contains(&name) => {
            Some(format!("{KEY}: {name} has no effect: the connector sets it, as Debezium does"))
        }
        Some(_) => None,
    };
    pairs(list).filter_map(passed_over).collect()
}

/// As `PgOutputMessageDecoder.defaultOptions` sets them over what is given.
const OVERRIDDEN: [&str; 3] = ["proto_version", "publication_names", "messages"];

fn refused(name: &str, value: &str) -> Option<&'static str> {
    let off = |why| (flag(value) != Some(false)).then_some(why);
    match name {
        _ if OVERRIDDEN.contains(&name) => None,
        "binary" => off("values are read in their text form, and so are Debezium's"),
        "streaming" => off("a transaction is sent when it has committed"),
        "two_phase" => off("a prepared transaction is sent when it has committed"),
        "origin" => match value.to_ascii_lowercase().as_str() {
            "any" | "none" => None,
            _ => Some("it is any or none"),
        },
        _ => Some("pgoutput has no such option"),
    }
}

fn pairs(list: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    list.split(';').filter(|part| !part.trim().is_empty()).map(|part| {
        let (name, value) = part.split_once('=')?;
        let (name, value) = (name.trim(), value.trim().trim_matches('\''));
        (!name.is_empty() && !value.is_empty() && !value.contains('=')).then_some((name, value))
    })
}

/// A boolean as the server reads it.
fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" | "t" | "y" => Some(true),
        "false" | "off" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_stream_is_anyhow_may_be_repeated() {
        for list in ["", "proto_version=1", "messages=false;binary=off;streaming=off", "two_phase=false", "origin=any;"]
        {
            assert_eq!(invalid(list), None, "{list}");
        }
    }

    #[test]
    fn what_the_stream_cannot_be_is_refused_by_name() {
        for list in ["messages=true;binary=true", "streaming=parallel", "two_phase=on", "origin=x"] {
            assert!(invalid(list).is_some(), "{list}");
        }
        let expected = "add-tables=public.t is not supported by this worker (pgoutput has no such option)";
        assert_eq!(invalid("add-tables=public.t").as_deref(), Some(expected));
    }

    #[test]
    fn origin_none_leaves_out_what_was_replicated_from_elsewhere() {
        let only_local =
            |list: &str| StreamParams::parse(&Keys { config: &[(KEY.to_owned(), list.to_owned())].into() }).only_local;
        assert!(only_local("messages=true;origin=none") && only_local("origin=NONE"));
        assert!(!only_local("origin=any") && !only_local(""));
    }

    #[test]
    fn what_debezium_sets_itself_is_a_warning() {
        assert_eq!(passed_over("origin=none").len(), 0);
        assert_eq!(passed_over("messages=false;proto_version=2;origin").len(), 3);
    }
}
