//! Against what Java's libraries make of the same records: `reference.txt` holds, line by line, a record as
//! `JsonConverter` writes it, the schema of a fork of Confluent's `AvroData`, and the value of Avro's `GenericDatumWriter`.

use proto::connect::schema::{Field, SchemaKind};
use proto::connect::value::Value;
use serde_json::Value as Json;

use super::super::testing::connect;
use super::*;

const REFERENCE: &str = include_str!("reference.txt");

#[test]
fn schemas_and_values_are_those_of_javas_libraries() {
    let lines: Vec<&str> = REFERENCE.lines().collect();
    assert!(lines.len() >= 12);
    for lines in lines.chunks(3) {
        let data = connect(lines[0]);
        let schema = data.schema.unwrap();
        let text = schema::text(&schema, true).unwrap();
        assert_eq!(text, lines[1]);
        let mut out = Vec::new();
        encode::encode(&data.value, &schema, true, &mut out).unwrap();
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, lines[2], "{}", lines[0]);
    }
}

#[test]
fn without_meta_data_nothing_of_connect_is_in_the_schema() {
    let data = connect(REFERENCE.lines().next().unwrap());
    let text = schema::text(&data.schema.unwrap(), false).unwrap();
    assert!(!text.contains("connect."), "{text}");
    assert!(serde_json::from_str::<Json>(&text).is_ok());
}

#[test]
fn a_name_that_avro_does_not_take_is_refused_with_what_to_do() {
    let schema = Schema::structure([("a-b", Schema::new(SchemaKind::String))]).named("srv.public.t.Value", 1);
    let error = schema::text(&schema, true).unwrap_err();
    assert!(error.starts_with("a-b in srv.public.t.Value") && error.contains("field.name.adjustment.mode"), "{error}");
}

#[test]
fn one_name_for_two_structs_is_refused() {
    let one = Schema::structure([("a", Schema::new(SchemaKind::String))]);
    let other = Schema::structure([("b", Schema::new(SchemaKind::String))]);
    let fields = [("x", one), ("y", other)].map(|(name, schema)| Field { name: name.to_owned(), schema });
    let both = Schema::new(SchemaKind::Struct(fields.into())).named("s.Both", 1);
    assert!(schema::text(&both, true).unwrap_err().contains("io.confluent.connect.avro.ConnectDefault"));
}

#[test]
fn a_required_null_is_refused_and_its_place_is_named() {
    let schema = Schema::structure([("a", Schema::new(SchemaKind::String))]);
    let error = encode::encode(&Value::Struct(vec![Value::Null]), &schema, true, &mut Vec::new()).unwrap_err();
    assert_eq!(error, "a: Found null value for non-optional schema");
}
