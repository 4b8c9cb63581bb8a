//! Topic names (Debezium's `SchemaTopicNamingStrategy`).

/// `<prefix>.<schema>.<table>`, every character that Kafka does not take in a topic's name replaced by `_`.
pub fn of_table(prefix: &str, schema: &str, table: &str) -> String {
    sanitized(&format!("{prefix}.{schema}.{table}"))
}

/// Every character outside `[a-zA-Z0-9._-]` replaced by `_`, one for each UTF-16 unit as Java counts them.
pub fn sanitized(name: &str) -> String {
    let mut topic = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-') {
            topic.push(character);
        } else {
            topic.extend(std::iter::repeat_n('_', character.len_utf16()));
        }
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_kafka_refuses_become_underscores() {
        assert_eq!(of_table("p", "public", "We ird.T-able"), "p.public.We_ird.T-able");
        assert_eq!(of_table("p", "schéma", "🦀"), "p.sch_ma.__");
    }
}
