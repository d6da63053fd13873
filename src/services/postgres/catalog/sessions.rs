//! Who is in a database, beside other runs of nornplan, which only look, and the server itself, which is nobody: its
//! autovacuum has no user. (That it is one is hidden from administrators that are no superusers.)

use super::NOT_OURS;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use sqlx::{AssertSqlSafe, PgConnection};

/// Users of the sessions in a database.
pub async fn strangers(connection: &mut PgConnection, database: &str) -> Result<Vec<String>, Failure> {
    of_each(connection, database, "coalesce(a.usename, '?')::text").await
}

/// Ends the same sessions.
pub async fn end_strangers(connection: &mut PgConnection, database: &str) -> Result<(), Failure> {
    of_each(connection, database, "pg_terminate_backend(a.pid)::text").await.map(drop)
}

async fn of_each(connection: &mut PgConnection, database: &str, what: &str) -> Result<Vec<String>, Failure> {
    let statement = format!(
        "SELECT {what} FROM pg_catalog.pg_stat_activity a \
         WHERE a.datname = $1 AND a.pid <> pg_backend_pid() AND {NOT_OURS} ORDER BY 1"
    );
    sqlx::query_scalar(AssertSqlSafe(statement.clone()))
        .bind(database)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| stating(error, database, &statement))
}
