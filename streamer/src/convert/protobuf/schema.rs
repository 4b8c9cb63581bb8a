//! The Protobuf schema of a Connect schema, as Confluent's `ProtobufData.fromConnectSchema` derives it and its
//! `ProtobufSchema.canonicalString` writes it.

use std::collections::{HashMap, HashSet};

use proto::connect::schema::{Field, Schema, SchemaKind};

use super::known_types::{Logical, WRAPPERS, wrapper};
use super::{Shape, names};

/// Of the file of the wrappers, which is the schema of what is no struct.
const WRAPPERS_TEXT: &str = include_str!("wrappers.proto");

/// The schema's text.
///
/// # Errors
/// What Protobuf has no form for: an array of arrays, a name with characters that it does not take, one name for two
/// different structs.
pub(super) fn text(schema: &Schema, shape: Shape) -> Result<String, String> {
    let fields = match &schema.kind {
        SchemaKind::Struct(fields) => fields,
        kind if wrapper(kind).is_some() && Logical::of(schema).is_none() => return Ok(WRAPPERS_TEXT.to_owned()),
        kind => {
            let kind = schema.name.as_deref().unwrap_or_else(|| crate::convert::primitive::type_name(kind));
            return Err(format!("{kind} has no form in Protobuf where it is no field of a struct"));
        }
    };
    let mut writer = Writer { shape, unnamed: 0, imports: Vec::new() };
    let full_name = writer.name_or_default(schema);
    let (package, name) = names::split(&full_name, shape.scrub_invalid_names)?;
    let message = writer.message(&name, fields)?;
    let mut text = String::from("syntax = \"proto3\";\n");
    if let Some(package) = package {
        text.push_str(&format!("package {package};\n"));
    }
    if !writer.imports.is_empty() {
        text.push('\n');
        for file in &writer.imports {
            text.push_str(&format!("import \"{file}\";\n"));
        }
    }
    text.push('\n');
    for line in message {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The full name of the message that a schema becomes.
///
/// # Errors
/// When it has no form, or its name is none.
pub(super) fn record_name(schema: &Schema, shape: Shape) -> Result<String, String> {
    if let Some((name, _)) = wrapper(&schema.kind) {
        return Ok(name.to_owned());
    }
    let full_name = Writer { shape, unnamed: 0, imports: Vec::new() }.name_or_default(schema);
    let (package, name) = names::split(&full_name, shape.scrub_invalid_names)?;
    Ok(package.map_or(name.clone(), |package| format!("{package}.{name}")))
}

struct Writer {
    shape: Shape,
    /// How many schemas without a name there were.
    unnamed: u32,
    imports: Vec<&'static str>,
}

/// A message's messages: the structs by their names, and everything that has a name in it.
struct Scope<'a> {
    message: String,
    structs: HashMap<String, &'a SchemaKind>,
    taken: HashSet<String>,
    nested: Vec<Vec<String>>,
}

impl<'a> Scope<'a> {
    fn take(&mut self, name: &str) -> Result<(), String> {
        if self.taken.insert(name.to_owned()) {
            return Ok(());
        }
        Err(format!(
            "\"{name}\" is already defined in \"{}\", and Protobuf knows a name only once; rename the column",
            self.message
        ))
    }
}

impl Writer {
    /// The lines of a message, without those around.
    fn message(&mut self, name: &str, fields: &[Field]) -> Result<Vec<String>, String> {
        let mut scope =
            Scope { message: name.to_owned(), structs: HashMap::new(), taken: HashSet::new(), nested: Vec::new() };
        let mut lines = Vec::new();
        for (field, number) in fields.iter().zip(1..) {
            let field_name = names::field(&field.name, name, self.shape.scrub_invalid_names)?;
            let is_optional = self.shape.optional_for_nullables && field.schema.optional;
            self.field(&field_name, &field.schema, number, is_optional, &mut scope, &mut lines)?;
        }
        Ok(closed(name, lines, scope.nested))
    }

    /// The message of a map's entry. It is no map of Protobuf's, whose keys and values are not as free.
    fn map_entry(&mut self, name: &str, key: &Schema, value: &Schema) -> Result<Vec<String>, String> {
        let mut scope =
            Scope { message: name.to_owned(), structs: HashMap::new(), taken: HashSet::new(), nested: Vec::new() };
        let mut lines = Vec::new();
        self.field("key", key, 1, false, &mut scope, &mut lines)?;
        self.field("value", value, 2, false, &mut scope, &mut lines)?;
        Ok(closed(name, lines, scope.nested))
    }

    fn field<'a>(
        &mut self,
        name: &str,
        schema: &'a Schema,
        number: u32,
        is_optional: bool,
        scope: &mut Scope<'a>,
        lines: &mut Vec<String>,
    ) -> Result<(), String> {
        let (label, schema) = match &schema.kind {
            SchemaKind::Array(element) => match &element.kind {
                SchemaKind::Array(_) => return Err(format!("{name}: Array cannot be nested")),
                SchemaKind::Map(..) => return Err(format!("{name}: Protobuf has no array of maps")),
                _ => ("repeated ", element.as_ref()),
            },
            SchemaKind::Map(..) => ("repeated ", schema),
            _ => (if is_optional { "optional " } else { "" }, schema),
        };
        scope.take(name)?;
        let of = self.type_of(schema, name, scope)?;
        let mut line = format!("  {label}{of} {name} = {number}");
        let parameters = parameters(schema);
        if !parameters.is_empty() {
            line.push_str(" [(confluent.field_meta) = {");
            lines.push(std::mem::take(&mut line));
            lines.push("    params: [".to_owned());
            let last = parameters.len() - 1;
            for (index, [first, second]) in parameters.iter().enumerate() {
                lines.extend(["      {".to_owned(), format!("        {first},"), format!("        {second}")]);
                lines.push(if index < last { "      }," } else { "      }" }.to_owned());
            }
            lines.push("    ]".to_owned());
            line.push_str("  }]");
        }
        line.push(';');
        lines.push(line);
        Ok(())
    }

    /// The name of a field's type (`ProtobufData.dataTypeFromConnectSchema`); a message that it needs is in the scope then.
    fn type_of<'a>(&mut self, schema: &'a Schema, field: &str, scope: &mut Scope<'a>) -> Result<String, String> {
        if let Some(logical) = Logical::of(schema) {
            let (name, file) = logical.message();
            self.import(file);
            return Ok(name.to_owned());
        }
        let is_wrapped = self.shape.wrapper_for_nullables && schema.optional;
        if let Some((name, _)) = wrapper(&schema.kind).filter(|_| is_wrapped) {
            self.import(WRAPPERS);
            return Ok(name.to_owned());
        }
        match &schema.kind {
            SchemaKind::Boolean => Ok("bool".to_owned()),
            SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 => Ok("int32".to_owned()),
            SchemaKind::Int64 => Ok("int64".to_owned()),
            SchemaKind::Float32 => Ok("float".to_owned()),
            SchemaKind::Float64 => Ok("double".to_owned()),
            SchemaKind::String => Ok("string".to_owned()),
            SchemaKind::Bytes => Ok("bytes".to_owned()),
            SchemaKind::Map(key, value) => {
                let name = format!("{}Entry", self.unqualified(schema)?);
                scope.take(&name)?;
                let lines = self.map_entry(&name, key, value)?;
                scope.nested.push(lines);
                Ok(name)
            }
            SchemaKind::Struct(fields) => {
                let mut name = self.unqualified(schema)?;
                if name == field {
                    name.push_str("Message");
                }
                match scope.structs.get(&name) {
                    Some(known) if **known == schema.kind => {}
                    None if name != scope.message => {
                        scope.take(&name)?;
                        scope.structs.insert(name.clone(), &schema.kind);
                        let lines = self.message(&name, fields)?;
                        scope.nested.push(lines);
                    }
                    _ => {
                        return Err(format!(
                            "{field}: the structs {name} are of two different forms, and Protobuf knows a name only once"
                        ));
                    }
                }
                Ok(name)
            }
            SchemaKind::Array(_) => Err(format!("{field}: Array cannot be nested")),
        }
    }

    fn import(&mut self, file: &'static str) {
        if !self.imports.contains(&file) {
            self.imports.push(file);
        }
    }

    fn unqualified(&mut self, schema: &Schema) -> Result<String, String> {
        let full_name = self.name_or_default(schema);
        names::unqualified(&full_name, self.shape.scrub_invalid_names)
    }

    fn name_or_default(&mut self, schema: &Schema) -> String {
        match &schema.name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => {
                self.unnamed += 1;
                format!("{}{}", names::DEFAULT, self.unnamed)
            }
        }
    }
}

