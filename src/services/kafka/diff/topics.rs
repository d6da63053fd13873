//! What becomes of topics.

use crate::core::step::Hold;
use crate::services::{Model, Step};

/// Says what a change means, and which cannot be made.
pub fn judge_altered(step: &mut Step) {
    let (Some(before), Some(after)) =
        (step.before.as_ref().and_then(Model::as_kafka_topic), step.after.as_ref().and_then(Model::as_kafka_topic))
    else {
        return;
    };
    let block = |reason: String| Some(Hold::Blocked { reason });
    match (before.partitions, after.partitions) {
        (Some(there), Some(wanted)) if wanted < there => {
            step.hold = block(format!(
                "Kafka cannot take partitions away: {} has {there} and {wanted} are declared; declare {there}, or make \
                 another topic",
                after.name
            ));
        }
        (Some(there), Some(wanted)) if wanted > there => step.notes.push(
            "keys go to other partitions from then on: the order of one key's messages does not hold across the change"
                .to_owned(),
        ),
        (Some(_) | None, Some(_) | None) => {}
    }
    if let (Some(there), Some(wanted)) = (before.replication, after.replication)
        && there != wanted
    {
        step.hold = block(format!(
            "the replication factor of {} is {there} and {wanted} is declared; changing it is a reassignment, for which \
             the broker's own tools are needed",
            after.name
        ));
    }
}
