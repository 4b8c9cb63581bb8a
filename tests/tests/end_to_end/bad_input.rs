//! Bad input gets a clear error and loses nothing.

use std::time::Duration;

use serde_json::{Value, json};
use stack::artifacts::Artifacts;
use stack::postgres::{self, Postgres};
use stack::process::Process;
use stack::topic;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, program};
use stack::{kafka, ports};

use super::pipeline::Pipeline;
use super::restarts::wait_records;

fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_at_once_and_is_written_nowhere() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("wrong_password").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[("database.password", "not-the-password")]).await?;
    assert_eq!(status, 400);
    assert!(message(&answer).contains("password authentication failed for user \"postgres\""), "{answer}");
    assert_eq!(worker.rest().get("/connectors").await?.1, json!([]), "nothing was created");

    let (sink, _) = pipeline.sink_with(&worker, |settings| {
        settings.source = settings.source.replace("postgres:postgres@", "postgres:not-the-password@");
    })?;
    let said = sink.wait_refusal().await?;
    assert!(said.contains("password authentication failed"), "{said}");
    for log in [said, worker.process().output()] {
        assert!(!log.contains("not-the-password"), "{log}");
    }
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_gone_fails_the_task_instead_of_skipping_changes() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("slot_gone").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    wait_records(&pipeline, "t", 1).await?;
    let pause = format!("/connectors/{}/pause", pipeline.name);
    worker.rest().put(&pause, &Value::Null).await?;
    worker.rest().wait_task(&pipeline.name, "PAUSED").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'slot_gone'", "false").await?;
    pipeline.run("SELECT pg_drop_replication_slot('slot_gone'); INSERT INTO t VALUES (2)").await?;
    worker.rest().put(&pause.replace("pause", "resume"), &Value::Null).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(trace.contains("slot slot_gone does not exist") && trace.contains("snapshot.mode=initial"), "{trace}");
    let (status, health) = worker.rest().get("/health").await?;
    assert_eq!((status, &health["status"]), (503, &json!("unhealthy")));
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_server_fails_the_task_instead_of_skipping_changes() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("other_server").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    pipeline.run("SELECT pg_create_logical_replication_slot('other_server', 'pgoutput')").await?;
    let worker = pipeline.streamer().await?;
    worker.into_process().stop().await?;
    // As Connect keeps it. No server of these tests has written so much.
    let lsn = u64::MAX / 4;
    let offset = json!({ "lsn_proc": lsn, "lsn_commit": lsn, "lsn": lsn, "txId": 1, "ts_usec": 1 }).to_string();
    let key = br#"["other_server",{"server":"other_server"}]"#;
    topic::write(&pipeline.kafka, "other_server-offsets", key, offset.as_bytes()).await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[]).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(
        trace.contains("3FFFFFFF/FFFFFFFF") && trace.contains("DELETE /connectors/other_server/offsets"),
        "{trace}"
    );
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_publication_that_may_not_be_created_fails_the_task_and_is_taken_up_when_it_is_there()
-> anyhow::Result<()> {
    let pipeline = Pipeline::new("no_publication").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    pipeline.put(&worker, &[("publication.autocreate.mode", "disabled")]).await?;
    let trace = worker.rest().wait_task(&pipeline.name, "FAILED").await?;
    assert!(trace.contains("Publication autocreation is disabled"), "{trace}");

    pipeline.run("CREATE PUBLICATION no_publication FOR ALL TABLES; INSERT INTO t VALUES (1)").await?;
    let restart = format!("/connectors/{}/restart?includeTasks=true", pipeline.name);
    worker.rest().request(reqwest::Method::POST, &restart, None).await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (2)").await?;
    let records = wait_records(&pipeline, "t", 1).await?;
    assert_eq!(records.last().map(|record| &record.key), Some(&json!({ "id": 2 })));
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_logical_wal_is_refused_with_the_setting_to_change() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("wal_level").await?;
    let own = tempfile::Builder::new().prefix("headwater-wal-level-").tempdir()?;
    readable(own.path())?;
    let settings =
        postgres::Settings { name: "replica", port: ports::free()?, wal_level: "replica", durable: false, hba: None };
    let server = Postgres::start(&Artifacts::fetch()?, own.path(), &settings).await?;
    postgres::connect(&server.url("postgres")).await?.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let port = settings.port.to_string();
    let (status, answer) = pipeline.put(&worker, &[("database.port", &port), ("database.dbname", "postgres")]).await?;
    // Either it is refused at once, or its task fails.
    let said = if status == 400 {
        message(&answer).to_owned()
    } else {
        worker.rest().wait_task(&pipeline.name, "FAILED").await?
    };
    assert!(said.contains("wal_level"), "{said}");

    let (sink, _) = pipeline.sink_with(&worker, |settings| settings.source = server.url("postgres"))?;
    let said = sink.wait_refusal().await?;
    assert!(said.contains("wal_level is replica") && said.contains("ALTER SYSTEM SET wal_level"), "{said}");
    worker.into_process().stop().await
}

