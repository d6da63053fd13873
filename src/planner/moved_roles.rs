//! Roles that are called by their app's database: who moves that means them too. Pure.

use crate::config::Move;
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::scope::Scope;
use crate::services::Model;
use crate::services::postgres::model::{DATABASE, role_address};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// How the default names of an app's login and of the role that owns its databases end.
const ENDS: [&str; 2] = ["user", "owner"];

/// What follows a database's new name, as long as the state has a role by the old one: the database itself may have its new
/// name already.
pub fn derived(
    moves: &[Move],
    wanted: &BTreeMap<Address, Wanted<Model>>,
    document: &Document,
    scope: &Scope,
) -> Vec<Move> {
    let named: BTreeSet<&Address> = moves.iter().flat_map(|one| [&one.from, &one.to]).collect();
    let mut derived = Vec::new();
    for Move { from, to, place } in moves.iter().filter(|one| one.from.kind == DATABASE) {
        let Some(database) = wanted.get(to).filter(|database| scope.has_app(&database.app)) else { continue };
        for end in ENDS {
            let (old, new) = (role_of(&from.name, end), role_of(&to.name, end));
            let has = document.resources.get(&old).is_some_and(|entry| entry.app == database.app);
            let gets = wanted.get(&new).is_some_and(|role| role.app == database.app);
            let is_free = !wanted.contains_key(&old) && !document.resources.contains_key(&new);
            if has && gets && is_free && !named.contains(&old) && !named.contains(&new) {
                derived.push(Move { from: old, to: new, place: place.clone() });
            }
        }
    }
    derived
}

/// Whether a role's new name follows from that of its app's database, both as pairs of the former name and the new one.
pub fn follows((from, to): (&Address, &Address), (old, new): (&Address, &Address)) -> bool {
    let is_end = |end: &&str| *from == role_of(&old.name, end) && *to == role_of(&new.name, end);
    old.kind == DATABASE && ENDS.iter().any(is_end)
}

/// The default name of a role, as infraspecs get it.
fn role_of(database: &str, end: &str) -> Address {
    role_address(&format!("{}_{end}", database.strip_suffix("_db").unwrap_or(database)))
}
