//! What the sink is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use access::diagnosis::catalogue;
use access::kafka::Security;
use clap::{Args, Parser, Subcommand};

use crate::bootstrap::worker::WorkerUrl;
use crate::consume::Subscription;
use crate::kafka::{Kafka, security};
use crate::postgres::Database;

/// Keeps a second PostgreSQL equal to the first, through Kafka.
///
/// RUST_LOG sets the log's level, LOG_FORMAT=json its form.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the source once, then apply every change from Kafka until stopped
    Run(Box<RunConfig>),
    /// Look at everything that could be wrong, and say what mends it: configured as `sink run`, before a run or while it goes on.
    /// Nothing is changed. Exit status 0 where there is no error, 1 where there is one
    Doctor(Box<DoctorConfig>),
    /// Compare every table of two databases while they are written to, and mend what differs; exit status 0 only if all are
    /// equal
    Verify(Box<VerifyConfig>),
    /// Run a configuration of Debezium's JDBC sink connector for PostgreSQL as it is, until stopped
    Jdbc(Box<JdbcConfig>),
    /// Apply the records that were set aside, now that what they were refused for is mended; exit status 0 only if none is left
    Replay(Box<ReplayConfig>),
    /// Say what an error's code means, and what is to be done
    Explain(ExplainConfig),
    /// Ask the sink that runs here how it is; exit status 0 only if nothing stands still
    Health(HealthConfig),
    /// Completions and man pages
    #[command(flatten)]
    Pages(shell::Pages),
}

/// `sink explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainConfig {
    /// As the log, doctor and /health have it: target-not-empty
    #[arg(value_name = "CODE", value_parser = catalogue::look_up)]
    pub page: &'static str,
}

/// `sink health`.
#[derive(Debug, Clone, Args)]
pub struct HealthConfig {
    /// Where the sink serves /health
    #[arg(long, env = "SINK_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8084")]
    pub http_listen: SocketAddr,
    /// How it is asked
    #[command(flatten)]
    pub health: shell::Health,
}

/// `sink run`.
#[derive(Debug, Clone, Args)]
pub struct RunConfig {
    /// The source, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…&sslcert=…&sslkey=…; without a password
    /// ~/.pgpass is read
    #[arg(long, env = "SINK_SOURCE", hide_env_values = true, value_name = "URL")]
    pub source: Database,
    /// The target, which starts empty; its URL is as the source's
    #[arg(long, env = "SINK_TARGET", hide_env_values = true, value_name = "URL")]
    pub target: Database,
    /// Kafka
    #[command(flatten)]
    pub kafka: Kafka,
    /// The worker's REST API: the streamer's, or Kafka Connect's; http://USER:PASSWORD@HOST:PORT where it asks who one is
    #[arg(long, env = "SINK_CONNECT_URL", hide_env_values = true, value_name = "URL")]
    pub connect_url: WorkerUrl,
    /// Whose certificates the worker's https has: a PEM file; the public authorities' otherwise
    #[arg(long, env = "SINK_CONNECT_CA", value_name = "FILE")]
    pub connect_ca: Option<PathBuf>,
    /// The connector's topic.prefix
    #[arg(long, env = "SINK_TOPIC_PREFIX", value_name = "PREFIX")]
    pub topic_prefix: String,
    /// The connector to deploy, as {"name": …, "config": {…}}; without it one that fits, named after the prefix
    #[arg(long, env = "SINK_CONNECTOR", value_name = "FILE")]
    pub connector: Option<PathBuf>,
    /// In which order changes are applied
    #[arg(long, env = "SINK_MODE", value_name = "MODE", default_value = "auto")]
    pub mode: Mode,
    /// What is done with a record that the target does not take
    #[arg(long, env = "SINK_ON_REFUSED", value_name = "WHAT", default_value = "set-aside")]
    pub on_refused: OnRefused,
    /// A topic that records go to which are set aside, beside headwater.set_aside, with the headers that Kafka Connect gives them
    #[arg(long, env = "SINK_DEAD_LETTER_TOPIC", value_name = "TOPIC")]
    pub dead_letter_topic: Option<String>,
    /// What the target does when the source's tables change
    #[arg(long, env = "SINK_SCHEMA_EVOLUTION", value_name = "POLICY", default_value = "basic")]
    pub schema_evolution: SchemaEvolution,
    /// INSERT … RETURNING statements to run on the source when all stands, and to find in the target
    #[arg(long, env = "SINK_TEST_ROWS", value_name = "FILE")]
    pub test_rows: Option<PathBuf>,
    /// Where /metrics and /health are served
    #[arg(long, env = "SINK_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8084")]
    pub http_listen: SocketAddr,
    /// How long the services may take to answer, in seconds
    #[arg(long, env = "SINK_DEADLINE", value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub deadline: Duration,
    /// How many tables are copied at once, and how many indexes are built, at the first start
    #[arg(long, env = "SINK_COPY_JOBS", value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub copy_jobs: u16,
    /// What the target's tables are made with at the first start
    #[arg(long, env = "SINK_COPY_SCHEMA", value_name = "WAY", default_value = "auto")]
    pub copy_schema: CopySchema,
    /// The folder of pg_dump and pg_restore, when they are not on the PATH
    #[arg(long, env = "SINK_PG_BIN", value_name = "DIRECTORY")]
    pub pg_bin: Option<PathBuf>,
}

