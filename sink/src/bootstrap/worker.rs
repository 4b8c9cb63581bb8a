//! The worker's REST API, as the sink reaches it.

use std::path::Path;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Url};

use crate::error::SinkError;

/// Where the API is, and who asks. Printing it leaves the user out.
#[derive(Clone)]
pub struct WorkerUrl {
    base: String,
    authorization: Option<HeaderValue>,
}

impl std::fmt::Display for WorkerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)
    }
}

impl std::fmt::Debug for WorkerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)
    }
}

impl FromStr for WorkerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The crate's own message could quote the password.
        let not = || "http://HOST:PORT or https://HOST:PORT is expected, with USER:PASSWORD@ where it asks".to_owned();
        let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(not)?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        let authorization = if user.is_empty() {
            None
        } else {
            use base64::Engine as _;
            let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let mut value = HeaderValue::from_str(&format!("Basic {credentials}")).map_err(|_| not())?;
            value.set_sensitive(true);
            Some(value)
        };
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| not())?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), authorization })
    }
}

impl WorkerUrl {
    /// A path of the API.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A client that says who asks, and that trusts the authorities of a PEM file or Java trust store, the public ones
    /// without.
    ///
    /// # Errors
    /// Stop when the file cannot be used.
    pub fn client(&self, authorities: Option<&Path>) -> Result<Client, SinkError> {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let mut client = Client::builder().default_headers(headers);
        if self.base.starts_with("https:") {
            client = encrypted(client, authorities)
                .map_err(|why| SinkError::stop("worker-tls", format!("the worker's REST API (--connect-ca): {why}")))?;
        }
        client
            .build()
            .map_err(|error| SinkError::stop("worker-tls", format!("the client of the worker's REST API: {error}")))
    }
}

fn encrypted(client: ClientBuilder, authorities: Option<&Path>) -> Result<ClientBuilder, String> {
    let read = |path: &Path| {
        let store = std::fs::read(path).map_err(|error| error.to_string());
        // A trust store tells its certificates without its password too, where it is JKS or PEM.
        store
            .and_then(|store| access::key_store::trusted(&store, None))
            .map_err(|why| format!("{}: {why}", path.display()))
    };
    let authorities = authorities.map(read).transpose()?;
    Ok(client.use_preconfigured_tls(access::https::client(authorities.as_deref(), None)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_told_to_the_worker_and_to_nobody_else() {
        let url: WorkerUrl = "http://me:p%40w@worker:8083/".parse().unwrap();
        assert_eq!(
            (url.to_string(), format!("{url:?}")),
            ("http://worker:8083".to_owned(), "http://worker:8083".to_owned())
        );
        assert_eq!(url.at("/connectors"), "http://worker:8083/connectors");
        assert_eq!(url.authorization.unwrap(), "Basic bWU6cEB3");
        assert!("http://worker".parse::<WorkerUrl>().unwrap().authorization.is_none());
        for wrong in ["worker:8083", "ftp://worker", "http://"] {
            assert!(wrong.parse::<WorkerUrl>().is_err(), "{wrong}");
        }
    }
}
