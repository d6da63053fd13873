//! A place that another app has its keys at, by what was last applied: who gets it gets those keys, and is asked about. Pure.

use super::losses::in_words;
use super::starts_empty::may_move;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Reason, Risk};
use crate::services::valkey::model::Holdings;
use crate::services::valkey::place::Place;
use crate::services::{Model, Observation, Step};
use std::collections::BTreeMap;

/// Where an app had its keys at the last apply, or left some that are to go with it.
type Places<'a> = BTreeMap<Place, (&'a AppName, &'a Address)>;

/// Lets a user wait for consent that gets to keys which are another app's until now. `ours` is all that is ours, of whatever
/// app: the other one may be left out of this run.
pub fn ask_about_takeovers<'a>(
    steps: &mut [Step],
    ours: impl Iterator<Item = (&'a Address, &'a AppName, &'a Model)>,
    observation: &Observation,
) {
    let places: Places<'_> = ours.filter_map(|(address, app, model)| Some((place(model)?, (app, address)))).collect();
    for step in steps.iter_mut().filter(|step| may_move(step)) {
        let Some(next) = step.after.as_ref().and_then(place) else { continue };
        let others = others_at(&places, &next, &step.app);
        for (place, app, address) in &others {
            let holdings = observation.resources.get(address).map(|there| Holdings::of(&there.facts));
            let keys = holdings.and_then(|holdings| in_words(&holdings)).map(|keys| format!(", {keys}"));
            let keys = keys.unwrap_or_default();
            step.notes.push(format!("what lies {} is {app}'s until now{keys}: {} gets it", place.describe(), step.app));
        }
        if !others.is_empty() {
            step.reasons.insert(Reason::TakesOver);
            step.risks.insert(Risk::WidensAccess);
        }
    }
}

fn place(model: &Model) -> Option<Place> {
    match (model.as_valkey_user(), model.as_valkey_keys()) {
        (Some(user), _) => Place::of(user),
        (None, Some(keys)) => Some(Place::of_keys(keys)),
        (None, None) => None,
    }
}

fn others_at<'a>(places: &Places<'a>, next: &Place, app: &AppName) -> Vec<(Place, &'a AppName, &'a Address)> {
    let whole = Place { namespace: None, db: next.db };
    let met: Vec<_> = match next.namespace {
        None => places.iter().filter(|(place, _)| place.db == next.db).collect(),
        Some(_) => [next, &whole].into_iter().filter_map(|place| places.get_key_value(place)).collect(),
    };
    let others = met.into_iter().filter(|(_, (other, _))| *other != app);
    others.map(|(place, (other, address))| (place.clone(), *other, *address)).collect()
}
