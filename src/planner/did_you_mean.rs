//! Something goes and something like it comes: perhaps it was meant to have another name only. Pure.

use super::moved_roles;
use crate::core::address::{APP, Address};
use crate::core::name::AppName;
use crate::core::step::{Action, Part};
use crate::services::kafka::model::USER as KAFKA_USER;
use crate::services::postgres::model::{DATABASE, ROLE};
use crate::services::valkey::model::USER as KV_USER;
use crate::services::{Model, Step};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// What can be told apart within an app: there is one pair of a sort, or nobody knows which is which.
pub type Sort = (String, bool);

/// What goes and what comes of each app.
type Ends<'a> = BTreeMap<&'a AppName, BTreeMap<Sort, Vec<&'a Address>>>;

/// Says of what goes and of what comes in its place how a rename is written.
pub fn ask(steps: &mut [Step], document: &Document, declared: &BTreeSet<AppName>) {
    let (gone, come) = (ends(steps, Action::Destroy), ends(steps, Action::Create));
    let mut notes: Vec<(Address, String)> = Vec::new();
    for (app, gone) in &gone {
        let pairs = come.get(app).map(|come| pairs(gone, come)).unwrap_or_default();
        let follows = |pair: &(&Address, &Address)| pairs.iter().any(|lead| moved_roles::follows(*pair, *lead));
        let entries: Vec<_> = pairs.iter().filter(|pair| !follows(pair)).map(entry).collect();
        let note = format!("did you mean a rename? write at the end of nornplan.toml:{}", entries.concat());
        // Said where it hurts most, once on either side.
        let told = pairs.iter().find(|(from, _)| from.kind == DATABASE).or(pairs.first());
        notes.extend(told.into_iter().flat_map(|(from, to)| [from, to]).map(|end| ((*end).clone(), note.clone())));
    }
    if let Some((from, to)) = renamed_app(&gone, &come, document, declared) {
        let note = format!(
            "did you mean a rename of the app? then write at the end of nornplan.toml, before {to} is made:{}",
            entry(&(&Address::new(APP, from.as_str()), &Address::new(APP, to.as_str())))
        );
        for side in [gone.get(from), come.get(to)].into_iter().flatten() {
            let all = || side.values().flatten();
            let told = all().find(|address| address.kind == DATABASE).or(all().next());
            notes.extend(told.map(|address| ((*address).clone(), note.clone())));
        }
    }
    for step in steps.iter_mut().filter(|step| step.part == Part::Main) {
        step.notes.extend(notes.iter().filter(|(address, _)| *address == step.address).map(|(_, note)| note.clone()));
    }
}

/// One of `moved` as a table of its own, which may stand anywhere at the end of the file.
fn entry((from, to): &(&Address, &Address)) -> String {
    format!("\n[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"")
}

fn ends(steps: &[Step], action: Action) -> Ends<'_> {
    let mut ends = Ends::new();
    for step in steps.iter().filter(|step| step.action == action && step.part == Part::Main) {
        // A login that is made anew and gets no password is not what another one was.
        let is_remade = [KV_USER, KAFKA_USER].contains(&step.address.kind);
        if action == Action::Create && is_remade && !step.sets_credential {
            continue;
        }
        let sort = step.before.as_ref().or(step.after.as_ref()).and_then(|model| sort(&step.address, model));
        if let Some(sort) = sort {
            ends.entry(&step.app).or_default().entry(sort).or_default().push(&step.address);
        }
    }
    ends
}

/// Of what can have another name.
pub fn sort(address: &Address, model: &Model) -> Option<Sort> {
    let signs_in = if let Model::PostgresRole(role) = model { role.login } else { true };
    let can = [DATABASE, ROLE, KV_USER, KAFKA_USER].contains(&address.kind);
    can.then(|| (address.kind.to_string(), signs_in))
}

/// What goes and what comes, where there is one of a sort each.
pub fn pairs<'a>(
    gone: &BTreeMap<Sort, Vec<&'a Address>>,
    come: &BTreeMap<Sort, Vec<&'a Address>>,
) -> Vec<(&'a Address, &'a Address)> {
    let pair = |(sort, gone): (&Sort, &Vec<&'a Address>)| match (gone.as_slice(), come.get(sort)?.as_slice()) {
        ([from], [to]) => Some((*from, *to)),
        (_, _) => None,
    };
    gone.iter().filter_map(pair).collect()
}

/// One app has no infraspec any more, and one has its first: with as much of each sort.
fn renamed_app<'a>(
    gone: &Ends<'a>,
    come: &Ends<'a>,
    document: &Document,
    declared: &BTreeSet<AppName>,
) -> Option<(&'a AppName, &'a AppName)> {
    let known: BTreeSet<&AppName> = document.resources.values().map(|entry| &entry.app).collect();
    let vanished: Vec<_> = gone.iter().filter(|(app, _)| !declared.contains(**app)).collect();
    let new: Vec<_> = come.iter().filter(|(app, _)| !known.contains(**app)).collect();
    let ([(from, gone)], [(to, come)]) = (vanished.as_slice(), new.as_slice()) else { return None };
    let counts = |of: &BTreeMap<Sort, Vec<&Address>>| -> Vec<(Sort, usize)> {
        of.iter().map(|(sort, all)| (sort.clone(), all.len())).collect()
    };
    (counts(gone) == counts(come)).then_some((*from, *to))
}
