//! The steps that bring Valkey where the specs want it: pure.

mod as_declared;
mod away;
mod default_user;
mod halfway;
mod losses;
mod passwords;
mod risks;
mod starts_empty;
mod takes_over;
mod words;

pub use as_declared::{Amiss, not_as_declared};
pub use halfway::is_halfway;
pub use risks::risks;
pub use takes_over::ask_about_takeovers;
pub use words::Teller;

use super::model::{KEYS, Op as UserOp, USER, User};
use super::presets::{Expansion, Server};
use super::{rights, unsaved};
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::core::step::{Action, Hold, Risk};
use crate::services::valkey::possible::impossible;
use crate::services::{Decision, DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let server: Option<Server> = serde_json::from_value(input.observation.server.clone()).ok();
    let server = server.as_ref();
    let expansion = server.map(Expansion::on);
    let wanted: BTreeMap<Address, Wanted<Model>> = input
        .wanted
        .iter()
        .filter(|(address, _)| [USER, KEYS].contains(&address.kind))
        .map(|(address, wanted)| {
            let Some(declared) = wanted.model.as_valkey_user() else {
                return (address.clone(), wanted.clone());
            };
            let user = expansion.as_ref().map_or_else(|| declared.clone(), |expansion| expansion.of(declared));
            let model = Model::ValkeyUser(user);
            (address.clone(), Wanted { app: wanted.app.clone(), model })
        })
        .collect();
    let applied = input.applied.iter().filter(|(address, _)| [USER, KEYS].contains(&address.kind));
    let applied: BTreeMap<Address, Applied<Model>> =
        applied.map(|(address, applied)| (address.clone(), as_of_now(applied, server))).collect();
    let mut decisions = reconcile(&wanted, &input.observation.models(), &applied);
    decisions.iter_mut().for_each(|decision| away::tell_from_drift(decision, &input.observation.nodes));
    let (keys, decisions) = losses::take_keys(decisions);
    let teller = Teller::new(server.map(|server| &server.catalogue));
    let mut steps: Vec<Step> = Vec::new();
    for decision in decisions {
        let last = applied.get(&decision.address).and_then(|last| last.model.as_valkey_user());
        steps.push(step(decision, last, server, &teller));
    }
    passwords::tell_unfinished(&mut steps, input);
    let set: BTreeSet<Address> =
        steps.iter().filter(|step| step.sets_credential).map(|step| step.address.clone()).collect();
    for (address, wanted) in wanted.iter().filter(|(address, _)| !set.contains(*address)) {
        let Some(there) = input.observation.resources.get(address) else { continue };
        if !wanted.model.generates_password() {
            continue;
        }
        if let Some(reason) = input.rotation_reason(address, wanted, there.credential) {
            steps.extend(passwords::replace(address, wanted, there, reason, blocked(address, Action::Rotate, server)));
        }
    }
    losses::destroy(&mut steps, keys, input, server);
    starts_empty::mark(&mut steps, input, server);
    let unread = &input.observation.unread;
    steps.iter_mut().for_each(|step| away::keep_for_absent(step, unread));
    steps.extend(default_user::diff(input, server));
    unsaved::add(&mut steps, input.observation);
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

fn step(decision: Decision, last: Option<&User>, server: Option<&Server>, teller: &Teller<'_>) -> Step {
    let Decision { address, action, before, after, changes, notes, .. } = &decision;
    let (there, wanted) =
        (before.as_ref().and_then(Model::as_valkey_user), after.as_ref().and_then(Model::as_valkey_user));
    let mut risks = BTreeSet::new();
    let (mut changes, mut notes) = (changes.clone(), notes.clone());
    let ours = after.as_ref().is_some_and(Model::generates_password);
    let mut sets_credential = false;
    let mut asks = None;
    let op = match action {
        Action::Create | Action::Rename => {
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
                let told = teller.tell(there, wanted, last);
                risks.extend(told.risks);
                changes.splice(0..0, told.changes);
                notes.extend(told.notes);
                if !ours && passwords::leaves_none(there, wanted) {
                    risks.insert(Risk::Interrupts);
                    notes.push(passwords::threw_away(&wanted.name));
                    asks = Some(Hold::Interrupt);
                }
            }
            Op::Valkey(UserOp::SetUser)
        }
        Action::Destroy => {
            risks.insert(Risk::RemovesLogin);
            Op::Valkey(UserOp::DelUser)
        }
        Action::Rotate => Op::Valkey(UserOp::SetPassword),
        Action::Adopt | Action::Forget | Action::Record => Op::State,
    };
    let cannot = || impossible(wanted?, server?).filter(|_| !action.only_state());
    let hold = blocked(address, *action, server).or_else(|| cannot().map(|reason| Hold::Blocked { reason })).or(asks);
    Step { risks, changes, notes, sets_credential, hold, ..decision.step(op) }
}

/// What cannot be done here, whoever consents.
fn blocked(address: &Address, action: Action, server: Option<&Server>) -> Option<Hold> {
    let server = server.filter(|_| !action.only_state())?;
    let call = if action == Action::Destroy { "acl|deluser" } else { "acl|setuser" };
    let is_ours = address.name == "default" || address.name == server.admin;
    let reason = if address.kind == USER && is_ours {
        format!("{} is the user that nornplan or everybody signs in as: it is never changed", address.name)
    } else if !server.catalogue.knows(call) {
        let call = call.replace('|', " ").to_uppercase();
        format!(
            "this server has no {call}, as managed offerings have it or an operator who renames commands: make the user in \
             the offering's own console, and say credential = \"keep\" under [services.kv]"
        )
    } else {
        rights::missing(action, server)?
    };
    Some(Hold::Blocked { reason })
}

#[cfg(test)]
mod tests;
