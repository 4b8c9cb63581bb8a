//! What Connect tells a user interface of every property: its text, group, place and width.
//!
//! `definitions.json` is what Debezium 3.4.3 on Connect 4.1.1 answers at `config/validate`, without what
//! [`super::properties`] says. A test compares the whole answer with the real worker's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::properties;

/// A property as a user interface shows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its key.
    pub name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    required: bool,
    default_value: Option<String>,
    importance: Option<String>,
    documentation: String,
    group: Option<String>,
    width: String,
    display_name: Option<String>,
    #[serde(default)]
    dependents: Vec<String>,
    order: i32,
    /// Whether it is shown at all.
    #[serde(default = "visible")]
    pub visible: bool,
}

fn visible() -> bool {
    true
}

/// All of them, in the order of Connect's answer.
pub static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    // Part of the program; a test reads it.
    serde_json::from_str(include_str!("definitions.json")).unwrap_or_default()
});

/// A converter's settings by its class; their names are without the `key.converter.` in front.
static CONVERTER_SETTINGS: LazyLock<BTreeMap<String, Vec<Definition>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("converter_definitions.json")).unwrap_or_default());

/// The properties of Kafka's producer (`ProducerConfig` 4.1.1), without the `producer.override.` in front.
static PRODUCER: LazyLock<BTreeMap<String, Definition>> = LazyLock::new(|| {
    let all: Vec<Definition> = serde_json::from_str(include_str!("producer_definitions.json")).unwrap_or_default();
    all.into_iter().map(|definition| (definition.name.clone(), definition)).collect()
});

/// What a `producer.override.` key sets, where Kafka's producer has it.
pub fn of_producer_override(key: &str) -> Option<&'static Definition> {
    key.strip_prefix("producer.override.").and_then(|name| PRODUCER.get(name))
}

/// The settings of a converter.
pub fn of_converter(class: &str) -> &'static [Definition] {
    CONVERTER_SETTINGS.get(class).map_or(&[], Vec::as_slice)
}

impl Definition {
    /// Whether the property is Connect's own, not the connector's.
    pub fn is_connects(&self) -> bool {
        self.kind.is_some() && !self.name.starts_with("column.")
    }

    /// The type, where the definition says it.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// The default, as the definition has it.
    pub fn default_value(&self) -> Option<&str> {
        let declared = || properties::find(&self.name).and_then(|property| property.default);
        self.default_value.as_deref().or_else(declared)
    }

    /// `ConfigKeyInfo`, under the name and with the default that it has in this place.
    pub fn to_json(&self, name: &str, default: Option<&str>) -> Value {
        let property = properties::find(&self.name);
        let kind = self.kind.as_deref().or(property.map(|property| property.kind.as_str()));
        let importance = self.importance.as_deref().or(property.map(|property| property.importance.as_str()));
        json!({
            "name": name,
            "type": kind,
            "required": self.required,
            "default_value": default,
            "importance": importance,
            "documentation": self.documentation,
            "group": self.group,
            "width": self.width,
            "display_name": self.display_name.as_deref().or(property.map(|property| property.title)),
            "dependents": self.dependents,
            "order": self.order,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_property_is_defined_and_nothing_is_said_twice() {
        assert_eq!(DEFINITIONS.len(), 144);
        assert!(!of_converter("org.apache.kafka.connect.json.JsonConverter").is_empty());
        assert!(of_producer_override("producer.override.max.request.size").is_some());
        for property in properties::DECLARED {
            let definition = DEFINITIONS.iter().find(|definition| definition.name == property.name).unwrap();
            assert!(definition.kind.is_none() && definition.default_value.is_none(), "{}", property.name);
        }
        let is_whole = |definition: &&Definition| definition.kind.is_some() && definition.display_name.is_some();
        let whole: Vec<_> = DEFINITIONS.iter().filter(is_whole).collect();
        assert_eq!(whole.len(), 27, "Connect's 24, and three families of the connector");
    }
}
