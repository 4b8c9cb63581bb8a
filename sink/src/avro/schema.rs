//! An Avro schema (specification, "Schema Declaration") into how its values are read, and into the Connect schema that it was made
//! from (`AvroData.toConnectSchema`).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

/// A schema.
#[derive(Debug)]
pub struct Schema {
    /// How values are read.
    pub root: Arc<Node>,
    /// What a value begins with as the JSON converter writes it: `{"schema":…,"payload":`.
    pub head: Arc<[u8]>,
}

/// How a value is read.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are Avro's")]
pub enum Node {
    Null,
    Boolean,
    /// `int` and `long`, which are written alike.
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(Arc<Node>),
    Map(Arc<Node>),
    /// A map whose keys are no texts: records of key and value.
    Entries(Arc<Node>, Arc<Node>),
    /// Each field with its name as it stands in JSON, quoted and with its colon.
    Record(Vec<(String, Arc<Node>)>),
    Union(Vec<Arc<Node>>),
}

impl Schema {
    /// Of a schema's JSON.
    ///
    /// # Errors
    /// What in it is no Avro, or not written by Connect.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
        let mut names = Names::default();
        let (root, connect) = names.node(&json, None)?;
        let head = format!("{{\"schema\":{connect},\"payload\":");
        Ok(Self { root, head: head.into_bytes().into() })
    }
}

/// How long Connect's schemas of all named types may become where they are used again: one that is made of two of another, and so on, would
/// be longer than any memory.
const LONGEST: usize = 4 << 20;

/// The types that have a name, by their full names.
#[derive(Default)]
struct Names {
    known: HashMap<String, (Arc<Node>, Json)>,
    /// How long those are together that were used again.
    repeated: usize,
}

impl Names {
    /// A type, and Connect's schema of it; `space` is the namespace around.
    fn node(&mut self, json: &Json, space: Option<&str>) -> Result<(Arc<Node>, Json), String> {
        match json {
            Json::String(name) => self.named(name, &Map::new(), space),
            Json::Array(branches) => self.union(branches, space),
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => self.named(name, object, space),
                // A type inside of a type.
                Some(inner) => self.node(inner, space),
                None => Err("a type has no \"type\"".to_owned()),
            },
            _ => Err("a type is neither a name nor an object nor a list".to_owned()),
        }
    }

    fn named(
        &mut self,
        name: &str,
        object: &Map<String, Json>,
        space: Option<&str>,
    ) -> Result<(Arc<Node>, Json), String> {
        let (node, kind) = match name {
            "null" => (Node::Null, "string"),
            "boolean" => (Node::Boolean, "boolean"),
            "int" => (Node::Long, text(object, "connect.type").unwrap_or("int32")),
            "long" => (Node::Long, "int64"),
            "float" => (Node::Float, "float"),
            "double" => (Node::Double, "double"),
            "bytes" => (Node::Bytes, "bytes"),
            "string" => (Node::String, "string"),
            "array" => return self.array(object, space),
            "map" => {
                let (values, schema) = self.node(object.get("values").ok_or("a map has no \"values\"")?, space)?;
                let keys = json!({ "type": "string", "optional": false });
                let more = json!({ "keys": keys, "values": schema });
                return Ok((Arc::new(Node::Map(values)), connect("map", object, more)));
            }
            "record" => return self.record(object, space),
            "enum" => {
                let symbols = object.get("symbols").and_then(Json::as_array).ok_or("an enum has no \"symbols\"")?;
                let symbols = symbols.iter().filter_map(Json::as_str).map(str::to_owned).collect();
                return self.remember(
                    object,
                    space,
                    Arc::new(Node::Enum(symbols)),
                    connect("string", object, json!({})),
                );
            }
            "fixed" => {
                let size = object.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
                let node = Arc::new(Node::Fixed(size.ok_or("a fixed has no \"size\"")?));
                return self.remember(object, space, node, connect("bytes", object, json!({})));
            }
            name => {
                let full = full_name(name, space);
                let known = self.known.get(&full).or_else(|| self.known.get(name));
                // One inside of itself is not known yet: Connect has none.
                let known = known.ok_or_else(|| format!("{full} is not declared before it is used"))?;
                self.repeated += known.1.to_string().len();
                if self.repeated > LONGEST {
                    return Err(format!("{full} is used again too often"));
                }
                return Ok(known.clone());
            }
        };
        Ok((Arc::new(node), connect(kind, object, json!({}))))
    }

    fn array(&mut self, object: &Map<String, Json>, space: Option<&str>) -> Result<(Arc<Node>, Json), String> {
        let items = object.get("items").ok_or("an array has no \"items\"")?;
        let is_entry = items.get("connect.internal.type").and_then(Json::as_str) == Some("MapEntry")
            || items.get("name").and_then(Json::as_str) == Some("MapEntry");
        let (node, schema) = self.node(items, space)?;
        if let (true, Node::Record(fields)) = (is_entry, node.as_ref())
            && let [(_, key), (_, value)] = fields.as_slice()
        {
            let of = |place: usize| schema["fields"][place].clone();
            let more = json!({ "keys": of(0), "values": of(1) });
            return Ok((Arc::new(Node::Entries(key.clone(), value.clone())), connect("map", object, more)));
        }
        Ok((Arc::new(Node::Array(node)), connect("array", object, json!({ "items": schema }))))
    }

    fn record(&mut self, object: &Map<String, Json>, space: Option<&str>) -> Result<(Arc<Node>, Json), String> {
        let own = own_space(object, space);
        let (mut nodes, mut fields) = (Vec::new(), Vec::new());
        for field in object.get("fields").and_then(Json::as_array).ok_or("a record has no \"fields\"")? {
            let name = field.get("name").and_then(Json::as_str).ok_or("a field has no \"name\"")?;
            let of = field.get("type").ok_or_else(|| format!("field {name} has no \"type\""))?;
            let (node, mut schema) = self.node(of, own.as_deref())?;
            if let Json::Object(schema) = &mut schema {
                schema.insert("field".to_owned(), name.into());
                let default = field.get("default").filter(|default| !default.is_null() && !default.is_object());
                if let (Some(default), false) = (default, schema.get("type") == Some(&"bytes".into())) {
                    schema.entry("default").or_insert_with(|| default.clone());
                }
            }
            nodes.push((format!("{}:", Json::from(name)), node));
            fields.push(schema);
        }
        let node = Arc::new(Node::Record(nodes));
        self.remember(object, space, node, connect("struct", object, json!({ "fields": fields })))
    }

    fn remember(
        &mut self,
        object: &Map<String, Json>,
        space: Option<&str>,
        node: Arc<Node>,
        connect: Json,
    ) -> Result<(Arc<Node>, Json), String> {
        let name = text(object, "name").ok_or("a type that has to have a name has none")?;
        let full = full_name(name, own_space(object, space).as_deref());
        self.known.insert(full, (node.clone(), connect.clone()));
        Ok((node, connect))
    }

    fn union(&mut self, branches: &[Json], space: Option<&str>) -> Result<(Arc<Node>, Json), String> {
        let (mut nodes, mut schema) = (Vec::new(), json!({ "type": "string" }));
        for branch in branches {
            let (node, connect) = self.node(branch, space)?;
            if !matches!(node.as_ref(), Node::Null) {
                schema = connect;
            }
            nodes.push(node);
        }
        if let Json::Object(schema) = &mut schema {
            schema.insert("optional".to_owned(), nodes.iter().any(|node| matches!(node.as_ref(), Node::Null)).into());
        }
        Ok((Arc::new(Node::Union(nodes)), schema))
    }
}

