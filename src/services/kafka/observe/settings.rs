//! What the brokers are set to, as far as one of them tells it: read once, for all who want to know.

use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Cluster, ConfigEntry};
use std::collections::BTreeMap;

/// The configuration of one broker; unknown where we may not see it.
#[derive(Debug, Default)]
pub struct Settings(Option<Vec<ConfigEntry>>);

impl Settings {
    /// Asks the first broker of a cluster.
    pub async fn read(admin: &Admin, cluster: &Cluster) -> Self {
        match cluster.brokers.first() {
            Some(broker) => Self(admin.broker_configs(broker.id).await.ok()),
            None => Self::default(),
        }
    }

    /// Every setting with where it comes from; `None` if they are not known.
    pub fn entries(&self) -> Option<&[ConfigEntry]> {
        self.0.as_deref()
    }

    /// All that have a value and are no secret.
    pub fn values(&self) -> BTreeMap<String, String> {
        let entries = self.0.iter().flatten().filter(|entry| !entry.sensitive);
        entries.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?))).collect()
    }
}
