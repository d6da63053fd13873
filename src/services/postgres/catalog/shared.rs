//! Roles and databases, from the catalogs that all databases share.

use super::{Acl, parse};
use crate::services::Failure;
use crate::services::postgres::problem::stating;
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Roles and databases, from the catalogs that all databases share.
const SHARED: &str = "\
SELECT jsonb_build_object(
  'version', current_setting('server_version'),
  'version_number', current_setting('server_version_num')::int,
  'superuser', (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
  'reads_verifiers', has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  'roles', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', r.rolname, 'login', r.rolcanlogin, 'connection_limit', r.rolconnlimit,
      'attributes', array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
        CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL),
      'settings', (SELECT coalesce(jsonb_object_agg(split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)), '{}')
        FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = r.oid AND s.setdatabase = 0)
    )), '[]') FROM pg_catalog.pg_roles r WHERE r.rolname = ANY($1)),
  'databases', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'connection_limit', d.datconnlimit,
      'sessions', coalesce(s.sessions, 0),
      'size', CASE WHEN d.datname = ANY($3) AND has_database_privilege(d.oid, 'CONNECT')
        THEN pg_database_size(d.oid) END,
      'acl', (SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type,
          'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
          'grantor', pg_get_userbyid(a.grantor), 'grantable', a.is_grantable,
          'superuser', coalesce((SELECT rolsuper FROM pg_catalog.pg_roles g WHERE g.oid = a.grantee), false))), '[]')
        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
    )), '[]') FROM pg_catalog.pg_database d LEFT JOIN (
      SELECT datid, count(*) AS sessions FROM pg_catalog.pg_stat_activity
      WHERE application_name IS DISTINCT FROM 'nornplan' AND backend_type IS DISTINCT FROM 'autovacuum worker'
      GROUP BY datid) s ON s.datid = d.oid
    WHERE d.datname = ANY($2))
)::text";

#[derive(Debug, Deserialize)]
pub struct Shared {
    pub version: String,
    pub version_number: u32,
    pub superuser: bool,
    pub reads_verifiers: bool,
    pub roles: Vec<RoleRow>,
    pub databases: Vec<DatabaseRow>,
}

#[derive(Debug, Deserialize)]
pub struct RoleRow {
    pub name: String,
    pub login: bool,
    /// -1 is unlimited.
    pub connection_limit: i64,
    pub attributes: BTreeSet<String>,
    pub settings: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct DatabaseRow {
    pub name: String,
    pub owner: String,
    /// -1 is unlimited, -2 is left behind by a cancelled DROP.
    pub connection_limit: i64,
    /// Our own do not count.
    pub sessions: i64,
    /// Bytes; only of the databases that were asked for it.
    pub size: Option<i64>,
    pub acl: Vec<Acl>,
}

/// Reads roles and databases by name, and the size of some.
pub async fn shared(
    connection: &mut PgConnection,
    roles: &BTreeSet<String>,
    databases: &BTreeSet<String>,
    sized: &BTreeSet<String>,
) -> Result<Shared, Failure> {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    let text: Result<String, _> = sqlx::query_scalar(SHARED)
        .bind(list(roles))
        .bind(list(databases))
        .bind(list(sized))
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "roles and databases", "SELECT .. FROM pg_roles, pg_database"))?)
}
