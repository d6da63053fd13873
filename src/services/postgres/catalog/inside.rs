//! What lies inside one database, as far as grants and extensions go.

use super::deviations::{self, Deviation};
use super::{ACL_ROWS, Acl, objects, parse};
use crate::services::Failure;
use crate::services::postgres::connect::stating;
use crate::services::postgres::model::Extension;
use crate::services::postgres::model::belongings::Belongings;
use crate::services::postgres::scope::{Needs, Pair};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// What lies inside one database, as far as grants and extensions go.
const INSIDE: &str = "\
SELECT jsonb_build_object(
  'extensions', (SELECT coalesce(jsonb_object_agg(e.extname,
      jsonb_build_object('version', e.extversion, 'schema', s.nspname)), '{}')
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace s ON s.oid = e.extnamespace
    WHERE e.extname <> 'plpgsql'),
  'public_owner', (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'public'),
  'superuser_owns_public', EXISTS (SELECT FROM pg_catalog.pg_namespace n
    JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'public' AND r.rolsuper),
  'holds_state', EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
      JOIN pg_catalog.pg_database d ON d.datname = current_database()
    WHERE n.nspname = 'nornplan' AND c.relname = 'format' AND (r.rolsuper OR r.oid = d.datdba)),
  'schema', (SELECT ACL_ROWS
    FROM pg_catalog.pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname = 'public'),
  'future', (SELECT coalesce(jsonb_agg(jsonb_build_object('maker', pg_get_userbyid(f.defaclrole),
      'acts', pg_has_role(f.defaclrole, 'USAGE'), 'kind', f.defaclobjtype, 'schema', n.nspname,
      'privilege', a.privilege_type, 'grantable', a.is_grantable,
      'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      'superuser', coalesce((SELECT rolsuper FROM pg_catalog.pg_roles g WHERE g.oid = a.grantee), false))), '[]')
    FROM pg_catalog.pg_default_acl f LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.defaclnamespace,
      aclexplode(f.defaclacl) a
    WHERE a.grantee <> f.defaclrole)
)::text";

/// One privilege that objects will have from their beginning.
#[derive(Debug, Deserialize)]
pub struct Future {
    /// Who will make the objects; never the grantee.
    pub maker: String,
    /// Whether we may act for the maker now.
    pub acts: bool,
    /// r for tables, S for sequences, f for functions, T for types, n for schemas, L for large objects.
    pub kind: char,
    /// `None` is everywhere in the database.
    pub schema: Option<String>,
    /// No grantee is PUBLIC.
    pub grantee: Option<String>,
    pub privilege: String,
    pub grantable: bool,
    pub superuser: bool,
}

#[derive(Debug, Deserialize)]
pub struct Inside {
    pub extensions: BTreeMap<String, Extension>,
    /// Of schema public; `None` if there is no such schema.
    pub public_owner: Option<String>,
    pub superuser_owns_public: bool,
    /// Whether it has the tables of nornplan's state, and not of the app's making.
    pub holds_state: bool,
    /// Privileges on schema public.
    pub schema: Vec<Acl>,
    pub future: Vec<Future>,
    /// Where present objects are not as the needs say.
    #[serde(skip)]
    pub deviations: Vec<Deviation>,
    /// What belongs to others, by owner: read on its own, where it matters.
    #[serde(skip)]
    pub belongings: BTreeMap<String, Belongings>,
    /// Functions and operators of no superuser, by schema: read on its own, where an extension is declared.
    #[serde(skip)]
    pub routines: BTreeMap<String, u64>,
}

impl Inside {
    /// What a role gets by default on future objects, as far as an administrator can change it: one that may act for
    /// their maker, or will be able to.
    pub fn future_of<'a>(&'a self, pair: &'a Pair) -> impl Iterator<Item = &'a Future> {
        let of_role = |future: &&Future| future.grantee.as_deref() == Some(pair.role.as_str());
        self.future.iter().filter(of_role).filter(|future| future.acts || pair.makers.contains(&future.maker))
    }
}

impl Future {
    /// "on future tables of cafe_user in schema app".
    pub fn words(&self) -> String {
        let schema = self.schema.as_ref().map(|schema| format!(" in schema {schema}")).unwrap_or_default();
        format!("on future {} of {}{schema}", objects(self.kind).to_lowercase(), self.maker)
    }
}

/// Reads what lies inside the database that is connected to.
pub async fn inside(connection: &mut PgConnection, database: &str, needs: &Needs) -> Result<Inside, Failure> {
    let statement = AssertSqlSafe(INSIDE.replace("ACL_ROWS", ACL_ROWS));
    let text: Result<String, _> = sqlx::query_scalar(statement).persistent(false).fetch_one(&mut *connection).await;
    let text =
        text.map_err(|error| stating(error, database, "SELECT .. FROM pg_extension, pg_namespace, pg_default_acl"))?;
    let mut inside: Inside = parse(&text)?;
    if !needs.is_empty() {
        inside.deviations = deviations::deviations(connection, database, needs).await?;
    }
    Ok(inside)
}
