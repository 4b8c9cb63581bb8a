//! Several sinks share the partitions of a prefix's topics, and what one applied before is not applied over what came later.

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use stack::artifacts::Artifacts;
use stack::kafka::{self, Kafka};
use stack::sink::Sink;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker};
use stack::{ports, process, topic};
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;

/// How many sessions of sinks are in the middle of a batch, and in which state.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name = 'Headwater sink batch'";

/// What the group gave a sink of a topic.
async fn share(port: u16, topic: &str) -> Vec<u64> {
    let (_, health) = Rest::new(port).get("/health").await.unwrap_or_default();
    let partitions = health["topics"][topic]["partitions"].as_array().cloned().unwrap_or_default();
    partitions.iter().filter_map(serde_json::Value::as_u64).collect()
}

/// Waits until sinks have so many partitions of a topic each, in any order, and all of them together.
async fn shared(ports: &[u16], topic: &str, counts: &[usize]) -> anyhow::Result<()> {
    wait_until(&format!("shares of {counts:?} partitions"), Duration::from_secs(60), async || {
        let mut shares = Vec::new();
        for port in ports {
            shares.push(share(*port, topic).await);
        }
        let mut found: Vec<usize> = shares.iter().map(Vec::len).collect();
        found.sort_unstable();
        let mut all = shares.concat();
        all.sort_unstable();
        all.dedup();
        let is_so = found == counts && all.len() == counts.iter().sum::<usize>();
        Ok(if is_so { Condition::Met(()) } else { Condition::NotYet(format!("{shares:?}")) })
    })
    .await
}

/// A table whose topic has several partitions, and a target that counts how often each change of it is applied.
async fn with_partitions(name: &str, partitions: i32) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(name).await?;
    topic::create(&pipeline.kafka, &pipeline.topic("t"), partitions).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)").await?;
    Ok(pipeline)
}

/// Counts every row that is written to `t`. Behind the copy; sinks apply as replicas.
async fn count_changes(pipeline: &Pipeline) -> anyhow::Result<()> {
    let target = pipeline.target().await?;
    target
        .batch_execute(
            "CREATE TABLE headwater.seen (n bigserial, id int, v int);
             CREATE FUNCTION headwater.see() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO headwater.seen (id, v) VALUES (NEW.id, NEW.v); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION headwater.see();
             ALTER TABLE t ENABLE ALWAYS TRIGGER see",
        )
        .await?;
    Ok(())
}

/// Every change that was not passed over by a newer one of its batch was applied, none twice and none behind a newer one.
async fn once_and_in_order(pipeline: &Pipeline) -> anyhow::Result<()> {
    let twice = "SELECT count(*) FROM (SELECT id, v FROM headwater.seen GROUP BY id, v HAVING count(*) > 1) AS twice";
    pipeline.target_has(twice, "0").await?;
    let behind =
        "SELECT count(*) FROM (SELECT v, lag(v) OVER (PARTITION BY id ORDER BY n) AS before FROM headwater.seen)
                  AS seen WHERE before > v";
    pipeline.target_has(behind, "0").await?;
    pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await
}

