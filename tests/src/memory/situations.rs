//! What is done to the services.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::{Arguments, Situation, stage::Stage};
use crate::process;
use crate::topic;
use crate::wait::{Condition, wait_until};

/// Rows that fill Kafka's and the target's queues many times over.
const MANY_ROWS: u64 = 1_000_000;

/// Carries the situation out, up to the moment at which all has arrived.
pub(super) async fn happen(situation: Situation, arguments: &Arguments, stage: &mut Stage) -> anyhow::Result<()> {
    match situation {
        Situation::Transaction => transaction(stage, arguments.rows).await,
        Situation::Published => published(stage, arguments.rows).await,
        Situation::Value => value(stage, arguments.value).await,
        Situation::Refused => refused(stage, arguments.value).await,
        Situation::Snapshot => snapshot(stage, arguments.tables).await,
        Situation::Tables => tables(stage, arguments.tables).await,
        Situation::SlowKafka => slow_kafka(stage).await,
        Situation::SlowTarget => slow_target(stage).await,
    }
}

const TABLE: &str =
    "CREATE TABLE t (id bigint PRIMARY KEY, name text, amount numeric(12,2), at timestamptz, words text)";

/// Rows of about 150 bytes.
fn insert(from: u64, rows: u64) -> String {
    format!(
        "INSERT INTO t SELECT n, 'name ' || n, n / 100.0, now(), repeat('word ', 20) FROM generate_series({from}, {}) n",
        from + rows - 1
    )
}

async fn transaction(stage: &mut Stage, rows: u64) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute(TABLE).await?;
    stage.sink(&[]).await?;
    let begun = Instant::now();
    source.batch_execute(&insert(1, rows)).await?;
    println!("  written in {} s", begun.elapsed().as_secs());
    stage.target_counts("SELECT count(*) FROM t", i64::try_from(rows)?).await?;
    println!("  arrived in {} s", begun.elapsed().as_secs());
    Ok(())
}

async fn published(stage: &mut Stage, rows: u64) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute(TABLE).await?;
    stage.put(&[], "RUNNING").await?;
    let begun = Instant::now();
    source.batch_execute(&insert(1, rows)).await?;
    println!("  written and committed in {:.1} s", begun.elapsed().as_secs_f64());
    let committed = Instant::now();
    let mut first = None;
    wait_until("all rows in Kafka", Duration::from_secs(7200), async || {
        let topic = "memory.public.t";
        let end = tokio::task::block_in_place(|| topic::end(&stage.kafka.bootstrap_servers(), topic)).unwrap_or(0);
        if end > 0 && first.is_none() {
            // Until then the server would have been sending already with streaming of transactions in progress.
            first = Some(committed.elapsed());
            println!("  the first records are in Kafka {:.1} s behind the commit", committed.elapsed().as_secs_f64());
        }
        // In transactions of Kafka's their ends count as well.
        Ok(if end as u64 >= rows { Condition::Met(()) } else { Condition::NotYet(end.to_string()) })
    })
    .await?;
    println!("  the last {:.1} s behind the commit", committed.elapsed().as_secs_f64());
    let spilled: i64 = source
        .query_one("SELECT sum(spill_bytes)::int8 FROM pg_stat_replication_slots", &[])
        .await?
        .get::<_, Option<i64>>(0)
        .unwrap_or_default();
    println!("  spilled by the server: {} MB", spilled >> 20);
    Ok(())
}

async fn value(stage: &mut Stage, megabytes: u64) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let largest = (400_u64 << 20).to_string();
    stage.sink(&[("producer.override.max.request.size", &largest)]).await?;
    source.batch_execute(&format!("INSERT INTO t SELECT 1, repeat('0123456789abcdef', 65536 * {megabytes})")).await?;
    let expected = i64::try_from(megabytes << 20)?;
    stage.target_counts("SELECT coalesce(sum(length(v)), 0)::int8 FROM t", expected).await
}

async fn refused(stage: &mut Stage, megabytes: u64) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    stage.put(&[], "RUNNING").await?;
    source.batch_execute(&format!("INSERT INTO t SELECT 1, repeat('0123456789abcdef', 65536 * {megabytes})")).await?;
    let trace = stage.task("FAILED").await?;
    println!("  {}", trace.lines().next().unwrap_or_default());
    ensure!(trace.contains("max.request.size"), "{trace}");
    Ok(())
}

async fn create_tables(stage: &Stage, tables: u64, rows: u64) -> anyhow::Result<()> {
    let source = stage.source().await?;
    for number in 0..tables {
        source
            .batch_execute(&format!(
                "CREATE TABLE t{number} (id int PRIMARY KEY, name text, amount numeric(12,2), at timestamptz, words text);
                 INSERT INTO t{number} SELECT n, 'name', 1.5, now(), 'words' FROM generate_series(1, {rows}) n"
            ))
            .await?;
    }
    Ok(())
}

