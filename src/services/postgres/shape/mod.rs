//! Makes what was read comparable with what is managed: leaves out what is nobody's business. Pure.
//!
//! A role with `credential = "keep"` is looked after by people, so only its declared limits and settings count; and a
//! database may have more extensions than the declared ones.

mod spelling;

use super::model::{Access, Credential, Grant, Role, database_address};
use crate::core::change::agree;
use crate::core::step::StepId;
use crate::services::{Model, Op, Step};
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
            let applied =
                applied.and_then(|model| if let Model::PostgresDatabase(last) = model { Some(last) } else { None });
            spelling::settle(wanted, observed, applied);
        }
        (Some(Model::PostgresGrant(wanted)), Some(Model::PostgresGrant(observed))) => {
            if let Some(Model::PostgresGrant(applied)) = applied {
                settle_makers(wanted, observed, applied);
            }
        }
        _ => {}
    }
}

/// Rights on what others make differ from what was applied because somebody else makes it now: that is an edit, no drift.
fn settle_makers(wanted: &Grant, observed: &Grant, applied: &mut Grant) {
    let (Some(last), Some(next)) = (&applied.makers, &wanted.makers) else { return };
    if last == next {
        return;
    }
    let of = |words: &str, maker: &str| {
        words.ends_with(&format!(" of {maker}")) || words.contains(&format!(" of {maker} in schema "))
    };
    let left = |words: &&String| last.difference(next).any(|maker| of(words, maker));
    applied.beyond = observed.beyond.as_ref().map(|beyond| beyond.iter().filter(left).cloned().collect());
    applied.future_schemas.clone_from(&observed.future_schemas);
    applied.future_tables.clone_from(&observed.future_tables);
    applied.future_sequences.clone_from(&observed.future_sequences);
    applied.present_objects.clone_from(&observed.present_objects);
}

fn settle_role(wanted: &mut Role, observed: &mut Role, mut applied: Option<&mut Role>) {
    if wanted.credential != Some(Credential::Keep) {
        return;
    }
    let managed = |key: &String| {
        wanted.settings.contains_key(key) || applied.as_ref().is_some_and(|applied| applied.settings.contains_key(key))
    };
    observed.settings.retain(|key, _| managed(key));
    for role in [&mut *wanted, &mut *observed].into_iter().chain(applied.as_deref_mut()) {
        (role.valid_until, role.member_of, role.members, role.settings_in_databases) = (None, None, None, None);
    }
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

/// What there is of what a step is about, as far as that concerns the step: nothing, if another step of the same plan has
/// begun what this one is to make.
pub fn seen_by(step: &Step, now: Option<Model>) -> Option<Model> {
    let Some(mut now) = now else { return bereft(step) };
    as_planned(&mut now, step);
    (!is_begun(&now, step)).then_some(now)
}

/// What is there now, as the step that is about to change it sees it: what the step leaves alone does not count.
fn as_planned(now: &mut Model, step: &Step) {
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
        (Model::PostgresRole(now), Some(Model::PostgresRole(before)), Some(Model::PostgresRole(after))) => {
            less_is_as_planned(now, before, Some(after));
        }
        (Model::PostgresRole(now), Some(Model::PostgresRole(before)), None) => less_is_as_planned(now, before, None),
        (Model::PostgresDatabase(now), Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
            spelling::as_declared(after, now);
            if !agree(after, now) {
                still_to_go(Some(&mut now.strays), Some(&before.strays));
                still_to_go(now.strays_inside.as_mut(), before.strays_inside.as_ref());
            }
        }
        (Model::PostgresDatabase(now), _, Some(Model::PostgresDatabase(declared)))
        | (Model::PostgresDatabase(now), Some(Model::PostgresDatabase(declared)), None) => {
            spelling::as_declared(declared, now);
        }
        (Model::PostgresGrant(now), Some(Model::PostgresGrant(before)), Some(Model::PostgresGrant(after)))
            if !agree(after, now) && step.op != Op::State =>
        {
            // Who owned the database, or schema public, and does no longer, has lost what an owner has.
            if step.needs.contains(&StepId::main(database_address(&now.database))) {
                still_to_go(Some(&mut now.database_privileges), Some(&before.database_privileges));
                still_to_go(now.schema_privileges.as_mut(), before.schema_privileges.as_ref());
            }
            still_to_go(now.beyond.as_mut(), before.beyond.as_ref());
            given_already(now, before, after);
            of_a_new_maker(now, before, after);
        }
        // Whatever it is by now, all of it goes.
        (Model::PostgresGrant(now), Some(Model::PostgresGrant(before)), None) => now.clone_from(before),
        _ => {}
    }
}

