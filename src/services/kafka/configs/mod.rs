//! What is known of the configs of topics, of Apache Kafka and of Redpanda: names, types, ranges, values. Pure.

pub mod broker;
mod defaults;
mod names;
mod table;
mod told;
mod value;

pub use defaults::of_topics;
pub use names::{refused, suggestion};
pub use table::TABLE;
pub use told::told;
pub use value::{as_stored, check};

/// One config of a topic.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub name: &'static str,
    pub kind: Kind,
    /// Of Kafka 4.1, as it prints it; of Redpanda 26.2 for what Kafka does not have. Empty where there is none.
    pub default: &'static str,
    pub kafka: OnKafka,
    pub redpanda: OnRedpanda,
}

/// What a value may be. Ranges hold at both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// 32 bit.
    Int(i64, i64),
    /// 64 bit.
    Long(i64, i64),
    /// 32 bit: -1 stands for the codec's own level beside a range.
    IntOrDefault(i64, i64),
    /// From 0 to 1.
    Ratio,
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, with commas between; in what order means nothing.
    Words(&'static [&'static str]),
    /// Whatever the broker takes.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnKafka {
    Has,
    /// From this version on.
    Since(&'static str),
    HasNot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRedpanda {
    Has,
    /// From this version on; ignored before.
    Since(&'static str),
    /// Says at creation what the topic is; not shown and not changed later.
    AtCreation,
    /// Takes it without a word and does nothing (`allowlist_topic_noop_confs`).
    Ignores,
    /// Ignores it at creation, and refuses it later.
    HasNot,
}

/// Prefixes of names that only their vendor knows.
const VENDORS: [&str; 2] = ["redpanda.", "confluent."];

pub const RETENTION_MS: &str = "retention.ms";
pub const RETENTION_BYTES: &str = "retention.bytes";
pub const CLEANUP_POLICY: &str = "cleanup.policy";
pub const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
pub const SEGMENT_MS: &str = "segment.ms";
pub const MIN_COMPACTION_LAG: &str = "min.compaction.lag.ms";
pub const MAX_COMPACTION_LAG: &str = "max.compaction.lag.ms";
pub const DELETE_RETENTION: &str = "delete.retention.ms";
pub const REMOTE_STORAGE: &str = "remote.storage.enable";
pub const REMOTE_DELETE: &str = "remote.log.delete.on.disable";

/// Where a lower or another value loses messages or refuses producers, so that what is there must be known.
pub const WEIGHTY: [&str; 7] = [
    RETENTION_MS,
    RETENTION_BYTES,
    CLEANUP_POLICY,
    MIN_COMPACTION_LAG,
    MAX_MESSAGE_BYTES,
    REMOTE_STORAGE,
    REMOTE_DELETE,
];

/// Where another value may lose messages. `remote.log.delete.on.disable` counts only beside another of them.
pub const KEEPING: [&str; 5] = [CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES, MIN_COMPACTION_LAG, REMOTE_STORAGE];

/// Set and removed by `kafka-reassign-partitions` while partitions move: never declared, never reset.
pub const TRANSIENT: [&str; 2] = ["follower.replication.throttled.replicas", "leader.replication.throttled.replicas"];

/// What is known of a config.
pub fn find(name: &str) -> Option<&'static Config> {
    TABLE.iter().find(|config| config.name == name)
}

/// Whether a name is a vendor's, which may have more of them than we know.
pub fn is_vendors(name: &str) -> bool {
    VENDORS.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether messages are deleted when they are old or many, by a value of `cleanup.policy`.
pub fn deletes(policy: &str) -> bool {
    policy.split(',').any(|word| word.trim() == "delete")
}

/// Whether only the last message of each key is kept, by a value of `cleanup.policy`.
pub fn compacts(policy: &str) -> bool {
    policy.split(',').any(|word| word.trim() == "compact")
}
