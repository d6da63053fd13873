//! What infraspecs want of Kafka.

mod rights;

use super::model::{Acl, Topic, User, acl_address, topic_address, user_address};
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::services::postgres::model::Credential;
use crate::spec::model::{App, Events, Specs};
use std::collections::{BTreeMap, BTreeSet};

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
                    exact: topic.exact.then_some(true),
                    inherited: BTreeMap::new(),
                    id: None,
                    empty: false,
                }),
            );
        }
        let mechanism = config.user_mechanism.as_ref().filter(|_| events.credential == Credential::Generate);
        if let Some(mechanism) = mechanism {
            let user = User {
                name: events.user.clone(),
                mechanism: Some(mechanism.clone()),
                iterations: Some(config.iterations),
                other_mechanisms: Some(BTreeSet::new()),
                generated: Some(true),
            };
            want(user_address(&events.user), Model::KafkaUser(user));
        }
    }
    if config.has_principals() {
        let owners: BTreeMap<&str, &App> = apps(specs).map(|(app, events)| (events.user.as_str(), app)).collect();
        for (user, bindings) in rights::all(specs) {
            let Some(app) = owners.get(user).map(|app| app.name.clone()) else { continue };
            let model = Model::KafkaAcl(Acl { principal: user.to_owned(), bindings });
            wanted.insert(acl_address(user), Wanted { app, model });
        }
    }
    wanted
}

fn apps(specs: &Specs) -> impl Iterator<Item = (&App, &Events)> {
    specs.apps.values().filter_map(|app| Some((app, app.events.as_ref()?)))
}
