//! In and out again: Debezium's place is taken over and given back, with its own topics and positions.

use std::collections::BTreeSet;

use stack::topic;

use super::pipeline::Pipeline;
use super::restarts::wait_records;

/// Debezium alone cannot say how far it is among rows that share an LSN, and would skip the rest of them.
#[tokio::test(flavor = "multi_thread")]
async fn debezium_takes_over_inside_a_transaction_and_loses_nothing() -> anyhow::Result<()> {
    const ROWS: usize = 200_000;
    let pipeline = Pipeline::new("taken_over_inside").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text)").await?;
    let streamer = pipeline.streamer().await?;
    pipeline.put(&streamer, &[]).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run(&format!("INSERT INTO t SELECT n, 'row' FROM generate_series(1, {ROWS}) n")).await?;
    wait_records(&pipeline, "t", 1).await?;
    streamer.into_process().stop().await?;
    let before = topic::read(&pipeline.kafka, &pipeline.topic("t"))?.len();
    assert!((1..ROWS).contains(&before), "it was stopped inside the transaction: {before}");

    let debezium = pipeline.debezium().await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    // Debezium reads the transaction whole.
    let records = wait_records(&pipeline, "t", before + ROWS).await?;
    let ids: BTreeSet<i64> = records.iter().filter_map(|record| record.key["id"].as_i64()).collect();
    assert_eq!(ids.len(), ROWS);
    debezium.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn debezium_hands_over_to_the_streamer_and_takes_over_again() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("hand_over").await?;
    let debezium = pipeline.debezium().await?;
    let (mut sink, _) = pipeline.sink(&debezium)?;
    sink.wait_complete(1, |_| {}).await?;
    let mut users = 0;
    let mut change = async |by: &str| {
        users += 10;
        pipeline
            .run(&format!(
                "INSERT INTO users (username, email) SELECT '{by} ' || n, 'e' FROM generate_series(1, 10) n;
                 UPDATE devices SET health_status = 'WARNING', tags = array_append(tags, '{by}') WHERE id % 100 = 0;
                 UPDATE warranties SET id = id + 100000 WHERE id = (SELECT min(id) FROM warranties);
                 DELETE FROM alerts WHERE id IN (SELECT id FROM alerts ORDER BY id LIMIT 5);"
            ))
            .await?;
        pipeline.equal().await?;
        wait_records(&pipeline, "users", users).await
    };
    change("Debezium").await?;
    debezium.into_process().stop().await?;

    // The connector comes from the config topic, the position from the offset topic: nothing is deployed again.
    let streamer = pipeline.streamer().await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    change("streamer").await?;
    streamer.into_process().stop().await?;

    let debezium = pipeline.debezium().await?;
    debezium.rest().wait_task(&pipeline.name, "RUNNING").await?;
    let records = change("Debezium again").await?;
    debezium.into_process().stop().await?;

    let names: Vec<&str> = records.iter().filter_map(|record| record.value["after"]["username"].as_str()).collect();
    let expected: Vec<String> = ["Debezium", "streamer", "Debezium again"]
        .iter()
        .flat_map(|by| (1..=10).map(move |number| format!("{by} {number}")))
        .collect();
    assert_eq!(names, expected, "each once, in order");
    // Without the connector's clock and the run's id, a streamer's record has nothing that Debezium's has not.
    let shape = |record: &topic::Record| {
        let mut value = record.value.clone();
        for pointer in ["/ts_ms", "/ts_us", "/ts_ns", "/source", "/after"] {
            if let Some(part) = value.pointer_mut(pointer) {
                *part = part.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).into();
            }
        }
        (
            value.to_string(),
            record.headers.clone(),
            record.key.as_object().map(|key| key.keys().cloned().collect::<Vec<_>>()),
        )
    };
    assert_eq!(shape(&records[0]), shape(&records[10]));
    Ok(())
}
