//! Roles and databases, from the catalogs that all databases share.

use super::settings;
use super::{ACL_ROWS, Acl, MARK_OF_MAKER, NOT_OURS, parse};
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// What is said of a database that nornplan keeps states in.
pub const STATE_COMMENT: &str = "The state of nornplan: what it owns, and what it applied last";

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
      'settings', (SELECT coalesce(jsonb_agg(SETTING), '[]')
        FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = r.oid AND s.setdatabase = 0),
      'valid_until', CASE WHEN r.rolvaliduntil < 'infinity' THEN coalesce(nullif(
        to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ''), '-infinity') END,
      'expired', coalesce(r.rolvaliduntil < now(), false)
    )), '[]') FROM pg_catalog.pg_roles r WHERE r.rolname = ANY($1)),
  'memberships', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'role', e.role, 'member', e.member, 'trusted', e.trusted)), '[]') FROM (
    SELECT g.rolname AS role, u.rolname AS member, bool_and(u.rolsuper OR MARK_OF_MAKER) AS trusted
      FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
        JOIN pg_catalog.pg_roles u ON u.oid = m.member
      WHERE (g.rolname = ANY($1) OR u.rolname = ANY($1)) AND u.rolname NOT IN (current_user, session_user)
      GROUP BY 1, 2) e),
  'database_settings', (SELECT coalesce(jsonb_agg(jsonb_build_object('role', r.rolname, 'database', d.datname,
      'settings', (SELECT coalesce(jsonb_agg(SETTING), '[]') FROM unnest(s.setconfig) c))), '[]')
    FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = ANY($1)),
  'databases', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', d.datname, 'oid', d.oid::text, 'owner', pg_get_userbyid(d.datdba), 'connection_limit', d.datconnlimit,
      'allow_connections', d.datallowconn, 'encoding', pg_encoding_to_char(d.encoding),
      'provider', to_jsonb(d) ->> 'datlocprovider', 'collate', d.datcollate, 'ctype', d.datctype,
      'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
      'tablespace', (SELECT t.spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = d.dattablespace),
      'settings', (SELECT coalesce(jsonb_agg(SETTING), '[]')
        FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid AND s.setrole = 0),
      'holds_state', coalesce(shobj_description(d.oid, 'pg_database') = 'STATE_COMMENT', false),
      'sessions', coalesce(s.sessions, 0),
      'size', CASE WHEN d.datname = ANY($3) AND has_database_privilege(d.oid, 'CONNECT')
        THEN pg_database_size(d.oid) END,
      'acl', (SELECT ACL_ROWS
        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
    )), '[]') FROM pg_catalog.pg_database d LEFT JOIN (
      SELECT a.datid, count(*) AS sessions FROM pg_catalog.pg_stat_activity a WHERE NOT_OURS GROUP BY a.datid) s ON s.datid = d.oid
    WHERE d.datname = ANY($2))
)::text";

#[derive(Debug, Deserialize)]
pub struct Shared {
    pub version: String,
    pub version_number: u32,
    pub superuser: bool,
    pub reads_verifiers: bool,
    pub roles: Vec<RoleRow>,
    pub memberships: Vec<MembershipRow>,
    pub database_settings: Vec<DatabaseSettingsRow>,
    pub databases: Vec<DatabaseRow>,
}

#[derive(Debug, Deserialize)]
pub struct RoleRow {
    pub name: String,
    pub login: bool,
    /// -1 is unlimited.
    pub connection_limit: i64,
    pub attributes: BTreeSet<String>,
    #[serde(deserialize_with = "settings::read")]
    pub settings: BTreeMap<String, String>,
    /// `None` is never.
    pub valid_until: Option<String>,
    /// Whether that is over, by the server's clock.
    pub expired: bool,
}

/// That one role is a member of another. The role that we sign in with is left out: it joins owners to act for them.
#[derive(Debug, Deserialize)]
pub struct MembershipRow {
    pub role: String,
    pub member: String,
    /// Whether the member is a superuser, or an administrator that has made the role: from 16 on the server itself notes
    /// that as a membership which allows nothing but to give it away.
    pub trusted: bool,
}

/// What is set for one role in one database alone.
#[derive(Debug, Deserialize)]
pub struct DatabaseSettingsRow {
    pub role: String,
    pub database: String,
    #[serde(deserialize_with = "settings::read")]
    pub settings: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct DatabaseRow {
    pub name: String,
    /// What tells it from another of the name.
    pub oid: String,
    pub owner: String,
    /// -1 is unlimited, -2 is left behind by a cancelled DROP.
    pub connection_limit: i64,
    pub allow_connections: bool,
    pub encoding: Option<String>,
    /// c is libc, i ICU, b builtin.
    pub provider: Option<String>,
    pub collate: Option<String>,
    pub ctype: Option<String>,
    /// Of ICU or the builtin provider.
    pub locale: Option<String>,
    pub tablespace: Option<String>,
    #[serde(deserialize_with = "settings::read")]
    pub settings: BTreeMap<String, String>,
    /// Whether it is said that nornplan keeps states in it.
    pub holds_state: bool,
    /// Our own do not count.
    pub sessions: u64,
    /// Bytes; only of the databases that were asked for it.
    pub size: Option<u64>,
    pub acl: Vec<Acl>,
}

impl DatabaseRow {
    /// Whether a cancelled DROP left it behind, so that only dropping it works.
    pub fn is_left_behind(&self) -> bool {
        self.connection_limit == -2
    }

    /// Whether an administrator gets in. A limit of 0, as an unfinished CREATE leaves it, does not bind superusers.
    pub fn lets_in(&self, superuser: bool) -> bool {
        self.allow_connections && !self.is_left_behind() && (self.connection_limit != 0 || superuser)
    }
}

/// Reads roles and databases by name, and the size of some.
pub async fn shared(
    connection: &mut PgConnection,
    roles: &BTreeSet<String>,
    databases: &BTreeSet<String>,
    sized: &BTreeSet<String>,
) -> Result<Shared, Failure> {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    let statement = SHARED
        .replace("ACL_ROWS", ACL_ROWS)
        .replace("STATE_COMMENT", STATE_COMMENT)
        .replace("MARK_OF_MAKER", MARK_OF_MAKER)
        .replace("SETTING", settings::SETTING)
        .replace("NOT_OURS", NOT_OURS);
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(list(roles))
        .bind(list(databases))
        .bind(list(sized))
        .persistent(true)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "roles and databases", "SELECT .. FROM pg_roles, pg_database"))?)
}

/// Reads one database; nothing if it does not exist.
pub async fn database(connection: &mut PgConnection, name: &str) -> Result<Option<DatabaseRow>, Failure> {
    let (nothing, names) = (BTreeSet::new(), BTreeSet::from([name.to_owned()]));
    Ok(shared(connection, &nothing, &names, &nothing).await?.databases.pop())
}
