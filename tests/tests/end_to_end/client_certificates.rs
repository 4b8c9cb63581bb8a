//! A server that asks for a client's certificate, and the forms in which its key can be.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use stack::artifacts::Artifacts;
use stack::ports;
use stack::postgres::{Postgres, Settings};

use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// Everybody by password, but this role by its certificate.
const HBA: &str = "hostssl all certified 127.0.0.1/32 cert\nhost all postgres 127.0.0.1/32 scram-sha-256\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_key_may_be_encrypted_and_in_the_jdbc_driver_s_form() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("certificates").await?;
    let directory = tempfile::Builder::new().prefix("headwater-tls-").tempdir()?;
    let keys = directory.path();
    std::fs::set_permissions(keys, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    certificates(keys)?;
    let hba = keys.join("hba");
    std::fs::write(&hba, HBA)?;
    let port = ports::free()?;
    let settings = Settings { name: "tls", port, wal_level: "logical", durable: false, hba: Some(&hba) };
    let server = Postgres::start(&Artifacts::fetch()?, keys, &settings).await?;
    run(Command::new("chown").arg("--reference").arg(keys.join("tls/PG_VERSION")).arg(keys.join("server.key")))?;
    let client = stack::postgres::connect(&server.url("postgres")).await?;
    for setting in [
        format!("ssl_cert_file = '{}'", keys.join("server.crt").display()),
        format!("ssl_key_file = '{}'", keys.join("server.key").display()),
        format!("ssl_ca_file = '{}'", keys.join("ca.crt").display()),
        "ssl = on".to_owned(),
    ] {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await?;
    }
    client.batch_execute("SELECT pg_reload_conf()").await?;
    client.batch_execute("CREATE ROLE certified SUPERUSER LOGIN").await?;

    let streamer = pipeline.streamer().await?;
    let path = |name: &str| keys.join(name).display().to_string();
    let port = port.to_string();
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
        let source = stack::postgres::connect(&server.url(&database)).await?;
        source
            .batch_execute(&format!("CREATE TABLE {database} (id int PRIMARY KEY); INSERT INTO {database} VALUES (1)"))
            .await?;
        let (key, certificate) = (path(key), path("client.crt"));
        // Not even the factory that looks at nothing is stopped by an authority that does not know the server.
        let authority = path(if factory.is_some() { "other.crt" } else { "ca.crt" });
        let mut changes = vec![
            ("database.port", port.as_str()),
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
            ("database.port", port.as_str()),
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

/// An authority, the server's certificate, and a client's with its key in every form.
fn certificates(directory: &Path) -> anyhow::Result<()> {
    for authority in ["ca", "other"] {
        let (key, certificate) = (format!("{authority}.key"), format!("{authority}.crt"));
        let subject = format!("/CN={authority}");
        openssl(
            directory,
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &key,
                "-out",
                &certificate,
                "-subj",
                &subject,
                "-days",
                "2",
            ],
        )?;
    }
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n")?;
    for (name, subject) in [("server", "/CN=server"), ("client", "/CN=certified")] {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        openssl(
            directory,
            &["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject],
        )?;
        openssl(
            directory,
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-out",
                &certificate,
                "-days",
                "2",
                "-extfile",
                "names",
            ],
        )?;
    }
    let pass = ["-passout", "pass:secret of the key"];
    let topk8 = ["pkcs8", "-topk8", "-in", "client.key"];
    openssl(directory, &[&topk8[..], &["-nocrypt", "-out", "plain.pem"]].concat())?;
    openssl(directory, &[&topk8[..], &["-nocrypt", "-outform", "DER", "-out", "plain.pk8"]].concat())?;
    openssl(directory, &[&topk8[..], &pass, &["-out", "encrypted.pem"]].concat())?;
    openssl(directory, &[&topk8[..], &pass, &["-outform", "DER", "-out", "encrypted.pk8"]].concat())?;
    // OpenSSL 3 has DES in another module.
    let md5des = ["-v1", "PBE-MD5-DES", "-outform", "DER", "-out", "md5des.pk8"];
    let legacy = ["-provider", "legacy", "-provider", "default"];
    openssl(directory, &[&topk8[..], &pass, &md5des, &legacy].concat())?;
    let des3 = ["-v2", "des3", "-v2prf", "hmacWithSHA1", "-outform", "DER", "-out", "des3.pk8"];
    openssl(directory, &[&topk8[..], &pass, &des3].concat())?;
    openssl(
        directory,
        &[&["rsa", "-aes256", "-traditional", "-in", "client.key", "-out", "old.pem"][..], &pass].concat(),
    )
}

fn openssl(directory: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("openssl").args(arguments).current_dir(directory))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
