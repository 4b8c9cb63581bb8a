//! The converters that a configuration may name; transforms and predicates are [`crate::transform`]'s.

use super::connector::DEBEZIUM_VERSION;
use crate::convert::classes::{CLASSES, ConverterClass};

/// What a class is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    /// `key.converter` and `value.converter`.
    Converter,
    /// `header.converter`.
    HeaderConverter,
}

impl PluginKind {
    /// Connect's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PluginKind::Converter => "converter",
            PluginKind::HeaderConverter => "header_converter",
        }
    }
}

/// Every class that is supported, in the order in which Connect lists them: kind after kind, by name.
pub fn all() -> impl Iterator<Item = (PluginKind, &'static str)> {
    let converters = |kind, takes: fn(&ConverterClass) -> bool| {
        let supported = CLASSES.iter().filter(move |class| class.is_supported() && takes(class));
        let mut names: Vec<&str> = supported.map(|class| class.name).collect();
        names.sort_unstable();
        names.into_iter().map(move |name| (kind, name))
    };
    converters(PluginKind::Converter, |class| class.is_converter)
        .chain(converters(PluginKind::HeaderConverter, |class| class.is_header_converter))
}

/// The classes of one kind.
pub fn of_kind(kind: PluginKind) -> impl Iterator<Item = &'static str> {
    all().filter(move |(of, _)| *of == kind).map(|(_, class)| class)
}

/// A converter's version: Debezium's own have Debezium's, the others Kafka's.
pub fn version(class: &str) -> &'static str {
    if class.starts_with("io.debezium.") { DEBEZIUM_VERSION } else { crate::worker::CONNECT_VERSION }
}
