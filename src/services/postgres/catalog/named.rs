//! Which databases and roles there are, by name alone, and who is using them.

use super::NOT_OURS;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use sqlx::{AssertSqlSafe, PgConnection};

/// Of these databases those that exist, each with the users of the sessions in it.
pub async fn databases(connection: &mut PgConnection, names: &[String]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let users = format!(
        "SELECT d.datname::text, ARRAY(SELECT coalesce(a.usename, '?')::text FROM pg_catalog.pg_stat_activity a \
         WHERE a.datname = d.datname AND a.pid <> pg_backend_pid() AND {NOT_OURS} ORDER BY 1) \
         FROM pg_catalog.pg_database d WHERE d.datname = ANY($1) ORDER BY 1"
    );
    each(connection, names, &users).await
}

/// Of these roles those that exist, each with the databases that its sessions are in.
pub async fn roles(connection: &mut PgConnection, names: &[String]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let databases = format!(
        "SELECT r.rolname::text, ARRAY(SELECT coalesce(a.datname, '?')::text FROM pg_catalog.pg_stat_activity a \
         WHERE a.usesysid = r.oid AND a.pid <> pg_backend_pid() AND {NOT_OURS} ORDER BY 1) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = ANY($1) ORDER BY 1"
    );
    each(connection, names, &databases).await
}

async fn each(
    connection: &mut PgConnection,
    names: &[String],
    statement: &str,
) -> Result<Vec<(String, Vec<String>)>, Failure> {
    sqlx::query_as(AssertSqlSafe(statement.to_owned()))
        .bind(names)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| stating(error, "pg_database, pg_roles", statement))
}
