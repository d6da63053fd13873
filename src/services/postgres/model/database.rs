//! A database, and what everybody may do with it.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Privileges on the database of roles that have no declared grant, in words ("CONNECT to stranger"); none is
    /// wanted.
    #[serde(default)]
    pub strays: BTreeSet<String>,
    /// The same on schema public and by default on future objects, of PUBLIC too. Unknown when read shallowly.
    #[serde(default)]
    pub strays_inside: Option<BTreeSet<String>>,
}

impl Resource for Database {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, owner, public, extensions, strays, strays_inside } = self;
        vec![
            Field::new("owner", owner),
            Field::new("public", public),
            Field::maybe("extensions", extensions.as_ref()),
            Field::new("strays", strays),
            Field::maybe("strays_inside", strays_inside.as_ref()),
        ]
    }
}
