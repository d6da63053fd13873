//! Brings the extensions of a database where the infraspec wants them: makes, updates and moves them.

use crate::services::Failure;
use crate::services::postgres::catalog;
use crate::services::postgres::connect::{run, values};
use crate::services::postgres::model::Database;
use crate::services::postgres::scope::Needs;
use crate::services::postgres::sql;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

const REQUIRED: &str = "SELECT DISTINCT unnest(requires)::text FROM pg_catalog.pg_available_extension_versions \
                        WHERE name = $1";
const SCHEMA: &str = "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = $1";

/// Reads what is in the database that is connected to, and does what is missing; nothing where nothing is.
pub async fn bring(connection: &mut PgConnection, database: &Database) -> Result<(), Failure> {
    let Some(wanted) = &database.extensions else { return Ok(()) };
    let there = catalog::inside(connection, &database.name, &Needs::default()).await?.extensions;
    let names = wanted.keys().cloned().collect();
    for name in required_first(connection, names).await? {
        let Some(extension) = wanted.get(&name) else { continue };
        let statements = sql::extension::bring(&name, extension, there.get(&name));
        if let Some(schema) = extension.schema.as_ref().filter(|_| !statements.is_empty()) {
            let known: Vec<String> = values(connection, schema, SCHEMA, &[schema]).await?;
            if known.is_empty() {
                run(connection, &database.name, &sql::extension::make_schema(schema)).await?;
            }
        }
        for statement in statements {
            let path = sql::extension::search_path(database);
            run(connection, &database.name, &format!("{path}; {statement}")).await?;
        }
    }
    Ok(())
}

/// The names, each after those of them that it requires: CASCADE would make them without their version and schema.
async fn required_first(connection: &mut PgConnection, names: BTreeSet<String>) -> Result<Vec<String>, Failure> {
    let mut requires = BTreeMap::new();
    for name in &names {
        let required: Vec<String> = values(connection, name, REQUIRED, &[name]).await?;
        requires.insert(name.clone(), required.into_iter().filter(|one| names.contains(one)).collect::<BTreeSet<_>>());
    }
    let mut order: Vec<String> = Vec::new();
    while !requires.is_empty() {
        let ready = |(_, required): &(&String, &BTreeSet<String>)| required.iter().all(|one| order.contains(one));
        // Extensions that require one another in a circle cannot be made at all: the server says so.
        let next = requires.iter().find(ready).or_else(|| requires.iter().next()).map(|(name, _)| name.clone());
        let Some(next) = next else { break };
        requires.remove(&next);
        order.push(next);
    }
    Ok(order)
}
