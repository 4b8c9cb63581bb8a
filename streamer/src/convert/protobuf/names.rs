//! Names of packages, messages and fields.

/// `ProtobufData.DEFAULT_SCHEMA_NAME`: with a number, what has no name of its own.
pub(super) const DEFAULT: &str = "ConnectDefault";

/// Package and message of a schema's full name (`ProtobufData.splitName`).
///
/// # Errors
/// A part that Protobuf does not take.
pub(super) fn split(full_name: &str, scrub: bool) -> Result<(Option<String>, String), String> {
    let mut parts: Vec<String> = full_name.split('.').map(|part| scrubbed(part, scrub)).collect();
    let name = parts.pop().unwrap_or_default();
    check(&name, full_name)?;
    if parts.iter().any(String::is_empty) {
        return Err(not_a_name("", full_name));
    }
    Ok(((!parts.is_empty()).then(|| parts.join(".")), name))
}

/// The last part of a schema's full name (`ProtobufData.getUnqualifiedName`).
///
/// # Errors
/// When Protobuf does not take it.
pub(super) fn unqualified(full_name: &str, scrub: bool) -> Result<String, String> {
    let name = scrubbed(full_name.rsplit('.').next().unwrap_or_default(), scrub);
    check(&name, full_name)?;
    Ok(name)
}

/// A field's name.
///
/// # Errors
/// When Protobuf does not take it.
pub(super) fn field(name: &str, of: &str, scrub: bool) -> Result<String, String> {
    let name = scrubbed(name, scrub);
    check(&name, of)?;
    Ok(name)
}

/// `scrub.invalid.names` (`ProtobufData.doScrubName`): Java's `URLEncoder` with an underscore for what is still not taken.
fn scrubbed(name: &str, scrub: bool) -> String {
    if !scrub {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    if name.starts_with(|first: char| first.is_ascii_digit() || first == '_') {
        out.push('x');
    }
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            // What the encoder leaves, the blank that it makes a plus, and the underscore itself.
            b'_' | b'-' | b'.' | b'*' | b' ' => out.push('_'),
            other => out.push_str(&format!("_{other:02X}")),
        }
    }
    out
}

/// What `com.google.protobuf.Descriptors` takes: letters, digits and underscores, no digit first.
fn check(name: &str, of: &str) -> Result<(), String> {
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let mut letters = name.chars();
    if letters.next().is_some_and(is_letter) && letters.all(|letter| is_letter(letter) || letter.is_ascii_digit()) {
        return Ok(());
    }
    Err(not_a_name(name, of))
}

fn not_a_name(name: &str, of: &str) -> String {
    format!(
        "\"{name}\" in {of} is not a valid identifier in Protobuf; set scrub.invalid.names=true on the converter, or \
         schema.name.adjustment.mode=avro and field.name.adjustment.mode=avro on the connector, or rename the table or \
         column"
    )
}
