//! What PostgreSQL resources are: one type each for desired, last applied and observed. Imports only the core.

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub const ROLE: Kind = Kind::new("postgres.role");
pub const DATABASE: Kind = Kind::new("postgres.database");
pub const GRANT: Kind = Kind::new("postgres.grant");

/// Whether nornplan generates and publishes a login's password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    #[default]
    Generate,
    /// People look after it themselves: never set, never published.
    Keep,
    /// It cannot sign in.
    None,
}

/// A role. The owner of a database cannot sign in; the user can, and owns nothing that guards its isolation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub login: bool,
    /// `None` is unlimited.
    pub connection_limit: Option<u32>,
    /// SUPERUSER, CREATEDB, CREATEROLE, REPLICATION, BYPASSRLS, in capitals; none is wanted.
    #[serde(default)]
    pub attributes: BTreeSet<String>,
    /// `ALTER ROLE .. SET`, in all databases.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Declared only: it is not on the server. `None` in what is observed.
    #[serde(default)]
    pub credential: Option<Credential>,
}

impl Resource for Role {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, login, connection_limit, attributes, settings, credential } = self;
        vec![
            Field::new("login", login),
            Field::new("connection_limit", connection_limit),
            Field::new("attributes", attributes),
            Field::new("settings", settings),
            Field::maybe("credential", credential.as_ref()),
        ]
    }
}

/// A database and what PUBLIC may do with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub name: String,
    pub owner: String,
    /// Privileges of PUBLIC on the database (CONNECT, TEMPORARY), in capitals; none is wanted.
    #[serde(default)]
    pub public: BTreeSet<String>,
    /// Declared extensions that must be there; observed: all but plpgsql, unknown (`None`) when read shallowly.
    #[serde(default)]
    pub extensions: Option<BTreeSet<String>>,
}

impl Resource for Database {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, owner, public, extensions } = self;
        vec![Field::new("owner", owner), Field::new("public", public), Field::maybe("extensions", extensions.as_ref())]
    }
}

/// How much a role may do in a database, in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The app itself: CONNECT, TEMPORARY, CREATE on the database, ALL on schema public.
    App,
    /// CONNECT, USAGE, SELECT on present and future tables and sequences.
    Readonly,
    /// And INSERT, UPDATE, DELETE, USAGE of sequences.
    Readwrite,
}

/// What one role may do in one database. Address: `postgres.grant.DATABASE/ROLE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub database: String,
    pub role: String,
    /// Declared only; `None` in what is observed.
    #[serde(default)]
    pub access: Option<Access>,
    /// On the database: CONNECT, TEMPORARY, CREATE.
    pub database_privileges: BTreeSet<String>,
    /// On schema public: USAGE, CREATE. Unknown when read shallowly.
    #[serde(default)]
    pub schema_privileges: Option<BTreeSet<String>>,
    /// On tables and views of schema public that the app's user makes from now on. Unknown when read shallowly.
    #[serde(default)]
    pub future_tables: Option<BTreeSet<String>>,
    /// On sequences, likewise.
    #[serde(default)]
    pub future_sequences: Option<BTreeSet<String>>,
    /// Whether every present table and sequence of schema public has at least these. Unknown when read shallowly.
    #[serde(default)]
    pub present_objects: Option<bool>,
}

impl Resource for Grant {
    fn fields(&self) -> Vec<Field> {
        let Self {
            database: _,
            role: _,
            access,
            database_privileges,
            schema_privileges,
            future_tables,
            future_sequences,
            present_objects,
        } = self;
        vec![
            Field::maybe("access", access.as_ref()),
            Field::new("database_privileges", database_privileges).expanded(),
            Field::maybe("schema_privileges", schema_privileges.as_ref()).expanded(),
            Field::maybe("future_tables", future_tables.as_ref()).expanded(),
            Field::maybe("future_sequences", future_sequences.as_ref()).expanded(),
            Field::maybe("present_objects", present_objects.as_ref()).expanded(),
        ]
    }
}

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
