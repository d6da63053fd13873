//! What infraspecs want of PostgreSQL.

use super::model::{Access, Credential, Database, Grant, Role, database_address, grant_address, role_address};
use super::sql::is_list;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::spec::model::{App, Postgres, Specs};
use std::collections::{BTreeMap, BTreeSet};

/// Every resource that the infraspecs declare here.
pub fn desired(specs: &Specs) -> BTreeMap<Address, Wanted<Model>> {
    let mut wanted = BTreeMap::new();
    for app in specs.apps.values() {
        if let Some(postgres) = &app.postgres {
            let resources = of_app(specs, app, postgres);
            let own = |(address, model)| (address, Wanted { app: app.name.clone(), model });
            wanted.extend(resources.into_iter().map(own));
        }
    }
    wanted
}

fn of_app(specs: &Specs, app: &App, postgres: &Postgres) -> Vec<(Address, Model)> {
    let user = user_role(postgres);
    let mut resources = vec![(role_address(&postgres.user), Model::PostgresRole(user))];
    if postgres.owner != postgres.user {
        resources.push((role_address(&postgres.owner), Model::PostgresRole(owner_role(&postgres.owner))));
    }
    for database in &postgres.databases {
        let model = Database {
            name: database.name.clone(),
            owner: postgres.owner.clone(),
            public: BTreeSet::new(),
            extensions: Some(database.extensions.keys().cloned().collect()),
            strays: BTreeSet::new(),
            strays_inside: Some(BTreeSet::new()),
        };
        resources.push((database_address(&database.name), Model::PostgresDatabase(model)));
        resources.extend(grants(specs, app, postgres, &database.name));
    }
    resources
}

/// What roles may do in one of the app's databases.
fn grants(specs: &Specs, app: &App, postgres: &Postgres, database: &str) -> Vec<(Address, Model)> {
    let migrator = postgres.migrator.iter().filter(|role| **role != postgres.user);
    let makers: BTreeSet<String> = migrator.chain([&postgres.user]).cloned().collect();
    let mut levels: BTreeMap<&str, (Access, bool)> = BTreeMap::new();
    for (role, access) in &postgres.grants {
        levels.insert(role, (*access, true));
    }
    for role in others(specs, app, postgres.readers.iter()) {
        levels.entry(role).or_insert((Access::Readonly, false)).1 = false;
    }
    for role in others(specs, app, postgres.writers.iter()) {
        levels.insert(role, (Access::Readwrite, false));
    }
    levels.extend(postgres.migrator.as_deref().map(|role| (role, (Access::Migrator, true))));
    levels.insert(&postgres.user, (Access::App, false));
    // Who owns the database may do everything in it already.
    levels.remove(postgres.owner.as_str());
    let model = |(role, (access, outside)): (&str, (Access, bool))| {
        let grant = Grant { outside, ..grant(database, role, access, &makers) };
        (grant_address(database, role), Model::PostgresGrant(grant))
    };
    levels.into_iter().map(model).collect()
}

/// The users of other apps. One that is not there was an error when the infraspecs were checked.
fn others<'a>(specs: &'a Specs, app: &App, names: impl Iterator<Item = &'a AppName>) -> Vec<&'a str> {
    names
        .filter(|name| **name != app.name)
        .filter_map(|name| specs.apps.get(name)?.postgres.as_ref())
        .map(|postgres| postgres.user.as_str())
        .collect()
}

fn user_role(postgres: &Postgres) -> Role {
    let canonical = |(name, value): (&String, &String)| {
        let name = name.to_lowercase();
        let value =
            if is_list(&name) { value.split(',').map(str::trim).collect::<Vec<_>>().join(", ") } else { value.clone() };
        (name, value)
    };
    Role {
        name: postgres.user.clone(),
        login: true,
        connection_limit: postgres.connection_limit,
        attributes: BTreeSet::new(),
        settings: postgres.settings.iter().map(canonical).collect(),
        credential: Some(postgres.credential),
    }
}

fn owner_role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        login: false,
        connection_limit: None,
        attributes: BTreeSet::new(),
        settings: BTreeMap::new(),
        credential: Some(Credential::None),
    }
}

/// The privileges that an access level stands for, where `makers` make objects.
pub fn grant(database: &str, role: &str, access: Access, makers: &BTreeSet<String>) -> Grant {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let (own, public) = match access {
        Access::App | Access::Migrator => (set(&["CONNECT", "CREATE", "TEMPORARY"]), set(&["CREATE", "USAGE"])),
        Access::Readonly | Access::Readwrite => (set(&["CONNECT"]), set(&["USAGE"])),
    };
    let (schemas, tables, sequences): (&[&str], &[&str], &[&str]) = match access {
        Access::App => (
            &["CREATE", "USAGE"],
            // Without MAINTAIN, which servers before 17 do not know.
            &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
            &["SELECT", "UPDATE", "USAGE"],
        ),
        Access::Readonly => (&["USAGE"], &["SELECT"], &["SELECT"]),
        Access::Readwrite => (&["USAGE"], &["DELETE", "INSERT", "SELECT", "UPDATE"], &["SELECT", "USAGE"]),
        Access::Migrator => (&[], &[], &[]),
    };
    let makers: BTreeSet<String> = match access {
        Access::Migrator => BTreeSet::new(),
        Access::App | Access::Readonly | Access::Readwrite => {
            makers.iter().filter(|maker| *maker != role).cloned().collect()
        }
    };
    let made = |privileges: &[&str]| (!makers.is_empty()).then(|| set(privileges));
    Grant {
        database: database.to_owned(),
        role: role.to_owned(),
        access: Some(access),
        outside: false,
        database_privileges: own,
        schema_privileges: Some(public),
        future_schemas: made(schemas),
        future_tables: made(tables),
        future_sequences: made(sequences),
        present_objects: (!makers.is_empty()).then_some(true),
        beyond: Some(BTreeSet::new()),
        makers: Some(makers),
    }
}
