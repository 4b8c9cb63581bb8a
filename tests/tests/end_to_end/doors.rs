//! How the programs get into PostgreSQL: certificates, passwords that stand in no configuration, and what keeps them out.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use stack::wait::{Condition, wait_until};
use stack::worker::{Worker, program};
use tokio_postgres::Client;

use super::encrypted::Encrypted;
use super::pipeline::Pipeline;

/// One by password, one by certificate, both with TLS only. The superuser is the test's.
const HBA: &str = "hostssl all keeper 127.0.0.1/32 scram-sha-256\nhostssl all certified 127.0.0.1/32 cert\n\
     host all postgres 127.0.0.1/32 scram-sha-256\n";
/// PostgreSQL's programs of this stack are built without TLS. They are let in without it here, by [`WRAPPER`], which first looks
/// at what they are told.
const HBA_OF_PROGRAMS: &str = "hostnossl all keeper,certified 127.0.0.1/32 trust\n";
const WRAPPER: &str = "#!/bin/sh
case \"$1\" in --version) ;; *)
    test \"$PGSSLMODE\" = verify-full && test -r \"$PGSSLROOTCERT\" || { echo \"told $PGSSLMODE $PGSSLROOTCERT\" >&2; exit 1; }
    test \"$PGUSER\" = keeper || test -r \"$PGSSLCERT\" -a -r \"$PGSSLKEY\" || { echo no certificate >&2; exit 1; }
esac
unset PGSSLROOTCERT PGSSLCERT PGSSLKEY
PGSSLMODE=disable exec PROGRAM \"$@\"
";
const PASSWORD: &str = r"co:lon\and-back";
/// The same in a password file.
const ESCAPED: &str = r"co\:lon\\and-back";

struct Doors {
    pipeline: Pipeline,
    server: Encrypted,
}

impl Doors {
    async fn new(name: &str, hba: &str) -> anyhow::Result<Self> {
        let pipeline = Pipeline::new(name).await?;
        let server = Encrypted::start(hba).await?;
        let admin = server.client("postgres").await?;
        admin
            .batch_execute(&format!(
                "CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE certified SUPERUSER LOGIN"
            ))
            .await?;
        admin.batch_execute("CREATE DATABASE one").await?;
        admin.batch_execute("CREATE DATABASE two").await?;
        let doors = Self { pipeline, server };
        doors.password_file("good", ESCAPED)?;
        doors.password_file("bad", "not-it")?;
        doors.password_file("none", "")?;
        Ok(doors)
    }

    /// A password file, its name in the server's folder.
    fn password_file(&self, name: &str, password: &str) -> anyhow::Result<()> {
        let line = format!(
            "# keeper\n127.0.0.1:{}:one:keeper:{password}\nlocalhost:*:*:keeper:{password}\n",
            self.server.port()
        );
        let path = self.server.path(name);
        std::fs::write(&path, if password.is_empty() { "" } else { &line })?;
        Ok(std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?)
    }

    fn url(&self, user: &str, host: &str, database: &str, query: &str) -> String {
        format!("postgres://{user}@{host}:{}/{database}?{query}", self.server.port())
    }

    /// The source by password, its certificate looked at.
    fn source(&self) -> String {
        self.url(
            "keeper",
            "127.0.0.1",
            "one",
            &format!("sslmode=verify-full&sslrootcert={}", self.server.path("ca.crt")),
        )
    }

    /// The target by certificate.
    fn target(&self) -> String {
        let path = |name| self.server.path(name);
        let query = format!(
            "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            path("ca.crt"),
            path("client.crt"),
            path("plain.pem")
        );
        self.url("certified", "127.0.0.1", "two", &query)
    }

