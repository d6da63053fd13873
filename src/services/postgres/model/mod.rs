//! What PostgreSQL resources are: one type each for desired, last applied and observed. Imports only the core.

pub mod belongings;
mod database;
mod grant;
mod role;

pub use database::{Database, Extension};
pub use grant::{Access, Grant};
pub use role::{Credential, Role};

use crate::core::address::{Address, Kind};
use serde::{Deserialize, Serialize};

pub const ROLE: Kind = Kind::new("postgres.role");
pub const DATABASE: Kind = Kind::new("postgres.database");
pub const GRANT: Kind = Kind::new("postgres.grant");

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
    },
    DropDatabase,
    /// Makes the privileges of one role in one database exactly the wanted ones. `user` makes the tables.
    SetGrant {
        user: String,
    },
    RevokeGrant {
        user: String,
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
