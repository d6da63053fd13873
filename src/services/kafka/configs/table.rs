//! The table. Kafka: `java org.apache.kafka.storage.internals.log.LogConfig` of 4.1.0 prints it. Redpanda:
//! `redpanda-properties-v26.2.1.json` of its documentation, and `src/v/kafka/server/handlers/topics/types.h`.

use super::Kind::{Flag, Int, IntOrDefault, Long, Ratio, Text, Word, Words};
use super::{Config, Kind, OnKafka, OnRedpanda};

const MOST_INT: i64 = i32::MAX as i64;
const MOST: i64 = i64::MAX;
/// Longs that are "never" by default.
const NEVER: &str = "9223372036854775807";

/// Of Kafka, in every version that is in use.
const fn kafka(name: &'static str, kind: Kind, default: &'static str, redpanda: OnRedpanda) -> Config {
    Config { name, kind, default, kafka: OnKafka::Has, redpanda }
}

const fn newer(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    since: &'static str,
    redpanda: OnRedpanda,
) -> Config {
    Config { name, kind, default, kafka: OnKafka::Since(since), redpanda }
}

/// Of Redpanda alone.
const fn redpanda(name: &'static str, kind: Kind, default: &'static str) -> Config {
    Config { name, kind, default, kafka: OnKafka::HasNot, redpanda: OnRedpanda::Has }
}

const fn redpanda_since(name: &'static str, kind: Kind, default: &'static str, since: &'static str) -> Config {
    Config { name, kind, default, kafka: OnKafka::HasNot, redpanda: OnRedpanda::Since(since) }
}

const fn at_creation(name: &'static str, kind: Kind) -> Config {
    Config { name, kind, default: "", kafka: OnKafka::HasNot, redpanda: OnRedpanda::AtCreation }
}

const CODECS: [&str; 6] = ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const STRATEGIES: [&str; 3] = ["TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"];

use OnRedpanda::{Has, HasNot, Ignores, Since};

/// All configs that an infraspec may name, by name.
pub const TABLE: [Config; 65] = [
    kafka("cleanup.policy", Words(&["compact", "delete"]), "delete", Has),
    at_creation("compaction.strategy", Text),
    newer("compression.gzip.level", IntOrDefault(1, 9), "-1", "3.8", HasNot),
    newer("compression.lz4.level", Int(1, 17), "9", "3.8", HasNot),
    kafka("compression.type", Word(&CODECS), "producer", Has),
    newer("compression.zstd.level", Int(-131_072, 22), "3", "3.8", HasNot),
    redpanda("confluent.key.schema.validation", Flag, "false"),
    redpanda("confluent.key.subject.name.strategy", Text, "TopicNameStrategy"),
    redpanda("confluent.value.schema.validation", Flag, "false"),
    redpanda("confluent.value.subject.name.strategy", Text, "TopicNameStrategy"),
    kafka("delete.retention.ms", Long(0, MOST), "86400000", Has),
    kafka("file.delete.delay.ms", Long(0, MOST), "60000", Ignores),
    redpanda("flush.bytes", Long(1, MOST), "262144"),
    kafka("flush.messages", Long(1, MOST), NEVER, Ignores),
    kafka("flush.ms", Long(0, MOST), NEVER, Has),
    kafka("follower.replication.throttled.replicas", Text, "", Ignores),
    kafka("index.interval.bytes", Int(0, MOST_INT), "4096", Ignores),
    redpanda("initial.retention.local.target.bytes", Long(-1, MOST), ""),
    redpanda("initial.retention.local.target.ms", Long(-1, MOST), ""),
    kafka("leader.replication.throttled.replicas", Text, "", Ignores),
    newer("local.retention.bytes", Long(-2, MOST), "-2", "3.6", HasNot),
    newer("local.retention.ms", Long(-2, MOST), "-2", "3.6", HasNot),
    newer("max.compaction.lag.ms", Long(1, MOST), NEVER, "2.3", Since("25.2")),
    kafka("max.message.bytes", Int(0, MOST_INT), "1048588", Has),
    newer("message.timestamp.after.max.ms", Long(0, MOST), "3600000", "3.6", Since("25.3")),
    newer("message.timestamp.before.max.ms", Long(0, MOST), NEVER, "3.6", Since("25.3")),
    kafka("message.timestamp.type", Word(&["CreateTime", "LogAppendTime"]), "CreateTime", Has),
    kafka("min.cleanable.dirty.ratio", Ratio, "0.5", Since("25.1")),
    kafka("min.compaction.lag.ms", Long(0, MOST), "0", Since("25.2")),
    kafka("min.insync.replicas", Int(1, MOST_INT), "1", Ignores),
    kafka("preallocate", Flag, "false", Ignores),
    redpanda_since("redpanda.cloud_topic.enabled", Flag, "", "26.1"),
    redpanda("redpanda.iceberg.delete", Flag, "true"),
    redpanda("redpanda.iceberg.invalid.record.action", Word(&["drop", "dlq_table"]), "dlq_table"),
    redpanda("redpanda.iceberg.mode", Text, ""),
    redpanda("redpanda.iceberg.partition.spec", Text, "(hour(redpanda.timestamp))"),
    redpanda("redpanda.iceberg.target.lag.ms", Long(1, MOST), ""),
    redpanda("redpanda.key.schema.id.validation", Flag, "false"),
    redpanda("redpanda.key.subject.name.strategy", Word(&STRATEGIES), "TopicNameStrategy"),
    redpanda("redpanda.leaders.preference", Text, "none"),
    redpanda("redpanda.remote.allowgaps", Flag, "false"),
    redpanda("redpanda.remote.delete", Flag, ""),
    redpanda("redpanda.remote.read", Flag, "false"),
    at_creation("redpanda.remote.readreplica", Text),
    at_creation("redpanda.remote.recovery", Flag),
    redpanda("redpanda.remote.write", Flag, "false"),
    redpanda_since("redpanda.schema.registry.context", Text, ".", "26.2"),
    redpanda_since(
        "redpanda.storage.mode",
        Word(&["local", "tiered", "cloud", "tiered_cloud", "unset"]),
        "unset",
        "26.1",
    ),
    redpanda_since("redpanda.storage.mode.impl", Text, "", "26.2"),
    redpanda("redpanda.value.schema.id.validation", Flag, "false"),
    redpanda("redpanda.value.subject.name.strategy", Word(&STRATEGIES), "TopicNameStrategy"),
    at_creation("redpanda.virtual.cluster.id", Text),
    newer("remote.log.copy.disable", Flag, "false", "3.9", HasNot),
    newer("remote.log.delete.on.disable", Flag, "false", "3.9", HasNot),
    newer("remote.storage.enable", Flag, "false", "3.6", HasNot),
    kafka("retention.bytes", Long(-1, MOST), "-1", Has),
    redpanda("retention.local.target.bytes", Long(-1, MOST), ""),
    redpanda("retention.local.target.ms", Long(-1, MOST), "86400000"),
    kafka("retention.ms", Long(-1, MOST), "604800000", Has),
    // Before Kafka 4.0 any segment of 14 bytes or more would do (KIP-1030).
    kafka("segment.bytes", Int(1_048_576, MOST_INT), "1073741824", Has),
    kafka("segment.index.bytes", Int(4, MOST_INT), "10485760", Ignores),
    kafka("segment.jitter.ms", Long(0, MOST), "0", Ignores),
    kafka("segment.ms", Long(1, MOST), "604800000", Has),
    kafka("unclean.leader.election.enable", Flag, "false", Ignores),
    redpanda("write.caching", Word(&["true", "false"]), "false"),
];
