//! Every sort of change reaches the target.

use stack::topic::{self, Record};

use super::pipeline::Pipeline;

/// For each of the 13 tables a row to insert (its id is 900001 and more), and a change of it.
const TABLES: [(&str, &str, &str); 13] = [
    (
        "device_types",
        "INSERT INTO device_types(id, name, category) VALUES (900001, 'T', 'SERVER')",
        "max_power_watts = 1.5",
    ),
    (
        "users",
        "INSERT INTO users(id, username, email) VALUES (900001, 'u', 'u@example.com')",
        r#"roles = '{a,NULL,"b c"}'"#,
    ),
    ("device_groups", "INSERT INTO device_groups(id, name) VALUES (900001, 'g')", r#"rules = '{"a": [1, null]}'"#),
    (
        "devices",
        "INSERT INTO devices(id, service_tag, device_name, device_type_id, model, ip_address, health_status)
         VALUES (900001, 'MYTEST', 'test.local', 900001, 'PowerEdge R750', '10.99.1.1', 'OK')",
        "health_status = 'CRITICAL', ip_address = 'fd00::1/64', memory_gb = 0.01, inlet_celsius = 'NaN'",
    ),
    (
        "group_memberships",
        "INSERT INTO group_memberships(id, group_id, device_id) VALUES (900001, 900001, 900001)",
        "added_by = 900001",
    ),
    (
        "network_interfaces",
        "INSERT INTO network_interfaces(id, device_id, name, mac_address) VALUES (900001, 900001, 'n', '08:00:2b:01:02:03')",
        "addresses = '{10.0.0.1,fd00::2/80}', subnet = '10.0.0.0/8', vlans = '{}'",
    ),
    (
        "firmware_packages",
        r"INSERT INTO firmware_packages(id, component, version, released_on, size_bytes, sha256)
          VALUES (900001, 'c', '1', '2024-02-29', 9007199254740993, '\x00ff')",
        "released_on = 'infinity', criticality = 'URGENT'",
    ),
    (
        "device_firmware",
        "INSERT INTO device_firmware(id, device_id, package_id, installed_at) VALUES (900001, 900001, 900001, '1969-12-31 23:59:59.999999')",
        "maintenance_window = '24:00', installed_at = '-infinity'",
    ),
    (
        "alerts",
        "INSERT INTO alerts(id, device_id, severity, category, message) VALUES (900001, 900001, 'INFO', 'c', E'a\\tb\\\\')",
        "reading = 12345678901234567890.000000000000000001, acknowledged_at = '2024-02-29 13:14:15.123456+05:30'",
    ),
    (
        "jobs",
        "INSERT INTO jobs(id, name, kind) VALUES (900001, 'j', 'k')",
        "progress = 1e-300, target_ids = '{1,NULL}'",
    ),
    (
        "job_executions",
        "INSERT INTO job_executions(id, job_id, device_id, state) VALUES (900001, 900001, 900001, 'RUNNING')",
        "output = 'ünïcödé 🚀', seconds = 0.001, exit_code = -1",
    ),
    (
        "warranties",
        "INSERT INTO warranties(id, device_id, service_level, starts_on, ends_on, price)
         VALUES (900001, 900001, 's', '2024-01-01', '2025-01-01', 1.10)",
        "price = 9999999999.99, is_extended = true, currency = 'E'",
    ),
    (
        "audit_log",
        "INSERT INTO audit_log(id, session_id, action) VALUES (900001, 'b68a35a7-17ad-35b3-af2a-ae46edb4545a', 'a')",
        r#"request = '"text"', client = '::1', object = ''"#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn inserts_updates_and_deletes_on_all_13_tables_reach_the_target() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("all_tables").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline.equal().await?;

    for (_, insert, _) in TABLES {
        pipeline.run(insert).await?;
    }
    pipeline.equal().await?;
    for (table, _, change) in TABLES {
        pipeline.run(&format!("UPDATE {table} SET {change} WHERE id = 900001")).await?;
    }
    pipeline.equal().await?;
    for (table, _, _) in TABLES.iter().rev() {
        pipeline.run(&format!("DELETE FROM {table} WHERE id = 900001")).await?;
        pipeline.target_has(&format!("SELECT count(*) FROM {table} WHERE id = 900001"), "0").await?;
    }
    pipeline.equal().await?;

    for (table, _, _) in TABLES {
        let records = topic::read(&pipeline.kafka, &pipeline.topic(table))?;
        let ops: Vec<&str> = records.iter().map(Record::op).collect();
        assert_eq!(ops, ["c", "u", "d", ""], "{table}: the last is the tombstone");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_is_followed_by_a_tombstone_of_its_key_and_a_truncate_by_none() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("tombstone").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;

    pipeline.run("DELETE FROM t WHERE id = 1").await?;
    pipeline.target_has("SELECT string_agg(id::text, ',') FROM t", "2").await?;
    pipeline.run("TRUNCATE t").await?;
    pipeline.target_has("SELECT count(*) FROM t", "0").await?;
    pipeline.run("INSERT INTO t VALUES (3, 'c')").await?;
    pipeline.target_has("SELECT string_agg(id::text, ',') FROM t", "3").await?;

    let records = topic::read(&pipeline.kafka, &pipeline.topic("t"))?;
    let ops: Vec<&str> = records.iter().map(Record::op).collect();
    assert_eq!(ops, ["d", "", "t", "c"]);
    let (delete, tombstone, truncate) = (&records[0], &records[1], &records[2]);
    assert_eq!(delete.key, serde_json::json!({ "id": 1 }));
    assert_eq!((&tombstone.key, tombstone.value.is_null()), (&delete.key, true));
    assert!(truncate.key.is_null() && !truncate.value.is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_primary_key_moves_the_row() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("key_change").await?;
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text, long text);
             ALTER TABLE t ALTER long SET STORAGE EXTERNAL;
             INSERT INTO t VALUES (1, 'a', repeat('long ', 2000)), (2, 'b', NULL)",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;

    // The long value is not in the change: it must be carried from the old row to the new.
    pipeline.run("UPDATE t SET id = 10 WHERE id = 1").await?;
    pipeline.target_has("SELECT string_agg(id::text, ',' ORDER BY id) FROM t", "2,10").await?;
    pipeline.equal().await?;
    // Keys that swap places in one transaction.
    pipeline
        .run("BEGIN; UPDATE t SET id = 99 WHERE id = 10; UPDATE t SET id = 10 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 99; COMMIT")
        .await?;
    pipeline.target_has("SELECT v FROM t WHERE id = 2", "a").await?;
    pipeline.equal().await?;

    let records = topic::read(&pipeline.kafka, &pipeline.topic("t"))?;
    let first: Vec<(&str, bool)> = records
        .iter()
        .take(3)
        .map(|record| (record.op(), record.headers.iter().any(|name| name.ends_with("key"))))
        .collect();
    assert_eq!(first, [("d", true), ("", true), ("c", true)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_leaves_a_long_value_alone_leaves_it_in_the_target() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("toast").await?;
    pipeline
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, n int, words text, bytes bytea, numbers int[], document jsonb);
             ALTER TABLE t ALTER words SET STORAGE EXTERNAL, ALTER bytes SET STORAGE EXTERNAL,
                           ALTER numbers SET STORAGE EXTERNAL, ALTER document SET STORAGE EXTERNAL;
             INSERT INTO t SELECT n, 0, repeat('word ', 2000), convert_to(repeat('byte ', 2000), 'UTF8'),
                                  array_agg(i), jsonb_build_object('a', repeat('json ', 2000))
                           FROM generate_series(1, 3) n, generate_series(1, 3000) i GROUP BY n",
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;

    pipeline.run("UPDATE t SET n = n + 1; UPDATE t SET words = 'short' WHERE id = 2; UPDATE t SET n = n + 1").await?;
    pipeline.target_has("SELECT sum(n) FROM t", "6").await?;
    pipeline.equal().await?;
    let records = topic::read(&pipeline.kafka, &pipeline.topic("t"))?;
    assert_eq!(records[0].value["after"]["words"], "__debezium_unavailable_value", "the value is not in the change");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_found_under_every_replica_identity() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("identities").await?;
    for (table, identity) in [("t_default", "DEFAULT"), ("t_full", "FULL"), ("t_index", "USING INDEX t_index_identity")]
    {
        pipeline
            .run(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, other int NOT NULL, v text);
                 CREATE UNIQUE INDEX {table}_identity ON {table} (other, id);
                 ALTER TABLE {table} REPLICA IDENTITY {identity};
                 INSERT INTO {table} VALUES (0, 0, 'z'), (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')"
            ))
            .await?;
    }
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;

    for table in ["t_default", "t_full", "t_index"] {
        let sql = "UPDATE {} SET v = 'x' WHERE id = 2; UPDATE {} SET v = NULL, other = 30 WHERE id = 3; DELETE FROM {} WHERE id = 1";
        pipeline.run(&sql.replace("{}", table)).await?;
        pipeline.target_has(&format!("SELECT string_agg(id::text, ',' ORDER BY id) FROM {table}"), "0,2,3").await?;
    }
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_of_several_tables_empties_each_and_foreign_keys_do_not_stop_it() -> anyhow::Result<()> {
    let pipeline = Pipeline::with_inventory("truncates").await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;

    // Of devices alone: its topic is emptied while rows that refer to it may still be in the target.
    pipeline.run("TRUNCATE devices CASCADE").await?;
    pipeline.target_has("SELECT count(*) FROM devices", "0").await?;
    pipeline.target_has("SELECT count(*) FROM alerts", "0").await?;
    pipeline.equal().await?;
    pipeline.target_has("SELECT count(*) > 0 FROM users", "true").await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_look_like_sql_are_only_strange_names() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("strange_names").await?;
    pipeline
        .run(
            r#"CREATE TABLE keep (id int PRIMARY KEY);
               CREATE TABLE "x""; DROP TABLE keep; --" ("i'd" int PRIMARY KEY, "a ""b"" c" text, "select" int);
               INSERT INTO keep VALUES (1)"#,
        )
        .await?;
    let worker = pipeline.streamer().await?;
    let (mut sink, _) = pipeline.sink(&worker)?;
    sink.wait_complete(1, |_| {}).await?;
    pipeline
        .run(
            r#"INSERT INTO "x""; DROP TABLE keep; --" VALUES (1, 'a', 1), (2, 'b', 2);
               UPDATE "x""; DROP TABLE keep; --" SET "a ""b"" c" = 'c' WHERE "i'd" = 1;
               DELETE FROM "x""; DROP TABLE keep; --" WHERE "i'd" = 2"#,
        )
        .await?;
    pipeline.target_has(r#"SELECT string_agg("a ""b"" c", ',') FROM "x""; DROP TABLE keep; --""#, "c").await?;
    pipeline.equal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_snapshot_mode_initial_the_tables_rows_come_first() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("initial").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')").await?;
    let worker = pipeline.streamer().await?;
    let (status, answer) = pipeline.put(&worker, &[("snapshot.mode", "initial")]).await?;
    assert_eq!(status, 201, "{answer}");
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.source_has("SELECT active FROM pg_replication_slots WHERE slot_name = 'initial'", "true").await?;
    pipeline.run("INSERT INTO t VALUES (3, 'c')").await?;
    let records = super::restarts::wait_records(&pipeline, "t", 3).await?;
    let seen: Vec<(&str, &serde_json::Value)> =
        records.iter().map(|record| (record.op(), &record.value["source"]["snapshot"])).collect();
    // Where a null is not replaced by its default, `false` is one: as in Debezium's records.
    assert_eq!(seen, [("r", &"first".into()), ("r", &"last".into()), ("c", &serde_json::Value::Null)]);

    // Started again, it does not read the tables anew.
    worker.into_process().stop().await?;
    let worker = pipeline.streamer().await?;
    worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
    pipeline.run("INSERT INTO t VALUES (4, 'd')").await?;
    let records = super::restarts::wait_records(&pipeline, "t", 4).await?;
    assert_eq!(records.iter().map(Record::op).collect::<String>(), "rrcc");
    worker.into_process().stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_connector_drops_its_slot_only_when_it_is_told_to() -> anyhow::Result<()> {
    let pipeline = Pipeline::new("drop_on_stop").await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let worker = pipeline.streamer().await?;
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'drop_on_stop'";
    for (drop, left) in [("false", "1"), ("true", "0")] {
        pipeline.put(&worker, &[("slot.drop.on.stop", drop)]).await?;
        worker.rest().wait_task(&pipeline.name, "RUNNING").await?;
        let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'drop_on_stop'";
        pipeline.source_has(active, "true").await?;
        let (status, _) =
            worker.rest().put(&format!("/connectors/{}/stop", pipeline.name), &serde_json::Value::Null).await?;
        assert_eq!(status, 204);
        pipeline.source_has(slots, left).await?;
        worker.rest().put(&format!("/connectors/{}/resume", pipeline.name), &serde_json::Value::Null).await?;
    }
    worker.into_process().stop().await
}
