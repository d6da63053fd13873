//! What destroying a user and its keys would lose, in words; and whether the keys may go at all. Pure.

use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::step::{Action, Hold, Part, Risk};
use crate::services::valkey::model::{Holdings, KEYS, Keys, Op as UserOp, USER, keys_address};
use crate::services::valkey::place::{Fate, Place, fate};
use crate::services::valkey::presets::Server;
use crate::services::valkey::rights;
use crate::services::{Decision, DiffInput, Model, Op, Step};

/// Users that a sentence names at most.
const NAMED: usize = 5;

/// Completes the steps that destroy users, and adds those of their keys.
pub fn destroy(steps: &mut Vec<Step>, keys: Vec<Decision>, input: DiffInput<'_>, server: Option<&Server>) {
    let mut keys: Vec<Step> = keys.into_iter().filter_map(|decision| keys_step(decision, input, server)).collect();
    for step in &mut keys {
        let users = steps.iter().filter(|user| user.app == step.app && user.part == Part::Main);
        // Nobody can write there any more when they go.
        step.needs.extend(users.map(Step::id).filter(|_| step.action == Action::Destroy));
    }
    for step in steps.iter_mut().filter(|step| step.action == Action::Destroy && step.address.kind == USER) {
        let go = keys.iter().filter(|keys| keys.action == Action::Destroy && keys.app == step.app);
        step.notes = user_notes(&step.address, &go.map(|keys| &keys.address).collect::<Vec<_>>(), input);
        if is_in_use(step, input) {
            step.risks.insert(Risk::Interrupts);
        }
    }
    steps.extend(keys);
}

/// What was found of a resource's keys and clients.
pub fn holdings_of(address: &Address, input: DiffInput<'_>) -> Holdings {
    input.observation.resources.get(address).map(|there| Holdings::of(&there.facts)).unwrap_or_default()
}

fn is_in_use(step: &Step, input: DiffInput<'_>) -> bool {
    step.action == Action::Destroy && holdings_of(&step.address, input).clients.is_some_and(|clients| clients > 0)
}

/// A namespace is purged only if its app is gone and no infraspec has anything to do with it. Nothing is done to keys that
/// an app leaves behind: they go with it, under their own address.
fn keys_step(mut decision: Decision, input: DiffInput<'_>, server: Option<&Server>) -> Option<Step> {
    if decision.action != Action::Destroy {
        let keys = decision.after.as_ref().and_then(Model::as_valkey_keys);
        if let (Action::Adopt, Some(keys)) = (decision.action, keys) {
            decision.notes.push(format!("keys {} go when the app is destroyed", where_they_lie(&Place::of_keys(keys))));
        }
        return Some(decision.step(Op::State));
    }
    let keys: Keys = decision.before.as_ref().and_then(Model::as_valkey_keys)?.clone();
    match fate(&keys, &decision.app, input.wanted, input.applied) {
        Fate::Purged => {}
        Fate::Remembered => return None,
        Fate::Forgotten(why) => {
            decision.action = Action::Forget;
            decision.changes.clear();
            decision.before = None;
            decision.notes = vec![why];
            return Some(decision.step(Op::State));
        }
    }
    let holdings = holdings_of(&decision.address, input);
    let mut step = decision.step(Op::Valkey(UserOp::PurgeKeys));
    if !holdings.are_none() {
        step.risks.insert(Risk::LosesData);
    }
    step.notes.push(match in_words(&holdings) {
        Some(told) => format!("holds {told}"),
        None => format!("what it holds is not known{}", why_unread(&holdings)),
    });
    let lacking = server.and_then(rights::missing_to_purge).map(|reason| Hold::Blocked { reason });
    step.hold = lacking.or_else(|| reached(&step.address, &keys.namespace, &holdings));
    Some(step)
}

/// What is in the way if users of other apps can use the keys.
fn reached(address: &Address, namespace: &str, holdings: &Holdings) -> Option<Hold> {
    holdings.reached_by.as_ref().map(|users| Hold::Blocked {
        reason: format!(
            "{} may use keys of {namespace}:* by rules of their own, so they are not removed: take these rules away or \
             destroy the user first; or keep the keys with `nornplan state forget {}`",
            some(users, NAMED),
            address
        ),
    })
}

fn user_notes(address: &Address, go: &[&Address], input: DiffInput<'_>) -> Vec<String> {
    let holdings = holdings_of(address, input);
    let mut notes = vec![match holdings.clients {
        Some(0) => "nobody is signed in as it".to_owned(),
        Some(1) => format!(
            "1 client is signed in as it: stop the app first, or have it cut off by --allow-interrupt {address}"
        ),
        Some(clients) => format!(
            "{clients} clients are signed in as it: stop the app first, or have them cut off by --allow-interrupt {address}"
        ),
        None => "whoever is signed in as it is cut off".to_owned(),
    }];
    notes.extend(holdings.sentinels.as_ref().map(|sentinels| {
        format!(
            "a user of this name stays on the sentinels {}: destroy it with sentinel_users = true, or run ACL DELUSER \
             there",
            some(sentinels, NAMED)
        )
    }));
    let last = input.applied.get(address).and_then(|last| last.model.as_valkey_user());
    let Some(place) = last.and_then(Place::of) else {
        notes.push("its keys stay".to_owned());
        return notes;
    };
    let purges = |keys: Keys| go.contains(&&keys_address(&keys));
    notes.push(if place.keys().is_some_and(purges) {
        format!("its keys go after it: {}", some(go, NAMED))
    } else {
        let lie = where_they_lie(&place);
        match in_words(&holdings) {
            Some(_) if holdings.are_none() => format!("no keys lie {lie}"),
            Some(told) if place.namespace.is_some() => {
                format!("its keys stay: {told}, {lie}; on_destroy = \"purge-keys\" would remove them")
            }
            Some(told) => format!("its keys stay: {told}, {lie}"),
            None => format!("its keys stay: how many is not known{}", why_unread(&holdings)),
        }
    });
    notes
}

/// Where keys lie; the first database goes without saying.
fn where_they_lie(place: &Place) -> String {
    let told = place.describe();
    told.strip_suffix(" in database 0").map(str::to_owned).unwrap_or(told)
}

/// Why something is not known, in parentheses.
pub fn why_unread(holdings: &Holdings) -> String {
    holdings.unread.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
}

/// What is there: `about 12,000 keys, 3.4 MiB (sampled)`.
pub fn in_words(holdings: &Holdings) -> Option<String> {
    let keys = holdings.keys?;
    if holdings.are_none() {
        return Some("no keys".to_owned());
    }
    let sampled = holdings.sampled == Some(true);
    if keys == 0 {
        return Some("no keys in the part that was looked at (sampled)".to_owned());
    }
    let count = if sampled { format!("about {}", Holdings::count(round(keys))) } else { Holdings::count(keys) };
    let size = holdings.size_bytes.map(|bytes| format!(", about {}", size(bytes))).unwrap_or_default();
    Some(format!("{count}{size}{}", if sampled { " (sampled)" } else { "" }))
}

/// Two digits: an estimate has no more.
fn round(number: u64) -> u64 {
    let digits = number.checked_ilog10().unwrap_or_default();
    let unit = 10_u64.pow(digits.saturating_sub(1));
    number / unit * unit
}

fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    fits.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

/// Takes the decisions on keys from among all.
pub fn take_keys(decisions: Vec<Decision>) -> (Vec<Decision>, Vec<Decision>) {
    decisions.into_iter().partition(|decision| decision.address.kind == KEYS)
}

#[cfg(test)]
#[path = "losses_tests.rs"]
mod tests;
