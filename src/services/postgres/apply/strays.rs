//! Takes what nobody declared from a database's strangers.

use crate::services::Failure;
use crate::services::postgres::catalog;
use crate::services::postgres::connect::Connector;
use crate::services::postgres::connect::join;
use crate::services::postgres::model::Database;
use crate::services::postgres::observe::strays::{inside, on_database};
use crate::services::postgres::scope::Needs;
use crate::services::postgres::sql::stray;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// The statements that take just what the plan saw, on the database that is connected to.
pub async fn revoke(
    connector: &Connector,
    connection: &mut PgConnection,
    before: &Database,
) -> Result<Vec<String>, Failure> {
    let planned: BTreeSet<&String> = before.strays.iter().chain(before.strays_inside.iter().flatten()).collect();
    if planned.is_empty() && before.public.is_empty() {
        return Ok(Vec::new());
    }
    let Some(row) = catalog::database(connection, &before.name).await? else { return Ok(Vec::new()) };
    let found = catalog::inside(connection, &before.name, &Needs::default()).await?;
    let mut statements = stray::revoke_from_public(&row);
    for one in on_database(&row).chain(inside(&found)).filter(|stray| planned.contains(&stray.words())) {
        if let Some(maker) = one.maker() {
            join(connector, connection, maker).await?;
        }
        statements.extend(stray::revoke(&one, &before.name));
    }
    Ok(statements)
}

/// The same for a database that nobody gets into: what is inside stays.
pub async fn revoke_outside(connection: &mut PgConnection, before: &Database) -> Result<Vec<String>, Failure> {
    let Some(row) = catalog::database(connection, &before.name).await? else { return Ok(Vec::new()) };
    let planned = on_database(&row).filter(|stray| before.strays.contains(&stray.words()));
    let mut statements = stray::revoke_from_public(&row);
    statements.extend(planned.flat_map(|one| stray::revoke(&one, &before.name)));
    Ok(statements)
}
