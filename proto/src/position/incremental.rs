//! An incremental snapshot's place in the offset (`AbstractIncrementalSnapshotContext`), so that Debezium and we can each go
//! on where the other stopped.

use serde_json::{Map, Value, json};

use super::java_object::{self, JavaValue};

/// A key: its columns' values as PostgreSQL prints them.
pub type Key = Vec<Option<String>>;

/// How far an incremental snapshot is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncrementalOffset {
    /// `incremental_snapshot_collections`: the tables still to be read, the one under way first.
    pub collections: Vec<Collection>,
    /// `incremental_snapshot_primary_key`: the key of the last row that was published.
    pub last_key: Option<Key>,
    /// `incremental_snapshot_maximum_key`: the key at which the table under way ends.
    pub maximum_key: Option<Key>,
    /// The classes that the key's values have in Java, where Debezium's form is known for all of them.
    pub classes: Option<Vec<KeyClass>>,
    /// `incremental_snapshot_correlation_id`: the signal that began it.
    pub correlation_id: Option<String>,
}

/// A table of an incremental snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// `schema.table`.
    pub id: String,
    /// A condition on its rows.
    pub condition: Option<String>,
    /// The column by which it is read instead of its key.
    pub surrogate_key: Option<String>,
}

/// The class that a key's value has in Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClass {
    /// `java.lang.Integer`.
    Integer,
    /// `java.lang.Long`.
    Long,
    /// `java.lang.Boolean`.
    Boolean,
    /// `java.lang.String`.
    String,
    /// `java.util.UUID`.
    Uuid,
}

impl KeyClass {
    /// Of a type by its name; `None` for those whose Java class has no form here.
    pub fn of(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "int2" | "int4" => Self::Integer,
            "int8" | "oid" => Self::Long,
            "bool" => Self::Boolean,
            "text" | "varchar" | "bpchar" => Self::String,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    fn value(self, text: &str) -> Option<JavaValue> {
        Some(match self {
            Self::Integer => JavaValue::Integer(text.parse().ok()?),
            Self::Long => JavaValue::Long(text.parse().ok()?),
            Self::Boolean => JavaValue::Boolean(text == "t"),
            Self::String => JavaValue::String(text.to_owned()),
            Self::Uuid => JavaValue::Uuid(u128::from_str_radix(&text.replace('-', ""), 16).ok()?),
        })
    }
}

const COLLECTIONS: &str = "incremental_snapshot_collections";
const LAST_KEY: &str = "incremental_snapshot_primary_key";
const MAXIMUM_KEY: &str = "incremental_snapshot_maximum_key";
const CORRELATION_ID: &str = "incremental_snapshot_correlation_id";
/// The keys as texts where Debezium's form is not known: Debezium, not finding its own, reads the table from its beginning.
const OWN_KEYS: &str = "headwater_incremental_keys";

impl IncrementalOffset {
    /// From the stored map; `None` when no incremental snapshot is under way. Keys of a form that is not known are left
    /// out: the table under way is read from its beginning then.
    pub(super) fn from_map(map: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let collections: Vec<Map<String, Value>> = serde_json::from_str(text(COLLECTIONS)?).ok()?;
        let collection = |map: &Map<String, Value>| {
            let part = |name: &str| {
                let text = map.get(&format!("{COLLECTIONS}_{name}")).and_then(Value::as_str);
                text.filter(|text| !text.is_empty()).map(str::to_owned)
            };
            Some(Collection {
                id: part("id")?,
                condition: part("additional_condition"),
                surrogate_key: part("surrogate_key"),
            })
        };
        let collections: Vec<Collection> = collections.iter().filter_map(collection).collect();
        if collections.is_empty() {
            return None;
        }
        let java = |key: &str| text(key).and_then(java_object::read).flatten();
        let (mut last_key, mut maximum_key) = (java(LAST_KEY), java(MAXIMUM_KEY));
        let classes = maximum_key.as_deref().and_then(classes);
        if maximum_key.is_none() {
            // Only both together say where to go on.
            last_key = None;
        }
        let as_key = |values: Option<Vec<JavaValue>>| values.map(|values| values.iter().map(as_text).collect::<Key>());
        let mut offset = Self {
            collections,
            last_key: as_key(last_key.take()),
            maximum_key: as_key(maximum_key.take()),
            classes,
            correlation_id: text(CORRELATION_ID).map(str::to_owned),
        };
        if let Some((last, maximum)) = text(OWN_KEYS).and_then(|keys| serde_json::from_str(keys).ok()) {
            (offset.last_key, offset.maximum_key, offset.classes) = (last, maximum, None);
        }
        Some(offset)
    }

