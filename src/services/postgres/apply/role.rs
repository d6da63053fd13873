//! Makes, changes and drops roles.

use super::guard::{self, Halt};
use super::{membership, write};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::postgres::catalog;
use crate::services::postgres::connect::{Connector, Purpose, SignIn, close, run, values};
use crate::services::postgres::credential::{
    Setting, accepts_anything, prove, server_log, set_and_commit, set_quietly, verifier,
};
use crate::services::postgres::model::{Credential, Dependent, Place, Role, solutions};
use crate::services::postgres::scope::Scope;
use crate::services::postgres::{observe, sql};
use crate::services::{Failure, Fingerprint, Outcome, Step};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Things in one database that are named when they stand in the way of a drop.
const NAMED: usize = 5;

/// Creates a role; with a password, in the same transaction, and proves it.
pub async fn create_role(
    connector: &Connector,
    step: &Step,
    role: &Role,
    password: Option<Secret>,
) -> Result<Option<Fingerprint>, Halt> {
    let create = sql::role::create_role(role);
    let Some(password) = password.filter(|_| role.credential == Some(Credential::Generate)) else {
        return Ok(write(connector, &role.name, &create).await?);
    };
    match create_with(connector, &role.name, &create, &password).await {
        Err(failure) if !failure.retry && is_our_own(connector, &role.name, &password).await => {
            set_password(connector, step, &password).await.map(Some)
        }
        created => Ok(created.map(Some)?),
    }
}

async fn create_with(
    connector: &Connector,
    role: &str,
    create: &str,
    password: &Secret,
) -> Result<Fingerprint, Failure> {
    let (verifier, fingerprint) = verifier(password);
    let mut connection = connector.administration(Purpose::Write).await?;
    set_quietly(&mut connection, &Setting { role, before: create, verifier: &verifier }).await?;
    connector.keep(Purpose::Write, connection).await;
    prove(connector, role, password).await?;
    Ok(fingerprint)
}

/// Sets a password on a role that is as planned, or as an earlier step of the plan has made it, and proves it: one that
/// has expired proves nothing.
pub async fn set_password(connector: &Connector, step: &Step, password: &Secret) -> Result<Fingerprint, Halt> {
    let role = &step.address.name;
    let (verifier, fingerprint) = verifier(password);
    let mut connection = connector.administration(Purpose::Write).await?;
    let hushed = server_log::hush(&mut connection, role).await?;
    match begin(connector, &mut connection, step, false).await {
        Ok(()) | Err(Halt::Settled(Outcome::AlreadySo)) => {}
        Err(halt) => return Err(halt),
    }
    run(&mut connection, role, &sql::role::never_expire(role)).await?;
    set_and_commit(&mut connection, role, &verifier, &hushed).await?;
    connector.keep(Purpose::Write, connection).await;
    prove(connector, role, password).await?;
    Ok(fingerprint)
}

/// Whether a role that could not be created is the work of an earlier call of ours, whose answer was lost: nobody else can
/// have given it a password that only we know.
async fn is_our_own(connector: &Connector, role: &str, password: &Secret) -> bool {
    matches!(connector.sign_in(role, password).await, Ok(SignIn::Right))
        && matches!(accepts_anything(connector).await, Ok(false))
}

/// Changes what differs.
pub async fn alter_role(
    connector: &Connector,
    step: &Step,
    before: &Role,
    after: &Role,
) -> Result<Option<Fingerprint>, Halt> {
    let mut connection = connector.administration(Purpose::Write).await?;
    let sets = before.settings != after.settings || before.settings_in_databases != after.settings_in_databases;
    begin(connector, &mut connection, step, sets).await?;
    let mut statements = vec![sql::role::alter_role(before, after)];
    if before.settings_in_databases != after.settings_in_databases && after.settings_in_databases.is_some() {
        statements.extend(resets(&mut connection, &after.name).await?);
    }
    statements.retain(|statement| !statement.is_empty());
    statements.push("COMMIT".to_owned());
    run(&mut connection, &after.name, &statements.join("; ")).await?;
    membership::revoke(&mut connection, before, after).await?;
    connector.keep(Purpose::Write, connection).await;
    Ok(None)
}

/// Begins a transaction in which a role stays as it was planned on, and what is set for it, if that is to change. What
/// fails leaves by an error, and the connection with it: nothing is committed.
async fn begin(connector: &Connector, connection: &mut PgConnection, step: &Step, sets: bool) -> Result<(), Halt> {
    let role = &step.address.name;
    run(connection, role, "BEGIN").await?;
    guard::hold_role(connection, role).await?;
    if sets {
        guard::hold_settings(connector, connection, role).await?;
    }
    let mut now = observe::now_outside(connector, connection, &Scope::of_steps([step])).await?;
    guard::as_planned(step, now.remove(&step.address))
}

/// What takes back all that is set for a role in the databases that still exist.
async fn resets(connection: &mut PgConnection, role: &str) -> Result<Vec<String>, Failure> {
    let statement = "SELECT ARRAY[d.datname::text, split_part(c, '=', 1)] FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.setrole JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, \
         unnest(s.setconfig) c WHERE r.rolname = $1 ORDER BY 1";
    let rows: Vec<Vec<String>> = values(connection, role, statement, &[role]).await?;
    let reset = |row: Vec<String>| match row.as_slice() {
        [database, key] => Some(sql::role::reset_in_database(role, database, key)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(reset).collect())
}

/// Drops a role on which nothing depends.
pub async fn drop_role(connector: &Connector, step: &Step, role: &str) -> Result<Option<Fingerprint>, Halt> {
    let mut connection = connector.administration(Purpose::Write).await?;
    let dependents = catalog::dependents(&mut connection, &BTreeSet::from([role.to_owned()])).await?;
    let statement = format!("DROP ROLE {}", escape_identifier(role));
    let Some(dependents) = dependents.get(role) else {
        begin(connector, &mut connection, step, false).await?;
        run(&mut connection, role, &format!("{statement}; COMMIT")).await?;
        connector.keep(Purpose::Write, connection).await;
        return Ok(None);
    };
    connector.keep(Purpose::Write, connection).await;
    let mut named = BTreeMap::new();
    for dependent in dependents {
        if let Place::Inside { database, .. } = &dependent.place {
            named.insert(database.as_str(), some_names(connector, role, database).await);
        }
    }
    let words: Vec<String> = dependents.iter().map(Dependent::words).collect();
    let named = named.iter().filter(|(_, names)| !names.is_empty());
    let named: Vec<String> = named.map(|(database, names)| format!("; in {database}: {}", names.join(", "))).collect();
    let message = format!("not dropped: it {}{}", words.join(", "), named.concat());
    let hint = format!("then run it again: {}", solutions(role, |_| None, dependents).join("; "));
    Err(Diagnostic::new(Kind::Service, message).on("postgres", role, statement).hint(hint).into())
}

/// What stands in the way inside a database, as far as we may look into it; that it is there is known already.
async fn some_names(connector: &Connector, role: &str, database: &str) -> Vec<String> {
    let Ok(mut connection) = connector.admin(database, Purpose::Observe).await else { return Vec::new() };
    let mut names = catalog::some_inside(&mut connection, role).await.unwrap_or_default();
    close(connection).await;
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("and more".to_owned());
    }
    names
}
