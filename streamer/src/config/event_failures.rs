//! What becomes of a change that cannot be processed (`event.processing.failure.handling.mode`).

use super::connector::Keys;

/// What becomes of it, as `EventDispatcher.handleEventProcessingFailure` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFailures {
    /// The task stops, and the change stays in the slot.
    Stop,
    /// It is passed over, with a warning in the log.
    Warn,
    /// It is passed over, with a line in the log that only `DEBUG` shows.
    Skip,
}

impl EventFailures {
    /// As the key says; it was checked before. `ignore` is `skip` by an older name.
    pub(super) fn parse(keys: &Keys<'_>) -> Self {
        match keys.string("event.processing.failure.handling.mode").to_ascii_lowercase().as_str() {
            "warn" => Self::Warn,
            "skip" | "ignore" => Self::Skip,
            _ => Self::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_case_and_the_default_stops() {
        let parsed = |value: Option<&str>| {
            let key = "event.processing.failure.handling.mode".to_owned();
            EventFailures::parse(&Keys { config: &value.map(|value| (key, value.to_owned())).into_iter().collect() })
        };
        let expected =
            [(None, EventFailures::Stop), (Some("WARN"), EventFailures::Warn), (Some("ignore"), EventFailures::Skip)];
        for (value, failures) in expected {
            assert_eq!(parsed(value), failures, "{value:?}");
        }
    }
}
