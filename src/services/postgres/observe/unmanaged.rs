//! Databases and roles that nobody declares and that are not ours.

use crate::core::address::{Address, Kind};
use crate::services::postgres::catalog::{self, Others};
use crate::services::postgres::model::{DATABASE, ROLE, database_address, role_address};
use crate::services::{Ask, Facts, Failure};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Nothing unless it was asked for.
pub async fn list(connection: &mut PgConnection, ask: &Ask) -> Result<BTreeMap<Address, Facts>, Failure> {
    let Some(known) = &ask.unmanaged else { return Ok(BTreeMap::new()) };
    let names = |kind: Kind| -> Vec<&str> {
        known.iter().filter(|address| address.kind == kind).map(|address| address.name.as_str()).collect()
    };
    let Others { databases, roles } = catalog::unmanaged(connection, &names(DATABASE), &names(ROLE)).await?;
    let databases = databases.into_iter().map(|(name, facts)| (database_address(&name), facts));
    let roles = roles.into_iter().map(|(name, facts)| (role_address(&name), facts));
    Ok(databases.chain(roles).collect())
}
