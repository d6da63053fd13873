//! What infraspecs may want, at random, and how they say it: apps that read and write one another's topics.

use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The apps. The name of one begins with that of another, and each has its topics under `@.<app>.`.
pub const APPS: [&str; 5] = ["one", "one-x", "two", "three", "four"];
/// The last part of the names of topics.
const TOPICS: [&str; 4] = ["a", "b", "b-eu", "c"];
/// Topics of which no infraspec says that it has them.
pub const OUTSIDE: [&str; 2] = ["@-legacy", "@-other"];

/// Configs as people write them, and as a broker keeps them.
pub const CONFIGS: [(&str, &str, &str); 16] = [
    ("retention.ms", "7d", "604800000"),
    ("retention.ms", "12h", "43200000"),
    ("retention.ms", "-1", "-1"),
    ("retention.bytes", "1GiB", "1073741824"),
    ("retention.bytes", "5000000", "5000000"),
    ("cleanup.policy", "compact", "compact"),
    ("cleanup.policy", "delete", "delete"),
    ("max.message.bytes", "1MiB", "1048576"),
    ("max.message.bytes", "20000", "20000"),
    ("segment.bytes", "16MiB", "16777216"),
    ("segment.ms", "1h", "3600000"),
    ("compression.type", "zstd", "zstd"),
    ("min.compaction.lag.ms", "2m", "120000"),
    ("min.cleanable.dirty.ratio", "0.25", "0.25"),
    ("message.timestamp.type", "LogAppendTime", "LogAppendTime"),
    ("delete.retention.ms", "1d", "86400000"),
];

/// What one infraspec says of a topic.
#[derive(Clone, Debug)]
pub struct TopicWish {
    pub partitions: Option<u64>,
    pub replication: Option<u64>,
    /// Indexes into [`CONFIGS`], by name.
    pub config: BTreeMap<&'static str, usize>,
    /// Indexes into [`APPS`].
    pub readers: BTreeSet<usize>,
    pub writers: BTreeSet<usize>,
}

/// What one infraspec says.
#[derive(Clone, Debug)]
pub struct Wish {
    /// By the last part of the name.
    pub topics: BTreeMap<&'static str, TopicWish>,
    /// Whether all topics that begin as its own are its own.
    pub prefix: bool,
    /// Whether Kafka Streams may make topics.
    pub internal: bool,
    /// Whether no other configs than those declared may be set on its topics.
    pub exact: bool,
    pub groups: BTreeSet<&'static str>,
    pub transactional_ids: BTreeSet<&'static str>,
    pub readers: BTreeSet<usize>,
    pub writers: BTreeSet<usize>,
    /// Indexes into [`OUTSIDE`].
    pub external: BTreeSet<usize>,
}

/// What all of the infraspecs say; an app may be missing.
pub type Wishes = BTreeMap<&'static str, Wish>;

/// Any infraspecs.
pub fn wishes() -> impl Strategy<Value = Wishes> {
    let one = prop::collection::vec(option::weighted(0.85, wish()), APPS.len());
    one.prop_map(|wishes| APPS.into_iter().zip(wishes).filter_map(|(app, wish)| Some((app, wish?))).collect())
}

/// Readers, and writers: nobody may be both.
fn visitors() -> impl Strategy<Value = (BTreeSet<usize>, BTreeSet<usize>)> {
    let some = || btree_set(0..APPS.len(), 0..2);
    (some(), some()).prop_map(|(readers, writers)| (readers.difference(&writers).copied().collect(), writers))
}

fn topic() -> impl Strategy<Value = TopicWish> {
    let config = btree_map(0..CONFIGS.len(), Just(()), 0..4);
    let config = config.prop_map(|chosen| chosen.into_keys().map(|index| (CONFIGS[index].0, index)).collect());
    (option::of(1u64..4), option::of(Just(1u64)), config, visitors()).prop_map(
        |(partitions, replication, config, (readers, writers))| TopicWish {
            partitions,
            replication,
            config,
            readers,
            writers,
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let topics = btree_map(select(TOPICS.to_vec()), topic(), 0..4);
    let names = || btree_set(select(vec!["batch", "nightly", "batch-2"]), 0..2);
    let flags = (prop::bool::weighted(0.4), prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    (topics, flags, names(), names(), visitors(), btree_set(0..OUTSIDE.len(), 0..2)).prop_map(
        |(topics, (prefix, internal, exact), groups, transactional_ids, (readers, writers), external)| Wish {
            topics,
            prefix,
            internal,
            exact,
            groups,
            transactional_ids,
            readers,
            writers,
            external,
        },
    )
}

/// The name of a topic, without the test's prefix.
pub fn topic_name(app: &str, topic: &str) -> String {
    format!("@.{app}.{topic}")
}

/// The apps that are let in: those that are there, but for the app itself.
pub fn guests<'a>(
    wishes: &'a Wishes,
    app: &'a str,
    who: &'a BTreeSet<usize>,
) -> impl Iterator<Item = &'static str> + 'a {
    who.iter().map(|index| APPS[*index]).filter(move |name| *name != app && wishes.contains_key(name))
}

fn list(names: impl Iterator<Item = String>) -> String {
    format!("[{}]", names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "))
}

/// The infraspec of an app.
pub fn written(wishes: &Wishes, app: &str, wish: &Wish) -> String {
    let apps = |who: &BTreeSet<usize>| list(guests(wishes, app, who).map(|name| format!("@{name}")));
    let own = |names: &BTreeSet<&str>| list(names.iter().map(|name| format!("@{app}-{name}")));
    let mut text = format!("app = \"@{app}\"\n[services.events]\n");
    if wish.prefix {
        writeln!(text, "prefix = \"@.{app}.\"").expect("text");
    }
    if wish.internal {
        writeln!(text, "internal_topics = true").expect("text");
    }
    if wish.exact {
        writeln!(text, "config_mode = \"exact\"").expect("text");
    }
    writeln!(text, "groups = {}", own(&wish.groups)).expect("text");
    writeln!(text, "transactional_ids = {}", own(&wish.transactional_ids)).expect("text");
    writeln!(text, "readers = {}\nwriters = {}", apps(&wish.readers), apps(&wish.writers)).expect("text");
    writeln!(text, "external = {}", list(wish.external.iter().map(|index| OUTSIDE[*index].to_owned()))).expect("text");
    for (name, topic) in &wish.topics {
        writeln!(text, "[[services.events.topics]]\nname = \"{}\"", topic_name(app, name)).expect("text");
        for (key, number) in [("partitions", topic.partitions), ("replication", topic.replication)] {
            if let Some(number) = number {
                writeln!(text, "{key} = {number}").expect("text");
            }
        }
        writeln!(text, "readers = {}\nwriters = {}", apps(&topic.readers), apps(&topic.writers)).expect("text");
        for (key, index) in &topic.config {
            writeln!(text, "config.\"{key}\" = \"{}\"", CONFIGS[*index].1).expect("text");
        }
    }
    text
}
