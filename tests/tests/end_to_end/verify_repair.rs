//! `sink verify` under writes: rows that were changed in the target by hand are found, all of them and no others, and mended.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use stack::ports;
use stack::process::Process;
use stack::sink::Sink;
use stack::wait::{Condition, wait_until};
use stack::worker::{Rest, Worker, program};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::exactly_once;
use super::pipeline::Pipeline;

/// Tables with keys of all sorts, and one without; rows whose `id` is up to 1000 are left alone by who writes.
const TABLES: &str = r#"
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE orders (id bigint PRIMARY KEY, v int NOT NULL, note text, total numeric, at timestamptz DEFAULT now());
    CREATE TABLE "Mixed Case" (id int, "key""B" text, "Value" text, PRIMARY KEY ("key""B", id));
    CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code int UNIQUE, twice int GENERATED ALWAYS AS (code * 2) STORED);
    CREATE TABLE parts (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (2000);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2000) TO (MAXVALUE);
    CREATE TABLE kinds (id uuid PRIMARY KEY, j jsonb, a text[], b bytea, i interval, c char(5), m mood, n inet, f float8, long text);
    CREATE TABLE keyless (v int);
    INSERT INTO orders SELECT i, 0, 'note ' || i, i / 7.0 FROM generate_series(1, 25000) i;
    INSERT INTO "Mixed Case" SELECT i, 'k' || i % 7, 'value' FROM generate_series(1, 3000) i;
    INSERT INTO made (code) SELECT i FROM generate_series(1, 2000) i;
    INSERT INTO parts SELECT i, 0 FROM generate_series(1, 4000) i;
    INSERT INTO kinds SELECT md5(i::text)::uuid, '{"a": [1, null]}', ARRAY['x', NULL, 'a "b"'], '\x00ff', '-2 hours', 'ab',
        'glad', '10.0.0.1/8', 'NaN', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n) FROM generate_series(1, 10) i;
    INSERT INTO keyless SELECT generate_series(1, 100)"#;

