//! How streamer and sink get into a Kafka that asks who they are, with the settings that Java's clients have for it.

use std::process::Command;

use anyhow::ensure;
use stack::worker::{Settings, Worker, program};

use super::guarded_kafka::{Door, GuardedKafka, PASSWORD, SECRET, STORE_PASSWORD};
use super::pipeline::Pipeline;

type Properties = Vec<(&'static str, String)>;

/// `security.protocol` with TLS, trusting a store of this kind.
fn tls(kafka: &GuardedKafka, protocol: &str, store: &str) -> Properties {
    vec![
        ("security.protocol", protocol.to_owned()),
        ("ssl.truststore.location", kafka.path(store)),
        ("ssl.truststore.password", STORE_PASSWORD.to_owned()),
    ]
}

fn identity(kafka: &GuardedKafka, store: &str) -> Properties {
    vec![
        ("ssl.keystore.location", kafka.path(store)),
        ("ssl.keystore.password", STORE_PASSWORD.to_owned()),
        ("ssl.key.password", STORE_PASSWORD.to_owned()),
    ]
}

fn password(mechanism: &str, module: &str, password: &str) -> Properties {
    let module = format!("org.apache.kafka.common.security.{module}");
    let password = password.replace('"', "\\\"");
    vec![
        ("sasl.mechanism", mechanism.to_owned()),
        ("sasl.jaas.config", format!("{module} required username=\"me\" password=\"{password}\";")),
    ]
}

fn any_token() -> Properties {
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    vec![
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.jaas.config", format!("{module} required unsecuredLoginStringClaim_sub=\"me\";")),
    ]
}

