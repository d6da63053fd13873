//! What infraspecs come to, and what is decided about it: no broker is needed.

use super::diff;
use crate::config::{BrokerKind, KafkaConfig, PasswordSource, Tls};
use crate::core::address::Address;
use crate::core::graph::sort;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Reason, Risk};
use crate::error::Place;
use crate::services::kafka::desired::desired;
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp, acl_address, topic_address, user_address};
use crate::services::postgres::model::Credential;
use crate::services::{DiffInput, Model, Observation, Observed, Op, Step};
use crate::spec::model::{App, Events, Specs, Topic};
use std::collections::{BTreeMap, BTreeSet};

fn config(mechanism: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: vec!["127.0.0.1:9092".to_owned()],
        user: "admin".to_owned(),
        mechanism: mechanism.to_owned(),
        use_tls: false,
        tls: Tls::default(),
        password: PasswordSource::None,
        public_brokers: Vec::new(),
        flavor: BrokerKind::Auto,
        admin: None,
    }
}

fn events(user: &str, topics: &[&str]) -> Events {
    let topic = |name: &&str| Topic {
        name: (*name).to_owned(),
        partitions: None,
        replication: None,
        config: BTreeMap::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
    };
    Events {
        topics: topics.iter().map(topic).collect(),
        user: user.to_owned(),
        prefix: None,
        groups: BTreeSet::new(),
        transactional_ids: BTreeSet::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
        external: BTreeSet::new(),
        credential: Credential::Generate,
    }
}

fn specs(apps: Vec<(&str, Events)>) -> Specs {
    let mut specs = Specs::default();
    for (name, events) in apps {
        let name = AppName::new(name).unwrap();
        let app = App {
            name: name.clone(),
            place: Place::File("test".into()),
            postgres: None,
            kv: None,
            events: Some(events),
            publish: BTreeMap::new(),
            prevent_destroy: None,
        };
        specs.apps.insert(name, app);
    }
    specs
}

type Resources = BTreeMap<Address, Wanted<Model>>;

fn acls(wanted: &Resources, user: &str) -> Vec<String> {
    let Model::KafkaAcl(acl) = &wanted[&acl_address(user)].model else { panic!("no ACL") };
    acl.bindings.iter().filter(|one| one.resource == "topic").map(ToString::to_string).collect()
}

/// Plans on a broker that has what was applied, with what a test changes about it.
fn plan(wanted: &Resources, applied: &Resources, authorizer: bool, change: impl FnOnce(&mut Observation)) -> Vec<Step> {
    let mut observation = Observation {
        server: serde_json::json!({ "authorizer": authorizer }),
        resources: applied.iter().map(|(key, one)| (key.clone(), Observed::plain(one.model.clone()))).collect(),
        ..Observation::default()
    };
    change(&mut observation);
    let applied = applied
        .iter()
        .map(|(key, one)| (key.clone(), Applied { app: one.app.clone(), model: one.model.clone() }))
        .collect();
    let input = DiffInput {
        wanted,
        applied: &applied,
        observation: &observation,
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    };
    sort(diff(input)).unwrap()
}

#[test]
fn readers_and_writers_get_what_the_owner_gives() {
    let mut shop = events("shop", &["shop.orders", "legacy"]);
    shop.prefix = Some("shop.".to_owned());
    shop.readers.insert(AppName::new("report").unwrap());
    shop.topics[1].writers.insert(AppName::new("importer").unwrap());
    let mut report = events("reporter", &[]);
    report.external.insert("old".to_owned());
    let specs = specs(vec![("shop", shop), ("report", report), ("importer", events("importer", &[]))]);
    let wanted = desired(&specs, &config("SCRAM-SHA-256"));
    assert_eq!(
        acls(&wanted, "shop"),
        [
            "allow describe topic legacy",
            "allow read topic legacy",
            "allow write topic legacy",
            "allow describe topic shop. (prefix)",
            "allow read topic shop. (prefix)",
            "allow write topic shop. (prefix)",
        ]
    );
    assert_eq!(
        acls(&wanted, "reporter"),
        [
            "allow describe topic legacy",
            "allow read topic legacy",
            "allow describe topic old",
            "allow read topic old",
            "allow describe topic shop. (prefix)",
            "allow read topic shop. (prefix)",
        ]
    );
    assert_eq!(acls(&wanted, "importer"), ["allow describe topic legacy", "allow write topic legacy"]);
    let Model::KafkaAcl(Acl { bindings, .. }) = &wanted[&acl_address("shop")].model else { panic!("no ACL") };
    assert!(bindings.contains(&Binding::allow("group", "shop", false, "read")));
    assert!(bindings.contains(&Binding::allow("group", "shop.", true, "read")));
    assert!(bindings.contains(&Binding::allow("transactional_id", "shop.", true, "write")));
    let Model::KafkaUser(user) = &wanted[&user_address("shop")].model else { panic!("no user") };
    assert_eq!((user.mechanism.as_deref(), user.iterations), (Some("SCRAM-SHA-256"), Some(4096)));
}

