//! What the server is and what nornplan may do on it, as far as a plan depends on it. Pure.

use crate::services::Observation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From here on CREATEROLE reaches only roles that one has ADMIN on.
const ADMIN_OPTION_COUNTS: u32 = 160_000;

/// Facts that decide what can be planned. They travel in [`Observation::server`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Such as 150018 for 15.18; 0 is unknown.
    pub version_number: u32,
    /// What is known of the role that nornplan signs in with.
    pub admin: Admin,
    /// How it stands to the roles that a plan may touch; those that do not exist are left out.
    pub roles: BTreeMap<String, Standing>,
    /// Who owns each database that a plan may touch.
    pub owners: BTreeMap<String, String>,
}

/// The role that nornplan signs in with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Admin {
    pub name: String,
    pub superuser: bool,
    pub createrole: bool,
    pub createdb: bool,
}

/// How the role that nornplan signs in with stands to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// It has the other's privileges.
    pub member: bool,
    /// It may pass on membership of the other.
    pub admin_option: bool,
    /// The other is a superuser.
    pub superuser: bool,
    /// The other has REPLICATION or BYPASSRLS, which before 16 took a superuser to change it.
    pub privileged: bool,
}

impl Server {
    /// The facts of an observation; nothing is known of one that says nothing.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }

    /// Whether CREATEROLE alone reaches no role that others made.
    pub fn admin_option_counts(&self) -> bool {
        self.version_number >= ADMIN_OPTION_COUNTS
    }
}
