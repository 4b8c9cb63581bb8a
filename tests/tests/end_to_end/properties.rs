//! Properties whose effect is not in the records.

use serde_json::json;

use super::pipeline::Pipeline;
use super::restarts::wait_records;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_processed_is_passed_over_and_counted_under_the_connector_s_tags() -> anyhow::Result<()>
{
    let pipeline = Pipeline::new("passed_over").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, n numeric(8,2), v text)").await?;
    let streamer = pipeline.streamer().await?;
    let changes = [
        ("event.converting.failure.handling.mode", "fail"),
        ("event.processing.failure.handling.mode", "warn"),
        ("decimal.handling.mode", "precise"),
        ("custom.metric.tags", "team=payments, k8s.zone=a"),
    ];
    pipeline.put(&streamer, &changes).await?;
    streamer.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'passed_over'", "true").await?;
    pipeline
        .run("INSERT INTO t VALUES (1, 1, 'a'); INSERT INTO t VALUES (2, 'NaN', 'row-value'); INSERT INTO t VALUES (3, 3, 'c')")
        .await?;
    let records = wait_records(&pipeline, "t", 2).await?;
    let ids: Vec<_> = records.iter().map(|record| record.value["after"]["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(3)]);
    let metrics = streamer.rest().text("/metrics").await?;
    let counted =
        "headwater_streamer_events_skipped_total{connector=\"passed_over\",team=\"payments\",k8s_zone=\"a\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    let log = streamer.process().output();
    assert!(log.contains("a change cannot be processed and is lost") && log.contains("public.t"), "{log}");
    assert!(!log.contains("row-value"), "{log}");
    streamer.into_process().stop().await
}
