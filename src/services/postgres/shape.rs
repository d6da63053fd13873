//! Makes what was read comparable with what is managed: leaves out what is nobody's business. Pure.
//!
//! A role with `credential = "keep"` is looked after by people, so only its declared limits and settings count; and a
//! database may have more extensions than the declared ones.

use super::model::{Credential, Database, Role};
use crate::core::change::agree;
use crate::services::{Model, Step};
use std::collections::BTreeSet;

/// What is wanted, what is there and what was last applied of one resource, made comparable before they are compared.
pub fn settle(wanted: Option<&mut Model>, observed: Option<&mut Model>, applied: Option<&mut Model>) {
    match (wanted, observed) {
        (Some(Model::PostgresRole(wanted)), Some(Model::PostgresRole(observed))) => {
            let applied =
                applied.and_then(|model| if let Model::PostgresRole(role) = model { Some(role) } else { None });
            settle_role(wanted, observed, applied);
        }
        (Some(Model::PostgresDatabase(wanted)), Some(Model::PostgresDatabase(observed))) => {
            only_declared_extensions(observed, wanted);
        }
        _ => {}
    }
}

fn settle_role(wanted: &mut Role, observed: &mut Role, mut applied: Option<&mut Role>) {
    if wanted.credential != Some(Credential::Keep) {
        return;
    }
    let managed = |key: &String| {
        wanted.settings.contains_key(key) || applied.as_ref().is_some_and(|applied| applied.settings.contains_key(key))
    };
    observed.settings.retain(|key, _| managed(key));
    wanted.attributes.clone_from(&observed.attributes);
    if let Some(applied) = applied.as_mut() {
        applied.attributes.clone_from(&observed.attributes);
    }
    if wanted.connection_limit.is_none() {
        wanted.connection_limit = observed.connection_limit;
        if let Some(applied) = applied {
            applied.connection_limit = observed.connection_limit;
        }
    }
}

fn only_declared_extensions(observed: &mut Database, wanted: &Database) {
    match (&mut observed.extensions, &wanted.extensions) {
        (Some(there), Some(declared)) => there.retain(|name| declared.contains(name)),
        (there, None) => *there = None,
        (None, Some(_)) => {}
    }
}

/// What is there now, as the step that is about to change it sees it: what the step leaves alone does not count.
pub fn as_planned(now: &mut Model, step: &Step) {
    match (now, &step.before, &step.after) {
        (Model::PostgresRole(now), Some(Model::PostgresRole(before)), Some(Model::PostgresRole(after)))
            if after.credential == Some(Credential::Keep) =>
        {
            now.settings.retain(|key, _| before.settings.contains_key(key) || after.settings.contains_key(key));
            if before.attributes == after.attributes {
                now.attributes.clone_from(&after.attributes);
            }
            if before.connection_limit == after.connection_limit {
                now.connection_limit = after.connection_limit;
            }
        }
        (Model::PostgresDatabase(now), Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
            only_declared_extensions(now, after);
            if !agree(after, now) {
                still_to_go(Some(&mut now.strays), Some(&before.strays));
                still_to_go(now.strays_inside.as_mut(), before.strays_inside.as_ref());
            }
        }
        (Model::PostgresDatabase(now), _, Some(Model::PostgresDatabase(declared)))
        | (Model::PostgresDatabase(now), Some(Model::PostgresDatabase(declared)), None) => {
            only_declared_extensions(now, declared);
        }
        (Model::PostgresGrant(now), Some(Model::PostgresGrant(before)), Some(Model::PostgresGrant(after)))
            if !agree(after, now) =>
        {
            still_to_go(now.beyond.as_mut(), before.beyond.as_ref());
        }
        // Whatever it is by now, all of it goes.
        (Model::PostgresGrant(now), Some(Model::PostgresGrant(before)), None) => now.clone_from(before),
        _ => {}
    }
}

/// Taking a right to pass on takes what was passed on as well, so another step of the same plan may have been faster
/// with some of what this one takes away. That does not make this one stale.
fn still_to_go(now: Option<&mut BTreeSet<String>>, planned: Option<&BTreeSet<String>>) {
    if let (Some(now), Some(planned)) = (now, planned)
        && now.is_subset(planned)
    {
        now.clone_from(planned);
    }
}
