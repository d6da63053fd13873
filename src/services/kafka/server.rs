//! What the broker is, as far as rules depend on it: pure.

use super::acl::cut_off::CutOff;
use super::acl::lockout::ShutOut;
use crate::config::BrokerKind;
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

    /// As the workspace says, or else by the cluster's id.
    pub fn told(setting: BrokerKind, cluster: Option<&str>) -> Self {
        match setting {
            BrokerKind::Auto => Self::of(cluster),
            BrokerKind::Kafka => Self::Kafka,
            BrokerKind::Redpanda => Self::Redpanda,
        }
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
    /// Whether the broker checks ACLs; `None` if that is not known. A Kafka that does not keeps none either; Redpanda
    /// keeps them in any case.
    #[serde(default)]
    pub authorizer: Option<bool>,
    #[serde(default)]
    pub brokers: usize,
    /// Topics that Redpanda lets nobody delete (`kafka_nodelete_topics`), as far as they are known.
    #[serde(default)]
    pub nodelete_topics: BTreeSet<String>,
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
    /// Groups at work that users may not run any more when their ACLs are as they are wanted.
    #[serde(default)]
    pub cut_off: Vec<CutOff>,
    /// Why that is not known, if it is not.
    #[serde(default)]
    pub cut_off_untold: Option<String>,
    /// Topics of nobody that lie under prefixes which ACLs give anew, by prefix; those with none are left out.
    #[serde(default)]
    pub beneath: BTreeMap<String, Beneath>,
    /// Why that is not known, if it is not.
    #[serde(default)]
    pub beneath_untold: Option<String>,
}

/// Topics under a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beneath {
    /// The first of them.
    pub names: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl Beneath {
    /// Topics that are named; the others are counted.
    const NAMED: usize = 3;

    pub fn of<'a>(topics: impl Iterator<Item = &'a String>) -> Self {
        let mut beneath = Self::default();
        for name in topics {
            if beneath.names.len() < Self::NAMED {
                beneath.names.push(name.clone());
            }
            beneath.count += 1;
        }
        beneath
    }
}

impl std::fmt::Display for Beneath {
    /// `corp.a, corp.b, corp.c and 7 more`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))?;
        let more = self.count.saturating_sub(self.names.len());
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

impl Server {
    /// As an observation says.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }

    /// Whether ACLs can be kept, checked or not.
    pub fn keeps_acls(&self) -> bool {
        self.flavor == Flavor::Redpanda || self.authorizer != Some(false)
    }

    /// As an observation keeps it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Flavor, Server};
    use crate::config::BrokerKind;

    #[test]
    fn the_workspace_says_what_the_brokers_are_or_else_the_cluster_does() {
        let redpanda = Some("redpanda.3f2a6c1e-5b1d-4f0e-8a3c-2b1f7a9c0d11");
        let kafka = Some("4L6g3nShT-eMCtK--X86sw");
        assert_eq!(Flavor::told(BrokerKind::Auto, redpanda), Flavor::Redpanda);
        assert_eq!(Flavor::told(BrokerKind::Auto, Some("redpanda.initializing")), Flavor::Redpanda);
        assert_eq!(Flavor::told(BrokerKind::Auto, kafka), Flavor::Kafka);
        assert_eq!(Flavor::told(BrokerKind::Auto, None), Flavor::Kafka);
        assert_eq!(Flavor::told(BrokerKind::Kafka, redpanda), Flavor::Kafka);
        assert_eq!(Flavor::told(BrokerKind::Redpanda, kafka), Flavor::Redpanda);
    }

    #[test]
    fn redpanda_keeps_acls_that_it_does_not_check() {
        let server = |flavor, authorizer| Server { flavor, authorizer, ..Server::default() };
        assert!(!server(Flavor::Kafka, Some(false)).keeps_acls());
        assert!(server(Flavor::Kafka, Some(true)).keeps_acls() && server(Flavor::Kafka, None).keeps_acls());
        assert!(server(Flavor::Redpanda, Some(false)).keeps_acls());
    }
}
