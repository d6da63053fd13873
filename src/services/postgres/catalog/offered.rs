//! What the server offers to databases: extensions, tablespaces, kinds of locales.

use super::parse;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::server::Offered;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Versions of the extensions that are asked for and of those that they require, and ways between their versions.
const OFFERED: &str = "\
WITH RECURSIVE available AS MATERIALIZED (SELECT * FROM pg_catalog.pg_available_extension_versions),
  needed (name) AS (SELECT unnest($1::text[]) COLLATE \"C\" UNION
    SELECT unnest(v.requires)::text COLLATE \"C\" FROM needed n JOIN available v ON v.name = n.name)
SELECT jsonb_build_object(
  'names', (SELECT coalesce(jsonb_agg(DISTINCT name), '[]') FROM available),
  'extensions', (SELECT coalesce(jsonb_object_agg(e.name, jsonb_build_object(
      'default_version', e.default_version,
      'versions', (SELECT coalesce(jsonb_object_agg(v.version, jsonb_build_object(
          'superuser', v.superuser, 'trusted', v.trusted, 'relocatable', v.relocatable, 'schema', v.schema,
          'requires', coalesce(to_jsonb(v.requires), '[]'))), '{}') FROM available v WHERE v.name = e.name),
      'updates', CASE WHEN e.name = ANY($2) THEN (SELECT coalesce(jsonb_agg(jsonb_build_array(u.source, u.target)), '[]')
        FROM pg_extension_update_paths(e.name) u WHERE u.path IS NOT NULL) END
    )), '{}') FROM pg_catalog.pg_available_extensions e WHERE e.name IN (SELECT name FROM needed)),
  'tablespaces', (SELECT coalesce(jsonb_agg(spcname), '[]') FROM pg_catalog.pg_tablespace
    WHERE spcname <> 'pg_global'),
  'denied_tablespaces', (SELECT coalesce(jsonb_agg(spcname), '[]') FROM pg_catalog.pg_tablespace
    WHERE spcname NOT IN ('pg_global', 'pg_default') AND NOT has_tablespace_privilege(oid, 'CREATE')),
  'icu', EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collprovider = 'i' AND collname <> 'unicode')
)::text";

/// Reads what the server offers; of extensions only those that are asked for (the others by name alone), and ways from
/// version to version only for `versioned` ones.
pub async fn offered(
    connection: &mut PgConnection,
    extensions: &BTreeSet<String>,
    versioned: &BTreeSet<String>,
) -> Result<Offered, Failure> {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    let text: Result<String, _> = sqlx::query_scalar(OFFERED)
        .bind(list(extensions))
        .bind(list(versioned))
        .persistent(false)
        .fetch_one(connection)
        .await;
    parse(&text.map_err(|error| stating(error, "extensions", "SELECT .. FROM pg_available_extension_versions"))?)
}
