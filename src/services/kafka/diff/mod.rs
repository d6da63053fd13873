//! The steps that bring Kafka where the specs want it: pure.

mod acls;
mod deleted;
mod edges;
mod halfway;
mod losses;
mod managed;
mod redpanda;
mod risks;
mod staying;
mod takes_over;
#[cfg(test)]
mod tests;
mod topics;
mod users;

pub use edges::{reached, taken};
pub use halfway::is_halfway;
pub use risks::risks;
pub use staying::{keep_open_what_stays, keep_users_of_what_is_in_use};
pub use takes_over::{Declared, ask_about_takeovers};

use super::model::{ACL, Op as KafkaOp, TOPIC, USER};
use super::server::{Flavor, Server};
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::core::step::Action;
use crate::services::{Decision, DiffInput, Model, Op, Step, rotation};
pub use edges::opened;
pub use managed::managed as managed_topic;
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let server = Server::of(input.observation);
    let observed = input.observation.models().into_iter().map(|(address, model)| {
        let managed = managed(&address, model, &input, server.flavor);
        (address, managed)
    });
    let observed: BTreeMap<Address, Model> = observed.collect();
    let (wanted, applied) = compared(&input, &observed);
    let mut steps: Vec<Step> = reconcile(&wanted, &observed, &applied)
        .into_iter()
        // What was not read is neither made anew nor forgotten.
        .filter(|decision| !input.observation.unread.contains_key(&decision.address))
        .map(|decision| main_step(decision, &input, &server))
        .collect();
    let rotations = rotations(&input, &steps, &server);
    steps.extend(rotations);
    users::tell_known_passwords(&mut steps, &input);
    users::put_removals_last(&mut steps, &input);
    edges::add(&mut steps, &input);
    steps
}

/// What is managed of what was read.
fn managed(address: &Address, model: Model, input: &DiffInput<'_>, flavor: Flavor) -> Model {
    let Model::KafkaTopic(topic) = model else { return model };
    let wanted = input.wanted.get(address).and_then(|wanted| wanted.model.as_kafka_topic());
    let last = input.applied.get(address).and_then(|last| last.model.as_kafka_topic());
    Model::KafkaTopic(managed_topic(topic, wanted, last, flavor))
}

type Compared = (BTreeMap<Address, Wanted<Model>>, BTreeMap<Address, Applied<Model>>);

/// What is wanted and what was last applied, as they are compared with what there is.
fn compared(input: &DiffInput<'_>, observed: &BTreeMap<Address, Model>) -> Compared {
    let (mut wanted, mut applied) = (input.wanted.clone(), input.applied.clone());
    for (address, last) in &mut applied {
        let wanted = wanted.get_mut(address).map(|wanted| &mut wanted.model);
        if let (Model::KafkaTopic(last), Some(Model::KafkaTopic(wanted)), Some(there)) =
            (&mut last.model, wanted, observed.get(address).and_then(Model::as_kafka_topic))
        {
            managed::compare(last, wanted, there);
        }
    }
    (wanted, applied)
}

fn main_step(mut decision: Decision, input: &DiffInput<'_>, server: &Server) -> Step {
    if decision.action == Action::Destroy && decision.address.kind == USER && keeps_principal(&decision.address, input)
    {
        // The app looks after its credential itself from now on; its user stays.
        decision.action = Action::Forget;
        (decision.changes, decision.before) = (Vec::new(), None);
        decision.notes.push(
            "nornplan makes no password for it any more (credential = \"keep\", or kafka.user_mechanism = \"none\"): the \
             user stays as it is"
                .to_owned(),
        );
    }
    let op = match (decision.action, &decision.address.kind) {
        (Action::Adopt | Action::Forget | Action::Record, _) => Op::State,
        (Action::Destroy, kind) if *kind == USER => Op::Kafka(KafkaOp::DeleteUser),
        (Action::Destroy, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::DeleteTopic),
        (Action::Destroy, _) => Op::Kafka(KafkaOp::DeleteAcls),
        (_, kind) if *kind == USER => Op::Kafka(users::op(&decision)),
        (Action::Create, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::CreateTopic),
        (_, kind) if *kind == TOPIC => Op::Kafka(KafkaOp::AlterTopic),
        (Action::Create | Action::Update | Action::Replace | Action::Rotate | Action::Rename, _) => {
            Op::Kafka(KafkaOp::SetAcls)
        }
    };
    let sets_credential = op == Op::Kafka(KafkaOp::SetUser);
    let mut step = Step { sets_credential, ..decision.step(op) };
    judge(&mut step, input, server);
    topics::tell_adopted(&mut step, input);
    step
}

/// Whether a user that no infraspec sets a password for is still the principal of an app.
fn keeps_principal(user: &Address, input: &DiffInput<'_>) -> bool {
    input.wanted.contains_key(&Address::new(ACL, &user.name))
}

/// Fills in risks, notes and what makes a step impossible.
fn judge(step: &mut Step, input: &DiffInput<'_>, server: &Server) {
    let Op::Kafka(op) = step.op else { return };
    match op {
        KafkaOp::DeleteTopic => {
            deleted::judge_deleted(step, input);
            redpanda::judge_deleted(step, server);
        }
        KafkaOp::DeleteUser | KafkaOp::SetUser | KafkaOp::RemoveCredentials => {
            users::judge(step, op, server);
        }
        KafkaOp::CreateTopic => topics::judge_created(step, server),
        KafkaOp::AlterTopic => topics::judge_altered(step, input, server),
        KafkaOp::SetAcls => acls::judge(step, server),
        KafkaOp::DeleteAcls => {
            acls::judge(step, server);
            acls::judge_deleted(step, input);
        }
    }
}

/// Sets passwords of users that exist and match otherwise.
fn rotations(input: &DiffInput<'_>, steps: &[Step], server: &Server) -> Vec<Step> {
    let sets: BTreeSet<&Address> = steps.iter().filter(|step| step.sets_credential).map(|step| &step.address).collect();
    let users = input.wanted.iter().filter(|(address, _)| address.kind == USER && !sets.contains(address));
    users
        .filter_map(|(address, wanted)| {
            let seen = input.observation.resources.get(address)?;
            let reason = input.rotation_reason(address, wanted, seen.credential)?;
            let mut step = rotation(address, wanted, &seen.model, reason, Op::Kafka(KafkaOp::SetUser));
            judge(&mut step, input, server);
            Some(step)
        })
        .collect()
}
