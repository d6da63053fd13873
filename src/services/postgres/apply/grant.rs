//! Gives and takes what a role may do in a database.

use super::{other_grantor, verify};
use crate::services::postgres::catalog::{self, DatabaseRow, Inside};
use crate::services::postgres::connect::join::{join, join_for_grants};
use crate::services::postgres::connect::{Connector, Purpose, close, run, value, values};
use crate::services::postgres::model::{Access, Grant, grant_address};
use crate::services::postgres::scope::{Pair, Scope};
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Model};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Makes the privileges of one role exactly the wanted ones.
pub async fn set_grant(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    let model = Model::PostgresGrant(grant.clone());
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    if let Some((pair, row, inside)) = look(connector, &mut connection, grant, &scope).await? {
        let statements = sql::grant::set_grant(grant, pair, &row, &inside);
        run(&mut connection, &grant.database, &statements).await.map_err(|mut failure| {
            let no_role = format!("role \"{}\" does not exist", grant.role);
            if failure.error.message.contains(&no_role) {
                failure.error.hint =
                    Some("its app was not applied yet: apply that one first, or all without --app".to_owned());
            }
            failure
        })?;
    }
    let verified = verify(&mut connection, &grant.database, &scope, &model).await;
    close(connection).await;
    verified
}

/// Takes everything that a grant could have given.
pub async fn revoke(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
    if is_shut(connector, &grant.database).await? {
        return revoke_outside(connector, grant).await;
    }
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    // What people gave to a role of theirs on objects is theirs to take.
    let access = grant.access.filter(|access| *access == Access::Migrator).or(Some(Access::Readonly));
    let nothing = Grant {
        database: grant.database.clone(),
        role: grant.role.clone(),
        makers: grant.makers.clone(),
        access,
        ..Grant::default()
    };
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &Model::PostgresGrant(nothing))]);
    if let Some((pair, row, inside)) = look(connector, &mut connection, grant, &scope).await? {
        run(&mut connection, &grant.database, &sql::grant::revoke_grant(pair, &row, &inside)).await?;
    }
    let rest = observe::now_inside(&mut connection, &grant.database, &scope).await?;
    close(connection).await;
    if rest.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(&grant.database, &format!("{} still has privileges", grant.role)))
}

/// Whether we do not get into a database: it is closed, or a cancelled DROP left it behind.
async fn is_shut(connector: &Connector, database: &str) -> Result<bool, Failure> {
    let statement = "SELECT NOT datallowconn OR datconnlimit = -2 OR (datconnlimit = 0 AND NOT rolsuper) \
                     FROM pg_catalog.pg_database, pg_catalog.pg_roles WHERE datname = $1 AND rolname = current_user";
    let mut connection = connector.writer().await?;
    let shut: Vec<bool> = values(&mut connection, database, statement, &[database]).await?;
    connector.keep(connection).await;
    Ok(shut == [true])
}

/// The same from outside, for a database that is about to be dropped.
async fn revoke_outside(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
    let statement = "SELECT pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = $1";
    let mut connection = connector.writer().await?;
    let owner: String = value(&mut connection, &grant.database, statement, &[&grant.database]).await?;
    join(connector, &mut connection, &owner).await?;
    let nothing = Grant { database: grant.database.clone(), role: grant.role.clone(), ..Grant::default() };
    run(&mut connection, &grant.database, &sql::grant::own_access(&nothing, false).join("; ")).await?;
    connector.keep(connection).await;
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &Model::PostgresGrant(grant.clone()))]);
    if observe::now(connector, &scope).await?.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(&grant.database, &format!("{} still has privileges", grant.role)))
}

/// What there is to change, after joining whom it takes to change it; nothing if there is no such database.
async fn look<'a>(
    connector: &Connector,
    connection: &mut PgConnection,
    grant: &Grant,
    scope: &'a Scope,
) -> Result<Option<(&'a Pair, DatabaseRow, Inside)>, Failure> {
    let makers = grant.makers.iter().flatten().map(String::as_str);
    join_for_grants(connector, connection, makers).await?;
    let shared = catalog::shared(connection, &BTreeSet::new(), &scope.databases, &BTreeSet::new()).await?;
    let inside = catalog::inside(connection, &grant.database, &scope.needs(&grant.database)).await?;
    let pair = scope.grants.get(&grant.database).and_then(|pairs| pairs.first());
    Ok(pair.zip(shared.databases.into_iter().next()).map(|(pair, row)| (pair, row, inside)))
}
