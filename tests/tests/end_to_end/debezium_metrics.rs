//! Dashboards made for Debezium: the streamer's `/metrics` beside a real Debezium's under the Prometheus JMX exporter.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use stack::artifacts;
use stack::ports;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker};

use super::pipeline::Pipeline;

/// A metric's types and series: by name, `# TYPE`, and by name and labels its value.
#[derive(Debug, Default)]
struct Scraped {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scraped {
    /// What dashboards for Debezium and for Kafka Connect look for, without the pipeline's name in it.
    fn of(text: &str, pipeline: &str) -> Self {
        let mut scraped = Self::default();
        let counts = |name: &str| name.starts_with("debezium_metrics_") || name.starts_with("kafka_connect_");
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                if counts(name) {
                    scraped.kinds.insert(name.to_owned(), kind.to_owned());
                }
            } else if let Some((series, value)) = line.rsplit_once(' ').filter(|(series, _)| counts(series)) {
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|l| !l.is_empty()).collect();
                labels.sort_unstable();
                let series = format!("{name}{{{}}}", labels.join(",")).replace(pipeline, "PIPELINE");
                scraped.series.insert(series, value.parse().unwrap_or(f64::NAN));
            }
        }
        scraped
    }

    fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or(f64::NAN)
    }
}

const STREAMED: &str =
    "debezium_metrics_TotalNumberOfUpdateEventsSeen{context=\"streaming\",name=\"PIPELINE\",plugin=\"postgres\"}";
const SCANNED: &str =
    "debezium_metrics_RowsScanned{context=\"snapshot\",name=\"PIPELINE\",plugin=\"postgres\",table=\"public.t\"}";

/// Deploys, changes rows, takes an incremental snapshot of a table that has grown, and gives what is scraped in the end.
async fn lived_through(pipeline: &Pipeline, worker: &Worker, metrics: &Rest) -> anyhow::Result<Scraped> {
    let scrape = async || Ok::<_, anyhow::Error>(Scraped::of(&metrics.text("/metrics").await?, &pipeline.name));
    let until = async |series: &str, value: f64| {
        wait_until(&format!("{series} to be {value}"), Duration::from_secs(60), async || {
            let scraped = scrape().await?;
            let found = scraped.value(series);
            Ok(if found >= value { Condition::Met(scraped) } else { Condition::NotYet(found.to_string()) })
        })
        .await
    };
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text);
             INSERT INTO t SELECT n, 'a' FROM generate_series(1, 10) n;
             CREATE TABLE u (id int PRIMARY KEY);
             INSERT INTO u VALUES (1);
             CREATE TABLE without_rows (id int PRIMARY KEY)",
        )
        .await?;
    pipeline.put(worker, &[("signal.data.collection", "public.signals"), ("snapshot.mode", "initial")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    until("debezium_metrics_Connected{context=\"streaming\",name=\"PIPELINE\",plugin=\"postgres\"}", 1.0).await?;
    pipeline.run("INSERT INTO t VALUES (100, 'x'), (101, 'y')").await?;
    pipeline.run("BEGIN; DELETE FROM t WHERE id = 101; UPDATE t SET v = 'z' WHERE id = 100; COMMIT").await?;
    until(STREAMED, 1.0).await?;
    // Behind the snapshot, which Debezium has read this table for as well.
    pipeline
        .run("CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))")
        .await?;
    let signal = r#"INSERT INTO signals VALUES ('again', 'execute-snapshot', '{"data-collections": ["public.t"]}')"#;
    pipeline.run(signal).await?;
    until(SCANNED, 11.0).await?;
    until("debezium_metrics_SnapshotCompleted{context=\"snapshot\",name=\"PIPELINE\",plugin=\"postgres\"}", 1.0)
        .await?;
    // Behind what closes the last chunk.
    pipeline.run("UPDATE t SET v = 'last' WHERE id = 100").await?;
    until(STREAMED, 2.0).await
}

/// Debezium's own, under the exporter.
async fn of_debezium(pipeline: &Pipeline) -> anyhow::Result<Scraped> {
    let port = ports::free()?;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts/jmx-exporter.yml");
    let agent = format!("-javaagent:{}=127.0.0.1:{port}:{}", artifacts::jmx_exporter()?.display(), rules.display());
    let mut settings = pipeline.worker_settings()?;
    settings.environment.push(("JAVA_TOOL_OPTIONS", agent));
    let worker = Worker::debezium(&artifacts::Artifacts::fetch()?, pipeline.directory.path(), &settings).await?;
    let scraped = lived_through(pipeline, &worker, &Rest::new(port)).await?;
    worker.into_process().stop().await?;
    Ok(scraped)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streamer_has_debeziums_metrics_by_name_label_type_and_value() -> anyhow::Result<()> {
    let (theirs, ours) = (Pipeline::new("metrics_of_debezium").await?, Pipeline::new("metrics_of_ours").await?);
    let streamer = ours.streamer().await?;
    let (theirs, ours) = tokio::try_join!(of_debezium(&theirs), lived_through(&ours, &streamer, streamer.rest()))?;
    streamer.into_process().stop().await?;

    for (name, kind) in theirs.kinds {
        assert_eq!(ours.kinds.get(&name), Some(&kind), "{name}");
    }
    // How long something took, and the size of a queue that Debezium does not limit in bytes unless it is told to.
    let is_own = |name: &str| {
        ["MilliSeconds", "DurationInSeconds", "QueueSizeInBytes", "QueueRemainingCapacity"]
            .iter()
            .any(|part| name.contains(part))
    };
    let missing: Vec<&String> = theirs.series.keys().filter(|series| !ours.series.contains_key(*series)).collect();
    assert!(missing.is_empty(), "series that dashboards look for: {missing:#?}\nours: {:#?}", ours.series);
    let more: Vec<&String> = ours
        .series
        .keys()
        .filter(|series| series.starts_with("debezium_") && !theirs.series.contains_key(*series))
        .collect();
    assert!(more.is_empty(), "series that Debezium has not: {more:#?}");
    let differing: Vec<_> = theirs
        .series
        .iter()
        .filter(|(series, value)| !is_own(series) && ours.value(series) != **value)
        .map(|(series, value)| format!("{series}: {value} in Debezium, {}", ours.value(series)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let behind =
        "debezium_metrics_MilliSecondsBehindSource{context=\"streaming\",name=\"PIPELINE\",plugin=\"postgres\"}";
    assert!((0.0..60_000.0).contains(&ours.value(behind)), "{}", ours.value(behind));
    Ok(())
}
