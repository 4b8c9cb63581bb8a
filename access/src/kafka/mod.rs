//! How Kafka is entered: the security settings of Java's clients (`CommonClientConfigs`, `SslConfigs`, `SaslConfigs`) in
//! librdkafka's words.
//!
//! # Layout
//! - `tls`: what begins with `ssl.`
//! - `sasl`: what begins with `sasl.`
//! - [`entrance`]: whether Kafka lets one in
//! - [`producer`]: a producer with a thread that takes the reports of its deliveries

pub mod entrance;
pub mod producer;
mod sasl;
mod tls;

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

pub use entrance::{Cluster, Refusal, enter, has_lost};

use crate::jaas::LoginModule;

/// Security settings of a Kafka client, checked and translated. What is secret among them is not shown.
#[derive(Clone, Default)]
pub struct Security(Vec<(&'static str, String)>);

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// A setting that cannot be used, by Java's name; its value is not said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{property} is not usable: {why}")]
pub struct Unusable {
    /// Java's name.
    pub property: String,
    /// What is wrong, and what to do.
    pub why: String,
}

impl Security {
    /// From a client's properties by their Java names; others than [`concerns`] are passed over. `login` are the modules of a
    /// JAAS file's entry, for where there is no `sasl.jaas.config`.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn of(properties: &BTreeMap<String, String>, login: Option<Vec<LoginModule>>) -> Result<Self, Unusable> {
        let protocol = properties.get("security.protocol").map_or("PLAINTEXT", |value| value.trim());
        let protocol = protocol.to_ascii_uppercase();
        let (encrypted, named) = match protocol.as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => return Err(unusable("security.protocol", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL is expected")),
        };
        let mut settings = vec![("security.protocol", protocol)];
        if encrypted {
            tls::translate(properties, &mut settings)?;
        }
        if named {
            sasl::translate(properties, login, &mut settings)?;
        }
        Ok(Self(settings))
    }

    /// Sets them.
    pub fn apply(&self, client: &mut ClientConfig) {
        for (name, value) in &self.0 {
            client.set(*name, value);
        }
    }
}

/// Whether [`Security`] is who reads this property.
pub fn concerns(property: &str) -> bool {
    matches!(property, "security.protocol" | "security.providers")
        || property.starts_with("ssl.")
        || property.starts_with("sasl.")
}

fn unusable(property: &str, why: impl Into<String>) -> Unusable {
    Unusable { property: property.to_owned(), why: why.into() }
}

fn given<'a>(properties: &'a BTreeMap<String, String>, property: &str) -> Option<&'a str> {
    properties.get(property).map(String::as_str).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<BTreeMap<&'static str, String>, String> {
        let properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let security = Security::of(&properties, None).map_err(|error| error.to_string())?;
        Ok(security.0.into_iter().collect())
    }

    const PLAIN: &str =
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"p;w\";";

    #[test]
    fn the_protocol_decides_what_is_read() {
        assert_eq!(settings(&[("sasl.mechanism", "x")]).unwrap().len(), 1, "PLAINTEXT");
        let found = settings(&[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", PLAIN),
        ]);
        let found = found.unwrap();
        let of = |key: &str| found[key].as_str();
        assert_eq!((of("security.protocol"), of("sasl.mechanism")), ("SASL_PLAINTEXT", "PLAIN"));
        assert_eq!((of("sasl.username"), of("sasl.password")), ("me", "p;w"));
        assert!(settings(&[("security.protocol", "TLS")]).unwrap_err().contains("security.protocol"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_name_and_without_its_value() {
        let sasl =
            |more: &[(&str, &str)]| settings(&[&[("security.protocol", "SASL_PLAINTEXT")], more].concat()).unwrap_err();
        assert!(sasl(&[]).contains("sasl.mechanism"), "Java's default is Kerberos");
        assert!(sasl(&[("sasl.mechanism", "PLAIN")]).contains("sasl.jaas.config"));
        let error = sasl(&[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", PLAIN)]);
        assert!(error.contains("ScramLoginModule") && !error.contains("p;w"), "{error}");
        let class = ("sasl.login.callback.handler.class", "com.example.Login");
        assert!(sasl(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN), class]).contains("com.example.Login"));
        let ssl = |more| settings(&[("security.protocol", "SSL"), more]).unwrap_err();
        assert!(ssl(("ssl.truststore.location", "/nowhere")).contains("ssl.truststore.location"));
        assert!(ssl(("ssl.engine.factory.class", "com.example.Engine")).contains("ssl.engine.factory.class"));
        assert!(ssl(("ssl.cipher.suites", "TLS_RSA")).contains("ssl.cipher.suites"));
        assert!(ssl(("ssl.enabled.protocols", "TLSv1.3")).contains("ssl.enabled.protocols"));
        assert!(settings(&[("security.protocol", "SSL"), ("ssl.enabled.protocols", "TLSv1.2,TLSv1.3")]).is_ok());
    }

    #[test]
    fn tokens_are_asked_for_where_java_asks() {
        let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"me\" \
                      clientSecret=\"s\" scope=\"kafka\" extension_cluster=\"c1\";";
        let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
        let found = settings(&[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.jaas.config", module),
            ("sasl.login.callback.handler.class", handler),
            ("sasl.oauthbearer.token.endpoint.url", "https://login/token"),
        ])
        .unwrap();
        let of = |key: &str| found[key].as_str();
        assert_eq!((of("sasl.oauthbearer.method"), of("sasl.oauthbearer.client.id")), ("oidc", "me"));
        assert_eq!((of("sasl.oauthbearer.scope"), of("sasl.oauthbearer.extensions")), ("kafka", "cluster=c1"));
        assert_eq!(of("sasl.oauthbearer.token.endpoint.url"), "https://login/token");
    }

    #[test]
    fn an_unsecured_token_is_made_here_as_there() {
        let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                      unsecuredLoginStringClaim_sub=\"me\";";
        let sasl =
            [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER"), ("sasl.jaas.config", module)];
        let found = settings(&sasl).unwrap();
        assert_eq!(found["enable.sasl.oauthbearer.unsecure.jwt"], "true");
        assert_eq!(found["sasl.oauthbearer.config"], "principal=me");
    }
}
