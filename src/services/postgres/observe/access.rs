//! What one role may do in one database, out of what the catalogs answered. Pure.

use crate::services::postgres::catalog::{Acl, DatabaseRow, Deviation, Future, Inside, objects, privileges};
use crate::services::postgres::model::{Grant, Lacking, PassedOn};
use crate::services::postgres::scope::Pair;
use std::collections::{BTreeMap, BTreeSet};

/// What a role may do in a database; `None` if nothing. `there` are the roles that exist. Where nobody looked inside, a
/// grant that was `known` to be there still is: what it gave in there may be all that is left of it.
pub fn grant(
    row: &DatabaseRow,
    pair: &Pair,
    inside: Option<&Inside>,
    there: &BTreeSet<&str>,
    known: bool,
) -> Option<Grant> {
    let role = Some(pair.role.as_str());
    let makers: BTreeSet<&str> = pair.makers.iter().map(String::as_str).filter(|maker| there.contains(maker)).collect();
    let made = inside.filter(|_| !makers.is_empty());
    let future = |kind| made.map(|inside| by_all_makers(inside, pair, &makers, kind));
    let lacks = |found: &Deviation| found.role == pair.role && !found.lacks.is_empty();
    let grant = Grant {
        database: row.name.clone(),
        role: pair.role.clone(),
        database_privileges: privileges(&row.acl, role),
        schema_privileges: inside
            .filter(|inside| inside.public_owner.is_some())
            .map(|inside| privileges(&inside.schema, role)),
        future_schemas: future('n'),
        future_tables: future('r'),
        future_sequences: future('S'),
        present_objects: made.map(|inside| !inside.deviations.iter().any(lacks)),
        beyond: inside.map(|inside| beyond(row, pair, inside, &makers)),
        ..Grant::default()
    };
    let any = |set: &Option<BTreeSet<String>>| set.as_ref().is_some_and(|set| !set.is_empty());
    let exists = (known && inside.is_none())
        || !grant.database_privileges.is_empty()
        || any(&grant.schema_privileges)
        || any(&grant.future_schemas)
        || any(&grant.future_tables)
        || any(&grant.future_sequences)
        || any(&grant.beyond);
    exists.then_some(grant)
}

/// Present objects on which the role has not all that it should have: tables first.
pub fn lacking(role: &str, inside: Option<&Inside>) -> Lacking {
    let lacks = |found: &&Deviation| found.role == role && !found.lacks.is_empty();
    let mut found: Vec<&Deviation> = inside.into_iter().flat_map(|inside| &inside.deviations).filter(lacks).collect();
    found.sort_by_key(|found| found.kind != 'r');
    Lacking::of(found.into_iter().map(|found| match found.kind {
        'n' => format!("schema {}", found.name),
        _ => found.name.clone(),
    }))
}

/// What others have from the role, as far as it was read.
pub fn passed_on(row: &DatabaseRow, role: &str, inside: Option<&Inside>) -> PassedOn {
    let gift = |acl: &Acl| (acl.grantor.clone(), acl.grantee.clone().unwrap_or_else(|| "PUBLIC".to_owned()));
    let mut passed_on = PassedOn::default();
    if row.owner != role {
        passed_on.add(role, "the database", &row.acl.iter().map(gift).collect());
    }
    let Some(inside) = inside else { return passed_on };
    if inside.public_owner.as_deref() != Some(role) {
        passed_on.add(role, "schema public", &inside.schema.iter().map(gift).collect());
    }
    for found in inside.deviations.iter().filter(|found| found.role == role) {
        passed_on.add(role, &found.name, &found.passed_on);
    }
    passed_on
}

/// What the role gets on the objects of a kind wherever any of the makers makes them.
fn by_all_makers(inside: &Inside, pair: &Pair, makers: &BTreeSet<&str>, kind: char) -> BTreeSet<String> {
    let by = |maker: &str| -> BTreeSet<String> {
        let everywhere = |future: &&Future| future.maker == maker && future.kind == kind && future.schema.is_none();
        inside.future_of(pair).filter(everywhere).map(|future| future.privilege.clone()).collect()
    };
    let each = makers.iter().map(|maker| by(maker));
    each.reduce(|all, one| all.intersection(&one).cloned().collect()).unwrap_or_default()
}

/// What a role has that no other field of its grant tells, in words.
fn beyond(row: &DatabaseRow, pair: &Pair, inside: &Inside, makers: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (acl, place) in [(&row.acl, "the database"), (&inside.schema, "schema public")] {
        let passes_on = acl.iter().filter(|acl| acl.grantee.as_deref() == Some(&pair.role) && acl.grantable);
        words.extend(passes_on.map(|acl| format!("{} WITH GRANT OPTION on {place}", acl.privilege)));
    }
    for future in inside.future_of(pair) {
        let everywhere = || by_all_makers(inside, pair, makers, future.kind);
        let wanted = makers.contains(future.maker.as_str())
            && (pair.wants(future.kind).is_some_and(|wants| wants.contains(&future.privilege))
                // The field of that kind tells it.
                || (pair.wants(future.kind).is_some() && everywhere().contains(&future.privilege)));
        if !wanted || future.grantable {
            let option = if future.grantable { " WITH GRANT OPTION" } else { "" };
            words.insert(format!("{}{option} {}", future.privilege, future.words()));
        }
    }
    let mut found_on: BTreeMap<(&str, char), Vec<&str>> = BTreeMap::new();
    for found in inside.deviations.iter().filter(|found| found.role == pair.role) {
        for extra in &found.extra {
            found_on.entry((extra, found.kind)).or_default().push(&found.name);
        }
    }
    words.extend(found_on.into_iter().map(|((extra, kind), names)| match names.as_slice() {
        [name] => format!("{extra} on {name}"),
        several => format!("{extra} on {} {}", several.len(), objects(kind).to_lowercase()),
    }));
    words
}
