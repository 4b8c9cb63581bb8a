//! A Kafka that asks who one is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use stack::artifacts::Artifacts;
use stack::kafka::{Kafka, Listener, Settings};
use stack::{java, ports};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::encrypted::{certificates, openssl, run};

pub(crate) const PASSWORD: &str = "of=Kafka;\"s";
pub(crate) const STORE_PASSWORD: &str = "of-the-store";
/// What the client that asks for tokens is given.
pub(crate) const SECRET: &str = "of-the-client";

/// A broker whose certificate is for `127.0.0.1`, by the authority `ca.crt`: one door asks for a certificate, one for a
/// password, one for a token of any kind, one for a token that its giver signed.
pub(crate) struct GuardedKafka {
    directory: tempfile::TempDir,
    _broker: Kafka,
    plain: String,
    doors: [u16; 4],
    tokens: u16,
}

/// Which way in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    Certificate,
    Password,
    AnyToken,
    Token,
}

impl GuardedKafka {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("headwater-kafka-").tempdir()?;
        let keys = directory.path();
        certificates(keys)?;
        stores(keys)?;
        let together = ["server.key", "server.crt"].map(|name| std::fs::read_to_string(keys.join(name)));
        let [key, certificate] = together;
        std::fs::write(keys.join("broker.pem"), key? + &certificate?)?;
        let keys_of_tokens = format!("file://{}", keys.join("jwks.json").display());
        let [certificate, password, any_token, token] =
            [ports::free()?, ports::free()?, ports::free()?, ports::free()?];
        let module = "org.apache.kafka.common.security";
        let quoted = PASSWORD.replace('"', "\\\\\"");
        let properties = format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={0}/broker.pem\nssl.truststore.type=PEM\n\
             ssl.truststore.location={0}/ca.crt\nlistener.name.certificate.ssl.client.auth=required\n\
             listener.name.password.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.password.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_me=\"{quoted}\";\n\
             listener.name.password.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
             listener.name.password.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
             listener.name.any.sasl.enabled.mechanisms=OAUTHBEARER\n\
             listener.name.any.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";\n\
             listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER\n\
             listener.name.token.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required;\n\
             listener.name.token.oauthbearer.sasl.server.callback.handler.class=\
             {module}.oauthbearer.OAuthBearerValidatorCallbackHandler\n\
             listener.name.token.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={keys_of_tokens}\n\
             listener.name.token.oauthbearer.sasl.oauthbearer.expected.audience=kafka\n",
            keys.display()
        );
        let user = |mechanism: &str| format!("{mechanism}=[name=me,iterations=4096,password={PASSWORD}]");
        let listener = |name, protocol, port| Listener { name, port, advertised: port, protocol };
        let settings = Settings {
            port: ports::free()?,
            listeners: vec![
                listener("CERTIFICATE", "SSL", certificate),
                listener("PASSWORD", "SASL_SSL", password),
                listener("ANY", "SASL_PLAINTEXT", any_token),
                listener("TOKEN", "SASL_PLAINTEXT", token),
            ],
            more: properties,
            users: vec![user("SCRAM-SHA-256"), user("SCRAM-SHA-512")],
            java_options: format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys_of_tokens}"),
            ..Settings::default()
        };
        let jwt = signed(keys)?;
        let tokens = give_tokens(jwt).await?;
        let broker = Kafka::start_with(&Artifacts::fetch()?, keys, &settings).await?;
        let plain = broker.bootstrap_servers();
        Ok(Self { directory, _broker: broker, plain, doors: [certificate, password, any_token, token], tokens })
    }

    /// Where nobody is asked.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// Where a door is.
    pub(crate) fn servers(&self, door: Door) -> String {
        format!("127.0.0.1:{}", self.doors[door as usize])
    }

    /// Where tokens are given.
    pub(crate) fn tokens(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.tokens)
    }

    /// A file beside it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

