//! Roles that no infraspec declares: those of `grants`, and the migrator.

use crate::services::postgres::model::Access;
use crate::spec::claims::{Outsider, Part};
use crate::spec::fields::{MOST_ERRORS, shown};
use crate::spec::model::Postgres;
use crate::spec::names;
use crate::spec::node::Located;
use crate::spec::postgres::read;
use crate::spec::resolve::Resolver;

/// Fills in what roles from outside may do, when the app's own roles are known. Those of other apps are told when all
/// apps are checked together.
pub fn resolve(resolver: &mut Resolver<'_>, written: &read::Postgres, postgres: &mut Postgres) {
    for grant in &written.grants {
        let role = &grant.role;
        let part = match grant.access {
            Access::Readonly => Part::Reader,
            Access::App | Access::Migrator | Access::Readwrite => Part::Writer,
        };
        check(resolver, role, part, postgres);
        if written.migrator.as_ref().is_some_and(|migrator| migrator.value == role.value) {
            let error = role.spot.error(format!("the role {:?} is the migrator, and in grants", shown(&role.value)));
            push(resolver, error.hint("the migrator may do more anyway: leave it out of grants"));
        }
        postgres.grants.insert(role.value.clone(), grant.access);
    }
    if let Some(migrator) = &written.migrator {
        check(resolver, migrator, Part::Migrator, postgres);
        postgres.migrator = Some(migrator.value.clone());
    }
}

fn check(resolver: &mut Resolver<'_>, role: &Located<String>, part: Part, postgres: &Postgres) {
    let title = if part == Part::Migrator { "migrator" } else { "role" };
    if let Err((why, hint)) = names::check_outside(&role.value, resolver.config) {
        let error = role.spot.error(format!("the {title} {:?} {why}", shown(&role.value)));
        push(resolver, error.hint(hint));
        return;
    }
    let app = &resolver.draft.name.value;
    let own = if role.value == postgres.user {
        "user"
    } else if role.value == postgres.owner {
        "owner"
    } else {
        resolver.claims.outsiders.push(Outsider { role: role.clone(), part });
        return;
    };
    let error = role.spot.error(format!("the {title} {:?} is the {own} of {app} itself", shown(&role.value)));
    let hint = match (part, own) {
        (Part::Migrator, "user") => "leave it out: what the user makes is the app's already",
        (Part::Migrator, _) => "leave it out: the app's user migrates, unless a role from outside does",
        (Part::Reader | Part::Writer, _) => "leave it out: an app has its own without saying so",
    };
    push(resolver, error.hint(hint));
}

fn push(resolver: &mut Resolver<'_>, error: crate::error::Diagnostic) {
    if resolver.errors.len() < MOST_ERRORS {
        resolver.errors.push(error);
    }
}
