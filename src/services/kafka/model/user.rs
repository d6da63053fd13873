//! SCRAM users.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A SCRAM user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// SCRAM-SHA-256 or SCRAM-SHA-512. `None` is unknown: Redpanda's Admin API does not tell it before 26.1.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// `None` is unknown, as above; the Admin API never tells them.
    #[serde(default)]
    pub iterations: Option<u32>,
    /// Mechanisms of more credentials: each is a way in with a password of its own. None is wanted beside `mechanism`.
    #[serde(default)]
    pub other_mechanisms: Option<BTreeSet<String>>,
    /// Whether nornplan sets the password. Declared only.
    #[serde(default)]
    pub generated: Option<bool>,
}

impl Resource for User {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, mechanism, iterations, other_mechanisms, generated } = self;
        vec![
            Field::maybe("mechanism", mechanism.as_ref()),
            Field::maybe("iterations", iterations.as_ref()),
            Field::maybe("other_mechanisms", other_mechanisms.as_ref()),
            Field::maybe("generated", generated.as_ref()),
        ]
    }
}