/// What is left of a grant that is there no longer: of who owned the database and does no longer, nothing is. That is as
/// planned, where the plan did not give it anew together with the change of the owner.
fn bereft(step: &Step) -> Option<Model> {
    let (Some(Model::PostgresGrant(before)), Some(Model::PostgresGrant(_))) = (&step.before, &step.after) else {
        return None;
    };
    // Who may make schemas is an owner, or as good as one.
    before.database_privileges.contains("CREATE").then(|| {
        let mut left = Model::PostgresGrant(Grant {
            database: before.database.clone(),
            role: before.role.clone(),
            schema_privileges: Some(BTreeSet::new()),
            ..Grant::default()
        });
        as_planned(&mut left, step);
        left
    })
}

/// A change of a database's owner gives the app its own privileges at once, so that it is never without: what another
/// step of the same plan has given already of what this one is about to give does not make this one stale.
fn is_begun(now: &Model, step: &Step) -> bool {
    let (Model::PostgresGrant(now), None, Some(Model::PostgresGrant(after))) = (now, &step.before, &step.after) else {
        return false;
    };
    let within = |now: &Option<BTreeSet<String>>, after: &Option<BTreeSet<String>>| match (now, after) {
        (Some(now), Some(after)) => now.is_subset(after),
        (None, _) | (_, None) => true,
    };
    after.access == Some(Access::App)
        && !agree(after, now)
        && now.database_privileges.is_subset(&after.database_privileges)
        && within(&now.schema_privileges, &after.schema_privileges)
        && within(&now.future_schemas, &after.future_schemas)
        && within(&now.future_tables, &after.future_tables)
        && within(&now.future_sequences, &after.future_sequences)
        && now.beyond.as_ref().is_none_or(BTreeSet::is_empty)
}

/// The same for an app that had something already, as who owned its database until now: one place may have what it shall
/// have while the others are as they were.
fn given_already(now: &mut Grant, before: &Grant, after: &Grant) {
    if after.access != Some(Access::App) {
        return;
    }
    if now.database_privileges == after.database_privileges {
        now.database_privileges.clone_from(&before.database_privileges);
    }
    if now.schema_privileges == after.schema_privileges {
        now.schema_privileges.clone_from(&before.schema_privileges);
    }
}

