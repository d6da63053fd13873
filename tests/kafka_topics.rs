//! Topics against a real broker: what is known of their configs, what is changed by hand, adopted, reset and refused.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/kafka.rs"]
mod kafka;
mod support;

use common::kafka_hand::produce;
use common::own_kafka::jars;
use common::servers::kafka_admin;
use common::settled::settled;
use nornplan::core::consent::{Allowance, Circumstances, Consent, hold};
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{ConfigEdit, ConfigEntry, ConfigSource, NewTopic, Resource};
use nornplan::services::kafka::configs::{Kind, OnKafka, TABLE, WEIGHTY};
use nornplan::services::kafka::model::topic_address;
use nornplan::services::{Model, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use support::World;

fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn make(admin: &Admin, name: &str, partitions: i32, own: &[(&str, &str)]) {
    let config = config(own);
    let topic = NewTopic { name, partitions: Some(partitions), replication: Some(1), config: &config };
    for made in admin.create_topics(&[topic], false).await.expect("an answer") {
        made.unwrap_or_else(|trouble| panic!("{}", trouble.message));
    }
    settled(admin).await;
}

async fn edit(admin: &Admin, topic: &str, values: &[(&str, Option<&str>)]) {
    let values = values.iter().copied().collect();
    let edited = admin.alter_topic_configs(&[ConfigEdit { topic, values }]).await.expect("an answer");
    assert!(edited.values().all(Result::is_ok), "{edited:?}");
    settled(admin).await;
}

async fn shown(admin: &Admin, topic: &str) -> Vec<ConfigEntry> {
    let read = admin.describe_configs(&[Resource::Topic(topic)]).await.expect("an answer");
    read.into_iter().flatten().flatten().collect()
}

/// The topic's own configs, as the broker shows them.
async fn own(admin: &Admin, topic: &str) -> BTreeMap<String, String> {
    let entries = shown(admin, topic).await.into_iter();
    let own = entries.filter(|entry| entry.source == ConfigSource::DynamicTopic);
    own.map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
}

/// The one step of a plan, with what holds it.
fn only(mut plan: Vec<Step>, consent: &Consent) -> Step {
    assert_eq!(plan.len(), 1, "{plan:#?}");
    let declared = plan.iter().map(|step| step.app.clone()).collect();
    hold(&mut plan, consent, &Circumstances { declared, owned: 100, ..Circumstances::default() });
    plan.remove(0)
}

fn allowing(destroy: &[&str], interrupt: &[&str]) -> Consent {
    let all = |texts: &[&str]| texts.iter().map(|text| Allowance::parse(text).expect("a glob")).collect();
    Consent { destroy: all(destroy), interrupt: all(interrupt) }
}

fn blocked(step: &Step) -> &str {
    let Some(Hold::Blocked { reason }) = &step.hold else { panic!("not blocked: {step:#?}") };
    reason
}

/// The topics that a plan is about, without users and ACLs.
fn topics(plan: Vec<Step>) -> Vec<Step> {
    plan.into_iter().filter(|step| step.address.kind.as_str() == "kafka.topic").collect()
}

#[tokio::test]
async fn the_table_has_what_the_broker_shows_of_a_fresh_topic() {
    let world = World::new(ServiceId::Kafka, "table");
    let (admin, name) = (world.by_hand().await, world.topic("fresh"));
    make(&admin, &name, 1, &[]).await;
    let shown = shown(&admin, &name).await;
    assert!(admin.delete_topics(&[name.as_str()]).await.expect("an answer").iter().all(Result::is_ok));
    let has: BTreeSet<&str> = shown.iter().map(|entry| entry.name.as_str()).collect();
    let ours = TABLE.iter().filter(|config| config.kafka != OnKafka::HasNot).map(|config| config.name);
    assert_eq!(ours.collect::<BTreeSet<&str>>(), has, "a Kafka that the table does not know");
    for entry in shown.iter().filter(|entry| entry.source == ConfigSource::Default) {
        let known = TABLE.iter().find(|config| config.name == entry.name).expect("it is in the table");
        assert_eq!(Some(known.default), entry.value.as_deref(), "the default of {}", entry.name);
    }
}

/// What stands behind a heading in the table of one config.
fn cell<'a>(section: &'a str, heading: &str) -> &'a str {
    let start = section.find(&format!("<th>{heading}:</th><td>"));
    let rest = start.map(|start| &section[start + heading.len() + "<th>:</th><td>".len()..]);
    rest.and_then(|rest| rest.split("</td>").next()).unwrap_or_default()
}

