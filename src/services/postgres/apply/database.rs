//! Makes, changes, closes and drops databases.

use super::guard::{self, Halt};
use super::{compare, drop, extension, grant, objects, strays, verify};
use crate::services::postgres::connect::join;
use crate::services::postgres::connect::{Connector, Purpose, close, run};
use crate::services::postgres::model::{Access, Database, Grant, database_address};
use crate::services::postgres::scope::Scope;
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Model, Step};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Drops a database after it was dumped: into which file. `may_end` is the consent to end the sessions in it; `stop` breaks
/// it off for as long as nothing is dropped.
pub async fn drop_database(
    connector: &Connector,
    step: &Step,
    database: &Database,
    may_end: bool,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, Halt> {
    let mut connection = connector.administration(Purpose::Write).await?;
    join(connector, &mut connection, &database.owner).await?;
    let dump = drop::database(connector, &mut connection, step, may_end, stop).await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(dump)
}

/// Creates a database that PUBLIC cannot enter; `is_half_made` says that an earlier call has begun that.
pub async fn create_database(
    connector: &Connector,
    database: &Database,
    is_half_made: bool,
) -> Result<Option<Fingerprint>, Failure> {
    let mut connection = connector.administration(Purpose::Write).await?;
    join(connector, &mut connection, &database.owner).await?;
    if !is_half_made {
        let create = sql::database::create_database(database);
        run(&mut connection, &database.name, &create).await.map_err(explain_locale)?;
    }
    run(&mut connection, &database.name, &sql::database::isolate(database)).await?;
    connector.keep(Purpose::Write, connection).await;
    if database.extensions.iter().any(|extensions| !extensions.is_empty()) {
        let mut connection = connector.admin(&database.name, Purpose::Write).await?;
        extension::bring(&mut connection, database).await?;
        close(connection).await;
    }
    Ok(None)
}

/// Closes a database to everybody, if it is as planned; those who are in it stay.
pub async fn close_database(
    connector: &Connector,
    step: &Step,
    database: &Database,
) -> Result<Option<Fingerprint>, Halt> {
    let mut connection = connector.administration(Purpose::Write).await?;
    join(connector, &mut connection, &database.owner).await?;
    guard::begin_on_database(connector, &mut connection, step).await?;
    let close = sql::database::allow_connections(&database.name, false);
    run(&mut connection, &database.name, &format!("{close}; COMMIT")).await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(None)
}

/// Who keeps what access while the owner changes.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// The app's user; empty if nobody is.
    pub user: &'a str,
    /// What former owners shall have from then on.
    pub grants: &'a [Grant],
}

/// Changes what differs, if all is as planned, and reads it again.
pub async fn alter_database(
    connector: &Connector,
    step: &Step,
    before: &Database,
    after: &Database,
    kept: Kept<'_>,
) -> Result<Option<Fingerprint>, Halt> {
    let mut statements = sql::database::alter_database(before, after);
    let is_shut = !before.allow_connections || before.connection_limit == Some(0);
    if !is_shut {
        let mut after = after.clone();
        if before.extensions.is_none() {
            // Nobody looked into it, so the plan shows nothing of what is in it: that is left to the next one.
            after.extensions = None;
            if after.former_users.is_empty() {
                after.objects_of_others = None;
            }
        }
        return alter_inside(connector, Some(step), before, &after, kept, statements).await;
    }
    // Nobody, or no administrator but a superuser, gets in before.
    let mut connection = connector.administration(Purpose::Write).await?;
    join(connector, &mut connection, &before.owner).await?;
    hold(connector, &mut connection, before, after).await?;
    let mut now = observe::now_outside(connector, &mut connection, &Scope::of_steps([step])).await?;
    guard::as_planned(step, now.remove(&step.address))?;
    if after.allow_connections {
        change(&mut connection, after, &statements).await?;
        run(&mut connection, &after.name, "COMMIT").await?;
        connector.keep(Purpose::Write, connection).await;
        return alter_inside(connector, None, before, after, kept, Vec::new()).await;
    }
    statements.extend(change_owner(connector, &mut connection, before, after, kept.user, false).await?);
    statements.extend(kept.grants.iter().flat_map(|grant| sql::grant::own_access(grant, false)));
    statements.extend(strays::revoke_outside(&mut connection, before).await?);
    change(&mut connection, after, &statements).await?;
    run(&mut connection, &after.name, "COMMIT").await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(verify_outside(connector, after).await?)
}

