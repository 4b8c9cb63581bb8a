//! A schema registry with Confluent's REST API: a schema by its id (`GET /schemas/ids/ID`).

use std::time::Duration;

use access::{https, key_store};
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use crate::error::SinkError;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A registry.
pub(super) struct Registry {
    urls: Vec<Url>,
    login: Option<(String, String)>,
    token: Option<String>,
    client: Client,
}

/// Without who asks.
impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// From a converter's settings, by their names behind `value.converter.`.
    ///
    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn of(setting: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = |name: &str| setting(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let list = text("schema.registry.url").ok_or("schema.registry.url is missing")?;
        let mut urls = Vec::new();
        for url in list.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let url = Url::parse(url.trim_end_matches('/')).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            urls.push(url.ok_or("schema.registry.url is no list of http:// and https:// addresses")?);
        }
        let info = text("basic.auth.user.info").or_else(|| text("schema.registry.basic.auth.user.info"));
        let in_url = urls.iter().find(|url| !url.username().is_empty());
        let login =
            info.and_then(|info| info.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned())));
        let login = login.or_else(|| {
            let password = in_url?.password().unwrap_or_default();
            Some((in_url?.username().to_owned(), password.to_owned()))
        });
        let client = client(&text).map_err(|why| format!("schema.registry.ssl: {why}"))?;
        for url in &mut urls {
            // Who asks is told by a header; neither fails where there is a host.
            _ = url.set_username("");
            _ = url.set_password(None);
        }
        Ok(Self { urls, login, token: text("bearer.auth.token"), client })
    }

    /// The text of the schema with this id, which a record of the topic has.
    ///
    /// # Errors
    /// Retry when no registry answers; stop when it does not know the schema, or does not let the sink in.
    pub(super) async fn schema(&self, id: u32, topic: &str) -> Result<String, SinkError> {
        let mut last = String::new();
        for url in &self.urls {
            let mut request = self.client.get(format!("{}/schemas/ids/{id}", url.as_str().trim_end_matches('/')));
            request = match (&self.login, &self.token) {
                (Some((user, password)), _) => request.basic_auth(user, Some(password)),
                (None, Some(token)) => request.bearer_auth(token),
                (None, None) => request,
            };
            match request.send().await {
                Ok(answer) if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                    last = answer.status().to_string();
                }
                Ok(answer) => {
                    let status = answer.status();
                    let text = answer.text().await.unwrap_or_default();
                    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                    let is_avro = answer.get("schemaType").and_then(Value::as_str).is_none_or(|of| of == "AVRO");
                    return match answer.get("schema").and_then(Value::as_str) {
                        Some(schema) if status.is_success() && is_avro => Ok(schema.to_owned()),
                        _ => Err(SinkError::stop(
                            "registry-refused",
                            format!(
                                "topic {topic}: the schema registry does not give schema {id}, which a record there is written by: {status}. The \
                             topic's records wait in Kafka. Look at schema.registry.url, and at who may read there"
                            ),
                        )),
                    };
                }
                Err(error) => last = error.without_url().to_string(),
            }
        }
        Err(SinkError::retry(format!("topic {topic}: no schema registry answers: {last}")))
    }
}

/// A client that trusts what the settings say.
fn client(text: &impl Fn(&str) -> Option<String>) -> Result<Client, String> {
    let read = |name: &str| {
        let Some(path) = text(&format!("schema.registry.ssl.{name}.location")) else { return Ok(None) };
        let store = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        Ok::<_, String>(Some((store, text(&format!("schema.registry.ssl.{name}.password")), path)))
    };
    let trusted = read("truststore")?
        .map(|(store, password, path)| {
            key_store::trusted(&store, password.as_deref()).map_err(|why| format!("{path}: {why}"))
        })
        .transpose()?;
    let identity = read("keystore")?
        .map(|(store, password, path)| {
            let key = text("schema.registry.ssl.key.password");
            key_store::identity(&store, password.as_deref(), key.as_deref()).map_err(|why| format!("{path}: {why}"))
        })
        .transpose()?;
    Client::builder()
        .use_preconfigured_tls(https::client(trusted.as_deref(), identity.as_ref())?)
        .timeout(PATIENCE)
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())
}
