//! What our rights do not reach of what is wanted or ours, told at once for `nornplan doctor`. Pure.
//!
//! The plan's own functions decide: whatever they say to us and would not say to a superuser is a right that we lack.

use super::{Beyond, View, diff, lock_down, possible, rights};
use crate::core::address::Address;
use crate::core::step::Action;
use crate::services::postgres::model::{DATABASE, GRANT, LOCK_DOWN, ROLE, database_address};
use crate::services::postgres::server::Server;
use crate::services::{DiffInput, Model, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Why steps would be blocked for lack of a right, each with the statement that helps, and which resources are meant.
///
/// Without what `beyond` tells already, and without the right to make roles and databases at all.
pub fn denied(input: DiffInput<'_>, beyond: &Beyond) -> BTreeMap<String, BTreeSet<Address>> {
    let mut view = View::of(input);
    let mut denied: BTreeMap<String, BTreeSet<Address>> = BTreeMap::new();
    let mut tell = |address: &Address, reason: String| _ = denied.entry(reason).or_default().insert(address.clone());
    for (database, why) in &view.server.closed_to_us {
        tell(&database_address(database), why.clone());
    }
    view.server.assume_maker();
    for step in diff(input).iter().filter(|step| !is_told(step, &view.server, beyond)) {
        if let Some(reason) = rights::missing(step, &view.server) {
            tell(&step.address, reason);
        }
        if step.address.kind == LOCK_DOWN && step.action == Action::Update {
            lock_down::denied(&step.address, input.observation).into_iter().for_each(|why| tell(&step.address, why));
        }
    }
    let to_us = possible::obstacles(&view, input);
    view.server.assume_superuser();
    let to_superuser = possible::obstacles(&view, input);
    to_us.difference(&to_superuser).for_each(|(address, reason)| tell(address, reason.clone()));
    denied
}

fn is_told(step: &Step, server: &Server, beyond: &Beyond) -> bool {
    let name = step.address.name.as_str();
    let of_role = |role: &str| beyond.roles.contains(role) || beyond.superusers.contains(role);
    let of_database = |database: &str| {
        let becomes = match &step.after {
            Some(Model::PostgresDatabase(after)) => Some(&after.owner),
            _ => None,
        };
        let owners = server.owners.get(database).into_iter().chain(becomes);
        beyond.of_superusers.contains(database) || owners.into_iter().any(|owner| of_role(owner))
    };
    match &step.address.kind {
        kind if *kind == ROLE => of_role(name),
        kind if *kind == DATABASE => of_database(name),
        kind if *kind == GRANT => of_database(name.split_once('/').map_or(name, |(database, _)| database)),
        _ => false,
    }
}