fn text<'j>(object: &'j Map<String, Json>, key: &str) -> Option<&'j str> {
    object.get(key).and_then(Json::as_str)
}

/// The namespace that a type's own names are in.
fn own_space(object: &Map<String, Json>, space: Option<&str>) -> Option<String> {
    let by_name = text(object, "name").and_then(|name| name.rsplit_once('.')).map(|(space, _)| space);
    by_name.or_else(|| text(object, "namespace")).or(space).map(str::to_owned)
}

fn full_name(name: &str, space: Option<&str>) -> String {
    match space.filter(|space| !space.is_empty() && !name.contains('.')) {
        Some(space) => format!("{space}.{name}"),
        None => name.to_owned(),
    }
}

/// Connect's schema of a type: what Connect left there of it, or what Avro's logical types mean.
fn connect(kind: &str, object: &Map<String, Json>, more: Json) -> Json {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), kind.into());
    schema.insert("optional".to_owned(), false.into());
    let logical = match text(object, "logicalType") {
        Some("decimal") => Some("org.apache.kafka.connect.data.Decimal"),
        Some("date") => Some("org.apache.kafka.connect.data.Date"),
        Some("time-millis") => Some("org.apache.kafka.connect.data.Time"),
        Some("timestamp-millis") => Some("org.apache.kafka.connect.data.Timestamp"),
        _ => None,
    };
    let mut parameters = object.get("connect.parameters").and_then(Json::as_object).cloned().unwrap_or_default();
    if let (Some("decimal"), Some(scale)) = (text(object, "logicalType"), object.get("scale")) {
        parameters.entry("scale").or_insert_with(|| scale.to_string().into());
    }
    if let Some(name) = text(object, "connect.name").or(logical) {
        schema.insert("name".to_owned(), name.into());
    }
    if !parameters.is_empty() {
        schema.insert("parameters".to_owned(), parameters.into());
    }
    // A default of bytes is a text of as many characters, and means nothing as the base64 that it would be taken for.
    if let Some(default) = object.get("connect.default").filter(|_| kind != "bytes") {
        schema.insert("default".to_owned(), default.clone());
    }
    if let Json::Object(more) = more {
        schema.extend(more);
    }
    schema.into()
}
