//! The step that saves what the nodes have and would lose at the next restart. Pure.

use super::model::{Op as Do, Persisted, persistence_address};
use crate::core::change::{Cause, Resource, three_way};
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::step::{Action, Part, Reason};
use crate::services::{Decision, Model, Observation, Observed, Op, Step};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names that are spelled out in one note; more are counted.
const NAMES_SHOWN: usize = 5;

/// What is known of it beside the managed fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsaved {
    /// An earlier run ended between setting users and saving them.
    pub by_earlier_run: bool,
    /// Users whose saved form is another one than the node's, or that are only in one of the two, by node; and what a
    /// restart would make of each.
    pub users: BTreeMap<String, BTreeMap<String, Fate>>,
    /// The same of users that are nobody's business here.
    pub others: BTreeSet<String>,
}

/// What a restart makes of a user that is saved otherwise than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Whoever knows its name would be let in.
    NeedsNoPassword,
    /// Rules that allow what those of now do not.
    MayMore,
    TakesMorePasswords,
    /// It was removed.
    ComesBack,
    /// It would be gone or off, or have other passwords or less rights.
    Lost,
}

impl Fate {
    /// Before the names of users.
    fn tell(self) -> &'static str {
        match self {
            Self::NeedsNoPassword => "correct now, open to everybody without a password after the next restart",
            Self::MayMore => "correct now, with more rights after the next restart",
            Self::TakesMorePasswords => "correct now, with more passwords after the next restart",
            Self::ComesBack => "removed, and there again after the next restart",
            Self::Lost => "correct now, lost at the next restart",
        }
    }
}

impl Unsaved {
    /// As it is carried in an observation, if there is anything to say.
    pub fn observed(&self) -> Option<Observed> {
        if *self == Self::default() {
            return None;
        }
        let facts = serde_json::to_value(self).ok()?.as_object()?.clone().into_iter().collect();
        Some(Observed { facts, ..Observed::plain(Model::ValkeyPersistence(Persisted { saved: !self.is_ours() })) })
    }

    /// Whether what is ours would be lost.
    fn is_ours(&self) -> bool {
        self.by_earlier_run || !self.users.is_empty()
    }

    /// What saving does beside what it is done for.
    fn of_others(&self) -> Option<String> {
        let count = match self.others.len() {
            0 => return None,
            1 => "1 other user".to_owned(),
            count => format!("{count} other users"),
        };
        let names = some(&self.others, NAMES_SHOWN);
        Some(format!("this also saves {count} that somebody changed and did not save: {names}"))
    }

    fn read(observation: &Observation) -> Option<Self> {
        let observed = observation.resources.get(&persistence_address())?;
        serde_json::from_value(observed.facts.clone().into_iter().collect()).ok()
    }
}

/// Adds the step that saves, before all others: where saving fails, nothing is changed, and what the state forgets is
/// saved before. Users that are to be written anyway are saved with that.
pub fn add(steps: &mut Vec<Step>, observation: &Observation) {
    let Some(mut unsaved) = Unsaved::read(observation) else { return };
    let written: BTreeSet<&str> =
        steps.iter().filter(|step| step.op != Op::State).map(|step| step.address.name.as_str()).collect();
    for users in unsaved.users.values_mut() {
        users.retain(|name, _| !written.contains(name.as_str()));
    }
    unsaved.users.retain(|_, users| !users.is_empty());
    if !unsaved.is_ours() {
        let first = steps.iter_mut().filter(|step| step.op != Op::State).min_by_key(|step| step.id());
        first.into_iter().for_each(|step| step.notes.extend(unsaved.of_others()));
        return;
    }
    let step = save(&unsaved);
    for other in steps.iter_mut() {
        other.needs.insert(step.id());
    }
    steps.push(step);
}

