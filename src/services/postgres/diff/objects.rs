//! Objects in an app's database that belong to others: what is said about them, and what adopting them takes away.

use super::View;
use super::facts::fact;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::plan::{Level, Notice};
use crate::core::reconcile::Wanted;
use crate::core::step::Risk;
use crate::services::postgres::model::belongings::{Belongings, FACT, several};
use crate::services::postgres::model::{Database, grant_address, role_address};
use crate::services::{Ask, DiffInput, Model, Observation, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Says what a step on a database means for the objects of others in it, but those of the app's former users.
pub fn note(view: &View, step: &mut Step, database: &Database, input: DiffInput<'_>) {
    let user = &view.user(&database.name);
    let mut others = others(&step.address, input.observation);
    if let Some(handover) = view.handovers.get(&database.name) {
        others.retain(|owner, _| !handover.is_from(owner));
    }
    if database.objects_of_others.is_none() || !database.former_users.is_empty() {
        step.notes.extend(
            others.iter().map(|(owner, one)| cannot_use(owner, one, database, user, is_of_an_app(owner, input))),
        );
        return;
    }
    for (owner, one) in &others {
        step.risks.insert(Risk::Interrupts);
        let keeps = input.wanted.contains_key(&grant_address(&database.name, owner));
        step.notes.push(moves(owner, one, user, &step.app, input.wanted, keeps));
    }
    let definers: u64 = others.values().map(|one| one.definers).sum();
    if definers > 0 {
        let verb = if definers == 1 { "runs" } else { "run" };
        let functions = several(definers, "SECURITY DEFINER function");
        step.notes.push(format!("{functions} among them then {verb} with the rights of {user}"));
    }
}

/// What the apps cannot use in databases that no step changes: it is always said.
pub fn unusable(ask: &Ask, observation: &Observation) -> Vec<Notice> {
    let foreign = |address: &&Address| !others(address, observation).is_empty();
    if !ask.wanted.keys().any(|address| foreign(&address)) {
        return Vec::new();
    }
    let input = DiffInput {
        wanted: &ask.wanted,
        applied: &ask.applied,
        observation,
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    };
    let view = View::of(input);
    let steps = super::diff(input);
    let changed: BTreeSet<&Address> =
        steps.iter().filter(|step| !step.action.only_state()).map(|step| &step.address).collect();
    let mut notices = Vec::new();
    for (address, wanted) in ask.wanted.iter().filter(|(address, _)| !changed.contains(address)) {
        let Model::PostgresDatabase(database) = &wanted.model else { continue };
        let user = view.user(&database.name);
        let say = |(owner, one): (&String, &Belongings)| Notice {
            level: Level::Warning,
            about: "postgres".to_owned(),
            text: format!("{address}: {}", cannot_use(owner, one, database, &user, is_of_an_app(owner, input))),
        };
        notices.extend(others(address, observation).iter().map(say));
    }
    notices
}

/// What belongs to others in a database, by owner.
fn others(address: &Address, observation: &Observation) -> BTreeMap<String, Belongings> {
    fact(observation, address, FACT)
}

/// No role of an app can be a migrator.
fn is_of_an_app(role: &str, input: DiffInput<'_>) -> bool {
    let address = role_address(role);
    input.wanted.contains_key(&address) || input.applied.contains_key(&address)
}

fn cannot_use(owner: &str, one: &Belongings, database: &Database, user: &str, of_an_app: bool) -> String {
    let belong = if one.total() == 1 { "belongs" } else { "belong" };
    let mut text = format!(
        "{} {belong} to {owner}, which the app cannot use: `adopt_objects = true` makes {} {user}'s",
        one.words(),
        if one.total() == 1 { "it" } else { "them" }
    );
    if !one.superuser && !of_an_app && database.migrator.is_none() {
        let them = if one.total() == 1 { "it" } else { "them" };
        text.push_str(&format!(", `migrator = {owner:?}` gives privileges on {them}"));
    }
    text
}

/// Who loses what; of who `keeps` what the infraspec gives it another note says so.
fn moves(
    owner: &str,
    one: &Belongings,
    user: &str,
    app: &AppName,
    wanted: &BTreeMap<Address, Wanted<Model>>,
    keeps: bool,
) -> String {
    let verb = if one.total() == 1 { "becomes" } else { "become" };
    let mut text = format!("{} of {owner} {verb} {user}'s", one.words());
    if keeps {
        return text;
    }
    if !one.superuser {
        text.push_str(&format!("; {owner} ({} here now) loses its access", several(one.sessions, "session")));
    }
    let signs_in = wanted.get(&role_address(owner)).filter(|role| role.app != *app);
    if let Some(role) = signs_in {
        text.push_str(&format!(": it is the login of the app {}", role.app));
    }
    text
}
