//! A database of the server's own that every role may enter unless it is closed.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The databases that come with a server and are open to every role: template0 lets nobody in.
pub const OPEN_BY_DEFAULT: [&str; 2] = ["postgres", "template1"];

/// What PUBLIC and we ourselves may do with such a database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockDown {
    pub database: String,
    /// Privileges of PUBLIC (CONNECT, TEMPORARY), in capitals; none is wanted.
    #[serde(default)]
    pub public: BTreeSet<String>,
    /// Whether the role that nornplan signs in with has CONNECT of its own, and not only through PUBLIC or by being a
    /// superuser; it is wanted.
    #[serde(default)]
    pub admin: bool,
}

impl LockDown {
    /// The database closed to everybody but those who have CONNECT of their own, us among them.
    pub fn closed(database: &str) -> Self {
        Self { database: database.to_owned(), public: BTreeSet::new(), admin: true }
    }
}

impl Resource for LockDown {
    fn fields(&self) -> Vec<Field> {
        let Self { database: _, public, admin } = self;
        vec![Field::new("public", public), Field::new("admin", admin)]
    }
}