/// Begins a transaction in which nobody else changes the database. What fails then leaves by an error, and the connection
/// with it: nothing is committed.
async fn hold(
    connector: &Connector,
    connection: &mut PgConnection,
    before: &Database,
    after: &Database,
) -> Result<(), Halt> {
    run(connection, &after.name, "BEGIN").await?;
    guard::hold_database(connection, &after.name).await?;
    if before.settings == after.settings {
        return Ok(());
    }
    Ok(guard::hold_settings(connector, connection, &after.name).await?)
}

/// Changes the owner, what `others` say, and what lies in the database, with a session in it; if all is as the `step`
/// planned on, where that is not known yet.
async fn alter_inside(
    connector: &Connector,
    step: Option<&Step>,
    before: &Database,
    after: &Database,
    kept: Kept<'_>,
    others: Vec<String>,
) -> Result<Option<Fingerprint>, Halt> {
    let mut connection = connector.admin(&after.name, Purpose::Write).await?;
    join(connector, &mut connection, &before.owner).await?;
    let held = hold(connector, &mut connection, before, after).await;
    held.map_err(|halt| if step.is_some() { halt } else { halt.after_a_write() })?;
    if let Some(step) = step {
        let scope = Scope::of_steps([step]);
        let mut now = observe::now_inside(&mut connection, &after.name, &scope).await?;
        guard::as_planned(step, now.remove(&step.address))?;
    }
    let mut statements = change_owner(connector, &mut connection, before, after, kept.user, true).await?;
    statements.extend(others);
    statements.extend(strays::revoke(connector, &mut connection, before).await?);
    let (there, wanted) = (Model::PostgresDatabase(before.clone()), Model::PostgresDatabase(after.clone()));
    let address = database_address(&after.name);
    let mut scope = Scope::of([(&address, &there), (&address, &wanted)]);
    scope.set_user(&after.name, kept.user);
    let adopts = before.objects_of_others != after.objects_of_others && after.objects_of_others.is_some();
    change(&mut connection, after, &statements).await?;
    if adopts {
        objects::adopt(connector, &mut connection, &after.name, &scope).await?;
    }
    for grant in kept.grants {
        grant::give(connector, &mut connection, grant).await?;
    }
    run(&mut connection, &after.name, "COMMIT").await?;
    // What is in a database that lets nobody in was unknown.
    if before.extensions != after.extensions && after.extensions.is_some() {
        extension::bring(&mut connection, after).await?;
    }
    let verified = verify(&mut connection, &after.name, &scope, &wanted).await;
    close(connection).await;
    let verified = verified.map_err(|mut failure| {
        if adopts && failure.error.message.contains("objects_of_others") {
            failure.error.hint = Some("another role made objects meanwhile: run it again".to_owned());
        }
        failure
    });
    Ok(verified?)
}

/// Runs what changes a database, if anything does.
async fn change(connection: &mut PgConnection, database: &Database, statements: &[String]) -> Result<(), Failure> {
    if statements.is_empty() {
        return Ok(());
    }
    run(connection, &database.name, &statements.join("; ")).await
}

/// The statements that change the owner, if it changes. What the app has in the database can be given only from inside.
async fn change_owner(
    connector: &Connector,
    connection: &mut PgConnection,
    before: &Database,
    after: &Database,
    user: &str,
    inside: bool,
) -> Result<Vec<String>, Failure> {
    if before.owner == after.owner {
        return Ok(Vec::new());
    }
    join(connector, connection, &after.owner).await?;
    let name = escape_identifier(&after.name);
    let mut statements = vec![format!("ALTER DATABASE {name} OWNER TO {}", escape_identifier(&after.owner))];
    // The old owner's entry became the new owner's: give the app its own in the same transaction.
    if user != after.owner && !user.is_empty() {
        let app = Grant::declared(&after.name, user, Access::App, &BTreeSet::new());
        statements.extend(sql::grant::own_access(&app, inside));
    }
    Ok(statements)
}

/// Reads a database again that nobody gets into.
async fn verify_outside(connector: &Connector, wanted: &Database) -> Result<Option<Fingerprint>, Failure> {
    let model = Model::PostgresDatabase(wanted.clone());
    let scope = Scope::of([(&database_address(&wanted.name), &model)]);
    compare(&wanted.name, &model, observe::now(connector, &scope).await?)
}

/// A locale is one of the operating system's, which no catalog lists.
fn explain_locale(mut failure: Failure) -> Failure {
    if failure.error.message.contains("locale name") {
        failure.error.hint = Some(
            "the server's operating system does not have this locale: `locale -a` there lists those that it has; make \
             it there, or name another in the infraspec"
                .to_owned(),
        );
    } else if failure.error.message.contains("does not match locale") {
        failure.error.hint =
            Some("name a locale of that encoding beside it in the infraspec; `C` goes with every encoding".to_owned());
    }
    failure
}
