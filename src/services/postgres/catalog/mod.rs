//! The statements that read PostgreSQL, and the rows that they answer with.

mod dependents;
mod deviations;
mod inside;
mod lock_down;
pub mod named;
mod objects;
mod offered;
mod parameters;
mod rights;
mod routines;
mod sessions;
mod settings;
mod shared;
mod through_public;
mod unmanaged;

pub use dependents::{dependents, some_inside};
pub use deviations::Deviation;
pub use inside::{Future, Inside, inside};
pub use lock_down::lock_downs;
pub use objects::{Move, belongings, moves};
pub use offered::offered;
pub use parameters::parameters;
pub use rights::rights;
pub use routines::routines;
pub use sessions::{end_strangers, strangers};
pub use shared::{DatabaseRow, STATE_COMMENT, Shared, database, shared};
pub use through_public::through_public;
pub use unmanaged::{Others, unmanaged};

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// What `aclexplode(..) a` answers, as a list of [`Acl`].
const ACL_ROWS: &str = "\
coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type,
      'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'grantable', a.is_grantable,
      'superuser', coalesce((SELECT rolsuper FROM pg_catalog.pg_roles g WHERE g.oid = a.grantee), false))), '[]')";

/// What belongs to extensions, as the rows (classid, objid). Whoever made an extension may add own objects to it, so what
/// is its maker's counts as that, and not as the extension's; what extensions of ours and of superusers have is theirs.
/// Owners that are no superusers have rows in pg_shdepend.
const MEMBERS: &str = "\
SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    JOIN pg_catalog.pg_roles m ON m.oid = e.extowner
  WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
    AND (m.rolsuper OR m.rolname = current_user OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles o ON o.oid = s.refobjid
      WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND s.classid = d.classid AND s.objid = d.objid AND s.deptype = 'o' AND NOT o.rolsuper))";

/// Whether a row `m` of pg_auth_members, whose member is the role `u`, is the mark of an administrator that has made the
/// role: from 16 on the server itself notes that as a membership which allows nothing but to give it away.
pub const MARK_OF_MAKER: &str = "\
(u.rolcreaterole AND m.grantor = 10
  AND to_jsonb(m) @> '{\"admin_option\": true, \"inherit_option\": false, \"set_option\": false}')";

/// Whether a row `a` of pg_stat_activity is a session of somebody else: whoever likes can call itself nornplan.
pub const NOT_OURS: &str = "\
(a.usesysid IS NOT NULL AND NOT (a.usename = current_user AND a.application_name = 'nornplan'))";

/// One privilege of one role; no grantee is PUBLIC.
#[derive(Debug, Deserialize)]
pub struct Acl {
    pub grantee: Option<String>,
    pub grantor: String,
    pub privilege: String,
    /// Whether the grantee may pass it on.
    pub grantable: bool,
    /// Whether the grantee is a superuser, who needs no privilege.
    pub superuser: bool,
}

/// Reads what a catalog statement answered.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Diagnostic::new(Kind::Service, "the catalogs were answered in another form than expected")
            .on("postgres", "catalogs", "")
            .because(error)
            .into()
    })
}

/// The privileges of one grantee; `None` is PUBLIC.
pub fn privileges(acl: &[Acl], grantee: Option<&str>) -> BTreeSet<String> {
    acl.iter().filter(|row| row.grantee.as_deref() == grantee).map(|row| row.privilege.clone()).collect()
}

/// What kind of objects a letter of the catalogs stands for, as GRANT says it.
pub fn objects(kind: char) -> &'static str {
    match kind {
        'S' => "SEQUENCES",
        'n' => "SCHEMAS",
        'f' => "FUNCTIONS",
        'p' => "PROCEDURES",
        'T' => "TYPES",
        'L' => "LARGE OBJECTS",
        _ => "TABLES",
    }
}