#[test]
fn the_table_has_the_types_and_ranges_of_the_broker_itself() {
    let said = Command::new("java")
        .args(["-cp", &format!("{}/*", jars().display()), "org.apache.kafka.storage.internals.log.LogConfig"])
        .output()
        .expect("java runs");
    let html = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut seen = 0;
    for section in html.split("<li>").filter(|section| section.contains("topicconfigs_")) {
        let name = section.split("<a id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
        let known = TABLE.iter().find(|config| config.name == name);
        let known = known.unwrap_or_else(|| panic!("{name} is not in the table"));
        seen += 1;
        let (kind, valid) = (cell(section, "Type"), cell(section, "Valid Values"));
        let range = |lowest: i64, highest: i64, most: i64| match (lowest, highest) {
            (i64::MIN, _) => String::new(),
            (_, highest) if highest == most => format!("[{lowest},...]"),
            (_, _) => format!("[{lowest},...,{highest}]"),
        };
        let expected = match known.kind {
            Kind::Int(lowest, highest) => ("int", range(lowest, highest, i64::from(i32::MAX))),
            Kind::IntOrDefault(lowest, highest) => ("int", format!("[{lowest},...,{highest}] or -1")),
            // Kafka takes anything below; what is below -1 means -1.
            Kind::Long(..) if name == "retention.bytes" => ("long", String::new()),
            Kind::Long(lowest, highest) => ("long", range(lowest, highest, i64::MAX)),
            Kind::Ratio => ("double", "[0,...,1]".to_owned()),
            Kind::Flag => ("boolean", String::new()),
            Kind::Word(words) => ("string", format!("[{}]", words.join(", "))),
            Kind::Words(words) => ("list", format!("[{}]", words.join(", "))),
            Kind::Text => ("list", "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned()),
        };
        assert_eq!((kind, valid), (expected.0, expected.1.as_str()), "{name}");
    }
    assert_eq!(seen, TABLE.iter().filter(|config| config.kafka != OnKafka::HasNot).count());
}

#[tokio::test]
async fn values_are_stored_as_they_are_declared_and_pinned() {
    let mut world = World::new(ServiceId::Kafka, "pin");
    let mut shop = world.events("shop", &["orders"]);
    // The second is the broker's default already.
    shop.topics[0].config = config(&[("cleanup.policy", "compact,delete"), ("retention.ms", "604800000")]);
    shop.topics[0].config.insert("min.cleanable.dirty.ratio".to_owned(), "1.0".to_owned());
    let name = shop.topics[0].name.clone();
    let (admin, declared) = (world.by_hand().await, shop.topics[0].config.clone());
    // Somebody made it, with the words in the other order and the default left alone.
    make(&admin, &name, 1, &[("cleanup.policy", "delete,compact"), ("min.cleanable.dirty.ratio", "1.0")]).await;
    world.declare("shop", shop);
    let adopted = only(topics(world.plan().await), &Consent::default());
    assert_eq!((adopted.action, adopted.hold.is_none()), (Action::Update, true), "{adopted:#?}");
    world.converge().await;
    let mut stored = own(&admin, &name).await;
    assert_eq!(
        stored.insert("cleanup.policy".to_owned(), "compact,delete".to_owned()),
        Some("delete,compact".to_owned())
    );
    assert_eq!(stored, declared);
    world.clean_up().await;
}

#[tokio::test]
async fn what_a_hand_changes_is_repaired_and_what_would_lose_messages_asks() {
    let mut world = World::new(ServiceId::Kafka, "hand");
    let mut shop = world.events("shop", &["orders"]);
    shop.topics[0].partitions = Some(2);
    shop.topics[0].config = config(&[("retention.ms", "86400000")]);
    let name = shop.topics[0].name.clone();
    let address = topic_address(&name).to_string();
    world.declare("shop", shop.clone());
    world.converge().await;
    let admin = world.by_hand().await;

    edit(&admin, &name, &[("retention.ms", Some("1000"))]).await;
    let step = only(world.plan().await, &Consent::default());
    assert!(step.hold.is_none() && step.reasons.contains(&Reason::Drifted), "raising is safe: {step:#?}");
    world.converge().await;

    edit(&admin, &name, &[("retention.ms", Some("-1"))]).await;
    let step = only(world.plan().await, &Consent::default());
    assert_eq!((&step.hold, step.risks.len()), (&None, 0), "there is nothing to lose: {step:#?}");
    produce(&kafka_admin(), &name, 3, 10);
    let step = only(world.plan().await, &Consent::default());
    assert_eq!(step.hold, Some(Hold::Destroy), "lowering is not: {step:#?}");
    assert!(step.notes.iter().any(|note| note.contains("3 messages")), "{step:#?}");
    assert!(step.notes[0].contains("older than 1d are lost (kept for good until now)"), "{step:#?}");
    assert_eq!(only(world.plan().await, &allowing(&[&address], &[])).hold, None);
    world.converge().await;
    assert_eq!(own(&admin, &name).await, config(&[("retention.ms", "86400000")]));

    // No longer declared: the broker's default is asked for, and is more.
    shop.topics[0].config.clear();
    world.declare("shop", shop.clone());
    let step = only(world.plan().await, &Consent::default());
    assert_eq!((&step.hold, step.risks.len()), (&None, 0), "{step:#?}");
    // And where it would be less.
    edit(&admin, &name, &[("retention.ms", Some("-1"))]).await;
    let step = only(world.plan().await, &Consent::default());
    assert_eq!(step.hold, Some(Hold::Destroy), "{step:#?}");
    assert!(step.notes[0].contains("older than 7d"), "the default is known: {step:#?}");
    world.converge().await;
    assert_eq!(own(&admin, &name).await, BTreeMap::new());

    // Partitions that a hand has added stay: that is a matter of the infraspec.
    let grown = admin.create_partitions(&[(name.as_str(), 4)], false).await.expect("an answer");
    assert!(grown.iter().all(Result::is_ok), "{grown:?}");
    settled(&admin).await;
    let step = only(world.plan().await, &Consent::default());
    assert!(step.reasons.contains(&Reason::Drifted) && blocked(&step).contains("declare 4"), "{step:#?}");
    shop.topics[0].partitions = Some(4);
    world.declare("shop", shop);
    world.only_records().await;
    world.clean_up().await;
}

#[tokio::test]
async fn an_adopted_topic_keeps_its_configs_until_it_is_exact_and_that_asks_once() {
    let mut world = World::new(ServiceId::Kafka, "exact");
    let mut shop = world.events("shop", &["orders"]);
    let name = shop.topics[0].name.clone();
    let address = topic_address(&name).to_string();
    let admin = world.by_hand().await;
    make(&admin, &name, 1, &[("retention.ms", "86400000"), ("segment.ms", "3600000")]).await;
    shop.topics[0].config = config(&[("retention.ms", "86400000")]);
    world.declare("shop", shop.clone());
    let step = only(topics(world.plan().await), &Consent::default());
    assert_eq!(step.action, Action::Adopt, "{step:#?}");
    world.converge().await;
    let notices = world.observe().await.notices;
    let told = notices.iter().find(|notice| notice.text.contains("no infraspec declares"));
    assert!(told.is_some_and(|notice| notice.text.contains(&format!("{name} (segment.ms = 1h)"))), "{notices:?}");
    assert_eq!(own(&admin, &name).await.len(), 2, "what is not declared stays");

    shop.topics[0].exact = true;
    world.declare("shop", shop.clone());
    let step = only(world.plan().await, &Consent::default());
    assert_eq!(step.hold, Some(Hold::Interrupt));
    assert_eq!(step.reasons.iter().copied().collect::<Vec<_>>(), [Reason::ChangedInSpec]);
    world.apply(vec![only(world.plan().await, &allowing(&[], &[&address]))]).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(own(&admin, &name).await, config(&[("retention.ms", "86400000")]));

    // From then on it is drift, and repaired without asking; but not what would lose messages.
    edit(&admin, &name, &[("segment.ms", Some("7200000"))]).await;
    let step = only(world.plan().await, &Consent::default());
    assert_eq!((&step.hold, step.reasons.contains(&Reason::Drifted)), (&None, true), "{step:#?}");
    world.converge().await;
    edit(&admin, &name, &[("cleanup.policy", Some("compact"))]).await;
    produce(&kafka_admin(), &name, 3, 10);
    let step = only(world.plan().await, &Consent::default());
    assert_eq!((step.hold.clone(), step.risks.contains(&Risk::LosesData)), (Some(Hold::Destroy), true), "{step:#?}");
    world.converge().await;

    shop.topics[0].exact = false;
    world.declare("shop", shop);
    world.only_records().await;
    edit(&admin, &name, &[("segment.ms", Some("7200000"))]).await;
    assert_eq!(world.plan().await, Vec::new(), "others' configs are not ours to see again");
    world.clean_up().await;
}

#[tokio::test]
async fn the_broker_says_at_plan_time_what_it_would_not_make() {
    let mut world = World::new(ServiceId::Kafka, "refused");
    let admin = world.by_hand().await;
    let there = world.topic("a.b");
    make(&admin, &there, 1, &[]).await;
    let mut shop = world.events("shop", &["a_b", "many", "unknown", "fine"]);
    shop.topics[1].replication = Some(3);
    shop.topics[2].config = config(&[("of.a.broker.to.come", "1")]);
    world.declare("shop", shop);
    let plan = topics(world.plan().await);
    let why: BTreeMap<String, Option<&str>> = plan
        .iter()
        .map(|step| (step.address.name.replace(&world.topic(""), ""), step.hold.as_ref().map(|_| blocked(step))))
        .collect();
    assert!(why["a_b"].expect("blocked").contains(&format!("collides with existing topic: {there}")), "{why:#?}");
    assert!(why["many"].expect("blocked").contains("only 1 broker(s) are registered"), "{why:#?}");
    assert!(why["unknown"].expect("blocked").contains("Unknown topic config name: of.a.broker.to.come"), "{why:#?}");
    assert_eq!(why["fine"], None);
    let names: Vec<&str> = plan.iter().map(|step| step.address.name.as_str()).collect();
    let found = admin.describe_topics(&names).await.expect("an answer");
    assert!(found.iter().all(|(_, topic)| topic.is_err()), "asking makes nothing");
    assert!(admin.delete_topics(&[there.as_str()]).await.expect("an answer").iter().all(Result::is_ok));
}

#[tokio::test]
async fn replicas_on_kafka_are_blocked_with_the_way_to_move_them() {
    let mut world = World::new(ServiceId::Kafka, "moved");
    let mut shop = world.events("shop", &["orders"]);
    world.declare("shop", shop.clone());
    world.converge().await;
    shop.topics[0].replication = Some(2);
    world.declare("shop", shop.clone());
    let step = only(world.plan().await, &Consent::default());
    assert!(blocked(&step).contains("the cluster has 1"), "{step:#?}");
    shop.topics[0].replication = Some(1);
    world.declare("shop", shop);
    world.only_records().await;
    let seen = world.observe().await;
    let there = seen.resources.values().find_map(|seen| seen.model.as_kafka_topic()).expect("the topic");
    assert_eq!(there.effective("retention.ms"), Some("604800000"));
    let Some(Model::KafkaTopic(before)) = &step.before else { panic!("{step:#?}") };
    let weighs = |config: &String| WEIGHTY.contains(&config.as_str());
    assert!(before.inherited.keys().all(weighs), "a plan says what losses are told by, and no more: {before:#?}");
    world.clean_up().await;
}
