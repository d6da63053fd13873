//! What PostgreSQL resources are: one type each for desired, last applied and observed. Imports only the core.

pub mod belongings;
mod database;
mod dependent;
mod grant;
mod holdings;
mod lacking;
mod lock_down;
mod names;
mod passed_on;
mod role;
pub mod settings;

pub use database::{Database, Extension, OWNERSHIP, THROUGH_PUBLIC, owner_of_public};
pub use dependent::{Dependent, Place, Tie, solutions};
pub use grant::{Access, Grant};
pub use holdings::Holdings;
pub use lacking::Lacking;
pub use lock_down::{LockDown, OPEN_BY_DEFAULT};
pub use names::{Names, rekey};
pub use passed_on::PassedOn;
pub use role::{Credential, Expiry, Role};
pub use settings::canonical_settings;

use crate::core::address::{Address, Kind};
use serde::{Deserialize, Serialize};

pub const ROLE: Kind = Kind::new("postgres.role");
pub const DATABASE: Kind = Kind::new("postgres.database");
pub const GRANT: Kind = Kind::new("postgres.grant");
pub const LOCK_DOWN: Kind = Kind::new("postgres.lock_down");

/// What a step does on PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    CreateRole,
    AlterRole,
    SetPassword,
    DropRole,
    CreateDatabase,
    /// `user` keeps its access while the owner changes.
    AlterDatabase {
        user: String,
        /// What roles shall have that own the database, or something in it that becomes another's, until now: they get
        /// it together with that change.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keeps: Vec<Grant>,
    },
    /// Closes a database to everybody, after all else on it.
    CloseDatabase,
    DropDatabase,
    /// Makes the privileges of one role in one database exactly the wanted ones.
    SetGrant,
    /// Takes every privilege that a role has in one database.
    RevokeGrant,
    /// Closes a database of the server's own to PUBLIC.
    LockDown,
    /// Gives a database another name; what is in it, and who may do what in it, stay.
    RenameDatabase {
        from: String,
        /// Which it is: another one of that name is not renamed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oid: Option<String>,
    },
    /// The same for a role; its password stays good.
    RenameRole {
        from: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        oid: Option<String>,
    },
}

pub fn role_address(name: &str) -> Address {
    Address::new(ROLE, name)
}

pub fn database_address(name: &str) -> Address {
    Address::new(DATABASE, name)
}

pub fn grant_address(database: &str, role: &str) -> Address {
    Address::new(GRANT, format!("{database}/{role}"))
}

pub fn lock_down_address(database: &str) -> Address {
    Address::new(LOCK_DOWN, database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_database_out_of_an_older_plan_is_still_read() {
        let old: Op = serde_json::from_str(r#"{"alter_database": {"user": "cafe_user"}}"#).unwrap();
        assert_eq!(old, Op::AlterDatabase { user: "cafe_user".to_owned(), keeps: Vec::new() });
    }
}
