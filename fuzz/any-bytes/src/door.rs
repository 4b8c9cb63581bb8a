//! Java's forms of keys, certificates and logins.

use access::{jaas, key_store};

/// A key store, as one that is trusted and as one's own, with a password and without.
pub fn key_stores(data: &[u8]) {
    for password in [None, Some("changeit")] {
        let _trusted = key_store::trusted(data, password);
        let _identity = key_store::identity(data, password, None);
    }
}

/// A JAAS file, and a login in a property.
pub fn logins(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _modules = jaas::modules(text);
        let _entry = jaas::entry(text, "KafkaClient");
    }
}
