//! Decides the action on every resource from what is wanted, what there is and what was last applied.

use super::address::Address;
use super::change::{Cause, FieldChange, Resource, three_way, whole};
use super::name::AppName;
use super::step::{Action, Reason};
use std::collections::{BTreeMap, BTreeSet};

/// A resource that an infraspec declares, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted<M> {
    pub app: AppName,
    pub model: M,
}

/// A resource that the state says is ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied<M> {
    pub app: AppName,
    pub model: M,
}

/// What to do with one resource; a service's differ turns it into steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<M> {
    pub address: Address,
    pub app: AppName,
    pub action: Action,
    pub reasons: BTreeSet<Reason>,
    pub changes: Vec<FieldChange>,
    pub before: Option<M>,
    pub after: Option<M>,
}

/// Decides for every address that is wanted or ours, in address order; what needs nothing is left out.
///
/// `observed` holds what exists. The caller vouches that it could be read: what is missing from it does not exist.
pub fn reconcile<M: Resource + Clone>(
    wanted: &BTreeMap<Address, Wanted<M>>,
    observed: &BTreeMap<Address, M>,
    applied: &BTreeMap<Address, Applied<M>>,
) -> Vec<Decision<M>> {
    let addresses: BTreeSet<&Address> = wanted.keys().chain(applied.keys()).collect();
    addresses
        .into_iter()
        .filter_map(|address| {
            let there = observed.get(address);
            let last = applied.get(address);
            match wanted.get(address) {
                Some(wanted) => keep(address, wanted, there, last),
                None => last.map(|last| give_up(address, last, there)),
            }
        })
        .collect()
}

fn keep<M: Resource + Clone>(
    address: &Address,
    wanted: &Wanted<M>,
    there: Option<&M>,
    last: Option<&Applied<M>>,
) -> Option<Decision<M>> {
    let fields = wanted.model.fields();
    let decision = |action, reasons: &[Reason], changes| Decision {
        address: address.clone(),
        app: wanted.app.clone(),
        action,
        reasons: reasons.iter().copied().collect(),
        changes,
        before: there.cloned(),
        after: Some(wanted.model.clone()),
    };
    let Some(there) = there else {
        let (reason, cause) = match last {
            Some(_) => (Reason::Vanished, Cause::Drifted),
            None => (Reason::Declared, Cause::ChangedInSpec),
        };
        return Some(decision(Action::Create, &[reason], whole(&fields, true, cause)));
    };
    let last_fields = last.map(|last| last.model.fields());
    let comparison = three_way(&fields, &there.fields(), last_fields.as_deref());
    if comparison.changes.is_empty() {
        return match last {
            None => Some(decision(Action::Adopt, &[Reason::NotOursYet], Vec::new())),
            Some(last) if comparison.record || last.app != wanted.app => {
                Some(decision(Action::Record, &[Reason::ChangedInSpec], Vec::new()))
            }
            Some(_) => None,
        };
    }
    let reasons: BTreeSet<Reason> =
        comparison.changes.iter().flat_map(|change| reasons_of(change.cause)).copied().collect();
    let reasons: Vec<Reason> = reasons.into_iter().collect();
    Some(decision(Action::Update, &reasons, comparison.changes))
}

fn give_up<M: Resource + Clone>(address: &Address, last: &Applied<M>, there: Option<&M>) -> Decision<M> {
    let (action, changes) = match there {
        Some(there) => (Action::Destroy, whole(&there.fields(), false, Cause::ChangedInSpec)),
        None => (Action::Forget, Vec::new()),
    };
    Decision {
        address: address.clone(),
        app: last.app.clone(),
        action,
        reasons: BTreeSet::from([Reason::NoLongerDeclared]),
        changes,
        before: there.cloned(),
        after: None,
    }
}

fn reasons_of(cause: Cause) -> &'static [Reason] {
    match cause {
        Cause::ChangedInSpec => &[Reason::ChangedInSpec],
        Cause::Drifted => &[Reason::Drifted],
        Cause::ChangedAndDrifted => &[Reason::ChangedInSpec, Reason::Drifted],
        Cause::RulesChanged => &[Reason::RulesChanged],
        Cause::NotOursYet => &[Reason::NotOursYet],
    }
}
