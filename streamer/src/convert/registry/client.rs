//! What a registry is asked: a schema's id in a subject.

use access::{https, key_store};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustls::ClientConfig;
use serde_json::{Value, json};

use super::{Authorization, RegistryConfig, Store};
use crate::config::Secret;
use crate::error::TaskError;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A registry's client.
#[derive(Debug)]
pub(in crate::convert) struct Registry {
    config: RegistryConfig,
    client: Client,
}

impl Registry {
    /// Ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// Stop when a certificate cannot be used.
    pub(in crate::convert) fn new(config: &RegistryConfig) -> Result<Self, TaskError> {
        let unusable = |error: &dyn std::fmt::Display| {
            TaskError::stop("registry-settings", format!("the schema registry's client cannot be set up: {error}"))
        };
        let headers: HeaderMap = config
            .headers
            .iter()
            .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)))
            .collect();
        let client = Client::builder()
            .use_preconfigured_tls(tls(config)?)
            .default_headers(headers)
            .connect_timeout(config.connect_timeout)
            .timeout(config.read_timeout)
            .no_proxy()
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self { config: config.clone(), client })
    }

    /// The id of a schema in a subject: registered, or found where registering is not wanted. `kind` is the registry's
    /// name of the schema's language, none for Avro.
    ///
    /// # Errors
    /// Retry when no registry answers; stop when it refuses the schema or does not know it.
    pub(in crate::convert) async fn id(
        &self,
        subject: &str,
        schema: &str,
        kind: Option<&str>,
    ) -> Result<u32, TaskError> {
        let mut body = json!({ "schema": schema });
        if let (Some(kind), Some(body)) = (kind, body.as_object_mut()) {
            body.insert("schemaType".to_owned(), kind.into());
        }
        let normalize = if self.config.normalize { "?normalize=true" } else { "" };
        let name = urlencoded(subject);
        let (answer, what) = if self.config.auto_register {
            let path = format!("/subjects/{name}/versions{normalize}");
            (self.ask(Method::POST, &path, Some(&body)).await?, "register its schema")
        } else if self.config.use_latest {
            let path = format!("/subjects/{name}/versions/latest");
            (self.ask(Method::GET, &path, None).await?, "find its latest schema")
        } else {
            (self.ask(Method::POST, &format!("/subjects/{name}{normalize}"), Some(&body)).await?, "find its schema")
        };
        let (status, answer) = answer;
        if !status.is_success() {
            return Err(self.refused(subject, what, status, &answer));
        }
        if self.config.use_latest && !self.config.auto_register && !is_same(&answer, schema) {
            return Err(TaskError::stop(
                "registry-latest-differs",
                format!(
                    "subject {subject}: the latest schema in the registry is another than the records have, and \
                 use.latest.version=true asks for it. Nothing of this is published. Register the table's schema as the \
                 subject's latest version, or set use.latest.version=false"
                ),
            ));
        }
        let id = answer.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| {
            TaskError::stop("registry-refused", format!(
                "subject {subject}: the schema registry's answer has no id. Check that schema.registry.url ({}) is the \
                 address of a registry with Confluent's API",
                self.addresses()
            ))
        })
    }

    /// The first answer of any of the registries.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value), TaskError> {
        let mut last = None;
        for url in &self.config.urls {
            let mut request = self.client.request(method.clone(), format!("{url}{path}"));
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, MEDIA_TYPE).body(body.to_string());
            }
            match self.authorized(request.header(ACCEPT, MEDIA_TYPE)).send().await {
                Ok(response) => {
                    let status = response.status();
                    let text = response.text().await.unwrap_or_default();
                    let answer = serde_json::from_str(&text).unwrap_or(Value::Null);
                    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        return Ok((status, answer));
                    }
                    last = Some(format!("{status} {}", message(&answer)));
                }
                // The address may hold a password.
                Err(error) => last = Some(source_text(&error.without_url())),
            }
        }
        let why = last.unwrap_or_default();
        Err(TaskError::retry(format!("the schema registry at {} cannot be used: {why}", self.addresses())))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.config.authorization {
            Authorization::None => request,
            Authorization::Basic { user, password } => request.basic_auth(user, Some(password.expose())),
            Authorization::Bearer(token) => request.bearer_auth(token.expose()),
        }
    }

    fn refused(&self, subject: &str, what: &str, status: StatusCode, answer: &Value) -> TaskError {
        let told = message(answer);
        let advice = match status.as_u16() {
            401 | 403 => "Check basic.auth.user.info and what this user may do".to_owned(),
            404 if !self.config.auto_register => {
                "Register the table's schema, or set auto.register.schemas=true".to_owned()
            }
            404 => format!("Check schema.registry.url ({})", self.addresses()),
            409 => format!(
                "The new schema does not go with the older ones: undo the table's change, or lower the subject's \
                 compatibility (PUT /config/{subject})"
            ),
            _ => "Correct what the registry says".to_owned(),
        };
        TaskError::stop(
            "registry-refused",
            format!(
                "subject {subject}: the schema registry does not {what} ({status}: {told}). The change is kept in the slot \
             and nothing behind it is published. {advice}, then restart the connector"
            ),
        )
    }

    fn addresses(&self) -> String {
        self.config.urls.join(", ")
    }

    pub(in crate::convert) fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, String> {
        self.config.subject(topic, record)
    }
}

fn message(answer: &Value) -> &str {
    answer.get("message").and_then(Value::as_str).unwrap_or("no message")
}

/// Whether the registry's schema is the same, however it is laid out.
fn is_same(answer: &Value, schema: &str) -> bool {
    let Some(registered) = answer.get("schema").and_then(Value::as_str) else { return false };
    match (serde_json::from_str::<Value>(registered), serde_json::from_str::<Value>(schema)) {
        (Ok(registered), Ok(schema)) => registered == schema,
        _ => registered == schema,
    }
}

fn source_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// A subject as a part of a path.
fn urlencoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The public authorities, or those of the truststore in their place, as in Java.
fn tls(config: &RegistryConfig) -> Result<ClientConfig, TaskError> {
    const TRUSTSTORE: &str = "schema.registry.ssl.truststore.location";
    const KEYSTORE: &str = "schema.registry.ssl.keystore.location";
    let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let authorities = match &config.truststore {
        None => None,
        Some(store) => Some(
            key_store::trusted(&read(TRUSTSTORE, store)?, exposed(&store.password).as_deref())
                .map_err(|why| unusable(TRUSTSTORE, store, &why))?,
        ),
    };
    let identity = match &config.keystore {
        None => None,
        Some(store) => {
            let (password, key_password) = (exposed(&store.password), exposed(&config.key_password));
            let identity = key_store::identity(&read(KEYSTORE, store)?, password.as_deref(), key_password.as_deref());
            Some(identity.map_err(|why| unusable(KEYSTORE, store, &why))?)
        }
    };
    https::client(authorities.as_deref(), identity.as_ref()).map_err(|why| {
        TaskError::stop("registry-settings", format!("the schema registry cannot be reached by TLS: {why}"))
    })
}

fn read(key: &str, store: &Store) -> Result<Vec<u8>, TaskError> {
    std::fs::read(&store.path).map_err(|error| unusable(key, store, &error))
}

fn unusable(key: &str, store: &Store, why: &dyn std::fmt::Display) -> TaskError {
    TaskError::stop("registry-settings", format!("{key}: {} cannot be used: {why}", store.path))
}
