//! In which order steps are carried out.

use super::acls::bindings;
use crate::core::address::Address;
use crate::core::step::{Action, Part, Risk, StepId};
use crate::services::kafka::acl::authorizer::is_about;
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp, TOPIC, USER, topic_address, user_address};
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// user, new topics, topics that another app has until now -> ACLs; and the other way round ACLs -> user -> topics. Steps
/// that are not in the plan count as done.
///
/// Kafka takes ACLs on topics that are not there, so that they come after the topics that are made, and wait for no topic
/// that cannot be made or is only changed: one topic that is held or blocked holds nothing else of its app.
/// A user that somebody else may sign in as gets a new password, and loses all others, before it gets any right.
pub fn add(steps: &mut [Step], input: &DiffInput<'_>) {
    let made = steps.iter().filter(|step| step.op == Op::Kafka(KafkaOp::CreateTopic) && step.runs());
    let made: BTreeSet<Address> = made.map(|step| step.address.clone()).collect();
    let closed = steps.iter().filter(|step| closes_to_others(step, input));
    let mut closed_by: BTreeMap<String, BTreeSet<StepId>> = BTreeMap::new();
    for step in closed {
        closed_by.entry(step.address.name.clone()).or_default().insert(step.id());
    }
    let going = steps.iter().filter(|step| step.action == Action::Destroy && step.address.kind == TOPIC);
    let going: BTreeSet<String> = going.map(|step| step.address.name.clone()).collect();
    let mut takes: BTreeMap<Address, BTreeSet<StepId>> = BTreeMap::new();
    let mut users_gone: BTreeMap<String, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter() {
        let id = step.id();
        match step.op {
            Op::Kafka(KafkaOp::SetAcls | KafkaOp::DeleteAcls) => {
                for topic in taken(step).iter().flat_map(|binding| reached(binding, &going)) {
                    takes.entry(topic_address(topic)).or_default().insert(id.clone());
                }
                if step.action == Action::Destroy {
                    takes.entry(user_address(&step.address.name)).or_default().insert(id);
                }
            }
            Op::Kafka(KafkaOp::DeleteUser) => {
                users_gone.entry(step.app.to_string()).or_default().insert(id);
            }
            Op::Kafka(_) | Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Secrets(_) => {}
        }
    }
    let moving = steps.iter().filter(|step| step.address.kind == TOPIC && step.moves());
    let moving: BTreeSet<String> = moving.map(|step| step.address.name.clone()).collect();
    for step in steps.iter_mut() {
        if step.action == Action::Destroy {
            step.needs.extend(takes.get(&step.address).into_iter().flatten().cloned());
            if step.address.kind == TOPIC {
                step.needs.extend(users_gone.get(step.app.as_str()).into_iter().flatten().cloned());
            }
        } else if let Some(acl) = step.after.as_ref().and_then(Model::as_kafka_acl) {
            let user = Some(user_address(&step.address.name)).filter(|user| input.wanted.contains_key(user));
            let needed = topics_named(acl).filter(|topic| made.contains(topic)).chain(user);
            step.needs.extend(needed.map(StepId::main));
            if gives(step) {
                let of_others = acl.bindings.iter().flat_map(|binding| reached(binding, &moving));
                step.needs.extend(of_others.map(|topic| StepId::main(topic_address(topic))));
                step.needs.extend(closed_by.get(&step.address.name).into_iter().flatten().cloned());
            }
        }
    }
}

/// Whether a step ends that somebody else may sign in as a user: another password, or no second credential any more.
fn closes_to_others(step: &Step, input: &DiffInput<'_>) -> bool {
    let of_user = step.address.kind == USER && matches!(step.part, Part::Credential | Part::Close);
    of_user && input.may_be_known_elsewhere(&step.address)
}

/// Whether a step on ACLs lets a user do more than before. What only takes rights away waits for nothing.
fn gives(step: &Step) -> bool {
    step.op == Op::Kafka(KafkaOp::SetAcls)
        && (step.action == Action::Create || step.risks.contains(&Risk::WidensAccess))
}

/// What a step takes away from a principal.
pub fn taken(step: &Step) -> BTreeSet<Binding> {
    &bindings(step.before.as_ref()) - &bindings(step.after.as_ref())
}

/// Which of the topics a user may do something to when a step is done, and nothing before.
pub fn opened<'a>(step: &Step, topics: &'a BTreeSet<String>) -> BTreeSet<&'a String> {
    let may_use = |model: &Option<Model>| -> BTreeSet<&'a String> {
        let all = bindings(model.as_ref());
        all.iter().filter(|binding| binding.allow).flat_map(|binding| reached(binding, topics)).collect()
    };
    &may_use(&step.after) - &may_use(&step.before)
}

/// Which of the topics an ACL is about: by name, by prefix, or as it is about every topic.
pub fn reached<'a>(binding: &Binding, topics: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
    let start = if binding.is_every() { "" } else { binding.name.as_str() };
    let from_there = topics.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    let near = from_there.take_while(move |topic| topic.starts_with(start));
    near.filter(move |topic| is_about(binding, "topic", topic))
}

/// The topics that ACLs name one by one.
fn topics_named(acl: &Acl) -> impl Iterator<Item = Address> {
    acl.bindings.iter().filter(|one| one.resource == "topic" && !one.prefixed).map(|one| topic_address(&one.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_is_about_topics_by_name_by_prefix_or_all() {
        let topics: BTreeSet<String> = ["a", "mail.in", "mail.out", "mailbox"].map(str::to_owned).into();
        let cases: [(&str, &[&str]); 6] = [
            ("allow read topic mail.in", &["mail.in"]),
            ("allow read topic mail. (prefix)", &["mail.in", "mail.out"]),
            ("allow read topic *", &["a", "mail.in", "mail.out", "mailbox"]),
            ("allow read topic * (prefix)", &[]),
            ("allow read topic \"\" (prefix)", &["a", "mail.in", "mail.out", "mailbox"]),
            ("allow read group *", &[]),
        ];
        for (text, expected) in cases {
            let binding = Binding::try_from(text.to_owned()).unwrap();
            assert_eq!(reached(&binding, &topics).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
