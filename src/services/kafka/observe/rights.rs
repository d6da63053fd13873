//! What the user that nornplan signs in with may not do, though it may read. Pure.

use crate::config::KafkaConfig;
use crate::core::plan::{Level, Notice};
use crate::services::kafka::client::native::Cluster;

/// What an apply may do to the cluster: it makes topics, and it writes users and ACLs.
const TO_APPLY: [&str; 2] = ["create", "alter"];

/// Says that a plan can be made and not be applied; `None` if it can, or if the broker does not say.
pub fn lacking(config: &KafkaConfig, cluster: &Cluster) -> Option<Notice> {
    let allowed = cluster.allowed.as_ref().filter(|_| config.authenticates())?;
    let missing: Vec<&str> = TO_APPLY.into_iter().filter(|right| !allowed.contains(right)).collect();
    let text = format!(
        "{} may read this and not apply it: it lacks {} on Cluster. Add ACLs for that, or apply as another user",
        config.user,
        missing.join(" and ")
    );
    (!missing.is_empty()).then(|| Notice { level: Level::Warning, about: "kafka".to_owned(), text })
}