async fn snapshot(stage: &mut Stage, tables: u64) -> anyhow::Result<()> {
    create_tables(stage, tables, 3).await?;
    stage.put(&[("snapshot.mode", "initial")], "RUNNING").await?;
    let begun = Instant::now();
    let source = stage.source().await?;
    let streams = "SELECT count(*) FROM pg_replication_slots WHERE active";
    wait_until("the snapshot", Duration::from_secs(3600), async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let active: i64 = source.query_one(streams, &[]).await?.get(0);
        Ok(if active == 1 { Condition::Met(()) } else { Condition::NotYet(format!("{:?}", stage.streamer()?)) })
    })
    .await?;
    println!("  snapshot in {} s", begun.elapsed().as_secs());
    for number in 0..tables {
        source.batch_execute(&format!("UPDATE t{number} SET name = 'other' WHERE id = 1")).await?;
    }
    let last = format!("memory.public.t{}", tables - 1);
    wait_until("the last change", Duration::from_secs(3600), async || {
        let end = tokio::task::block_in_place(|| topic::end(&stage.kafka.bootstrap_servers(), &last))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(if end >= 4 { Condition::Met(()) } else { Condition::NotYet(end.to_string()) })
    })
    .await?;
    println!("  and a change of each, after {} s", begun.elapsed().as_secs());
    Ok(())
}

async fn tables(stage: &mut Stage, tables: u64) -> anyhow::Result<()> {
    create_tables(stage, tables, 3).await?;
    let begun = Instant::now();
    stage.sink(&[]).await?;
    println!("  copied in {} s", begun.elapsed().as_secs());
    let begun = Instant::now();
    let source = stage.source().await?;
    source.batch_execute("CREATE TABLE done (id int PRIMARY KEY)").await?;
    stage.target().await?.batch_execute("CREATE TABLE done (id int PRIMARY KEY)").await?;
    for number in 0..tables {
        source.batch_execute(&format!("UPDATE t{number} SET name = 'other' WHERE id = 1")).await?;
    }
    let target = stage.target().await?;
    wait_until("the changes of all tables", Duration::from_secs(3600), async || {
        let mut arrived = 0_i64;
        for number in [0, tables / 2, tables - 1] {
            let query = format!("SELECT count(*) FROM t{number} WHERE name = 'other'");
            arrived += target.query_one(&query, &[]).await?.get::<_, i64>(0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(if arrived == 3 { Condition::Met(()) } else { Condition::NotYet(arrived.to_string()) })
    })
    .await?;
    println!("  and a change of each, after {} s", begun.elapsed().as_secs());
    Ok(())
}

async fn slow_kafka(stage: &mut Stage) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute(TABLE).await?;
    stage.sink(&[]).await?;
    source.batch_execute(&insert(1, 10_000)).await?;
    stage.target_counts("SELECT count(*) FROM t", 10_000).await?;
    let broker = stage.kafka.process().id().context("the broker has ended")?;
    process::signal(broker, "STOP")?;
    source.batch_execute(&insert(10_001, MANY_ROWS)).await?;
    still(stage).await?;
    process::signal(broker, "CONT")?;
    stage.target_counts("SELECT count(*) FROM t", i64::try_from(MANY_ROWS + 10_000)?).await
}

async fn slow_target(stage: &mut Stage) -> anyhow::Result<()> {
    let source = stage.source().await?;
    source.batch_execute(TABLE).await?;
    stage.sink(&[]).await?;
    source.batch_execute(&insert(1, 10_000)).await?;
    stage.target_counts("SELECT count(*) FROM t", 10_000).await?;
    let locked = stage.target().await?;
    locked.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await?;
    source.batch_execute(&insert(10_001, MANY_ROWS)).await?;
    still(stage).await?;
    locked.batch_execute("ROLLBACK").await?;
    stage.target_counts("SELECT count(*) FROM t", i64::try_from(MANY_ROWS + 10_000)?).await
}

/// Waits until the programs have taken in what they take: their memory has not grown for ten seconds.
async fn still(stage: &mut Stage) -> anyhow::Result<()> {
    let (mut last, mut grown) = (0, Instant::now());
    let begun = Instant::now();
    while grown.elapsed() < Duration::from_secs(10) && begun.elapsed() < Duration::from_secs(120) {
        let all = stage.streamer()?.peak_kb + stage.sink_resident()?.map_or(0, |sink| sink.peak_kb);
        if all > last {
            (last, grown) = (all, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("  nothing grows any more after {} s", begun.elapsed().as_secs());
    Ok(())
}
