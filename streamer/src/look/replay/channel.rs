//! How a connector is asked (`signal.enabled.channels`).

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::config::{Connection, Driver, Secret, SslMode};
use crate::look::Ended;
use crate::look::reach::connect::Connector;
use crate::look::reach::kafka::Kafka;
use crate::look::reach::postgres::Database;
use crate::source::session::{self, query_error};
use crate::source::table_name::TableName;

/// How long Kafka may take for the signal.
const ANSWER: Duration = Duration::from_secs(15);

/// A channel's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Source,
    Kafka,
    File,
}

/// A channel that can be used.
#[derive(Debug)]
pub(super) enum Channel {
    /// A row in the signal table.
    Source(Box<Connection>, TableName),
    /// A record of the signal topic, with a key.
    Kafka { client: ClientConfig, topic: String, key: String },
    /// A line of a file.
    File(PathBuf),
}

impl Channel {
    /// The one that was asked for, or the first that the connector's configuration enables and that can be reached.
    ///
    /// # Errors
    /// With the settings that are needed.
    pub(super) fn choose(
        connector: &Connector,
        wanted: Option<Kind>,
        source: Option<&Database>,
        kafka: &Kafka,
    ) -> Result<Self, Ended> {
        let name = &connector.name;
        let read_only = connector.property("read.only") == Some("true");
        let table = connector.property("signal.data.collection");
        if table.is_none() && !read_only {
            return Err(Ended::cannot(format!(
                "connector {name} makes no incremental snapshots: it marks their place in the log with rows of a signal table, and has \
                 none. Create one, CREATE TABLE debezium_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data \
                 varchar(2048)), and set signal.data.collection=public.debezium_signal; or set read.only=true with \
                 signal.enabled.channels=kafka"
            )));
        }
        let channels = connector.property("signal.enabled.channels").unwrap_or("source");
        let is_enabled = |channel: &str| channels.split(',').any(|enabled| enabled.trim() == channel);
        let servers = connector.property("signal.kafka.bootstrap.servers");
        let by_kafka = || -> Result<Self, Ended> {
            let prefix = connector.property("topic.prefix").unwrap_or_default();
            let topic =
                connector.property("signal.kafka.topic").map_or_else(|| format!("{prefix}-signal"), str::to_owned);
            Ok(Self::Kafka { client: kafka.client(servers)?, topic, key: prefix.to_owned() })
        };
        let by_source = |table: &str| -> Result<Self, Ended> {
            let connection = match source {
                Some(source) => source.connection().clone(),
                None => connection_of(connector)?,
            };
            Ok(Self::Source(Box::new(connection), TableName::parse(table)))
        };
        let file = || PathBuf::from(connector.property("signal.file").unwrap_or("file-signals.txt"));
        match (wanted, table) {
            (Some(Kind::Kafka), _) if is_enabled("kafka") => by_kafka(),
            (Some(Kind::Source), Some(table)) if is_enabled("source") => by_source(table),
            (Some(Kind::File), _) if is_enabled("file") => Ok(Self::File(file())),
            (Some(kind), _) => {
                let wanted = match kind {
                    Kind::Kafka => "signal.enabled.channels=…,kafka and signal.kafka.bootstrap.servers",
                    Kind::Source => "signal.enabled.channels=…,source and signal.data.collection",
                    Kind::File => "signal.enabled.channels=…,file and signal.file",
                };
                Err(Ended::cannot(format!(
                    "connector {name} does not listen there: it has signal.enabled.channels={channels}, and this needs {wanted}"
                )))
            }
            (None, _) if is_enabled("kafka") && servers.is_some() => by_kafka(),
            (None, Some(table)) if is_enabled("source") => by_source(table),
            (None, _) if is_enabled("file") && file().exists() => Ok(Self::File(file())),
            (None, _) => Err(Ended::cannot(format!(
                "connector {name} cannot be asked for anything from here: it has signal.enabled.channels={channels}. Set \
                 signal.enabled.channels=source with signal.data.collection, or kafka with signal.kafka.bootstrap.servers; a file \
                 (signal.file) is written only where it is there already"
            ))),
        }
    }