    pub(super) fn put_into(&self, map: &mut Map<String, Value>) {
        let java = |key: Option<&Key>| match (key, &self.classes) {
            (None, _) => Some(None),
            (Some(key), Some(classes)) => key
                .iter()
                .zip(classes)
                .map(|(value, class)| value.as_deref().map_or(Some(JavaValue::Null), |text| class.value(text)))
                .collect::<Option<Vec<_>>>()
                .map(Some),
            (Some(_), None) => None,
        };
        match java(self.last_key.as_ref()).zip(java(self.maximum_key.as_ref())) {
            Some((last, maximum)) => {
                map.insert(LAST_KEY.to_owned(), java_object::write(last.as_deref()).into());
                map.insert(MAXIMUM_KEY.to_owned(), java_object::write(maximum.as_deref()).into());
            }
            None => {
                let keys = json!([self.last_key, self.maximum_key]).to_string();
                map.insert(OWN_KEYS.to_owned(), keys.into());
            }
        }
        let collections: Vec<Value> = self
            .collections
            .iter()
            .map(|collection| {
                json!({
                    "incremental_snapshot_collections_id": collection.id,
                    "incremental_snapshot_collections_additional_condition": collection.condition,
                    "incremental_snapshot_collections_surrogate_key": collection.surrogate_key,
                })
            })
            .collect();
        map.insert(COLLECTIONS.to_owned(), Value::Array(collections).to_string().into());
        map.insert(CORRELATION_ID.to_owned(), self.correlation_id.clone().into());
    }
}

fn classes(values: &[JavaValue]) -> Option<Vec<KeyClass>> {
    let class = |value: &JavaValue| {
        Some(match value {
            JavaValue::Integer(_) => KeyClass::Integer,
            JavaValue::Long(_) => KeyClass::Long,
            JavaValue::Boolean(_) => KeyClass::Boolean,
            JavaValue::String(_) => KeyClass::String,
            JavaValue::Uuid(_) => KeyClass::Uuid,
            JavaValue::Null => return None,
        })
    };
    values.iter().map(class).collect()
}

fn as_text(value: &JavaValue) -> Option<String> {
    Some(match value {
        JavaValue::Null => return None,
        JavaValue::Integer(value) => value.to_string(),
        JavaValue::Long(value) => value.to_string(),
        JavaValue::Boolean(value) => if *value { "t" } else { "f" }.to_owned(),
        JavaValue::String(text) => text.clone(),
        JavaValue::Uuid(value) => format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            value >> 96,
            value >> 80 & 0xffff,
            value >> 64 & 0xffff,
            value >> 48 & 0xffff,
            value & 0xffff_ffff_ffff
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(classes: Option<Vec<KeyClass>>, key: &str) -> IncrementalOffset {
        IncrementalOffset {
            collections: vec![Collection {
                id: "public.a".to_owned(),
                condition: Some("id > 5".to_owned()),
                surrogate_key: None,
            }],
            last_key: Some(vec![Some(key.to_owned())]),
            maximum_key: Some(vec![Some(key.to_owned())]),
            classes,
            correlation_id: Some("signal".to_owned()),
        }
    }

    fn stored(offset: &IncrementalOffset) -> Map<String, Value> {
        let mut map = Map::new();
        offset.put_into(&mut map);
        map
    }

    #[test]
    fn keys_of_known_classes_are_stored_as_debezium_stores_them() {
        for (class, key) in [
            (KeyClass::Integer, "-7"),
            (KeyClass::Long, "9000000000"),
            (KeyClass::String, "a"),
            (KeyClass::Boolean, "t"),
            (KeyClass::Uuid, "01234567-89ab-cdef-0011-223344556677"),
        ] {
            let offset = offset(Some(vec![class]), key);
            let map = stored(&offset);
            assert!(map[LAST_KEY].as_str().is_some_and(|hex| hex.starts_with("ACED0005")));
            assert_eq!(IncrementalOffset::from_map(&map), Some(offset));
        }
    }

    #[test]
    fn keys_of_other_classes_are_kept_beside_debeziums_fields() {
        let offset = offset(None, "2024-02-29");
        let map = stored(&offset);
        assert!(!map.contains_key(LAST_KEY) && map.values().all(|value| !value.is_array()));
        assert_eq!(IncrementalOffset::from_map(&map), Some(offset));
    }

    #[test]
    fn a_key_of_an_unknown_class_begins_the_table_anew() {
        let mut map = stored(&offset(Some(vec![KeyClass::Integer]), "1"));
        map.insert(MAXIMUM_KEY.to_owned(), "ACED00057372".into());
        let read = IncrementalOffset::from_map(&map).unwrap();
        assert_eq!((read.last_key, read.maximum_key), (None, None));
        assert_eq!(IncrementalOffset::from_map(&Map::new()), None);
    }
}
