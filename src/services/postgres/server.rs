//! What the server is and what nornplan may do on it, as far as a plan depends on it. Pure.

use crate::services::Observation;
use serde::{Deserialize, Serialize};

/// Facts that decide what can be planned. They travel in [`Observation::server`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Such as 150018 for 15.18; 0 is unknown.
    pub version_number: u32,
    /// Whether the role that nornplan signs in with is one.
    pub superuser: bool,
    /// Why databases cannot be dumped here, looked for only where one is to be dropped.
    pub cannot_dump: Option<String>,
}

impl Server {
    /// The facts of an observation; nothing is known of one that says nothing.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }
}