impl RunConfig {
    /// What it reads.
    pub fn subscription(&self) -> Subscription {
        Subscription::of_tables(self.kafka.clone(), &self.topic_prefix)
    }
}

/// `sink doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorConfig {
    /// What would be run.
    #[command(flatten)]
    pub run: RunConfig,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What the target's tables are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CopySchema {
    /// pg_dump and pg_restore, where they are on the machine and not older than the source's server; the source's catalog otherwise
    Auto,
    /// pg_dump and pg_restore: everything that the source has
    #[value(name = "pg_dump")]
    PgDump,
    /// The source's catalog: tables with their types, sequences, constraints and indexes, and nothing else
    Catalog,
}

/// In which order changes are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Transactions whole, if the connector has provide.transaction.metadata and no transforms; table by table otherwise
    Auto,
    /// Transactions whole, in the order in which the source committed them: the target is always in a state that the source had
    Transaction,
    /// Each table at its own speed: tables, partitions and sinks beside each other
    Table,
}

/// What is done with a record that the target does not take: its value, a constraint, a row that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnRefused {
    /// It is put into headwater.set_aside with the reason, and what is behind it goes on; `sink replay` applies it later
    SetAside,
    /// It is tried again until the target takes it, and what is behind it waits
    Stop,
}

/// What the target does when the source's tables change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaEvolution {
    /// Nothing: changes of a table or column that it lacks wait until somebody adds it
    None,
    /// It adds what it lacks: tables, columns, labels of enums
    Basic,
    /// It does what the source did, renames, drops, types, constraints and indexes included; where transactions are applied whole, at
    /// the very place in the stream, by event triggers that the sink installs in the source
    Full,
}

/// `sink verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyConfig {
    /// The source, postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…&sslcert=…&sslkey=…; without a password
    /// ~/.pgpass is read
    #[arg(long, env = "SINK_SOURCE", hide_env_values = true, value_name = "URL")]
    pub source: Database,
    /// The target; its URL is as the source's
    #[arg(long, env = "SINK_TARGET", hide_env_values = true, value_name = "URL")]
    pub target: Database,
    /// Kafka: with it, a row that differs is told from one whose change is on its way by where the stream is; without, by
    /// --settle
    #[arg(long, env = "SINK_BOOTSTRAP_SERVERS", value_name = "HOST:PORT")]
    pub bootstrap_servers: Option<String>,
    /// How Kafka is entered: a file of a Java client's properties (security.protocol, ssl.*, sasl.*)
    #[arg(long, env = "SINK_KAFKA_CONFIG", value_name = "FILE", value_parser = security, default_value = "")]
    pub kafka_config: Security,
    /// The connector's topic.prefix, where the target has been copied for several
    #[arg(long, env = "SINK_TOPIC_PREFIX", value_name = "PREFIX")]
    pub topic_prefix: Option<String>,
    /// Write rows that differ as the source has them
    #[arg(long)]
    pub repair: bool,
    /// Go round for ever, until stopped; a line a round
    #[arg(long, conflicts_with_all = ["wait", "live_insert"])]
    pub watch: bool,
    /// How many rows are compared a second at most; 20000 with --watch, as many as the databases can otherwise
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Print the keys of so many differing rows of each table at most
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub rows: usize,
    /// Print JSON: one document, with --watch one line a round
    #[arg(long)]
    pub json: bool,
    /// Compare again for this many seconds while they differ: changes may be on their way
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub wait: Duration,
    /// Without Kafka: a row differs that has differed for this many seconds without a change on either side
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub settle: Duration,
    /// With Kafka: how long the stream may stand still, in seconds, before rows that wait for it are left undecided
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub patience: Duration,
    /// INSERT … RETURNING statements to run on the source, and to time until they are in the target
    #[arg(long, value_name = "FILE")]
    pub live_insert: Option<PathBuf>,
    /// Where /metrics and /health are served with --watch
    #[arg(long, env = "SINK_VERIFY_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8085")]
    pub http_listen: SocketAddr,
}

