//! A REST API for those who have a password, as Connect's basic authentication has it.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use stack::ports;
use stack::process::Process;
use stack::wait::{Condition, wait_until};
use stack::worker::{Worker, program};

use super::encrypted::certificates;
use super::guarded_kafka::{STORE_PASSWORD, stores};
use super::pipeline::Pipeline;

const PASSWORD: &str = "of-the-rest-api";

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_api_of_connect_s_basic_authentication_is_for_its_users_only() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("rest_access").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    let path = |name: &str| pipeline.directory.path().join(name);
    std::fs::write(path("users.properties"), format!("me={PASSWORD}\n"))?;
    let module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
    let jaas =
        format!("KafkaConnect {{\n  {module} required\n  file=\"{}\";\n}};\n", path("users.properties").display());
    std::fs::write(path("jaas.conf"), jaas)?;
    let mut settings = pipeline.worker_settings()?;
    let extension = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension";
    settings.more.push(("rest.extension.classes", extension.to_owned()));
    let option = format!("-Djava.security.auth.login.config={}", path("jaas.conf").display());
    settings.environment.push(("KAFKA_OPTS", option));
    let streamer = Worker::streamer(pipeline.directory.path(), &settings).await?;

    // me:of-the-rest-api, me:another, and a token.
    let good = "Basic bWU6b2YtdGhlLXJlc3QtYXBp";
    for refused in ["", "Basic bWU6YW5vdGhlcg==", "Basic ???", "Bearer bWU6b2YtdGhlLXJlc3QtYXBp"] {
        let rest = streamer.rest().with_headers(headers(refused)?)?;
        for path in [
            "/",
            "/connectors",
            "/connector-plugins",
            "/metrics",
            "/health",
            "/admin/loggers",
            "/page/events",
            "/page/page.css",
            "/nowhere",
        ] {
            let (status, answer) = rest.get(path).await?;
            ensure!(status == 401, "{path} with `{refused}`: {status} {answer}");
        }
        let page =
            reqwest::Client::new().get(streamer.rest().url()).headers(headers(refused)?).header(ACCEPT, "text/html");
        ensure!(page.send().await?.status() == 401, "the page with `{refused}`");
        let (status, _) = rest.put("/connectors/rest_access/config", &pipeline.connector(&[])?).await?;
        ensure!(status == 401, "a connector is put with `{refused}`");
        ensure!(rest.text("/connectors").await? == "User cannot access the resource.");
    }
    let rest = streamer.rest().with_headers(headers(good)?)?;
    wait_until("the worker to lead its group", Duration::from_secs(60), async || {
        let (status, connectors) = rest.get("/connectors").await?;
        let is_served = status == 200 && connectors == serde_json::json!([]);
        Ok(if is_served { Condition::Met(()) } else { Condition::NotYet(format!("{status} {connectors}")) })
    })
    .await?;

    let asked = Worker::streamer_command(&settings)?.arg("health").output()?;
    ensure!(asked.status.success(), "streamer health does not come in with the worker's own configuration: {asked:?}");

    let url = |user: &str| streamer.rest().url().replace("http://", &format!("http://{user}@"));
    let (sink, _) = pipeline.sink_with(&streamer, |settings| settings.connect_url = url("me:not-this-one"))?;
    let said = sink.wait_refusal().await?;
    ensure!(said.contains("HTTP 401") && !said.contains("not-this-one"), "{said}");
    let (mut sink, _) =
        pipeline.sink_with(&streamer, |settings| settings.connect_url = url(&format!("me:{PASSWORD}")))?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    pipeline.equal().await?;
    for said in [sink.process().output(), streamer.process().output(), rest.text("/metrics").await?] {
        ensure!(!said.contains(PASSWORD), "the password is shown: {said}");
    }
    sink.into_process().stop().await?;
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_rest_api_is_spoken_to_by_who_trusts_its_certificate_only() -> anyhow::Result<()> {
    let in_the_clear = ports::free()?;
    let pipeline = Pipeline::new("rest_encrypted").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await?;
    let directory = pipeline.directory.path();
    certificates(directory)?;
    stores(directory)?;
    let path = |name: &str| directory.join(name).display().to_string();
    let mut settings = pipeline.worker_settings()?;
    settings.more.extend([
        ("listeners", format!("https://127.0.0.1:{}, http://127.0.0.1:{in_the_clear}", settings.port)),
        ("listeners.https.ssl.keystore.location", path("server.jks")),
        ("listeners.https.ssl.keystore.password", STORE_PASSWORD.to_owned()),
        ("listeners.https.ssl.truststore.location", path("trust.jks")),
        ("listeners.https.ssl.truststore.password", STORE_PASSWORD.to_owned()),
    ]);
    let mut command = Command::new(program("streamer")?);
    command.envs(settings.variables());
    let streamer = Process::start("streamer", command, &directory.join("streamer.log"), "TERM")?;
    let url = format!("https://127.0.0.1:{}", settings.port);

    let start = |authority: &str, deadline: &str| {
        pipeline.sink_at(directory, &url, |settings| {
            settings.environment.push(("SINK_CONNECT_CA", path(authority)));
            settings.environment.push(("SINK_DEADLINE", deadline.to_owned()));
        })
    };
    let (mut sink, _) = start("ca.crt", "60")?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await?;
    let (sink, _) = start("other.crt", "3")?;
    let said = sink.wait_refusal().await?;
    ensure!(said.contains("UnknownIssuer"), "{said}");
    let plain = reqwest::get(url.replace("https", "http")).await;
    ensure!(plain.is_err(), "it answers in the clear: {plain:?}");
    settings.more.push(("listeners", url.clone()));
    let asked = Worker::streamer_command(&settings)?.arg("health").output()?;
    ensure!(asked.status.success(), "streamer health does not come in with the worker's own certificate: {asked:?}");
    // And where it is asked to.
    let plain = reqwest::get(format!("http://127.0.0.1:{in_the_clear}/connectors")).await?;
    ensure!(plain.status() == 200, "{plain:?}");
    ensure!(!streamer.output().contains(STORE_PASSWORD));
    streamer.stop().await
}

fn headers(authorization: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if !authorization.is_empty() {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization)?);
    }
    Ok(headers)
}