    /// What `sink verify` ends with, and what it says.
    async fn verify(&self, source: &str, target: &str, password_file: &str) -> anyhow::Result<(Option<i32>, String)> {
        let mut verify = Command::new(program("sink")?);
        verify.arg("verify").args(["--wait", "60"]).env("SINK_SOURCE", source).env("SINK_TARGET", target);
        verify.env("PGPASSFILE", self.server.path(password_file)).env("RUST_LOG", "trace");
        let output = tokio::task::spawn_blocking(move || verify.output()).await??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr))))
    }

    async fn streamer(&self, password_file: &str) -> anyhow::Result<Worker> {
        let mut settings = self.pipeline.worker_settings()?;
        settings.environment.push(("PGPASSFILE", self.server.path(password_file)));
        Worker::streamer(self.pipeline.directory.path(), &settings).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_everywhere_and_passwords_in_a_file_the_target_becomes_equal() -> anyhow::Result<()> {
    let doors = Doors::new("doors", &format!("{HBA}{HBA_OF_PROGRAMS}")).await?;
    let source = doors.server.client("one").await?;
    source
        .batch_execute("CREATE TABLE goods (id int PRIMARY KEY, name text); INSERT INTO goods VALUES (1, 'copied')")
        .await?;
    let streamer = doors.streamer("good").await?;
    let programs = doors.pipeline.directory.path().join("bin");
    std::fs::create_dir(&programs)?;
    for program in ["pg_dump", "pg_restore"] {
        let original = std::env::var("TEST_PG_BIN")? + "/" + program;
        std::fs::write(programs.join(program), WRAPPER.replace("PROGRAM", &original))?;
        std::fs::set_permissions(programs.join(program), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let (mut sink, _) = doors.pipeline.sink_with(&streamer, |settings| {
        settings.source = doors.source();
        settings.target = doors.target();
        settings.connector = None;
        settings.pg_bin = programs.clone();
        settings.environment.push(("PGPASSFILE", doors.server.path("good")));
    })?;
    sink.wait_complete(1, |_| {}).await?;
    source.batch_execute("INSERT INTO goods VALUES (2, 'streamed')").await?;
    let (status, said) = doors.verify(&doors.source(), &doors.target(), "good").await?;
    ensure!(status == Some(0), "{said}");
    all_encrypted(&source).await?;

    let (_, config) = streamer.rest().get("/connectors/doors-connector/config").await?;
    ensure!(config["database.sslmode"] == "verify-full" && config["database.password"] == Value::Null, "{config}");
    for said in [said, config.to_string(), streamer.process().output(), sink.process().output()] {
        ensure!(!said.contains(PASSWORD) && !said.contains(ESCAPED), "the password is shown: {said}");
    }
    sink.into_process().stop().await?;
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sslmode_of_the_sink_lets_in_or_says_why_not() -> anyhow::Result<()> {
    let doors = Doors::new("doors_sink", HBA).await?;
    for database in ["one", "two"] {
        doors.server.client(database).await?.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
    }
    let (ca, other) = (doors.server.path("ca.crt"), doors.server.path("other.crt"));
    let ca = |mode: &str| format!("sslmode={mode}&sslrootcert={ca}");
    let other = |mode: &str| format!("sslmode={mode}&sslrootcert={other}");
    for (host, query, password_file, why) in [
        ("127.0.0.1", "connect_timeout=9".to_owned(), "good", None),
        ("127.0.0.1", "sslmode=allow".to_owned(), "good", None),
        ("127.0.0.1", "sslmode=prefer".to_owned(), "good", None),
        ("127.0.0.1", "sslmode=require".to_owned(), "good", None),
        ("127.0.0.1", ca("verify-ca"), "good", None),
        ("127.0.0.1", ca("verify-full"), "good", None),
        ("localhost", ca("verify-ca"), "good", None),
        ("localhost", ca("verify-full"), "good", Some("certificate is not accepted")),
        ("127.0.0.1", other("verify-ca"), "good", Some("certificate is not accepted")),
        ("127.0.0.1", other("verify-full"), "good", Some("certificate is not accepted")),
        ("127.0.0.1", other("require"), "good", Some("certificate is not accepted")),
        ("127.0.0.1", "sslmode=verify-full".to_owned(), "good", Some("sslrootcert names no CA file")),
        ("127.0.0.1", "sslmode=disable".to_owned(), "good", Some("no encryption")),
        ("127.0.0.1", ca("verify-full"), "bad", Some("password authentication failed")),
        ("127.0.0.1", ca("verify-full"), "none", Some("asks for a password")),
    ] {
        let source = doors.url("keeper", host, "one", &query);
        let (status, said) = doors.verify(&source, &doors.target(), password_file).await?;
        match why {
            None => ensure!(status == Some(0), "{source}: {said}"),
            Some(why) => ensure!(status == Some(2) && said.contains(why), "{source}: {said}"),
        }
        ensure!(!said.contains(PASSWORD) && !said.contains("not-it"), "the password is shown: {said}");
    }
    let nobody = doors.url("certified", "127.0.0.1", "two", "sslmode=require");
    let (status, said) = doors.verify(&doors.source(), &nobody, "good").await?;
    ensure!(status == Some(2) && said.contains("certificate"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sslmode_of_the_streamer_lets_in_or_says_why_not() -> anyhow::Result<()> {
    let doors = Doors::new("doors_streamer", HBA).await?;
    let streamer = doors.streamer("good").await?;
    let (ca, other) = (doors.server.path("ca.crt"), doors.server.path("other.crt"));
    for (host, mode, authority, password, why) in [
        ("127.0.0.1", "allow", "", "", None),
        ("127.0.0.1", "prefer", "", "", None),
        ("127.0.0.1", "require", "", "", None),
        ("127.0.0.1", "verify-ca", ca.as_str(), "", None),
        ("127.0.0.1", "verify-full", &ca, "", None),
        ("127.0.0.1", "verify-full", &ca, PASSWORD, None),
        ("localhost", "verify-ca", &ca, "", None),
        ("localhost", "verify-full", &ca, "", Some("certificate")),
        ("127.0.0.1", "verify-ca", &other, "", Some("certificate")),
        ("127.0.0.1", "verify-full", &other, "", Some("certificate")),
        ("127.0.0.1", "verify-full", "", "", Some("sslrootcert names no CA file")),
        ("127.0.0.1", "disable", "", "", Some("no encryption")),
        ("127.0.0.1", "require", "", "not-it", Some("password authentication failed")),
    ] {
        let mut changes = vec![
            ("database.hostname", host),
            ("database.port", doors.server.port()),
            ("database.dbname", "one"),
            ("database.user", "keeper"),
            ("database.sslmode", mode),
        ];
        changes.extend(Some(("database.sslrootcert", authority)).filter(|(_, file)| !file.is_empty()));
        let mut config = doors.pipeline.connector(&changes)?;
        let members = config.as_object_mut().context("no object")?;
        members.remove("database.password");
        members.extend(Some(("database.password".to_owned(), password.into())).filter(|_| !password.is_empty()));
        members.insert("name".to_owned(), "doors".into());
        let path = "/connector-plugins/PostgresConnector/config/validate";
        let (status, answer) = streamer.rest().put(path, &config).await?;
        let said = answer.to_string();
        ensure!(status == 200, "{said}");
        match why {
            None => ensure!(answer["error_count"] == 0, "{mode} {host}: {said}"),
            Some(why) => ensure!(answer["error_count"] != 0 && said.contains(why), "{mode} {host}: {said}"),
        }
        ensure!(!streamer.process().output().contains("not-it"), "the password is in the log");
    }
    streamer.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_must_be_bound_to_the_channel_is_or_is_refused() -> anyhow::Result<()> {
    let doors = Doors::new("doors_bound", HBA).await?;
    let streamer = doors.streamer("good").await?;
    let put = async |user: &str, password: &str, mode: &str| {
        let changes = [
            ("database.hostname", "127.0.0.1"),
            ("database.port", doors.server.port()),
            ("database.dbname", "one"),
            ("database.user", user),
            ("database.password", password),
            ("database.sslmode", mode),
            ("driver.channelBinding", "require"),
        ];
        doors.pipeline.put(&streamer, &changes).await
    };
    let (status, answer) = put("postgres", "postgres", "disable").await?;
    ensure!(status == 400 && answer.to_string().contains("not bound to the TLS channel"), "{status} {answer}");
    let (status, answer) = put("keeper", PASSWORD, "require").await?;
    ensure!(status == 201, "{status} {answer}");
    streamer.rest().wait_task(&doors.pipeline.name, "RUNNING").await?;
    let client = doors.server.client("one").await?;
    wait_until("the slot to be read", Duration::from_secs(30), async || {
        let slots = client.query("SELECT 1 FROM pg_replication_slots WHERE active", &[]).await?;
        Ok(if slots.is_empty() { Condition::NotYet("it is not".to_owned()) } else { Condition::Met(()) })
    })
    .await?;
    all_encrypted(&client).await?;
    streamer.into_process().stop().await
}

/// Every session of ours is encrypted, that of the replication too.
async fn all_encrypted(client: &Client) -> anyhow::Result<()> {
    let rows = client
        .query(
            "SELECT a.application_name, s.ssl, a.backend_type = 'walsender' FROM pg_stat_activity a
             JOIN pg_stat_ssl s USING (pid) WHERE a.usename IN ('keeper', 'certified')",
            &[],
        )
        .await?;
    ensure!(rows.iter().all(|row| row.get(1)), "{rows:?}");
    ensure!(rows.iter().any(|row| row.get(2)), "no replication session: {rows:?}");
    Ok(())
}
