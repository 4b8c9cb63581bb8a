use super::*;

fn checked(changes: &[(&str, Option<&str>)]) -> Checked {
    let mut config: BTreeMap<String, String> = [
        ("name", "c"),
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
        ("database.hostname", "h"),
        ("database.user", "u"),
        ("database.dbname", "d"),
        ("topic.prefix", "p"),
        ("plugin.name", "pgoutput"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    for (key, value) in changes {
        match value {
            Some(value) => config.insert((*key).to_owned(), (*value).to_owned()),
            None => config.remove(*key),
        };
    }
    check(&config)
}

fn messages(changes: &[(&str, Option<&str>)]) -> Vec<String> {
    checked(changes).findings.into_iter().map(|finding| finding.message).collect()
}

#[test]
fn a_good_configuration_has_no_findings() {
    assert_eq!(messages(&[]), Vec::<String>::new());
}

#[test]
fn all_errors_come_at_once_in_debeziums_words_and_order() {
    let expected = [
        "The 'database.hostname' value is invalid: A value is required",
        "The 'snapshot.mode' value is invalid: Value must be one of always, initial_only, configuration_based, \
         when_needed, initial, custom, no_data",
    ];
    assert_eq!(messages(&[("database.hostname", None), ("snapshot.mode", Some("sometimes"))]), expected);
}

#[test]
fn what_is_wrong_with_a_number_is_said_as_often_as_debezium_says_it() {
    let expected = [
        "The 'slot.retry.delay.ms' value is invalid: A long value is expected",
        "The 'slot.retry.delay.ms' value is invalid: An integer is expected",
        "The 'heartbeat.interval.ms' value is invalid: An non-negative integer is expected",
    ];
    assert_eq!(messages(&[("slot.retry.delay.ms", Some("soon")), ("heartbeat.interval.ms", Some("-1"))]), expected);
}

#[test]
fn an_empty_value_is_checked_like_any_other() {
    let expected =
        ["The 'slot.name' value is invalid: Valid replication slot name must contain only digits, lowercase \
                     characters and underscores with length <= 63"];
    assert_eq!(messages(&[("slot.name", Some(" ")), ("table.include.list", Some(""))]), expected);
    let expected = "The 'topic.prefix' value is invalid:  has invalid format (only the underscore, hyphen, dot and \
                    alphanumeric characters are allowed)";
    assert_eq!(
        messages(&[("topic.prefix", Some(""))]),
        ["The 'topic.prefix' value is invalid: A value is required", expected]
    );
    // What is not declared, Debezium does not look at.
    assert_eq!(
        messages(&[("money.fraction.digits", Some("")), ("custom.metric.tags", Some(""))]),
        Vec::<String>::new()
    );
}

#[test]
fn retries_and_their_delay_are_not_negative() {
    for key in ["slot.max.retries", "slot.retry.delay.ms"] {
        let expected = [format!("The '{key}' value is invalid: A non-negative integer is expected")];
        assert_eq!(messages(&[(key, Some("-1"))]), expected);
    }
}

#[test]
fn never_is_an_alias_with_a_warning() {
    let checked = checked(&[("snapshot.mode", Some("never"))]);
    assert_eq!(checked.findings, []);
    assert_eq!(checked.warnings, ["snapshot.mode=never is taken as no_data; Debezium 3.4 refuses it"]);
}

#[test]
fn a_known_key_that_is_not_supported_is_refused_by_name_and_an_unknown_one_is_a_warning() {
    let checked = checked(&[("table.ignore.builtin", Some("false")), ("no.such.property", Some("1"))]);
    assert_eq!(checked.findings[0].key.as_deref(), Some("table.ignore.builtin"));
    assert_eq!(checked.warnings, ["no.such.property is not known and has no effect"]);
    assert_eq!(messages(&[("table.ignore.builtin", Some("true"))]), Vec::<String>::new());
}

#[test]
fn include_and_exclude_lists_exclude_each_other() {
    let both = [("table.include.list", Some("public.a")), ("table.exclude.list", Some("public.b"))];
    let expected = ["The 'table.exclude.list' value is invalid: \"table.include.list\" is already specified"];
    assert_eq!(messages(&both), expected);
}

#[test]
fn every_default_may_be_given_without_a_word_about_it() {
    for property in DECLARED.iter().chain(HIDDEN).filter(|property| property.name != "plugin.name") {
        let Some(default) = property.default else { continue };
        let checked = checked(&[(property.name, Some(default))]);
        assert_eq!(checked.findings, [], "{}", property.name);
        assert_eq!(checked.warnings, Vec::<String>::new(), "{}", property.name);
    }
}

#[test]
fn classes_are_refused_by_name_but_for_those_that_say_what_happens_here_anyhow() {
    for (key, class) in [
        ("database.sslfactory", "org.postgresql.ssl.DefaultJavaSSLFactory"),
        ("transaction.metadata.factory", "com.example.Factory"),
        ("sourceinfo.struct.maker", "com.example.Maker"),
        ("converters", "isbn"),
        ("snapshot.query.mode", "custom"),
    ] {
        let found = checked(&[(key, Some(class))]).findings;
        assert_eq!(found.first().and_then(|finding| finding.key.as_deref()), Some(key), "{found:?}");
    }
    assert_eq!(messages(&[("database.sslfactory", Some(LIBPQ))]), Vec::<String>::new());
    let lax =
        checked(&[("database.sslfactory", Some(NON_VALIDATING)), ("openlineage.integration.enabled", Some("true"))]);
    assert_eq!((lax.findings.len(), lax.warnings.len()), (0, 2), "{:?}", lax.warnings);
}

#[test]
fn what_does_not_go_together_with_several_slots_is_named() {
    let with = |key, value| {
        let changes = [("headwater.slots", "2"), ("publication.autocreate.mode", "filtered"), (key, value)];
        messages(&changes.map(|(key, value)| (key, Some(value))))
    };
    assert_eq!(with("tasks.max", "1"), Vec::<String>::new());
    for (key, value) in [
        ("headwater.slots", "0"),
        ("headwater.slots", "17"),
        ("headwater.slots", "two"),
        ("publication.autocreate.mode", "all_tables"),
        ("publication.autocreate.mode", "disabled"),
        ("provide.transaction.metadata", "true"),
        ("signal.data.collection", "public.signals"),
        ("signal.enabled.channels", "file"),
        ("snapshot.mode", "initial_only"),
        ("flush.lsn.source", "false"),
        ("slot.name", "a_name_of_fifty_eight_letters_which_is_allowed_for_one_slot"),
    ] {
        let said = with(key, value);
        let named = if key == "flush.lsn.source" { "lsn.flush.mode" } else { key };
        assert!(said.iter().any(|message| message.contains(&format!("'{named}'"))), "{key}={value}: {said:?}");
    }
    let notified = [
        ("notification.enabled.channels", "log"),
        ("headwater.slots", "2"),
        ("publication.autocreate.mode", "filtered"),
    ];
    assert_eq!(messages(&notified.map(|(key, value)| (key, Some(value)))).len(), 1);
    assert_eq!(
        messages(&[("headwater.slots", Some("1")), ("provide.transaction.metadata", Some("true"))]),
        Vec::<String>::new()
    );
}
