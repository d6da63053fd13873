//! Gives and takes what a role may do in a database.

use super::{other_grantor, verify};
use crate::services::postgres::connect::{Connector, Purpose, run, value, values};
use crate::services::postgres::membership::{join, join_for_grants};
use crate::services::postgres::model::{Grant, grant_address};
use crate::services::postgres::scope::Scope;
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Model, Step};
use sqlx::PgConnection;

/// Makes the privileges of one role exactly the wanted ones.
pub async fn set_grant(connector: &Connector, grant: &Grant, user: &str) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    join_for_grants(connector, &mut connection, user).await?;
    run(&mut connection, &grant.database, &sql::grant::set_grant(grant, user)).await.map_err(|mut failure| {
        let no_role = format!("role \"{}\" does not exist", grant.role);
        if failure.error.message.contains(&no_role) {
            failure.error.hint =
                Some("its app was not applied yet: apply that one first, or all without --app".to_owned());
        }
        failure
    })?;
    let model = Model::PostgresGrant(grant.clone());
    let mut scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    scope.creators.insert(grant.database.clone(), user.to_owned());
    verify(&mut connection, &grant.database, &scope, &model).await
}

/// Takes everything that a grant could have given.
pub async fn revoke(
    connector: &Connector,
    step: &Step,
    grant: &Grant,
    user: &str,
) -> Result<Option<Fingerprint>, Failure> {
    if is_shut(connector, &grant.database).await? {
        return revoke_outside(connector, step, grant).await;
    }
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    let found;
    let user = if user.is_empty() {
        found = creator(&mut connection, grant).await?;
        found.as_str()
    } else {
        user
    };
    join_for_grants(connector, &mut connection, user).await?;
    run(&mut connection, &grant.database, &sql::grant::revoke_grant(&grant.database, &grant.role, user)).await?;
    let mut scope = Scope::of([(&step.address, &Model::PostgresGrant(grant.clone()))]);
    scope.creators.insert(grant.database.clone(), user.to_owned());
    if observe::now_inside(&mut connection, &grant.database, &scope).await?.is_empty() {
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
async fn revoke_outside(connector: &Connector, step: &Step, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
    let statement = "SELECT pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = $1";
    let mut connection = connector.writer().await?;
    let owner: String = value(&mut connection, &grant.database, statement, &[&grant.database]).await?;
    join(connector, &mut connection, &owner).await?;
    run(&mut connection, &grant.database, &sql::grant::revoke_database(grant)).await?;
    connector.keep(connection).await;
    let scope = Scope::of([(&step.address, &Model::PostgresGrant(grant.clone()))]);
    if observe::now(connector, &scope).await?.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(&grant.database, &format!("{} still has privileges", grant.role)))
}

/// Whose new tables a role may use, where the plan did not look at the app that the database belongs to; the owner if
/// nobody's.
async fn creator(connection: &mut PgConnection, grant: &Grant) -> Result<String, Failure> {
    let statement = "SELECT coalesce((SELECT min(pg_get_userbyid(f.defaclrole)) FROM pg_catalog.pg_default_acl f, \
                     aclexplode(f.defaclacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE r.rolname = $1), \
                     pg_get_userbyid(datdba))::text FROM pg_catalog.pg_database WHERE datname = current_database()";
    value(connection, &grant.database, statement, &[&grant.role]).await
}
