//! What becomes of topics, from what was read: on Kafka, and on a Redpanda by its documented ways.

use super::super::{diff, risks};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Reason, Risk};
use crate::services::kafka::model::{Topic, topic_address};
use crate::services::kafka::server::{Flavor, Server};
use crate::services::{DiffInput, Model, Observation, Observed, Step};
use std::collections::{BTreeMap, BTreeSet};

fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn topic(config: &[(&str, &str)]) -> Topic {
    Topic { name: "orders".to_owned(), config: configs(config), ..Topic::default() }
}

/// What the broker has: three partitions, one replica.
fn there(own: &[(&str, &str)], inherited: &[(&str, &str)]) -> Topic {
    Topic { partitions: Some(3), replication: Some(1), inherited: configs(inherited), ..topic(own) }
}

fn exact(config: &[(&str, &str)]) -> Topic {
    Topic { exact: Some(true), ..topic(config) }
}

/// Plans for one topic.
struct Case {
    server: Server,
    facts: BTreeMap<String, serde_json::Value>,
}

impl Case {
    fn on(flavor: Flavor) -> Self {
        let shown = ["retention.ms", "segment.ms", "max.message.bytes", "cleanup.policy", "retention.bytes"];
        let server = Server {
            flavor,
            brokers: 3,
            configs: Some(shown.iter().map(|name| (*name).to_owned()).collect()),
            defaults: configs(&[
                ("retention.ms", "604800000"),
                ("retention.bytes", "-1"),
                ("cleanup.policy", "delete"),
            ]),
            ..Server::default()
        };
        Self { server, facts: BTreeMap::new() }
    }

    fn plan(&self, wanted: &Topic, there: Option<&Topic>, last: Option<&Topic>) -> Option<Step> {
        let (address, app) = (topic_address("orders"), AppName::new("shop").unwrap());
        let observed =
            |topic: &Topic| Observed { facts: self.facts.clone(), ..Observed::plain(Model::KafkaTopic(topic.clone())) };
        let observation = Observation {
            server: self.server.to_json(),
            resources: there.map(|topic| (address.clone(), observed(topic))).into_iter().collect(),
            ..Observation::default()
        };
        let model = |topic: &Topic| Model::KafkaTopic(topic.clone());
        let wanted: BTreeMap<Address, Wanted<Model>> =
            BTreeMap::from([(address.clone(), Wanted { app: app.clone(), model: model(wanted) })]);
        let applied: BTreeMap<Address, Applied<Model>> =
            last.map(|last| (address.clone(), Applied { app: app.clone(), model: model(last) })).into_iter().collect();
        let input = DiffInput {
            wanted: &wanted,
            applied: &applied,
            observation: &observation,
            rotate: &BTreeSet::new(),
            credentials: &BTreeMap::new(),
        };
        let mut steps = diff(input);
        assert!(steps.len() < 2, "{steps:#?}");
        steps.pop()
    }
}

fn kafka(wanted: &Topic, there: &Topic, last: Option<&Topic>) -> Option<Step> {
    Case::on(Flavor::Kafka).plan(wanted, Some(there), last)
}

fn reasons(step: &Step) -> Vec<Reason> {
    step.reasons.iter().copied().collect()
}

fn blocked(step: &Step) -> &str {
    let Some(Hold::Blocked { reason }) = &step.hold else { panic!("not blocked: {step:#?}") };
    reason
}

/// Whether a step is only carried out as long as the topic holds nothing.
fn plans_on_nothing(step: &Step) -> bool {
    step.before.as_ref().and_then(Model::as_kafka_topic).is_some_and(|topic| topic.empty)
}

const WEEK: (&str, &str) = ("retention.ms", "604800000");
const DAY: (&str, &str) = ("retention.ms", "86400000");

#[test]
fn what_is_declared_is_pinned_on_kafka_even_where_the_default_is_the_same() {
    let wanted = topic(&[WEEK]);
    let step = kafka(&wanted, &there(&[], &[WEEK]), None).unwrap();
    assert_eq!((step.action, reasons(&step)), (Action::Update, vec![Reason::NotOursYet]));
    assert_eq!((step.risks.len(), &step.hold), (0, &None), "nothing becomes less: {step:#?}");
    assert_eq!(kafka(&wanted, &there(&[WEEK], &[]), None).unwrap().action, Action::Adopt);
    assert_eq!(kafka(&wanted, &there(&[WEEK], &[]), Some(&wanted)), None);
}

#[test]
fn a_compacted_topic_loses_nothing_by_what_is_said_of_deletion_whoever_made_it_compacted() {
    let compacted = ("cleanup.policy", "compact");
    for (own, inherited) in [(vec![WEEK, compacted], vec![]), (vec![WEEK], vec![compacted])] {
        let step = kafka(&topic(&[DAY]), &there(&own, &inherited), Some(&topic(&[WEEK]))).unwrap();
        assert!(step.risks.is_empty() && risks(&step).is_empty(), "{step:#?}");
    }
    let step = kafka(&topic(&[DAY]), &there(&[WEEK], &[]), Some(&topic(&[WEEK]))).unwrap();
    assert!(risks(&step).contains(&Risk::LosesData), "{step:#?}");
}

