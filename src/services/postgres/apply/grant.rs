//! Gives and takes what a role may do in a database.

use super::{other_grantor, verify};
use crate::services::postgres::connect::{Connector, Purpose, run, value};
use crate::services::postgres::membership::join_for_grants;
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

/// Whose new tables a role may use, where the plan did not look at the app that the database belongs to; the owner if
/// nobody's.
async fn creator(connection: &mut PgConnection, grant: &Grant) -> Result<String, Failure> {
    let statement = "SELECT coalesce((SELECT min(pg_get_userbyid(f.defaclrole)) FROM pg_catalog.pg_default_acl f, \
                     aclexplode(f.defaclacl) a JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE r.rolname = $1), \
                     pg_get_userbyid(datdba))::text FROM pg_catalog.pg_database WHERE datname = current_database()";
    value(connection, &grant.database, statement, &[&grant.role]).await
}
