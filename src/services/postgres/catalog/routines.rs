//! Functions and operators of others than superusers: what an extension's script may call by mistake.

use super::{MEMBERS, parse};
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

const ROUTINES: &str = "\
SELECT coalesce(jsonb_object_agg(s.nspname, s.number), '{}')::text FROM (
  SELECT n.nspname, count(*) AS number FROM (
    SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace, proowner FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace, oprowner FROM pg_catalog.pg_operator
  ) o (class, oid, space, owner)
  JOIN pg_catalog.pg_namespace n ON n.oid = o.space JOIN pg_catalog.pg_roles r ON r.oid = o.owner
  WHERE NOT r.rolsuper AND NOT EXISTS (
    SELECT FROM (OF_EXTENSIONS) m WHERE m.classid = o.class AND m.objid = o.oid)
  GROUP BY n.nspname) s";

/// How many there are in the database that is connected to, by schema.
pub async fn routines(connection: &mut PgConnection, database: &str) -> Result<BTreeMap<String, u64>, Failure> {
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(ROUTINES.replace("OF_EXTENSIONS", MEMBERS)))
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, database, "SELECT .. FROM pg_proc, pg_operator"))?)
}