#[test]
fn redpanda_is_taken_at_its_effective_values_and_what_it_does_not_show_is_unknown() {
    let redpanda = Case::on(Flavor::Redpanda);
    let wanted = topic(&[WEEK, ("min.insync.replicas", "2")]);
    for seen in [there(&[], &[WEEK]), there(&[WEEK], &[])] {
        assert_eq!(redpanda.plan(&wanted, Some(&seen), None).unwrap().action, Action::Adopt);
        assert_eq!(redpanda.plan(&wanted, Some(&seen), Some(&wanted)), None, "for ever");
    }
    let step = redpanda.plan(&wanted, Some(&there(&[], &[DAY])), Some(&wanted)).unwrap();
    let changes = (&step.changes[0].before, &step.changes[0].after);
    assert_eq!(changes.0["min.insync.replicas"], changes.1["min.insync.replicas"], "not sent");
    // Back to the default by leaving it out, which the broker shows as it likes.
    assert_eq!(redpanda.plan(&topic(&[]), Some(&there(&[], &[WEEK])), Some(&topic(&[]))), None);
}

#[test]
fn replicas_are_moved_by_redpanda_and_explained_for_kafka() {
    let wanted = Topic { replication: Some(3), ..topic(&[]) };
    let redpanda = Case::on(Flavor::Redpanda);
    let step = redpanda.plan(&wanted, Some(&there(&[], &[])), Some(&topic(&[]))).unwrap();
    assert_eq!((step.hold.is_none(), reasons(&step)), (true, vec![Reason::ChangedInSpec]));
    let even = Topic { replication: Some(2), ..topic(&[]) };
    for seen in [None, Some(there(&[], &[]))] {
        let step = redpanda.plan(&even, seen.as_ref(), None).unwrap();
        assert!(blocked(&step).contains("write 1 or 3"), "{}", blocked(&step));
        let step = Case::on(Flavor::Kafka).plan(&even, seen.as_ref(), None).unwrap();
        assert_eq!(step.hold.is_none(), seen.is_none(), "Kafka takes even ones");
    }
    let step = kafka(&wanted, &there(&[], &[]), None).unwrap();
    let json = r#"{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1,2,3]}]}"#;
    assert!(blocked(&step).contains(json) && blocked(&step).contains("kafka-reassign-partitions.sh"), "{step:#?}");
    let step = kafka(&Topic { replication: Some(4), ..topic(&[]) }, &there(&[], &[]), None).unwrap();
    assert!(blocked(&step).contains("the cluster has 3"), "{step:#?}");
}

#[test]
fn what_is_declared_only_later_is_a_change_of_the_infraspec() {
    let last = topic(&[]);
    let more = Topic { partitions: Some(6), ..topic(&[DAY]) };
    let step = kafka(&more, &there(&[WEEK], &[]), Some(&last)).unwrap();
    assert_eq!(reasons(&step), [Reason::ChangedInSpec]);
    let noted = Topic { partitions: Some(3), replication: Some(1), ..topic(&[]) };
    let step = kafka(&noted, &there(&[], &[]), Some(&last)).unwrap();
    assert_eq!((step.action, reasons(&step)), (Action::Record, vec![Reason::ChangedInSpec]));
    // Once it is noted, more partitions by hand are drift.
    let step = kafka(&noted, &Topic { partitions: Some(5), ..there(&[], &[]) }, Some(&noted)).unwrap();
    assert_eq!(reasons(&step), [Reason::Drifted]);
    assert!(blocked(&step).contains("cannot take partitions away"));
}

