//! What is known of a Redpanda beyond what its Kafka API tells.

use crate::config::KafkaConfig;
use crate::core::plan::{Level, Notice};
use crate::services::kafka::redpanda::AdminApi;
use crate::services::kafka::redpanda::look::without_admin_api;
use std::collections::BTreeSet;

/// What a look came to.
#[derive(Default)]
pub struct Found {
    /// Whether ACLs are checked; its Kafka API never tells (there is no SECURITY_DISABLED on Redpanda).
    pub authorizer: Option<bool>,
    pub nodelete_topics: BTreeSet<String>,
    pub version: Option<String>,
    pub notices: Vec<Notice>,
}

/// Looks at what concerns these users.
pub async fn look(config: &KafkaConfig, api: Option<&AdminApi>, users: &BTreeSet<&str>) -> Found {
    let Some(api) = api else {
        let (text, hint) = without_admin_api();
        let text = format!("{text} ({hint})");
        let notice = Notice { level: Level::Warning, about: "kafka".to_owned(), text };
        // Without a sign-in there are no users to hold back, which is told louder.
        let notices = if config.authenticates() { vec![notice] } else { Vec::new() };
        return Found { notices, ..Found::default() };
    };
    let look = api.look(users).await;
    let (authorizer, notices) = (look.authorization(), look.notices());
    let nodelete_topics = look.facts.ok().and_then(|facts| facts.nodelete_topics).unwrap_or_default();
    Found { authorizer, nodelete_topics, version: look.version, notices }
}
