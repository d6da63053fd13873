//! An administrator that is no superuser acts for a role by being a member of it.

use super::{Connector, run, value, values};
use crate::services::Failure;
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

/// Joins the owner of the database that is connected to, and who makes its objects.
pub async fn join_for_grants<'a>(
    connector: &Connector,
    connection: &mut PgConnection,
    makers: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    if connector.is_superuser(connection).await? {
        return Ok(());
    }
    let statement =
        "SELECT pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = current_database()";
    let owner: String = value(connection, "owner", statement, &[]).await?;
    join(connector, connection, &owner).await?;
    for maker in makers {
        join(connector, connection, maker).await?;
    }
    Ok(())
}

/// Makes an administrator that is no superuser a member of a role, unless it is one.
pub async fn join(connector: &Connector, connection: &mut PgConnection, role: &str) -> Result<(), Failure> {
    if role.is_empty() || connector.is_superuser(connection).await? {
        return Ok(());
    }
    let statement = "SELECT pg_has_role(oid, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = $1";
    let member: Vec<bool> = values(connection, role, statement, &[role]).await?;
    if member == [true] {
        return Ok(());
    }
    run(connection, role, &format!("GRANT {} TO CURRENT_USER", escape_identifier(role))).await
}
