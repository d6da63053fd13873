//! The databases that every role may enter: who may now, and whom closing them would shut out.

use super::parse;
use crate::core::address::Address;
use crate::services::postgres::connect::stating;
use crate::services::postgres::model::{LockDown, lock_down_address};
use crate::services::{Failure, Model, Observed};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// A role's CONNECT counts whether it is its own or that of a role it belongs to.
const STATEMENT: &str = "\
SELECT coalesce(jsonb_agg(jsonb_build_object(
  'name', d.datname,
  'public', (SELECT coalesce(jsonb_agg(a.privilege_type), '[]') FROM acl a WHERE a.datid = d.oid AND a.grantee = 0),
  'admin', EXISTS (SELECT FROM acl a WHERE a.datid = d.oid AND a.privilege_type = 'CONNECT'
    AND a.grantee = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user)),
  'facts', jsonb_build_object(
    'owner', pg_get_userbyid(d.datdba), 'may_close', pg_has_role(d.datdba, 'USAGE'),
    'admin', session_user,
    'through_public', (SELECT coalesce(jsonb_agg(o.rolname ORDER BY o.rolname), '[]') FROM others o WHERE o.datid = d.oid),
    'connected', (SELECT coalesce(jsonb_agg(DISTINCT o.rolname), '[]') FROM others o
      JOIN pg_catalog.pg_stat_activity s ON s.usesysid = o.oid AND s.datid = o.datid WHERE o.datid = d.oid))
)), '[]')::text FROM pg_catalog.pg_database d WHERE d.datname = ANY($1)";

/// Who has what on those databases, and who can sign in and has CONNECT through PUBLIC alone.
pub const TABLES: &str = "\
WITH acl AS (SELECT d.oid AS datid, a.grantee, a.privilege_type FROM pg_catalog.pg_database d,
    aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE d.datname = ANY($1)),
  others AS (SELECT d.oid AS datid, r.oid, r.rolname FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
    WHERE d.datname = ANY($1) AND r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> session_user
      AND NOT EXISTS (SELECT FROM acl a WHERE a.datid = d.oid AND a.privilege_type = 'CONNECT' AND a.grantee <> 0
        AND pg_has_role(r.oid, a.grantee, 'USAGE'))) ";

#[derive(Deserialize)]
struct Row {
    name: String,
    public: BTreeSet<String>,
    admin: bool,
    facts: BTreeMap<String, Value>,
}

/// Reads those of the databases that exist.
pub async fn lock_downs(
    connection: &mut PgConnection,
    databases: &BTreeSet<String>,
) -> Result<BTreeMap<Address, Observed>, Failure> {
    if databases.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = databases.iter().cloned().collect();
    let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{TABLES}{STATEMENT}")))
        .bind(names)
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(|error| stating(error, "databases open to PUBLIC", "SELECT .. FROM pg_database, pg_roles"))?;
    let rows: Vec<Row> = parse(&text)?;
    let observed = rows.into_iter().map(|Row { name, public, admin, facts }| {
        let address = lock_down_address(&name);
        let model = Model::PostgresLockDown(LockDown { database: name, public, admin });
        (address, Observed { model, credential: None, facts })
    });
    Ok(observed.collect())
}
