//! What becomes of users.

use crate::core::address::Address;
use crate::core::change::{Cause, FieldChange};
use crate::core::listing::some;
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::services::kafka::model::{Op as KafkaOp, User};
use crate::services::kafka::server::Server;
use crate::services::{Decision, DiffInput, Model, Op, Step};
use serde_json::Value;
use std::collections::BTreeSet;

/// Mechanisms and programs that a sentence names at most.
const NAMED: usize = 3;

const OTHERS: &str = "other_mechanisms";

/// What carries out a change: more credentials than one can go without a new password for the one that stays.
pub fn op(decision: &Decision) -> KafkaOp {
    let only_others = decision.changes.iter().all(|change| change.field == OTHERS);
    if decision.action == Action::Update && only_others { KafkaOp::RemoveCredentials } else { KafkaOp::SetUser }
}

/// Fills in the risks of a step on a user, and says whom it meets.
pub fn judge(step: &mut Step, op: KafkaOp, server: &Server) {
    match op {
        KafkaOp::DeleteUser => {
            step.risks.insert(Risk::RemovesLogin);
            let ends = server.reauthenticates_ms.is_some_and(|ms| ms > 0);
            let until = if ends { "" } else { ", until a user of this name is given some again" };
            step.notes.push(format!("{}; without its ACLs they may do nothing any more{until}", sessions(server)));
            step.notes.push(
                "what its consumer groups committed on topics that stay is kept until Kafka expires it \
                 (offsets.retention.minutes)"
                    .to_owned(),
            );
            step.notes.extend(tokens(server));
        }
        KafkaOp::RemoveCredentials => {
            step.risks.insert(Risk::Interrupts);
            let others = user(&step.before).map(|user| mechanisms_beside(user, user)).unwrap_or_default();
            step.notes.push(format!(
                "it has a second way in, {}, with a password that nornplan did not set: it is removed, and whoever signs in \
                 so is refused",
                some(&others, NAMED)
            ));
            step.notes.push(sessions(server));
        }
        KafkaOp::SetUser if step.action != Action::Create => {
            step.risks.insert(Risk::Interrupts);
            step.notes.push(sessions(server));
            step.notes.extend(tokens(server));
        }
        KafkaOp::SetUser
        | KafkaOp::CreateTopic
        | KafkaOp::AlterTopic
        | KafkaOp::DeleteTopic
        | KafkaOp::SetAcls
        | KafkaOp::DeleteAcls => {}
    }
}

/// Says of each user whose password is somebody else's that it is, where it is taken over and where it gets a new one.
pub fn tell_known_passwords(steps: &mut [Step], input: &DiffInput<'_>) {
    let is_somebodys = |step: &&Step| {
        let reasons = &step.reasons;
        let known = reasons.contains(&Reason::CredentialUnknown) || reasons.contains(&Reason::CredentialWrong);
        step.part == Part::Credential && known && input.may_be_known_elsewhere(&step.address)
    };
    let known: BTreeSet<Address> = steps.iter().filter(is_somebodys).map(|step| step.address.clone()).collect();
    for step in steps.iter_mut().filter(|step| known.contains(&step.address)) {
        match step.part {
            Part::Credential => step.notes.push(
                "the password that it has now is somebody else's: it gets no more ACLs before a new one is set; credential = \
                 \"keep\" in the infraspec leaves it alone"
                    .to_owned(),
            ),
            Part::Main if step.reasons.contains(&Reason::NotOursYet) => {
                step.notes.push("whoever made it knows its password, and signs in as it until it gets a new one".to_owned());
            }
            Part::Stage | Part::Main | Part::Publish | Part::Close | Part::Save | Part::Rename => {}
        }
    }
}

