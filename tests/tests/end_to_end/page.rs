//! The page in a real browser: what the worker has, who looks at it sees within two seconds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use stack::artifacts::Artifacts;
use stack::browser::Browser;
use stack::wait::{Condition, wait_until};
use stack::worker::Worker;
use stack::{kafka, ports, process};

use super::pipeline::Pipeline;

/// How much later than the worker the page may have it.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

/// A connector's page.
struct Page<'a> {
    browser: &'a Browser,
    worker: &'a Worker,
    name: &'a str,
}

impl Page<'_> {
    /// The badge beside the connector's name says this.
    async fn says(&self, word: &str) -> anyhow::Result<Instant> {
        self.shows(".subject .title .badge", |text| text == word).await
    }

    /// When something is seen in the page.
    async fn shows(&self, css: &str, is_it: impl Fn(&str) -> bool) -> anyhow::Result<Instant> {
        shows(self.browser, css, is_it).await
    }

    async fn click(&self, action: &str) -> anyhow::Result<()> {
        self.browser.click(&format!("[data-action='{action}']")).await
    }

    /// When the REST API says this of the task.
    async fn has(&self, state: &str) -> anyhow::Result<Instant> {
        self.worker.rest().wait_task(self.name, state).await?;
        Ok(Instant::now())
    }

    /// When the worker has published so many records of the connector's.
    async fn has_published(&self, records: u64) -> anyhow::Result<Instant> {
        wait_until(&format!("{records} records published"), Duration::from_secs(60), async || {
            let published = self.published().await?;
            Ok(if published >= records { Condition::Met(()) } else { Condition::NotYet(published.to_string()) })
        })
        .await?;
        Ok(Instant::now())
    }

    async fn published(&self) -> anyhow::Result<u64> {
        let metrics = self.worker.rest().text("/metrics").await?;
        let line = metrics.lines().find(|line| line.starts_with("headwater_streamer_records_enqueued_total"));
        Ok(line.and_then(|line| line.rsplit(' ').next()).map_or(Ok(0), str::parse)?)
    }
}

async fn shows(browser: &Browser, css: &str, is_it: impl Fn(&str) -> bool) -> anyhow::Result<Instant> {
    wait_until(&format!("{css} to be seen as it should"), Duration::from_secs(60), async || {
        let text = browser.text(css).await?.unwrap_or_default();
        Ok(if is_it(&text) { Condition::Met(()) } else { Condition::NotYet(text) })
    })
    .await?;
    Ok(Instant::now())
}

