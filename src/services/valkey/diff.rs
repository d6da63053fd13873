//! The steps that bring Valkey where the specs want it: pure.

use super::model::{Op as UserOp, User};
use super::presets::{Server, expand};
use super::words::Teller;
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::core::step::{Action, Hold, Reason, Risk};
use crate::services::{Decision, DiffInput, Model, Observed, Op, Step, rotation};
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let server: Option<Server> = serde_json::from_value(input.observation.server.clone()).ok();
    let server = server.as_ref();
    let wanted: BTreeMap<Address, Wanted<Model>> = input
        .wanted
        .iter()
        .filter_map(|(address, wanted)| {
            let declared = wanted.model.as_valkey_user()?;
            let there = input.observation.resources.get(address);
            let model = Model::ValkeyUser(meant(declared, there, server));
            Some((address.clone(), Wanted { app: wanted.app.clone(), model }))
        })
        .collect();
    let applied = input.applied.iter().map(|(address, applied)| (address.clone(), as_of_now(applied, server)));
    let decisions = reconcile(&wanted, &input.observation.models(), &applied.collect());
    let teller = Teller::new(server.map(|server| &server.catalogue));
    let mut steps: Vec<Step> = decisions.into_iter().map(|decision| step(decision, server, &teller)).collect();
    let set: BTreeSet<Address> =
        steps.iter().filter(|step| step.sets_credential).map(|step| step.address.clone()).collect();
    for (address, wanted) in wanted.iter().filter(|(address, _)| !set.contains(*address)) {
        let Some(there) = input.observation.resources.get(address) else { continue };
        if !wanted.model.generates_password() {
            continue;
        }
        if let Some(reason) = input.rotation_reason(address, wanted, there.credential) {
            steps.push(new_password(address, wanted, there, reason, server));
        }
    }
    steps.sort_by_key(Step::id);
    steps
}

/// What was applied on a version that had no rules for databases let it into all of them.
fn as_of_now(applied: &Applied<Model>, server: Option<&Server>) -> Applied<Model> {
    let mut applied = applied.clone();
    if let Model::ValkeyUser(user) = &mut applied.model
        && server.is_some_and(|server| server.database_rules)
        && user.commands.is_some()
    {
        user.databases.get_or_insert_with(|| "alldbs".to_owned());
    }
    applied
}

/// The declared user with its rules on this server. Whether it has a password is not ours to say if people keep it.
fn meant(declared: &User, there: Option<&Observed>, server: Option<&Server>) -> User {
    let mut user = server.map_or_else(|| declared.clone(), |server| expand(declared, server));
    if declared.generated == Some(false)
        && let Some(there) = there.and_then(|there| there.model.as_valkey_user())
    {
        user.nopass = there.nopass;
    }
    user
}

fn step(decision: Decision, server: Option<&Server>, teller: &Teller<'_>) -> Step {
    let Decision { address, action, before, after, notes, .. } = &decision;
    let (there, wanted) =
        (before.as_ref().and_then(Model::as_valkey_user), after.as_ref().and_then(Model::as_valkey_user));
    let mut risks = BTreeSet::new();
    let mut notes = notes.clone();
    let ours = after.as_ref().is_some_and(Model::generates_password);
    let mut sets_credential = false;
    let op = match action {
        Action::Create => {
            sets_credential = ours;
            if !ours {
                notes.push("nornplan sets no password for it: nobody can sign in as it until somebody does".to_owned());
            }
            Op::Valkey(UserOp::SetUser)
        }
        Action::Update | Action::Replace => {
            if let (Some(there), Some(wanted)) = (there, wanted) {
                // Whoever signs in with just any password today must have the right one afterwards.
                sets_credential = ours && there.nopass;
                let told = teller.tell(there, wanted);
                risks.extend(told.risks);
                notes.extend(told.notes);
            }
            Op::Valkey(UserOp::SetUser)
        }
        Action::Destroy => {
            risks.insert(Risk::RemovesLogin);
            notes.push("whoever is signed in as it is cut off; its keys stay".to_owned());
            Op::Valkey(UserOp::DelUser)
        }
        Action::Rotate => Op::Valkey(UserOp::SetPassword),
        Action::Adopt | Action::Forget | Action::Record => Op::State,
    };
    let hold = blocked(address, *action, server);
    Step { risks, notes, sets_credential, hold, ..decision.step(op) }
}

fn new_password(
    address: &Address,
    wanted: &Wanted<Model>,
    there: &Observed,
    reason: Reason,
    server: Option<&Server>,
) -> Step {
    let step = rotation(address, wanted, &there.model, reason, Op::Valkey(UserOp::SetPassword));
    let notes = vec!["connections stay; whoever signs in anew needs the published password".to_owned()];
    Step { notes, hold: blocked(address, Action::Rotate, server), ..step }
}

/// What cannot be done here, whoever consents.
fn blocked(address: &Address, action: Action, server: Option<&Server>) -> Option<Hold> {
    let server = server.filter(|_| !action.only_state())?;
    let call = if action == Action::Destroy { "acl|deluser" } else { "acl|setuser" };
    let reason = if address.name == "default" || address.name == server.admin {
        format!("{} is the user that nornplan or everybody signs in as: it is never changed", address.name)
    } else if !server.catalogue.knows(call) {
        let call = call.replace('|', " ").to_uppercase();
        format!("this server has no {call}: managed offerings have users made in their own console")
    } else {
        return None;
    };
    Some(Hold::Blocked { reason })
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
