//! A new password without a moment in which neither works: it is accepted beside the former one, published, and only then
//! does the former one go.

use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::core::step::{Action, Hold, Part, Reason, StepId};
use crate::services::valkey::model::{EXTRA_PASSWORDS, FORMER_PASSWORD, Op as UserOp, User};
use crate::services::{DiffInput, Model, Observed, Op, Step, rotation};
use std::collections::BTreeSet;

/// The steps that give a user that exists a new password. An app that has the user no longer may not sign in for another
/// moment, so there its password goes at once.
pub fn replace(
    address: &Address,
    wanted: &Wanted<Model>,
    there: &Observed,
    reason: Reason,
    hold: Option<Hold>,
) -> Vec<Step> {
    let set = |op: UserOp, note: &str| Step {
        notes: vec![note.to_owned()],
        hold: hold.clone(),
        ..rotation(address, wanted, &there.model, reason, Op::Valkey(op))
    };
    if reason == Reason::FromAnotherApp {
        return vec![set(UserOp::SetPassword, "connections stay; whoever signs in anew needs the published password")];
    }
    let note = if reason == Reason::CredentialUnknown {
        "connections stay; the password that the app uses now stops working for new ones; credential = \"keep\" in the \
         infraspec leaves it alone"
    } else {
        "connections stay; the former password is accepted until the new one is published"
    };
    let add = set(UserOp::AddPassword, note);
    let remove = Step {
        part: Part::Close,
        // What changes the user comes before.
        before: add.after.clone(),
        op: Op::Valkey(UserOp::RemoveFormerPasswords),
        sets_credential: false,
        notes: Vec::new(),
        needs: BTreeSet::from([StepId { address: address.clone(), part: Part::Credential }]),
        ..add.clone()
    };
    vec![add, remove]
}

/// Whether a user whose password people keep is left without one: servers throw passwords away when `nopass` is set.
pub fn leaves_none(there: &User, wanted: &User) -> bool {
    there.nopass && !wanted.nopass && wanted.enabled
}

pub fn threw_away(name: &str) -> String {
    format!(
        "this removes nopass, which threw its passwords away: nobody can sign in as it until you set one (ACL SETUSER \
         {name} >...)"
    )
}

/// A former password that a rotation did not get to remove is nobody's drift.
pub fn tell_unfinished(steps: &mut [Step], input: DiffInput<'_>) {
    for step in steps.iter_mut().filter(|step| step.action == Action::Update) {
        let there = input.observation.resources.get(&step.address);
        let is_left = there.is_some_and(|there| there.facts.contains_key(FORMER_PASSWORD));
        let extra = step.changes.iter().find(|change| change.field == EXTRA_PASSWORDS);
        let Some(extra) = extra.filter(|_| is_left) else { continue };
        step.notes.push(if extra.before == 1 {
            "it is the former one: a rotation did not finish".to_owned()
        } else {
            "one of them is the former one: a rotation did not finish".to_owned()
        });
        step.reasons.insert(Reason::UnfinishedRun);
        if extra.before == 1 && step.changes.len() == 1 {
            step.reasons.remove(&Reason::Drifted);
        }
    }
}
