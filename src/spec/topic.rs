//! Topics: their configs in the form that a broker stores.

use crate::core::suggest;
use crate::spec::claims::Shared;
use crate::spec::model::Topic;
use crate::spec::names::Named;
use crate::spec::read;
use crate::spec::resolve::Resolver;
use crate::spec::units::Unit;
use std::collections::BTreeMap;

/// Kafka's configs of a topic. Others are taken too (brokers have their own), unless they look like one of these
/// mistyped: Redpanda ignores what it does not know.
const CONFIGS: [&str; 28] = [
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.storage.enable",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
];

/// Resolves one topic of an app.
pub fn resolve(resolver: &mut Resolver<'_>, written: &read::Topic) -> Topic {
    let name = resolver.written(Named::Topic, &written.name);
    let (readers, writers) = resolver.guests(&written.readers, &written.writers, Shared::Events);
    Topic {
        name,
        partitions: written.partitions.as_ref().and_then(|count| i32::try_from(count.value).ok()),
        replication: written.replication.as_ref().and_then(|count| i32::try_from(count.value).ok()),
        config: config(resolver, written),
        readers,
        writers,
    }
}

fn config(resolver: &mut Resolver<'_>, written: &read::Topic) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    for (name, value) in &written.config {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_' || c == '-';
        if name.value.is_empty() || !name.value.chars().all(legal) {
            let error = name.spot.error(format!("{:?} is no config of a topic", name.value));
            resolver.errors.push(error.hint("such as retention.ms, in lower case"));
            continue;
        }
        let known = CONFIGS.contains(&name.value.as_str());
        if let Some(near) = suggest::closest(&name.value, CONFIGS).filter(|_| !known) {
            let error = name.spot.error(format!("unknown config {:?} of a topic", name.value));
            resolver.errors.push(error.hint(format!("did you mean {near:?}?")));
            continue;
        }
        match Unit::of(&name.value).canonical(&value.value) {
            Ok(text) => {
                config.insert(name.value.clone(), text);
            }
            Err(message) => {
                let hint = "a bare number counts in the unit that the config's name ends with";
                resolver.errors.push(value.spot.error(format!("{}: {message}", name.value)).hint(hint));
            }
        }
    }
    config
}
