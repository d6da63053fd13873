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
    /// Users whose saved form is another one than the node's, or that are only in one of the two; by node.
    pub users: BTreeMap<String, BTreeSet<String>>,
    /// The same of users that are nobody's business here: how many.
    pub others: usize,
}

impl Unsaved {
    /// As it is carried in an observation, if there is anything to say.
    pub fn observed(&self) -> Option<Observed> {
        if !self.by_earlier_run && self.users.is_empty() {
            return None;
        }
        let facts = serde_json::to_value(self).ok()?.as_object()?.clone().into_iter().collect();
        Some(Observed { facts, ..Observed::plain(Model::ValkeyPersistence(Persisted { saved: false })) })
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
        users.retain(|name| !written.contains(name.as_str()));
    }
    unsaved.users.retain(|_, users| !users.is_empty());
    if unsaved.observed().is_none() {
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
        let names = some(users, NAMES_SHOWN);
        notes.push(format!("{node}: correct now, lost at the next restart: {names}"));
    }
    match unsaved.others {
        0 => {}
        1 => notes.push("also saves 1 other user that somebody changed and did not save".to_owned()),
        count => notes.push(format!("also saves {count} other users that somebody changed and did not save")),
    }
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
