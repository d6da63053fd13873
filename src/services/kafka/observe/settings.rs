//! What the brokers are set to, as far as one of them tells it: read once, for all who want to know.

use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Cluster, ConfigEntry};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a broker alone is waited for.
const PATIENCE_WITH_ONE: Duration = Duration::from_millis(400);

/// The configuration of one broker; unknown where we may not see it.
#[derive(Debug, Default)]
pub struct Settings(Option<Vec<ConfigEntry>>);

impl Settings {
    /// Asks the first broker of a cluster, and while it does not answer, one more after the other: a broker that died is
    /// still among them for a while.
    pub async fn read(admin: &Admin, cluster: &Cluster) -> Self {
        let mut others = cluster.brokers.iter();
        let mut asked = FuturesUnordered::new();
        loop {
            let next = others.next();
            asked.extend(next.map(|broker| admin.broker_configs(broker.id)));
            let patience = if others.len() > 0 { PATIENCE_WITH_ONE } else { Duration::MAX };
            match tokio::time::timeout(patience, asked.next()).await {
                Ok(Some(Ok(entries))) => return Self(Some(entries)),
                // Who is refused by one is refused by all.
                Ok(Some(Err(trouble))) if !trouble.passes() => return Self::default(),
                Ok(None) if next.is_none() => return Self::default(),
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
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
