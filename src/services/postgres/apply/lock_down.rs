//! Closes the databases that every role may enter.

use super::guard::{self, Halt};
use super::other_grantor;
use crate::core::change::agree;
use crate::services::postgres::catalog::lock_downs;
use crate::services::postgres::connect::{Connector, Purpose, close, run};
use crate::services::postgres::model::{LockDown, lock_down_address};
use crate::services::postgres::sql::lock_down;
use crate::services::{Failure, Fingerprint, Model, Step};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Closes a database to PUBLIC in one transaction, and proves that we ourselves still get in. If not, PUBLIC gets back
/// what it had.
pub async fn shut(
    connector: &Connector,
    step: &Step,
    before: &LockDown,
    after: &LockDown,
) -> Result<Option<Fingerprint>, Halt> {
    let name = &after.database;
    let mut connection = connector.administration(Purpose::Write).await?;
    run(&mut connection, name, "BEGIN").await?;
    guard::hold_database(&mut connection, name).await?;
    guard::as_planned(step, now(&mut connection, name).await?)?;
    run(&mut connection, name, &lock_down::close(name)).await?;
    // A REVOKE of what another role granted does nothing, and says nothing.
    if !is_so(&mut connection, after).await? {
        run(&mut connection, name, "ROLLBACK").await?;
        return Err(other_grantor(name, "PUBLIC has privileges that its owner did not grant").into());
    }
    run(&mut connection, name, "COMMIT").await?;
    if let Err(mut failure) = prove(connector).await {
        if !before.public.is_empty() {
            run(&mut connection, name, &lock_down::open(name, &before.public)).await?;
        }
        failure.error.message =
            format!("closed, but then we could not sign in, so it was opened again: {}", failure.error.message);
        return Err(failure.into());
    }
    connector.keep(Purpose::Write, connection).await;
    Ok(None)
}

/// Whether it is as wanted, for this transaction.
async fn is_so(connection: &mut PgConnection, wanted: &LockDown) -> Result<bool, Failure> {
    let now = now(connection, &wanted.database).await?;
    Ok(now.is_some_and(|now| agree(&now, &Model::PostgresLockDown(wanted.clone()))))
}

async fn now(connection: &mut PgConnection, database: &str) -> Result<Option<Model>, Failure> {
    let mut now = lock_downs(connection, &BTreeSet::from([database.to_owned()])).await?;
    Ok(now.remove(&lock_down_address(database)).map(|observed| observed.model))
}

/// Signs in anew, to where every run begins.
async fn prove(connector: &Connector) -> Result<(), Failure> {
    close(connector.admin(&connector.config.database, Purpose::Observe).await?).await;
    Ok(())
}
