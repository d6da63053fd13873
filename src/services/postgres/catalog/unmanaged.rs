//! Databases and roles that nobody has named.

use super::{NOT_OURS, parse};
use crate::services::postgres::connect::stating;
use crate::services::{Facts, Failure};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// Facts that say nothing (no, none) are left out.
const STATEMENT: &str = "\
WITH sessions AS MATERIALIZED (
  SELECT a.datid, a.usesysid, count(*) AS number FROM pg_catalog.pg_stat_activity a WHERE NOT_OURS GROUP BY 1, 2)
SELECT jsonb_build_object(
  'databases', (SELECT coalesce(jsonb_object_agg(d.datname, jsonb_strip_nulls(jsonb_build_object(
      'owner', pg_get_userbyid(d.datdba),
      'size_bytes', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
      'sessions', coalesce(s.number, 0),
      'template', nullif(d.datistemplate, false),
      'closed', nullif(NOT d.datallowconn, false)))), '{}')
    FROM pg_catalog.pg_database d
      LEFT JOIN (SELECT datid, sum(number) AS number FROM sessions GROUP BY 1) s ON s.datid = d.oid
    WHERE d.datname <> ALL($1)),
  'roles', (SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_strip_nulls(jsonb_build_object(
      'login', r.rolcanlogin,
      'superuser', nullif(r.rolsuper, false),
      'sessions', coalesce(s.number, 0),
      'databases', coalesce(o.number, 0),
      'members', coalesce(m.number, 0)))), '{}')
    FROM pg_catalog.pg_roles r
      LEFT JOIN (SELECT usesysid, sum(number) AS number FROM sessions GROUP BY 1) s ON s.usesysid = r.oid
      LEFT JOIN (SELECT datdba, count(*) AS number FROM pg_catalog.pg_database GROUP BY 1) o ON o.datdba = r.oid
      LEFT JOIN (SELECT roleid, count(*) AS number FROM pg_catalog.pg_auth_members GROUP BY 1) m ON m.roleid = r.oid
    WHERE r.rolname <> ALL($2))
)::text";

/// By name.
#[derive(Debug, Default, Deserialize)]
pub struct Others {
    pub databases: BTreeMap<String, Facts>,
    pub roles: BTreeMap<String, Facts>,
}

/// All databases and roles but these, with what the catalogs that all databases share say of them.
pub async fn unmanaged(connection: &mut PgConnection, databases: &[&str], roles: &[&str]) -> Result<Others, Failure> {
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(STATEMENT.replace("NOT_OURS", NOT_OURS)))
        .bind(databases)
        .bind(roles)
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "all databases and roles", "SELECT .. FROM pg_database, pg_roles"))?)
}
