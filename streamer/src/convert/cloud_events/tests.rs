//! One change as events.
use std::collections::BTreeMap;

use super::*;
use crate::convert::testing::connect;
use crate::convert::{Converter, ConverterConfig};

const ENVELOPE: &str = r#"{"schema":{"type":"struct","fields":[
    {"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":true,"name":"s.t.Value","field":"before"},
    {"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":true,"name":"s.t.Value","field":"after"},
    {"type":"struct","fields":[
        {"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},
        {"type":"int64","optional":false,"field":"ts_ms"},
        {"type":"string","optional":true,"default":"false","field":"snapshot"},
        {"type":"string","optional":false,"field":"db"},{"type":"string","optional":true,"field":"sequence"},
        {"type":"int64","optional":true,"field":"txId"},{"type":"int64","optional":true,"field":"lsn"}],
     "optional":false,"name":"io.debezium.connector.postgresql.Source","field":"source"},
    {"type":"string","optional":false,"field":"op"}],"optional":false,"name":"s.t.Envelope","version":2},
    "payload":{"before":null,"after":{"id":7},"source":{"connector":"postgresql","name":"s","ts_ms":1709211661005,
    "snapshot":null,"db":"d","sequence":"[\"1\",\"2\"]","txId":5,"lsn":2},"op":"c"}}"#;

async fn event(settings: &[(&str, &str)], headers: &[RecordHeader]) -> String {
    let mut all: BTreeMap<String, String> =
        settings.iter().map(|(name, value)| (format!("value.converter.{name}"), (*value).to_owned())).collect();
    all.insert("value.converter".to_owned(), "io.debezium.converters.CloudEventsConverter".to_owned());
    let converter = Converter::new(&ConverterConfig::parse("value.converter", &all).unwrap());
    let mut out = Vec::new();
    assert!(converter.convert("t", &connect(ENVELOPE), headers, &mut out).await.unwrap());
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn an_event_has_the_sources_fields_as_attributes_and_the_row_as_data() {
    let expected = concat!(
        r#"{"id":"name:s;lsn:2;txId:5;sequence:[\"1\",\"2\"]","source":"/debezium/postgresql/s","specversion":"1.0","#,
        r#""type":"io.debezium.connector.postgresql.DataChangeEvent","time":"2024-02-29T13:01:01.005Z","#,
        r#""datacontenttype":"application/json","iodebeziumop":"c","iodebeziumconnector":"postgresql","#,
        r#""iodebeziumname":"s","iodebeziumtsms":"1709211661005","iodebeziumsnapshot":"false","iodebeziumdb":"d","#,
        r#""iodebeziumsequence":"[\"1\",\"2\"]","iodebeziumtxId":"5","iodebeziumlsn":"2","iodebeziumtxid":null,"#,
        r#""iodebeziumtxtotalorder":null,"iodebeziumtxdatacollectionorder":null,"data":{"before":null,"after":{"id":7}}}"#
    );
    assert_eq!(event(&[("json.schemas.enable", "false")], &[]).await, expected);
}

#[tokio::test]
async fn the_datas_schema_goes_with_the_data_alone_and_id_and_type_may_come_from_headers() {
    let text = |key: &str, value: &str| RecordHeader {
        key: key.to_owned(),
        value: SchemaAndValue::new(Schema::new(SchemaKind::String), Value::String(value.to_owned())),
    };
    let settings = [
        ("extension.attributes.enable", "false"),
        ("metadata.source", "value,id:header,type:header,dataSchemaName:header"),
        ("schema.data.name.source.header.enable", "true"),
    ];
    let headers = [text("id", "i"), text("type", "y"), text("dataSchemaName", "my.Data")];
    let event = event(&settings, &headers).await;
    assert!(
        event.starts_with(r#"{"id":"i","source":"/debezium/postgresql/s","specversion":"1.0","type":"y","#),
        "{event}"
    );
    let data = r#""data":{"schema":{"type":"struct","fields":[{"type":"struct","fields":["#;
    assert!(event.contains(data) && event.contains(r#""name":"my.Data"}"#), "{event}");
    assert!(event.ends_with(r#","payload":{"before":null,"after":{"id":7}}}}"#), "{event}");
}

#[tokio::test]
async fn what_is_no_change_becomes_nothing() {
    let config = ConverterConfig::parse(
        "value.converter",
        &BTreeMap::from([("value.converter".to_owned(), "io.debezium.converters.CloudEventsConverter".to_owned())]),
    );
    let heartbeat = SchemaAndValue::new(
        Schema::structure([("ts_ms", Schema::new(SchemaKind::Int64))])
            .named("io.debezium.connector.common.Heartbeat", 1),
        Value::Struct(vec![Value::Int64(1)]),
    );
    let converted = Converter::new(&config.unwrap()).convert("t", &heartbeat, &[], &mut Vec::new()).await;
    assert!(!converted.unwrap());
}
