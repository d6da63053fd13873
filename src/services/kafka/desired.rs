//! What infraspecs want of Kafka.

use super::model::{Acl, Binding, Topic, User, acl_address, topic_address, user_address};
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::services::postgres::model::Credential;
use crate::spec::model::{App, Events, Specs};
use std::collections::{BTreeMap, BTreeSet};

/// What brokers take at least, and enough: the passwords are random.
const ITERATIONS: u32 = 4096;
const READ: [&str; 2] = ["read", "describe"];
const WRITE: [&str; 2] = ["write", "describe"];
const BOTH: [&str; 3] = ["read", "write", "describe"];

/// Every resource that the infraspecs declare here. Without a sign-in there are no principals, so only topics; users
/// only of SCRAM mechanisms, since a broker keeps no others.
pub fn desired(specs: &Specs, config: &KafkaConfig) -> BTreeMap<Address, Wanted<Model>> {
    let mut wanted = BTreeMap::new();
    for (app, events) in apps(specs) {
        let mut want = |address: Address, model: Model| {
            wanted.insert(address, Wanted { app: app.name.clone(), model });
        };
        for topic in &events.topics {
            want(
                topic_address(&topic.name),
                Model::KafkaTopic(Topic {
                    name: topic.name.clone(),
                    partitions: topic.partitions,
                    replication: topic.replication,
                    config: topic.config.clone(),
                }),
            );
        }
        if events.credential == Credential::Generate && config.mechanism.starts_with("SCRAM-") {
            let user = User {
                name: events.user.clone(),
                mechanism: config.mechanism.clone(),
                iterations: ITERATIONS,
                generated: Some(true),
            };
            want(user_address(&events.user), Model::KafkaUser(user));
        }
    }
    if config.authenticates() {
        for (user, bindings) in bindings(specs) {
            let Some(app) = apps(specs).find(|(_, events)| events.user == user).map(|(app, _)| app.name.clone()) else {
                continue;
            };
            let model = Model::KafkaAcl(Acl { principal: user.to_owned(), bindings });
            wanted.insert(acl_address(user), Wanted { app, model });
        }
    }
    wanted
}

fn apps(specs: &Specs) -> impl Iterator<Item = (&App, &Events)> {
    specs.apps.values().filter_map(|app| Some((app, app.events.as_ref()?)))
}

type Bindings<'a> = BTreeMap<&'a str, BTreeSet<Binding>>;

/// All ACLs by user.
fn bindings(specs: &Specs) -> Bindings<'_> {
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
