//! Holds an object still while it is read again and written, in one transaction: what somebody changed since the plan is
//! never overwritten unseen.
//!
//! The row of a catalog is locked by a change to it that changes nothing, which every administrator may make who may make
//! the real one (`SELECT .. FOR UPDATE` on a catalog takes a superuser). Whoever changes the same object meanwhile waits for
//! us, and is then told that it was changed (XX000, `tuple concurrently updated`); whoever was first makes us wait, and
//! then it is we who are told, and read again. What lies inside a database (schema public, tables, default privileges)
//! has no such row: it is compared in the same transaction, right before it is written.

use crate::core::change::{Resource, agree, three_way};
use crate::core::step::Step as CoreStep;
use crate::error::Diagnostic;
use crate::services::postgres::connect::{Connector, answered, run, values};
use crate::services::postgres::model::Database;
use crate::services::postgres::scope::Scope;
use crate::services::postgres::{observe, shape};
use crate::services::{Failure, Model, Outcome, Step};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

/// Why a step wrote nothing, or failed.
pub enum Halt {
    Failed(Failure),
    /// Somebody changed the object while we waited to lock it: nothing was written, and it is read again.
    Overtaken(Failure),
    /// What is there by now is not what was planned on.
    Settled(Outcome),
}

impl Halt {
    /// The same where a part of the step is written by now, so that it cannot begin again as if nothing was.
    pub fn after_a_write(self) -> Self {
        match self {
            Self::Overtaken(failure) => Self::Failed(failure),
            Self::Failed(_) | Self::Settled(_) => self,
        }
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Diagnostic> for Halt {
    fn from(error: Diagnostic) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Halt> for Outcome {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(failure) | Halt::Overtaken(failure) => failure.into(),
            Halt::Settled(outcome) => outcome,
        }
    }
}

/// Locks a role until the transaction that is open ends. INHERIT is nobody's business, and stays as it is.
pub async fn hold_role(connection: &mut PgConnection, role: &str) -> Result<(), Halt> {
    let inherits = "SELECT rolinherit FROM pg_catalog.pg_roles WHERE rolname = $1";
    let Some(inherits) = values::<bool>(connection, role, inherits, &[role]).await?.pop() else { return Ok(()) };
    let no = if inherits { "" } else { "NO" };
    hold(connection, role, &format!("ALTER ROLE {} {no}INHERIT", escape_identifier(role))).await
}

/// Locks a database until the transaction that is open ends: its limit, its owner, and who may do what with it. Whether it
/// is a template is nobody's business, and stays as it is.
pub async fn hold_database(connection: &mut PgConnection, database: &str) -> Result<(), Halt> {
    let template = "SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = $1";
    let Some(template) = values::<bool>(connection, database, template, &[database]).await?.pop() else {
        return Ok(());
    };
    hold(connection, database, &format!("ALTER DATABASE {} IS_TEMPLATE {template}", escape_identifier(database))).await
}

/// Begins a transaction in which a database stays as it was planned on, as far as that is seen from outside. What fails
/// leaves by an error, and the connection with it: nothing is committed.
pub async fn begin_on_database(connector: &Connector, connection: &mut PgConnection, step: &Step) -> Result<(), Halt> {
    run(connection, &step.address.name, "BEGIN").await?;
    hold_database(connection, &step.address.name).await?;
    let mut now = observe::now_outside(connector, connection, &Scope::of_steps([step])).await?;
    let now = now.remove(&step.address);
    if let Some(Model::PostgresDatabase(Database { oid: Some(oid), .. })) = &now {
        same_database(step, oid)?;
    }
    as_planned(step, now)
}

/// Whether a database is the one that was planned on. A plan of an earlier version does not say which that was.
pub fn same_database(step: &Step, oid: &str) -> Result<(), Halt> {
    let Some(Model::PostgresDatabase(Database { oid: Some(planned), .. })) = &step.before else { return Ok(()) };
    if planned == oid {
        return Ok(());
    }
    let why = "it was dropped and made anew since it was planned, so it is another database than the plan tells of";
    Err(Halt::Settled(Outcome::Refused { why: why.to_owned() }))
}

/// Locks all that is set for roles and databases: there is no row as long as nothing is set. Only superusers may, and nobody
/// is kept waiting for long: who has a transaction open that sets something is not waited for.
pub async fn hold_settings(connector: &Connector, connection: &mut PgConnection, object: &str) -> Result<(), Failure> {
    if !connector.is_superuser(connection).await? {
        return Ok(());
    }
    const LOCK: &str = "SET LOCAL lock_timeout = '2s'; LOCK TABLE pg_catalog.pg_db_role_setting IN SHARE ROW EXCLUSIVE MODE; \
                        SET LOCAL lock_timeout = 0";
    const LOCKED: &str = "55P03";
    run(connection, object, "SAVEPOINT nornplan_hold").await?;
    match run(connection, object, LOCK).await {
        Err(failure) if answered(&failure) == Some(LOCKED) => {
            run(connection, object, "ROLLBACK TO SAVEPOINT nornplan_hold").await
        }
        locked => locked,
    }
}

/// Who may not do that goes on without: then the real change is refused as well, or it is another one.
async fn hold(connection: &mut PgConnection, object: &str, statement: &str) -> Result<(), Halt> {
    const REFUSED: &str = "42501";
    const CHANGED: &str = "XX000";
    run(connection, object, "SAVEPOINT nornplan_hold").await?;
    match run(connection, object, statement).await {
        Ok(()) => Ok(run(connection, object, "RELEASE SAVEPOINT nornplan_hold").await?),
        Err(failure) if answered(&failure) == Some(REFUSED) => {
            Ok(run(connection, object, "ROLLBACK TO SAVEPOINT nornplan_hold").await?)
        }
        Err(failure) if answered(&failure) == Some(CHANGED) => Err(Halt::Overtaken(failure)),
        Err(failure) => Err(failure.into()),
    }
}

/// Goes on if an object is as it was planned on.
///
/// # Errors
/// It is another one, or already as wanted.
pub fn as_planned(step: &Step, now: Option<Model>) -> Result<(), Halt> {
    let now = shape::seen_by(step, now);
    let is = |end: Option<&Model>| match (now.as_ref(), end) {
        (None, None) => true,
        (Some(now), Some(end)) => agree(end, now),
        (Some(_), None) | (None, Some(_)) => false,
    };
    let CoreStep { before, after, .. } = step;
    if is(before.as_ref()) {
        return Ok(());
    }
    if is(after.as_ref()) {
        return Err(Halt::Settled(Outcome::AlreadySo));
    }
    let expected = before.as_ref().or(after.as_ref());
    let differs = now.as_ref().zip(expected).map(|(now, expected)| three_way(&now.fields(), &expected.fields(), None));
    let differs = differs.map(|comparison| comparison.changes).unwrap_or_default();
    Err(Halt::Settled(Outcome::Stale { now: now.map(Box::new), differs }))
}
