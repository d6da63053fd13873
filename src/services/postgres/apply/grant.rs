//! Gives and takes what a role may do in a database.

use super::guard::{self, Halt};
use super::{other_grantor, verify};
use crate::services::postgres::catalog::{self, DatabaseRow, Inside, Shared};
use crate::services::postgres::connect::{Connector, Purpose, close, join, run};
use crate::services::postgres::model::{Access, Grant, grant_address};
use crate::services::postgres::scope::{Pair, Scope};
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Model, Step};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Makes the privileges of one role exactly the wanted ones, if they are as planned.
pub async fn set_grant(connector: &Connector, step: &Step, grant: &Grant) -> Result<Option<Fingerprint>, Halt> {
    let mut connection = connector.admin(&grant.database, Purpose::Write).await?;
    let scope = Scope::of_steps([step]);
    join_givers(connector, &mut connection, grant).await?;
    run(&mut connection, &grant.database, "BEGIN").await?;
    guard::hold_database(&mut connection, &grant.database).await?;
    let found = Found::look(&mut connection, grant, &scope).await?;
    guard::as_planned(step, observe::read_in(&scope, &found.shared, &found.insides).remove(&step.address))?;
    found.set(&mut connection, grant, &scope).await?;
    run(&mut connection, &grant.database, "COMMIT").await?;
    let model = Model::PostgresGrant(grant.clone());
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    let verified = verify(&mut connection, &grant.database, &scope, &model).await;
    close(connection).await;
    Ok(verified?)
}

/// The same on a connection to the database, in the transaction that is open there; not compared, and not read again.
pub async fn give(connector: &Connector, connection: &mut PgConnection, grant: &Grant) -> Result<(), Failure> {
    let model = Model::PostgresGrant(grant.clone());
    let scope = Scope::of([(&grant_address(&grant.database, &grant.role), &model)]);
    join_givers(connector, connection, grant).await?;
    Found::look(connection, grant, &scope).await?.set(connection, grant, &scope).await
}

/// Takes everything that a grant could have given: whatever it is by now, all of it goes.
pub async fn revoke(connector: &Connector, grant: &Grant) -> Result<Option<Fingerprint>, Halt> {
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
    join_givers(connector, &mut connection, grant).await?;
    run(&mut connection, &grant.database, "BEGIN").await?;
    guard::hold_database(&mut connection, &grant.database).await?;
    let found = Found::look(&mut connection, grant, &scope).await?;
    if let Some((pair, row, inside)) = found.parts(&grant.database, &scope) {
        run(&mut connection, &grant.database, &sql::grant::revoke_grant(pair, row, inside)).await?;
    }
    run(&mut connection, &grant.database, "COMMIT").await?;
    let rest = observe::now_inside(&mut connection, &grant.database, &scope).await?;
    close(connection).await;
    if rest.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(&grant.database, &format!("{} still has privileges", grant.role)).into())
}

/// Joins whom it takes to change a grant.
async fn join_givers(connector: &Connector, connection: &mut PgConnection, grant: &Grant) -> Result<(), Failure> {
    let owner = catalog::database(connection, &grant.database).await?.map(|row| row.owner);
    for role in owner.iter().chain(grant.makers.iter().flatten()) {
        join(connector, connection, role).await?;
    }
    Ok(())
}

/// What there is to change.
struct Found {
    shared: Shared,
    insides: BTreeMap<String, Inside>,
}

impl Found {
    async fn look(connection: &mut PgConnection, grant: &Grant, scope: &Scope) -> Result<Self, Failure> {
        let shared = catalog::shared(connection, &scope.all_roles(), &scope.databases, &BTreeSet::new()).await?;
        let inside = catalog::inside(connection, &grant.database, &scope.needs(&grant.database)).await?;
        Ok(Self { shared, insides: BTreeMap::from([(grant.database.clone(), inside)]) })
    }

    /// Nothing if there is no such database.
    fn parts<'a>(&'a self, database: &str, scope: &'a Scope) -> Option<(&'a Pair, &'a DatabaseRow, &'a Inside)> {
        let row = self.shared.databases.iter().find(|row| row.name == database)?;
        Some((scope.grants.get(database)?.first()?, row, self.insides.get(database)?))
    }

    async fn set(&self, connection: &mut PgConnection, grant: &Grant, scope: &Scope) -> Result<(), Failure> {
        let Some((pair, row, inside)) = self.parts(&grant.database, scope) else { return Ok(()) };
        let statements = sql::grant::set_grant(grant, pair, row, inside);
        run(connection, &grant.database, &statements).await.map_err(|mut failure| {
            let no_role = format!("role \"{}\" does not exist", grant.role);
            if failure.error.message.contains(&no_role) {
                failure.error.hint =
                    Some("its app was not applied yet: apply that one first, or all without --app".to_owned());
            }
            failure
        })
    }
}
