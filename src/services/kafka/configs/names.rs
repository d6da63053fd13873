//! Names that an infraspec may not use, or that are meant for others.

use super::{TABLE, TRANSIENT};
use crate::core::suggest;

/// Names that Kafka 4.0 took away: why, and what to do.
const GONE: [(&str, &str, &str); 3] = [
    (
        "message.downconversion.enable",
        "is gone since Kafka 4.0: brokers convert messages for old consumers no more",
        "leave it out",
    ),
    ("message.format.version", "is gone since Kafka 4.0: all messages have one format by now", "leave it out"),
    (
        "message.timestamp.difference.max.ms",
        "is gone since Kafka 4.0",
        "write message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ),
];

/// What is said of a topic in other words than by a config, or by nobody.
const ELSEWHERE: [(&str, &str, &str); 5] = [
    ("internal.segment.bytes", "is for Kafka's own tests", "leave it out; segment.bytes may be 1MiB or more"),
    ("num.partitions", "is no config of a topic", "write partitions = 6 beside its name"),
    ("partitions", "is no config of a topic", "write it beside its name, outside of config"),
    ("replication", "is no config of a topic", "write it beside its name, outside of config"),
    ("replication.factor", "is no config of a topic", "write replication = 3 beside its name"),
];

/// What a broker calls the default of a topic's config, where it is named otherwise.
const OF_THE_BROKER: [(&str, &str); 25] = [
    ("log.cleaner.delete.retention.ms", "delete.retention.ms"),
    ("log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms"),
    ("log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio"),
    ("log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms"),
    ("log.cleanup.policy", "cleanup.policy"),
    ("log.flush.interval.messages", "flush.messages"),
    ("log.flush.interval.ms", "flush.ms"),
    ("log.index.interval.bytes", "index.interval.bytes"),
    ("log.index.size.max.bytes", "segment.index.bytes"),
    ("log.local.retention.bytes", "local.retention.bytes"),
    ("log.local.retention.ms", "local.retention.ms"),
    ("log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms"),
    ("log.message.timestamp.before.max.ms", "message.timestamp.before.max.ms"),
    ("log.message.timestamp.type", "message.timestamp.type"),
    ("log.preallocate", "preallocate"),
    ("log.retention.bytes", "retention.bytes"),
    ("log.retention.hours", "retention.ms"),
    ("log.retention.minutes", "retention.ms"),
    ("log.retention.ms", "retention.ms"),
    ("log.roll.hours", "segment.ms"),
    ("log.roll.jitter.ms", "segment.jitter.ms"),
    ("log.roll.ms", "segment.ms"),
    ("log.segment.bytes", "segment.bytes"),
    ("log.segment.delete.delay.ms", "file.delete.delay.ms"),
    ("message.max.bytes", "max.message.bytes"),
];

/// Why no infraspec may use a name, and what to do instead.
pub fn refused(name: &str) -> Option<(String, String)> {
    if let Some((_, why, hint)) = GONE.iter().chain(&ELSEWHERE).find(|(refused, ..)| *refused == name) {
        return Some(((*why).to_owned(), (*hint).to_owned()));
    }
    if let Some((_, topic)) = OF_THE_BROKER.iter().find(|(broker, _)| *broker == name) {
        return Some(("is what a broker calls its default".to_owned(), format!("of a topic it is {topic:?}")));
    }
    TRANSIENT.contains(&name).then(|| {
        let why = "is set and removed by kafka-reassign-partitions while partitions move";
        (why.to_owned(), "leave it out".to_owned())
    })
}

/// The known name that an unknown one is most likely a slip of.
pub fn suggestion(name: &str) -> Option<&'static str> {
    suggest::closest(name, TABLE.iter().map(|config| config.name).filter(|name| refused(name).is_none()))
}
