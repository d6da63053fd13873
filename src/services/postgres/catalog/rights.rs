//! How the role that we sign in with stands to others, and what it may do at all.

use super::parse;
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::server::{Admin, Standing};
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// `pg_has_role(.., 'USAGE')` is of no use for superusers, who have every role's privileges.
const RIGHTS: &str = "\
SELECT jsonb_build_object(
  'admin', (SELECT jsonb_build_object('name', rolname, 'superuser', rolsuper, 'createrole', rolcreaterole,
      'createdb', rolcreatedb) FROM pg_catalog.pg_roles WHERE rolname = current_user),
  'roles', (SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
      'member', pg_has_role(r.oid, 'USAGE'), 'admin_option', pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'),
      'superuser', r.rolsuper, 'privileged', r.rolreplication OR r.rolbypassrls)), '{}')
    FROM pg_catalog.pg_roles r WHERE r.rolname = ANY($1))
)::text";

#[derive(Debug, Deserialize)]
pub struct Rights {
    pub admin: Admin,
    pub roles: BTreeMap<String, Standing>,
}

/// Reads our own rights, and how we stand to some roles.
pub async fn rights(connection: &mut PgConnection, roles: &BTreeSet<String>) -> Result<Rights, Failure> {
    let names: Vec<&String> = roles.iter().collect();
    let text: Result<String, _> = sqlx::query_scalar(RIGHTS).bind(names).persistent(false).fetch_one(connection).await;
    parse(&text.map_err(|error| stating(error, "our own rights", "SELECT .. FROM pg_roles"))?)
}