/// What Connect knows and Protobuf does not, so that it reads back. The order in a pair is Confluent's.
fn parameters(schema: &Schema) -> Vec<[String; 2]> {
    let key_first = |key: &str, value: &str| [format!("key: \"{key}\""), format!("value: \"{value}\"")];
    if Logical::of(schema) == Some(Logical::Decimal) {
        return [("precision", "connect.decimal.precision"), ("scale", "scale")]
            .into_iter()
            .filter_map(|(key, parameter)| {
                let [key, value] = key_first(key, schema.parameter(parameter)?);
                Some([value, key])
            })
            .collect();
    }
    match schema.kind {
        _ if Logical::of(schema).is_some() => Vec::new(),
        SchemaKind::Int8 => vec![key_first("connect.type", "int8")],
        SchemaKind::Int16 => vec![key_first("connect.type", "int16")],
        _ => Vec::new(),
    }
}

/// A message's lines; nested ones stand behind the fields, and every line of theirs is indented, empty ones too.
fn closed(name: &str, fields: Vec<String>, nested: Vec<Vec<String>>) -> Vec<String> {
    if fields.is_empty() {
        return vec![format!("message {name} {{}}")];
    }
    let mut lines = vec![format!("message {name} {{")];
    lines.extend(fields);
    if !nested.is_empty() {
        lines.push(String::new());
        lines.extend(nested.into_iter().flatten().map(|line| format!("  {line}")));
    }
    lines.push("}".to_owned());
    lines
}
