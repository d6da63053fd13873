//! What Redpanda alone refuses.

use crate::core::step::Hold;
use crate::services::Step;
use crate::services::kafka::server::Server;

/// Topics that Redpanda protects: its DeleteTopics leaves them out of its answer (src/v/kafka/server/server.cc).
pub fn judge_deleted(step: &mut Step, server: &Server) {
    if server.nodelete_topics.contains(&step.address.name) {
        let reason = "it is one of Redpanda's kafka_nodelete_topics, which nobody may delete; take it out of that list";
        step.hold = Some(Hold::Blocked { reason: reason.to_owned() });
    }
}
