//! The classes that a configuration may name, apart from the connector's.

use super::connector::DEBEZIUM_VERSION;

/// What a class is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    /// `transforms.X.type`.
    Transformation,
    /// `predicates.X.type`.
    Predicate,
    /// `key.converter` and `value.converter`.
    Converter,
    /// `header.converter`.
    HeaderConverter,
}

impl PluginKind {
    /// Connect's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PluginKind::Transformation => "transformation",
            PluginKind::Predicate => "predicate",
            PluginKind::Converter => "converter",
            PluginKind::HeaderConverter => "header_converter",
        }
    }
}

/// Every class that is supported, in the order in which Connect lists them.
pub const PLUGINS: &[(PluginKind, &str)] = &[
    (PluginKind::Converter, "org.apache.kafka.connect.json.JsonConverter"),
    (PluginKind::HeaderConverter, "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
];

/// The classes of one kind.
pub fn of_kind(kind: PluginKind) -> impl Iterator<Item = &'static str> {
    PLUGINS.iter().filter(move |(of, _)| *of == kind).map(|(_, class)| *class)
}

/// A class's version: Debezium's own have Debezium's, the others Kafka's.
pub fn version(class: &str) -> &'static str {
    if class.starts_with("io.debezium.") { DEBEZIUM_VERSION } else { crate::worker::CONNECT_VERSION }
}
