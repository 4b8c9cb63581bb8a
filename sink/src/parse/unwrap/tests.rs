use serde_json::{Value as Json, json};

use super::super::handling::Handling;
use super::super::head::Heads;
use super::super::record::{Shape, read};
use super::*;

fn handling(settings: &[(&str, &str)]) -> Result<Handling, Vec<String>> {
    let mut config = json!({ "topic.prefix": "p", "transforms": "other, unwrap", "transforms.unwrap.type": CLASS });
    for (key, value) in settings {
        config[*key] = Json::from(*value);
    }
    Handling::of(config.as_object().unwrap())
}

const REWRITE: &str = "transforms.unwrap.delete.tombstone.handling.mode";
const NULLS: (&str, &str) = ("transforms.unwrap.replace.null.with.default", "false");
const FIELDS: (&str, &str) = ("transforms.unwrap.add.fields", "op,source.ts_ms, before.v:was,lsn");

/// What a record of the topic `p.public.t` says, in words.
fn said(settings: &[(&str, &str)], value: Option<&str>, new_key: Option<&str>) -> String {
    let shape = handling(settings).unwrap().shape("p.public.t");
    let mut heads = Heads::default();
    // The second one is read behind its head.
    let [first, second] = [(); 2].map(|()| {
        let value = value.map(|value| heads.value("t", value.as_bytes()));
        match read(&shape, Some(br#"{"id":1}"#), value.as_ref(), new_key.map(str::as_bytes)) {
            Ok(Change::Upsert(TableChange { schema, table, row, ts_ms, op, .. })) => {
                let is_insert = op == Op::Insert;
                format!("{schema}.{table} {row} {ts_ms:?} {is_insert}")
            }
            Ok(Change::Delete(old)) => format!("delete {} {:?}", old.row, old.ts_ms),
            Ok(Change::Rename { old, new_key }) => format!("rename {} {new_key}", old.row),
            Ok(Change::Truncate { .. }) => "truncate".to_owned(),
            Ok(Change::Nothing) => "nothing".to_owned(),
            Ok(Change::Definition(..)) => "a definition".to_owned(),
            Err(why) => why.to_string(),
        }
    });
    assert_eq!(first, second);
    first
}

#[test]
fn a_row_is_of_its_topics_table_with_and_without_its_schema() {
    let row = r#"{"id":1,"v":{"payload":null}}"#;
    let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{row}}}"#);
    for value in [row, &wrapped] {
        assert_eq!(said(&[], Some(value), None), format!("public.t {row} None false"));
    }
}

#[test]
fn a_delete_is_a_null_however_it_is_written() {
    for value in [None, Some("null"), Some(" null "), Some(r#"{"schema":{"type":"struct"},"payload":null}"#)] {
        assert_eq!(said(&[], value, None), r#"delete {"id":1} None"#, "{value:?}");
        assert_eq!(said(&[], value, Some(r#"{"id":2}"#)), r#"rename {"id":1} {"id":2}"#, "{value:?}");
    }
}

#[test]
fn a_delete_that_is_rewritten_is_one_once() {
    let settings = [(REWRITE, "rewrite-with-tombstone"), NULLS, FIELDS];
    let gone = r#"{"id":1,"__deleted":"true","__op":"d","__source_ts_ms":7}"#;
    assert_eq!(said(&settings, Some(gone), None), r#"delete {"id":1} Some(7)"#);
    assert_eq!(said(&settings, Some(gone), Some(r#"{"id":2}"#)), r#"rename {"id":1} {"id":2}"#);
    assert_eq!(said(&settings, None, None), "nothing");
    let new = r#"{"id":1,"__deleted":"false","__op":"c","__source_ts_ms":8}"#;
    assert_eq!(said(&settings, Some(new), None), format!("public.t {new} Some(8) true"));
    // Without a rewrite it is the table's own column.
    assert_eq!(said(&[], Some(gone), None), format!("public.t {gone} None false"));
}

#[test]
fn columns_named_as_what_surrounds_a_payload_are_columns() {
    let row = r#"{"schema":"s","payload":"p"}"#;
    assert_eq!(said(&[], Some(row), None), format!("public.t {row} None false"));
    let row = r#"{"schema":{"a":1},"payload":{"b":1}}"#;
    let off = [("value.converter.schemas.enable", "false")];
    assert_eq!(said(&off, Some(row), None), format!("public.t {row} None false"));
    assert_eq!(said(&[], Some(row), None), r#"public.t {"b":1} None false"#);
}

#[test]
fn what_is_no_row_is_told_without_its_content() {
    for (value, why) in [
        ("secret", "the value is not JSON (line 1, column 1)"),
        ("[1]", "the value is no JSON object"),
        (r#"{"a":1"#, "the value is not JSON (line 1, column 6)"),
    ] {
        assert_eq!(said(&[], Some(value), None), why);
    }
}

#[test]
fn added_fields_are_passed_over() {
    let shape = handling(&[(REWRITE, "rewrite"), NULLS, FIELDS]).unwrap().shape("p.public.t");
    let Shape::Row(rows) = shape else { panic!("not a row") };
    let names: Vec<&str> = rows.passed_over().collect();
    assert_eq!(names, ["__op", "__source_ts_ms", "__was", "__lsn", "__deleted"]);
}

#[test]
fn a_predicate_says_which_topics_have_rows() {
    let predicate = [
        ("transforms.unwrap.predicate", "some"),
        ("predicates.some.type", TOPIC_NAME_MATCHES),
        ("predicates.some.pattern", r"p\.public\..*"),
    ];
    let is_row =
        |settings: &[(&str, &str)], topic: &str| matches!(handling(settings).unwrap().shape(topic), Shape::Row(_));
    assert!(is_row(&predicate, "p.public.t") && !is_row(&predicate, "p.other.t"));
    let negated = [predicate.as_slice(), &[("transforms.unwrap.negate", "true")]].concat();
    assert!(!is_row(&negated, "p.public.t") && is_row(&negated, "p.other.t"));
}

#[test]
fn settings_under_which_the_target_would_differ_are_refused() {
    for (settings, why) in [
        (vec![(REWRITE, "drop")], "must not be drop"),
        (vec![(REWRITE, "rewrite")], "replace.null.with.default must be false"),
        (vec![("transforms.unwrap.route.by.field", "v")], "route.by.field must not be set"),
        (
            vec![("transforms.unwrap.predicate", "x"), ("predicates.x.type", "…RecordIsTombstone")],
            "predicate must be a TopicNameMatches",
        ),
    ] {
        let faults = handling(&settings).unwrap_err().join("\n");
        assert!(faults.contains(why), "{faults}");
    }
}

#[test]
fn two_tables_of_one_topic_cannot_be_told_apart() {
    let Shape::Row(mut rows) = handling(&[]).unwrap().shape("p.public.a_b") else { panic!("not a row") };
    let table = |name: &str| ("public".to_owned(), name.to_owned());
    let error = rows.find(vec![table("a b"), table("a_b")], "p.public.a_b").unwrap_err();
    assert!(error.to_string().contains("public.a b and public.a_b"), "{error}");
    assert_eq!(rows.find(vec![table("a b")], "p.public.a_b").unwrap(), Some(("public", "a b")));
    assert!(rows.find(Vec::new(), "p.public.a_b").unwrap().is_none());
}
