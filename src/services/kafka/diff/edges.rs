//! In which order steps are carried out.

use crate::core::address::Address;
use crate::core::step::{Action, StepId};
use crate::services::kafka::model::{Acl, Op as KafkaOp, TOPIC, topic_address, user_address};
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// user, topics -> ACLs; and the other way round ACLs -> user -> topics. Steps that are not in the plan count as done.
pub fn add(steps: &mut [Step], input: &DiffInput<'_>) {
    let mut takes: BTreeMap<Address, BTreeSet<StepId>> = BTreeMap::new();
    let mut users_gone: BTreeMap<String, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter() {
        let id = step.id();
        match step.op {
            Op::Kafka(KafkaOp::SetAcls | KafkaOp::DeleteAcls) => {
                for topic in step.before.as_ref().and_then(Model::as_kafka_acl).into_iter().flat_map(topics_named) {
                    takes.entry(topic).or_default().insert(id.clone());
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

/// The topics that ACLs name one by one.
fn topics_named(acl: &Acl) -> impl Iterator<Item = Address> {
    acl.bindings.iter().filter(|one| one.resource == "topic" && !one.prefixed).map(|one| topic_address(&one.name))
}
