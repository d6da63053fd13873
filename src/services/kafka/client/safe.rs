//! The calls that the safe binding has, through the same client.

use super::native::TopicFound;
use super::trouble::Trouble;
use crate::services::kafka::admin::{Admin, Client, PATIENCE};
use rdkafka::admin::AdminOptions;
use rdkafka::error::{KafkaError, KafkaResult};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Admin {
    /// Whether the connection broke, so that this client is of no more use.
    pub fn is_broken(&self) -> bool {
        self.client.inner().context().is_broken()
    }

    /// Whom the broker takes the client for, as ACLs name it (`User:admin`).
    pub fn principal(&self) -> &str {
        self.client.inner().context().principal()
    }

    /// Calls of the safe binding, ended early when the connection breaks.
    ///
    /// # Errors
    /// Why the whole request failed.
    pub async fn safe<T>(&self, call: impl Future<Output = KafkaResult<T>>) -> Result<T, Trouble> {
        tokio::select! {
            answer = call => answer.map_err(Trouble::from),
            trouble = self.client.inner().context().broken() => Err(trouble),
        }
    }

    /// All topics that the principal may see, internal ones too. Creates none.
    ///
    /// # Errors
    /// Why they could not be read.
    pub async fn all_topics(self: &Arc<Self>) -> Result<BTreeMap<String, TopicFound>, Trouble> {
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let metadata = this.client.inner().fetch_metadata(None, PATIENCE)?;
            let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
            let found = there.map(|topic| {
                let replication = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
                (topic.name().to_owned(), TopicFound { partitions: topic.partitions().len(), replication })
            });
            Ok(found.collect())
        });
        self.safe(async { read.await.unwrap_or(Err(KafkaError::Canceled)) }).await
    }

    /// The safe client, for [`Self::safe`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Time limits for calls of the safe client.
    pub fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
    }
}
