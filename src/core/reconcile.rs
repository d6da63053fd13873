//! Decides the action on every resource from what is wanted, what there is and what was last applied.

use super::address::Address;
use super::change::{Cause, FieldChange, Resource, three_way, whole};
use super::name::AppName;
use super::step::{Action, Part, Reason, Step};
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
    /// Sentences for the reader.
    pub notes: Vec<String>,
    pub before: Option<M>,
    pub after: Option<M>,
}

impl<M> Decision<M> {
    /// The step that carries the decision out, with nothing yet of what only its service knows.
    pub fn step<O>(self, op: O) -> Step<M, O> {
        let Self { address, app, action, reasons, changes, notes, before, after } = self;
        Step {
            address,
            part: Part::Main,
            app,
            action,
            reasons,
            risks: BTreeSet::new(),
            changes,
            notes,
            before,
            op,
            after,
            sets_credential: false,
            needs: BTreeSet::new(),
            exclusive: None,
            part_of: None,
            renamed_from: None,
            hold: None,
        }
    }
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
    let former = last.map(|last| &last.app).filter(|app| there.is_some() && **app != wanted.app);
    let decision = |action, reasons: &[Reason], changes| Decision {
        address: address.clone(),
        app: wanted.app.clone(),
        action,
        reasons: reasons.iter().copied().chain(former.map(|_| Reason::FromAnotherApp)).collect(),
        changes,
        notes: former.map(|former| moving(former, &wanted.app)).into_iter().collect(),
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
            Some(_) if comparison.record => {
                let reason = if comparison.only_rules { Reason::RulesChanged } else { Reason::ChangedInSpec };
                Some(decision(Action::Record, &[reason], Vec::new()))
            }
            Some(_) => former.map(|_| decision(Action::Record, &[], Vec::new())),
        };
    }
    let reasons: BTreeSet<Reason> =
        comparison.changes.iter().flat_map(|change| reasons_of(change.cause)).copied().collect();
    let reasons: Vec<Reason> = reasons.into_iter().collect();
    Some(decision(Action::Update, &reasons, comparison.changes))
}

/// What is said of anything that changes hands.
pub fn moving(former: &AppName, app: &AppName) -> String {
    format!("it belongs to the app {former} until now, and would be {app}'s from then on")
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
        notes: Vec::new(),
        before: there.cloned(),
        after: None,
    }
}

/// Why an action is in the plan that changes a field for a cause.
pub fn reasons_of(cause: Cause) -> &'static [Reason] {
    match cause {
        Cause::ChangedInSpec => &[Reason::ChangedInSpec],
        Cause::Drifted => &[Reason::Drifted],
        Cause::ChangedAndDrifted => &[Reason::ChangedInSpec, Reason::Drifted],
        Cause::RulesChanged => &[Reason::RulesChanged],
        Cause::NotOursYet => &[Reason::NotOursYet],
        Cause::WasAway => &[Reason::WasAway],
    }
}

#[cfg(test)]
#[path = "reconcile_table.rs"]
mod table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Kind;
    use crate::core::change::Field;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing(u8);

    impl Resource for Thing {
        fn fields(&self) -> Vec<Field> {
            vec![Field::new("x", self.0)]
        }
    }

    fn app(name: &str) -> AppName {
        AppName::new(name).unwrap()
    }

    #[test]
    fn what_moves_to_another_app_says_so_whatever_else_is_done_to_it() {
        let address = Address::new(Kind::new("test.thing"), "a");
        let case = |wanted, there: Option<u8>| {
            let wanted = BTreeMap::from([(address.clone(), Wanted { app: app("new"), model: Thing(wanted) })]);
            let there = there.map(|there| (address.clone(), Thing(there))).into_iter().collect();
            let last = BTreeMap::from([(address.clone(), Applied { app: app("old"), model: Thing(1) })]);
            let decision = reconcile(&wanted, &there, &last).remove(0);
            assert_eq!(decision.notes.is_empty(), there.is_empty());
            (decision.action, decision.reasons.into_iter().collect::<Vec<_>>())
        };
        use Reason::{ChangedInSpec, Drifted, FromAnotherApp, Vanished};
        assert_eq!(case(1, Some(1)), (Action::Record, vec![FromAnotherApp]));
        assert_eq!(case(2, Some(2)), (Action::Record, vec![ChangedInSpec, FromAnotherApp]));
        assert_eq!(case(2, Some(1)), (Action::Update, vec![ChangedInSpec, FromAnotherApp]));
        assert_eq!(case(1, Some(2)), (Action::Update, vec![Drifted, FromAnotherApp]));
        // What is gone from the service is nobody's.
        assert_eq!(case(1, None), (Action::Create, vec![Vanished]));
    }
}
