//! Objects of roles other than the app's inside one database: how many there are, and how to give them to the app.

use super::{MEMBERS, NOT_OURS, parse};
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::model::belongings::Belongings;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// What has an owner of its own, except what belongs to an extension or to one of the roles in `$1`.
///
/// Indexes, types of rows and arrays, and sequences of columns are left out: they follow what they belong to; and the
/// functions that come with a range type always are the first superuser's. A schema in which there is nothing but an
/// extension is the extension's; one of the owner of the database (`pg_database_owner`) is nobody's concern, and schema
/// public is looked after for itself. Publications, subscriptions and event triggers are left to who replicates and
/// administrates.
///
/// What people made has oids from 16384 on (FirstNormalObjectId), except large objects, whose makers choose: so the
/// thousands of functions, types and collations of the server are passed over without being looked at.
const THEIRS: &str = "\
WITH mine AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY($1)),
members AS (OF_EXTENSIONS),
spaces AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
owned (class, oid, owner, kind, definer) AS (
  SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relowner, CASE c.relkind WHEN 'r' THEN 'table'
      WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view'
      WHEN 'S' THEN 'sequence' ELSE 'foreign table' END, false
    FROM pg_catalog.pg_class c
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND c.relnamespace IN (SELECT oid FROM spaces)
      AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
          AND d.refclassid = 'pg_catalog.pg_class'::regclass))
  UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, p.oid, p.proowner, CASE p.prokind WHEN 'p' THEN 'procedure'
      WHEN 'a' THEN 'aggregate' ELSE 'function' END, p.prosecdef
    FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.pronamespace IN (SELECT oid FROM spaces)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
  UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid, t.typowner,
      CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, false
    FROM pg_catalog.pg_type t
    WHERE t.oid >= 16384 AND t.typnamespace IN (SELECT oid FROM spaces) AND (t.typtype IN ('d', 'e', 'r')
      OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e
        WHERE e.oid = t.typelem AND e.typarray = t.oid)
      OR t.typtype = 'c' AND (SELECT relkind FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid) = 'c')
  UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, n.nspowner, 'schema', false
    FROM pg_catalog.pg_namespace n WHERE n.oid IN (SELECT oid FROM spaces)
      AND pg_get_userbyid(n.nspowner) <> 'pg_database_owner' AND n.nspname <> 'public'
      AND NOT (EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extnamespace = n.oid)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid
          AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (SELECT FROM members m
            WHERE m.classid = 'pg_catalog.pg_class'::regclass AND m.objid = c.oid)))
  UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass, oid, lomowner, 'large object', false
    FROM pg_catalog.pg_largeobject_metadata
  UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collowner, 'collation', false
    FROM pg_catalog.pg_collation WHERE oid >= 16384 AND collnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid, conowner, 'conversion', false
    FROM pg_catalog.pg_conversion WHERE oid >= 16384 AND connamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprowner, 'operator', false
    FROM pg_catalog.pg_operator WHERE oid >= 16384 AND oprnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcowner, 'operator class', false
    FROM pg_catalog.pg_opclass WHERE oid >= 16384 AND opcnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid, opfowner, 'operator family', false
    FROM pg_catalog.pg_opfamily WHERE oid >= 16384 AND opfnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgowner, 'text search configuration', false
    FROM pg_catalog.pg_ts_config WHERE oid >= 16384 AND cfgnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictowner, 'text search dictionary', false
    FROM pg_catalog.pg_ts_dict WHERE oid >= 16384 AND dictnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, oid, stxowner, 'extended statistics', false
    FROM pg_catalog.pg_statistic_ext WHERE oid >= 16384 AND stxnamespace IN (SELECT oid FROM spaces)
  UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, srvowner, 'foreign server', false
    FROM pg_catalog.pg_foreign_server
),
theirs AS (SELECT * FROM owned o WHERE o.owner NOT IN (SELECT oid FROM mine)
  AND NOT EXISTS (SELECT FROM members m WHERE m.classid = o.class AND m.objid = o.oid))
";

