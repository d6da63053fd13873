//! Kafka as somebody changes and uses it who does not use nornplan.

use super::servers::{block_on, kafka_admin};
use super::settled::settled;
use nornplan::core::secret::Secret;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{Alteration, Change, ConfigEdit, NewTopic, OwnedBinding};
use nornplan::services::kafka::client::trouble::Cause;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The admin of a cluster.
pub fn admin_of(config: &ClientConfig) -> Admin {
    Admin::new(config).expect("an admin")
}

/// Iterations of each credential of a user, by mechanism.
pub fn credentials(config: &ClientConfig, user: &str) -> BTreeMap<String, u32> {
    let found = block_on(admin_of(config).describe_users(&[user])).expect("users");
    found.into_iter().next().map(|user| user.credentials).unwrap_or_default()
}

/// Sets a credential by hand, and waits until it signs in.
pub fn set_credential(config: &ClientConfig, user: &str, mechanism: &str, iterations: u32, password: &str) {
    let secret = Secret::new(password.to_owned());
    let set = Alteration { user, mechanism, change: Change::Set { iterations, password: &secret } };
    let answer = block_on(admin_of(config).alter_users(&[set])).expect("an answer");
    assert!(answer.values().all(Result::is_ok), "{answer:?}");
    let mut own = config.clone();
    own.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", password);
    let since = Instant::now();
    while !signs_in(&own) {
        assert!(since.elapsed() < Duration::from_secs(10), "{user} does not sign in");
    }
}

/// Whether somebody is let in.
pub fn signs_in(config: &ClientConfig) -> bool {
    let since = Instant::now();
    loop {
        let admin = admin_of(config);
        let asked = async { tokio::time::timeout(Duration::from_secs(5), admin.describe_cluster()).await };
        match block_on(asked) {
            Ok(Ok(_)) => return true,
            Ok(Err(trouble)) if trouble.cause == Cause::Authentication => return false,
            unclear => assert!(since.elapsed() < Duration::from_secs(60), "neither let in nor refused: {unclear:?}"),
        }
    }
}

pub fn create_acls(acls: &[OwnedBinding]) {
    let admin = admin_of(&kafka_admin());
    let made = block_on(admin.create_acls(acls)).expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    block_on(settled(&admin));
}

pub fn delete_acls(acls: &[OwnedBinding]) {
    let admin = admin_of(&kafka_admin());
    let gone = block_on(admin.delete_acls(acls)).expect("an answer");
    assert!(gone.iter().all(Result::is_ok), "{gone:?}");
    block_on(settled(&admin));
}

/// Who may do something to a topic by its name.
pub fn named_by(topic: &str) -> Vec<String> {
    let all = block_on(admin_of(&kafka_admin()).describe_acls(None)).expect("ACLs");
    let of = all.into_iter().filter(|acl| acl.binding.resource == "topic" && acl.binding.name == topic);
    let mut principals: Vec<String> = of.map(|acl| acl.principal).collect();
    principals.sort();
    principals.dedup();
    principals
}

/// Sends so many messages of so many bytes to a topic, and demands that each arrives.
pub fn produce(config: &ClientConfig, topic: &str, messages: usize, bytes: usize) {
    let producer: BaseProducer = config.create().expect("a producer");
    let payload = "x".repeat(bytes);
    for number in 0..messages {
        let key = number.to_string();
        producer.send(BaseRecord::to(topic).key(&key).payload(&payload)).map_err(|(error, _)| error).expect("a place");
    }
    producer.flush(Duration::from_secs(20)).expect("all messages arrive");
    assert_eq!(producer.in_flight_count(), 0);
}

/// A consumer that has joined a group and has its partitions; it goes on polling on a thread until it is dropped.
pub struct Joined {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Joined {
    pub fn group(config: &ClientConfig, group: &str, topic: &str) -> Self {
        let mut config = config.clone();
        config.set("group.id", group).set("auto.offset.reset", "earliest").set("auto.commit.interval.ms", "200");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        let since = Instant::now();
        let mut seen = 0;
        while consumer.assignment().expect("an assignment").count() == 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "{group} is given no partition");
            seen += usize::from(matches!(consumer.poll(Duration::from_millis(100)), Some(Ok(_))));
        }
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                seen += usize::from(matches!(consumer.poll(Duration::from_millis(50)), Some(Ok(_))));
            }
            // Leaving tells the broker at once.
            consumer.unsubscribe();
            seen
        });
        Self { stop, thread: Some(thread) }
    }

    /// Leaves; how many messages it got.
    pub fn leave(mut self) -> usize {
        self.end()
    }

    fn end(&mut self) -> usize {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().map_or(0, |thread| thread.join().unwrap_or_default())
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads so many messages of a topic with no group, or says why it cannot.
pub fn reads(config: &ClientConfig, topic: &str, partition: i32, messages: usize) -> Result<(), String> {
    let mut config = config.clone();
    config.set("group.id", "none").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    // Whoever may read a topic may describe it. A consumer would wait half a minute for it to appear.
    let described = consumer.fetch_metadata(Some(topic), Duration::from_secs(15)).map_err(|error| error.to_string())?;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    if described.topics().iter().any(|topic| topic.error() == Some(refused)) {
        return Err(format!("not authorized to {topic}"));
    }
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).expect("a partition");
    consumer.assign(&list).expect("an assignment");
    let since = Instant::now();
    let mut seen = 0;
    while seen < messages {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(_)) => seen += 1,
            // The group is nobody's: only its coordinator is refused.
            Some(Err(error)) if !error.to_string().contains("Group") => return Err(error.to_string()),
            Some(Err(_)) | None => {}
        }
        if since.elapsed() > Duration::from_secs(15) {
            return Err(format!("{seen} of {messages}"));
        }
    }
    Ok(())
}

/// Gives a topic another value of a config, and demands that it is seen.
pub fn set_config(topic: &str, name: &str, value: &str) {
    let admin = admin_of(&kafka_admin());
    let edit = ConfigEdit { topic, values: BTreeMap::from([(name, Some(value))]) };
    let edited = block_on(admin.alter_topic_configs(&[edit])).expect("an answer");
    assert!(edited.values().all(Result::is_ok), "{edited:?}");
    while super::servers::topic_config(topic, name).as_deref() != Some(value) {}
}

/// Makes a topic of one partition.
pub fn create_topic(topic: &str) {
    let (admin, config) = (admin_of(&kafka_admin()), BTreeMap::new());
    let new = NewTopic { name: topic, partitions: Some(1), replication: Some(1), config: &config };
    assert!(block_on(admin.create_topics(&[new], false)).expect("an answer").iter().all(Result::is_ok));
    while super::servers::partitions(topic) == 0 {}
}

/// Deletes a topic.
pub fn delete_topic(topic: &str) {
    let admin = admin_of(&kafka_admin());
    assert!(block_on(admin.delete_topics(&[topic])).expect("an answer").iter().all(Result::is_ok));
    while super::servers::partitions(topic) > 0 {}
}
