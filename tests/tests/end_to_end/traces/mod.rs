//! A transaction is one trace from its commit to the target, where traces are asked for.

mod collector;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::message::{Headers as _, Message as _};
use stack::process::Process;
use stack::wait::{Condition, wait_until};
use stack::worker::{Worker, program};
use stack::{ports, topic};
use tokio::net::TcpListener;

use self::collector::{Collector, Span};
use super::pipeline::Pipeline;
use super::restarts::wait_end;

/// OpenTelemetry's numbers for kinds of spans.
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

async fn streamer(
    pipeline: &Pipeline,
    environment: Vec<(&'static str, String)>,
    more: &[(&'static str, &str)],
) -> anyhow::Result<Worker> {
    let mut settings = pipeline.worker_settings()?;
    settings.environment.extend(environment);
    settings.more.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    Worker::streamer(pipeline.directory.path(), &settings).await
}

/// The `traceparent` of each record of a table, empty where there is none.
fn traceparents(pipeline: &Pipeline, topic: &str) -> anyhow::Result<Vec<String>> {
    let records = tokio::task::block_in_place(|| {
        topic::read_on(&pipeline.kafka, topic, &mut BTreeMap::new(), |message| {
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            let of_traces: Vec<_> = headers.filter(|header| header.key == "traceparent").collect();
            assert!(of_traces.len() <= 1, "one header");
            let value = of_traces.first().and_then(|header| header.value).unwrap_or_default();
            Ok(String::from_utf8(value.to_vec())?)
        })
    })?;
    Ok(records.into_values().flatten().collect())
}

/// Its times are in order, and it says nothing of the rows.
fn is_sound(transaction: &Span) {
    let events: Vec<&str> = transaction.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(events, ["received", "enqueued"]);
    let times: Vec<u64> = [transaction.start]
        .into_iter()
        .chain(transaction.events.iter().map(|(_, at)| *at))
        .chain([transaction.end])
        .collect();
    assert!(times.is_sorted(), "{transaction:?}");
    assert!(!format!("{transaction:?}").contains("secret"), "{transaction:?}");
}

/// It came of that one, and behind it.
fn is_applied(apply: &Span, transaction: &Span) {
    assert_eq!((apply.service.as_str(), apply.kind), ("headwater-sink", CONSUMER));
    assert_eq!((&apply.trace, &apply.parent), (&transaction.trace, &transaction.id), "a child of it");
    let times = [transaction.start, apply.start, apply.end];
    assert!(times.is_sorted(), "{transaction:?} {apply:?}");
    assert!(!format!("{apply:?}").contains("secret"), "{apply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_one_trace_from_its_commit_to_the_target() -> anyhow::Result<()> {
    let (pipeline, collector) = (Pipeline::new("traces").await?, Collector::start().await?);
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text);
              INSERT INTO t VALUES (1, 'secret of the snapshot')",
        )
        .await?;
    let worker = streamer(&pipeline, collector.variables(), &[]).await?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| settings.environment = collector.variables())?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline
        .run("BEGIN; INSERT INTO t VALUES (2, 'secret'); UPDATE t SET id = 3 WHERE id = 1; INSERT INTO u VALUES (1, 'secret'); COMMIT")
        .await?;
    let transaction = collector.wait("transaction", 1).await?.remove(0);
    assert_eq!((transaction.service.as_str(), transaction.kind), ("headwater-streamer", PRODUCER));
    assert_eq!(transaction.parent, "", "it is the first of its trace");
    is_sound(&transaction);
    for (name, value) in [
        ("db.system.name", "postgresql"),
        ("db.namespace", "traces"),
        ("messaging.system", "kafka"),
        ("headwater.connector", "traces"),
        ("headwater.slot", "traces"),
        // A changed key is a delete, a tombstone and a create.
        ("headwater.events", "4"),
        ("messaging.batch.message_count", "5"),
    ] {
        assert_eq!(transaction.says(name), value, "{name}: {transaction:?}");
    }
    assert!(transaction.says("headwater.commit_lsn").contains('/'), "{transaction:?}");
    assert_eq!(traceparents(&pipeline, &pipeline.topic("t"))?, vec![transaction.traceparent(); 4]);
    assert_eq!(traceparents(&pipeline, &pipeline.topic("u"))?, [transaction.traceparent()]);
    pipeline.target_has("SELECT count(*) FROM u", "1").await?;
    // Tables go by themselves: one span a batch that has some of it.
    let of_table = |table: &str| {
        let topic = pipeline.topic(table);
        move |span: &&Span| span.says("messaging.destination.name") == topic
    };
    let applied = wait_until("both tables to be applied", Duration::from_secs(30), async || {
        let spans = collector.spans("apply");
        let records = |table| -> i64 {
            spans
                .iter()
                .filter(of_table(table))
                .filter_map(|span| span.says("messaging.batch.message_count").parse::<i64>().ok())
                .sum()
        };
        Ok(match (records("t"), records("u")) {
            (4, 1) => Condition::Met(spans),
            records => Condition::NotYet(format!("{records:?} records")),
        })
    })
    .await?;
    applied.iter().for_each(|apply| is_applied(apply, &transaction));
    let of_u = applied.iter().find(of_table("u")).context("a span")?;
    assert_eq!(of_u.says("headwater.offsets"), format!("{}/0/0-0", pipeline.topic("u")));
    assert_eq!((of_u.says("db.namespace"), of_u.says("headwater.rows")), ("traces", "1"));
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_applied_whole_is_one_span_of_all_its_tables() -> anyhow::Result<()> {
    let (pipeline, collector) = (Pipeline::new("traces_whole").await?, Collector::start().await?);
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)").await?;
    let worker = streamer(&pipeline, collector.variables(), &[("exactly.once.source.support", "enabled")]).await?;
    let file = pipeline.directory.path().join("whole.json");
    let config = pipeline.connector(&[("provide.transaction.metadata", "true")])?;
    std::fs::write(&file, serde_json::json!({ "name": pipeline.name, "config": config }).to_string())?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| {
        (settings.connector, settings.environment) = (Some(file), collector.variables());
    })?;
    sink.wait_complete(1, |_| {}).await?;
    // More than one chunk of it.
    pipeline
        .run(
            "BEGIN; INSERT INTO t SELECT n, repeat('secret', 100) FROM generate_series(1, 20000) n;
              INSERT INTO u VALUES (1, 'secret'); COMMIT",
        )
        .await?;
    let apply = collector.wait("apply", 1).await?.remove(0);
    let transaction = collector.wait("transaction", 1).await?.remove(0);
    is_sound(&transaction);
    is_applied(&apply, &transaction);
    assert_eq!(apply.says("headwater.rows"), "20001");
    // Ends of Kafka's transactions stand between the records.
    let (of_t, of_u) = apply.says("headwater.offsets").split_once(' ').context("two topics")?;
    assert!(of_t.starts_with(&format!("{}/0/0-", pipeline.topic("t"))), "{apply:?}");
    assert!(of_u.starts_with(&format!("{}/0/0-", pipeline.topic("u"))), "{apply:?}");
    assert_eq!(transaction.says("headwater.events"), "20001");
    // Its beginning and its end are records of it too.
    assert_eq!(transaction.says("messaging.batch.message_count"), "20003");
    let boundaries = traceparents(&pipeline, &format!("{}.transaction", pipeline.name))?;
    assert_eq!(boundaries, vec![transaction.traceparent(); 2]);
    sink.into_process().stop().await?;
    worker.into_process().stop().await?;
    assert_eq!(collector.spans("apply").len(), 1, "one span of a transaction");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_slots_have_of_a_transaction_is_one_trace_into_a_jdbc_sinks_target_too() -> anyhow::Result<()> {
    let (pipeline, collector) = (Pipeline::new("traces_slots").await?, Collector::start().await?);
    // Of two shares each has two of them.
    let tables = ["a", "items", "orders", "t2"];
    let of_each = |sql: &str| tables.map(|table| sql.replace("$t", table)).join("; ");
    pipeline.run(&of_each("CREATE TABLE $t (id int PRIMARY KEY, v text)")).await?;
    let worker = streamer(&pipeline, collector.variables(), &[]).await?;
    let with_schemas = [
        ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("key.converter.schemas.enable", "true"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "true"),
    ];
    let slots = [("headwater.slots", "2"), ("publication.autocreate.mode", "filtered")];
    pipeline.put(&worker, &[&with_schemas[..], &slots].concat()).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let target = pipeline.target_url();
    let (_, server) = target.rsplit_once('@').context("no server in the URL")?;
    let mut connector = serde_json::json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "schema.evolution": "basic",
        "topics.regex": format!("{}\\.public\\..*", pipeline.name), "connection.url": format!("jdbc:postgresql://{server}"),
        "connection.username": "postgres", "connection.password": "postgres", "insert.mode": "upsert",
        "primary.key.mode": "record_key", "collection.name.format": "${source.table}",
    });
    for (key, value) in with_schemas {
        connector[key] = value.into();
    }
    let file = pipeline.directory.path().join("jdbc-sink.json");
    std::fs::write(&file, serde_json::json!({ "name": pipeline.name, "config": connector }).to_string())?;
    let mut command = Command::new(program("sink")?);
    command.args(["jdbc", "--bootstrap-servers", &pipeline.kafka, "--http-listen"]);
    command.arg(format!("127.0.0.1:{}", ports::free()?)).arg("--connector").arg(&file).envs(collector.variables());
    let sink = Process::start("sink jdbc", command, &pipeline.directory.path().join("jdbc.log"), "TERM")?;
    pipeline.run(&format!("BEGIN; {}; COMMIT", of_each("INSERT INTO $t VALUES (1, 'secret')"))).await?;
    let transactions = collector.wait("transaction", 2).await?;
    let [first, second] = transactions.as_slice() else { anyhow::bail!("{transactions:?}") };
    assert_eq!(first.trace, second.trace);
    assert!(first.id != second.id && first.says("headwater.slot") != second.says("headwater.slot"), "{transactions:?}");
    for apply in collector.wait("apply", 4).await? {
        let parent = transactions.iter().find(|transaction| transaction.id == apply.parent).context("a parent")?;
        is_applied(&apply, parent);
    }
    sink.stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_published_once_more_is_the_same_trace() -> anyhow::Result<()> {
    let (pipeline, collector) = (Pipeline::new("traces_again").await?, Collector::start().await?);
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'secret')").await?;
    // What is published is not stored soon.
    let seldom = [("offset.flush.interval.ms", "600000")];
    let worker = streamer(&pipeline, collector.variables(), &seldom).await?;
    // Through transforms of which one throws away all headers that it sees.
    pipeline
        .put(
            &worker,
            &[
                ("snapshot.mode", "initial"),
                ("transforms", "unwrap,bare"),
                ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
                ("transforms.unwrap.add.headers", "op"),
                ("transforms.bare.type", "org.apache.kafka.connect.transforms.DropHeaders"),
                ("transforms.bare.headers", "__op,traceparent"),
            ],
        )
        .await?;
    wait_end(&pipeline, "t", 1).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (2, 'secret')").await?;
    collector.wait("transaction", 1).await?;
    worker.into_process().kill();
    let worker = streamer(&pipeline, collector.variables(), &seldom).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (3, 'secret')").await?;
    wait_end(&pipeline, "t", 4).await?;
    let spans = collector.wait("transaction", 3).await?;
    let [first, again, other] = spans.as_slice() else { anyhow::bail!("{} spans", spans.len()) };
    assert_eq!((&first.trace, &first.id, first.start), (&again.trace, &again.id, again.start), "the same");
    assert_ne!(first.trace, other.trace);
    spans.iter().for_each(is_sound);
    let expected = [String::new(), first.traceparent(), first.traceparent(), other.traceparent()];
    assert_eq!(traceparents(&pipeline, &pipeline.topic("t"))?, expected, "and none of the snapshot");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_transactions_as_many_are_traced_as_was_asked_for() -> anyhow::Result<()> {
    let (pipeline, collector) = (Pipeline::new("traces_some").await?, Collector::start().await?);
    pipeline.run("CREATE TABLE t (id serial PRIMARY KEY, v text)").await?;
    let mut variables = collector.variables();
    variables.push(("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()));
    variables.push(("OTEL_TRACES_SAMPLER_ARG", "0.25".to_owned()));
    variables.push(("OTEL_SERVICE_NAME", "of the shop".to_owned()));
    let worker = streamer(&pipeline, variables, &[]).await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let source = pipeline.source().await?;
    for _ in 0..400 {
        source.batch_execute("INSERT INTO t (v) VALUES ('secret'), ('secret')").await?;
    }
    wait_end(&pipeline, "t", 800).await?;
    let traceparents: Vec<String> =
        traceparents(&pipeline, &pipeline.topic("t"))?.into_iter().filter(|header| !header.is_empty()).collect();
    let traced: BTreeSet<String> = traceparents.iter().cloned().collect();
    assert!((60..140).contains(&traced.len()), "{} of 400", traced.len());
    assert_eq!(traceparents.len(), 2 * traced.len(), "a transaction's records all, or none");
    let spans = collector.wait("transaction", traced.len()).await?;
    assert_eq!(spans.iter().map(Span::traceparent).collect::<BTreeSet<_>>(), traced);
    assert!(spans.iter().all(|span| span.service == "of the shop"));
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_silent_holds_up_nothing() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("traces_away").await?;
    pipeline.run("CREATE TABLE t (id serial PRIMARY KEY, v text)").await?;
    // Kept, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let nobody = TcpListener::bind("127.0.0.1:0").await?;
    let variables = |door: &TcpListener| -> anyhow::Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://user:password@{}/v1/traces", door.local_addr()?)),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300".to_owned()),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ])
    };
    let (away, silence) = (variables(&nobody)?, variables(&silent)?);
    drop(nobody);
    let worker = streamer(&pipeline, away, &[]).await?;
    let (mut sink, _) = pipeline.sink_with(&worker, |settings| settings.environment = silence)?;
    sink.wait_complete(1, |_| {}).await?;
    let source = pipeline.source().await?;
    for _ in 0..300 {
        source.batch_execute("INSERT INTO t (v) VALUES ('secret')").await?;
    }
    pipeline.target_has("SELECT count(*) FROM t", "300").await?;
    assert!(
        traceparents(&pipeline, &pipeline.topic("t"))?.iter().all(|header| !header.is_empty()),
        "they are traced all the same"
    );
    for (name, process) in [("streamer", worker.process()), ("sink", sink.process())] {
        wait_until(&format!("the {name} to say it"), Duration::from_secs(30), async || {
            Ok(match process.output().contains("did not reach the collector") {
                true => Condition::Met(()),
                false => Condition::NotYet("not yet".to_owned()),
            })
        })
        .await?;
        let log = process.output();
        for (warning, at_most) in
            [("did not reach the collector", 1), ("spans were dropped", 1), ("password", 0), ("secret", 0)]
        {
            assert!(log.matches(warning).count() <= at_most, "{name}, {warning}:\n{log}");
        }
    }
    let metrics = worker.rest().text("/metrics").await?;
    let dropped = metrics.lines().filter(|line| line.starts_with("headwater_streamer_spans_dropped_total"));
    let dropped: f64 = dropped.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
    assert!(dropped > 0.0, "{metrics}");
    let begun = Instant::now();
    sink.into_process().stop().await?;
    worker.into_process().stop().await?;
    assert!(begun.elapsed() < Duration::from_secs(20), "a stop does not wait for it");
    Ok(())
}
