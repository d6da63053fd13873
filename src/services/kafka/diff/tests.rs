//! What infraspecs come to, and what is decided about it: no broker is needed.

#[path = "holding_tests.rs"]
mod holding;
#[path = "taken_over_tests.rs"]
mod taken_over;

use super::diff;
use crate::config::{BrokerKind, KafkaConfig, PasswordSource, Tls};
use crate::core::address::Address;
use crate::core::graph::sort;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Part, Reason, Risk};
use crate::error::Place;
use crate::services::kafka::desired::desired;
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp, User, acl_address, topic_address, user_address};
use crate::services::postgres::model::Credential;
use crate::services::{DiffInput, Model, Observation, Observed, Op, Step};
use crate::spec::model::{App, Events, Specs, Topic};
use std::collections::{BTreeMap, BTreeSet};

fn config(mechanism: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: vec!["127.0.0.1:9092".to_owned()],
        user: "admin".to_owned(),
        mechanism: mechanism.to_owned(),
        user_mechanism: mechanism.starts_with("SCRAM-").then(|| mechanism.to_owned()),
        iterations: 4096,
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
        exact: false,
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
        internal_topics: false,
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
            "allow describe_configs topic legacy",
            "allow read topic legacy",
            "allow write topic legacy",
            "allow describe topic shop. (prefix)",
            "allow describe_configs topic shop. (prefix)",
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

fn user_of(model: &mut Model) -> &mut User {
    let Model::KafkaUser(user) = model else { panic!("no user") };
    user
}

#[test]
fn a_second_credential_is_drift_that_is_removed_and_on_a_stranger_asks_first() {
    let wanted = desired(&specs(vec![("shop", events("shop", &[]))]), &config("SCRAM-SHA-512"));
    let second = |observation: &mut Observation| {
        let mut user = wanted[&user_address("shop")].model.clone();
        user_of(&mut user).other_mechanisms = Some(BTreeSet::from(["SCRAM-SHA-256".to_owned()]));
        observation.resources.insert(user_address("shop"), Observed::plain(user));
    };
    for (applied, reason) in [(wanted.clone(), Reason::Drifted), (BTreeMap::new(), Reason::NotOursYet)] {
        let steps = plan(&wanted, &applied, true, second);
        let step = steps.iter().find(|step| step.address == user_address("shop")).unwrap();
        assert_eq!((step.action, step.op.clone()), (Action::Update, Op::Kafka(KafkaOp::RemoveCredentials)));
        assert!(step.reasons.contains(&reason) && step.risks.contains(&Risk::Interrupts) && !step.sets_credential);
        assert!(step.notes[0].contains("a second way in, SCRAM-SHA-256"), "{:?}", step.notes);
        assert!(!steps.iter().any(|step| step.part == Part::Close));
    }
    // What an older state did not look at, or a recorded observation does not tell, is unknown.
    let unknown = |observation: &mut Observation| {
        user_of(&mut observation.resources.get_mut(&user_address("shop")).unwrap().model).other_mechanisms = None;
    };
    assert_eq!(plan(&wanted, &wanted, true, unknown), Vec::new());
}

#[test]
fn a_mechanism_changes_by_a_new_credential_and_then_the_removal_of_the_old_one() {
    let all = specs(vec![("shop", events("shop", &[]))]);
    let (old, new) = (desired(&all, &config("SCRAM-SHA-256")), desired(&all, &config("SCRAM-SHA-512")));
    let steps = plan(&new, &old, true, |_| {});
    let of = |part: Part| steps.iter().find(|step| step.part == part).unwrap();
    let (set, remove) = (of(Part::Main), of(Part::Close));
    assert_eq!(
        (steps.len(), set.op.clone(), remove.op.clone()),
        (2, Op::Kafka(KafkaOp::SetUser), Op::Kafka(KafkaOp::RemoveCredentials))
    );
    assert!(set.sets_credential && !remove.sets_credential && remove.needs.contains(&set.id()));
    assert_eq!(set.after, remove.before);
    let after = user_of(&mut remove.after.clone().unwrap()).clone();
    assert_eq!((after.mechanism.as_deref(), after.other_mechanisms), (Some("SCRAM-SHA-512"), Some(BTreeSet::new())));
}

#[test]
fn who_is_signed_in_is_told_as_the_broker_handles_it() {
    let wanted = desired(&specs(vec![("shop", events("shop", &[]))]), &config("SCRAM-SHA-512"));
    let told = |server: serde_json::Value| {
        let steps = plan(&BTreeMap::new(), &wanted, true, |observation| observation.server = server);
        steps.into_iter().find(|step| step.address == user_address("shop")).unwrap().notes.join("\n")
    };
    let open = told(serde_json::json!({ "reauthenticates_ms": 0, "delegation_tokens": true }));
    assert!(open.contains("stay open until they reconnect (") && open.contains("delegation tokens"), "{open}");
    assert!(open.contains("may do nothing any more, until a user of this name is given some again"), "{open}");
    let limited = told(serde_json::json!({ "reauthenticates_ms": 60_000, "delegation_tokens": false }));
    assert!(limited.contains("at most 60 s") && !limited.contains("delegation"), "{limited}");
    assert!(!limited.contains("given some again"), "{limited}");
    let unknown = told(serde_json::json!({}));
    assert!(unknown.contains("unless the broker's connections.max.reauth.ms") && !unknown.contains("delegation"));
}

#[test]
fn acls_go_before_the_topics_that_they_reach_by_name_or_prefix() {
    let mut shop = events("shop", &["shop.orders", "shop.paid"]);
    shop.prefix = Some("shop.".to_owned());
    shop.readers.insert(AppName::new("report").unwrap());
    shop.credential = Credential::Keep;
    let both = specs(vec![("shop", shop), ("report", events("report", &["shops"]))]);
    let applied = desired(&both, &config("SCRAM-SHA-512"));
    let wanted = desired(&specs(vec![("report", events("report", &["shops"]))]), &config("SCRAM-SHA-512"));
    let steps = plan(&wanted, &applied, true, |_| {});
    for topic in ["shop.orders", "shop.paid"] {
        let step = steps.iter().find(|step| step.address == topic_address(topic)).unwrap();
        let needs: Vec<String> = step.needs.iter().map(ToString::to_string).collect();
        assert_eq!(needs, ["kafka.acl.report", "kafka.acl.shop"], "{topic}");
    }
}
