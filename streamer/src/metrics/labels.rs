//! What a connector's metrics are labelled with.

use metrics::Label;

use crate::config::ConnectorConfig;

/// Labels that metrics of ours have themselves.
const OURS: [&str; 3] = ["connector", "table", "column"];

/// Which slot it is of, where there are several; a tag of that name gives way then.
const SLOT: &str = "slot";

/// A connector's name and its `custom.metric.tags`; with several slots, the slot's name too.
#[derive(Debug, Clone)]
pub struct Labels(Vec<Label>);

impl Labels {
    /// Those of a connector. A tag that is called as a label of ours is put behind `tag_`; what Prometheus does not take in a
    /// label's name becomes an underscore, and of two tags that are the same then, the last counts.
    pub fn of(config: &ConnectorConfig) -> Self {
        let mut labels = vec![Label::new("connector", config.name.clone())];
        for (tag, value) in &config.metric_tags {
            let name = label_name(tag);
            labels.retain(|label| label.key() != name);
            labels.push(Label::new(name, value.clone()));
        }
        if config.share.is_some() {
            labels.retain(|label| label.key() != SLOT);
            labels.push(Label::new(SLOT, config.slot.name.clone()));
        }
        Self(labels)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Label> {
        self.0.clone()
    }

    /// All of them, and these.
    pub(super) fn with<const N: usize>(&self, more: [(&'static str, String); N]) -> Vec<Label> {
        self.0.iter().cloned().chain(more.map(|(name, value)| Label::new(name, value))).collect()
    }
}

fn label_name(tag: &str) -> String {
    let allowed = |(index, letter): (usize, char)| {
        letter.is_ascii_alphabetic() || letter == '_' || index > 0 && letter.is_ascii_digit()
    };
    let name: String =
        tag.chars().enumerate().map(|(index, letter)| if allowed((index, letter)) { letter } else { '_' }).collect();
    if OURS.contains(&name.as_str()) { format!("tag_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_label_that_prometheus_takes_and_never_one_of_ours() {
        for (tag, name) in [("team", "team"), ("k8s.zone", "k8s_zone"), ("1st", "_st"), ("table", "tag_table")] {
            assert_eq!(label_name(tag), name);
        }
    }
}
