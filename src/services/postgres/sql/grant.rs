//! Statements about privileges.

use super::list;
use crate::services::postgres::catalog::{DatabaseRow, Deviation, Inside, objects};
use crate::services::postgres::model::Grant;
use crate::services::postgres::scope::Pair;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

/// The beginning of a statement about what a role will make, everywhere in the database or in one schema.
pub fn default_privileges(maker: &str, schema: Option<&str>) -> String {
    let schema = schema.map(|schema| format!("IN SCHEMA {} ", escape_identifier(schema))).unwrap_or_default();
    format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} {schema}", escape_identifier(maker))
}

/// Brings a role's privileges to exactly the wanted ones, inside the database and in one transaction.
pub fn set_grant(grant: &Grant, pair: &Pair, row: &DatabaseRow, inside: &Inside) -> String {
    let role = escape_identifier(&grant.role);
    let mut statements = givers(grant, row, inside);
    statements.extend(own_access(grant, inside.public_owner.is_some()));
    statements.extend(clear_future(&role, pair, inside));
    for maker in grant.makers.iter().flatten() {
        for (kind, privileges) in
            [('n', &grant.future_schemas), ('r', &grant.future_tables), ('S', &grant.future_sequences)]
        {
            if let Some(privileges) = privileges.as_ref().filter(|privileges| !privileges.is_empty()) {
                let (begin, privileges) = (default_privileges(maker, None), list(privileges));
                statements.push(format!("{begin}GRANT {privileges} ON {} TO {role}", objects(kind)));
            }
        }
    }
    statements.extend(present(&role, pair, inside));
    statements.join("; ")
}

/// Takes from a role everything that it has in a database and does not own.
pub fn revoke_grant(pair: &Pair, row: &DatabaseRow, inside: &Inside) -> String {
    let nothing = Grant { database: row.name.clone(), role: pair.role.clone(), ..Grant::default() };
    set_grant(&nothing, pair, row, inside)
}

/// Makes the privileges on the database and on schema public exactly the wanted ones.
pub fn own_access(grant: &Grant, has_public: bool) -> Vec<String> {
    let role = escape_identifier(&grant.role);
    let mut places =
        vec![(format!("DATABASE {}", escape_identifier(&grant.database)), Some(&grant.database_privileges))];
    places.extend(has_public.then(|| ("SCHEMA public".to_owned(), grant.schema_privileges.as_ref())));
    let mut statements = Vec::new();
    for (place, privileges) in places {
        statements.push(format!("REVOKE ALL ON {place} FROM {role} CASCADE"));
        if let Some(privileges) = privileges.filter(|privileges| !privileges.is_empty()) {
            statements.push(format!("GRANT {} ON {place} TO {role}", list(privileges)));
        }
    }
    statements
}

/// A REVOKE takes only what the owner gave: what others gave to the role goes when they may no longer give.
fn givers(grant: &Grant, row: &DatabaseRow, inside: &Inside) -> Vec<String> {
    let mut statements = BTreeSet::new();
    let database = (&row.acl, &row.owner, format!("DATABASE {}", escape_identifier(&grant.database)));
    let public = inside.public_owner.as_ref().map(|owner| (&inside.schema, owner, "SCHEMA public".to_owned()));
    for (acl, owner, place) in [Some(database), public].into_iter().flatten() {
        for acl in acl.iter().filter(|acl| acl.grantee.as_ref() == Some(&grant.role) && acl.grantor != *owner) {
            statements.insert(stop_giving(&acl.grantor, &place));
        }
    }
    statements.into_iter().collect()
}

/// Whoever got something from it loses that too.
pub fn stop_giving(giver: &str, place: &str) -> String {
    format!("REVOKE GRANT OPTION FOR ALL PRIVILEGES ON {place} FROM {} CASCADE", escape_identifier(giver))
}

/// Takes what the role would get on anybody's future objects.
fn clear_future(role: &str, pair: &Pair, inside: &Inside) -> BTreeSet<String> {
    let clear = |begin: String, kind| format!("{begin}REVOKE ALL ON {} FROM {role} CASCADE", objects(kind));
    inside
        .future_of(pair)
        .map(|future| clear(default_privileges(&future.maker, future.schema.as_deref()), future.kind))
        .collect()
}

/// Touches only the objects that are not as they should be.
fn present(role: &str, pair: &Pair, inside: &Inside) -> Vec<String> {
    let mut statements = Vec::new();
    let of_role: Vec<&Deviation> = inside.deviations.iter().filter(|found| found.role == pair.role).collect();
    let kinds = [('n', "SCHEMA"), ('r', "TABLE"), ('S', "SEQUENCE"), ('f', "FUNCTION"), ('p', "PROCEDURE")];
    for (kind, word) in kinds {
        let here: Vec<&Deviation> = of_role.iter().filter(|found| found.kind == kind).copied().collect();
        for found in &here {
            let place = format!("{word} {}", found.name);
            statements.extend(found.givers.iter().map(|giver| stop_giving(giver, &place)));
        }
        let names = |these: &mut dyn Iterator<Item = &&Deviation>| {
            these.map(|found| found.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let too_much = names(&mut here.iter().filter(|found| !found.extra.is_empty()));
        if !too_much.is_empty() {
            statements.push(format!("REVOKE ALL ON {word} {too_much} FROM {role} CASCADE"));
        }
        let all = names(&mut here.iter());
        if let Some(wants) = pair.wants(kind).filter(|wants| !wants.is_empty() && !all.is_empty()) {
            statements.push(format!("GRANT {} ON {word} {all} TO {role}", list(wants)));
        }
    }
    statements
}
