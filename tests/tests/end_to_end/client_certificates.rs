//! A server that asks for a client's certificate, and the forms in which its key can be.

use anyhow::{Context as _, ensure};

use super::encrypted::Encrypted;
use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// Everybody by password, but this role by its certificate.
const HBA: &str = "hostssl all certified 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 scram-sha-256\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_key_may_be_encrypted_and_in_the_jdbc_driver_s_form() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("certificates").await?;
    let server = Encrypted::start(HBA).await?;
    let client = server.client("postgres").await?;
    client.batch_execute("CREATE ROLE certified SUPERUSER LOGIN").await?;

    let streamer = pipeline.streamer().await?;
    let path = |name: &str| server.path(name);
    let port = server.port();
    let attempts = [
        ("plain.pem", None, None),
        ("plain.pk8", None, None),
        ("encrypted.pem", Some("secret of the key"), None),
        ("encrypted.pk8", Some("secret of the key"), None),
        ("md5des.pk8", Some("secret of the key"), None),
        ("des3.pk8", Some("secret of the key"), Some("org.postgresql.ssl.NonValidatingFactory")),
    ];
    for (number, (key, password, factory)) in attempts.into_iter().enumerate() {
        let database = format!("tls{number}");
        client.batch_execute(&format!("CREATE DATABASE {database}")).await?;
        let source = server.client(&database).await?;
        source
            .batch_execute(&format!("CREATE TABLE {database} (id int PRIMARY KEY); INSERT INTO {database} VALUES (1)"))
            .await?;
        let (key, certificate) = (path(key), path("client.crt"));
        // Not even the factory that looks at nothing is stopped by an authority that does not know the server.
        let authority = path(if factory.is_some() { "other.crt" } else { "ca.crt" });
        let mut changes = vec![
            ("database.port", port),
            ("database.dbname", &database),
            ("database.user", "certified"),
            ("database.sslmode", "verify-full"),
            ("database.sslrootcert", &authority),
            ("database.sslcert", &certificate),
            ("database.sslkey", &key),
            ("slot.name", &database),
            ("snapshot.mode", "initial"),
        ];
        changes.extend(password.map(|password| ("driver.sslpassword", password)));
        changes.extend(factory.map(|factory| ("database.sslfactory", factory)));
        let connector = pipeline.connector(&changes)?;
        let (status, answer) = streamer.rest().put(&format!("/connectors/{database}/config"), &connector).await?;
        ensure!(status == 201, "{key}: {answer}");
        streamer.rest().wait_task(&database, "RUNNING").await?;
        source.batch_execute(&format!("INSERT INTO {database} VALUES (2)")).await?;
        wait_records(&pipeline, &database, 2).await.with_context(|| key.clone())?;
    }
    for (key, password, why) in [
        ("encrypted.pk8", "another", "cannot be decrypted"),
        ("md5des.pk8", "another", "cannot be decrypted"),
        ("encrypted.pk8", "", "database.sslpassword is not set"),
        ("old.pem", "secret of the key", "OpenSSL's old form"),
    ] {
        let (key, certificate) = (path(key), path("client.crt"));
        let changes = [
            ("database.port", port),
            ("database.user", "certified"),
            ("database.sslmode", "require"),
            ("database.sslcert", &certificate),
            ("database.sslkey", &key),
            ("database.sslpassword", password),
        ];
        let (status, answer) = pipeline.put(&streamer, &changes).await?;
        ensure!(status == 400 && answer.to_string().contains(why), "{answer}");
        ensure!(!answer.to_string().contains("secret of the key"), "{answer}");
    }
    ensure!(!streamer.process().output().contains("secret of the key"), "a password is in the log");
    streamer.into_process().stop().await
}
