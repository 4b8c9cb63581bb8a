//! Topic names (Debezium's `AbstractTopicNamingStrategy`).

/// `<prefix>.<schema>.<table>`, every character that Kafka does not take in a topic's name replaced by `_`.
pub fn of_table(prefix: &str, schema: &str, table: &str) -> String {
    sanitized(&format!("{prefix}.{schema}.{table}"))
}

/// Every character outside `[a-zA-Z0-9._-]` replaced by `_`, one for each UTF-16 unit as Java counts them.
pub fn sanitized(name: &str) -> String {
    Escape::Underscore.sanitized(name)
}

/// What stands for a character that a topic's name may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// `_`, also for several characters alike: two tables can come to have one topic.
    Underscore,
    /// `_u00e4`, also for the underscore itself (`UnicodeReplacementFunction`).
    Unicode,
}

impl Escape {
    /// A name that Kafka takes, 249 characters at most.
    pub fn sanitized(self, name: &str) -> String {
        const LONGEST: usize = 249;
        let mut topic = String::with_capacity(name.len());
        for unit in name.encode_utf16() {
            match u8::try_from(unit).map(char::from) {
                Ok(character) if character.is_ascii_alphanumeric() || matches!(character, '.' | '-') => {
                    topic.push(character);
                }
                Ok('_') if self == Escape::Underscore => topic.push('_'),
                _ => self.replace(unit, &mut topic),
            }
        }
        // Only ASCII was written.
        topic.truncate(LONGEST);
        if matches!(topic.as_str(), "." | "..") {
            let dots = topic.len();
            topic.clear();
            (0..dots).for_each(|_| self.replace(u16::from(b'.'), &mut topic));
        }
        topic
    }

    fn replace(self, unit: u16, topic: &mut String) {
        match self {
            Escape::Underscore => topic.push('_'),
            // As Debezium pads it: three digits stay three.
            Escape::Unicode if unit <= 0xff => topic.push_str(&format!("_u00{unit:x}")),
            Escape::Unicode => topic.push_str(&format!("_u{unit:x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_kafka_refuses_become_underscores() {
        assert_eq!(of_table("p", "public", "We ird.T-able"), "p.public.We_ird.T-able");
        assert_eq!(of_table("p", "schéma", "🦀"), "p.sch_ma.__");
    }

    #[test]
    fn the_unicode_escape_takes_the_underscore_for_its_own() {
        assert_eq!(
            Escape::Unicode.sanitized("Sch_ema.größe é 🦀"),
            "Sch_u005fema.gr_u00f6_u00dfe_u0020_u00e9_u0020_ud83e_udd80"
        );
    }

    #[test]
    fn a_name_is_as_long_as_kafka_takes_it_and_never_only_dots() {
        assert_eq!(sanitized(&"x".repeat(300)).len(), 249);
        assert_eq!(sanitized(".."), "__");
    }
}
