//! Connectors given on the command line (`--connector FILE`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use access::diagnosis::Finding;
use access::java_properties;

/// A connector's name and its configuration.
pub type Connector = (String, BTreeMap<String, String>);

/// A connector from a file: `{"name": …, "config": {…}}`, a flat JSON object with a `name`, or `.properties` with one.
///
/// # Errors
/// What is wrong with the file, by its name; never its values.
pub fn read(path: &Path) -> Result<Connector, Finding> {
    let fail = |why: String| {
        Finding::error(
            "connector-file",
            format!("connector file {}: {why}", path.display()),
            "Expected is {\"name\": \"…\", \"config\": {\"connector.class\": \
             \"io.debezium.connector.postgresql.PostgresConnector\", …}}, or a file of properties with a name",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let is_properties = path.extension().is_some_and(|extension| extension == "properties");
    let mut config = if is_properties {
        java_properties::parse(&text).map_err(|error| fail(error.to_string()))?
    } else {
        let json: Value = serde_json::from_str(&text).map_err(|error| fail(format!("not JSON: {error}")))?;
        let object = json.as_object().ok_or_else(|| fail("a JSON object is expected".to_owned()))?;
        let inner = match object.get("config") {
            Some(config) => config.as_object().ok_or_else(|| fail("\"config\" must be an object".to_owned()))?,
            None => object,
        };
        let mut config =
            flat(inner).map_err(|key| fail(format!("the value of {key} must be a text, a number or a boolean")))?;
        if let Some(Value::String(name)) = object.get("name") {
            config.insert("name".to_owned(), name.clone());
        }
        config
    };
    let name = config.remove("name").ok_or_else(|| fail("it has no \"name\"".to_owned()))?;
    Ok((name, config))
}

/// A JSON object as Connect takes it: numbers and booleans become texts, nulls are left out.
///
/// # Errors
/// The key whose value is an array or an object.
pub fn flat(object: &serde_json::Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let mut config = BTreeMap::new();
    for (key, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(key.clone()),
        };
        config.insert(key.clone(), text);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(suffix: &str, text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn json_with_or_without_an_envelope_and_properties_say_the_same() {
        let expected = ("c".to_owned(), BTreeMap::from([("tasks.max".to_owned(), "1".to_owned())]));
        for (suffix, text) in [
            (".json", r#"{"name":"c","config":{"tasks.max":1,"x":null}}"#),
            (".json", r#"{"name":"c","tasks.max":"1"}"#),
            (".properties", "name=c\ntasks.max=1\n"),
        ] {
            assert_eq!(read(file(suffix, text).path()).unwrap(), expected);
        }
    }

    #[test]
    fn a_malformed_file_is_named_with_its_fault() {
        for (text, why) in [
            ("{", "not JSON"),
            ("[]", "object is expected"),
            (r#"{"a":"b"}"#, "no \"name\""),
            (r#"{"name":"c","config":{"a":[]}}"#, "value of a"),
        ] {
            let error = read(file(".json", text).path()).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(".json"), "{error}");
        }
    }
}
