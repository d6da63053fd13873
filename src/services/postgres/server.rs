//! What the server is and what nornplan may do on it, as far as a plan depends on it. Pure.

use crate::services::Observation;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Facts that decide what can be planned. They travel in [`Observation::server`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Such as 150018 for 15.18; 0 is unknown.
    pub version_number: u32,
    /// Whether the role that nornplan signs in with is one.
    pub superuser: bool,
    /// What databases can have here; read only where one is wanted.
    pub offered: Option<Offered>,
}

/// What the server offers to databases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offered {
    /// Every extension whose files are on the server.
    pub names: BTreeSet<String>,
    /// Those that are declared, and what they require.
    pub extensions: BTreeMap<String, Package>,
    pub tablespaces: BTreeSet<String>,
    /// Those of them in which we may not create anything.
    pub denied_tablespaces: BTreeSet<String>,
    /// Whether the server was built with ICU.
    pub icu: bool,
}

/// The files of one extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Package {
    pub default_version: Option<String>,
    pub versions: BTreeMap<String, Version>,
    /// From which version to which there is an update; unknown where no version is declared.
    pub updates: Option<BTreeSet<(String, String)>>,
}

/// One version of an extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Whether only a superuser may create it, unless it is trusted.
    pub superuser: bool,
    pub trusted: bool,
    /// Whether it can be moved to another schema later.
    pub relocatable: bool,
    /// The one schema that it can be in, if there is one.
    pub schema: Option<String>,
    pub requires: BTreeSet<String>,
}

impl Server {
    /// The facts of an observation; nothing is known of one that says nothing.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }
}
