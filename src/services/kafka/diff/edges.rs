//! In which order steps are carried out.

use crate::core::address::Address;
use crate::core::step::{Action, StepId};
use crate::services::kafka::acl::authorizer::is_about;
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp, TOPIC, topic_address, user_address};
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// user, topics -> ACLs; and the other way round ACLs -> user -> topics. Steps that are not in the plan count as done.
pub fn add(steps: &mut [Step], input: &DiffInput<'_>) {
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
    for step in steps.iter_mut() {
        if step.action == Action::Destroy {
            step.needs.extend(takes.get(&step.address).into_iter().flatten().cloned());
            if step.address.kind == TOPIC {
                step.needs.extend(users_gone.get(step.app.as_str()).into_iter().flatten().cloned());
            }
        } else if let Some(acl) = step.after.as_ref().and_then(Model::as_kafka_acl) {
            let needed = topics_named(acl).chain([user_address(&step.address.name)]);
            let needed = needed.filter(|address| input.wanted.contains_key(address)).map(StepId::main);
            step.needs.extend(needed);
        }
    }
}

/// What a step takes away from a principal.
pub fn taken(step: &Step) -> BTreeSet<Binding> {
    let bindings = |model: &Option<Model>| {
        model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
    };
    &bindings(&step.before) - &bindings(&step.after)
}

/// Which of the topics an ACL is about: by name, by prefix, or as it is about every topic.
pub fn reached<'a>(binding: &'a Binding, topics: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
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
