//! Configurations as people have them.

use super::*;

fn of(more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let mut properties: BTreeMap<String, String> = [
        ("name", "jdbc"),
        ("connector.class", CLASS),
        ("connection.url", "jdbc:postgresql://h/d"),
        ("connection.username", "u"),
        ("connection.password", "hidden"),
        ("topics", "a, b"),
    ]
    .iter()
    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
    .collect();
    for (key, value) in more {
        properties.insert((*key).to_owned(), (*value).to_owned());
    }
    properties.retain(|_, value| !value.is_empty());
    Settings::of(&properties)
}

#[test]
fn what_is_not_set_is_as_the_connector_has_it() {
    let settings = of(&[]).unwrap();
    assert_eq!((settings.insert_mode, settings.key_mode), (InsertMode::Insert, KeyMode::None));
    assert!(!settings.deletes && !settings.truncates && !settings.evolves && !settings.quotes && !settings.tolerates);
    assert!(settings.topics.contains("a") && settings.topics.contains("b") && !settings.topics.contains("c"));
    assert_eq!(settings.column("Mixed Case"), "mixed case");
    assert!(settings.unknown.is_empty(), "{:?}", settings.unknown);
}

#[test]
fn the_documentations_example_is_taken_as_it_is() {
    let settings = of(&[
        ("tasks.max", "1"),
        ("insert.mode", "upsert"),
        ("delete.enabled", "true"),
        ("primary.key.mode", "record_key"),
        ("schema.evolution", "basic"),
        ("use.time.zone", "UTC"),
        ("hibernate.c3p0.idle_test_period", "300"),
        ("topics", ""),
        ("topics.regex", "p\\.public\\..*"),
        ("quote.identifiers", "true"),
        ("transforms", "unwrap,route"),
        ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        ("transforms.unwrap.drop.tombstones", "false"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", "([^.]+)\\.([^.]+)\\.([^.]+)"),
        ("transforms.route.replacement", "$3"),
    ])
    .unwrap();
    assert!(settings.topics.contains("p.public.t") && !settings.topics.contains("q.p.public.t"));
    assert_eq!((settings.insert_mode, settings.key_mode), (InsertMode::Upsert, KeyMode::RecordKey));
    assert_eq!(settings.routed("p.public.orders"), "orders");
    assert_eq!(settings.column("Mixed Case"), "Mixed Case");
    assert!(settings.unknown.is_empty(), "{:?}", settings.unknown);
}

#[test]
fn fields_are_left_out_of_all_topics_or_of_one() {
    let excluded = of(&[("field.exclude.list", "secret, a:only")]).unwrap();
    let writes = |settings: &Settings, topic, field| settings.writes_field(topic, field);
    assert!(!writes(&excluded, "a", "secret") && !writes(&excluded, "a", "only"));
    assert!(writes(&excluded, "b", "only") && writes(&excluded, "a", "other"));
    let included = of(&[("field.include.list", "id,a:only")]).unwrap();
    assert!(writes(&included, "b", "id") && writes(&included, "a", "only") && !writes(&included, "b", "only"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_without_values() {
    let faults = of(&[
        ("name", ""),
        ("connection.url", "jdbc:mysql://hidden/d"),
        ("topics.regex", "hidden("),
        ("insert.mode", "hidden"),
        ("delete.enabled", "true"),
        ("value.converter", "io.confluent.connect.protobuf.ProtobufConverter"),
        ("batch.size", "hidden"),
        ("transforms", "x"),
        ("transforms.x.type", "org.apache.kafka.connect.transforms.Filter"),
        ("column.naming.strategy", "a.b.Hidden"),
    ])
    .unwrap_err();
    let text = faults.join("\n");
    assert!(!text.contains("hidden"), "{text}");
    for key in [
        "name ",
        "connection.url ",
        "topics ",
        "insert.mode ",
        "delete.enabled ",
        "value.converter ",
        "batch.size ",
        "transforms.x.type ",
        "column.naming.strategy ",
    ] {
        assert!(text.contains(key), "{key}: {text}");
    }
    assert!(of(&[("insert.mode", "upsert")]).is_err(), "nothing to find a row by");
    assert_eq!(of(&[("inset.mode", "upsert")]).unwrap().unknown, ["inset.mode"], "a slip of the pen is told");
}

#[test]
fn a_file_is_json_in_both_forms_or_properties() {
    let forms = [
        r#"{"name": "n", "config": {"topics": "a", "tasks.max": 2}}"#,
        r#"{"name": "n", "topics": "a", "tasks.max": "2"}"#,
        "name=n\ntopics=a\ntasks.max=2\n",
    ];
    for form in forms {
        let properties = properties(form).unwrap();
        let found: Vec<&str> = ["name", "topics", "tasks.max"].iter().map(|key| properties[*key].as_str()).collect();
        assert_eq!(found, ["n", "a", "2"], "{form}");
    }
    assert!(properties("{").unwrap_err().contains("line 1"));
}