/// A role has on future objects what every maker of them gives. A maker that the same plan creates gives nothing yet, and
/// was not there to be asked when the plan was made.
fn of_a_new_maker(now: &mut Grant, before: &Grant, after: &Grant) {
    if after.makers.as_ref().is_some_and(|makers| makers.len() > 1) {
        still_to_go(now.future_schemas.as_mut(), before.future_schemas.as_ref());
        still_to_go(now.future_tables.as_mut(), before.future_tables.as_ref());
        still_to_go(now.future_sequences.as_mut(), before.future_sequences.as_ref());
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

/// Memberships have two ends, and what is set in a database goes with it: another step of the same plan may have taken
/// away some of what this one is about to. That is as planned.
fn less_is_as_planned(now: &mut Role, before: &Role, after: Option<&Role>) {
    let none = BTreeSet::new();
    let between =
        |now: &Option<BTreeSet<String>>, before: &Option<BTreeSet<String>>, after: Option<&BTreeSet<String>>| {
            let (Some(now), Some(before)) = (now, before) else { return true };
            now.is_subset(before) && after.unwrap_or(&none).is_subset(now)
        };
    let settings_between = match (&now.settings_in_databases, &before.settings_in_databases) {
        (Some(now), Some(before)) => now.iter().all(|(database, settings)| before.get(database) == Some(settings)),
        (None, _) | (_, None) => true,
    };
    let lessened = settings_between
        && between(&now.member_of, &before.member_of, after.and_then(|after| after.member_of.as_ref()))
        && between(&now.members, &before.members, after.and_then(|after| after.members.as_ref()));
    let as_before = Role {
        member_of: before.member_of.clone(),
        members: before.members.clone(),
        settings_in_databases: before.settings_in_databases.clone(),
        ..now.clone()
    };
    let done = after.is_some_and(|after| agree(now, after));
    if lessened && !done && agree(&as_before, before) {
        *now = as_before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn role(limit: Option<u32>, members: &[&str], settings: &[(&str, &str)]) -> Role {
        let in_database = |(database, key): &(&str, &str)| {
            ((*database).to_owned(), BTreeMap::from([((*key).to_owned(), "x".to_owned())]))
        };
        Role {
            name: "a".to_owned(),
            login: true,
            connection_limit: limit,
            attributes: BTreeSet::new(),
            settings: BTreeMap::new(),
            credential: None,
            valid_until: None,
            member_of: Some(BTreeSet::new()),
            members: Some(members.iter().map(|name| (*name).to_owned()).collect()),
            settings_in_databases: Some(settings.iter().map(in_database).collect()),
        }
    }

    #[test]
    fn what_another_step_took_away_first_is_as_planned() {
        let before = role(Some(3), &["b", "c"], &[("x", "work_mem"), ("y", "work_mem")]);
        let after = role(None, &[], &[]);
        let seen = |mut now: Role, after: Option<&Role>| {
            less_is_as_planned(&mut now, &before, after);
            now
        };
        for after in [Some(&after), None] {
            assert_eq!(seen(role(Some(3), &["b"], &[("y", "work_mem")]), after), before);
            assert_eq!(seen(role(Some(3), &[], &[]), after), before);
            // Somebody else has been there.
            for stranger in
                [role(Some(4), &["b"], &[]), role(Some(3), &["b", "d"], &[]), role(Some(3), &[], &[("z", "k")])]
            {
                assert_eq!(seen(stranger.clone(), after), stranger);
            }
        }
        // What is done already is done.
        assert_eq!(seen(after.clone(), Some(&after)), after);
    }

    #[test]
    fn one_place_of_a_grant_may_be_done_already_and_no_other_may_differ() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let makers = set(&["deploy"]);
        let after = Grant::declared("d", "user", Access::App, &makers);
        let before = Grant {
            schema_privileges: Some(BTreeSet::new()),
            future_tables: Some(BTreeSet::new()),
            access: None,
            makers: None,
            ..after.clone()
        };
        let as_before = |mut now: Grant, after: &Grant| {
            given_already(&mut now, &before, after);
            agree(&now, &before)
        };
        let given = Grant { schema_privileges: after.schema_privileges.clone(), ..before.clone() };
        assert!(as_before(before.clone(), &after) && as_before(given.clone(), &after));
        let reader = Grant { access: Some(Access::Readonly), ..after.clone() };
        assert!(!as_before(given.clone(), &reader));
        for stranger in [
            Grant { schema_privileges: Some(set(&["USAGE"])), ..given.clone() },
            Grant { database_privileges: set(&["CONNECT"]), ..given.clone() },
            Grant { future_tables: Some(set(&["SELECT"])), ..given.clone() },
            Grant { beyond: Some(set(&["CREATE WITH GRANT OPTION on schema public"])), ..given },
        ] {
            assert!(!as_before(stranger.clone(), &after), "{stranger:?}");
        }
    }

    #[test]
    fn a_maker_that_is_new_gives_nothing_yet() {
        let of = |makers: &[&str]| {
            let makers = makers.iter().map(|name| (*name).to_owned()).collect();
            Grant::declared("d", "reader", Access::Readonly, &makers)
        };
        let before = of(&["deploy"]);
        let seen = |tables: &[&str], after: &Grant| {
            let tables = tables.iter().map(|name| (*name).to_owned()).collect();
            let mut now = Grant { future_tables: Some(tables), ..before.clone() };
            of_a_new_maker(&mut now, &before, after);
            now.future_tables == before.future_tables
        };
        assert!(seen(&[], &of(&["deploy", "user"])) && !seen(&[], &of(&["deploy"])));
        assert!(!seen(&["INSERT"], &of(&["deploy", "user"])), "somebody else gave it");
    }
}
