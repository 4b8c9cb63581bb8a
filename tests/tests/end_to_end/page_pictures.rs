//! The README's pictures of the page: not a test, but made by one's means.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use stack::browser::Browser;
use stack::wait::{Condition, wait_until};
use tokio_util::task::AbortOnDropHandle;

use super::pipeline::Pipeline;

/// How long the figures of the page go back.
const LOAD: Duration = Duration::from_secs(75);

/// A light load that comes and goes, on the inventory's tables.
const WRITES: &str = "
    INSERT INTO devices (service_tag, device_name, device_type_id, model, ip_address, health_status)
        SELECT 'P' || $1 || '-' || n, 'picture', 1, 'PowerEdge R760', '10.9.1.1', 'OK' FROM generate_series(1, $2) n;
    UPDATE devices SET health_status = 'WARNING' WHERE service_tag LIKE 'P' || $1 || '-%';
    DELETE FROM devices WHERE service_tag LIKE 'P' || ($1 - 2) || '-%'";

async fn save(browser: &Browser, name: &str) -> anyhow::Result<()> {
    let picture = browser.chromium("Page.captureScreenshot", json!({ "format": "png" })).await?;
    let bytes = decoded(picture["data"].as_str().context("no picture")?)?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    std::fs::create_dir_all(&directory)?;
    Ok(std::fs::write(directory.join(name), bytes)?)
}

/// Base64, as WebDriver gives a picture.
fn decoded(text: &str) -> anyhow::Result<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut left) = (0_u32, 0_u32);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|known| *known == letter).context("not in base64")?;
        (bits, left) = (bits << 6 | u32::try_from(value)?, left + 6);
        if left >= 8 {
            left -= 8;
            bytes.push(u8::try_from(bits >> left & 0xff)?);
        }
    }
    Ok(bytes)
}

async fn look(browser: &Browser, dark: bool, width: u32, height: u32) -> anyhow::Result<()> {
    let scheme: Value = json!([{ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } }]);
    browser.chromium("Emulation.setEmulatedMedia", json!({ "features": scheme })).await?;
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
    browser.chromium("Emulation.setDeviceMetricsOverride", size).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// `stack run -- target/debug/deps/end_to_end-… --ignored the_readme_s_pictures_are_taken`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the README's pictures into docs/images"]
async fn the_readme_s_pictures_are_taken() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("shop").await?;
    pipeline.run("CREATE TABLE signals (id text PRIMARY KEY, type text, data text)").await?;
    pipeline.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'").await?;
    pipeline.run("SELECT pg_reload_conf()").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, port) = pipeline.sink(&worker)?;
    let connector = json!({ "name": pipeline.name, "config": pipeline.connector(&[("signal.data.collection", "public.signals"), ("read.only", "true")])? });
    std::fs::write(pipeline.directory.path().join("connector.json"), connector.to_string())?;
    sink.wait_complete(1, |_| {}).await?;
    let source = pipeline.source().await?;
    let load = tokio::spawn(async move {
        for turn in 3_i64.. {
            let rows = 60 + (turn % 23) * 9 + (turn % 7) * 14;
            for statement in WRITES.split(';') {
                let statement = statement.replace("$1", &turn.to_string()).replace("$2", &rows.to_string());
                source.batch_execute(&statement).await?;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        anyhow::Ok(())
    });
    let _load = AbortOnDropHandle::new(load);
    let browser = Browser::start(pipeline.directory.path(), 1240, 980).await?;
    let sinks = Browser::start(&pipeline.directory.path().join(".."), 1240, 980).await?;
    browser.open(worker.rest().url()).await?;
    sinks.open(&format!("http://127.0.0.1:{port}/")).await?;
    wait_until("the connector to run", Duration::from_secs(60), async || {
        let said = browser.text(".subject .title .badge").await?.unwrap_or_default();
        Ok(if said == "Running" { Condition::Met(()) } else { Condition::NotYet(said) })
    })
    .await?;
    tokio::time::sleep(LOAD).await;
    let body = json!({ "tables": ["public.devices", "public.device_types"] });
    worker
        .rest()
        .request(reqwest::Method::POST, "/connectors/shop/incremental-snapshot", Some(&body.to_string()))
        .await?;
    look(&browser, false, 1240, 980).await?;
    save(&browser, "streamer-page.png").await?;
    look(&browser, true, 1240, 980).await?;
    save(&browser, "streamer-page-dark.png").await?;
    look(&browser, false, 390, 844).await?;
    save(&browser, "streamer-page-phone.png").await?;
    look(&sinks, false, 1240, 860).await?;
    save(&sinks, "sink-page.png").await?;
    sinks.quit().await?;
    browser.quit().await?;
    sink.into_process().stop().await?;
    worker.into_process().stop().await
}
