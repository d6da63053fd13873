//! Which databases and roles there are, by name alone: which they are, and who is using them.

use super::NOT_OURS;
use crate::services::Failure;
use crate::services::postgres::connect::{stating, value, values};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// One that exists.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    /// What tells it from another of the name.
    pub oid: String,
    /// Of a database the users of the sessions in it, of a role the databases that its sessions are in.
    pub users: Vec<String>,
}

/// Of these databases those that exist.
pub async fn databases(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Row>, Failure> {
    let users = format!(
        "SELECT d.datname::text, d.oid::text, \
         ARRAY(SELECT coalesce(a.usename, '?')::text FROM pg_catalog.pg_stat_activity a \
         WHERE a.datname = d.datname AND a.pid <> pg_backend_pid() AND {NOT_OURS} ORDER BY 1) \
         FROM pg_catalog.pg_database d WHERE d.datname = ANY($1) ORDER BY 1"
    );
    each(connection, names, &users).await
}

/// Of these roles those that exist.
pub async fn roles(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Row>, Failure> {
    let databases = format!(
        "SELECT r.rolname::text, r.oid::text, \
         ARRAY(SELECT coalesce(a.datname, '?')::text FROM pg_catalog.pg_stat_activity a \
         WHERE a.usesysid = r.oid AND a.pid <> pg_backend_pid() AND {NOT_OURS} ORDER BY 1) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = ANY($1) ORDER BY 1"
    );
    each(connection, names, &databases).await
}

async fn each(connection: &mut PgConnection, names: &[String], statement: &str) -> Result<Vec<Row>, Failure> {
    let rows: Vec<(String, String, Vec<String>)> = sqlx::query_as(AssertSqlSafe(statement.to_owned()))
        .bind(names)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| stating(error, "pg_database, pg_roles", statement))?;
    Ok(rows.into_iter().map(|(name, oid, users)| Row { name, oid, users }).collect())
}

/// Of these roles those whose password is of the kind MD5, of which the name is a part. `None` if we may not look.
pub async fn md5(connection: &mut PgConnection, names: &[String]) -> Result<Option<BTreeSet<String>>, Failure> {
    if !reads_passwords(connection).await? {
        return Ok(None);
    }
    let statement =
        "SELECT rolname::text FROM pg_catalog.pg_authid WHERE rolpassword LIKE 'md5%' AND rolname = ANY($1)";
    let rows: Vec<(String,)> = sqlx::query_as(statement)
        .bind(names)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| stating(error, "stored passwords", statement))?;
    Ok(Some(rows.into_iter().map(|(name,)| name).collect()))
}

/// sha256 (hex) of a role's stored password, if that is of the kind MD5: made on the server, so that it does not travel.
pub async fn md5_digest(connection: &mut PgConnection, role: &str) -> Result<Option<String>, Failure> {
    let statement = "SELECT encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex') FROM pg_catalog.pg_authid \
                     WHERE rolpassword LIKE 'md5%' AND rolname = $1";
    Ok(values::<String>(connection, role, statement, &[role]).await?.pop())
}

/// Whether we may look at stored passwords.
pub async fn reads_passwords(connection: &mut PgConnection) -> Result<bool, Failure> {
    value(connection, "stored passwords", "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')", &[]).await
}
