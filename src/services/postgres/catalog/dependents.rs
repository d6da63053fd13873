//! What in the whole cluster depends on roles.

use super::parse;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::connect::values;
use crate::services::postgres::model::Dependent;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Memberships of the role itself, and in it, go with it.
const DEPENDENTS: &str = "\
SELECT coalesce(jsonb_object_agg(e.role, e.dependents), '{}')::text FROM (
  SELECT c.role, jsonb_agg(jsonb_build_object('place', c.place, 'tie', c.deptype) ORDER BY c.place, c.deptype)
    AS dependents
  FROM (
    SELECT r.rolname AS role, BY_DEFAULT AS deptype, jsonb_build_object('inside',
        jsonb_build_object('database', d.datname, 'count', count(*))) AS place
      FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.oid = s.dbid
        JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
      WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = ANY($1)
      GROUP BY r.rolname, BY_DEFAULT, d.datname
    UNION ALL
    SELECT r.rolname, s.deptype, CASE WHEN d.oid IS NOT NULL THEN jsonb_build_object('database', d.datname)
        ELSE jsonb_build_object('shared', pg_describe_object(s.classid, s.objid, s.objsubid)) END
      FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid
        LEFT JOIN pg_catalog.pg_database d ON s.classid = 'pg_catalog.pg_database'::regclass AND d.oid = s.objid
      WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.dbid = 0 AND r.rolname = ANY($1)
        AND NOT (s.classid = 'pg_catalog.pg_auth_members'::regclass AND EXISTS (
          SELECT FROM pg_catalog.pg_auth_members m
          WHERE (to_jsonb(m)->>'oid')::oid = s.objid AND r.oid IN (m.roleid, m.member)))
  ) c GROUP BY c.role) e";

/// Who gives privileges by default "owns" that.
const BY_DEFAULT: &str = "CASE WHEN s.classid = 'pg_catalog.pg_default_acl'::regclass AND s.deptype = 'o' \
    THEN 'd' ELSE s.deptype END";

/// What depends on each of the roles; one on which nothing depends is left out.
pub async fn dependents(
    connection: &mut PgConnection,
    roles: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<Dependent>>, Failure> {
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(DEPENDENTS.replace("BY_DEFAULT", BY_DEFAULT)))
        .bind(roles.iter().cloned().collect::<Vec<_>>())
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "what depends on roles", "SELECT .. FROM pg_shdepend"))?)
}

/// Some things in the database that is connected to that depend on a role, in the server's words; and one more than
/// anybody reads.
pub async fn some_inside(connection: &mut PgConnection, role: &str) -> Result<Vec<String>, Failure> {
    let statement = "SELECT pg_describe_object(s.classid, s.objid, s.objsubid) FROM pg_catalog.pg_shdepend s \
         JOIN pg_catalog.pg_database d ON d.oid = s.dbid AND d.datname = current_database() \
         JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid AND r.rolname = $1 \
         WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass ORDER BY s.deptype DESC, 1 LIMIT 6";
    values(connection, role, statement, &[role]).await
}
