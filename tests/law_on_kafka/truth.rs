//! What must be so, worked out from the infraspecs and from what was there before, by rules that are written out here.

use super::wish::{CONFIGS, OUTSIDE, Wish, Wishes, guests, topic_name};
use common::kafka_client::{Everything, Topic};
use std::collections::{BTreeMap, BTreeSet};

/// What whoever reads a topic may do with it, who writes, and whose it is.
const READS: [&str; 2] = ["describe", "read"];
const WRITES: [&str; 2] = ["describe", "write"];
const OWNS: [&str; 4] = ["describe", "describe_configs", "read", "write"];
/// What Kafka Streams does with topics of its own making.
const MAKES: [&str; 6] = ["create", "delete", "describe", "describe_configs", "read", "write"];

/// A broker's own choice where nothing is said.
const PARTITIONS: u64 = 1;

/// Everything that must be there after an apply: what is wanted now, on what was there; `last` is what was applied before
/// it. What nobody declares stays, unless an infraspec
/// says that it shall not.
pub fn expected(wishes: &Wishes, last: &Wishes, before: &Everything, others: &Everything, prefix: &str) -> Everything {
    let fill = |text: &str| text.replace('@', prefix);
    let mut all = others.clone();
    for (app, wish) in wishes {
        for (name, topic) in &wish.topics {
            let full = fill(&topic_name(app, name));
            let there = before.topics.get(&full);
            let applied = last.get(app).and_then(|wish| wish.topics.get(name));
            let mut config: BTreeMap<String, String> =
                topic.config.iter().map(|(key, index)| ((*key).to_owned(), CONFIGS[*index].2.to_owned())).collect();
            for (key, value) in there.into_iter().flat_map(|topic| &topic.config) {
                let was_declared = applied.is_some_and(|topic| topic.config.contains_key(key.as_str()));
                if !wish.exact && !was_declared && !config.contains_key(key) {
                    config.insert(key.clone(), value.clone());
                }
            }
            let had = there.map_or(PARTITIONS, |topic| topic.partitions);
            let partitions = topic.partitions.unwrap_or(had);
            all.topics.insert(full, Topic { partitions, replication: BTreeSet::from([1]), config });
        }
        let user = fill(&format!("@{app}"));
        all.users.insert(user, BTreeMap::from([("SCRAM-SHA-512".to_owned(), 4096)]));
    }
    all.acls.extend(rights(wishes).into_iter().map(|acl| fill(&acl)));
    all
}

/// All ACLs of all apps, without the test's prefix.
fn rights(wishes: &Wishes) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut allow = |user: &str, operations: &[&str], resource: &str, pattern: &str, name: &str| {
        all.extend(operations.iter().map(|one| format!("allow {one} {resource} {pattern} {name} User:@{user} *")));
    };
    for (app, wish) in wishes {
        for (kind, operations, more) in
            [("group", READS, &wish.groups), ("transactional_id", WRITES, &wish.transactional_ids)]
        {
            allow(app, &operations, kind, "literal", &format!("@{app}"));
            allow(app, &operations, kind, "prefixed", &format!("@{app}."));
            more.iter().for_each(|name| allow(app, &operations, kind, "literal", &format!("@{app}-{name}")));
        }
        if wish.internal {
            allow(app, &MAKES, "topic", "prefixed", &format!("@{app}."));
        }
        for index in &wish.external {
            allow(app, &READS, "topic", "literal", OUTSIDE[*index]);
        }
        let let_in = |who: &BTreeSet<usize>| guests(wishes, app, who).collect::<Vec<_>>();
        let mut of_all: Vec<(&str, &[&str])> = vec![(app, &OWNS)];
        of_all.extend(let_in(&wish.readers).into_iter().map(|guest| (guest, &READS[..])));
        of_all.extend(let_in(&wish.writers).into_iter().map(|guest| (guest, &WRITES[..])));
        for (who, operations) in of_all {
            if wish.prefix {
                allow(who, operations, "topic", "prefixed", &format!("@.{app}."));
            } else {
                wish.topics.keys().for_each(|name| allow(who, operations, "topic", "literal", &topic_name(app, name)));
            }
        }
        for (name, topic) in &wish.topics {
            for guest in let_in(&topic.readers) {
                allow(guest, &READS, "topic", "literal", &topic_name(app, name));
            }
            for guest in let_in(&topic.writers) {
                allow(guest, &WRITES, "topic", "literal", &topic_name(app, name));
            }
        }
    }
    all
}

/// Partitions are never taken away: whoever wants fewer than there are has to say how many there are.
pub fn no_fewer(app: &str, wish: &mut Wish, there: &Everything, prefix: &str) {
    for (name, topic) in &mut wish.topics {
        let there = there.topics.get(&topic_name(app, name).replace('@', prefix)).map(|topic| topic.partitions);
        topic.partitions = topic.partitions.map(|wanted| wanted.max(there.unwrap_or(0)));
    }
}
