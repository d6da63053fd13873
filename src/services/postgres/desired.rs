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
            objects_of_others: postgres.adopt_objects.then(BTreeMap::new),
            migrator: postgres.migrator.clone(),
        };
        resources.push((database_address(&database.name), Model::PostgresDatabase(model)));
        let mut give = |role: &str, access: Access| {
            let grant = Model::PostgresGrant(grant(&database.name, role, access));
            resources.push((grant_address(&database.name, role), grant));
        };
        // Who owns the database may do everything in it already.
        if postgres.owner != postgres.user {
            give(&postgres.user, Access::App);
        }
        let readers = others(specs, app, postgres.readers.difference(&postgres.writers));
        readers.into_iter().for_each(|role| give(role, Access::Readonly));
        let writers = others(specs, app, postgres.writers.iter());
        writers.into_iter().for_each(|role| give(role, Access::Readwrite));
    }
    resources
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

/// The privileges that an access level stands for.
pub fn grant(database: &str, role: &str, access: Access) -> Grant {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let (own, schema) = match access {
        Access::App => (set(&["CONNECT", "CREATE", "TEMPORARY"]), set(&["CREATE", "USAGE"])),
        Access::Readonly | Access::Readwrite => (set(&["CONNECT"]), set(&["USAGE"])),
    };
    let (tables, sequences) = match access {
        Access::App => (None, None),
        Access::Readonly => (Some(set(&["SELECT"])), Some(set(&["SELECT"]))),
        Access::Readwrite => (Some(set(&["DELETE", "INSERT", "SELECT", "UPDATE"])), Some(set(&["SELECT", "USAGE"]))),
    };
    Grant {
        database: database.to_owned(),
        role: role.to_owned(),
        access: Some(access),
        database_privileges: own,
        schema_privileges: Some(schema),
        present_objects: tables.is_some().then_some(true),
        future_tables: tables,
        future_sequences: sequences,
    }
}
