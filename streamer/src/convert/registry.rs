//! A schema registry with Confluent's REST API (`/subjects/…`), and how it is reached (`AbstractKafkaSchemaSerDeConfig`).

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use super::settings::Settings;
use crate::config::Secret;
use crate::error::TaskError;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The settings that every converter with a registry has.
pub(super) const SETTINGS: &[&str] = &[
    "schema.registry.url",
    "basic.auth.credentials.source",
    "basic.auth.user.info",
    "schema.registry.basic.auth.credentials.source",
    "schema.registry.basic.auth.user.info",
    "bearer.auth.credentials.source",
    "bearer.auth.token",
    "schema.registry.ssl.truststore.location",
    "schema.registry.ssl.truststore.type",
    "schema.registry.ssl.keystore.location",
    "schema.registry.ssl.keystore.type",
    "auto.register.schemas",
    "use.latest.version",
    "normalize.schemas",
    "max.schemas.per.subject",
    "schemas.cache.config",
    "http.connect.timeout.ms",
    "http.read.timeout.ms",
    "key.subject.name.strategy",
    "value.subject.name.strategy",
];

/// Settings that would change what is written or how the registry is reached, and that are not supported.
const REFUSED: &[(&str, &str)] = &[
    ("proxy.host", "the registry is reached directly"),
    ("use.schema.id", "a table's schema is registered as it is"),
    ("use.latest.with.metadata", "a table's schema is registered as it is"),
    ("context.name.strategy", "put the context into schema.registry.url"),
    ("rule.executors", "schema rules are not run"),
    ("schema.registry.ssl.keystore.password", "a PEM keystore has no password"),
    ("schema.registry.ssl.key.password", "an encrypted key is not read"),
];

/// How the registry is reached and what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    urls: Vec<String>,
    authorization: Authorization,
    truststore: Option<String>,
    keystore: Option<String>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    read_timeout: Duration,
    auto_register: bool,
    use_latest: bool,
    normalize: bool,
    strategy: SubjectStrategy,
    is_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Authorization {
    None,
    Basic { user: String, password: Secret },
    Bearer(Secret),
}

/// How a subject is named (`io.confluent.kafka.serializers.subject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectStrategy {
    Topic,
    Record,
    TopicRecord,
}

impl RegistryConfig {
    /// From a converter's settings.
    pub(super) fn parse(settings: &mut Settings<'_>, is_key: bool) -> Self {
        let given = settings.text("schema.registry.url").unwrap_or_default();
        let urls: Vec<&str> = given.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
        if urls.is_empty() {
            settings.missing("schema.registry.url");
        }
        for url in &urls {
            let is_usable = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !is_usable {
                // An address may have a password in it, which is not repeated.
                settings.refuse(
                    "schema.registry.url",
                    "[hidden]",
                    "Expected http:// and https:// addresses, separated by commas",
                );
            }
        }
        for (name, why) in REFUSED {
            if let Some(value) = settings.text(name).filter(|value| !matches!(*value, "-1" | "false")) {
                let shown = if name.contains("password") { "[hidden]" } else { value };
                settings.refuse(name, shown, &format!("not supported by this worker ({why})"));
            }
        }
        settings.integer("max.schemas.per.subject", 1000);
        settings.integer("schemas.cache.config", 1000);
        let strategy = strategy(settings, is_key);
        let auto_register = settings.flag("auto.register.schemas", true);
        let config = Self {
            authorization: authorization(settings, urls.first().copied().unwrap_or_default()),
            urls: urls.into_iter().map(without_user_info).collect(),
            truststore: store(settings, "schema.registry.ssl.truststore"),
            keystore: store(settings, "schema.registry.ssl.keystore"),
            headers: settings
                .with_prefix("request.header.")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            connect_timeout: milliseconds(settings, "http.connect.timeout.ms"),
            read_timeout: milliseconds(settings, "http.read.timeout.ms"),
            auto_register,
            use_latest: settings.flag("use.latest.version", false),
            normalize: settings.flag("normalize.schemas", false),
            strategy,
            is_key,
        };
        for (name, value) in &config.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                settings.refuse(&format!("request.header.{name}"), "[hidden]", "not a header");
            }
        }
        config
    }

    /// The subject of a schema, which has a name if it is a record's.
    ///
    /// # Errors
    /// When the subject is named by the record and there is none.
    pub(super) fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, String> {
        let side = if self.is_key { "key" } else { "value" };
        match (self.strategy, record) {
            (SubjectStrategy::Topic, _) => Ok(format!("{topic}-{side}")),
            (SubjectStrategy::Record, Some(record)) => Ok(record.to_owned()),
            (SubjectStrategy::TopicRecord, Some(record)) => Ok(format!("{topic}-{record}")),
            (_, None) => Err(format!(
                "In configuration {side}.subject.name.strategy = {}, the message {side} must only be a record schema",
                STRATEGIES.iter().find(|(_, strategy)| *strategy == self.strategy).map_or("", |(class, _)| class)
            )),
        }
    }
}

const STRATEGIES: [(&str, SubjectStrategy); 3] = [
    ("io.confluent.kafka.serializers.subject.TopicNameStrategy", SubjectStrategy::Topic),
    ("io.confluent.kafka.serializers.subject.RecordNameStrategy", SubjectStrategy::Record),
    ("io.confluent.kafka.serializers.subject.TopicRecordNameStrategy", SubjectStrategy::TopicRecord),
];

