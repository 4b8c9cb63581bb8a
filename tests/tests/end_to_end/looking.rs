//! Looking at changes: `streamer tail`, `streamer explain`, `streamer replay`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use stack::process;
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::program;

use super::pipeline::Pipeline;

/// `streamer` with these arguments, as a user calls it.
fn streamer(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(program("streamer")?);
    command.args(arguments).stdin(Stdio::null());
    Ok(command)
}

async fn output(arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = streamer(arguments)?;
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// What it prints, if it succeeds.
async fn printed(arguments: &[&str]) -> anyhow::Result<String> {
    let output = output(arguments).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    anyhow::ensure!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}

/// The JSON objects that it prints, a line each.
async fn objects(arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let arguments = [arguments, &["--json"]].concat();
    printed(&arguments).await?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Its complaint, if it fails.
async fn refused(arguments: &[&str]) -> anyhow::Result<String> {
    let output = output(arguments).await?;
    anyhow::ensure!(!output.status.success(), "it succeeded: {}", String::from_utf8_lossy(&output.stdout));
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One that goes on.
struct Following(Child);

impl Following {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        Ok(Self(streamer(arguments)?.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?))
    }

    /// The rest of what it prints, until it ends, and whether that was a success.
    async fn rest(mut self) -> anyhow::Result<(Vec<String>, bool)> {
        tokio::task::spawn_blocking(move || {
            let lines = self.0.stdout.take().map(|out| BufReader::new(out).lines().collect::<Result<_, _>>());
            Ok((lines.transpose()?.unwrap_or_default(), self.0.wait()?.success()))
        })
        .await?
    }
}

/// Operation and key of each change.
fn ops(changes: &[Value]) -> Vec<(String, i64)> {
    let one = |change: &Value| {
        (change["op"].as_str().unwrap_or_default().to_owned(), change["key"]["id"].as_i64().unwrap_or_default())
    };
    changes.iter().map(one).collect()
}

fn owned(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(op, id)| ((*op).to_owned(), *id)).collect()
}

async fn wait_records(pipeline: &Pipeline, table: &str, count: usize) -> anyhow::Result<()> {
    let topic = pipeline.topic(table);
    wait_until(&format!("{count} records in {topic}"), Duration::from_secs(60), async || {
        let found = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &topic)).unwrap_or_default().len();
        Ok(if found >= count { Condition::Met(()) } else { Condition::NotYet(found.to_string()) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_s_records_are_shown_by_table_key_and_operation_and_no_group_is_left() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("tail_topics").await?;
    pipeline
        .run(
            "CREATE TABLE orders (id int PRIMARY KEY, state text, total numeric); ALTER TABLE orders REPLICA IDENTITY FULL;
             CREATE TABLE others (id int PRIMARY KEY)",
        )
        .await?;
    let worker = pipeline.debezium().await?;
    let schemas = [("key.converter.schemas.enable", "true"), ("value.converter.schemas.enable", "true")];
    pipeline.put(&worker, &schemas).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline
        .run(
            "INSERT INTO orders VALUES (1, 'open', 1), (2, 'open', 2); UPDATE orders SET state = 'paid' WHERE id = 1;
             DELETE FROM orders WHERE id = 2; INSERT INTO others VALUES (1)",
        )
        .await?;
    wait_records(&pipeline, "orders", 5).await?;
    wait_records(&pipeline, "others", 1).await?;

    let tail = ["tail", "--bootstrap-servers", &pipeline.kafka, "--no-follow"];
    let with = |more: &[&str]| [&tail[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let topics = format!("{}.*", pipeline.name);
    let seen = async |more: &[&str]| {
        let arguments = with(more);
        objects(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let all = seen(&[&topics]).await?;
    assert_eq!(ops(&all), owned(&[("c", 1), ("c", 2), ("u", 1), ("d", 2), ("c", 1)]), "a tombstone says nothing new");
    assert_eq!((&all[2]["before"]["state"], &all[2]["after"]["state"]), (&json!("open"), &json!("paid")));
    assert!(all[2]["lsn"].is_string() && all[2]["txId"].is_u64() && all[2]["offset"] == 2, "{}", all[2]);
    assert_eq!(ops(&seen(&[&topics, "--table", "orders", "--key", "id=1"]).await?), owned(&[("c", 1), ("u", 1)]));
    assert_eq!(ops(&seen(&[&topics, "--op", "d"]).await?), owned(&[("d", 2)]));
    assert_eq!(ops(&seen(&["tail_topics.public.others", "--key", "1"]).await?), owned(&[("c", 1)]));
    assert_eq!(seen(&["public.orders", "--from", "-3", "--limit", "1"]).await?.len(), 1);
    assert!(seen(&[&topics, "--from", "end"]).await?.is_empty());

    let arguments = with(&[&topics, "--op", "u"]);
    let line = printed(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    assert!(line.contains("~ u public.orders id=1  state: open → paid\n"), "{line}");
    assert!(!line.contains('\u{1b}'), "colours are for terminals: {line}");

    // It goes on behind the end, and ends when somebody asks it to.
    let following =
        Following::start(&["tail", "--bootstrap-servers", &pipeline.kafka, &topics, "--from", "-1", "--json"])?;
    let id = following.0.id();
    let mut shown = following.0;
    let mut lines =
        BufReader::new(shown.stdout.take().into_iter().next().ok_or_else(|| anyhow::anyhow!("no output"))?).lines();
    let mut line = || lines.next().transpose().map(Option::unwrap_or_default);
    // The tombstone is the last of its topic.
    let first: Vec<String> = vec![line()?, line()?];
    assert!(first.iter().any(|line| line.contains("tombstone")), "{first:?}");
    pipeline.run("INSERT INTO orders VALUES (9, 'new', 9)").await?;
    assert!(line()?.contains("\"id\":9"));
    process::signal(id, "INT")?;
    assert!(shown.wait()?.success());
    // Nobody has joined a group or committed anything.
    let groups = tokio::task::block_in_place(|| groups(&pipeline.kafka))?;
    assert!(!groups.iter().any(|group| group.contains("look")), "{groups:?}");
    Ok(())
}

fn groups(kafka: &str) -> anyhow::Result<Vec<String>> {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    let consumer: BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", kafka).create()?;
    let groups = consumer.client().fetch_group_list(None, Duration::from_secs(15))?;
    Ok(groups.groups().iter().map(|group| group.name().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_slot_is_shown_and_stays_there() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("tail_slot").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text, n int)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("status.update.interval.ms", "100")]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (0, 'before', 0)").await?;
    wait_records(&pipeline, "t", 1).await?;

    // In use, it cannot be looked into.
    let source = pipeline.source_url();
    let peek = ["tail", "--source", &source, "--slot", &pipeline.name];
    let refusal = refused(&peek).await?;
    assert!(refusal.contains("in use") && refusal.contains("temporary slot"), "{refusal}");

    // As it is committed, beside the connector, over a slot that goes with the command.
    let following = Following::start(&["tail", "--source", &source, "--table", "t", "--limit", "3", "--json"])?;
    let temporary = "SELECT count(*) FROM pg_replication_slots WHERE temporary AND active AND database = 'tail_slot'";
    pipeline.source_has(temporary, "1").await?;
    pipeline
        .run("BEGIN; INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2); UPDATE t SET v = 'three' WHERE id = 2; COMMIT")
        .await?;
    let (lines, is_success) = following.rest().await?;
    let changes: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    assert_eq!(ops(&changes), owned(&[("c", 1), ("c", 2), ("u", 2)]));
    assert!(is_success && changes[0]["txId"] == changes[2]["txId"], "{changes:?}");
    pipeline.source_has(temporary, "0").await?;

    // Ctrl-C ends it, and the slot with it.
    let following = Following::start(&["tail", "--source", &source])?;
    pipeline.source_has(temporary, "1").await?;
    process::signal(following.0.id(), "INT")?;
    assert!(following.rest().await?.1);
    pipeline.source_has(temporary, "0").await?;
    wait_records(&pipeline, "t", 4).await?;

    let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'tail_slot'";
    let end: String = pipeline.source().await?.query_one("SELECT pg_current_wal_lsn()::text", &[]).await?.get(0);
    pipeline.source_has(&format!("SELECT ({confirmed}) >= '{end}'"), "true").await?;
    worker.into_process().stop().await?;
    pipeline
        .run("INSERT INTO t VALUES (5, 'waits', NULL); DELETE FROM t WHERE id = 1; TRUNCATE t; SELECT pg_logical_emit_message(true, 'p', 'hello')")
        .await?;
    let at: String = pipeline.source().await?.query_one(&format!("SELECT ({confirmed})::text"), &[]).await?.get(0);
    for _ in 0..2 {
        let changes = objects(&peek).await?;
        assert_eq!(ops(&changes), owned(&[("c", 5), ("d", 1), ("t", 0), ("m", 0)]));
        assert_eq!((&changes[0]["after"]["n"], &changes[3]["after"]["content"]), (&json!(null), &json!("hello")));
    }
    assert_eq!(objects(&[&peek[..], &["--limit", "1"]].concat()).await?.len(), 1);
    pipeline.source_has(confirmed, &at).await?;

    // And the connector gets all of it.
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    wait_records(&pipeline, "t", 8).await?;
    let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &pipeline.topic("t")))?;
    let published: Vec<&str> = records.iter().map(topic::Record::op).collect();
    assert_eq!(published, ["c", "c", "c", "u", "c", "d", "", "t"], "the delete has a tombstone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_s_way_is_told_before_it_is_applied_and_after() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("explained").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let config = pipeline.connector(&[("provide.transaction.metadata", "true")])?;
    let with_metadata = |settings: &mut stack::sink::Settings| {
        let file = pipeline.directory.path().join("with-metadata.json");
        std::fs::write(&file, json!({ "name": pipeline.name, "config": config }).to_string()).unwrap_or_default();
        settings.connector = Some(file);
    };
    let (mut sink, _) = pipeline.sink_with(&worker, with_metadata)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t VALUES (1, 'applied')").await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;
    sink.into_process().stop().await?;
    pipeline.run("BEGIN; INSERT INTO u VALUES (1); INSERT INTO t VALUES (2, 'waits'); COMMIT").await?;
    wait_records(&pipeline, "t", 2).await?;
    let boundaries = format!("{}.transaction", pipeline.name);
    wait_until("the transaction's end", Duration::from_secs(60), async || {
        let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &boundaries)).unwrap_or_default();
        let ends = records.iter().filter(|record| record.value["status"] == "END").count();
        Ok(if ends >= 2 { Condition::Met(()) } else { Condition::NotYet(ends.to_string()) })
    })
    .await?;

    let place = format!("{}/0/1", pipeline.topic("t"));
    let (source, target, url) = (pipeline.source_url(), pipeline.target_url(), worker.rest().url().to_owned());
    let asked = |what: &str| {
        let told =
            ["explain", what, "--bootstrap-servers", &pipeline.kafka, "--connect-url", &url, "--source", &source];
        // Other tests have topics too.
        [&told[..], &["--target", &target, "--topic", "explained.*"]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let explained = async |what: &str| {
        let arguments = asked(what);
        let mut told = objects(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        told.pop().ok_or_else(|| anyhow::anyhow!("nothing was told of {what}"))
    };
    // The position is stored and the slot confirmed a moment later.
    let story = wait_until("the slot to be confirmed behind the record", Duration::from_secs(60), async || {
        let story = explained(&place).await?;
        let is_confirmed = story["slots"][0]["behind_record"] == true && story["stored"][0]["behind_record"] == true;
        Ok(if is_confirmed { Condition::Met(story) } else { Condition::NotYet(story.to_string()) })
    })
    .await?;
    assert_eq!(story["change"]["after"], json!({"id": 2, "v": "waits"}));
    assert_eq!(
        (&story["transaction"]["total_order"], &story["transaction"]["data_collection_order"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(story["transaction"]["end"]["event_count"], 2);
    assert_eq!(story["transaction"]["end"]["record"]["topic"], json!(boundaries));
    assert_eq!((&story["connector"]["name"], &story["slots"][0]["name"]), (&json!("explained"), &json!("explained")));
    assert_eq!((&story["target"]["state"], &story["target"]["next_offset"]), (&json!("waits"), &json!(1)));

    // The same record, found by its position in the log; and a position that is in no record.
    let lsn = story["change"]["lsn"].as_str().unwrap_or_default().to_owned();
    let found = explained(&lsn).await?;
    assert_eq!(found["records"][0]["record"], story["record"], "{found}");
    assert_eq!(found["records"].as_array().map(Vec::len), Some(1));
    let number = story["source"]["lsn"].as_u64().unwrap_or_default();
    let none = explained(&(number + 1).to_string()).await?;
    assert_eq!((&none["records"], &none["before"]["record"]), (&json!([]), &json!(place)));
    let refusal =
        refused(&["explain", &format!("{}/0/77", pipeline.topic("t")), "--bootstrap-servers", &pipeline.kafka]).await?;
    assert!(refusal.contains("is not there yet") && refusal.contains("offset 2"), "{refusal}");

    let (sink, _) = pipeline.sink_with(&worker, with_metadata)?;
    pipeline.target_has("SELECT count(*) FROM t", "2").await?;
    assert_eq!(explained(&place).await?["target"]["state"], "applied");
    let arguments = asked(&place);
    let shown = printed(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for part in
        ["● committed", "event 2 of 2", "● in Kafka", "from slot explained", "● stored", "● confirmed", "● applied"]
    {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    drop(sink);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_rows_of_a_range_are_published_again() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("replayed").await?;
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'row' FROM generate_series(1, 50) n;
             CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (7);
             CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let url = worker.rest().url().to_owned();
    let replay = async |more: &[&str]| {
        let told = ["replay", "--table", "public.t", "--connector", &pipeline.name, "--connect-url", &url];
        let arguments: Vec<String> = [&told[..], more].concat().into_iter().map(str::to_owned).collect();
        output(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let none = replay(&[]).await?;
    assert!(!none.status.success() && text(&none.stderr).contains("signal.data.collection"), "{}", text(&none.stderr));

    // By the signal table, as the connector reaches it, and told by its notifications.
    let notifications = format!("{}-notifications", pipeline.name);
    let told = [
        ("signal.data.collection", "public.signals"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", notifications.as_str()),
        ("incremental.snapshot.chunk.size", "2"),
    ];
    pipeline.put(&worker, &told).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let done = replay(&["--key-range", "id=3..7", "--bootstrap-servers", &pipeline.kafka]).await?;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let shown = text(&done.stdout);
    assert!(shown.contains("its signal table public.signals") && shown.contains("5 rows read"), "{shown}");
    let again = || -> anyhow::Result<Vec<i64>> {
        let records = tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &pipeline.topic("t")))?;
        anyhow::ensure!(records.iter().all(|record| record.op() == "r"), "nothing else was published");
        Ok(records.iter().filter_map(|record| record.key["id"].as_i64()).collect())
    };
    assert_eq!(again()?, [3, 4, 5, 6, 7]);

    // By the signal topic, of a connector that writes nothing and has no notifications.
    let signals = format!("{}-signal", pipeline.name);
    let read_only = [
        ("read.only", "true"),
        ("signal.enabled.channels", "kafka"),
        ("signal.kafka.bootstrap.servers", pipeline.kafka.as_str()),
        ("signal.kafka.groupId", signals.as_str()),
    ];
    pipeline.put(&worker, &read_only).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let done = replay(&["--condition", "id IN (10, 20)", "--json"]).await?;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let lines: Vec<Value> = text(&done.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines[0]["channel"], json!(format!("its signal topic {signals}")));
    assert_eq!((&lines[1]["rows"], &lines[1]["told_by_notification"]), (&json!(2), &json!(false)));
    assert_eq!(again()?, [3, 4, 5, 6, 7, 10, 20]);
    let others =
        tokio::task::block_in_place(|| topic::read(&pipeline.kafka, &pipeline.topic("other"))).unwrap_or_default();
    assert!(others.is_empty(), "no other table was read");
    Ok(())
}
