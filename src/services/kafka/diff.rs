//! The steps that bring Kafka where the specs want it: pure.

use super::model::{ACL, Acl, Binding, Op as KafkaOp, TOPIC, Topic, USER, topic_address, user_address};
use crate::core::address::Address;
use crate::core::reconcile::reconcile;
use crate::core::step::{Action, Hold, Risk, StepId};
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
    add_edges(&mut steps, &input);
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
    let authorizer = input.observation.server.get("authorizer").and_then(serde_json::Value::as_bool);
    let acls = |model: &Option<Model>| {
        model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
    };
    let (had, has) = (acls(&step.before), acls(&step.after));
    match op {
        KafkaOp::DeleteTopic => {
            step.risks.insert(Risk::LosesData);
            step.notes.push("all its messages are lost; Kafka has no way back".to_owned());
        }
        KafkaOp::DeleteUser => {
            step.risks.insert(Risk::RemovesLogin);
        }
        KafkaOp::SetUser if step.action != Action::Create => {
            step.risks.insert(Risk::Interrupts);
        }
        KafkaOp::SetUser | KafkaOp::CreateTopic => {}
        KafkaOp::AlterTopic => judge_topic(step),
        KafkaOp::SetAcls | KafkaOp::DeleteAcls => {
            let takes = |binding: &&Binding| binding.allow;
            if had.difference(&has).any(|binding| takes(&binding)) || has.difference(&had).any(|one| !one.allow) {
                step.risks.insert(Risk::Interrupts);
            }
            let gives = has.difference(&had).any(|one| one.allow) || had.difference(&has).any(|one| !one.allow);
            if gives && step.action != Action::Create && *op == KafkaOp::SetAcls {
                step.risks.insert(Risk::WidensAccess);
            }
            if authorizer == Some(false) {
                let reason = "the broker has no authorizer, so it keeps no ACLs; set authorizer.class.name on it";
                step.hold = Some(Hold::Blocked { reason: reason.to_owned() });
            }
        }
    }
}

fn judge_topic(step: &mut Step) {
    let (Some(before), Some(after)) =
        (step.before.as_ref().and_then(Model::as_kafka_topic), step.after.as_ref().and_then(Model::as_kafka_topic))
    else {
        return;
    };
    let block = |reason: String| Some(Hold::Blocked { reason });
    match (before.partitions, after.partitions) {
        (Some(there), Some(wanted)) if wanted < there => {
            step.hold = block(format!(
                "Kafka cannot take partitions away: {} has {there} and {wanted} are declared; declare {there}, or make \
                 another topic",
                after.name
            ));
        }
        (Some(there), Some(wanted)) if wanted > there => step.notes.push(
            "keys go to other partitions from then on: the order of one key's messages does not hold across the change"
                .to_owned(),
        ),
        (Some(_) | None, Some(_) | None) => {}
    }
    if let (Some(there), Some(wanted)) = (before.replication, after.replication)
        && there != wanted
    {
        step.hold = block(format!(
            "the replication factor of {} is {there} and {wanted} is declared; changing it is a reassignment, for which \
             the broker's own tools are needed",
            after.name
        ));
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

/// user, topics -> ACLs; and the other way round ACLs -> user -> topics. Steps that are not in the plan count as done.
fn add_edges(steps: &mut [Step], input: &DiffInput<'_>) {
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
