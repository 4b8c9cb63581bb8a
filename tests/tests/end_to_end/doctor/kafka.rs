//! Kafka, the worker's topics, the worker, the files that it is given.

use anyhow::ensure;
use stack::artifacts::Artifacts;
use stack::kafka::{self, Kafka};
use stack::worker::{Settings, Worker};
use stack::{ports, topic};

use super::super::guarded_kafka::{Door, GuardedKafka};
use super::super::pipeline::Pipeline;
use super::{Doctor, connector_file, start_says};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_worker_and_its_kafka_is_found_with_its_remedy_and_a_start_says_the_same()
-> anyhow::Result<()> {
    let pipeline = Pipeline::new("doctor_kafka").await?;
    let settings = |group: &str, change: &dyn Fn(&mut Settings)| {
        let mut settings = pipeline.worker_settings()?;
        settings.group = group.to_owned();
        change(&mut settings);
        anyhow::Ok(settings)
    };
    let closed = format!("127.0.0.1:{}", ports::free()?);
    let guarded = GuardedKafka::start().await?;
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"not-it\";";
    let locked = |settings: &mut Settings| {
        settings.bootstrap_servers = guarded.servers(Door::Password);
        settings.more.extend([
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanism", "PLAIN".to_owned()),
            ("sasl.jaas.config", login.to_owned()),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", guarded.path("ca.crt")),
        ]);
    };
    // The broker's own settings: its topics are not compacted.
    topic::create(&pipeline.kafka, "doctor_deleted-offsets", 1).await?;
    topic::create(&pipeline.kafka, "doctor_parts-configs", 3).await?;
    let wrong = [
        ("kafka-unreachable", settings("doctor_kafka", &|settings| settings.bootstrap_servers = closed.clone())?),
        ("kafka-refused", settings("doctor_kafka", &locked)?),
        ("storage-topic-policy", settings("doctor_deleted", &|_| {})?),
        (
            "worker-config",
            settings("doctor_kafka", &|settings| {
                settings.more.push(("key.converter", "com.example.NoConverter".to_owned()));
            })?,
        ),
    ];
    for (number, (id, settings)) in wrong.iter().enumerate() {
        let doctor = Doctor::streamer(settings, &[]).await?;
        let found = doctor.finding(id)?;
        ensure!(!found.message.contains("not-it"), "a password is shown: {found:?}");
        let command = Worker::streamer_command(settings)?;
        start_says(&pipeline, &format!("streamer{number}"), command, &found).await?;
    }
    let parts = Doctor::streamer(&settings("doctor_parts", &|_| {})?, &[]).await?;
    ensure!(parts.finding("storage-topic-partitions")?.remedy.contains("--partitions 1"), "{:#}", parts.said);

    let file = pipeline.directory.path().join("broken.json");
    std::fs::write(&file, "{\"name\": \"x\", \"config\": ")?;
    let settings = settings("doctor_kafka", &|_| {})?;
    let found = Doctor::streamer(&settings, std::slice::from_ref(&file)).await?.finding("connector-file")?;
    let mut command = Worker::streamer_command(&settings)?;
    command.arg("--connector").arg(&file);
    start_says(&pipeline, "broken", command, &found).await?;

    // Brokers that make no topics, and a connector that makes none either.
    let directory = tempfile::Builder::new().prefix("headwater-doctor-kafka-").tempdir()?;
    let more = "auto.create.topics.enable=false\n".to_owned();
    let broker = kafka::Settings { port: ports::free()?, more, ..kafka::Settings::default() };
    let broker = Kafka::start_with(&Artifacts::fetch()?, directory.path(), &broker).await?;
    pipeline.run("CREATE TABLE t (id int PRIMARY KEY)").await?;
    let file = connector_file(&pipeline, "topicless", &[])?;
    let mut settings = settings;
    settings.bootstrap_servers = broker.bootstrap_servers();
    let doctor = Doctor::streamer(&settings, &[file]).await?;
    let found = doctor.finding("topic-missing")?;
    ensure!(found.remedy.contains("kafka-topics.sh --create --topic "), "{found:?}");
    ensure!(doctor.said.to_string().contains("--topic doctor_kafka.public.t"), "{:#}", doctor.said);
    Ok(())
}