fn save(unsaved: &Unsaved) -> Step {
    let (before, after) = (Persisted { saved: false }, Persisted { saved: true });
    let mut changes = three_way(&after.fields(), &before.fields(), Some(&after.fields())).changes;
    changes.iter_mut().for_each(|change| change.cause = Cause::Drifted);
    let mut notes = Vec::new();
    if unsaved.by_earlier_run {
        notes.push("an earlier run ended before it had saved what it set: the next restart may lose that".to_owned());
    }
    for (node, users) in &unsaved.users {
        let mut by_fate: BTreeMap<Fate, Vec<&String>> = BTreeMap::new();
        users.iter().for_each(|(name, fate)| by_fate.entry(*fate).or_default().push(name));
        let told = by_fate.into_iter();
        notes.extend(told.map(|(fate, names)| format!("{node}: {}: {}", fate.tell(), some(names, NAMES_SHOWN))));
    }
    notes.extend(unsaved.of_others());
    let decision = Decision {
        address: persistence_address(),
        app: AppName::workspace(),
        action: Action::Update,
        reasons: BTreeSet::from([Reason::NotSaved]),
        changes,
        notes,
        before: Some(Model::ValkeyPersistence(before)),
        after: Some(Model::ValkeyPersistence(after)),
    };
    Step { part: Part::Save, ..decision.step(Op::Valkey(Do::Save)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::step::StepId;
    use crate::services::valkey::model::user_address;

    fn step(name: &str, op: Op) -> Step {
        let decision = Decision {
            address: user_address(name),
            app: AppName::new(name).unwrap(),
            action: Action::Update,
            reasons: BTreeSet::new(),
            changes: Vec::new(),
            notes: Vec::new(),
            before: None,
            after: None,
        };
        decision.step(op)
    }

    /// What is planned beside the setting of `set` and the forgetting of `gone`.
    fn planned(unsaved: &Unsaved) -> (Option<Step>, Vec<Step>) {
        let mut steps = vec![step("set", Op::Valkey(Do::SetUser)), step("gone", Op::State)];
        let resources = unsaved.observed().map(|observed| (persistence_address(), observed)).into_iter().collect();
        add(&mut steps, &Observation { resources, ..Observation::default() });
        let saves = steps.iter().position(|step| step.part == Part::Save).map(|place| steps.remove(place));
        (saves, steps)
    }

    fn lost(names: &[&str]) -> Unsaved {
        let names = names.iter().map(|name| ((*name).to_owned(), Fate::Lost)).collect();
        Unsaved { users: BTreeMap::from([("n:1".to_owned(), names)]), ..Unsaved::default() }
    }

    #[test]
    fn what_is_written_anyway_is_saved_with_that_and_all_else_waits_for_its_saving() {
        assert!(planned(&Unsaved::default()).0.is_none());
        assert!(planned(&lost(&["set"])).0.is_none());
        for unsaved in [lost(&["set", "gone"]), Unsaved { by_earlier_run: true, ..lost(&["set"]) }] {
            let (saves, others) = planned(&unsaved);
            let saves = saves.unwrap();
            let first = BTreeSet::from([StepId { address: persistence_address(), part: Part::Save }]);
            assert!(others.iter().all(|step| step.needs == first && step.notes.is_empty()));
            assert!(saves.needs.is_empty() && !saves.notes.iter().any(|note| note.contains("set,")), "{saves:#?}");
        }
        let (saves, _) = planned(&lost(&["gone", "a", "b", "c", "d", "e"]));
        let notes = saves.unwrap().notes;
        assert_eq!(notes, ["n:1: correct now, lost at the next restart: a, b, c, d, e and 1 more"]);
    }

    #[test]
    fn what_other_people_did_not_save_is_told_once_and_is_no_reason_to_save() {
        let two = || BTreeSet::from(["deploy".to_owned(), "ops".to_owned()]);
        let (saves, others) = planned(&Unsaved { others: two(), ..Unsaved::default() });
        let told = "this also saves 2 other users that somebody changed and did not save: deploy, ops".to_owned();
        assert!(saves.is_none());
        let notes: Vec<(&str, &[String])> =
            others.iter().map(|step| (step.address.name.as_str(), step.notes.as_slice())).collect();
        assert_eq!(notes, [("set", &[told.clone()][..]), ("gone", &[][..])]);
        let (saves, others) = planned(&Unsaved { others: two(), ..lost(&["gone"]) });
        assert!(saves.unwrap().notes.contains(&told) && others.iter().all(|step| step.notes.is_empty()));
    }
}
