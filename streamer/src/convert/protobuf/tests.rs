//! Against what Confluent's own `ProtobufData` 8.0.5 makes of the same records: `reference.txt` holds, line by line, settings
//! and a record as `JsonConverter` writes it, the schema's text as a JSON string, and message indexes and message in hex. Where
//! Confluent's fails, its words stand in place of the schema and a dash in place of the message.

use super::super::testing::connect;
use super::*;

const REFERENCE: &str = include_str!("reference.txt");

fn shape(settings: &str) -> Shape {
    let mut shape = Shape::default();
    for setting in settings.split(',').filter_map(|setting| setting.strip_suffix("=true")) {
        match setting {
            "optional.for.nullables" => shape.optional_for_nullables = true,
            "wrapper.for.nullables" => shape.wrapper_for_nullables = true,
            "scrub.invalid.names" => shape.scrub_invalid_names = true,
            "ignore.default.for.nullables" => shape.ignore_default_for_nullables = true,
            other => assert!(WITHOUT_EFFECT.contains(&other), "{other}"),
        }
    }
    shape
}

fn converted(data: &SchemaAndValue, shape: Shape) -> Result<(String, String), String> {
    let schema = data.schema.as_ref().unwrap();
    let text = schema::text(schema, shape)?;
    let (mut indexes, mut message) = (Vec::new(), Vec::new());
    message_indexes(schema, &mut indexes);
    encode::encode(&data.value, schema, shape, &mut message)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok((text, format!("{} {}", hex(&indexes), hex(&message))))
}

#[test]
fn schemas_and_values_are_those_of_confluents_converter() {
    let lines: Vec<&str> = REFERENCE.lines().collect();
    assert!(lines.len() >= 300 && lines.len().is_multiple_of(3));
    for lines in lines.chunks(3) {
        let (settings, record) = lines[0].split_once('\t').unwrap();
        let expected: String = serde_json::from_str(lines[1]).unwrap();
        let converted = converted(&connect(record), shape(settings));
        if lines[2] == "-" {
            assert!(converted.is_err(), "{expected}: {record}");
        } else {
            let (text, bytes) = converted.unwrap_or_else(|why| panic!("{why}: {record}"));
            assert_eq!(text, expected, "{settings} {record}");
            assert_eq!(bytes, lines[2], "{settings} {record}");
        }
    }
}
