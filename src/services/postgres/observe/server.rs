//! What a plan must know of the server, read.

use crate::core::address::Address;
use crate::services::postgres::catalog::{self, Inside, Shared};
use crate::services::postgres::connect::{code, stating};
use crate::services::postgres::model::{Database, Role};
use crate::services::postgres::scope::Scope;
use crate::services::postgres::server::{Offered, Parameters, Server};
use crate::services::{Ask, Failure, Model, Observed};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// What tells this server from every other; unknown where reading it is not allowed.
pub async fn identity(connection: &mut PgConnection) -> Result<Option<String>, Failure> {
    let statement = "SELECT system_identifier::text FROM pg_control_system()";
    match sqlx::query_scalar(statement).persistent(false).fetch_one(connection).await {
        Ok(identity) => Ok(Some(identity)),
        Err(error) if code(&error) == Some("42501") => Ok(None),
        Err(error) => Err(stating(error, "system identifier", statement)),
    }
}

/// What a plan must know of the server.
pub async fn server(
    connection: &mut PgConnection,
    scope: &Scope,
    shared: &Shared,
    insides: &BTreeMap<String, Inside>,
    offered: Option<Offered>,
) -> Result<Server, Failure> {
    let owners: BTreeMap<String, String> =
        shared.databases.iter().map(|row| (row.name.clone(), row.owner.clone())).collect();
    let of_public = insides.values().filter_map(|inside| inside.public_owner.clone());
    let of_objects = insides.values().flat_map(|inside| inside.belongings.keys().cloned());
    let roles =
        scope.all_roles().into_iter().chain(owners.values().cloned()).chain(of_public).chain(of_objects).collect();
    let rights = catalog::rights(connection, &roles).await?;
    let mut absent_roles = scope.all_roles();
    absent_roles.retain(|name| !shared.roles.iter().any(|role| role.name == *name));
    Ok(Server {
        version_number: shared.version_number,
        admin: rights.admin,
        roles: rights.roles,
        owners,
        offered,
        absent_roles,
        parameters: None,
        cannot_dump: None,
        snapshots: BTreeMap::new(),
        closed_to_us: BTreeMap::new(),
    })
}

/// What the server knows of the settings that are wanted or there.
pub async fn parameters(
    connection: &mut PgConnection,
    ask: &Ask,
    resources: &BTreeMap<Address, Observed>,
) -> Result<Option<Parameters>, Failure> {
    let wanted = ask.wanted.values().map(|one| &one.model);
    let there = resources.values().map(|one| &one.model);
    let mut names = BTreeSet::new();
    for model in wanted.chain(there) {
        if let Model::PostgresRole(Role { settings, .. }) | Model::PostgresDatabase(Database { settings, .. }) = model {
            names.extend(settings.keys().cloned());
        }
    }
    catalog::parameters(connection, &names).await
}

/// What the server offers, where a database is wanted.
pub async fn offered(connection: &mut PgConnection, ask: &Ask) -> Result<Option<Offered>, Failure> {
    let databases = ask
        .wanted
        .values()
        .filter_map(|one| if let Model::PostgresDatabase(database) = &one.model { Some(database) } else { None });
    let declared: Vec<_> = databases.map(|database| &database.extensions).collect();
    if declared.is_empty() {
        return Ok(None);
    }
    let all = || declared.iter().copied().flatten().flatten();
    let names = all().map(|(name, _)| name.clone()).collect();
    let versioned = all().filter(|(_, extension)| extension.version.is_some()).map(|(name, _)| name.clone()).collect();
    catalog::offered(connection, &names, &versioned).await.map(Some)
}
