//! `custom.metric.tags`: what a connector's metrics are labelled with beside its name.

use super::connector::Keys;

/// The pairs of `k1=v1,k2=v2`, in order; of a key that is there twice, the last.
pub(super) fn parse(keys: &Keys<'_>) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for (key, value) in keys.text("custom.metric.tags").iter().flat_map(|list| pairs(list)).flatten() {
        match tags.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => tags.push((key.to_owned(), value.to_owned())),
        }
    }
    tags
}

/// What is wrong with the list, in Debezium's words (`Field.isListOfMap`), or those of its `Metrics`, whose task would fail.
pub(super) fn invalid(list: &str) -> Option<String> {
    for pair in pairs(list) {
        match pair {
            None => {
                return Some(
                    "A equivalent-separated map of valid key/value pairs is expected, for example: k1=v1,k2=v2"
                        .to_owned(),
                );
            }
            Some(("", value)) => return Some(format!("Invalid metric name '={value}'")),
            Some(_) => {}
        }
    }
    None
}

/// What stands between the commas, cut as Java's `split` does: the empty ends are left out.
fn pairs(list: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    list.trim_end_matches(',').split(',').map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        let value = value.trim_end_matches('=');
        (!value.is_empty() && !value.contains('=')).then(|| (key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stand_between_commas_and_the_last_of_a_key_counts() {
        let config = [("custom.metric.tags".to_owned(), " team=a , env = prod,team=b,".to_owned())].into();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(parse(&Keys { config: &config }), [pair("team", "b"), pair("env", "prod")]);
        assert_eq!(parse(&Keys { config: &Default::default() }), []);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert_eq!(invalid("team=a,env=prod"), None);
        for list in ["team", "team=", "a=b,,c=d", "a=b=c", "a==b", "=b"] {
            assert!(invalid(list).is_some(), "{list}");
        }
    }
}
