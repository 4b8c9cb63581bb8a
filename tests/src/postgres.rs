//! PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_postgres::{Client, NoTls};

use crate::artifacts::Artifacts;
use crate::process::{Process, is_root};
use crate::wait::{Condition, wait_until};

/// The user, password and first database of every server here.
pub const USER: &str = "postgres";

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Its name in messages and files.
    pub name: &'a str,
    /// Its port.
    pub port: u16,
    /// `wal_level`.
    pub wal_level: &'a str,
    /// Whether it survives a power cut; tests do without, and are faster.
    pub durable: bool,
    /// Its `pg_hba.conf`, a password for everybody otherwise.
    pub hba: Option<&'a Path>,
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in `directory` and starts its server.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn start(artifacts: &Artifacts, directory: &Path, settings: &Settings<'_>) -> anyhow::Result<Self> {
        let data = directory.join(settings.name);
        let log = directory.join(format!("{}.log", settings.name));
        if !data.exists() {
            init(artifacts, &data, settings)?;
        }
        let process = Process::start(settings.name, Self::command(artifacts, directory, settings)?, &log, "INT")?;
        let mut server = Self { process, port: settings.port };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Makes a standby of a running server with `pg_basebackup` and starts it: of its slots `slot` on the primary, and it keeps
    /// its own copies of the primary's failover slots.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn standby(
        artifacts: &Artifacts,
        directory: &Path,
        settings: &Settings<'_>,
        primary: &str,
        slot: &str,
    ) -> anyhow::Result<Self> {
        let data = directory.join(settings.name);
        std::fs::create_dir_all(&data)?;
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        if is_root() {
            run(Command::new("chown").arg(server_user()?).arg(&data))?;
        }
        let mut copy = unprivileged(&artifacts.postgres_client().join("pg_basebackup"), &data)?;
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--slot", slot, "--dbname", primary])
            .arg("--pgdata")
            .arg(&data);
        run(&mut copy)?;
        let mut conf = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.auto.conf"))?;
        let standby = "hot_standby_feedback = on\nsync_replication_slots = on\nwal_receiver_status_interval = 1s\n";
        std::io::Write::write_all(&mut conf, standby.as_bytes())?;
        Self::start(artifacts, directory, settings).await
    }

    /// What starts the server of a cluster that is there.
    ///
    /// # Errors
    /// There is nobody that it could run as.
    pub fn command(artifacts: &Artifacts, directory: &Path, settings: &Settings<'_>) -> anyhow::Result<Command> {
        let data = directory.join(settings.name);
        let mut command = unprivileged(&artifacts.postgres_server().join("postgres"), &data)?;
        command.arg("-D").arg(&data).args(["-p", &settings.port.to_string()]);
        Ok(command)
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let url = url(self.port, USER);
        let process = &mut self.process;
        wait_until("PostgreSQL to answer", Duration::from_secs(60), async || {
            process.check_running()?;
            Ok(match connect(&url).await {
                Ok(_) => Condition::Met(()),
                Err(error) => Condition::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    /// The URL of a database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// The URL of a database on a local server, as the superuser.
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}:{USER}@127.0.0.1:{port}/{database}")
}

/// Opens a session.
///
/// # Errors
/// The server's.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, session) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(session);
    Ok(client)
}

/// Runs a script file in a database.
///
/// # Errors
/// The server's, with the file's name.
pub async fn run_script(client: &Client, file: &Path) -> anyhow::Result<()> {
    let script = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    client.batch_execute(&script).await.with_context(|| file.display().to_string())
}

fn init(artifacts: &Artifacts, data: &Path, settings: &Settings<'_>) -> anyhow::Result<()> {
    std::fs::create_dir_all(data)?;
    if is_root() {
        let owner = server_user()?;
        run(Command::new("chown").arg(&owner).arg(data))?;
    }
    let password = tempfile::NamedTempFile::new()?;
    std::fs::write(password.path(), USER)?;
    std::fs::set_permissions(password.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let mut initdb = unprivileged(&artifacts.postgres_server().join("initdb"), data)?;
    initdb
        .arg("-D")
        .arg(data)
        .args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"])
        .arg(format!("--pwfile={}", password.path().display()));
    if !settings.durable {
        initdb.arg("--no-sync");
    }
    run(&mut initdb)?;
    let mut conf = format!(
        "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nwal_level = {}\n\
         max_replication_slots = 300\nmax_wal_senders = 300\nmax_prepared_transactions = 10\n",
        settings.wal_level
    );
    if !settings.durable {
        conf.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n");
    }
    let mut file = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
    std::io::Write::write_all(&mut file, conf.as_bytes())?;
    if let Some(hba) = settings.hba {
        // Written into the file that is there, whose owner the server is.
        std::fs::write(data.join("pg_hba.conf"), std::fs::read(hba)?)?;
    }
    Ok(())
}

/// PostgreSQL refuses to run as root: then it runs as another user.
fn unprivileged(program: &Path, data: &Path) -> anyhow::Result<Command> {
    let mut command = if is_root() {
        let user = server_user()?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user_group(&user)?, "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(data.parent().unwrap_or(data)).env("LC_ALL", "C");
    Ok(command)
}

fn server_user() -> anyhow::Result<String> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let exists = |user: &&str| passwd.lines().any(|line| line.starts_with(&format!("{user}:")));
    match ["postgres", "nobody"].iter().find(|user| exists(user)) {
        Some(user) => Ok((*user).to_owned()),
        None => bail!(
            "PostgreSQL cannot run as root, and there is neither a user postgres nor nobody: run this as a plain user"
        ),
    }
}

fn user_group(user: &str) -> anyhow::Result<String> {
    let output = Command::new("id").args(["-g", user]).output().context("id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!("{} failed: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
