//! Carries steps out on every node: set, prove, persist. No password leaves this process but to sign in with it.

mod persist;
mod prove;
mod user;

use super::connect::Nodes;
use crate::core::step::Part;
use crate::services::{ApplyContext, Outcome, Step};

/// Carries out steps of one kind and action; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    if steps.iter().any(|step| step.part == Part::Save) {
        return persist::apply(nodes, steps).await;
    }
    user::apply(nodes, steps, context).await
}
