//! An app that is called otherwise: what has its name by default gets the new one with it, and all that it has stays its
//! own. It is the former app until everything is done, so that a run that ends anywhere is gone on with. Pure.

use super::did_you_mean::{Sort, pairs, sort};
use crate::config::Move;
use crate::core::address::{APP, Address};
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::core::step::{Action, Part, Reason, StepId};
use crate::error::{Diagnostic, Kind, Result};
use crate::scope::Scope;
use crate::secrets::model::{Op as SecretOp, secret_address};
use crate::services::{Decision, Model, Op, Step};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// An app that has another name from now on.
#[derive(Clone, Debug)]
pub struct MovedApp {
    pub name: Move,
    /// Whether its values are published under the new name already.
    pub is_taken_over: bool,
    /// What was published for it under the former one.
    former: BTreeSet<String>,
}

impl MovedApp {
    pub fn new(name: Move, is_taken_over: bool, document: &Document) -> Self {
        let former = document.resources.get(&secret_address(&name.from.name));
        let former = former.and_then(|entry| entry.applied.as_secret());
        let former = former.map(|published| published.values.keys().cloned().collect()).unwrap_or_default();
        Self { name, is_taken_over, former }
    }
}

/// Whether there is anything left of an app under its former name, or nothing yet under its new one. It is renamed whole,
/// or not at all.
pub fn is_open(one: &Move, wanted: &BTreeMap<Address, Wanted<Model>>, document: &Document, scope: &Scope) -> bool {
    let in_scope = scope.services.is_empty()
        && wanted.values().any(|wanted| wanted.app.as_str() == one.to.name && scope.has_app(&wanted.app));
    in_scope && (document.has_app(&one.from.name) || !document.has_app(&one.to.name))
}

/// What follows an app's new name: where it had one of a sort under another name, and is to have one.
pub fn derived(open: &[&Move], wanted: &BTreeMap<Address, Wanted<Model>>, document: &Document) -> Vec<Move> {
    let named: BTreeSet<&Address> = open.iter().flat_map(|one| [&one.from, &one.to]).collect();
    let mut derived = Vec::new();
    for app in open.iter().filter(|one| one.from.kind == APP) {
        let is_its = |name: &AppName| [&app.from.name, &app.to.name].iter().any(|its| *its == name.as_str());
        let had = document.resources.iter().filter(|(address, entry)| {
            is_its(&entry.app) && !wanted.contains_key(*address) && !named.contains(address)
        });
        // What was made anew by a run that did not get to the end has its new name already.
        let gets = wanted.iter().filter(|(address, one)| is_its(&one.app) && !named.contains(address));
        let gets = gets.filter(|(address, one)| {
            let is_renamed = is_postgres(address);
            // A login that is made anew without a password is nobody's.
            if is_renamed { !document.resources.contains_key(*address) } else { one.model.generates_password() }
        });
        let had = by_sort(had.map(|(address, entry)| (address, &entry.applied)));
        let gets = by_sort(gets.map(|(address, one)| (address, &one.model)));
        let one =
            |(from, to): (&Address, &Address)| Move { from: from.clone(), to: to.clone(), place: app.place.clone() };
        derived.extend(pairs(&had, &gets).into_iter().map(one));
    }
    derived
}

/// An app that was made under the new name before it was said that the name is but another one: it has databases or roles
/// of its own where the former app has some too. What belongs to which nobody knows, so nothing is renamed.
///
/// # Errors
/// The first such, with the way out.
pub fn check(open: &[&Move], wanted: &BTreeMap<Address, Wanted<Model>>, document: &Document) -> Result<()> {
    for one in open.iter().filter(|one| one.from.kind == APP) {
        let named: BTreeSet<&Address> = open.iter().flat_map(|one| [&one.from, &one.to]).collect();
        let of_app = |app: &str, is_wanted: bool| {
            let is_its = move |address: &Address| wanted.contains_key(address) == is_wanted && is_postgres(address);
            let all = document.resources.iter().filter(|(address, entry)| is_its(address) && entry.app.as_str() == app);
            by_sort(
                all.filter(|(address, _)| !named.contains(address)).map(|(address, entry)| (address, &entry.applied)),
            )
        };
        let (left, made) = (of_app(&one.from.name, false), of_app(&one.to.name, true));
        let both = left.iter().find_map(|(sort, left)| Some((*left.first()?, *made.get(sort)?.first()?)));
        if let Some((left, made)) = both {
            let (from, to) = (&one.from.name, &one.to.name);
            let message = format!("{from} cannot be called {to} any more: {left} and {made} are both there by now");
            return Err(Diagnostic::new(Kind::Config, message).at(one.place.clone()).hint(format!(
                "take the move out, and let what is {from}'s go; or have {from}'s infraspec again in place of {to}'s, let what \
                 is {to}'s go with `nornplan apply --allow-destroy ..`, and move then"
            )));
        }
    }
    Ok(())
}

fn is_postgres(address: &Address) -> bool {
    address.service() == crate::services::ServiceId::Postgres.as_str()
}

fn by_sort<'a>(all: impl Iterator<Item = (&'a Address, &'a Model)>) -> BTreeMap<Sort, Vec<&'a Address>> {
    let mut sorts: BTreeMap<Sort, Vec<&Address>> = BTreeMap::new();
    for (address, model) in all {
        if let Some(sort) = sort(address, model) {
            sorts.entry(sort).or_default().push(address);
        }
    }
    sorts
}

/// Adds what an app needs of the sink. Everything else of it comes after its values are there under the new name, if they
/// are not yet; under the former one they go last, when it is told all its new names.
pub fn add(steps: &mut Vec<Step>, moved: &MovedApp, wanted: &BTreeMap<Address, Wanted<Model>>) {
    let MovedApp { name: one, is_taken_over, former: names } = moved;
    let (Ok(from), Ok(app)) = (AppName::new(one.from.name.as_str()), AppName::new(one.to.name.as_str())) else {
        return;
    };
    let (former, address) = (secret_address(from.as_str()), secret_address(app.as_str()));
    let published = wanted.get(&address).map(|wanted| wanted.model.clone());
    let step = |part, op| {
        let decision = Decision {
            address: address.clone(),
            app: app.clone(),
            action: Action::Rename,
            reasons: BTreeSet::from([Reason::Moved]),
            changes: Vec::new(),
            notes: Vec::new(),
            before: published.clone(),
            after: published.clone(),
        };
        Step { part, renamed_from: Some(former.clone()), ..decision.step(op) }
    };
    let tells = |step: &&Step| step.reasons.contains(&Reason::Moved) || step.address == address;
    let own = steps.iter().filter(|step| step.app == app).filter(tells).map(Step::id);
    let mut before_close: BTreeSet<StepId> = own.collect();
    let is_published = published.is_some();
    if is_published && !is_taken_over {
        let rename = step(Part::Rename, Op::Secrets(SecretOp::TakeOver { from: from.clone() }));
        for step in steps.iter_mut().filter(|step| step.app == app) {
            step.needs.insert(rename.id());
        }
        before_close.insert(rename.id());
        steps.push(rename);
    }
    let op = if is_published {
        Op::Secrets(SecretOp::RemoveFormer { from: from.clone(), names: names.clone() })
    } else {
        Op::State
    };
    let mut close = step(Part::Close, op);
    if is_published {
        close.notes.push(format!("what is published for {from} is removed when the app is told all its new names"));
    }
    close.needs = before_close;
    steps.push(close);
}
