//! What the server knows of its settings.

use super::parse;
use crate::services::Failure;
use crate::services::postgres::connect::{code, stating};
use crate::services::postgres::server::Parameters;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// `pg_settings_get_flags` knows what `pg_settings` does not show: what only some may see, and names of old.
const PARAMETERS: &str = "\
SELECT jsonb_build_object(
  'names', (SELECT coalesce(jsonb_agg(lower(name)), '[]') FROM pg_catalog.pg_settings),
  'known', (SELECT coalesce(jsonb_object_agg(lower(name), jsonb_build_object('kind', vartype, 'unit', unit,
      'context', context, 'min', min_val, 'max', max_val, 'choices', coalesce(to_jsonb(enumvals), '[]'))), '{}')
    FROM pg_catalog.pg_settings WHERE lower(name) = ANY($1)),
  'existing', (SELECT coalesce(jsonb_agg(name), '[]') FROM unnest($1::text[]) name
    WHERE pg_settings_get_flags(name) IS NOT NULL),
  'settable', (SELECT coalesce(jsonb_agg(name), '[]') FROM unnest($1::text[]) name
    WHERE has_parameter_privilege(name, 'SET'))
)::text";

/// Reads about some settings, by their names in lower case; of the others only how they are called. Nothing is known
/// where reading it is not allowed.
pub async fn parameters(
    connection: &mut PgConnection,
    settings: &BTreeSet<String>,
) -> Result<Option<Parameters>, Failure> {
    if settings.is_empty() {
        return Ok(None);
    }
    let names: Vec<&String> = settings.iter().collect();
    let query = sqlx::query_scalar(PARAMETERS).bind(names).persistent(false);
    let text: Result<String, _> = query.fetch_one(connection).await;
    match text {
        Ok(text) => parse(&text).map(Some),
        // Some take pg_settings from PUBLIC: then the server says at apply what it takes.
        Err(error) if code(&error) == Some("42501") => Ok(None),
        Err(error) => Err(stating(error, "settings", "SELECT .. FROM pg_settings")),
    }
}
