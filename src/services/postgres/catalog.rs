//! The two statements that read PostgreSQL, and the rows that they answer with.

use super::problem::stating;
use super::scope::Needs;
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
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
          'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END)), '[]')
        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
    )), '[]') FROM pg_catalog.pg_database d LEFT JOIN (
      SELECT datid, count(*) AS sessions FROM pg_catalog.pg_stat_activity
      WHERE application_name IS DISTINCT FROM 'nornplan' AND backend_type IS DISTINCT FROM 'autovacuum worker'
      GROUP BY datid) s ON s.datid = d.oid
    WHERE d.datname = ANY($2))
)::text";

/// What lies inside one database, as far as grants and extensions go.
const INSIDE: &str = "\
SELECT jsonb_build_object(
  'extensions', (SELECT coalesce(jsonb_agg(extname), '[]') FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'),
  'schema', (SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type,
      'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END)), '[]')
    FROM pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname = 'public'),
  'future', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', f.defaclobjtype, 'privilege', a.privilege_type,
      'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END)), '[]')
    FROM pg_catalog.pg_default_acl f JOIN pg_catalog.pg_roles c ON c.oid = f.defaclrole,
      aclexplode(f.defaclacl) a
    WHERE c.rolname = $1 AND f.defaclobjtype IN ('r', 'S')
      AND (f.defaclnamespace = 0
        OR f.defaclnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'public'))),
  'lacking', (SELECT coalesce(jsonb_agg(DISTINCT r.rolname), '[]')
    FROM unnest($2::text[], $3::text[], $4::text[]) AS w(role, kind, privilege)
      JOIN pg_catalog.pg_roles r ON r.rolname = w.role
      JOIN pg_catalog.pg_class c ON (c.relkind = 'S') = (w.kind = 'S') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
    WHERE NOT CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(r.oid, c.oid, w.privilege)
      ELSE has_table_privilege(r.oid, c.oid, w.privilege) END)
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

/// One privilege of one role; no grantee is PUBLIC.
#[derive(Debug, Deserialize)]
pub struct Acl {
    pub grantee: Option<String>,
    pub privilege: String,
    /// Of default privileges: r for tables, S for sequences.
    #[serde(default)]
    pub kind: Option<char>,
}

#[derive(Debug, Deserialize)]
pub struct Inside {
    pub extensions: BTreeSet<String>,
    pub schema: Vec<Acl>,
    pub future: Vec<Acl>,
    /// Roles to which some present table or sequence is closed that should be open.
    pub lacking: BTreeSet<String>,
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

/// Reads what lies inside the database that is connected to. `creator` is whose new objects are looked at.
pub async fn inside(
    connection: &mut PgConnection,
    database: &str,
    creator: &str,
    needs: &Needs,
) -> Result<Inside, Failure> {
    let text: Result<String, _> = sqlx::query_scalar(INSIDE)
        .bind(creator)
        .bind(&needs.role)
        .bind(&needs.kind)
        .bind(&needs.privilege)
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, database, "SELECT .. FROM pg_extension, pg_namespace, pg_default_acl"))?)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Diagnostic::new(Kind::Service, "the catalogs were answered in another form than expected")
            .on("postgres", "catalogs", "")
            .because(error)
            .into()
    })
}

/// The privileges of one grantee (`None` is PUBLIC), of one kind where there are kinds.
pub fn privileges(acl: &[Acl], grantee: Option<&str>, kind: Option<char>) -> BTreeSet<String> {
    acl.iter()
        .filter(|row| row.grantee.as_deref() == grantee && row.kind == kind)
        .map(|row| row.privilege.clone())
        .collect()
}