#[test]
fn there_are_no_principals_without_a_sign_in_and_no_users_whose_credential_is_kept() {
    let mut kept = events("shop", &["orders"]);
    let specs_none = specs(vec![("shop", kept.clone())]);
    let topics: Vec<Address> = desired(&specs_none, &config("none")).into_keys().collect();
    assert_eq!(topics, [topic_address("orders")]);
    kept.credential = Credential::Keep;
    let keys: Vec<Address> = desired(&specs(vec![("shop", kept)]), &config("SCRAM-SHA-512")).into_keys().collect();
    assert_eq!(keys, [acl_address("shop"), topic_address("orders")]);
}

#[test]
fn a_user_is_left_alone_when_its_credential_becomes_kept() {
    let before = desired(&specs(vec![("shop", events("shop", &[]))]), &config("SCRAM-SHA-512"));
    let mut kept = events("shop", &[]);
    kept.credential = Credential::Keep;
    let after = desired(&specs(vec![("shop", kept)]), &config("SCRAM-SHA-512"));
    let steps = plan(&after, &before, true, |_| {});
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].action, &steps[0].op, &steps[0].before), (Action::Forget, &Op::State, &None));
}

#[test]
fn without_an_authorizer_acls_are_blocked_and_the_rest_goes_on() {
    let wanted = desired(&specs(vec![("shop", events("shop", &["orders"]))]), &config("SCRAM-SHA-512"));
    let steps = plan(&wanted, &Resources::new(), false, |_| {});
    let blocked: Vec<&Step> = steps.iter().filter(|step| !step.runs()).collect();
    assert_eq!(blocked.len(), 1);
    assert!(matches!(&blocked[0].hold, Some(Hold::Blocked { reason }) if reason.contains("authorizer")));
    assert_eq!(blocked[0].op, Op::Kafka(KafkaOp::SetAcls));
}

#[test]
fn foreign_rights_are_taken_away_and_wider_ones_are_marked() {
    let mut shop = events("shop", &["orders"]);
    let before = desired(&specs(vec![("shop", shop.clone())]), &config("SCRAM-SHA-512"));
    let foreign = |observation: &mut Observation| {
        let seen = observation.resources.get_mut(&acl_address("shop")).unwrap();
        let Model::KafkaAcl(acl) = &mut seen.model else { panic!("no ACL") };
        acl.bindings.insert(Binding::allow("topic", "*", false, "all"));
    };
    let steps = plan(&before, &before, true, foreign);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].reasons, BTreeSet::from([Reason::Drifted]));
    assert_eq!(steps[0].risks, BTreeSet::from([Risk::Interrupts]));
    shop.external.insert("others".to_owned());
    let after = desired(&specs(vec![("shop", shop)]), &config("SCRAM-SHA-512"));
    let steps = plan(&after, &before, true, |_| {});
    assert_eq!(steps[0].risks, BTreeSet::from([Risk::WidensAccess]));
}

#[test]
fn a_config_is_reset_when_it_is_no_longer_declared_and_others_are_not_seen() {
    let mut shop = events("shop", &["orders"]);
    shop.topics[0].config.insert("retention.ms".to_owned(), "5".to_owned());
    let before = desired(&specs(vec![("shop", shop.clone())]), &config("SCRAM-SHA-512"));
    shop.topics[0].config.clear();
    let after = desired(&specs(vec![("shop", shop)]), &config("SCRAM-SHA-512"));
    let by_hand = |observation: &mut Observation| {
        let seen = observation.resources.get_mut(&topic_address("orders")).unwrap();
        let Model::KafkaTopic(topic) = &mut seen.model else { panic!("no topic") };
        topic.config.insert("segment.ms".to_owned(), "7".to_owned());
        topic.partitions = Some(12);
    };
    assert_eq!(plan(&before, &before, true, by_hand), Vec::new());
    let steps = plan(&after, &before, true, by_hand);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].changes[0].before, serde_json::json!({ "retention.ms": "5" }));
    assert_eq!(steps[0].changes[0].after, serde_json::json!({}));
}
