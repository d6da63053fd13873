//! In which order steps are carried out.

use crate::core::address::Address;
use crate::core::step::{Action, Part, Risk, StepId};
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp, TOPIC, USER, topic_address, user_address};
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// user, topics -> ACLs (those that another app has until now by prefixes too); and the other way round ACLs -> user -> topics. Steps that are not in the plan count as done.
///
/// A user that somebody else may sign in as gets a new password, and loses all others, before it gets any right.
pub fn add(steps: &mut [Step], input: &DiffInput<'_>) {
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
            let needed = topics_named(acl).chain([user_address(&step.address.name)]);
            let needed = needed.filter(|address| input.wanted.contains_key(address)).map(StepId::main);
            step.needs.extend(needed);
            if gives(step) {
                let under_prefixes = acl.bindings.iter().flat_map(|binding| reached(binding, &moving));
                step.needs.extend(under_prefixes.map(|topic| StepId::main(topic_address(topic))));
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
    let bindings = |model: &Option<Model>| {
        model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
    };
    &bindings(&step.before) - &bindings(&step.after)
}

/// Which of the topics an ACL is about, by name or by prefix.
pub fn reached<'a>(binding: &'a Binding, topics: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
    let name = &binding.name;
    let from_there = topics.range::<String, _>(name..).take_while(move |topic| topic.starts_with(name.as_str()));
    from_there.filter(move |topic| binding.resource == "topic" && (binding.prefixed || *topic == name))
}

/// The topics that ACLs name one by one.
fn topics_named(acl: &Acl) -> impl Iterator<Item = Address> {
    acl.bindings.iter().filter(|one| one.resource == "topic" && !one.prefixed).map(|one| topic_address(&one.name))
}