/// Inserts and updates rows until it is told to stop: each row's `v` grows.
async fn load(
    pipeline: &Pipeline,
    stop: &CancellationToken,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
    let (source, stop) = (pipeline.source().await?, stop.clone());
    Ok(tokio::spawn(async move {
        let mut next = 1_000_000;
        while !stop.is_cancelled() {
            let sql = format!(
                "INSERT INTO t SELECT {next} + n, 0 FROM generate_series(1, 20) n; UPDATE t SET v = v + 1 WHERE id % 7 = {}",
                next % 7
            );
            source.batch_execute(&sql).await?;
            next += 20;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }))
}

/// Waits until so many more changes were applied.
async fn applies(pipeline: &Pipeline, more: i64) -> anyhow::Result<()> {
    let target = pipeline.target().await?;
    let count = "SELECT count(*) FROM headwater.seen";
    let before: i64 = target.query_one(count, &[]).await?.get(0);
    wait_until(&format!("{more} more changes in the target"), Duration::from_secs(60), async || {
        let now: i64 = target.query_one(count, &[]).await?.get(0);
        Ok(if now >= before + more { Condition::Met(()) } else { Condition::NotYet(format!("{}", now - before)) })
    })
    .await
}

/// Starts another sink, with its log in a directory of its own.
async fn another(pipeline: &Pipeline, directory: &Path, worker: &Worker) -> anyhow::Result<(Sink, u16)> {
    let (mut sink, port) = pipeline.sink_in(directory, worker, |_| {})?;
    sink.wait_complete(1, |_| {}).await?;
    Ok((sink, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_share_a_topic_s_partitions_and_take_over_from_those_that_end() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_shares", 4).await?;
    let topic = pipeline.topic("t");
    let worker = pipeline.streamer().await?;
    let (mut first, port) = pipeline.sink(&worker)?;
    first.wait_complete(1, |_| {}).await?;
    count_changes(&pipeline).await?;
    shared(&[port], &topic, &[4]).await?;
    let stop = CancellationToken::new();
    let load = load(&pipeline, &stop).await?;
    applies(&pipeline, 500).await?;

    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    let (second, second_port) = another(&pipeline, directories[0].path(), &worker).await?;
    shared(&[port, second_port], &topic, &[2, 2]).await?;
    applies(&pipeline, 1000).await?;
    let (third, third_port) = another(&pipeline, directories[1].path(), &worker).await?;
    shared(&[port, second_port, third_port], &topic, &[1, 1, 2]).await?;
    applies(&pipeline, 1000).await?;

    // A crash: Kafka gives away what it had when it has been silent for six seconds.
    first.into_process().kill();
    shared(&[second_port, third_port], &topic, &[2, 2]).await?;
    applies(&pipeline, 1000).await?;
    // A stop: at once.
    second.into_process().stop().await?;
    shared(&[third_port], &topic, &[4]).await?;
    applies(&pipeline, 1000).await?;
    stop.cancel();
    load.await??;
    pipeline.equal().await?;
    once_and_in_order(&pipeline).await?;
    third.into_process().stop().await
}

/// A sink that is frozen when its batch has got the row that it waited for, and does not learn of it.
async fn frozen_in_a_batch(name: &str, is_first_batch: bool) -> anyhow::Result<()> {
    let pipeline = Pipeline::new(name).await?;
    let table = "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)";
    let rows = "INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n";
    pipeline.run(if is_first_batch { "CREATE TABLE other (id int PRIMARY KEY)" } else { table }).await?;
    if !is_first_batch {
        pipeline.run(rows).await?;
    }
    let worker = pipeline.streamer().await?;
    let (mut frozen, _) = pipeline.sink(&worker)?;
    frozen.wait_complete(1, |_| {}).await?;
    let mut target = pipeline.target().await?;
    if is_first_batch {
        pipeline.run(table).await?;
        target.batch_execute(table).await?;
    }
    count_changes(&pipeline).await?;
    let lock = target.transaction().await?;
    lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    pipeline
        .run(if is_first_batch {
            "INSERT INTO t SELECT n, 2 FROM generate_series(1, 100) n"
        } else {
            "UPDATE t SET v = 2"
        })
        .await?;
    pipeline.target_has(&format!("{SESSIONS} AND wait_event_type = 'Lock'"), "1").await?;
    let id = frozen.process().id().unwrap_or_default();
    process::signal(id, "STOP")?;
    lock.rollback().await?;
    // Behind a statement, or in the middle of a COPY.
    pipeline.target_has(&format!("{SESSIONS} AND wait_event = 'ClientRead' AND state <> 'idle'"), "1").await?;

    let directory = tempfile::tempdir()?;
    let (other, other_port) = another(&pipeline, directory.path(), &worker).await?;
    shared(&[other_port], &pipeline.topic("t"), &[1]).await?;
    pipeline.target_has("SELECT sum(v) FROM t", "200").await?;
    pipeline.run("UPDATE t SET v = 3").await?;
    pipeline.target_has("SELECT sum(v) FROM t", "300").await?;

    process::signal(id, "CONT")?;
    wait_until(
        "the one that woke to know that it is not its partition any more",
        Duration::from_secs(60),
        async || {
            let said = frozen.process().output();
            let is_so = said.contains("partitions=0 new=0 gone=");
            Ok(if is_so { Condition::Met(()) } else { Condition::NotYet(said) })
        },
    )
    .await?;
    pipeline.run("UPDATE t SET v = 4").await?;
    pipeline.target_has("SELECT sum(v) FROM t", "400").await?;
    pipeline.equal().await?;
    once_and_in_order(&pipeline).await?;
    frozen.into_process().stop().await?;
    other.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_frozen_in_a_batch_and_wakes_commits_nothing() -> anyhow::Result<()> {
    frozen_in_a_batch("sink_frozen", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_frozen_in_a_partition_s_first_batch_and_wakes_commits_nothing() -> anyhow::Result<()> {
    frozen_in_a_batch("sink_frozen_first", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_row_holds_up_its_partition_and_no_other_of_the_topic() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_beside", 8).await?;
    pipeline.run("INSERT INTO t SELECT n, 0 FROM generate_series(1, 200) n").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let mut target = pipeline.target().await?;
    let lock = target.transaction().await?;
    lock.execute("SELECT FROM t WHERE id = 1 FOR UPDATE", &[]).await?;
    pipeline.run("UPDATE t SET v = 1").await?;
    // Of eight partitions one has the row: most of the others' are there while it waits.
    let others = "SELECT count(*) FILTER (WHERE v = 1) BETWEEN 140 AND 199 FROM t";
    pipeline.target_has(others, "true").await?;
    let session = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'Headwater sink batch' AND wait_event_type = 'Lock'";
    pipeline.target_has(session, "1").await?;
    lock.rollback().await?;
    pipeline.equal().await?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_with_many_partitions_holds_up_no_other() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_locked_shares", 12).await?;
    pipeline
        .run("INSERT INTO t SELECT n, 0 FROM generate_series(1, 500) n; CREATE TABLE other (id int PRIMARY KEY)")
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let mut target = pipeline.target().await?;
    let lock = target.transaction().await?;
    lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    pipeline.run("UPDATE t SET v = 1").await?;
    pipeline.target_has(&format!("{SESSIONS} AND wait_event_type = 'Lock'"), "8").await?;
    for id in 1..6 {
        pipeline.run(&format!("INSERT INTO other VALUES ({id})")).await?;
        pipeline.target_has("SELECT count(*) FROM other", &id.to_string()).await?;
    }
    lock.rollback().await?;
    pipeline.equal().await?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_in_a_topic_with_several_partitions_removes_nothing_and_is_set_aside() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_truncates", 2).await?;
    pipeline.run("INSERT INTO t SELECT n, 0 FROM generate_series(1, 10) n").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("TRUNCATE t; INSERT INTO t SELECT n, 1 FROM generate_series(5, 20) n").await?;
    let aside =
        "SELECT count(*) FROM headwater.set_aside WHERE reason LIKE 'a truncate of a table whose topic has several%'";
    pipeline.target_has(aside, "1").await?;
    pipeline.target_has("SELECT count(*) FROM t", "20").await?;
    pipeline.target().await?.batch_execute("DELETE FROM t WHERE id < 5").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_that_another_partition_brings_first_is_waited_for() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_keys_move").await?;
    topic::create(&pipeline.kafka, &pipeline.topic("t"), 3).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL UNIQUE, long text)").await?;
    let long = "(SELECT string_agg(md5(n::text || id::text), '') FROM generate_series(1, 400) n)";
    pipeline.run("INSERT INTO t SELECT n, n FROM generate_series(1, 60) n").await?;
    pipeline.run(&format!("UPDATE t SET long = {long}")).await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    // Rows that take the places of others in other partitions, with values that the records do not bring.
    pipeline.run("UPDATE t SET id = id + 1000").await?;
    pipeline.run("UPDATE t SET code = code + 1000; UPDATE t SET code = 1061 - code").await?;
    let differs = pipeline.equal().await;
    pipeline.target_has("SELECT coalesce(string_agg(reason, '; '), 'none') FROM headwater.set_aside", "none").await?;
    differs?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_does_not_join_a_group_that_has_another_target() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_other_target", 2).await?;
    let other: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.kafka)
        .set("group.id", "headwater-sink-sink_other_target")
        .set("client.id", "headwater-sink-of-another-target")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()?;
    other.subscribe(&[&pipeline.topic("t")])?;
    // It is in the group when it has its partitions; it has nothing to read.
    wait_until("the other to be in the group", Duration::from_secs(30), async || {
        _ = tokio::time::timeout(Duration::from_millis(500), other.recv()).await;
        let count = other.assignment()?.count();
        Ok(if count == 2 { Condition::Met(()) } else { Condition::NotYet(count.to_string()) })
    })
    .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, port) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    wait_until("the sink to say who is in its group", Duration::from_secs(30), async || {
        let (status, health) = Rest::new(port).get("/health").await.unwrap_or_default();
        let told = health["group"].as_str().unwrap_or_default().contains("headwater-sink-of-another-target at");
        Ok(if told && status == 503 { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    tokio::task::spawn_blocking(move || drop(other)).await?;
    shared(&[port], &pipeline.topic("t"), &[2]).await?;
    pipeline.run("INSERT INTO t VALUES (1, 1)").await?;
    pipeline.equal().await?;
    sink.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_acls_close_is_named_until_they_open_it() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("sink_closed_group").await?;
    let (artifacts, own) = (Artifacts::fetch()?, tempfile::Builder::new().prefix("headwater-acls-").tempdir()?);
    let settings = kafka::Settings {
        port: ports::free()?,
        more: "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
               allow.everyone.if.no.acl.found=true\n"
            .to_owned(),
        ..kafka::Settings::default()
    };
    let broker = Kafka::start_with(&artifacts, own.path(), &settings).await?;
    pipeline.kafka = broker.bootstrap_servers();
    // Where somebody is let in, others are not.
    let acl = |what: &[&str], who: &str| {
        let whom = ["--allow-principal", who, "--operation", "Read", "--group", "headwater-sink-sink_closed_group"];
        tokio::task::block_in_place(|| {
            broker.tool(&artifacts, own.path(), "org.apache.kafka.tools.AclCommand", &[what, &whom].concat())
        })
    };
    acl(&["--add"], "User:somebody")?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, port) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    wait_until("the sink to say what it lacks", Duration::from_secs(30), async || {
        let (status, health) = Rest::new(port).get("/health").await.unwrap_or_default();
        let said = health["group"].as_str().unwrap_or_default();
        let told = said.contains("allow it READ on group headwater-sink-sink_closed_group");
        Ok(if told && status == 503 { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    acl(&["--add"], "User:ANONYMOUS")?;
    shared(&[port], &pipeline.topic("t"), &[1]).await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    pipeline.equal().await?;
    let (status, health) = Rest::new(port).get("/health").await?;
    assert_eq!((status, health["group"].is_null()), (200, true), "{health}");
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sinks_that_start_together_one_copies() -> anyhow::Result<()> {
    let pipeline = with_partitions("sink_starts", 2).await?;
    pipeline.run("INSERT INTO t SELECT n, 0 FROM generate_series(1, 200000) n").await?;
    let worker = pipeline.streamer().await?;
    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    let (mut first, port) = pipeline.sink_in(directories[0].path(), &worker, |_| {})?;
    let (mut second, second_port) = pipeline.sink_in(directories[1].path(), &worker, |_| {})?;
    first.wait_complete(1, |_| {}).await?;
    second.wait_complete(1, |_| {}).await?;
    let said = [first.process().output(), second.process().output()];
    let copies = |said: &String| said.contains("copying schema and data");
    assert_eq!(said.iter().filter(|said| copies(said)).count(), 1, "{said:?}");
    let other = said.iter().find(|said| !copies(said)).cloned().unwrap_or_default();
    assert!(other.contains("standing by: another sink of this prefix is at its start"), "{other}");
    shared(&[port, second_port], &pipeline.topic("t"), &[1, 1]).await?;
    pipeline.run("UPDATE t SET v = 1 WHERE id < 1000").await?;
    pipeline.equal().await?;
    first.into_process().stop().await?;
    second.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_deleted_and_made_again_is_not_passed_over() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_topic_again").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT generate_series(1, 3)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "3").await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await?;

    topic::delete(&pipeline.kafka, &pipeline.topic("t")).await?;
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    // More than there were: the old offset is inside of the new topic, and there is a record behind it.
    pipeline.run("INSERT INTO t SELECT generate_series(4, 9)").await?;
    super::restarts::wait_records(&pipeline, "t", 6).await?;
    let (_sink, port) = pipeline.sink(&worker)?;
    let topic = pipeline.topic("t");
    wait_until("the sink to say what stands still", Duration::from_secs(60), async || {
        let (_, health) = Rest::new(port).get("/health").await.unwrap_or_default();
        let error = health["topics"][&topic]["error"].as_str().unwrap_or_default();
        let told = error.contains("is not the one that was read before");
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    pipeline.target_has("SELECT count(*) FROM t", "3").await?;

    let target = pipeline.target().await?;
    target.batch_execute("DELETE FROM headwater.offsets WHERE topic = 'sink_topic_again.public.t'").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_was_set_back_under_a_running_sink_is_gone_on_from() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("sink_set_back").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.run("INSERT INTO t SELECT generate_series(1, 9)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "9").await?;

    // Rows that somebody lost in the target, and asks for again.
    pipeline
        .target()
        .await?
        .batch_execute(
            "DELETE FROM t WHERE id > 5; UPDATE headwater.offsets SET next_offset = 5 WHERE topic LIKE '%.public.t'",
        )
        .await?;
    pipeline.run("INSERT INTO t VALUES (10)").await?;
    pipeline.target_has("SELECT count(*) FROM t", "10").await?;
    pipeline.equal().await
}
