//! `sasl.*` (`SaslConfigs`) with its JAAS modules.

use std::collections::BTreeMap;

use super::{Unusable, given, tls, unusable};
use crate::jaas::{self, LoginModule};

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const BEARER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
/// Who asks for a token (KIP-768), under its name and its former one.
const TOKEN_HANDLERS: [&str; 2] = [
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
];
/// Who makes one up, which Java does unless told otherwise.
const UNSECURED_HANDLER: &str =
    "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler";
const HANDLER: &str = "sasl.login.callback.handler.class";
const JAAS: &str = "sasl.jaas.config";
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

type Settings = Vec<(&'static str, String)>;

/// A client's login in librdkafka's words.
///
/// # Errors
/// A mechanism, module or handler that there is not, and what is missing for one that there is.
pub(super) fn translate(
    properties: &BTreeMap<String, String>,
    login: Option<Vec<LoginModule>>,
    settings: &mut Settings,
) -> Result<(), Unusable> {
    for class in ["sasl.client.callback.handler.class", "sasl.login.class"] {
        if let Some(name) = given(properties, class) {
            return Err(unusable(class, format!("{name} is a Java class, which cannot be loaded here")));
        }
    }
    // Java's default.
    let mechanism = given(properties, "sasl.mechanism").unwrap_or("GSSAPI").trim();
    let wanted = match mechanism {
        "PLAIN" => PLAIN,
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => SCRAM,
        "OAUTHBEARER" => BEARER,
        "GSSAPI" => {
            return Err(unusable(
                "sasl.mechanism",
                "Kerberos (GSSAPI, which is the default) is not supported: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are",
            ));
        }
        _ => return Err(unusable("sasl.mechanism", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER is expected")),
    };
    let modules = match given(properties, JAAS) {
        Some(text) => jaas::modules(text).map_err(|why| unusable(JAAS, why))?,
        None => login.unwrap_or_default(),
    };
    let module = match modules.as_slice() {
        [module] if module.class == wanted => module,
        [] => return Err(unusable(JAAS, format!("{mechanism} needs `{wanted} required …;`, and it is not set"))),
        [module] => return Err(unusable(JAAS, format!("{mechanism} needs {wanted}, not {}", module.class))),
        _ => return Err(unusable(JAAS, "one login module is expected")),
    };
    settings.push(("sasl.mechanism", mechanism.to_owned()));
    match given(properties, HANDLER) {
        Some(handler) if wanted == BEARER && TOKEN_HANDLERS.contains(&handler) => token(properties, module, settings),
        None | Some(UNSECURED_HANDLER) if wanted == BEARER => unsecured(module, settings),
        Some(other) => Err(unusable(HANDLER, format!("{other} is a Java class, which cannot be loaded here"))),
        None => name_and_password(module, settings),
    }
}

fn name_and_password(module: &LoginModule, settings: &mut Settings) -> Result<(), Unusable> {
    if module.options.get("tokenauth").is_some_and(|value| value == "true") {
        return Err(unusable(JAAS, "delegation tokens (tokenauth) are not supported"));
    }
    for (option, name) in [("username", "sasl.username"), ("password", "sasl.password")] {
        let value = module.options.get(option);
        let value = value.ok_or_else(|| unusable(JAAS, format!("{} has no {option}", module.class)))?;
        settings.push((name, value.clone()));
    }
    Ok(())
}

/// A token from who gives them, with the client's own id and secret; librdkafka asks and asks anew before it ends.
fn token(properties: &BTreeMap<String, String>, module: &LoginModule, settings: &mut Settings) -> Result<(), Unusable> {
    let other = [
        "sasl.oauthbearer.jwt.retriever.class",
        "sasl.oauthbearer.assertion.claim.iss",
        "sasl.oauthbearer.assertion.file",
    ];
    if let Some(other) = other.into_iter().find(|property| given(properties, property).is_some()) {
        return Err(unusable(other, "tokens are asked for with a client's id and secret only"));
    }
    let endpoint = given(properties, ENDPOINT)
        .ok_or_else(|| unusable(ENDPOINT, "OAUTHBEARER asks it for tokens, and it is not set"))?;
    if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
        return Err(unusable(ENDPOINT, "an address that begins with https:// or http:// is expected"));
    }
    // The module's options are what the properties were before Kafka 4.1 (KIP-1139).
    let of = |property: &str, option: &str| {
        given(properties, property).map(str::to_owned).or_else(|| module.options.get(option).cloned())
    };
    let needed = |property: &str, option: &str| {
        of(property, option).ok_or_else(|| unusable(JAAS, format!("OAUTHBEARER needs {option} there, or {property}")))
    };
    settings.push(("sasl.oauthbearer.method", "oidc".to_owned()));
    settings.push((ENDPOINT, endpoint.to_owned()));
    settings.push(("sasl.oauthbearer.client.id", needed("sasl.oauthbearer.client.credentials.client.id", "clientId")?));
    settings.push((
        "sasl.oauthbearer.client.secret",
        needed("sasl.oauthbearer.client.credentials.client.secret", "clientSecret")?,
    ));
    settings.extend(of("sasl.oauthbearer.scope", "scope").map(|scope| ("sasl.oauthbearer.scope", scope)));
    let extensions: Vec<String> = module
        .options
        .iter()
        .filter_map(|(key, value)| key.strip_prefix("extension_").map(|key| format!("{key}={value}")))
        .collect();
    if !extensions.is_empty() {
        settings.push(("sasl.oauthbearer.extensions", extensions.join(",")));
    }
    // Whom to trust there stands among the module's options.
    settings.extend(tls::trusted(&module.options)?.map(|authorities| ("https.ca.pem", authorities)));
    Ok(())
}

/// A token that says who one is and proves nothing, for a Kafka that is tried out.
fn unsecured(module: &LoginModule, settings: &mut Settings) -> Result<(), Unusable> {
    let mut config = Vec::new();
    for (option, value) in &module.options {
        let name = match option.as_str() {
            "unsecuredLoginStringClaim_sub" => "principal",
            "unsecuredLoginLifetimeSeconds" => "lifeSeconds",
            _ => {
                return Err(unusable(
                    JAAS,
                    format!(
                        "its option {option} is not supported for unsecured tokens; for others, set {HANDLER}={}",
                        TOKEN_HANDLERS[0]
                    ),
                ));
            }
        };
        config.push(format!("{name}={value}"));
    }
    if !module.options.contains_key("unsecuredLoginStringClaim_sub") {
        return Err(unusable(JAAS, "unsecuredLoginStringClaim_sub, the principal's name, is missing"));
    }
    settings.push(("enable.sasl.oauthbearer.unsecure.jwt", "true".to_owned()));
    settings.push(("sasl.oauthbearer.config", config.join(" ")));
    Ok(())
}
