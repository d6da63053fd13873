//! SCRAM users.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};

/// A SCRAM user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// SCRAM-SHA-256 or SCRAM-SHA-512.
    pub mechanism: String,
    pub iterations: u32,
    /// Whether nornplan sets the password. Declared only.
    #[serde(default)]
    pub generated: Option<bool>,
}

impl Resource for User {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, mechanism, iterations, generated } = self;
        vec![
            Field::new("mechanism", mechanism),
            Field::new("iterations", iterations),
            Field::maybe("generated", generated.as_ref()),
        ]
    }
}
