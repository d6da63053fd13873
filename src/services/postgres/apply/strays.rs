//! Takes what nobody declared from a database's strangers.

use crate::services::Failure;
use crate::services::postgres::catalog;
use crate::services::postgres::connect::Connector;
use crate::services::postgres::membership::join;
use crate::services::postgres::model::Database;
use crate::services::postgres::scope::Needs;
use crate::services::postgres::strays::{inside, on_database, public_by_others};
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
    let nothing = BTreeSet::new();
    let names = BTreeSet::from([before.name.clone()]);
    let shared = catalog::shared(connection, &nothing, &names, &nothing).await?;
    let found = catalog::inside(connection, &before.name, &Needs::default()).await?;
    let Some(row) = shared.databases.first() else { return Ok(Vec::new()) };
    let mut statements = public_by_others(row);
    for stray in on_database(row).chain(inside(&found)).filter(|stray| planned.contains(&stray.words())) {
        if let Some(maker) = stray.maker() {
            join(connector, connection, maker).await?;
        }
        statements.extend(stray.revoke(&before.name));
    }
    Ok(statements)
}

/// The same for a database that nobody gets into: what is inside stays.
pub async fn revoke_outside(connection: &mut PgConnection, before: &Database) -> Result<Vec<String>, Failure> {
    let (nothing, names) = (BTreeSet::new(), BTreeSet::from([before.name.clone()]));
    let shared = catalog::shared(connection, &nothing, &names, &nothing).await?;
    let Some(row) = shared.databases.first() else { return Ok(Vec::new()) };
    let planned = on_database(row).filter(|stray| before.strays.contains(&stray.words()));
    Ok(public_by_others(row).into_iter().chain(planned.flat_map(|stray| stray.revoke(&before.name))).collect())
}
