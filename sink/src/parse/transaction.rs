//! Which transaction of the source a record is of, and where one begins and ends.
//!
//! With `provide.transaction.metadata` each change says it in its `transaction` block, and the topic `<prefix>.transaction` has a
//! record for each beginning and each end (`io.debezium.pipeline.txmetadata`).

use std::borrow::Cow;

use proto::envelope::transaction::parse_id;
use proto::lsn::Lsn;
use proto::xid::Xid;
use serde::Deserialize;

use super::Unreadable;
use super::envelope::{Scalar, Transaction};
use super::head::Value;
use super::record::{envelope, payload};

/// A change's place in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The transaction.
    pub transaction: Xid,
    /// Its place among all changes of the transaction, from 1.
    pub order: i64,
}

/// Where a transaction begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// It begins.
    Begin(Xid),
    /// It ends.
    End {
        /// Which.
        transaction: Xid,
        /// Behind its commit: those of later commits are larger.
        lsn: Lsn,
        /// How many changes it has.
        events: i64,
    },
}

/// The place of a change, `None` for a record that is in no transaction, or is no change at all.
pub fn event(value: &Value) -> Option<Event> {
    let Transaction { id, total_order } = envelope(value).ok()?.transaction?;
    let id = id.and_then(Scalar::text)?;
    let Some(Scalar::Integer(order)) = total_order else { return None };
    Some(Event { transaction: parse_id(&id)?.0, order })
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    event_count: Option<i64>,
}

/// What a record of the transactions' topic says.
///
/// # Errors
/// When it is not of Debezium's form.
pub fn boundary(value: &Value) -> Result<Boundary, Unreadable> {
    let metadata: Metadata<'_> = serde_json::from_str(payload(value.whole(), "value")?)
        .map_err(|_| Unreadable::new("the value does not say where a transaction begins or ends"))?;
    let (transaction, lsn) =
        parse_id(&metadata.id).ok_or_else(|| Unreadable::new("its id is no transaction's id and LSN"))?;
    match (metadata.status.as_ref(), metadata.event_count) {
        ("BEGIN", _) => Ok(Boundary::Begin(transaction)),
        ("END", Some(events)) => Ok(Boundary::End { transaction, lsn, events }),
        _ => Err(Unreadable::new("it is neither BEGIN nor END with a count of events")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::alone(text.as_bytes())
    }

    #[test]
    fn a_change_says_which_transaction_it_is_of() {
        let envelope =
            |transaction: &str| format!(r#"{{"op":"c","source":{{}},"after":{{}},"transaction":{transaction}}}"#);
        let block = r#"{"id":"812:39356488","total_order":3,"data_collection_order":1}"#;
        let expected = Some(Event { transaction: Xid::from(812), order: 3 });
        assert_eq!(event(&value(&envelope(block))), expected);
        assert_eq!(event(&value(&format!(r#"{{"schema":{{}},"payload":{}}}"#, envelope(block)))), expected);
        for none in ["null", "1", "[]", "{}", r#"{"id":"x","total_order":3}"#, r#"{"id":"1:2","total_order":"3"}"#] {
            assert_eq!(event(&value(&envelope(none))), None, "{none}");
        }
        assert_eq!(event(&value("no JSON")), None);
    }

    #[test]
    fn a_boundary_is_read_with_and_without_its_schema() {
        let begin = r#"{"status":"BEGIN","id":"7:10","event_count":null,"data_collections":null,"ts_ms":1}"#;
        let end = r#"{"status":"END","id":"7:30","event_count":2,"data_collections":[{"data_collection":"public.t","event_count":2}],"ts_ms":1}"#;
        let of = |text: &str| boundary(&value(text));
        assert_eq!(of(begin), Ok(Boundary::Begin(Xid::from(7))));
        let ended = Boundary::End { transaction: Xid::from(7), lsn: Lsn::from(30), events: 2 };
        assert_eq!(of(end), Ok(ended));
        assert_eq!(of(&format!(r#"{{"schema":{{}},"payload":{end}}}"#)), Ok(ended));
        for other in ["{}", "x", r#"{"status":"END","id":"7:30"}"#, r#"{"status":"BEGIN","id":"7"}"#] {
            assert!(of(other).is_err(), "{other}");
        }
    }
}