/// Whether there may be anything in `THEIRS`, for a third of its price: planning that for a session that has just begun
/// took 8.5 ms. The server notes who owns what in `pg_shdepend`, of every owner but those that it came with.
const ANY_OF_OTHERS: &str = "\
SELECT EXISTS (SELECT FROM pg_catalog.pg_shdepend s
    WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND s.deptype = 'o'
      AND s.refobjid NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY($1)))
  OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384 AND relowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid >= 16384 AND proowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE oid >= 16384 AND typowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspowner < 16384 AND nspname !~ '^pg_'
    AND nspname NOT IN ('information_schema', 'public'))
  OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata WHERE lomowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_collation WHERE oid >= 16384 AND collowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_conversion WHERE oid >= 16384 AND conowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oid >= 16384 AND oprowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_opclass WHERE oid >= 16384 AND opcowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_opfamily WHERE oid >= 16384 AND opfowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_ts_config WHERE oid >= 16384 AND cfgowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_ts_dict WHERE oid >= 16384 AND dictowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext WHERE oid >= 16384 AND stxowner < 16384)
  OR EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvowner < 16384)";

/// Per owner: how many of each kind, functions that run with its rights, and its sessions in this database.
const COUNTED: &str = "\
SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object('superuser', r.rolsuper, 'kinds', o.kinds,
    'definers', o.definers, 'sessions', (SELECT count(*) FROM pg_catalog.pg_stat_activity a
      WHERE a.datname = current_database() AND a.usesysid = r.oid AND NOT_OURS))),
  '{}')::text
FROM (SELECT owner, jsonb_object_agg(kind, number) AS kinds, sum(definers) AS definers
  FROM (SELECT owner, kind, count(*) AS number, count(*) FILTER (WHERE definer) AS definers
    FROM theirs GROUP BY owner, kind) k GROUP BY owner) o
JOIN pg_catalog.pg_roles r ON r.oid = o.owner";

/// One statement for each object. Schemas come first: who shall own a table must be able to create in its schema.
const MOVES: &str = "\
SELECT pg_get_userbyid(t.owner)::text, t.kind, (parse_ident(i.schema))[1],
  coalesce((parse_ident(i.name))[1], (SELECT proname FROM pg_catalog.pg_proc p
    WHERE p.oid = t.oid AND t.class = 'pg_catalog.pg_proc'::regclass), i.identity), format('ALTER %s %s OWNER TO %I', CASE
    WHEN t.class = 'pg_catalog.pg_proc'::regclass THEN 'ROUTINE'
    WHEN t.class = 'pg_catalog.pg_statistic_ext'::regclass THEN 'STATISTICS'
    ELSE upper(i.type) END, i.identity, $2::text)
FROM theirs t, pg_identify_object(t.class, t.oid, 0) i
ORDER BY t.class <> 'pg_catalog.pg_namespace'::regclass, t.class = 'pg_catalog.pg_class'::regclass, i.identity, t.oid";

/// One object that becomes the app's: whose it is now, and the statement.
#[derive(Clone, Debug)]
pub struct Move {
    pub owner: String,
    /// Such as `table` or `materialised view`.
    pub kind: String,
    pub schema: Option<String>,
    /// Of a function without its arguments.
    pub name: String,
    pub statement: String,
}

fn theirs(question: &str) -> String {
    THEIRS.replace("OF_EXTENSIONS", MEMBERS) + question
}

/// What belongs to others than `insiders` in the database that is connected to, by owner.
pub async fn belongings(
    connection: &mut PgConnection,
    database: &str,
    insiders: &[String],
) -> Result<BTreeMap<String, Belongings>, Failure> {
    let any = sqlx::query_scalar(ANY_OF_OTHERS).bind(insiders).persistent(false).fetch_one(&mut *connection).await;
    if !any.map_err(|error| stating(error, database, "SELECT .. FROM pg_shdepend, pg_class, .."))? {
        return Ok(BTreeMap::new());
    }
    let text: Result<String, _> = sqlx::query_scalar(AssertSqlSafe(theirs(&COUNTED.replace("NOT_OURS", NOT_OURS))))
        .bind(insiders)
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, database, "SELECT .. FROM pg_class, pg_proc, pg_type, .."))?)
}

/// The statements that make all of it `user`'s, in the order in which they can be run.
pub async fn moves(
    connection: &mut PgConnection,
    database: &str,
    insiders: &[String],
    user: &str,
) -> Result<Vec<Move>, Failure> {
    type Row = (String, String, Option<String>, String, String);
    let rows: Result<Vec<Row>, _> = sqlx::query_as(AssertSqlSafe(theirs(MOVES)))
        .bind(insiders)
        .bind(user)
        .persistent(false)
        .fetch_all(connection)
        .await;
    let rows = rows.map_err(|error| stating(error, database, "SELECT .. FROM pg_class, pg_proc, pg_type, .."))?;
    let each = rows.into_iter();
    Ok(each.map(|(owner, kind, schema, name, statement)| Move { owner, kind, schema, name, statement }).collect())
}
