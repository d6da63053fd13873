//! What every user may do: its app's topics, groups and transactional ids, and what others let it read or write.

use super::apps;
use crate::core::name::AppName;
use crate::services::kafka::model::Binding;
use crate::spec::model::{Events, Specs};
use std::collections::{BTreeMap, BTreeSet};

const READ: [&str; 2] = ["read", "describe"];
const WRITE: [&str; 2] = ["write", "describe"];
const BOTH: [&str; 3] = ["read", "write", "describe"];

type Bindings<'a> = BTreeMap<&'a str, BTreeSet<Binding>>;

/// All ACLs by user.
pub fn all(specs: &Specs) -> Bindings<'_> {
    let mut all = Bindings::new();
    for (app, events) in apps(specs) {
        let own = all.entry(events.user.as_str()).or_default();
        topics_of(events, own, &BOTH);
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

fn grant(granted: &mut BTreeSet<Binding>, resource: &str, name: &str, prefixed: bool, operations: &[&str]) {
    granted.extend(operations.iter().map(|operation| Binding::allow(resource, name, prefixed, operation)));
}
