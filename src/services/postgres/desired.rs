//! What infraspecs want of PostgreSQL. Pure.

use super::model::{
    Access, Credential, Database, Expiry, Grant, LockDown, OPEN_BY_DEFAULT, Role, canonical_settings, database_address,
    grant_address, lock_down_address, role_address,
};
use crate::config::PostgresConfig;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::services::Model;
use crate::spec::model::{self as spec, App, Postgres, Specs};
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

/// What the workspace file itself wants of a server that is used.
pub fn of_workspace(config: &PostgresConfig) -> BTreeMap<Address, Wanted<Model>> {
    let closed = |database| {
        let model = Model::PostgresLockDown(LockDown::closed(database));
        (lock_down_address(database), Wanted { app: AppName::workspace(), model })
    };
    OPEN_BY_DEFAULT.into_iter().filter(|_| config.lock_down).map(closed).collect()
}

fn of_app(specs: &Specs, app: &App, postgres: &Postgres) -> Vec<(Address, Model)> {
    let user = user_role(postgres);
    let mut resources = vec![(role_address(&postgres.user), Model::PostgresRole(user))];
    if postgres.owner != postgres.user {
        resources
            .push((role_address(&postgres.owner), Model::PostgresRole(plain_role(&postgres.owner, Credential::None))));
    }
    for database in &postgres.databases {
        let model = of_database(database, postgres);
        resources.push((database_address(&database.name), Model::PostgresDatabase(model)));
        resources.extend(grants(specs, app, postgres, &database.name));
    }
    resources
}

fn of_database(declared: &spec::Database, postgres: &Postgres) -> Database {
    Database {
        connection_limit: declared.connection_limit,
        allow_connections: !declared.closed,
        settings: canonical_settings(&declared.settings),
        encoding: declared.encoding.clone(),
        locale: declared.locale.clone(),
        locale_provider: declared.locale_provider.clone(),
        tablespace: declared.tablespace.clone(),
        extensions: Some(declared.extensions.clone()),
        objects_of_others: postgres.adopt_objects.then(BTreeMap::new),
        migrator: postgres.migrator.clone(),
        ..Database::new(&declared.name, &postgres.owner)
    }
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
        let grant = Grant { outside, ..Grant::declared(database, role, access, &makers) };
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
    Role {
        login: true,
        connection_limit: postgres.connection_limit,
        settings: canonical_settings(&postgres.settings),
        ..plain_role(&postgres.user, postgres.credential)
    }
}

/// A role that cannot sign in and may do nothing special. What people look after themselves is nobody's business.
fn plain_role(name: &str, credential: Credential) -> Role {
    let ours = credential != Credential::Keep;
    Role {
        name: name.to_owned(),
        login: false,
        connection_limit: None,
        attributes: BTreeSet::new(),
        settings: BTreeMap::new(),
        credential: Some(credential),
        valid_until: ours.then_some(Expiry::Never),
        member_of: ours.then(BTreeSet::new),
        members: ours.then(BTreeSet::new),
        settings_in_databases: ours.then(BTreeMap::new),
    }
}