/// A row that is to be found: the table, how it differs, and the key's texts.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// What somebody does in the target, and what is to be found of it.
const BY_HAND: [(&str, &[Row]); 11] = [
    (
        "UPDATE orders SET v = -1 WHERE id IN (5, 999)",
        &[("orders", "different", &["5"]), ("orders", "different", &["999"])],
    ),
    ("DELETE FROM orders WHERE id IN (7, 8)", &[("orders", "missing", &["7"]), ("orders", "missing", &["8"])]),
    (
        "INSERT INTO orders (id, v) VALUES (-1, 0), (9000000, 0)",
        &[("orders", "extra", &["-1"]), ("orders", "extra", &["9000000"])],
    ),
    ("UPDATE orders SET total = total + 0.1 WHERE id = 10", &[("orders", "different", &["10"])]),
    (r#"UPDATE "Mixed Case" SET "Value" = NULL WHERE id = 70"#, &[("Mixed Case", "different", &["k0", "70"])]),
    (
        r#"UPDATE "Mixed Case" SET "key""B" = 'other' WHERE id = 71"#,
        &[("Mixed Case", "missing", &["k1", "71"]), ("Mixed Case", "extra", &["other", "71"])],
    ),
    // Each has what the other should.
    (
        "UPDATE made SET code = -code WHERE id IN (1, 2); UPDATE made SET code = 3 + code WHERE id IN (1, 2)",
        &[("made", "different", &["1"]), ("made", "different", &["2"])],
    ),
    ("DELETE FROM made WHERE id = 30", &[("made", "missing", &["30"])]),
    (
        "UPDATE parts SET v = 7 WHERE id = 3; DELETE FROM parts WHERE id = 4",
        &[("parts", "different", &["3"]), ("parts", "missing", &["4"])],
    ),
    ("DELETE FROM kinds WHERE id = md5('1')::uuid", &[("kinds", "missing", &["c4ca4238-a0b9-2382-0dcc-509a6f75849b"])]),
    (
        "UPDATE kinds SET long = 'short', c = 'abc' WHERE id = md5('2')::uuid",
        &[("kinds", "different", &["c81e728d-9d4c-2f63-6f06-7f89cc14862c"])],
    ),
];

/// What was found: the table, how, and the key's texts.
type Found = BTreeSet<(String, String, Vec<String>)>;

fn expected() -> Found {
    let of = |(table, is, key): &Row| {
        ((*table).to_owned(), (*is).to_owned(), key.iter().map(|text| (*text).to_owned()).collect())
    };
    BY_HAND.iter().flat_map(|(_, rows)| rows.iter().map(of)).collect()
}

/// A pipeline that runs, with a table beside it that it leaves out, which somebody has copied.
struct Running {
    pipeline: Pipeline,
    worker: Worker,
    sink: Sink,
}

impl Running {
    async fn start(name: &str, exactly_once: &str) -> anyhow::Result<Self> {
        let pipeline = Pipeline::new(name).await?;
        let settings = exactly_once::settings(&pipeline, exactly_once)?;
        let worker = Worker::streamer(pipeline.directory.path(), &settings).await?;
        Self::on(pipeline, worker).await
    }

    async fn on(pipeline: Pipeline, worker: Worker) -> anyhow::Result<Self> {
        pipeline.run(TABLES).await?;
        let file = pipeline.directory.path().join("without-keyless.json");
        // Soon confirmed, or each barrier takes ten seconds.
        let changes = [("table.exclude.list", "public.keyless"), ("status.update.interval.ms", "500")];
        let config = pipeline.connector(&changes)?;
        std::fs::write(&file, serde_json::json!({ "name": pipeline.name, "config": config }).to_string())?;
        let (mut sink, _) = pipeline.sink_with(&worker, |settings| settings.connector = Some(file))?;
        sink.wait_complete(1, |_| {}).await?;
        let keyless = "CREATE TABLE keyless (v int); INSERT INTO keyless SELECT generate_series(1, 100)";
        pipeline.target().await?.batch_execute(keyless).await?;
        Ok(Self { pipeline, worker, sink })
    }

    /// What `sink verify` finds, with Kafka unless the arguments say otherwise.
    async fn verify(&self, arguments: &[&str]) -> anyhow::Result<Report> {
        let mut verify = self.command()?;
        verify.args(["--json", "--rows", "1000"]).args(arguments);
        if !arguments.contains(&"--settle") {
            verify.args(["--bootstrap-servers", &self.pipeline.kafka, "--topic-prefix", &self.pipeline.name]);
        }
        let output = tokio::task::spawn_blocking(move || verify.output()).await??;
        let document = serde_json::from_slice(&output.stdout)
            .map_err(|error| anyhow::anyhow!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(Report { document, is_success: output.status.success() })
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut verify = Command::new(program("sink")?);
        verify.args(["verify", "--source", &self.pipeline.source_url(), "--target", &self.pipeline.target_url()]);
        Ok(verify)
    }

    async fn by_hand(&self, sql: &str) -> anyhow::Result<()> {
        Ok(self.pipeline.target().await?.batch_execute(sql).await?)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.sink.into_process().stop().await?;
        self.worker.into_process().stop().await
    }
}

/// A `--json` document.
#[derive(Debug)]
struct Report {
    document: Value,
    is_success: bool,
}

impl Report {
    fn found(&self) -> Found {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut found = Found::new();
        for table in self.tables() {
            for row in table["rows"].as_array().into_iter().flatten() {
                let key = row["key"].as_object().into_iter().flatten().map(|(_, value)| text(value)).collect();
                found.insert((text(&table["table"]), text(&row["is"]), key));
            }
        }
        found
    }

    fn tables(&self) -> impl Iterator<Item = &Value> {
        self.document["tables"].as_array().into_iter().flatten()
    }

    /// A number of all tables together.
    fn sum(&self, name: &str) -> u64 {
        self.tables().filter_map(|table| table[name].as_u64()).sum()
    }

    fn is_equal(&self) -> bool {
        self.is_success && self.document["equal"] == true && self.sum("undecided") == 0 && self.found().is_empty()
    }
}

/// Writes to all tables that are streamed, without a pause longer than is needed for others to have a turn: rows that are changed
/// all the time, rows that come and go under the same key, changes of keys, values that TOAST keeps.
async fn write(pipeline: &Pipeline, stop: &CancellationToken) -> anyhow::Result<JoinHandle<anyhow::Result<u64>>> {
    let (source, stop) = (pipeline.source().await?, stop.clone());
    Ok(tokio::spawn(async move {
        let mut n = 0_u64;
        while !stop.is_cancelled() {
            let (part, next) = (n % 500, 1_000_000 + n * 2);
            for sql in [
                "UPDATE orders SET v = v + 1 WHERE id = 1001".to_owned(),
                format!("UPDATE orders SET v = v + 1 WHERE id > 1000 AND id % 500 = {part}"),
                format!("INSERT INTO orders (id, v) VALUES ({next}, 1), ({next} + 1, 1)"),
                "DELETE FROM orders WHERE id = 1002".to_owned(),
                "INSERT INTO orders (id, v) VALUES (1002, 0)".to_owned(),
                format!("DELETE FROM orders WHERE id = {}", next.saturating_sub(40)),
                format!(r#"UPDATE "Mixed Case" SET "Value" = 'written {n}' WHERE id > 1000 AND id % 500 = {part}"#),
                format!(r#"UPDATE "Mixed Case" SET id = -id WHERE id > 1000 AND id % 500 = {part}"#),
                format!(r#"UPDATE "Mixed Case" SET id = -id WHERE id < -1000 AND -id % 500 = {part}"#),
                format!("UPDATE made SET code = -(id * 1000 + {n} % 1000) WHERE id > 1000 AND id % 500 = {part}"),
                format!("INSERT INTO made (code) VALUES (5000000 + {n})"),
                format!("UPDATE parts SET v = v + 1 WHERE id > 1000 AND id % 500 = {part}"),
                "UPDATE kinds SET f = random() WHERE id < md5('1')::uuid".to_owned(),
                "DELETE FROM kinds WHERE j = '1'; INSERT INTO kinds (id, j) VALUES (md5('new')::uuid, '1')".to_owned(),
            ] {
                source.batch_execute(&sql).await?;
            }
            n += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(n)
    }))
}

/// The rows of all tables as this test compares them.
async fn rows(client: &tokio_postgres::Client) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    // Records do not bring the trailing zeros of a number without a scale.
    let orders = "(SELECT id, v, note, trim_scale(total), at FROM orders)";
    for table in [orders, "\"Mixed Case\"", "made", "parts", "kinds", "keyless"] {
        let sql = format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t");
        all.push(client.query_one(&sql, &[]).await?.get(0));
    }
    Ok(all)
}

async fn finds_and_mends(name: &str, exactly_once: &str) -> anyhow::Result<()> {
    let running = Running::start(name, exactly_once).await?;
    let stop = CancellationToken::new();
    let writing = write(&running.pipeline, &stop).await?;

    // Nothing is wrong: nothing is found, for as long as it takes until something that was on its way seemed to be.
    wait_until("changes on their way to be told from differences", Duration::from_secs(120), async || {
        let report = running.verify(&[]).await?;
        assert!(report.is_equal(), "{report:?}");
        let arrived = report.sum("on_their_way");
        Ok(if arrived > 0 { Condition::Met(()) } else { Condition::NotYet("none was on its way".to_owned()) })
    })
    .await?;

    for (sql, _) in BY_HAND {
        running.by_hand(sql).await?;
    }
    running.by_hand("UPDATE keyless SET v = -1 WHERE v = 50").await?;
    let report = running.verify(&[]).await?;
    assert_eq!(report.found(), expected());
    assert!(!report.is_success && report.sum("undecided") == 0, "{report:?}");
    let is_equal =
        |report: &Report, name: &str| report.tables().any(|table| table["table"] == name && table["equal"] == true);
    assert!(!is_equal(&report, "keyless"), "{report:?}");

    let report = running.verify(&["--repair"]).await?;
    assert_eq!(report.found(), expected());
    assert_eq!(report.sum("mended"), u64::try_from(expected().len())?, "{report:?}");
    let keyless: Vec<_> = report.tables().filter(|table| table["equal"] != true).collect();
    assert_eq!(keyless.len(), 1, "{report:?}");
    assert_eq!(keyless[0]["table"], "keyless");
    assert!(keyless[0]["remark"].as_str().unwrap_or_default().contains("without a primary key"), "{report:?}");
    assert!(!report.is_success);

    running.by_hand("UPDATE keyless SET v = 50 WHERE v = -1").await?;
    let report = running.verify(&[]).await?;
    assert!(report.is_equal(), "{report:?}");

    stop.cancel();
    assert!(writing.await?? > 0);
    let (source, target) = (running.pipeline.source().await?, running.pipeline.target().await?);
    wait_until("the target to have every row of the source", Duration::from_secs(60), async || {
        let equal = rows(&source).await? == rows(&target).await?;
        Ok(if equal { Condition::Met(()) } else { Condition::NotYet("they differ".to_owned()) })
    })
    .await?;
    running.pipeline.target_has("SELECT count(*) FROM headwater.set_aside", "0").await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_in_the_target_is_found_and_mended_while_writes_go_on() -> anyhow::Result<()> {
    finds_and_mends("verify_repair", "disabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_kafka_s_transactions_leave_offsets_without_records() -> anyhow::Result<()> {
    finds_and_mends("verify_repair_once", "enabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_for_a_sink_that_does_not_run_are_neither_different_nor_mended() -> anyhow::Result<()> {
    let mut running = Running::start("verify_stuck", "disabled").await?;
    running.by_hand("DELETE FROM orders WHERE id = 7").await?;
    let id = running.sink.process().id().unwrap_or_default();
    stack::process::signal(id, "STOP")?;
    running.pipeline.run("UPDATE orders SET v = 1 WHERE id = 8; INSERT INTO made (code) VALUES (-1)").await?;
    let report = running.verify(&["--repair", "--patience", "5"]).await?;
    assert!(!report.is_success && report.found().is_empty(), "{report:?}");
    assert_eq!((report.sum("undecided"), report.sum("mended")), (3, 0), "{report:?}");
    let remark = report.tables().find(|table| table["table"] == "orders").map(|table| table["remark"].to_string());
    assert!(remark.is_some_and(|remark| remark.contains("the sink has not come on")), "{report:?}");

    stack::process::signal(id, "CONT")?;
    let report = running.verify(&["--repair"]).await?;
    assert_eq!(report.found(), Found::from([("orders".to_owned(), "missing".to_owned(), vec!["7".to_owned()])]));
    assert!(report.is_success, "{report:?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_which_confirms_nothing_of_a_quiet_database_is_given_something_to_confirm() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("verify_debezium").await?;
    let worker = pipeline.debezium().await?;
    let running = Running::on(pipeline, worker).await?;
    // In no publication: the log goes on, and nothing of it is sent.
    running.pipeline.run("CREATE UNLOGGED TABLE unseen (id int); INSERT INTO unseen VALUES (1)").await?;
    running.by_hand("DELETE FROM orders WHERE id = 7").await?;
    let report = running.verify(&["--repair"]).await?;
    assert_eq!(report.found(), Found::from([("orders".to_owned(), "missing".to_owned(), vec!["7".to_owned()])]));
    assert!(report.is_success, "{report:?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_rows_differ_that_do_not_change_for_a_while() -> anyhow::Result<()> {
    let running = Running::start("verify_settle", "disabled").await?;
    for (sql, _) in BY_HAND {
        running.by_hand(sql).await?;
    }
    let report = running.verify(&["--settle", "1"]).await?;
    assert_eq!((report.found(), report.is_success), (expected(), false));
    assert_eq!(report.document["confirmed_by"], "time");
    let report = running.verify(&["--settle", "1", "--repair"]).await?;
    assert_eq!((report.sum("mended"), report.is_success), (u64::try_from(expected().len())?, true), "{report:?}");
    assert!(running.verify(&["--settle", "1"]).await?.is_equal());

    // One that the target does not take keeps its neighbours from nothing.
    running.by_hand("DELETE FROM orders WHERE id IN (77, 78); ALTER TABLE orders ADD CHECK (id <> 77)").await?;
    let report = running.verify(&["--settle", "1", "--repair"]).await?;
    assert_eq!((report.sum("missing"), report.sum("mended"), report.is_success), (2, 1, false), "{report:?}");
    let remark = report.tables().find(|table| table["table"] == "orders").map(|table| table["remark"].to_string());
    assert!(remark.is_some_and(|remark| remark.contains("violates check constraint")), "{report:?}");
    running.pipeline.target_has("SELECT count(*) FROM orders WHERE id = 78", "1").await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_finds_and_mends_until_stopped() -> anyhow::Result<()> {
    let running = Running::start("verify_watch", "disabled").await?;
    let (mut command, port) = (running.command()?, ports::free()?);
    command.args(["--watch", "--repair", "--http-listen", &format!("127.0.0.1:{port}")]).args([
        "--bootstrap-servers",
        &running.pipeline.kafka,
        "--rate",
        "100000",
    ]);
    let log = running.pipeline.directory.path().join("verify.log");
    let mut watch = Process::start("verify", command, &log, "TERM")?;
    wait_until("the first round", Duration::from_secs(60), async || {
        watch.check_running()?;
        let output = watch.output();
        let is_done = output.contains("round 1: 6 of 6 tables are equal");
        Ok(if is_done { Condition::Met(()) } else { Condition::NotYet(output) })
    })
    .await?;
    running.by_hand("UPDATE orders SET v = -1 WHERE id = 5; DELETE FROM orders WHERE id = 7").await?;
    let mended = "SELECT count(*) FROM orders WHERE id = 5 AND v = 0 OR id = 7";
    running.pipeline.target_has(mended, "2").await?;
    let rest = Rest::new(port);
    wait_until("the metrics to say it", Duration::from_secs(60), async || {
        let metrics = rest.text("/metrics").await?;
        let is_there = |line: &str| metrics.lines().any(|found| found == line);
        let is_said = is_there(r#"headwater_sink_verify_mended_total{table="public.orders"} 2"#)
            && is_there(r#"headwater_sink_verify_equal{table="public.orders"} 1"#)
            && is_there(r#"headwater_sink_verify_differences_left{table="public.orders"} 0"#);
        Ok(if is_said { Condition::Met(()) } else { Condition::NotYet(metrics) })
    })
    .await?;
    let (status, health) = rest.get("/health").await?;
    assert_eq!((status, health["step"].as_str()), (200, Some("comparing")), "{health}");
    stack::process::signal(watch.id().unwrap_or_default(), "TERM")?;
    assert!(watch.ended(Duration::from_secs(30)).await?, "{}", watch.output());
    assert!(watch.output().contains("2 differed; 2 were mended"), "{}", watch.output());
    running.stop().await
}
