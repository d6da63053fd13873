//! An administrator that is no superuser acts for a role by being a member of it.

use super::{Connector, run, values};
use crate::services::Failure;
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

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
