//! The native admin calls against a real broker: what each answers, and that none holds on to anything.

#[path = "support/kafka.rs"]
mod kafka;
mod support;

use nornplan::services::ServiceId;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{NewTopic, Offset};
use nornplan::services::kafka::client::trouble::Cause;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::{World, variable};

/// A topic of so many partitions with one replica and the broker's configs.
fn new<'a>(name: &'a str, partitions: i32, config: &'a BTreeMap<String, String>) -> NewTopic<'a> {
    NewTopic { name, partitions: Some(partitions), replication: Some(1), config }
}

fn admins_settings() -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", variable("NORNPLAN_KAFKA_BROKERS"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", variable("NORNPLAN_KAFKA_USER"))
        .set("sasl.password", variable("NORNPLAN_KAFKA_PASSWORD"));
    settings
}

async fn remove(admin: &Admin, names: &[&str]) {
    let deleted = admin.delete_topics(names).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

/// Asks until what was just made is known everywhere.
async fn until_visible(admin: &Admin, name: &str, partitions: usize) {
    let start = Instant::now();
    loop {
        let seen = admin.describe_topics(&[name]).await.unwrap();
        if seen[0].1.as_ref().is_ok_and(|topic| topic.partitions == partitions) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn topics_answer_one_by_one_in_the_order_asked_and_in_the_brokers_words() {
    let world = World::new(ServiceId::Kafka, "each");
    let admin = world.by_hand().await;
    let (plain, one, two) = (BTreeMap::new(), world.topic("one"), world.topic("two"));
    let wrong = BTreeMap::from([("no.such.config".to_owned(), "1".to_owned())]);
    let short = BTreeMap::from([("segment.bytes".to_owned(), "14".to_owned())]);
    let (named, sized) = (world.topic("named"), world.topic("sized"));

    // Only tried: nothing is made.
    let tried = admin.create_topics(&[new(&one, 1, &plain), new(&named, 1, &wrong)], true).await.unwrap();
    assert!(tried[0].is_ok(), "{tried:?}");
    assert_eq!(tried[1].as_ref().unwrap_err().message, "Unknown topic config name: no.such.config");
    let there = admin.describe_topics(&[&one]).await.unwrap();
    assert_eq!(there[0].1.as_ref().unwrap_err().cause, Cause::Absent);

    let asked = [
        new(&named, 1, &wrong),
        new(&one, 2, &plain),
        new(&sized, 1, &short),
        new(&two, 1, &plain),
        NewTopic { replication: Some(3), ..new("a b", 1, &plain) },
    ];
    let made = admin.create_topics(&asked, false).await.unwrap();
    assert_eq!(made.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false, true, false], "{made:?}");
    let words = |at: usize| made[at].as_ref().unwrap_err().message.as_str();
    assert_eq!(words(0), "Unknown topic config name: no.such.config");
    assert_eq!(words(2), "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576");
    assert!(words(4).contains("contains one or more characters other than ASCII"), "{}", words(4));
    until_visible(&admin, &one, 2).await;
    until_visible(&admin, &two, 1).await;

    let again = admin.create_topics(&[new(&one, 2, &plain)], false).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap_err().cause, Cause::Exists);
    let dashed = one.replace('.', "_");
    let collides = admin.create_topics(&[new(&dashed, 2, &plain)], false).await.unwrap();
    let said = format!("Topic '{dashed}' collides with existing topic: {one}");
    assert_eq!(collides[0].as_ref().unwrap_err().message, said);

    let nobody = world.topic("nobody");
    let grown = admin.create_partitions(&[(&two, 3), (&nobody, 2), (&one, 1)], false).await.unwrap();
    assert!(grown[0].is_ok(), "{grown:?}");
    assert_eq!(grown[1].as_ref().unwrap_err().cause, Cause::Absent);
    let fewer = format!("The topic {one} currently has 2 partition(s); 1 would not be an increase.");
    assert_eq!(grown[2].as_ref().unwrap_err().message, fewer);
    until_visible(&admin, &two, 3).await;
    let refused = admin.create_partitions(&[(&two, 0)], false).await.unwrap_err();
    assert_eq!(refused.cause, Cause::Invalid, "{refused:?}");

    let deleted = admin.delete_topics(&[&one, &nobody, &two]).await.unwrap();
    assert!(deleted[0].is_ok() && deleted[2].is_ok(), "{deleted:?}");
    assert_eq!(deleted[1].as_ref().unwrap_err().cause, Cause::Absent);
}

#[tokio::test]
async fn offsets_and_groups_tell_messages_and_who_reads_them() {
    let world = World::new(ServiceId::Kafka, "lag");
    let admin = world.by_hand().await;
    let (plain, topic, group) = (BTreeMap::new(), world.topic("read"), world.topic("readers"));
    assert!(admin.create_topics(&[new(&topic, 2, &plain)], false).await.unwrap()[0].is_ok());
    until_visible(&admin, &topic, 2).await;

    let producer: BaseProducer = admins_settings().create().unwrap();
    for partition in [0, 0, 0, 1] {
        let record =
            BaseRecord::<str, str>::to(&topic).partition(partition).payload("message").timestamp(1_700_000_000_000);
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();

    let both = [(topic.as_str(), 0), (topic.as_str(), 1)];
    let of = |read: Vec<(String, i32, Result<i64, _>)>| {
        let mut all: Vec<(i32, i64)> = read
            .into_iter()
            .map(|(name, partition, offset)| {
                assert_eq!(name, topic);
                (partition, Result::<i64, nornplan::services::kafka::client::trouble::Trouble>::unwrap(offset))
            })
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(of(admin.list_offsets(&both, Offset::Earliest).await.unwrap()), [(0, 0), (1, 0)]);
    assert_eq!(of(admin.list_offsets(&both, Offset::Latest).await.unwrap()), [(0, 3), (1, 1)]);
    let times = of(admin.list_offsets(&both, Offset::LastTimestamp).await.unwrap());
    assert_eq!(times, [(0, 1_700_000_000_000), (1, 1_700_000_000_000)]);
    assert!(admin.list_offsets(&[], Offset::Latest).await.unwrap().is_empty());
    // One partition that is not there takes nothing from the others.
    let some = admin.list_offsets(&[(&topic, 0), (&topic, 7)], Offset::Latest).await.unwrap();
    assert!(
        some.iter().any(|(_, partition, offset)| *partition == 0 && offset.as_ref().is_ok_and(|at| *at == 3)),
        "{some:?}"
    );
    assert!(some.iter().all(|(_, partition, offset)| *partition == 0 || offset.is_err()), "{some:?}");

    assert_eq!(admin.group_offsets(&group).await.unwrap(), Vec::new());
    let consumer: BaseConsumer = admins_settings()
        .set("group.id", &group)
        .set("client.id", "a-reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[&topic]).unwrap();
    let (consumer, read) = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let mut read = 0;
        while read < 4 && start.elapsed() < Duration::from_secs(30) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                consumer.commit_message(&message, CommitMode::Sync).unwrap();
                read += 1;
            }
        }
        (consumer, read)
    })
    .await
    .unwrap();
    assert_eq!(read, 4);

    assert!(admin.list_groups().await.unwrap().contains(&group));
    let nobody = world.topic("nobody");
    let described = admin.describe_groups(&[&nobody, &group]).await.unwrap();
    let active = described[1].as_ref().unwrap();
    assert_eq!((active.name.as_str(), active.state.as_str()), (group.as_str(), "Stable"));
    assert_eq!(active.members.len(), 1);
    assert_eq!(active.members[0].client_id, "a-reader");
    assert!(active.members[0].topics.contains(&topic), "{active:?}");
    assert!(described[0].as_ref().is_ok_and(|group| group.state == "Dead") || described[0].is_err(), "{described:?}");
    let mut committed = admin.group_offsets(&group).await.unwrap();
    committed.sort_unstable();
    assert_eq!(committed, [(topic.clone(), 0, 3), (topic.clone(), 1, 1)]);
    drop(tokio::task::spawn_blocking(move || drop(consumer)));
    remove(&admin, &[&topic]).await;
}
