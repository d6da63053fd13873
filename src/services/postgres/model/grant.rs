//! What one role may do in one database.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How much a role may do in a database, in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The app itself: CONNECT, TEMPORARY, CREATE on the database, ALL on schema public, and every use of what its
    /// migrator makes.
    App,
    /// CONNECT, USAGE of schemas, SELECT on tables and sequences, present and future.
    Readonly,
    /// And INSERT, UPDATE, DELETE, USAGE of sequences.
    Readwrite,
    /// A role that people look after and that makes objects for the app: like the app, of its own.
    Migrator,
}

impl Access {
    /// Whether the role may use others' objects as far as this says, and not one privilege more.
    pub fn is_exact(self) -> bool {
        match self {
            Self::Readonly | Self::Readwrite => true,
            Self::App | Self::Migrator => false,
        }
    }
}

/// What one role may do in one database. Address: `postgres.grant.DATABASE/ROLE`.
///
/// Schemas of the server and of extensions, and what extensions made, are left out of everything here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub database: String,
    pub role: String,
    /// Declared only; `None` in what is observed.
    #[serde(default)]
    pub access: Option<Access>,
    /// Roles for whose future objects (and for the app itself, present ones) this holds. Declared only, like `access`.
    #[serde(default)]
    pub makers: Option<BTreeSet<String>>,
    /// Whether people look after the role, so that it must be on the server already. Declared only, and not compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// On the database: CONNECT, TEMPORARY, CREATE.
    pub database_privileges: BTreeSet<String>,
    /// On schema public: USAGE, CREATE. Unknown when read shallowly.
    #[serde(default)]
    pub schema_privileges: Option<BTreeSet<String>>,
    /// On schemas that any of the makers makes from now on. Unknown when read shallowly.
    #[serde(default)]
    pub future_schemas: Option<BTreeSet<String>>,
    /// On tables and views, likewise.
    #[serde(default)]
    pub future_tables: Option<BTreeSet<String>>,
    /// On sequences, likewise.
    #[serde(default)]
    pub future_sequences: Option<BTreeSet<String>>,
    /// Whether every present schema, table and sequence has at least these. Unknown when read shallowly.
    #[serde(default)]
    pub present_objects: Option<bool>,
    /// What it has more than these, and what it may pass on, in words; none is wanted. Unknown when read shallowly.
    #[serde(default)]
    pub beyond: Option<BTreeSet<String>>,
}

impl Grant {
    /// The privileges that an access level stands for, where `makers` make objects.
    pub fn declared(database: &str, role: &str, access: Access, makers: &BTreeSet<String>) -> Self {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let (own, public) = match access {
            Access::App | Access::Migrator => (set(&["CONNECT", "CREATE", "TEMPORARY"]), set(&["CREATE", "USAGE"])),
            Access::Readonly | Access::Readwrite => (set(&["CONNECT"]), set(&["USAGE"])),
        };
        let (schemas, tables, sequences): (&[&str], &[&str], &[&str]) = match access {
            Access::App => (
                &["CREATE", "USAGE"],
                // Without MAINTAIN, which servers before 17 do not know.
                &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
                &["SELECT", "UPDATE", "USAGE"],
            ),
            Access::Readonly => (&["USAGE"], &["SELECT"], &["SELECT"]),
            Access::Readwrite => (&["USAGE"], &["DELETE", "INSERT", "SELECT", "UPDATE"], &["SELECT", "USAGE"]),
            Access::Migrator => (&[], &[], &[]),
        };
        let makers: BTreeSet<String> = match access {
            Access::Migrator => BTreeSet::new(),
            Access::App | Access::Readonly | Access::Readwrite => {
                makers.iter().filter(|maker| *maker != role).cloned().collect()
            }
        };
        let made = |privileges: &[&str]| (!makers.is_empty()).then(|| set(privileges));
        Self {
            database: database.to_owned(),
            role: role.to_owned(),
            access: Some(access),
            outside: false,
            database_privileges: own,
            schema_privileges: Some(public),
            future_schemas: made(schemas),
            future_tables: made(tables),
            future_sequences: made(sequences),
            present_objects: (!makers.is_empty()).then_some(true),
            beyond: Some(BTreeSet::new()),
            makers: Some(makers),
        }
    }
}

impl Resource for Grant {
    fn fields(&self) -> Vec<Field> {
        let Self {
            database: _,
            role: _,
            access,
            makers,
            outside: _,
            database_privileges,
            schema_privileges,
            future_schemas,
            future_tables,
            future_sequences,
            present_objects,
            beyond,
        } = self;
        vec![
            Field::maybe("access", access.as_ref()),
            Field::maybe("makers", makers.as_ref()),
            Field::new("database_privileges", database_privileges).expanded(),
            Field::maybe("schema_privileges", schema_privileges.as_ref()).expanded(),
            Field::maybe("future_schemas", future_schemas.as_ref()).expanded(),
            Field::maybe("future_tables", future_tables.as_ref()).expanded(),
            Field::maybe("future_sequences", future_sequences.as_ref()).expanded(),
            Field::maybe("present_objects", present_objects.as_ref()).expanded(),
            Field::maybe("beyond", beyond.as_ref()).expanded(),
        ]
    }
}
