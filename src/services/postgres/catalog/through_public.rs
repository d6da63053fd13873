//! Who is connected to databases through PUBLIC alone.

use super::lock_down::TABLES;
use super::parse;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Superusers and the role that we sign in with are none of the `others`.
const STATEMENT: &str = "\
SELECT coalesce(jsonb_object_agg(e.name, e.roles), '{}')::text FROM (
  SELECT c.name, jsonb_object_agg(c.role, c.sessions) AS roles FROM (
    SELECT d.datname AS name, o.rolname AS role, count(*) AS sessions
    FROM others o JOIN pg_catalog.pg_stat_activity s ON s.usesysid = o.oid AND s.datid = o.datid
      JOIN pg_catalog.pg_database d ON d.oid = o.datid
    GROUP BY 1, 2) c
  GROUP BY c.name) e";

/// Sessions by database and role, now, of roles that could not sign in again if the database were closed to PUBLIC.
pub async fn through_public(
    connection: &mut PgConnection,
    databases: &BTreeSet<&str>,
) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Failure> {
    if databases.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(format!("{TABLES}{STATEMENT}")))
        .bind(databases.iter().copied().collect::<Vec<&str>>())
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "who is connected", "SELECT .. FROM pg_stat_activity, pg_roles"))?)
}
