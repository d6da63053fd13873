//! What the broker is, as far as rules depend on it: pure.

use super::lockout::ShutOut;
use crate::services::Observation;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which program speaks the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavor {
    #[default]
    Kafka,
    Redpanda,
}

impl Flavor {
    /// By the cluster's id: Redpanda's is `redpanda.<uuid>`, "so that callers can identify which Kafka implementation"
    /// (src/v/kafka/server/handlers/metadata.cc).
    pub fn of(cluster: Option<&str>) -> Self {
        if cluster.is_some_and(|id| id.starts_with("redpanda.")) { Self::Redpanda } else { Self::Kafka }
    }

    pub fn product(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka",
            Self::Redpanda => "Redpanda",
        }
    }
}

/// The facts that an observation carries to the differ. What an older record does not say is unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    #[serde(default)]
    pub flavor: Flavor,
    /// Whether the broker keeps ACLs; `None` if that is not known.
    #[serde(default)]
    pub authorizer: Option<bool>,
    #[serde(default)]
    pub brokers: usize,
    /// How long an open session goes on without signing in again, in milliseconds; 0 is for ever. `None` is unknown.
    #[serde(default)]
    pub reauthenticates_ms: Option<u64>,
    /// Whether users can make tokens that sign in beside their passwords; `None` is unknown.
    #[serde(default)]
    pub delegation_tokens: Option<bool>,
    /// The names of all configs that the broker shows of topics; `None` if no topic was looked at.
    #[serde(default)]
    pub configs: Option<BTreeSet<String>>,
    /// What topics get that do not say it themselves, of the configs that may lose messages, as far as that is known.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// Topics that are wanted and that the broker would not make, and why, in its own words.
    #[serde(default)]
    pub refused: BTreeMap<String, String>,
    /// Whom the wanted ACLs would shut out of what has none.
    #[serde(default)]
    pub shut_out: Vec<ShutOut>,
    /// Why that is not known of all, if it is not.
    #[serde(default)]
    pub users_untold: Option<String>,
}

impl Server {
    /// As an observation says.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }

    /// As an observation keeps it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