    /// What it is, for a person.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Source(_, table) => format!("its signal table {table}"),
            Self::Kafka { topic, .. } => format!("its signal topic {topic}"),
            Self::File(path) => format!("its signal file {}", path.display()),
        }
    }

    /// Asks for a snapshot.
    ///
    /// # Errors
    /// That of the table, the topic or the file; nothing was asked for then.
    pub(super) async fn send(&self, id: &str, data: &Value) -> Result<(), Ended> {
        let signal = json!({ "id": id, "type": "execute-snapshot", "data": data }).to_string();
        match self {
            Self::Source(connection, table) => {
                let client = session::connect(connection, "replay").await?;
                let insert = format!("INSERT INTO {} VALUES ($1, 'execute-snapshot', $2)", table.quoted());
                client
                    .execute(&insert, &[&id, &data.to_string()])
                    .await
                    .map_err(|error| query_error(&format!("writing into the signal table {table}"), error))?;
            }
            Self::Kafka { client, topic, key } => {
                let failed = |why: String| {
                    Ended::cannot(format!("the signal was not taken by topic {topic}: {why}. Nothing was asked for"))
                };
                let mut settings = client.clone();
                settings.set("acks", "all").set("message.timeout.ms", ANSWER.as_millis().to_string());
                let producer: FutureProducer = settings.create().map_err(|error| failed(error.to_string()))?;
                // Signals are looked for in the first partition only.
                let record = FutureRecord::to(topic).partition(0).key(key).payload(&signal);
                producer.send(record, ANSWER).await.map_err(|(error, _)| failed(error.to_string()))?;
            }
            Self::File(path) => {
                let written = std::fs::OpenOptions::new().append(true).create(true).open(path);
                written.and_then(|mut file| writeln!(file, "{signal}")).map_err(|error| {
                    Ended::cannot(format!("the signal file {} cannot be written", path.display())).because(error)
                })?;
            }
        }
        Ok(())
    }
}

/// How the connector reaches its database, where its configuration says it in the clear.
fn connection_of(connector: &Connector) -> Result<Connection, Ended> {
    let text = |key: &str| connector.property(key).map(str::to_owned);
    let keys = ["database.hostname", "database.port", "database.user", "database.password", "database.dbname"];
    let is_elsewhere = keys.iter().any(|key| connector.property(key).is_some_and(|value| value.contains("${")));
    let required = |key: &str| text(key).filter(|_| !is_elsewhere);
    match (required("database.hostname"), required("database.user"), required("database.dbname")) {
        (Some(hostname), Some(user), Some(dbname)) => Ok(Connection {
            hostname,
            port: connector.property("database.port").and_then(|port| port.parse().ok()).unwrap_or(5432),
            user,
            password: text("database.password").map(Secret::new),
            dbname,
            sslmode: connector.property("database.sslmode").and_then(SslMode::parse).unwrap_or(SslMode::Prefer),
            sslrootcert: text("database.sslrootcert"),
            sslcert: text("database.sslcert"),
            sslkey: text("database.sslkey"),
            sslpassword: text("database.sslpassword").map(Secret::new),
            tcp_keep_alive: true,
            initial_statements: Vec::new(),
            driver: Driver::default(),
            query_timeout: None,
        }),
        _ => Err(Ended::cannot(
            "the signal table is in the source, and the connector's configuration does not say in the clear how to get there: give \
             --source postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        kafka: Kafka,
    }

    fn choose(config: &[(&str, &str)], wanted: Option<Kind>) -> Result<String, String> {
        let base =
            [("topic.prefix", "p"), ("database.hostname", "h"), ("database.user", "u"), ("database.dbname", "d")];
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let config: BTreeMap<String, String> = base.iter().chain(config).map(owned).collect();
        let connector = Connector { name: "c".to_owned(), config };
        let kafka = Arguments::parse_from(["x", "--bootstrap-servers", "k:9092"]).kafka;
        Channel::choose(&connector, wanted, None, &kafka)
            .map(|channel| channel.told())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_way_is_chosen_that_the_connector_listens_to() {
        let table = ("signal.data.collection", "public.signals");
        let servers = ("signal.kafka.bootstrap.servers", "k:9092");
        assert_eq!(choose(&[table], None), Ok("its signal table public.signals".to_owned()));
        let both = [table, servers, ("signal.enabled.channels", "source, kafka")];
        assert_eq!(choose(&both, None), Ok("its signal topic p-signal".to_owned()));
        assert_eq!(choose(&both, Some(Kind::Source)), Ok("its signal table public.signals".to_owned()));
        let read_only = [("read.only", "true"), servers, ("signal.enabled.channels", "kafka")];
        assert_eq!(choose(&read_only, None), Ok("its signal topic p-signal".to_owned()));
    }

    #[test]
    fn what_is_missing_for_it_is_named() {
        for (config, named) in [
            (&[][..], "signal.data.collection"),
            (
                &[("signal.data.collection", "public.s"), ("signal.enabled.channels", "kafka")],
                "signal.kafka.bootstrap.servers",
            ),
            (&[("signal.data.collection", "public.s"), ("database.user", "${file:/x:user}")], "--source"),
        ] {
            let error = choose(config, None).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
