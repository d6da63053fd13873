//! Statements that take what nobody declared.

use super::grant::{default_privileges, stop_giving};
use crate::services::postgres::catalog::{DatabaseRow, objects};
use crate::services::postgres::observe::strays::{OWNER_OF_DATABASE, Place, Stray};
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

/// Takes one privilege from one role, or from PUBLIC.
pub fn revoke(stray: &Stray<'_>, database: &str) -> Vec<String> {
    let from = stray.grantee.map_or_else(|| "PUBLIC".to_owned(), escape_identifier);
    let privilege = stray.privilege;
    let (grantor, owner, what) = match stray.place {
        Place::Database { grantor, owner } => (grantor, owner, format!("DATABASE {}", escape_identifier(database))),
        Place::Public { grantor, owner } => (grantor, owner, "SCHEMA public".to_owned()),
        Place::OwnPublic => {
            // Whoever owned it may have taken an owner's own rights from itself.
            return vec![
                format!("ALTER SCHEMA public OWNER TO {OWNER_OF_DATABASE}"),
                format!("GRANT ALL ON SCHEMA public TO {OWNER_OF_DATABASE}"),
            ];
        }
        Place::Future(future) => {
            let begin = default_privileges(&future.maker, future.schema.as_deref());
            return vec![format!("{begin}REVOKE {privilege} ON {} FROM {from} CASCADE", objects(future.kind))];
        }
    };
    let giver = (grantor != owner).then(|| stop_giving(grantor, &what));
    giver.into_iter().chain([format!("REVOKE {privilege} ON {what} FROM {from} CASCADE")]).collect()
}

/// Takes what PUBLIC got from other roles than the owner.
pub fn revoke_from_public(row: &DatabaseRow) -> Vec<String> {
    let what = format!("DATABASE {}", escape_identifier(&row.name));
    let others = row.acl.iter().filter(|acl| acl.grantee.is_none() && acl.grantor != row.owner);
    let givers: BTreeSet<&str> = others.map(|acl| acl.grantor.as_str()).collect();
    let each = givers.into_iter().map(|giver| stop_giving(giver, &what));
    each.flat_map(|stop| [stop, format!("REVOKE ALL ON {what} FROM PUBLIC CASCADE")]).collect()
}
