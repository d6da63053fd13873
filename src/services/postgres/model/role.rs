//! A role: the owner of a database, or who signs in.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
