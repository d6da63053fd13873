//! Where the privileges of a role on present objects are not as they should be.

use super::{MEMBERS, parse};
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::scope::Needs;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// Looks at every schema, table and sequence but those of the server and of extensions; of the exact roles also at
/// columns and functions. Privileges count if the object's owner gave them: others' go when their giver loses the right
/// to give. An administrator that is no superuser leaves alone what belongs to roles that it cannot act for. Schema
/// public is read for itself. Thousands of objects have few different lists of privileges, so these are compared.
/// What a schema of `pg_database_owner` lets everybody do, as those that we make for extensions, nobody lacks there.
///
/// A routine is named by the types that are put in, as GRANT finds it: what the catalogs show of an aggregate may have an
/// ORDER BY in it, which GRANT does not take. With no mode given, a procedure could also be meant by its OUT arguments.
const DEVIATIONS: &str = "\
WITH wants AS MATERIALIZED (
  SELECT r.oid AS role, w.kind, w.privilege, m.oid AS owner
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS w(role, kind, privilege, owner)
    JOIN pg_catalog.pg_roles r ON r.rolname = w.role LEFT JOIN pg_catalog.pg_roles m ON m.rolname = w.owner
  WHERE w.owner IS NULL OR m.oid IS NOT NULL),
exact AS MATERIALIZED (SELECT oid AS role FROM pg_catalog.pg_roles WHERE rolname = ANY($5)),
owners AS MATERIALIZED (
  SELECT oid FROM pg_catalog.pg_roles WHERE pg_has_role(oid, 'USAGE') OR rolname = ANY($6)
    OR oid = (SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database())),
members AS MATERIALIZED (OF_EXTENSIONS),
schemas AS MATERIALIZED (
  SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND ('pg_catalog.pg_namespace'::regclass::oid, oid) NOT IN (SELECT classid, objid FROM members)),
objects AS MATERIALIZED (
  SELECT 'n' AS kind, oid, nspname AS schema, NULL::name AS name, nspowner AS owner, nspacl AS acl
  FROM schemas WHERE nspname <> 'public'
  UNION ALL
  SELECT CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END, c.oid, s.nspname, c.relname, c.relowner, c.relacl
  FROM pg_catalog.pg_class c JOIN schemas s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND ('pg_catalog.pg_class'::regclass::oid, c.oid) NOT IN (SELECT classid, objid FROM members)
  UNION ALL
  SELECT CASE p.prokind WHEN 'p' THEN 'p' ELSE 'f' END, p.oid, s.nspname, p.proname, p.proowner, p.proacl
  FROM pg_catalog.pg_proc p JOIN schemas s ON s.oid = p.pronamespace
  WHERE p.proacl IS NOT NULL
    AND ('pg_catalog.pg_proc'::regclass::oid, p.oid) NOT IN (SELECT classid, objid FROM members)),
alike AS MATERIALIZED (
  SELECT row_number() OVER () AS number, *, (
      SELECT jsonb_agg(DISTINCT jsonb_build_array(pg_get_userbyid(a.grantor),
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END))
      FROM aclexplode(acl) a WHERE a.grantor <> owner) AS passed_on
  FROM (
    SELECT kind, owner, acl, array_agg(oid) AS oids FROM objects GROUP BY kind, owner, acl) AS o
  WHERE owner IN (SELECT oid FROM owners)),
held AS MATERIALIZED (
  SELECT o.number, o.kind, o.owner, a.grantee AS role, a.grantor, a.privilege_type AS privilege, a.is_grantable
  FROM alike o, aclexplode(o.acl) a
  WHERE o.acl IS NOT NULL AND a.grantee <> o.owner
    AND a.grantee IN (SELECT role FROM wants UNION SELECT role FROM exact)),
open AS (
  SELECT o.number FROM alike o, aclexplode(o.acl) a
  WHERE o.kind = 'n' AND o.owner = 'pg_database_owner'::regrole AND a.grantee = 0 AND a.privilege_type = 'USAGE'),
