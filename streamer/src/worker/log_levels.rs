//! What the log says, changed while the worker runs (Connect's `/admin/loggers`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::EnvFilter;

/// The levels that were set by name. Clones are the same levels.
#[derive(Clone)]
pub struct LogLevels {
    set: Arc<Mutex<BTreeMap<String, Level>>>,
    base: Arc<str>,
    apply: Arc<dyn Fn(EnvFilter) + Send + Sync>,
}

impl std::fmt::Debug for LogLevels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogLevels").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A logger's level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// As log4j names it.
    pub level: String,
    /// When it was set, in milliseconds since 1970; `None` for what was there at the start.
    pub last_modified: Option<u64>,
}

/// log4j's levels, and what they are here.
const LEVELS: [(&str, &str); 8] = [
    ("OFF", "off"),
    ("FATAL", "error"),
    ("ERROR", "error"),
    ("WARN", "warn"),
    ("INFO", "info"),
    ("DEBUG", "debug"),
    ("TRACE", "trace"),
    ("ALL", "trace"),
];

/// How the loggers of Debezium's and Connect's users begin, and whose records those are here.
const TARGETS: [(&str, &str); 3] =
    [("io.debezium", "streamer"), ("org.apache.kafka.connect", "streamer"), ("org.apache.kafka", "rdkafka")];

/// The logger that all others descend from.
const ROOT: &str = "root";

impl LogLevels {
    /// Changes over the directives in `base`; `apply` makes a filter the log's.
    pub fn new(base: String, apply: impl Fn(EnvFilter) + Send + Sync + 'static) -> Self {
        Self { set: Arc::default(), base: base.into(), apply: Arc::new(apply) }
    }

    /// All that were set.
    pub fn all(&self) -> BTreeMap<String, Level> {
        self.lock().clone()
    }

    /// One that was set; the root has a level always.
    pub fn get(&self, logger: &str) -> Option<Level> {
        let base = || {
            let first = self.base.split(',').find(|directive| !directive.contains('=')).unwrap_or("info");
            Level { level: first.to_ascii_uppercase(), last_modified: None }
        };
        self.lock().get(logger).cloned().or_else(|| (logger == ROOT).then(base))
    }

    /// Sets a level; whether there is such a level.
    pub fn set(&self, logger: &str, level: &str) -> bool {
        let level = level.to_ascii_uppercase();
        if !LEVELS.iter().any(|(known, _)| *known == level) {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis());
        let mut set = self.lock();
        set.insert(logger.to_owned(), Level { level, last_modified: u64::try_from(now).ok() });
        let mut directives = self.base.to_string();
        for (logger, level) in set.iter() {
            let here = LEVELS.iter().find(|(known, _)| *known == level.level).map_or("info", |(_, here)| here);
            directives += &match target(logger) {
                None => format!(",{here}"),
                Some(target) => format!(",{target}={here}"),
            };
        }
        drop(set);
        // A name that is no target, such as one with blanks, is kept and filters nothing.
        if let Ok(filter) = EnvFilter::try_new(&directives) {
            (self.apply)(filter);
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Level>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose records a logger's are; `None` for everybody's.
fn target(logger: &str) -> Option<&str> {
    match TARGETS.iter().find(|(java, _)| logger.starts_with(java)) {
        Some((_, here)) => Some(here),
        None => (logger != ROOT).then_some(logger),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debeziums_loggers_are_the_streamer_s_and_a_level_that_is_none_changes_nothing() {
        let last = Arc::new(Mutex::new(String::new()));
        let seen = last.clone();
        let levels = LogLevels::new("info,rdkafka=off".to_owned(), move |filter| {
            *seen.lock().unwrap() = filter.to_string();
        });
        assert!(!levels.set("root", "loud"));
        assert_eq!(last.lock().unwrap().as_str(), "");
        assert!(levels.set("io.debezium.connector.postgresql", "debug"));
        assert!(last.lock().unwrap().contains("streamer=debug"));
        assert_eq!(levels.get("root").unwrap(), Level { level: "INFO".to_owned(), last_modified: None });
        assert!(levels.set("root", "warn"));
        assert!(last.lock().unwrap().contains("warn"));
    }
}
