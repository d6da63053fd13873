//! What one role may do in one database.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
