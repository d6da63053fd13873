//! The calls that the safe binding has, through the same client.

use super::trouble::Trouble;
use crate::services::kafka::admin::{Admin, Client, PATIENCE};
use rdkafka::admin::AdminOptions;
use rdkafka::error::KafkaResult;

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

    /// The safe client, for [`Self::safe`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Time limits for calls of the safe client.
    pub fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
    }
}
