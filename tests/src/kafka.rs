//! Kafka, one broker that is its own controller (KRaft).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::artifacts::Artifacts;
use crate::ports;
use crate::process::Process;
use crate::wait::{Condition, wait_until};

/// Any 16 bytes in base64 name a cluster.
const CLUSTER_ID: &str = "aGVhZHdhdGVyLXN0YWNrMQ";

/// What a broker may use, and what it takes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Its heap in megabytes.
    pub heap: u32,
    /// The largest batch it takes, in bytes.
    pub message: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { heap: 512, message: 10 << 20 }
    }
}

/// How a Java is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jvm {
    /// It is up soon, and never gets as fast as it could.
    #[default]
    SoonUp,
    /// As Kafka's own scripts start it (`kafka-run-class.sh`).
    AsShipped,
}

/// How a broker is to be.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How its Java is started.
    pub jvm: Jvm,
    /// The port of clients that reach it as it is.
    pub port: u16,
    /// What it may use, and what it takes.
    pub limits: Limits,
    /// Clients that reach it another way: a listener each, whose advertised address is where that way begins.
    pub listeners: Vec<Listener>,
    /// Broker properties beside those, a line each.
    pub more: String,
    /// Users of SCRAM, as `kafka-storage.sh --add-scram` takes them.
    pub users: Vec<String>,
    /// Options of its JVM.
    pub java_options: String,
}

/// A listener of its own for one client, to whom the broker is at another address.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name in the broker's properties, in capitals.
    pub name: &'static str,
    /// Where the broker listens.
    pub port: u16,
    /// Where the client is told that it listens.
    pub advertised: u16,
    /// Its `security.protocol`.
    pub protocol: &'static str,
}

/// A running broker.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    port: u16,
}

impl Kafka {
    /// Formats a broker's storage in `directory` and starts it on `port`.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn start(artifacts: &Artifacts, directory: &Path, port: u16) -> anyhow::Result<Self> {
        Self::start_with(artifacts, directory, &Settings { port, ..Settings::default() }).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn start_with(artifacts: &Artifacts, directory: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let data = directory.join("kafka").join("log");
        let properties = directory.join("kafka.properties");
        if !data.exists() {
            std::fs::create_dir_all(&data)?;
            std::fs::write(&properties, configuration(settings, ports::free()?, &data))?;
            let mut format = java(artifacts, 128, directory, Jvm::SoonUp);
            format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
            format.args(settings.users.iter().flat_map(|user| ["--add-scram", user]));
            let output = format.output().context("java")?;
            if !output.status.success() {
                bail!("Kafka's storage could not be formatted: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let command = Self::command(artifacts, directory, settings);
        let process = Process::start("kafka", command, &directory.join("kafka.log"), "TERM")?;
        let mut kafka = Self { process, port: settings.port };
        kafka.wait_ready().await?;
        Ok(kafka)
    }

    /// Runs one of Kafka's own tools against it: its class, and what it is told.
    ///
    /// # Errors
    /// It fails.
    pub fn tool(&self, artifacts: &Artifacts, directory: &Path, class: &str, told: &[&str]) -> anyhow::Result<()> {
        let mut tool = java(artifacts, 128, directory, Jvm::SoonUp);
        tool.args([class, "--bootstrap-server", &self.bootstrap_servers()]).args(told);
        let output = tool.output().context("java")?;
        if !output.status.success() {
            bail!("{class} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// What starts a broker whose storage is formatted.
    pub fn command(artifacts: &Artifacts, directory: &Path, settings: &Settings) -> Command {
        let mut command = java(artifacts, settings.limits.heap, directory, settings.jvm);
        command.arg("kafka.Kafka").arg(directory.join("kafka.properties"));
        command.env("JAVA_TOOL_OPTIONS", &settings.java_options);
        command
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let servers = self.bootstrap_servers();
        let process = &mut self.process;
        wait_until("Kafka to answer", Duration::from_secs(90), async || {
            process.check_running()?;
            let consumer: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", &servers).set("log_level", "0").create()?;
            let answer = tokio::task::block_in_place(|| consumer.fetch_metadata(None, Duration::from_secs(2)));
            Ok(match answer {
                Ok(metadata) if !metadata.brokers().is_empty() => Condition::Met(()),
                Ok(_) => Condition::NotYet("it has no broker yet".to_owned()),
                Err(error) => Condition::NotYet(error.to_string()),
            })
        })
        .await
    }

    /// Where clients reach it.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process.
    pub fn into_process(self) -> Process {
        self.process
    }
}

/// Java with Kafka's classes, `heap` megabytes, in a directory that its files go to.
pub(crate) fn java(artifacts: &Artifacts, heap: u32, directory: &Path, jvm: Jvm) -> Command {
    let mut command = crate::java::java();
    let how: &[&str] = match jvm {
        Jvm::SoonUp => &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        Jvm::AsShipped => &[
            "-server",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35",
            "-XX:+ExplicitGCInvokesConcurrent",
        ],
    };
    command
        .arg(format!("-Xmx{heap}m"))
        .args(how)
        .args(["-Duser.timezone=UTC", "-Djava.awt.headless=true"])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"])
        .arg("-cp")
        .arg(artifacts.kafka_class_path())
        .current_dir(directory);
    command
}

fn configuration(settings: &Settings, controller: u16, data: &Path) -> String {
    let Settings { port, limits, listeners, more, .. } = settings;
    let message = limits.message;
    let of = |text: &dyn Fn(&Listener) -> String| listeners.iter().map(text).collect::<String>();
    let listening = of(&|listener| format!(",{}://127.0.0.1:{}", listener.name, listener.port));
    let advertised = of(&|listener| format!(",{}://127.0.0.1:{}", listener.name, listener.advertised));
    let protocols = of(&|listener| format!(",{}:{}", listener.name, listener.protocol));
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\ncontroller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port}{listening},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}\n\
         log.dirs={}\nauto.create.topics.enable=true\nnum.partitions=1\n\
         offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\nlog.retention.hours=168\n\
         message.max.bytes={message}\nreplica.fetch.max.bytes={message}\n{more}",
        data.display()
    )
}
