//! What every user may do: its app's topics, groups and transactional ids, and what others let it read or write.

use super::apps;
use crate::core::name::AppName;
use crate::services::kafka::model::Binding;
use crate::spec::model::{Events, Specs};
use std::collections::{BTreeMap, BTreeSet};

const READ: [&str; 2] = ["read", "describe"];
const WRITE: [&str; 2] = ["write", "describe"];
/// Of an app's own topics. Clients that look at configs (Connect, Debezium, all with a user interface) fail without
/// describe_configs; alter and delete stay with nornplan.
const OWN: [&str; 4] = ["read", "write", "describe", "describe_configs"];
/// What Kafka Streams does with its repartition and changelog topics; it deletes records of the former.
const INTERNAL: [&str; 6] = ["create", "delete", "read", "write", "describe", "describe_configs"];

type Bindings<'a> = BTreeMap<&'a str, BTreeSet<Binding>>;

/// All ACLs by user. Nobody may delete a group: reading resets its offsets too, and idle ones expire.
pub fn all(specs: &Specs) -> Bindings<'_> {
    let mut all = Bindings::new();
    for (app, events) in apps(specs) {
        let own = all.entry(events.user.as_str()).or_default();
        topics_of(events, own, &OWN);
        let name = app.name.as_str();
        grant(own, "group", name, false, &READ);
        grant(own, "group", &format!("{name}."), true, &READ);
        for group in &events.groups {
            grant(own, "group", group, false, &READ);
        }
        grant(own, "transactional_id", name, false, &WRITE);
        grant(own, "transactional_id", &format!("{name}."), true, &WRITE);
        for id in &events.transactional_ids {
            grant(own, "transactional_id", id, false, &WRITE);
        }
        if let Some(prefix) = events.internal_prefix(&app.name) {
            grant(own, "topic", &prefix, true, &INTERNAL);
        }
        for topic in &events.external {
            grant(own, "topic", topic, false, &READ);
        }
    }
    for (_, events) in apps(specs) {
        share(specs, &events.readers, &mut all, |granted| topics_of(events, granted, &READ));
        share(specs, &events.writers, &mut all, |granted| topics_of(events, granted, &WRITE));
        for topic in &events.topics {
            share(specs, &topic.readers, &mut all, |granted| grant(granted, "topic", &topic.name, false, &READ));
            share(specs, &topic.writers, &mut all, |granted| grant(granted, "topic", &topic.name, false, &WRITE));
        }
    }
    all
}

/// Grants something to the users of other apps.
fn share<'a>(specs: &'a Specs, to: &BTreeSet<AppName>, all: &mut Bindings<'a>, give: impl Fn(&mut BTreeSet<Binding>)) {
    for other in to.iter().filter_map(|name| specs.apps.get(name)?.events.as_ref()) {
        give(all.entry(other.user.as_str()).or_default());
    }
}

/// All topics of an app: those under its prefix by the prefix, the others by name.
fn topics_of(events: &Events, granted: &mut BTreeSet<Binding>, operations: &[&str]) {
    if let Some(prefix) = &events.prefix {
        grant(granted, "topic", prefix, true, operations);
    }
    for topic in &events.topics {
        if !events.prefix.as_ref().is_some_and(|prefix| topic.name.starts_with(prefix.as_str())) {
            grant(granted, "topic", &topic.name, false, operations);
        }
    }
}

/// An empty prefix would be everything there is, and no infraspec can have one.
fn grant(granted: &mut BTreeSet<Binding>, resource: &str, name: &str, prefixed: bool, operations: &[&str]) {
    if name.is_empty() {
        return;
    }
    granted.extend(operations.iter().map(|operation| Binding::allow(resource, name, prefixed, operation)));
}