fn readable(directory: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_started_before_kafka_waits_and_a_sink_says_who_does_not_answer() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("no_kafka").await?;
    let (artifacts, port, rest) = (Artifacts::fetch()?, ports::free()?, ports::free()?);
    pipeline.kafka = format!("127.0.0.1:{port}");
    let mut command = std::process::Command::new(program("streamer")?);
    command.env("BOOTSTRAP_SERVERS", &pipeline.kafka).env("CONNECT_LISTENERS", format!("http://127.0.0.1:{rest}"));
    for topic in ["CONFIG", "OFFSET", "STATUS"] {
        command.env(format!("{topic}_STORAGE_TOPIC"), format!("no-kafka-{}", topic.to_lowercase()));
    }
    let mut streamer = Process::start("streamer", command, &pipeline.directory.path().join("early.log"), "TERM")?;
    wait_until("the streamer to wait for Kafka", Duration::from_secs(30), async || {
        streamer.check_running()?;
        let waits = streamer.output().contains("waiting for Kafka");
        Ok(if waits { Condition::Met(()) } else { Condition::NotYet(streamer.output()) })
    })
    .await?;

    let mut sink = std::process::Command::new(program("sink")?);
    sink.args(["run", "--source", &pipeline.source_url(), "--target", &pipeline.target_url()])
        .args(["--bootstrap-servers", &pipeline.kafka, "--connect-url", "http://127.0.0.1:1", "--topic-prefix", "p"])
        .args(["--deadline", "2", "--http-listen", &format!("127.0.0.1:{}", ports::free()?)]);
    let output = tokio::task::spawn_blocking(move || sink.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&pipeline.kafka) && said.contains("http://127.0.0.1:1"), "both are named: {said}");
    assert!(!said.contains("postgres1"), "those that answer are not: {said}");

    let own = tempfile::Builder::new().prefix("headwater-late-kafka-").tempdir()?;
    let _kafka = kafka::Kafka::start(&artifacts, own.path(), port).await?;
    wait_until("the REST API", Duration::from_secs(60), async || {
        streamer.check_running()?;
        Ok(match Rest::new(rest).get("/connectors").await {
            Ok((200, _)) => Condition::Met(()),
            other => Condition::NotYet(format!("{other:?}")),
        })
    })
    .await?;
    streamer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_configuration_is_named_with_its_file_and_fault() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("malformed").await?;
    let directory = pipeline.directory.path();
    let (worker, connector) = (directory.join("worker.properties"), directory.join("broken.json"));
    std::fs::write(&worker, "bootstrap.servers=127.0.0.1:1\ngroup.id=g\nconfig.storage.topic=c\n")?;
    std::fs::write(&connector, r#"{"name": "c", "config": {"database.password": "hidden-value", }"#)?;
    for (arguments, expected) in [
        (vec!["--worker", "/does/not/exist.properties"], vec!["/does/not/exist.properties"]),
        (vec!["--worker", worker.to_str().unwrap_or_default()], vec!["offset.storage.topic", "status.storage.topic"]),
        (vec!["--connector", connector.to_str().unwrap_or_default()], vec!["broken.json", "not JSON"]),
    ] {
        let mut command = std::process::Command::new(program("streamer")?);
        command.args(&arguments).env("BOOTSTRAP_SERVERS", "127.0.0.1:1");
        for topic in ["CONFIG", "OFFSET", "STATUS"] {
            command.env(format!("{topic}_STORAGE_TOPIC"), "t");
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(
            expected.iter().all(|part| said.contains(part)) && !said.contains("hidden-value"),
            "{arguments:?}: {said}"
        );
    }
    let worker = pipeline.streamer().await?;
    let (sink, _) = pipeline.sink_with(&worker, |settings| settings.connector = Some(connector.clone()))?;
    let said = sink.wait_refusal().await?;
    assert!(said.contains("broken.json: not JSON (line 1") && !said.contains("hidden-value"), "{said}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamer_told_by_files_runs_their_connector() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("from_files").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let directory = pipeline.directory.path();
    let (worker, connector, port) =
        (directory.join("worker.properties"), directory.join("c.properties"), ports::free()?);
    std::fs::write(
        &worker,
        format!(
            "# as for connect-distributed\nbootstrap.servers = {}\ngroup.id: files\nconfig.storage.topic=files-c\n\
             offset.storage.topic=files-o\nstatus.storage.topic=files-\\\n  s\nlisteners=http\\://localhost\\:{port}\n\
             value.converter.schemas.enable=true\n",
            pipeline.kafka
        ),
    )?;
    let mut config = pipeline.connector(&[])?;
    config["name"] = json!("from_files");
    // Left to the worker.
    config.as_object_mut().map(|config| config.remove("value.converter.schemas.enable"));
    let lines = config.as_object().into_iter().flatten();
    let text: String = lines.map(|(key, value)| format!("{key}={}\n", value.as_str().unwrap_or_default())).collect();
    std::fs::write(&connector, text)?;
    let mut command = std::process::Command::new(program("streamer")?);
    command.arg("--worker").arg(&worker).arg("--connector").arg(&connector);
    let mut streamer = Process::start("streamer", command, &directory.join("streamer.log"), "TERM")?;
    let rest = Rest::new(port);
    wait_until("the connector to run", Duration::from_secs(60), async || {
        streamer.check_running()?;
        Ok(match rest.get("/connectors/from_files/status").await {
            Ok((200, status)) if status.pointer("/tasks/0/state") == Some(&json!("RUNNING")) => Condition::Met(()),
            other => Condition::NotYet(format!("{other:?}")),
        })
    })
    .await?;
    pipeline.run("INSERT INTO t VALUES (1)").await?;
    let records = wait_records(&pipeline, "t", 1).await?;
    assert_eq!(records[0].value["payload"]["after"], json!({ "id": 1 }), "with its schema, as the worker's file says");
    streamer.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_supported_is_refused_by_name_and_an_unknown_one_is_a_warning() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("unsupported").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[("snapshot.query.mode", "custom")]).await?;
    assert_eq!(status, 400);
    assert!(
        message(&answer).contains("'snapshot.query.mode'") && message(&answer).contains("not supported"),
        "{answer}"
    );
    let (status, _) = pipeline.put(&worker, &[("no.such.key", "1"), ("snapshot.mode", "never")]).await?;
    assert_eq!(status, 201);
    let log = worker.process().output();
    assert!(
        log.contains("no.such.key is not known") && log.contains("snapshot.mode=never is taken as no_data"),
        "{log}"
    );
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_is_refused_before_anything_is_copied() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("no_key").await?;
    pipeline
        .run("CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE bad (v int); CREATE TABLE worse (v int)")
        .await?;
    let worker = pipeline.streamer().await?;
    let (sink, _) = pipeline.sink(&worker)?;
    let said = sink.wait_refusal().await?;
    for part in [
        r#""public"."bad" has no primary key"#,
        r#""public"."worse" has no primary key"#,
        "ADD PRIMARY KEY",
        "Nothing was written",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    pipeline.source_has("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'no_key'", "0").await?;
    pipeline.target_has("SELECT to_regclass('good') IS NULL", "true").await?;
    worker.into_process().stop().await
}

/// Under such an identity a delete brings other columns than the key, and the envelope has zeros for the key's.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_identity_without_the_primary_key_is_refused_before_the_copy_and_at_a_later_start()
-> anyhow::Result<()> {
    let pipeline = Pipeline::new("other_identity").await?;
    pipeline
        .run("CREATE TABLE t (id int PRIMARY KEY, other int NOT NULL); CREATE UNIQUE INDEX by_other ON t (other)")
        .await?;
    let misleading = "ALTER TABLE t REPLICA IDENTITY USING INDEX by_other";
    let expected = r#"the replica identity of table "public"."t" is index by_other, which lacks the primary key"#;
    pipeline.run(misleading).await?;
    let worker = pipeline.streamer().await?;
    let said = pipeline.sink(&worker)?.0.wait_refusal().await?;
    assert!(said.contains(expected) && said.contains(r#"ALTER TABLE "public"."t" REPLICA IDENTITY DEFAULT"#), "{said}");

    pipeline.run("ALTER TABLE t REPLICA IDENTITY DEFAULT").await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    sink.into_process().stop().await?;
    pipeline.run(misleading).await?;
    let said = pipeline.sink(&worker)?.0.wait_refusal().await?;
    assert_eq!(said.matches(expected).count(), 2, "{said}");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_somebody_elses_data_is_not_touched() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("not_empty").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    pipeline.target().await?.batch_execute("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)").await?;
    let worker = pipeline.streamer().await?;
    let (sink, _) = pipeline.sink(&worker)?;
    let said = sink.wait_refusal().await?;
    assert!(said.contains("that this sink did not put there"), "{said}");
    pipeline.target_has("SELECT count(*) FROM mine", "1").await?;
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_set_aside_and_what_follows_is_applied() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("set_aside").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, http) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    let topic = pipeline.topic("t");
    pipeline.run("INSERT INTO t VALUES (1, 'row-value-one')").await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;
    let offset = topic::write(&pipeline.kafka, &topic, br#"{"id":7}"#, b"\xffno envelope row-value-two").await?;
    topic::write(
        &pipeline.kafka,
        &topic,
        br#"{"id":8}"#,
        br#"{"op":"c","after":{"id":"no number"},"source":{"schema":"public","table":"t","ts_ms":1},"ts_ms":1}"#,
    )
    .await?;
    pipeline.run("INSERT INTO t VALUES (2, 'row-value-three')").await?;
    pipeline.target_has("SELECT string_agg(id::text, ',' ORDER BY id) FROM t", "1,2").await?;

    let aside = "SELECT string_agg(topic || ' ' || partition || ' ' || record_offset, ',' ORDER BY record_offset) FROM headwater.set_aside";
    pipeline.target_has(aside, &format!("{topic} 0 {offset},{topic} 0 {}", offset + 1)).await?;
    let rest = Rest::new(http);
    let metrics = rest.text("/metrics").await?;
    assert!(metrics.contains(&format!("headwater_sink_records_set_aside_total{{topic=\"{topic}\"}} 2")), "{metrics}");
    let (status, health) = rest.get("/health").await?;
    assert_eq!((status, &health["topics"][&topic]["set_aside"]), (200, &json!(2)));
    for log in [sink.process().output(), worker.process().output()] {
        assert!(!log.contains("row-value"), "rows are in a log: {log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_table_the_target_lacks_wait_until_it_is_there() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("late_table").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, http) = pipeline.sink_with(&worker, |settings| {
        settings.environment.push(("SINK_SCHEMA_EVOLUTION", "none".to_owned()));
    })?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline
        .run("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1); INSERT INTO t VALUES (1)")
        .await?;
    pipeline.target_has("SELECT count(*) FROM t", "1").await?;
    let topic = pipeline.topic("late");
    wait_until("the sink to say what stands still", Duration::from_secs(60), async || {
        let (status, health) = Rest::new(http).get("/health").await?;
        let error = health["topics"][&topic]["error"].as_str().unwrap_or_default();
        let told = status == 503
            && error.contains("table public.late is not in the target")
            && health["topics"][&topic]["code"] == "target-table";
        Ok(if told { Condition::Met(()) } else { Condition::NotYet(health.to_string()) })
    })
    .await?;
    pipeline.target().await?.batch_execute("CREATE TABLE late (id int PRIMARY KEY)").await?;
    pipeline.equal().await?;

    // One that has no key there: its rows cannot be found again, so they wait too.
    pipeline.run("CREATE TABLE keyless (id int PRIMARY KEY); INSERT INTO keyless VALUES (1)").await?;
    pipeline.target().await?.batch_execute("CREATE TABLE keyless (id int)").await?;
    let topic = pipeline.topic("keyless");
    wait_until("the sink to say that there is no key", Duration::from_secs(60), async || {
        let (_, health) = Rest::new(http).get("/health").await?;
        let error = health["topics"][&topic]["error"].as_str().unwrap_or_default();
        Ok(if error.contains("has no primary key") {
            Condition::Met(())
        } else {
            Condition::NotYet(health.to_string())
        })
    })
    .await?;
    pipeline.target().await?.batch_execute("ALTER TABLE keyless ADD PRIMARY KEY (id)").await?;
    pipeline.equal().await
}
