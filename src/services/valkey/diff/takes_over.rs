//! A place that another app has its keys at, by what was last applied: who gets it gets those keys, and is asked about. Pure.

use super::losses::{holdings_of, in_words};
use super::starts_empty::may_move;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Reason, Risk};
use crate::services::valkey::place::Place;
use crate::services::{DiffInput, Model, Step};
use std::collections::BTreeMap;

/// Lets a user wait for consent that gets to keys which are another app's until now.
pub fn mark(steps: &mut [Step], input: DiffInput<'_>) {
    let taken = places(input);
    for step in steps.iter_mut().filter(|step| may_move(step)) {
        let of = |model: &Option<Model>| Place::of(model.as_ref()?.as_valkey_user()?);
        let Some(next) = of(&step.after) else { continue };
        let last = input.applied.get(&step.address).filter(|last| last.app == step.app);
        if last.is_some_and(|last| last.model.as_valkey_user().and_then(Place::of).as_ref() == Some(&next)) {
            continue;
        }
        let whole = Place { namespace: None, db: next.db };
        let met: Vec<_> = match next.namespace {
            None => taken.iter().filter(|(place, _)| place.db == next.db).collect(),
            Some(_) => [&next, &whole].into_iter().filter_map(|place| taken.get_key_value(place)).collect(),
        };
        let others: Vec<_> = met.into_iter().filter(|(_, (app, _))| **app != step.app).collect();
        for (place, (app, address)) in &others {
            let keys = in_words(&holdings_of(address, input)).map(|keys| format!(", {keys}")).unwrap_or_default();
            let note = format!("what lies {} is {app}'s until now{keys}: {} gets it", place.describe(), step.app);
            if !step.notes.contains(&note) {
                step.notes.push(note);
            }
        }
        if !others.is_empty() {
            step.reasons.insert(Reason::TakesOver);
            step.risks.insert(Risk::WidensAccess);
        }
    }
}

/// Where which app had its keys at the last apply, or left some that are to go with it.
fn places(input: DiffInput<'_>) -> BTreeMap<Place, (&AppName, &Address)> {
    let place = |model: &Model| match (model.as_valkey_user(), model.as_valkey_keys()) {
        (Some(user), _) => Place::of(user),
        (None, Some(keys)) => Some(Place::of_keys(keys)),
        (None, None) => None,
    };
    input.applied.iter().filter_map(|(address, last)| Some((place(&last.model)?, (&last.app, address)))).collect()
}