wrong AS (
  SELECT o.number, w.role, w.privilege AS lacks, NULL AS extra, NULL::oid AS giver
  FROM wants w JOIN alike o ON o.kind = w.kind AND o.owner <> w.role AND (w.owner IS NULL OR w.owner = o.owner)
    LEFT JOIN held h ON h.number = o.number AND h.role = w.role AND h.privilege = w.privilege AND h.grantor = o.owner
  WHERE h.number IS NULL AND NOT (w.privilege = 'USAGE' AND o.number IN (SELECT number FROM open))
  UNION ALL
  SELECT h.number, h.role, NULL, h.privilege || CASE WHEN h.grantor <> h.owner
      THEN ' (by ' || pg_get_userbyid(h.grantor) || ')' WHEN h.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
    NULLIF(h.grantor, h.owner)
  FROM held h JOIN exact e ON e.role = h.role
    LEFT JOIN wants w ON w.role = h.role AND w.kind = h.kind AND w.privilege = h.privilege
  WHERE w.role IS NULL OR h.is_grantable OR h.grantor <> h.owner),
deviations AS (
  SELECT o.kind, u.oid, w.role, w.lacks, w.extra, w.giver, o.passed_on
  FROM wrong w JOIN alike o ON o.number = w.number, unnest(o.oids) AS u(oid)
  UNION ALL
  SELECT 'r', c.oid, e.role, NULL, a.privilege_type || ' (columns)', NULLIF(a.grantor, c.relowner), NULL
  FROM exact e JOIN pg_catalog.pg_shdepend d ON d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = e.role
      AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objsubid > 0 AND d.deptype = 'a'
      AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    JOIN pg_catalog.pg_attribute t ON t.attrelid = d.objid AND t.attnum = d.objsubid
    JOIN pg_catalog.pg_class c ON c.oid = t.attrelid AND c.relowner IN (SELECT oid FROM owners),
    aclexplode(t.attacl) a
  WHERE a.grantee = e.role AND a.grantee <> c.relowner)
SELECT coalesce(jsonb_agg(found), '[]')::text FROM (
  SELECT jsonb_build_object('role', pg_get_userbyid(d.role), 'kind', o.kind,
    'name', quote_ident(o.schema) || coalesce('.' || quote_ident(o.name), '')
      || CASE WHEN o.kind IN ('f', 'p') THEN (SELECT '(' || coalesce(string_agg(
          CASE o.kind WHEN 'p' THEN 'IN ' ELSE '' END || format_type(t.type, NULL), ', ' ORDER BY t.number), '') || ')'
        FROM pg_catalog.pg_proc p, unnest(p.proargtypes) WITH ORDINALITY AS t(type, number) WHERE p.oid = o.oid) ELSE '' END,
    'lacks', coalesce(jsonb_agg(DISTINCT d.lacks) FILTER (WHERE d.lacks IS NOT NULL), '[]'),
    'extra', coalesce(jsonb_agg(DISTINCT d.extra) FILTER (WHERE d.extra IS NOT NULL), '[]'),
    'givers', coalesce(jsonb_agg(DISTINCT pg_get_userbyid(d.giver)) FILTER (WHERE d.giver IS NOT NULL), '[]'),
    'passed_on', coalesce((jsonb_agg(d.passed_on) FILTER (WHERE d.passed_on IS NOT NULL)) -> 0, '[]')) AS found
  FROM deviations d JOIN objects o ON o.kind = d.kind AND o.oid = d.oid
  GROUP BY d.role, o.kind, o.oid, o.schema, o.name ORDER BY o.kind, o.schema, o.name, o.oid) AS each";

/// One object on which one role has too little or too much.
#[derive(Debug, Deserialize)]
pub struct Deviation {
    pub role: String,
    /// r for tables and views, S for sequences, n for schemas, f for functions and aggregates, p for procedures.
    pub kind: char,
    /// With its schema, and quoted where it must be.
    pub name: String,
    /// Privileges that it should have.
    pub lacks: BTreeSet<String>,
    /// Privileges that it should not have, with what is wrong about them.
    pub extra: BTreeSet<String>,
    /// Roles that gave it something and do not own the object.
    pub givers: BTreeSet<String>,
    /// Who of those that do not own the object gave on it to whom.
    pub passed_on: BTreeSet<(String, String)>,
}

/// Compares every present object of the database that is connected to with the needs.
pub async fn deviations(
    connection: &mut PgConnection,
    database: &str,
    needs: &Needs,
) -> Result<Vec<Deviation>, Failure> {
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(DEVIATIONS.replace("OF_EXTENSIONS", MEMBERS)))
        .bind(&needs.role)
        .bind(&needs.kind)
        .bind(&needs.privilege)
        .bind(&needs.owner)
        .bind(&needs.exact)
        .bind(&needs.makers)
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, database, "SELECT .. FROM pg_namespace, pg_class, pg_proc"))?)
}