/// Waits for both, and asserts that the page was not late.
async fn in_time(
    what: &str,
    worker: impl Future<Output = anyhow::Result<Instant>>,
    page: impl Future<Output = anyhow::Result<Instant>>,
) -> anyhow::Result<()> {
    let (worker, page) = tokio::join!(worker, page);
    let late = page?.saturating_duration_since(worker?);
    ensure!(late <= SEEN_WITHIN, "{what} was seen {late:?} after the worker had it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_the_page_sees_within_two_seconds_what_the_worker_has() -> anyhow::Result<()> {
    let mut pipeline = Pipeline::new("page").await?;
    let own = tempfile::Builder::new().prefix("headwater-page-kafka-").tempdir()?;
    let settings = kafka::Settings { port: ports::lasting()?, ..kafka::Settings::default() };
    let broker = kafka::Kafka::start_with(&Artifacts::fetch()?, own.path(), &settings).await?;
    pipeline.kafka = broker.bootstrap_servers();
    pipeline
        .run(
            "CREATE TABLE t (id serial PRIMARY KEY, v text);
             CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
             INSERT INTO t (v) SELECT 'copied' FROM generate_series(1, 500)",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let browser = Browser::start(pipeline.directory.path(), 1280, 900).await?;
    browser.open(worker.rest().url()).await?;
    shows(&browser, ".empty", |text| text.contains("No connector is deployed yet")).await?;

    let changes = [
        ("signal.data.collection", "public.signals"),
        ("guardrail.collections.max", "2"),
        ("guardrail.collections.limit.action", "fail"),
        ("executor.shutdown.timeout.ms", "1000"),
    ];
    let connector = json!({ "name": pipeline.name, "config": pipeline.connector(&changes)? });
    let (mut sink, sink_port) = pipeline.sink(&worker)?;
    // What it is started with is read when it is.
    std::fs::write(pipeline.directory.path().join("connector.json"), connector.to_string())?;
    let page = Page { browser: &browser, worker: &worker, name: &pipeline.name };
    in_time("the new connector", page.has("RUNNING"), page.says("Running")).await?;
    sink.wait_complete(1, |_| {}).await?;

    // Load.
    let before = page.published().await?;
    pipeline.run("INSERT INTO t (v) SELECT 'new' FROM generate_series(1, 3000)").await?;
    let created = ".listing [data-row='public.t'] [data-column='created']";
    in_time("3000 new rows", page.has_published(before + 3000), page.shows(created, |text| text == "3,000")).await?;
    page.shows("[data-figure='rate']", |text| !text.starts_with("0 ")).await?;
    page.shows("[data-place='slot'] .state", |text| text == "Read").await?;
    page.shows("[data-place='kafka'] .state", |text| text == "Acknowledges").await?;

    // Pause and resume, from a button.
    page.click("pause").await?;
    in_time("the pause", page.has("PAUSED"), page.says("Paused")).await?;
    page.shows("[data-place='slot'] .state", |text| text == "Not read").await?;
    page.click("resume").await?;
    in_time("the resumption", page.has("RUNNING"), page.says("Running")).await?;

    // An incremental snapshot of one table, with the keyboard.
    page.shows("[data-place='slot'] .state", |text| text == "Read").await?;
    let before = page.published().await?;
    page.shows("[data-action='snapshot']:not(:disabled)", |text| !text.is_empty()).await?;
    page.click("snapshot").await?;
    browser.click("dialog input[value='public.t']").await?;
    browser.script("document.getElementById('condition').focus()").await?;
    browser.press("id <= 1000\u{E007}").await?;
    in_time(
        "the snapshot",
        page.has_published(before + 1000),
        page.shows("[data-going='incremental'] .badge", |text| text == "Completed"),
    )
    .await?;
    page.shows("[data-going='incremental']", |text| text.contains("1,000 rows")).await?;

    // A task that fails, and says what to do.
    pipeline.run("CREATE TABLE one_too_many (id int PRIMARY KEY)").await?;
    page.click("restart").await?;
    in_time("the failure", page.has("FAILED"), page.says("Failed")).await?;
    page.shows(".notice[data-level='bad']", |text| text.contains("guardrail.collections.max allows 2 tables")).await?;
    pipeline.run("DROP TABLE one_too_many").await?;
    page.click("restart").await?;
    in_time("the restart", page.has("RUNNING"), page.says("Running")).await?;

    // A Kafka that answers nobody, and does again. The worker loses its place in the group with it.
    page.shows("[data-place='slot'] .state", |text| text == "Read").await?;
    let before = page.published().await?;
    pipeline.run("INSERT INTO t (v) VALUES ('while Kafka is there')").await?;
    page.has_published(before + 1).await?;
    let id = broker.process().id().context("the broker has ended")?;
    process::signal(id, "STOP")?;
    pipeline.run("INSERT INTO t (v) VALUES ('while Kafka is away')").await?;
    let broken = async {
        page.shows("[data-place='kafka'] .state", |text| text.starts_with("Silent for ")).await?;
        let lost = in_time(
            "the lost place in the group",
            has_no_place(&worker),
            page.shows(".notice", |text| text.contains("no place in its group")),
        );
        lost.await
    };
    let broken = broken.await;
    process::signal(id, "CONT")?;
    broken?;
    in_time("the recovery", page.has("RUNNING"), page.says("Running")).await?;
    pipeline.target_has("SELECT count(*) FROM t WHERE v = 'while Kafka is away'", "1").await?;
    let said = browser.console().await?;
    ensure!(said.is_empty(), "the page's console: {said:?}");

    // The sink's page.
    browser.open(&format!("http://127.0.0.1:{sink_port}/")).await?;
    shows(&browser, ".subject .title .badge", |text| text == "Applying").await?;
    let before = pipeline.target().await?.query_one("SELECT count(*) FROM t", &[]).await?.get::<_, i64>(0);
    pipeline.run("INSERT INTO t (v) SELECT 'more' FROM generate_series(1, 1000)").await?;
    let topic = pipeline.topic("t");
    let row = format!(".listing [data-row='{topic}']");
    in_time(
        "1000 more rows",
        async {
            pipeline.target_has("SELECT count(*) FROM t", &(before + 1000).to_string()).await?;
            Ok(Instant::now())
        },
        shows(&browser, "[data-figure='rate']", |text| !text.starts_with("0 ")),
    )
    .await?;
    shows(&browser, &format!("{row} [data-column='behind']"), |text| text == "0").await?;
    shows(&browser, "[data-place='target'] .state", |text| text.starts_with("Written")).await?;
    let said = browser.console().await?;
    ensure!(said.is_empty(), "the page's console: {said:?}");

    // And when there is nobody who says anything any more.
    sink.into_process().stop().await?;
    shows(&browser, "#connection", |text| text.starts_with("Connection lost")).await?;
    browser.quit().await?;
    worker.into_process().stop().await
}

/// When the worker says that it runs nothing for now.
async fn has_no_place(worker: &Worker) -> anyhow::Result<Instant> {
    wait_until("the worker to have no place in its group", Duration::from_secs(60), async || {
        let (status, health) = worker.rest().get("/health").await?;
        let is_starting = status == 503 && health["status"] == "starting";
        Ok(if is_starting { Condition::Met(()) } else { Condition::NotYet(format!("{status} {health}")) })
    })
    .await?;
    Ok(Instant::now())
}
