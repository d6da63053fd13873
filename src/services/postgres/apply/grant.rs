//! Gives and takes what a role may do in a database.

use super::{other_grantor, verify};
use crate::services::postgres::catalog::{self, DatabaseRow, Inside};
use crate::services::postgres::connect::{Connector, Purpose, close, join, run};
use crate::services::postgres::model::{Access, Grant, grant_address};
use crate::services::postgres::scope::{Pair, Scope};
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Model};
use sqlx::PgConnection;

/// Makes the privileges of one role exactly the wanted ones.
pub async fn set_grant(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    give(connector, &mut connection, grant).await?;
    let model = Model::PostgresGrant(grant.clone());
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    let verified = verify(&mut connection, &grant.database, &scope, &model).await;
    close(connection).await;
    verified
}

/// The same on a connection to the database, in the transaction that is open there, if one is; not read again.
pub async fn give(connector: &Connector, connection: &mut PgConnection, grant: &Grant) -> Result<(), Failure> {
    let model = Model::PostgresGrant(grant.clone());
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    let Some((pair, row, inside)) = look(connector, connection, grant, &scope).await? else { return Ok(()) };
    let statements = sql::grant::set_grant(grant, pair, &row, &inside);
    run(connection, &grant.database, &statements).await.map_err(|mut failure| {
        let no_role = format!("role \"{}\" does not exist", grant.role);
        if failure.error.message.contains(&no_role) {
            failure.error.hint =
                Some("its app was not applied yet: apply that one first, or all without --app".to_owned());
        }
        failure
    })
}

/// Takes everything that a grant could have given.
pub async fn revoke(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Failure> {
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

/// What there is to change, after joining whom it takes to change it; nothing if there is no such database.
async fn look<'a>(
    connector: &Connector,
    connection: &mut PgConnection,
    grant: &Grant,
    scope: &'a Scope,
) -> Result<Option<(&'a Pair, DatabaseRow, Inside)>, Failure> {
    let Some(row) = catalog::database(connection, &grant.database).await? else { return Ok(None) };
    for role in [&row.owner].into_iter().chain(grant.makers.iter().flatten()) {
        join(connector, connection, role).await?;
    }
    let inside = catalog::inside(connection, &grant.database, &scope.needs(&grant.database)).await?;
    let pair = scope.grants.get(&grant.database).and_then(|pairs| pairs.first());
    Ok(pair.map(|pair| (pair, row, inside)))
}