#[test]
fn less_retention_loses_messages_whoever_made_it_more() {
    let case = |wanted: &Topic, seen: &Topic, last: &Topic| {
        let step = kafka(wanted, seen, Some(last)).unwrap();
        (step.risks.contains(&Risk::LosesData), step.notes.join("\n"))
    };
    let (week, day) = (topic(&[WEEK]), topic(&[DAY]));
    let (loses, told) = case(&day, &there(&[WEEK], &[]), &week);
    assert!(loses && told.contains("older than 1d are lost (kept up to 7d until now)"), "{told}");
    assert!(!case(&week, &there(&[DAY], &[]), &day).0);
    // A hand has raised it; the repair would lose what was kept since.
    assert!(case(&day, &there(&[("retention.ms", "-1")], &[]), &day).0);
    // What is no longer declared becomes the broker's default.
    assert!(!case(&topic(&[]), &there(&[DAY], &[]), &day).0);
    assert!(case(&topic(&[]), &there(&[("retention.ms", "-1")], &[]), &topic(&[("retention.ms", "-1")])).0);
    let mut unknown = Case::on(Flavor::Kafka);
    unknown.server.defaults.clear();
    let step = unknown.plan(&topic(&[]), Some(&there(&[DAY], &[])), Some(&day)).unwrap();
    assert!(step.risks.contains(&Risk::LosesData) && step.notes[0].contains("not known here"), "{step:#?}");
    // Where it was counted that there is nothing, nothing is lost.
    let mut empty = Case::on(Flavor::Kafka);
    empty.facts.insert("messages".to_owned(), 0.into());
    let step = empty.plan(&day, Some(&there(&[WEEK], &[])), Some(&week)).unwrap();
    assert!(step.risks.is_empty() && plans_on_nothing(&step), "{step:#?}");
    let step = empty.plan(&week, Some(&there(&[DAY], &[])), Some(&day)).unwrap();
    assert!(!plans_on_nothing(&step), "more is kept, whatever it holds by then");
    // Of a partition that does not answer it was not.
    empty.facts =
        BTreeMap::from([("unread".to_owned(), serde_json::json!({ "what it holds": "1 of 2 did not answer" }))]);
    let step = empty.plan(&day, Some(&there(&[WEEK], &[])), Some(&week)).unwrap();
    assert!(step.risks.contains(&Risk::LosesData) && !plans_on_nothing(&step), "{step:#?}");
    assert!(step.notes.contains(&"not known: what it holds (1 of 2 did not answer)".to_owned()), "{step:#?}");
    let (loses, told) =
        case(&topic(&[("cleanup.policy", "compact")]), &there(&[], &[("cleanup.policy", "delete")]), &topic(&[]));
    assert!(loses && told.contains("without a key"), "{told}");
    let step = kafka(&topic(&[("max.message.bytes", "1000")]), &there(&[], &[("max.message.bytes", "1048588")]), None);
    assert_eq!(step.unwrap().risks, BTreeSet::from([Risk::Interrupts]));
}

#[test]
fn growing_a_compacted_topic_is_told_louder() {
    let grown = |policy: &str| {
        let seen = there(&[], &[("cleanup.policy", policy)]);
        kafka(&Topic { partitions: Some(6), ..topic(&[]) }, &seen, Some(&topic(&[]))).unwrap()
    };
    let (plain, compacted) = (grown("delete"), grown("compact"));
    assert!(plain.notes[0].contains("order of one key's messages") && plain.risks.is_empty(), "{plain:#?}");
    assert!(compacted.notes[0].contains("old value") && compacted.risks.contains(&Risk::Interrupts), "{compacted:#?}");
}

#[test]
fn exact_topics_reset_what_nobody_declared_and_ask_the_first_time() {
    let seen = there(&[DAY, ("segment.ms", "7"), ("leader.replication.throttled.replicas", "*")], &[]);
    let (open, closed) = (topic(&[DAY]), exact(&[DAY]));
    assert_eq!(kafka(&open, &seen, Some(&open)), None, "others' configs are not ours to see");
    for (last, why) in [(None, Reason::NotOursYet), (Some(&open), Reason::ChangedInSpec)] {
        let step = kafka(&closed, &seen, last).unwrap();
        assert_eq!((&step.hold, reasons(&step)), (&Some(Hold::Interrupt), vec![why]));
        assert!(step.notes.iter().any(|note| note.contains("segment.ms = 7")), "{step:#?}");
        assert!(!serde_json::to_string(&step).unwrap().contains("throttled"), "moving partitions are left alone");
    }
    let step = kafka(&closed, &seen, Some(&closed)).unwrap();
    assert_eq!((&step.hold, reasons(&step)), (&None, vec![Reason::Drifted]));
    // The state notes when a topic becomes exact, and when it is no more.
    let bare = there(&[DAY], &[]);
    assert_eq!(kafka(&closed, &bare, Some(&open)).unwrap().action, Action::Record);
    assert_eq!(kafka(&closed, &bare, Some(&closed)), None);
    let step = kafka(&open, &seen, Some(&closed)).unwrap();
    assert_eq!(step.action, Action::Record);
    let noted = step.after.as_ref().and_then(Model::as_kafka_topic).unwrap();
    assert_eq!(kafka(&open, &seen, Some(noted)), None);
    assert_eq!(kafka(&closed, &seen, Some(noted)).unwrap().hold, Some(Hold::Interrupt));
}

#[test]
fn what_the_broker_would_not_take_is_blocked_with_its_words() {
    let mut case = Case::on(Flavor::Kafka);
    case.server.refused.insert("orders".to_owned(), "Topic 'orders' collides with existing topic: or.ders".to_owned());
    let step = case.plan(&topic(&[]), None, None).unwrap();
    assert!(blocked(&step).contains("the broker refuses it: Topic 'orders' collides"), "{step:#?}");
    let step = case.plan(&topic(&[("write.caching", "true")]), None, None).unwrap();
    assert!(blocked(&step).contains("a config of Redpanda, and this is Kafka"), "{step:#?}");
    let step = kafka(&topic(&[("of.a.broker.to.come", "1")]), &there(&[], &[]), None).unwrap();
    assert!(blocked(&step).contains("neither nornplan nor this broker knows"), "{step:#?}");
    let step = Case::on(Flavor::Kafka).plan(&topic(&[("cleanup.policy", "compact")]), None, None).unwrap();
    assert!(step.hold.is_none() && step.notes[0].contains("without a key are refused"), "{step:#?}");
}
