//! What goes into admin calls and comes out of them, in safe types.

use crate::core::secret::Secret;
use crate::services::kafka::model::{Binding, Topic};
use std::collections::{BTreeMap, BTreeSet};

/// A cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub id: Option<String>,
    /// Those that are up.
    pub brokers: Vec<Broker>,
    /// What the principal may do to the cluster (describe, alter, ...), empty if it may not even describe it; `None` if
    /// the broker does not say.
    pub allowed: Option<BTreeSet<&'static str>>,
}

/// A broker, and where it tells clients to find it.
#[derive(Clone, Debug)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

/// A topic's shape.
#[derive(Clone, Copy, Debug)]
pub struct TopicFound {
    pub partitions: usize,
    pub replication: usize,
    /// Of Kafka from 2.8, where the broker was asked by name.
    pub id: Option<u128>,
}

/// An ACL and whose it is (`User:mail-agent`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedBinding {
    pub principal: String,
    pub binding: Binding,
}

impl OwnedBinding {
    /// Whether each of its words is known; one that is not must never be deleted.
    pub fn is_known(&self) -> bool {
        self.binding.resource != UNKNOWN && self.binding.operation != UNKNOWN
    }
}

/// What a resource type or an operation is called that this version does not know.
pub const UNKNOWN: &str = "unknown";

/// A SCRAM user: iterations by mechanism (`SCRAM-SHA-512`).
#[derive(Clone, Debug)]
pub struct ScramUser {
    pub name: String,
    pub credentials: BTreeMap<String, u32>,
}

/// A change to one credential of a user.
#[derive(Clone, Copy, Debug)]
pub struct Alteration<'a> {
    pub user: &'a str,
    pub mechanism: &'a str,
    pub change: Change<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    Set { iterations: u32, password: &'a Secret },
    Remove,
}

/// Configs of a topic to set (`Some`) and to reset (`None`).
#[derive(Clone, Debug)]
pub struct ConfigEdit<'a> {
    pub topic: &'a str,
    pub values: BTreeMap<&'a str, Option<&'a str>>,
}

/// A topic to create. What is `None` is left to the broker.
#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    pub name: &'a str,
    pub partitions: Option<i32>,
    pub replication: Option<i32>,
    pub config: &'a BTreeMap<String, String>,
}

impl<'a> NewTopic<'a> {
    /// As a model says it.
    pub fn of(topic: &'a Topic) -> Self {
        let Topic { name, partitions, replication, config, exact: _, inherited: _, id: _, empty: _ } = topic;
        Self { name, partitions: *partitions, replication: *replication, config }
    }

    /// What KRaft writes for it: the topic itself, its partitions and its configs.
    pub fn records(&self) -> usize {
        1 + self.partitions.and_then(|count| usize::try_from(count).ok()).unwrap_or(UNSAID) + self.config.len()
    }
}

/// A topic that leaves the number of its partitions to the broker counts as one of so many.
const UNSAID: usize = 8;

/// What to ask of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// Of the first message that is still there.
    Earliest,
    /// Of the next message to come.
    Latest,
    /// The greatest timestamp among its messages (Kafka from 3.0; not Redpanda).
    LastTimestamp,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    /// As Kafka calls it: `Stable`, `Empty`, `Dead` (there is no such group), ...
    pub state: String,
    pub members: Vec<Member>,
}

/// A running consumer.
#[derive(Clone, Debug)]
pub struct Member {
    pub client_id: String,
    /// Its address, `/` before it.
    pub host: String,
    /// The topics that it reads from now.
    pub topics: BTreeSet<String>,
}

/// What has configs.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    Topic(&'a str),
    /// A broker, by its id.
    Broker(&'a str),
}

/// A config as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` if it has none, or one that is not shown.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub sensitive: bool,
}

/// Where a config's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// An override of the topic.
    DynamicTopic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    /// One that this version does not know.
    Unknown,
}

impl ConfigSource {
    /// By the number that the protocol has for it.
    pub fn of(number: i32) -> Self {
        match number {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            _ => Self::Unknown,
        }
    }
}