fn strategy(settings: &mut Settings<'_>, is_key: bool) -> SubjectStrategy {
    let name = if is_key { "key.subject.name.strategy" } else { "value.subject.name.strategy" };
    let Some(class) = settings.text(name) else { return SubjectStrategy::Topic };
    STRATEGIES.iter().find(|(known, _)| *known == class).map_or_else(
        || {
            settings.refuse(name, class, &format!("Class {class} could not be found."));
            SubjectStrategy::Topic
        },
        |(_, strategy)| *strategy,
    )
}

fn milliseconds(settings: &mut Settings<'_>, name: &str) -> Duration {
    Duration::from_millis(u64::try_from(settings.integer(name, 60_000)).unwrap_or(60_000))
}

/// `basic.auth.*` and `bearer.auth.*`; by default what stands in the address.
fn authorization(settings: &mut Settings<'_>, url: &str) -> Authorization {
    let either = |settings: &Settings<'_>, name: &'static str, old: &'static str| {
        [name, old].into_iter().find_map(|name| settings.text(name).map(|value| (name, value.to_owned())))
    };
    if let Some(source) = settings.text("bearer.auth.credentials.source") {
        match (source, settings.text("bearer.auth.token")) {
            ("STATIC_TOKEN", Some(token)) => return Authorization::Bearer(Secret::new(token)),
            ("STATIC_TOKEN", None) => settings.missing("bearer.auth.token"),
            _ => settings.refuse(
                "bearer.auth.credentials.source",
                source,
                "not supported by this worker (STATIC_TOKEN is)",
            ),
        }
        return Authorization::None;
    }
    let source = either(settings, "basic.auth.credentials.source", "schema.registry.basic.auth.credentials.source");
    let user_info = match source.as_ref().map(|(name, source)| (*name, source.as_str())) {
        None | Some((_, "URL")) => {
            let Ok(url) = reqwest::Url::parse(url) else { return Authorization::None };
            if url.username().is_empty() {
                return Authorization::None;
            }
            return Authorization::Basic {
                user: url.username().to_owned(),
                password: Secret::new(url.password().unwrap_or_default()),
            };
        }
        Some((_, "USER_INFO")) => either(settings, "basic.auth.user.info", "schema.registry.basic.auth.user.info"),
        Some((name, source)) => {
            settings.refuse(name, source, "not supported by this worker (URL and USER_INFO are)");
            return Authorization::None;
        }
    };
    match user_info.as_ref().and_then(|(_, user_info)| user_info.split_once(':')) {
        Some((user, password)) => Authorization::Basic { user: user.to_owned(), password: Secret::new(password) },
        None => {
            settings.refuse("basic.auth.user.info", "[hidden]", "Expected user:password");
            Authorization::None
        }
    }
}

fn without_user_info(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return url.to_owned() };
    let _cannot_be_a_base = parsed.set_username("");
    let _cannot_be_a_base = parsed.set_password(None);
    parsed.as_str().trim_end_matches('/').to_owned()
}

/// A store of certificates in PEM: Java's own formats are not read.
fn store(settings: &mut Settings<'_>, name: &str) -> Option<String> {
    let location = settings.text(&format!("{name}.location"))?;
    let type_name = format!("{name}.type");
    match settings.text(&type_name) {
        Some(kind) if kind.eq_ignore_ascii_case("PEM") => Some(location.to_owned()),
        kind => {
            settings.refuse(
                &type_name,
                kind.unwrap_or("JKS"),
                "not supported by this worker (a PEM file is, with the type PEM)",
            );
            None
        }
    }
}

/// A registry's client.
#[derive(Debug)]
pub(super) struct Registry {
    config: RegistryConfig,
    client: Client,
}

impl Registry {
    /// Ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// Stop when a certificate cannot be used.
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, TaskError> {
        let unusable = |error: &dyn std::fmt::Display| {
            TaskError::stop(format!("the schema registry's client cannot be set up: {error}"))
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
    pub(super) async fn id(&self, subject: &str, schema: &str, kind: Option<&str>) -> Result<u32, TaskError> {
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
            return Err(TaskError::stop(format!(
                "subject {subject}: the latest schema in the registry is another than the records have, and \
                 use.latest.version=true asks for it. Nothing of this is published. Register the table's schema as the \
                 subject's latest version, or set use.latest.version=false"
            )));
        }
        let id = answer.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| {
            TaskError::stop(format!(
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
        TaskError::stop(format!(
            "subject {subject}: the schema registry does not {what} ({status}: {told}). The change is kept in the slot \
             and nothing behind it is published. {advice}, then restart the connector"
        ))
    }

    fn addresses(&self) -> String {
        self.config.urls.join(", ")
    }

    pub(super) fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, String> {
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
    let mut roots = RootCertStore::empty();
    match &config.truststore {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in certificates("schema.registry.ssl.truststore.location", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| unreadable("schema.registry.ssl.truststore.location", path, &error))?;
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TaskError::stop("TLS could not be set up").because(error))?
        .with_root_certificates(roots);
    let Some(path) = &config.keystore else { return Ok(builder.with_no_client_auth()) };
    const KEYSTORE: &str = "schema.registry.ssl.keystore.location";
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(KEYSTORE, path, &error))?;
    builder
        .with_client_auth_cert(certificates(KEYSTORE, path)?, key)
        .map_err(|error| unreadable(KEYSTORE, path, &error))
}

fn certificates(key: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, TaskError> {
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| unreadable(key, path, &error))
}

fn unreadable(key: &str, path: &str, error: &dyn std::fmt::Display) -> TaskError {
    TaskError::stop(format!("{key}: {path} does not hold what is expected in PEM: {error}"))
}