impl VerifyConfig {
    /// The Kafka that a sink's stream is in, if it is to be looked at.
    pub fn kafka(&self) -> Option<Kafka> {
        let bootstrap_servers = self.bootstrap_servers.clone()?;
        Some(Kafka { bootstrap_servers, security: self.kafka_config.clone() })
    }
}

/// `sink jdbc`.
#[derive(Debug, Clone, Args)]
pub struct JdbcConfig {
    /// The connector, as {"name": …, "config": {…}}, as its config alone, or as a file of properties. Variables SINK_JDBC_… are over it,
    /// and enough without it: SINK_JDBC_INSERT_MODE is insert.mode
    #[arg(long, env = "SINK_CONNECTOR", value_name = "FILE")]
    pub connector: Option<PathBuf>,
    /// Kafka
    #[command(flatten)]
    pub kafka: Kafka,
    /// Where /metrics and /health are served
    #[arg(long, env = "SINK_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8084")]
    pub http_listen: SocketAddr,
    /// How long the database and Kafka may take to answer, in seconds
    #[arg(long, env = "SINK_DEADLINE", value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub deadline: Duration,
}

/// `sink replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayConfig {
    /// The target; its URL is as that of `sink run`
    #[arg(long, env = "SINK_TARGET", hide_env_values = true, value_name = "URL")]
    pub target: Database,
    /// The connector that published them, as {"name": …, "config": {…}}: it says how values are written; as Debezium does by itself,
    /// without. For what `sink jdbc` set aside, its own
    #[arg(long, env = "SINK_CONNECTOR", value_name = "FILE")]
    pub connector: Option<PathBuf>,
    /// Only those of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "a number of seconds is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    /// Where the sink's part of docs/options.md begins.
    const HEADING: &str = "\n## The sink\n";

    /// The part of docs/options.md about the sink: what its command line takes.
    fn document() -> String {
        let mut text = "\nWhat `sink COMMAND --help` says. An option counts over its variable. `RUST_LOG` sets the log's level, `LOG_FORMAT=json` its form;\n\
            OpenTelemetry's variables, `OTEL_…`, trace what is applied (docs/operations.md, *Traces*).\n"
            .to_owned();
        let all = Arguments::command();
        let of_run: Vec<_> = all.find_subcommand("run").unwrap().get_arguments().map(clap::Arg::get_id).collect();
        for command in all.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!(
                "\n### sink {}\n\n{about}.\n\n| option | variable | default | what it is |\n|---|---|---|---|\n",
                command.get_name()
            );
            // It is configured as a run.
            let is_told = |argument: &clap::Arg| command.get_name() == "doctor" && of_run.contains(&argument.get_id());
            if command.get_arguments().any(is_told) {
                text += "| all of `sink run` | | | |\n";
            }
            text.extend(command.get_arguments().filter(|argument| !is_told(argument)).map(row));
        }
        text
    }

    fn row(argument: &clap::Arg) -> String {
        let code = |text: String| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let takes_value = argument.get_action().takes_values();
        let value = argument
            .get_value_names()
            .filter(|_| takes_value)
            .map(|names| format!(" {}", names.join(" ")))
            .unwrap_or_default();
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match (takes_value, argument.is_required_set()) {
            (false, _) => String::new(),
            (true, true) => "required".to_owned(),
            (true, false) => code(defaults.join(" ")),
        };
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|_| takes_value)
            .map(|value| {
                let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
                format!("<br>`{}`{help}", value.get_name())
            })
            .collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default() + &values.concat();
        format!(
            "| `{}` | {} | {default} | {} |\n",
            argument.get_long().map(|long| format!("--{long}{value}")).unwrap_or_else(|| value.trim().to_owned()),
            code(variable),
            help.replace('\n', " ").replace('|', "\\|")
        )
    }

    #[test]
    fn the_document_of_the_options_is_the_command_line() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/options.md");
        let written = std::fs::read_to_string(file).unwrap();
        let (before, part) = written.split_once(HEADING).unwrap();
        let text = document();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, format!("{before}{HEADING}{text}")).unwrap();
            return;
        }
        assert!(part == text, "docs/options.md is old: UPDATE_DOCS=1 cargo test -p sink --lib options");
    }
}