/// Makes the removal of credentials of other mechanisms a step of its own, after the new one works and is published. What
/// the app itself was told to sign in by may be in use still, so that its removal asks.
pub fn put_removals_last(steps: &mut Vec<Step>, input: &DiffInput<'_>) {
    for step in steps.iter_mut().filter(|step| step.op == Op::Kafka(KafkaOp::RemoveCredentials)) {
        let last = input.applied.get(&step.address).and_then(|last| last.model.as_kafka_user());
        let (Some(before), Some(after)) = (user(&step.before), user(&step.after)) else { continue };
        let given = last.map(all_mechanisms).unwrap_or_default();
        let former: BTreeSet<String> = &mechanisms_beside(before, after) & &given;
        if !former.is_empty() {
            // A new password that somebody asks for does not wait for it.
            step.part = Part::Close;
            ask_about_former(step, &former);
        }
    }
    let removals: Vec<Step> = steps.iter_mut().filter_map(removal).collect();
    steps.extend(removals);
}

fn removal(step: &mut Step) -> Option<Step> {
    if step.op != Op::Kafka(KafkaOp::SetUser) || step.part != Part::Main {
        return None;
    }
    let (before, after) = (user(&step.before)?, user(&step.after)?);
    let others = mechanisms_beside(before, after);
    if others.is_empty() {
        return None;
    }
    let former: BTreeSet<String> = match (&before.mechanism, &after.mechanism) {
        (Some(had), Some(has)) if had != has => BTreeSet::from([had.clone()]),
        (_, _) => BTreeSet::new(),
    };
    let both = Some(Model::KafkaUser(User { other_mechanisms: Some(others.clone()), ..after.clone() }));
    step.changes.retain(|change| change.field != OTHERS);
    let change = FieldChange {
        field: OTHERS.to_owned(),
        before: serde_json::to_value(&others).unwrap_or_default(),
        after: Vec::<Value>::new().into(),
        cause: step.changes.first().map_or(Cause::Drifted, |change| change.cause),
    };
    let mut removal = Step {
        part: Part::Close,
        changes: vec![change],
        notes: Vec::new(),
        before: both.clone(),
        op: Op::Kafka(KafkaOp::RemoveCredentials),
        sets_credential: false,
        needs: BTreeSet::from([StepId::main(step.address.clone())]),
        ..step.clone()
    };
    step.after = both;
    if !former.is_empty() {
        ask_about_former(&mut removal, &former);
        // A credential beside those that there are takes nothing away.
        if !step.reasons.contains(&Reason::NotOursYet) && others == former {
            step.risks.remove(&Risk::Interrupts);
        }
    }
    Some(removal)
}

/// Lets the removal of what the app was told to sign in by wait for consent.
fn ask_about_former(step: &mut Step, former: &BTreeSet<String>) {
    step.hold = Some(Hold::Interrupt);
    step.notes = vec![format!(
        "clients that still sign in by {}, with the former password, are refused from then on",
        some(former, NAMED)
    )];
}

/// The mechanisms of all credentials that a user has.
fn all_mechanisms(user: &User) -> BTreeSet<String> {
    user.other_mechanisms.iter().flatten().chain(&user.mechanism).cloned().collect()
}

fn user(model: &Option<Model>) -> Option<&User> {
    model.as_ref()?.as_kafka_user()
}

/// The mechanisms of all credentials that a user has, but the one that it shall keep.
fn mechanisms_beside(has: &User, keeps: &User) -> BTreeSet<String> {
    all_mechanisms(has).into_iter().filter(|mechanism| Some(mechanism) != keeps.mechanism.as_ref()).collect()
}

/// What a new password, or none, is to those who are signed in.
pub fn sessions(server: &Server) -> String {
    match server.reauthenticates_ms {
        Some(0) => "sessions that are open stay open until they reconnect (connections.max.reauth.ms is 0)".to_owned(),
        Some(ms) => {
            format!("sessions that are open go on for at most {} s (connections.max.reauth.ms)", ms.div_ceil(1000))
        }
        None => "sessions that are open stay open until they reconnect, unless the broker's connections.max.reauth.ms \
                 ends them"
            .to_owned(),
    }
}

/// Delegation tokens are ways in that no password closes.
pub fn tokens(server: &Server) -> Option<String> {
    (server.delegation_tokens == Some(true)).then(|| {
        "delegation tokens that it made for itself sign in until they expire: kafka-delegation-tokens.sh --describe, \
         --expire"
            .to_owned()
    })
}
