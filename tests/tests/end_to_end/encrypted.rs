//! A PostgreSQL with TLS.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use stack::artifacts::Artifacts;
use stack::ports;
use stack::postgres::{Postgres, Settings};
use tokio_postgres::Client;

/// A server whose certificate is for `127.0.0.1`, by the authority `ca.crt`. In its folder are also an authority that it does
/// not know (`other.crt`), and a certificate for the role `certified` (`client.crt`) with its key in every form.
pub(crate) struct Encrypted {
    directory: tempfile::TempDir,
    server: Postgres,
    port: String,
}

impl Encrypted {
    /// Starts it with this `pg_hba.conf`, which must let `postgres` in.
    pub(crate) async fn start(hba: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("headwater-tls-").tempdir()?;
        let keys = directory.path();
        std::fs::set_permissions(keys, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        certificates(keys)?;
        let file = keys.join("hba");
        std::fs::write(&file, hba)?;
        let port = ports::free()?;
        let settings = Settings { name: "tls", port, wal_level: "logical", durable: false, hba: Some(&file) };
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
        Ok(Self { directory, server, port: port.to_string() })
    }

    /// A file beside it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Its port.
    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    /// A session of the superuser, without TLS.
    pub(crate) async fn client(&self, database: &str) -> anyhow::Result<Client> {
        stack::postgres::connect(&self.server.url(database)).await
    }
}

/// An authority, the server's certificate, and a client's with its key in every form.
pub(crate) fn certificates(directory: &Path) -> anyhow::Result<()> {
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

pub(crate) fn openssl(directory: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("openssl").args(arguments).current_dir(directory))
}

pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
