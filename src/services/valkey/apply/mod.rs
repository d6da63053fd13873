//! Carries steps out on every node: set, prove, persist. No password leaves this process but to sign in with it.

mod default_user;
mod persist;
mod prove;
mod user;

use super::connect::Nodes;
use super::model::DEFAULT_USER;
use crate::core::step::Part;
use crate::services::{ApplyContext, Outcome, Step};

/// Carries out steps of one kind and action; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    if steps.iter().any(|step| step.part == Part::Save) {
        return persist::apply(nodes, steps).await;
    }
    let are_default = steps.iter().all(|step| step.address.kind == DEFAULT_USER);
    if are_default { default_user::apply(nodes, steps).await } else { user::apply(nodes, steps, context).await }
}
