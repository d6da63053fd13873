//! Privileges that nobody declared, on a database and in it. Pure.

use crate::config::PostgresConfig;
use crate::services::postgres::catalog::{Acl, DatabaseRow, Future, Inside};
use crate::services::postgres::model::OWNERSHIP;
use crate::services::postgres::scope::Scope;

/// Stands for the owner of whatever database it is looked at in.
pub const OWNER_OF_DATABASE: &str = "pg_database_owner";

/// One privilege that neither its owner nor a superuser has, as far as the catalogs tell.
pub struct Stray<'a> {
    /// `None` is PUBLIC.
    pub grantee: Option<&'a str>,
    pub privilege: &'a str,
    pub place: Place<'a>,
}

/// What it is a privilege on, and who gave it.
pub enum Place<'a> {
    Database {
        grantor: &'a str,
        owner: &'a str,
    },
    Public {
        grantor: &'a str,
        owner: &'a str,
    },
    /// Schema public is the grantee's own, who may drop whatever lies in it.
    OwnPublic,
    Future(&'a Future),
}

/// All of them on the database, but those of PUBLIC, which are told apart.
pub fn on_database(row: &DatabaseRow) -> impl Iterator<Item = Stray<'_>> {
    let others = |acl: &&Acl| acl.grantee.as_ref().is_some_and(|grantee| *grantee != row.owner) && !acl.superuser;
    row.acl.iter().filter(others).map(|acl| Stray {
        grantee: acl.grantee.as_deref(),
        privilege: &acl.privilege,
        place: Place::Database { grantor: &acl.grantor, owner: &row.owner },
    })
}

/// All of them on schema public and on objects of the future. Whose schema public is comes first.
pub fn inside(inside: &Inside) -> impl Iterator<Item = Stray<'_>> {
    let of_public = inside.public_owner.as_deref();
    let owned = of_public.filter(|owner| *owner != OWNER_OF_DATABASE && !inside.superuser_owns_public);
    let owned = owned.map(|owner| Stray { grantee: Some(owner), privilege: OWNERSHIP, place: Place::OwnPublic });
    let owner = inside.public_owner.as_deref().unwrap_or_default();
    let on_public = inside.schema.iter().filter(move |acl| match &acl.grantee {
        // Harmless to who cannot connect, and the server's own default.
        None => acl.privilege != "USAGE",
        // A database's owner keeps here what it was granted by name, also when it owns it no longer.
        Some(grantee) => *grantee != owner && grantee != OWNER_OF_DATABASE && !acl.superuser,
    });
    let on_public = on_public.map(move |acl| Stray {
        grantee: acl.grantee.as_deref(),
        privilege: &acl.privilege,
        place: Place::Public { grantor: &acl.grantor, owner },
    });
    let future = inside.future.iter().filter(|future| match &future.grantee {
        // What the server gives by itself.
        None => !matches!(future.kind, 'f' | 'T'),
        Some(_) => !future.superuser,
    });
    let future = future.map(|future| Stray {
        grantee: future.grantee.as_deref(),
        privilege: &future.privilege,
        place: Place::Future(future),
    });
    owned.into_iter().chain(on_public).chain(future)
}

impl Stray<'_> {
    /// As a plan says it: "CREATE on schema public to PUBLIC".
    pub fn words(&self) -> String {
        let grantee = self.grantee.unwrap_or("PUBLIC");
        let place = match self.place {
            Place::Database { .. } => String::new(),
            Place::Public { .. } | Place::OwnPublic => " on schema public".to_owned(),
            Place::Future(future) => format!(" {}", future.words()),
        };
        format!("{}{place} to {grantee}", self.privilege)
    }

    /// Whether it is a stray indeed: the grantee has no declared grant, and nobody asked to leave it alone.
    pub fn counts(&self, database: &str, scope: &Scope, config: &PostgresConfig) -> bool {
        let leave = |role: &str| role == config.user || config.ignores(role);
        let declared = |role: &str| {
            let pairs = scope.grants.get(database).into_iter().flatten();
            pairs.map(|pair| &pair.role).chain(scope.owners.get(database)).any(|known| known == role)
        };
        if let (Place::OwnPublic, Some(owner)) = (&self.place, self.grantee) {
            // Harmless in the hands of those who have the whole database anyway.
            let own = scope.insiders(database).iter().chain(scope.owners.get(database)).any(|known| known == owner);
            return !own && !leave(owner);
        }
        let by_makers = match self.place {
            Place::Database { grantor, owner } | Place::Public { grantor, owner } => {
                grantor == owner || !config.ignores(grantor)
            }
            Place::OwnPublic => true,
            Place::Future(future) => scope.makers(database).contains(future.maker.as_str()),
        };
        by_makers && self.grantee.is_none_or(|grantee| !leave(grantee) && !declared(grantee))
    }

    /// The role that must revoke it or give it away, where that is not the owner of the database.
    pub fn maker(&self) -> Option<&str> {
        match self.place {
            Place::Future(future) => Some(&future.maker),
            Place::OwnPublic => self.grantee,
            Place::Database { .. } | Place::Public { .. } => None,
        }
    }
}
