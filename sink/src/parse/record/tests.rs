//! Records, and what they say.

use serde_json::Map;
use serde_json::Value as Json;

use super::super::head::Heads;
use super::*;

const SOURCE: &str = r#""source":{"schema":"public","table":"t","ts_ms":5}"#;

fn value(text: &str) -> Value {
    Value::alone(text.as_bytes())
}

fn read_value(value: &Value) -> Result<Change<'_>, Unreadable> {
    read_envelope(Some(br#"{"id":1}"#), Some(value), None)
}

#[test]
fn an_envelope_is_read_with_and_without_its_schema() {
    let bare = format!(r#"{{"before":null,"after":{{"id":1}},{SOURCE},"op":"c"}}"#);
    let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{bare}}}"#);
    let (bare, wrapped) = (value(&bare), value(&wrapped));
    let Ok(Change::Upsert(change)) = read_value(&bare) else { panic!("not an upsert") };
    assert_eq!((change.table.as_ref(), change.row, change.ts_ms), ("t", r#"{"id":1}"#, Some(5)));
    assert_eq!(read_value(&wrapped), Ok(Change::Upsert(change)));
}

#[test]
fn a_change_says_where_in_the_log_it_stands_and_what_a_snapshot_read_does_not() {
    let written = |op: &str, more: &str| {
        let source = format!(r#""source":{{"schema":"public","table":"t",{more}}}"#);
        match read_value(&value(&format!(r#"{{"after":{{"id":1}},{source},"op":"{op}"}}"#))) {
            Ok(Change::Upsert(TableChange { written, .. }) | Change::Truncate { written, .. }) => written,
            _ => panic!("neither"),
        }
    };
    let both = r#""txId":4294967295,"lsn":17,"xmin":null"#;
    let place = Some(Written { transaction: Xid::from(u32::MAX), lsn: Lsn::from(17) });
    assert_eq!((written("c", both), written("t", both), written("r", both)), (place, place, None));
    for other in [r#""txId":null,"lsn":17"#, r#""txId":7"#, r#""txId":-1,"lsn":17"#, r#""txId":"7","lsn":17"#] {
        assert_eq!(written("u", other), None, "{other}");
    }
}

#[test]
fn the_next_record_with_the_same_schema_is_read_behind_it() {
    let envelope = |id: i64| format!(r#"{{"before":null,"after":{{"id":{id}}},{SOURCE},"op":"c"}}"#);
    let wrapped =
        |envelope: &str, behind: &str| format!(r#"{{"schema":{{"type":"struct"}},"payload":{envelope}{behind}}} "#);
    let row = |value: &Value| {
        read_envelope(None, Some(value), None).map(|change| match change {
            Change::Upsert(change) => change.row.to_owned(),
            _ => panic!("not an upsert"),
        })
    };
    let mut heads = Heads::default();
    let mut next = |text: &str| {
        let value = heads.value("t", text.as_bytes());
        assert_eq!(value.whole(), text.as_bytes());
        value
    };
    for (id, behind) in [(1, ""), (2, " ")] {
        let (envelope, text) = (envelope(id), wrapped(&envelope(id), behind));
        let value = next(&text);
        assert_eq!(value.size(), text.len() - text.find(&envelope).unwrap());
        assert_eq!(row(&value).unwrap(), format!(r#"{{"id":{id}}}"#));
    }
    for other in [
        wrapped(&envelope(3), ",\"more\":1"),
        wrapped(&envelope(3), "]"),
        wrapped("[]", ""),
        wrapped("null", ""),
        wrapped(&envelope(3), "").replacen("}}", "}", 1),
    ] {
        assert_eq!(row(&next(&other)), row(&value(&other)).map(|_| String::new()));
    }
    assert_eq!(row(&next(&envelope(4))).unwrap(), r#"{"id":4}"#);
}

#[test]
fn a_field_that_ends_as_the_payload_does_is_not_taken_for_it() {
    let envelope = format!(r#"{{"after":{{"id":1}},{SOURCE},"op":"c"}}"#);
    let schema_first = format!(r#"{{"schema":{envelope},"payload":{envelope}}}"#);
    let other = schema_first.replacen("\"payload\"", "\"x\":1,\"payload\"", 1).replacen("\"id\":1", "\"id\":2", 1);
    let mut heads = Heads::default();
    for text in [&schema_first, &other] {
        let value = heads.value("t", text.as_bytes());
        assert_eq!(read_value(&value), read_value(&self::value(text)));
    }
}

#[test]
fn a_delete_goes_by_its_key_and_its_tombstone_is_nothing() {
    let delete = format!(r#"{{"before":{{"id":1}},"after":null,{SOURCE},"op":"d"}}"#);
    assert!(matches!(read_value(&value(&delete)), Ok(Change::Delete(change)) if change.row == r#"{"id":1}"#));
    assert_eq!(read_envelope(Some(br#"{"id":1}"#), None, None), Ok(Change::Nothing));
    let delete = value(&delete);
    let Ok(Change::Delete(change)) = read_envelope(None, Some(&delete), None) else { panic!("not a delete") };
    assert_eq!(change.row, r#"{"id":1}"#, "without a key it is the row as it was");
    let neither = format!(r#"{{"before":null,"after":null,{SOURCE},"op":"d"}}"#);
    assert!(read_envelope(None, Some(&value(&neither)), None).is_err());
}

#[test]
fn a_message_of_the_event_triggers_is_a_definition_and_any_other_nothing() {
    let message = |prefix: &str, content: &str| {
        let message =
            format!(r#"{{"op":"m","ts_ms":1,"source":{{}},"message":{{"prefix":"{prefix}","content":{content}}}}}"#);
        read_value(&value(&message)).map(|change| match change {
            Change::Definition(content, _) => Some(String::from_utf8(content).unwrap()),
            Change::Nothing => None,
            _ => panic!("a row"),
        })
    };
    for content in [r#""eyJhIjoxfQ==""#, r#""7b2261223a317d""#] {
        assert_eq!(message(PREFIX, content), Ok(Some(r#"{"a":1}"#.to_owned())));
    }
    assert_eq!(message("app", r#""eyJhIjoxfQ==""#), Ok(None));
    assert_eq!(message("app", "null"), Ok(None));
    assert!(message(PREFIX, r#""!""#).is_err());
}

#[test]
fn the_delete_of_a_changed_key_is_a_rename() {
    let delete = format!(r#"{{"before":{{"id":1}},"after":null,{SOURCE},"op":"d"}}"#);
    let new_key = br#"{"schema":{},"payload":{"id":2}}"#;
    let delete = value(&delete);
    let change = read_envelope(Some(br#"{"id":1}"#), Some(&delete), Some(new_key)).unwrap();
    assert!(matches!(change, Change::Rename { new_key, .. } if new_key == r#"{"id":2}"#));
}

#[test]
fn what_is_no_envelope_is_told_without_its_content() {
    for (text, why) in [
        ("secret", "the value is not JSON (line 1, column 1)"),
        ("[1]", "the value is no JSON object"),
        (r#"{"a":1}"#, "the value is no Debezium envelope: it has no op"),
        (r#"{"op":"c"}"#, "the envelope has no source.schema"),
        (r#"{"schema":{},"payload":[1]}"#, "the value's payload is no JSON object"),
    ] {
        assert_eq!(read_value(&value(text)), Err(Unreadable::new(why)), "{text}");
    }
}

/// What a record says, told of the whole JSON as a tree.
fn told(value: &str) -> Result<String, ()> {
    let of = |value: Json| if let Json::Object(fields) = value { Ok(fields) } else { Err(()) };
    let mut fields = of(serde_json::from_str(value).map_err(|_| ())?)?;
    if fields.len() == 2 && fields.contains_key("schema") && fields.contains_key("payload") {
        fields = of(fields.remove("payload").ok_or(())?)?;
    }
    let Some(op) = fields.get("op").and_then(Json::as_str) else {
        return if fields.len() == 1 && fields.contains_key("ts_ms") { Ok("nothing".to_owned()) } else { Err(()) };
    };
    if op == "m" {
        return Ok("nothing".to_owned());
    }
    let source = fields.get("source").and_then(Json::as_object).ok_or(())?;
    let text = |name: &str| source.get(name).and_then(Json::as_str).ok_or(());
    let (schema, table) = (text("schema")?, text("table")?);
    let ts_ms = source.get("ts_ms").and_then(Json::as_i64).unwrap_or_default();
    match op {
        "t" => Ok(format!("truncate {schema} {table}")),
        "c" => {
            let row: &Map<String, Json> = fields.get("after").and_then(Json::as_object).ok_or(())?;
            Ok(format!("upsert {schema} {table} {ts_ms} {}", Json::Object(row.clone())))
        }
        _ => Err(()),
    }
}

fn found(heads: &mut Heads, text: &str) -> Result<String, ()> {
    match read_envelope(None, Some(&heads.value("t", text.as_bytes())), None) {
        Ok(Change::Nothing) => Ok("nothing".to_owned()),
        Ok(Change::Truncate { schema, table, .. }) => Ok(format!("truncate {schema} {table}")),
        Ok(Change::Upsert(TableChange { schema, table, row, ts_ms, .. })) => {
            let row: Json = serde_json::from_str(row).unwrap();
            let ts_ms = ts_ms.unwrap_or_default();
            Ok(format!("upsert {schema} {table} {ts_ms} {row}"))
        }
        Ok(_) => panic!("neither"),
        Err(_) => Err(()),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    /// Fields in any order, twice, missing, of another type, in a schema's company or not.
    #[test]
    fn a_record_says_what_its_json_says(
        fields in proptest::collection::vec((0..12_usize, 0..9_usize), 0..9),
        around in proptest::collection::vec((0..3_usize, 0..3_usize), 0..4),
    ) {
        const NAMES: [&str; 12] = [
            "op", "op", "source", "source", "after", "after", "ts_ms", "before", "\\u006fp", "schema", "payload", "é\\n",
        ];
        const VALUES: [&str; 9] = [
            "null", "\"c\"", "\"t\"", "\"\\u0063\"", "17", "-1.5e3", "[1,{\"a\":[]}]",
            r#"{"schema":"public","table":"t","ts_ms":5,"x":{"y":[1]}}"#,
            r#"{"schema":"p\u00fc\"","table":"é","ts_ms":5.5,"table":"u"}"#,
        ];
        let list = |fields: &[(usize, usize)]| {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("\"{}\" :{}", NAMES[*name], VALUES[*value])).collect();
            format!("{{{}}}", fields.join(", "))
        };
        let envelope = list(&fields);
        let around: Vec<String> = around
            .iter()
            .map(|(name, value)| format!("\"{}\":{}", ["schema", "payload", "op"][*name], [&envelope, "{}", "1"][*value]))
            .collect();
        let around = format!("{{\"schema\":{{}},\"payload\":{envelope},{}}}", around.join(",")).replace(",}", "}");
        let mut heads = Heads::default();
        for value in [&envelope, &around, &around, &format!("{{\"schema\":{{}},\"payload\":{envelope}}}")] {
            proptest::prop_assert_eq!(found(&mut heads, value), told(value), "{}", value);
        }
    }
}
