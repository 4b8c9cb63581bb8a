//! Confluent's wire format: a zero byte and the schema's id in the registry before the value
//! (`AbstractKafkaSchemaSerDe`).

use std::sync::Arc;

use proto::connect::record::SchemaAndValue;
use proto::connect::schema::Schema;
use proto::connect::value::Value;
use tokio::sync::OnceCell;

use super::{Registry, RegistryConfig};
use crate::convert::known_schemas::KnownSchemas;
use crate::convert::unconvertible;
use crate::error::TaskError;

/// A language that schemas are registered in.
#[derive(Debug, Clone, Copy)]
pub(in crate::convert) struct Language {
    /// Its name in messages.
    pub(in crate::convert) name: &'static str,
    /// The registry's name of it, none for Avro.
    pub(in crate::convert) schema_type: Option<&'static str>,
}

/// A schema in a language.
#[derive(Debug)]
pub(in crate::convert) struct Described {
    pub(in crate::convert) text: String,
    /// What it calls the record, which a subject may be named by.
    pub(in crate::convert) record: Option<String>,
}

/// One converter's registry, and the ids it gave.
#[derive(Debug)]
pub(in crate::convert) struct SchemaIds {
    language: Language,
    config: RegistryConfig,
    registry: OnceCell<Registry>,
    known: KnownSchemas<u32>,
}

impl SchemaIds {
    /// Nothing is asked before the first schema.
    pub(in crate::convert) fn new(language: Language, config: &RegistryConfig) -> Self {
        Self { language, config: config.clone(), registry: OnceCell::new(), known: KnownSchemas::default() }
    }

    /// Begins a record with its schema's id, and gives the schema that the value behind it is to be written by; `None` when
    /// there is no value, which is written as none. `describe` is called for a schema that is new in its topic.
    ///
    /// # Errors
    /// As [`Registry::id`]; stop when the value has no schema, or the language none for it.
    pub(in crate::convert) async fn begin<'a>(
        &self,
        topic: &str,
        data: &'a SchemaAndValue,
        describe: impl FnOnce(&Schema) -> Result<Described, String>,
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a Arc<Schema>>, TaskError> {
        if data.value == Value::Null {
            return Ok(None);
        }
        let Some(schema) = &data.schema else {
            let language = self.language.name;
            return Err(unconvertible(topic, &format!("the value has no schema, and {language} is written by one")));
        };
        let id = match self.known.get(topic, schema) {
            Some(id) => id,
            None => {
                let described = describe(schema).map_err(|why| unconvertible(topic, &why))?;
                // Boxed: it is rare, and would make the future of every record large.
                self.known.insert(topic, schema, Box::pin(self.ask(topic, &described)).await?)
            }
        };
        out.push(0);
        out.extend_from_slice(&id.to_be_bytes());
        Ok(Some(schema))
    }

    async fn ask(&self, topic: &str, schema: &Described) -> Result<u32, TaskError> {
        let registry = self.registry.get_or_try_init(|| async { Registry::new(&self.config) }).await?;
        let subject = registry.subject(topic, schema.record.as_deref()).map_err(|why| unconvertible(topic, &why))?;
        registry.id(&subject, &schema.text, self.language.schema_type).await
    }
}
