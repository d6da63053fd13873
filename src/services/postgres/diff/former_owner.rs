//! Declared roles that own a database, or something in it, until now: what the infraspec gives them they have without a
//! gap. Pure.

use super::View;
use crate::core::step::Reason;
use crate::services::postgres::model::{Access, Database, Grant, grant_address, owner_of_public};
use crate::services::{Model, Step};
use std::collections::BTreeSet;

/// What those who lose something by a change of a database shall have from then on.
pub fn keeps(view: &View, before: &Database, after: &Database) -> Vec<Grant> {
    let user = view.user(&after.name);
    let declared = |role: &str| {
        let Model::PostgresGrant(grant) = &view.wanted.get(&grant_address(&after.name, role))?.model else {
            return None;
        };
        (role != user).then(|| grant.clone())
    };
    losers(before, after).into_iter().filter_map(declared).collect()
}

/// Owners of the database, of schema public, and of objects, that are none any more afterwards.
pub fn losers<'a>(before: &'a Database, after: &Database) -> BTreeSet<&'a str> {
    let mut losers = BTreeSet::new();
    if before.owner != after.owner {
        losers.insert(before.owner.as_str());
    }
    losers.extend(before.strays_inside.as_ref().and_then(owner_of_public));
    if after.objects_of_others.is_some() {
        losers.extend(before.objects_of_others.iter().flatten().map(|(owner, _)| owner.as_str()));
    }
    losers
}

/// Says of each what it keeps. What somebody took since the last apply is put right without a word.
pub fn notes(step: &Step, before: &Database, after: &Database, keeps: &[Grant]) -> Vec<String> {
    if step.reasons.contains(&Reason::Drifted) {
        return Vec::new();
    }
    let note = |grant: &Grant| {
        let gives_up = before.owner == grant.role && before.owner != after.owner;
        let owns = if gives_up { "who owns it now" } else { "who owns something in it now" };
        format!("{}, {owns}, keeps what the infraspec gives it: {}", grant.role, words(grant.access))
    };
    keeps.iter().map(note).collect()
}

fn words(access: Option<Access>) -> &'static str {
    match access {
        Some(Access::App) => "full use",
        Some(Access::Migrator) => "makes objects for the app",
        Some(Access::Readwrite) => "reads and writes",
        Some(Access::Readonly) | None => "reads",
    }
}
