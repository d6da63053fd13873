//! What a batch of steps is carried out with, and how its failures are told.

use crate::config::KafkaConfig;
use crate::error::{Diagnostic, Kind};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::client::words;
use crate::services::kafka::observe::reader::Reader;
use crate::services::kafka::redpanda::AdminApi;
use crate::services::{Outcome, Step};
use std::time::Duration;

/// How long what was written may take to reach every broker. It is a moment, unless a broker is busy making the logs of
/// many new partitions: it hears of passwords and ACLs after that only.
pub const SETTLING: Duration = Duration::from_secs(30);
pub const PAUSE: Duration = Duration::from_millis(50);

/// What a batch is carried out with.
pub struct Work<'a> {
    pub config: &'a KafkaConfig,
    pub admin: &'a Admin,
    pub endpoint: String,
    /// Redpanda's Admin API, where one is named.
    pub redpanda: Option<&'a AdminApi>,
}

impl Work<'_> {
    pub fn failed(&self, trouble: &Trouble, step: &Step, call: &str, needs: &str) -> Outcome {
        let trouble = trouble.clone().of(self.admin.principal());
        let error = trouble.tell(&self.endpoint, &step.address.to_string(), call, needs);
        Outcome::Failed { error, retry: trouble.passes() }
    }

    pub fn reader(&self) -> Reader<'_> {
        Reader { admin: self.admin, endpoint: &self.endpoint, redpanda: self.redpanda }
    }
}

pub const NEEDS_ALTER: &str = "Alter on Cluster";

/// The result of a user that the broker said nothing of: what was asked for may be done.
pub fn unanswered() -> Result<(), Trouble> {
    Err(Trouble { cause: Cause::Transient, ..words::unanswered() })
}

/// The same failure for every step, which may pass for each if it may pass at all.
pub fn all_failed(steps: &[&Step], error: Diagnostic) -> Vec<Outcome> {
    let copy = |step: &&Step| error.again().on("kafka", &step.address, "");
    steps.iter().map(|step| Outcome::Failed { error: copy(step), retry: error.may_pass }).collect()
}

/// A step whose after-model is not of its kind: a plan that was changed by hand.
pub fn no_model(step: &Step) -> Outcome {
    let wrong = Diagnostic::new(Kind::Plan, "the step does not say what shall be there").on("kafka", &step.address, "");
    Outcome::failed(wrong.hint("plan again"))
}
