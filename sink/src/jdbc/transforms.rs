//! The transforms that a JDBC sink connector's configuration may have: those that give topics and fields other names, and the one that
//! takes rows out of their envelopes, which this sink does by itself.

use super::keys::Keys;
use super::naming::{Naming, TopicStep};

const UNWRAP: &str = "io.debezium.transforms.ExtractNewRecordState";
const ROUTER: &str = "org.apache.kafka.connect.transforms.RegexRouter";
const COLLECTION_NAME: &str = "io.debezium.connector.jdbc.transforms.CollectionNameTransformation";
const FIELD_NAME: &str = "io.debezium.connector.jdbc.transforms.FieldNameTransformation";

/// What `transforms` make of topics' names, and of fields', each in its order.
pub(super) fn of(keys: &mut Keys<'_>) -> (Vec<TopicStep>, Vec<Naming>) {
    let (mut topics, mut fields) = (Vec::new(), Vec::new());
    for name in keys.list("transforms") {
        let key = |setting: &str| format!("transforms.{name}.{setting}");
        let class = keys.text(&key("type")).unwrap_or_default();
        if keys.text(&key("predicate")).is_some() {
            keys.fault(&key("predicate"), "is not supported: a transform is for all topics of the connector");
        }
        match class.as_str() {
            UNWRAP => unwrap(keys, &key),
            ROUTER => {
                let (pattern, replacement) =
                    (keys.text(&key("regex")).unwrap_or_default(), keys.text(&key("replacement")).unwrap_or_default());
                match TopicStep::replace(&pattern, &replacement) {
                    Ok(step) => topics.push(step),
                    Err(why) => keys.fault(&key("regex"), &format!("is no regular expression: {why}")),
                }
            }
            COLLECTION_NAME => topics.extend(naming(keys, &key, "collection").map(TopicStep::Name)),
            FIELD_NAME => fields.extend(naming(keys, &key, "column")),
            _ => keys.fault(
                &key("type"),
                &format!(
                    "is not one that this sink has: {UNWRAP}, {ROUTER}, {COLLECTION_NAME} and {FIELD_NAME}. Where the source's connector \
                     applies it, the streamer has more of them"
                ),
            ),
        }
    }
    (topics, fields)
}

/// Rows are taken out of their envelopes anyway: what it does beside that has to be nothing.
fn unwrap(keys: &mut Keys<'_>, key: &impl Fn(&str) -> String) {
    for setting in ["add.fields", "add.headers", "route.by.field", "drop.fields.header.name"] {
        if keys.text(&key(setting)).is_some() {
            keys.fault(&key(setting), "is not supported here: set it at the source's connector");
        }
    }
    for setting in ["delete.tombstone.handling.mode", "delete.handling.mode"] {
        let mode = keys.text(&key(setting)).unwrap_or_default().to_ascii_lowercase();
        if !matches!(mode.as_str(), "" | "tombstone" | "delete-to-tombstone" | "none") {
            keys.fault(
                &key(setting),
                "must be tombstone, or not be set: whether deletes are applied, delete.enabled says",
            );
        }
    }
}

fn naming(keys: &mut Keys<'_>, key: &impl Fn(&str) -> String, of: &str) -> Option<Naming> {
    let setting = |name: &str| key(&format!("{of}.naming.{name}"));
    let style = keys.text(&setting("style")).unwrap_or_else(|| "default".to_owned());
    let (prefix, suffix) =
        (keys.text(&setting("prefix")).unwrap_or_default(), keys.text(&setting("suffix")).unwrap_or_default());
    let naming = Naming::of(&style, &prefix, &suffix);
    if naming.is_none() {
        keys.fault(&setting("style"), "must be one of default, snake_case, camel_case, UPPER_CASE, lower_case");
    }
    naming
}
