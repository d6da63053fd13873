//! Kafka for tests: apps with topics, and what their users see.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

use crate::support::{World, variable};
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::connect::Connection;
use nornplan::services::kafka::client::native::NewTopic;
use nornplan::services::postgres::model::Credential;
use nornplan::spec::model::{App, Events, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn topic(name: String) -> Topic {
    Topic {
        name,
        partitions: None,
        replication: None,
        config: BTreeMap::new(),
        exact: false,
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
    }
}

/// A topic of so many partitions with one replica and the broker's configs.
pub fn new<'a>(name: &'a str, partitions: i32, config: &'a BTreeMap<String, String>) -> NewTopic<'a> {
    NewTopic { name, partitions: Some(partitions), replication: Some(1), config }
}

/// Deletes topics.
pub async fn remove(admin: &Admin, names: &[&str]) {
    let deleted = admin.delete_topics(names).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}

/// Asks until what was just made is known everywhere.
pub async fn until_visible(admin: &Admin, name: &str, partitions: usize) {
    let start = Instant::now();
    loop {
        let seen = admin.describe_topics(&[name]).await.unwrap();
        if seen[0].1.as_ref().is_ok_and(|topic| topic.partitions == partitions) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks until no topic of these is shown any more: a broker learns of a deletion after the controller has answered.
pub async fn until_gone(admin: &Admin, names: &[&str]) {
    let start = Instant::now();
    loop {
        let seen = admin.describe_topics(names).await.unwrap();
        if seen.iter().all(|(_, topic)| topic.is_err()) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl World {
    /// The name of a topic of this test.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub fn events(&self, app: &str, topics: &[&str]) -> Events {
        Events {
            topics: topics.iter().map(|name| topic(self.topic(name))).collect(),
            user: self.name(app).to_string(),
            prefix: None,
            groups: BTreeSet::new(),
            transactional_ids: BTreeSet::new(),
            readers: BTreeSet::new(),
            writers: BTreeSet::new(),
            external: BTreeSet::new(),
            internal_topics: false,
            credential: Credential::Generate,
        }
    }

    pub fn declare(&mut self, app: &str, events: Events) {
        self.insert(App { events: Some(events), ..self.app(self.name(app)) });
    }

    /// The topics that an app sees with its published password.
    pub fn seen_by(&self, app: &str) -> Vec<String> {
        let name = self.name(app);
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", variable("NORNPLAN_KAFKA_BROKERS"))
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "SCRAM-SHA-512")
            .set("sasl.username", name.as_str())
            .set("sasl.password", self.password(&name));
        let consumer: BaseConsumer = settings.create().unwrap();
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).unwrap();
        let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
        names.sort();
        names
    }

    /// The raw admin, for what is done by hand.
    pub async fn by_hand(&self) -> Arc<Admin> {
        Connection::new(self.config.kafka.clone()).admin().await.unwrap()
    }
}
