//! A database, and what everybody may do with it.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How an extension is wanted, or is there. `None` is whatever the server takes by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
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
    /// How many objects in it belong to others than the app's user and the migrator, by owner. None are wanted where
    /// they shall be adopted; elsewhere, and when read shallowly, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects_of_others: Option<BTreeMap<String, u64>>,
    /// Declared only, and never compared: whose objects the app uses by privileges, so that they may stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrator: Option<String>,
}

impl Resource for Database {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, owner, public, extensions, objects_of_others, migrator: _ } = self;
        vec![
            Field::new("owner", owner),
            Field::new("public", public),
            Field::maybe("extensions", extensions.as_ref()),
            Field::maybe("objects_of_others", objects_of_others.as_ref()),
        ]
    }
}
