//! Carries out steps: one operation each, read again afterwards where a statement may silently do nothing.

mod database;
mod drop;
mod extension;
mod grant;
mod guard;
mod lock_down;
mod membership;
mod objects;
mod rename;
mod role;
mod strays;

use super::connect::{Connector, Purpose, run};
use super::model::Op as Do;
use super::observe;
use super::scope::Scope;
use super::shape::settle;
use crate::core::address::Address;
use crate::core::change::{Resource, three_way};
use crate::core::step::Risk;
use crate::error::{Diagnostic, Kind};
use crate::services::{ApplyContext, Failure, Fingerprint, Model, Op, Outcome, ServiceId, Step};
use guard::Halt;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often somebody may be faster in a row, and the pause after each time.
const OVERTAKEN: usize = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// Carries out one step.
pub async fn apply(connector: &Connector, step: &Step, context: &ApplyContext) -> Outcome {
    let mut done = carry_out(connector, step, context).await;
    for _ in 0..OVERTAKEN {
        if !matches!(done, Err(Halt::Overtaken(_))) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        done = carry_out(connector, step, context).await;
    }
    match done {
        Ok(done) => done,
        Err(halt) => halt.into(),
    }
}

async fn carry_out(connector: &Connector, step: &Step, context: &ApplyContext) -> Result<Outcome, Halt> {
    let Op::Postgres(operation) = &step.op else { return Ok(Outcome::done()) };
    let password = || context.vault.password(&step.app, ServiceId::Postgres);
    let fingerprint = match (operation, &step.before, &step.after) {
        (Do::CreateRole, _, Some(Model::PostgresRole(role))) => {
            let password = if step.sets_credential { Some(password()?) } else { None };
            role::create_role(connector, step, role, password).await?
        }
        (Do::SetPassword, _, Some(Model::PostgresRole(_))) => {
            Some(role::set_password(connector, step, &password()?).await?)
        }
        (Do::AlterRole, Some(Model::PostgresRole(before)), Some(Model::PostgresRole(after))) => {
            role::alter_role(connector, step, before, after).await?
        }
        (Do::DropRole, Some(Model::PostgresRole(role)), _) => role::drop_role(connector, step, &role.name).await?,
        (Do::CreateDatabase, there, Some(Model::PostgresDatabase(database))) => {
            database::create_database(connector, database, there.is_some()).await?
        }
        (
            Do::AlterDatabase { user, keeps },
            Some(Model::PostgresDatabase(before)),
            Some(Model::PostgresDatabase(after)),
        ) => database::alter_database(connector, step, before, after, database::Kept { user, grants: keeps }).await?,
        (Do::CloseDatabase, _, Some(Model::PostgresDatabase(database))) => {
            database::close_database(connector, step, database).await?
        }
        (Do::DropDatabase, Some(Model::PostgresDatabase(database)), _) => {
            // With sessions in it when it was planned, it runs only with consent to end them.
            let may_end = step.risks.contains(&Risk::Interrupts) || context.consent.may_interrupt(&step.address);
            let dump = database::drop_database(connector, step, database, may_end, &context.stop).await?;
            return Ok(Outcome::Done { fingerprint: None, dump, note: None });
        }
        (Do::RenameDatabase { from, oid }, _, Some(Model::PostgresDatabase(database))) => {
            let may_end = step.risks.contains(&Risk::Interrupts) || context.consent.may_interrupt(&step.address);
            let ends = rename::Ends { from, to: &database.name, oid: oid.as_deref() };
            return Ok(rename::database(connector, &ends, may_end).await?);
        }
        (Do::RenameRole { from, oid }, _, Some(Model::PostgresRole(role))) => {
            let ends = rename::Ends { from, to: &role.name, oid: oid.as_deref() };
            let proof = context.vault.proof_of(&step.app, ServiceId::Postgres, from)?;
            return rename::role(connector, &ends, proof.published.filter(|_| !proof.names_another)).await;
        }
        (Do::SetGrant, _, Some(Model::PostgresGrant(grant))) => grant::set_grant(connector, step, grant).await?,
        (Do::RevokeGrant, Some(Model::PostgresGrant(grant)), _) => grant::revoke(connector, grant).await?,
        (Do::LockDown, Some(Model::PostgresLockDown(before)), Some(Model::PostgresLockDown(after))) => {
            lock_down::shut(connector, step, before, after).await?
        }
        _ => {
            let error = Diagnostic::new(Kind::Plan, "the step does not say what it changes");
            return Err(error.on("postgres", &step.address, "").hint("make the plan anew").into());
        }
    };
    Ok(Outcome::Done { fingerprint, dump: None, note: None })
}

/// Runs statements in the administration database.
async fn write(connector: &Connector, object: &str, statements: &str) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.administration(Purpose::Write).await?;
    run(&mut connection, object, statements).await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(None)
}

/// Reads again: a REVOKE of what another role granted does nothing, and says nothing.
async fn verify(
    connection: &mut PgConnection,
    database: &str,
    scope: &Scope,
    wanted: &Model,
) -> Result<Option<Fingerprint>, Failure> {
    compare(database, wanted, observe::now_inside(connection, database, scope).await?)
}

fn compare(database: &str, wanted: &Model, now: BTreeMap<Address, Model>) -> Result<Option<Fingerprint>, Failure> {
    let mut wanted = wanted.clone();
    let mut differing = vec!["everything".to_owned()];
    for mut model in now.into_values() {
        settle(Some(&mut wanted), Some(&mut model), None);
        let changes = three_way(&wanted.fields(), &model.fields(), None).changes;
        differing = changes.into_iter().map(|change| change.field).collect();
    }
    if differing.is_empty() {
        return Ok(None);
    }
    Err(other_grantor(database, &format!("done, but {} did not become as wanted", differing.join(", "))))
}

fn other_grantor(object: &str, message: &str) -> Failure {
    Diagnostic::new(Kind::Service, message)
        .on("postgres", object, "")
        .hint("another role granted it: sign in as that role, or as a superuser, and revoke it there")
        .into()
}
