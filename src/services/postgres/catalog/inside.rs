//! What lies inside one database, as far as grants and extensions go.

use super::{Acl, parse};
use crate::services::Failure;
use crate::services::postgres::model::belongings::Belongings;
use crate::services::postgres::problem::stating;
use crate::services::postgres::scope::Needs;
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

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
pub struct Inside {
    pub extensions: BTreeSet<String>,
    pub schema: Vec<Acl>,
    pub future: Vec<Acl>,
    /// Roles to which some present table or sequence is closed that should be open.
    pub lacking: BTreeSet<String>,
    /// What belongs to others, by owner: read on its own, where it matters.
    #[serde(skip)]
    pub belongings: BTreeMap<String, Belongings>,
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