/// The authorities and the certificates in Java's kinds of stores, beside what [`certificates`] made.
pub(crate) fn stores(directory: &Path) -> anyhow::Result<()> {
    let tool = |arguments: &[&str]| run(java::keytool().args(arguments).current_dir(directory));
    let password = format!("pass:{STORE_PASSWORD}");
    for (authority, store) in [("ca", "trust"), ("other", "other")] {
        let certificate = format!("{authority}.crt");
        for (kind, ending) in [("JKS", "jks"), ("PKCS12", "p12")] {
            let file = format!("{store}.{ending}");
            let import = ["-importcert", "-noprompt", "-alias", "ca", "-file", &certificate, "-keystore", &file];
            tool(&[&import[..], &["-storetype", kind, "-storepass", STORE_PASSWORD]].concat())?;
        }
    }
    for name in ["client", "server"] {
        let [certificate, key, modern, old] = ["crt", "key", "p12", "jks"].map(|ending| format!("{name}.{ending}"));
        let identity = ["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-certfile", "ca.crt"];
        openssl(directory, &[&identity[..], &["-out", &modern, "-passout", &password]].concat())?;
        let passwords = ["-srcstorepass", STORE_PASSWORD, "-deststorepass", STORE_PASSWORD];
        let convert = ["-importkeystore", "-srckeystore", &modern, "-destkeystore", &old, "-deststoretype", "JKS"];
        tool(&[&convert[..], &passwords].concat())?;
    }
    Ok(())
}

/// A token for `me` that `ca.key` signed, and `jwks.json`, by which that is seen.
fn signed(directory: &Path) -> anyhow::Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let claims = format!(r#"{{"sub":"me","aud":"kafka","iat":{now},"exp":{}}}"#, now + 3600);
    let head = encoded(directory, br#"{"alg":"RS256","kid":"1"}"#)?;
    let unsigned = format!("{head}.{}", encoded(directory, claims.as_bytes())?);
    std::fs::write(directory.join("unsigned"), &unsigned)?;
    openssl(directory, &["dgst", "-sha256", "-sign", "ca.key", "-out", "signature", "unsigned"])?;
    let signature = encoded(directory, &std::fs::read(directory.join("signature"))?)?;
    let modulus =
        Command::new("openssl").args(["rsa", "-in", "ca.key", "-noout", "-modulus"]).current_dir(directory).output()?;
    let modulus = String::from_utf8(modulus.stdout)?;
    let digits = modulus.trim().strip_prefix("Modulus=").context("no modulus")?;
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16)).collect::<Result<_, _>>()?;
    let modulus = encoded(directory, &bytes)?;
    let keys =
        format!(r#"{{"keys":[{{"kty":"RSA","kid":"1","alg":"RS256","use":"sig","n":"{modulus}","e":"AQAB"}}]}}"#);
    std::fs::write(directory.join("jwks.json"), keys)?;
    Ok(format!("{unsigned}.{signature}"))
}

/// Base64 as tokens have it.
fn encoded(directory: &Path, bytes: &[u8]) -> anyhow::Result<String> {
    let file: PathBuf = directory.join("bytes");
    std::fs::write(&file, bytes)?;
    let output = Command::new("openssl").args(["base64", "-A", "-in"]).arg(&file).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().trim_end_matches('=').replace('+', "-").replace('/', "_"))
}

/// Gives this token to who knows the secret.
async fn give_tokens(token: String) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    // client:of-the-client
    let wanted = "authorization: basic y2xpzw50om9mlxrozs1jbgllbnq=";
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&request).contains("grant_type=") {
                match stream.read(&mut buffer).await {
                    Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let (status, body) = match String::from_utf8_lossy(&request).to_ascii_lowercase().contains(wanted) {
                true => ("200 OK", format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#)),
                false => ("401 Unauthorized", r#"{"error":"invalid_client"}"#.to_owned()),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                continue;
            }
        }
    });
    Ok(port)
}
