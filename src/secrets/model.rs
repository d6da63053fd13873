//! What an app's published secrets are, without any secret in them. Imports only the core.

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use crate::core::name::AppName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub const SECRET: Kind = Kind::new("secret");

/// How an observed value stands that is not the wanted one; the value itself is never shown.
pub const ANOTHER_VALUE: &str = "(another value)";

/// The values that an app finds in its environment. Passwords stand as `{pg.password}`, `{kv.password}`,
/// `{kafka.password}`; everything else is filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Name of the variable to its value. Observed: a value that is not the wanted one with the sink's own passwords
    /// filled in stands as `(another value)`, a missing one is left out.
    pub values: BTreeMap<String, String>,
}

impl Resource for Published {
    fn fields(&self) -> Vec<Field> {
        let Self { values } = self;
        vec![Field::new("values", values)]
    }
}

/// What a step does with an app's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Puts a password for each named service into the stage: the staged one if there is one; else, unless its flag
    /// (renew) is set, the published one; else a generated one.
    Stage { services: BTreeMap<String, bool> },
    /// Writes all values in one go. `proved` names the services whose staged passwords are promoted: those that steps
    /// before this one have set. What is `untouched` stays in the sink as it is.
    Publish {
        proved: BTreeSet<String>,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        untouched: BTreeSet<String>,
    },
    /// Removes all that is published for the app.
    Remove,
    /// Publishes for the app, and stages, all that is there for another: it is the same app under its former name.
    TakeOver { from: AppName },
    /// Removes what is published for an app under its former name: what it has under the new one, and these names.
    RemoveFormer {
        from: AppName,
        #[serde(default)]
        names: BTreeSet<String>,
    },
}

/// What the differ must know beside what is published; it travels as what an observation says of the sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// Why nothing is to be published with the password that apps of Valkey share, and what to do about it.
    pub shared_password_refused: Option<String>,
}

impl Known {
    /// Reads it from an observation of the sink.
    pub fn of(server: &Value) -> Self {
        serde_json::from_value(server.clone()).unwrap_or_default()
    }
}

impl From<Known> for Value {
    fn from(known: Known) -> Self {
        serde_json::to_value(known).unwrap_or_default()
    }
}

pub fn secret_address(app: &str) -> Address {
    Address::new(SECRET, app)
}
