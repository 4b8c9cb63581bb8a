//! The worker's REST API, ours or Kafka Connect's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::look::Ended;

/// Where the worker's REST API is.
#[derive(Debug, Clone, Args)]
pub struct Connect {
    /// The worker's REST API, the streamer's or Kafka Connect's; http://USER:PASSWORD@HOST:PORT where it asks who one is
    #[arg(long, env = "HEADWATER_CONNECT_URL", hide_env_values = true, value_name = "URL")]
    connect_url: Option<String>,
    /// Whose certificates the worker's https has: a PEM file; the public authorities' otherwise
    #[arg(long, value_name = "FILE")]
    connect_ca: Option<PathBuf>,
}

/// A client of the API.
#[derive(Debug)]
pub struct Rest {
    client: Client,
    base: String,
}

/// A connector, as the API tells of it.
#[derive(Debug)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
}

impl Connector {
    /// A property, `None` where it is not set or empty.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl Connect {
    /// A client, `None` where no address was given.
    ///
    /// # Errors
    /// When the authorities' file cannot be used.
    pub fn rest(&self) -> Result<Option<Rest>, Ended> {
        let Some(base) = self.connect_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()) else {
            return Ok(None);
        };
        let unusable = |why: String| Ended::cannot(format!("the worker's REST API (--connect-ca): {why}"));
        let mut client = Client::builder().timeout(Duration::from_secs(20));
        if base.starts_with("https:") {
            let file = self.connect_ca.as_deref().map(|path| {
                std::fs::read_to_string(path).map_err(|error| unusable(format!("{}: {error}", path.display())))
            });
            let tls = access::https::client(file.transpose()?.as_deref(), None).map_err(unusable)?;
            client = client.use_preconfigured_tls(tls);
        }
        let client = client.build().map_err(|error| unusable(error.without_url().to_string()))?;
        Ok(Some(Rest { client, base }))
    }

    /// A client; the address must be given.
    ///
    /// # Errors
    /// As [`Connect::rest`], or without an address.
    pub fn required(&self) -> Result<Rest, Ended> {
        self.rest()?
            .ok_or_else(|| Ended::cannot("--connect-url (or HEADWATER_CONNECT_URL) is missing: the worker's REST API"))
    }
}

impl Rest {
    /// What a path answers, `None` where nothing is there.
    ///
    /// # Errors
    /// When nobody answers, or when the API refuses.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, Ended> {
        // The crate's error would quote the URL, and with it a password.
        let failed = |error: reqwest::Error| {
            Ended::cannot(format!("the worker's REST API (--connect-url) does not answer {path}"))
                .because(error.without_url())
        };
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.map_err(failed)?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(Ended::cannot(
                    "the worker's REST API does not let us in: give --connect-url as http://USER:PASSWORD@HOST:PORT",
                ));
            }
            status if !status.is_success() => {
                return Err(Ended::cannot(format!("the worker's REST API answers {path} with {status}")));
            }
            _ => {}
        }
        answer.json().await.map(Some).map_err(failed)
    }

    /// A connector.
    ///
    /// # Errors
    /// As [`Rest::get`], or when there is none of that name.
    pub async fn connector(&self, name: &str) -> Result<Connector, Ended> {
        match self.get(&format!("/connectors/{name}/config")).await? {
            Some(config) => Ok(Connector { name: name.to_owned(), config: texts(&config) }),
            None => {
                let known = self.get("/connectors").await?.unwrap_or_default();
                let known: Vec<&str> = known.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                Err(Ended::cannot(format!(
                    "the worker has no connector {name}; it has {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                )))
            }
        }
    }

    /// The connector whose topics begin with a prefix.
    ///
    /// # Errors
    /// As [`Rest::get`].
    pub async fn connector_of(&self, prefix: &str) -> Result<Option<Connector>, Ended> {
        let all = self.get("/connectors?expand=info").await?.unwrap_or_default();
        let of = |(name, told): (&String, &Value)| {
            let config = texts(told.pointer("/info/config")?);
            (config.get("topic.prefix").map(String::as_str) == Some(prefix))
                .then(|| Connector { name: name.clone(), config })
        };
        Ok(all.as_object().into_iter().flatten().find_map(of))
    }

    /// A connector's stored positions: their partitions and offsets.
    ///
    /// # Errors
    /// As [`Rest::get`].
    pub async fn offsets(&self, connector: &str) -> Result<Vec<(Value, Value)>, Ended> {
        let told = self.get(&format!("/connectors/{connector}/offsets")).await?.unwrap_or_default();
        let offsets = told.get("offsets").and_then(Value::as_array);
        let pair = |stored: &Value| (stored["partition"].clone(), stored["offset"].clone());
        Ok(offsets.into_iter().flatten().map(pair).collect())
    }
}

fn texts(config: &Value) -> BTreeMap<String, String> {
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    config.as_object().into_iter().flatten().filter_map(text).collect()
}
