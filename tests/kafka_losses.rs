//! No message is lost that nobody consented to lose: not of partitions that are away.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::Workspace;
use common::own_kafka::OwnKafka;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends messages to one partition, and demands that each arrives.
fn produce_to(config: &ClientConfig, topic: &str, partition: i32, messages: usize) {
    let producer: BaseProducer = config.create().expect("a producer");
    for _ in 0..messages {
        let record = BaseRecord::<(), str>::to(topic).partition(partition).payload("x");
        producer.send(record).map_err(|(error, _)| error).expect("a place");
    }
    producer.flush(PATIENCE).expect("all messages arrive");
}

/// Messages in a partition by its offsets, as soon as it answers.
fn messages(config: &ClientConfig, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let since = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)) {
            Ok((first, next)) => return next - first,
            Err(error) => assert!(since.elapsed() < PATIENCE, "{topic} {partition}: {error}"),
        }
    }
}

/// The partition that a broker (from 1) leads.
fn led_by(config: &ClientConfig, topic: &str, broker: i32) -> i32 {
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let partitions = metadata.topics()[0].partitions();
    partitions.iter().find(|one| one.leader() == broker).expect("a partition of that broker").id()
}

#[test]
fn a_partition_that_is_away_is_not_an_empty_one() {
    let kafka = OwnKafka::of(3);
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    let shop = |config: &str| {
        format!("app = \"@shop\"\n[[services.events.topics]]\nname = \"@.t\"\npartitions = 3\nreplication = 1\n{config}")
    };
    workspace.spec("shop", &shop(""));
    workspace.converge();
    let (admin, topic) = (kafka.client(), format!("{}.t", workspace.prefix));
    let partition = led_by(&admin, &topic, 3);
    produce_to(&admin, &topic, partition, 30);
    kafka.kill(2);

    workspace.spec("shop", &shop("config.\"retention.ms\" = \"1s\"\n"));
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says("loses data").says("not known: what it holds (").hides("no messages");
    workspace.run(&["apply", "--auto-approve"]).exits(0).flat().says(&format!("--allow-destroy kafka.topic.{topic}"));
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\n");
    workspace.run(&["plan"]).exits(0).flat().says("not known: what it holds (").hides("no messages");
    kafka.start_again(2);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(messages(&admin, &topic, partition), 30);
}