fn token(kafka: &GuardedKafka, secret: &str) -> Properties {
    let oauth = "org.apache.kafka.common.security.oauthbearer";
    vec![
        ("security.protocol", "SASL_PLAINTEXT".to_owned()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
        ("sasl.login.callback.handler.class", format!("{oauth}.OAuthBearerLoginCallbackHandler")),
        ("sasl.oauthbearer.token.endpoint.url", kafka.tokens()),
        (
            "sasl.jaas.config",
            format!("{oauth}.OAuthBearerLoginModule required clientId=\"client\" clientSecret=\"{secret}\";"),
        ),
    ]
}

/// A worker that has the same for its producers, as Connect wants it.
fn settings(pipeline: &Pipeline, servers: String, security: &Properties) -> anyhow::Result<Settings> {
    let mut settings = pipeline.worker_settings()?;
    settings.bootstrap_servers = servers;
    settings.more.extend(security.clone());
    // Leaked, for a test: names of settings are constants elsewhere.
    let of_producers = security.iter().map(|(key, value)| (&*format!("producer.{key}").leak(), value.clone()));
    settings.more.extend(of_producers);
    Ok(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_get_through_every_door_of_kafka() -> anyhow::Result<()> {
    let kafka = GuardedKafka::start().await?;
    let mut pipeline = Pipeline::new("kafka_doors").await?;
    pipeline.kafka = kafka.plain().to_owned();
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (0)").await?;
    let plain = "plain.PlainLoginModule";
    let scram = "scram.ScramLoginModule";
    let ways = [
        (Door::Certificate, [tls(&kafka, "SSL", "trust.jks"), identity(&kafka, "client.jks")].concat()),
        (Door::Certificate, [tls(&kafka, "SSL", "trust.p12"), identity(&kafka, "client.p12")].concat()),
        (Door::Password, [tls(&kafka, "SASL_SSL", "ca.crt"), password("PLAIN", plain, PASSWORD)].concat()),
        (Door::Password, [tls(&kafka, "SASL_SSL", "trust.p12"), password("SCRAM-SHA-256", scram, PASSWORD)].concat()),
        (Door::Password, [tls(&kafka, "SASL_SSL", "trust.jks"), password("SCRAM-SHA-512", scram, PASSWORD)].concat()),
        (Door::AnyToken, any_token()),
        (Door::Token, token(&kafka, SECRET)),
    ];
    for (number, (door, security)) in ways.iter().enumerate() {
        let streamer =
            Worker::streamer(pipeline.directory.path(), &settings(&pipeline, kafka.servers(*door), security)?).await?;
        let file = pipeline.directory.path().join("client.properties");
        let escaped = |value: &String| value.replace('\\', "\\\\");
        let text: String = security.iter().map(|(key, value)| format!("{key}={}\n", escaped(value))).collect();
        std::fs::write(&file, text)?;
        let (mut sink, _) = pipeline.sink_with(&streamer, |settings| {
            settings.bootstrap_servers = kafka.servers(*door);
            settings.environment.push(("SINK_KAFKA_CONFIG", file.display().to_string()));
        })?;
        sink.wait_complete(1, |_| {}).await?;
        pipeline.run(&format!("INSERT INTO t VALUES ({})", number + 1)).await?;
        pipeline.target_has("SELECT max(id) FROM t", &(number + 1).to_string()).await?;
        for said in [sink.process().output(), streamer.process().output(), streamer.rest().text("/metrics").await?] {
            for secret in [PASSWORD, STORE_PASSWORD, SECRET] {
                ensure!(!said.contains(secret), "{door:?}: a password is shown: {said}");
            }
        }
        sink.into_process().stop().await?;
        streamer.into_process().stop().await?;
    }
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_wrong_key_to_kafka_is_told_so_and_publishes_nothing() -> anyhow::Result<()> {
    let kafka = GuardedKafka::start().await?;
    let pipeline = Pipeline::new("kafka_locked").await?;
    let plain = "plain.PlainLoginModule";
    let scram = "scram.ScramLoginModule";
    let by_name = |door| kafka.servers(door).replace("127.0.0.1", "localhost");
    let refused = [
        (
            kafka.servers(Door::Password),
            [tls(&kafka, "SASL_SSL", "other.jks"), password("PLAIN", plain, PASSWORD)].concat(),
            "certificate",
        ),
        (
            kafka.servers(Door::Password),
            [tls(&kafka, "SASL_SSL", "trust.jks"), password("PLAIN", plain, "wrong")].concat(),
            "uthentication",
        ),
        (
            kafka.servers(Door::Password),
            [tls(&kafka, "SASL_SSL", "trust.p12"), password("SCRAM-SHA-512", scram, "wrong")].concat(),
            "uthentication",
        ),
        (
            by_name(Door::Password),
            [tls(&kafka, "SASL_SSL", "trust.jks"), password("PLAIN", plain, PASSWORD)].concat(),
            "certificate",
        ),
        (kafka.servers(Door::Certificate), tls(&kafka, "SSL", "trust.jks"), "certificate"),
        (kafka.servers(Door::Token), any_token(), "uthentication"),
        (kafka.servers(Door::Token), token(&kafka, "wrong"), "invalid_client"),
        (
            kafka.servers(Door::Password),
            [tls(&kafka, "SASL_SSL", "trust.jks"), vec![("ssl.truststore.password", "wrong".to_owned())]].concat(),
            "ssl.truststore.location is not usable",
        ),
    ];
    for (servers, security, expected) in refused {
        let settings = settings(&pipeline, servers.clone(), &security)?;
        let mut streamer = Command::new(program("streamer")?);
        streamer.envs(settings.variables());
        let output = tokio::task::spawn_blocking(move || streamer.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{servers} {expected}: it ran");
        let is_told = said.lines().any(|line| line.starts_with("streamer: ") && line.contains(expected));
        ensure!(is_told, "{servers}: `{expected}` is expected, and it says: {said}");
        for secret in [PASSWORD, STORE_PASSWORD, SECRET] {
            ensure!(!said.contains(secret), "a password is shown: {said}");
        }
    }
    Ok(())
}
