//! No message is lost that nobody consented to lose: not of partitions that are away, not of what came after the plan.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::kafka_hand::Joined;
use common::own_kafka::OwnKafka;
use common::servers::{block_on, kafka_admin, kafka_as, partitions};
use common::settled::settled;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::NewTopic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
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
        format!(
            "app = \"@shop\"\n[[services.events.topics]]\nname = \"@.t\"\npartitions = 3\nreplication = 1\n{config}"
        )
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

/// An app with one topic that holds nothing, among many; and the topic's name.
fn shop() -> (Workspace, String) {
    let workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    workspace.among_others(12);
    workspace.converge();
    let topic = format!("{}.e", workspace.prefix);
    (workspace, topic)
}

const SHOP: &str = "app = \"@shop\"\n[services.events]\ntopics = [{ name = \"@.e\", partitions = 2 }]\n";
const ALLOWED: [&str; 4] = ["--allow-destroy", "kafka.topic.@.e", "--allow-interrupt", "kafka.topic.@.e"];

#[test]
fn messages_that_come_after_the_plan_are_not_lost_by_it() {
    let (workspace, topic) = shop();
    workspace.spec("shop", &SHOP.replace("partitions = 2", "partitions = 2, config = { \"retention.ms\" = \"1s\" }"));
    workspace.run(&["plan", "--out", "less.json"]).exits(0).hides("loses data").says("1 to update");
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\n");
    let destroy = [&["plan", "--out", "none.json"], &ALLOWED[..]].concat();
    workspace.run(&destroy).exits(0).flat().says("holds no messages").says("1 to destroy");
    produce_to(&kafka_admin(), &topic, 1, 50);
    for plan in ["less.json", "none.json"] {
        let refused = workspace.run(&["apply", plan, "--auto-approve"]).exits(1).flat();
        refused.complains("it holds 50 messages now, and held none when this was planned").says("help: plan again");
    }
    assert_eq!(messages(&kafka_admin(), &topic, 1), 50);
    // The new plan tells what would be lost.
    workspace.run(&["plan"]).exits(0).flat().says("holds at most 50 messages");
    workspace.spec("shop", &SHOP.replace("partitions = 2", "partitions = 2, config = { \"retention.ms\" = \"1s\" }"));
    workspace.run(&["plan"]).exits(0).flat().says("retention.ms: not set -> 1s").says("loses data");
    // Whoever consented to it loses what there is.
    let apply = [&["apply", "--auto-approve"], &ALLOWED[..]].concat();
    workspace.run(&apply).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_topic_that_was_made_again_after_the_plan_is_not_the_one_that_goes() {
    let (workspace, topic) = shop();
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\n");
    let destroy = [&["plan", "--out", "none.json"], &ALLOWED[..]].concat();
    workspace.run(&destroy).exits(0).flat().says("holds no messages").says("1 to destroy");
    block_on(async {
        let admin = Admin::new(&kafka_admin()).expect("an admin");
        assert!(admin.delete_topics(&[&topic]).await.expect("an answer").iter().all(Result::is_ok));
        let new = NewTopic { name: &topic, partitions: Some(2), replication: Some(1), config: &BTreeMap::new() };
        let since = Instant::now();
        // It takes a moment until the old one is gone.
        while !admin.create_topics(&[new], false).await.expect("an answer").iter().all(Result::is_ok) {
            assert!(since.elapsed() < PATIENCE, "it cannot be made again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Until the broker hears of it, it writes to the old one.
        settled(&admin).await;
    });
    produce_to(&kafka_admin(), &topic, 0, 20);
    let refused = workspace.run(&["apply", "none.json", "--auto-approve"]).exits(1).flat();
    refused.complains("it was deleted and made again since the plan").says("help: plan again");
    assert_eq!((partitions(&topic), messages(&kafka_admin(), &topic, 0)), (2, 20));
    workspace.run(&["plan"]).exits(0).flat().says("holds at most 20 messages");
}

#[test]
fn the_history_of_a_compacted_topic_goes_with_consent_only() {
    let workspace = Workspace::new();
    let lag = |lag: &str| {
        let topic =
            "app = \"@h\"\n[[services.events.topics]]\nname = \"@.h\"\nconfig.\"cleanup.policy\" = \"compact\"\n";
        format!("{topic}config.\"min.compaction.lag.ms\" = \"{lag}\"\n")
    };
    workspace.spec("h", &lag("30d"));
    workspace.converge();
    let topic = format!("{}.h", workspace.prefix);
    let admin = kafka_admin();
    let producer: BaseProducer = admin.create().expect("a producer");
    for value in ["v0", "v1", "v2"] {
        producer.send(BaseRecord::to(&topic).key("k").payload(value)).map_err(|(error, _)| error).expect("a place");
    }
    producer.flush(PATIENCE).expect("all messages arrive");
    workspace.spec("h", &lag("0"));
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let lost = "of each key older messages than the last are lost at any time (kept for 30d at least until now)";
    plan.says("loses data").says(lost).says("it holds at most 3 messages");
    workspace.run(&["apply", "--auto-approve"]).exits(0).flat().says(&format!("--allow-destroy kafka.topic.{topic}"));
    // No consent is enough where the infraspec says so.
    workspace.spec("h", &format!("{}[lifecycle]\nprevent_destroy = true\n", lag("0")));
    let all = ["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    workspace.run(&all).exits(0).says("says prevent_destroy").says("no flag releases that");
    workspace.run(&["plan"]).exits(0).flat().says("loses data");
    workspace.spec("h", &lag("30d"));
    workspace.converge();
}

#[test]
fn consumers_of_the_newer_protocol_are_seen_too() {
    let (workspace, topic) = shop();
    let user =
        kafka_as(&workspace.published("@shop", "KAFKA_USERNAME"), &workspace.published("@shop", "KAFKA_PASSWORD"));
    produce_to(&user, &topic, 0, 5);
    let mut newer = user;
    newer.set("group.protocol", "consumer");
    let consumer = Joined::group(&newer, &format!("{}shop.live", workspace.prefix), &topic);
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\n");
    let since = Instant::now();
    // It commits what it has read a moment later.
    while !workspace
        .run(&["plan"])
        .exits(0)
        .flat()
        .stdout
        .contains(&format!("{}shop.live (read to the end", workspace.prefix))
    {
        assert!(since.elapsed() < PATIENCE, "it commits nothing");
    }
    let plan = workspace.run(&["plan", "--allow-destroy", &format!("kafka.topic.{topic}")]).exits(0).flat();
    plan.says(&format!("--allow-interrupt kafka.topic.{topic}")).says("1 consumer now");
    assert!(consumer.leave() > 0, "it reads");
}
