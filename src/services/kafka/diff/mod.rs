//! The steps that bring Kafka where the specs want it: pure.

mod acls;
mod edges;
mod redpanda;
#[cfg(test)]
mod tests;
mod topics;

use super::model::{ACL, Op as KafkaOp, TOPIC, Topic, USER};
use super::server::Server;
use crate::core::address::Address;
use crate::core::reconcile::reconcile;
use crate::core::step::{Action, Risk};
use crate::services::{Decision, DiffInput, Model, Op, Step, rotation};
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let observed = input.observation.models().into_iter().map(|(address, model)| {
        let managed = managed(&address, model, &input);
        (address, managed)
    });
    let observed: BTreeMap<Address, Model> = observed.collect();
    let mut steps: Vec<Step> = reconcile(input.wanted, &observed, input.applied)
        .into_iter()
        .map(|decision| main_step(decision, &input))
        .collect();
    let rotations = rotations(&input, &steps);
    steps.extend(rotations);
    edges::add(&mut steps, &input);
    steps
}

/// Only configs that are declared, or were, are managed; the other overrides of a topic are not ours to see.
fn managed(address: &Address, model: Model, input: &DiffInput<'_>) -> Model {
    let Model::KafkaTopic(topic) = model else { return model };
    let known = [
        input.wanted.get(address).map(|wanted| &wanted.model),
        input.applied.get(address).map(|applied| &applied.model),
    ];
    let known: Vec<&Topic> = known.into_iter().flatten().filter_map(Model::as_kafka_topic).collect();
    Model::KafkaTopic(only_configs(topic, &known))
}

/// The topic with no other configs than those that one of the given topics names.
pub fn only_configs(mut topic: Topic, named_by: &[&Topic]) -> Topic {
    topic.config.retain(|key, _| named_by.iter().any(|other| other.config.contains_key(key)));
    topic
}

fn main_step(mut decision: Decision, input: &DiffInput<'_>) -> Step {
    if decision.action == Action::Destroy && decision.address.kind == USER && keeps_principal(&decision.address, input)
    {
        // The app looks after its credential itself from now on; its user stays.
        decision.action = Action::Forget;
        (decision.changes, decision.before) = (Vec::new(), None);
        decision.notes.push("credential = \"keep\": the user and its password stay as they are".to_owned());
    }
    let op = match (decision.action, &decision.address.kind) {
        (Action::Adopt | Action::Forget | Action::Record, _) => Op::State,
        (Action::Destroy, kind) if *kind == USER => Op::Kafka(KafkaOp::DeleteUser),
        (Action::Destroy, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::DeleteTopic),
        (Action::Destroy, _) => Op::Kafka(KafkaOp::DeleteAcls),
        (_, kind) if *kind == USER => Op::Kafka(KafkaOp::SetUser),
        (Action::Create, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::CreateTopic),
        (_, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::AlterTopic),
        (Action::Create | Action::Update | Action::Replace | Action::Rotate, _) => Op::Kafka(KafkaOp::SetAcls),
    };
    let sets_credential = op == Op::Kafka(KafkaOp::SetUser);
    let mut step = Step { sets_credential, ..decision.step(op) };
    judge(&mut step, input);
    step
}

/// Whether a user that no infraspec sets a password for is still the principal of an app.
fn keeps_principal(user: &Address, input: &DiffInput<'_>) -> bool {
    input.wanted.contains_key(&Address::new(ACL, &user.name))
}

/// Fills in risks, notes and what makes a step impossible.
fn judge(step: &mut Step, input: &DiffInput<'_>) {
    let Op::Kafka(op) = &step.op else { return };
    match op {
        KafkaOp::DeleteTopic => {
            topics::judge_deleted(step);
            redpanda::judge_deleted(step, &Server::of(input.observation));
        }
        KafkaOp::DeleteUser => {
            step.risks.insert(Risk::RemovesLogin);
        }
        KafkaOp::SetUser if step.action != Action::Create => {
            step.risks.insert(Risk::Interrupts);
        }
        KafkaOp::SetUser | KafkaOp::CreateTopic => {}
        KafkaOp::AlterTopic => topics::judge_altered(step),
        KafkaOp::SetAcls | KafkaOp::DeleteAcls => acls::judge(step, &Server::of(input.observation)),
    }
}

/// Sets passwords of users that exist and match otherwise.
fn rotations(input: &DiffInput<'_>, steps: &[Step]) -> Vec<Step> {
    let sets: BTreeSet<&Address> = steps.iter().filter(|step| step.sets_credential).map(|step| &step.address).collect();
    let users = input.wanted.iter().filter(|(address, _)| address.kind == USER && !sets.contains(address));
    users
        .filter_map(|(address, wanted)| {
            let seen = input.observation.resources.get(address)?;
            let reason = input.rotation_reason(address, wanted, seen.credential)?;
            Some(rotation(address, wanted, &seen.model, reason, Op::Kafka(KafkaOp::SetUser)))
        })
        .collect()
}
