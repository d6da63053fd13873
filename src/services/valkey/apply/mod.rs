//! Carries steps out on every node: set, prove, persist. No password leaves this process but to sign in with it.

mod default_user;
mod keys;
mod persist;
mod prove;
mod task;
mod user;

use super::connect::Nodes;
use super::model::{DEFAULT_USER, KEYS};
use crate::core::address::Kind;
use crate::core::step::Part;
use crate::services::{ApplyContext, Outcome, Step};

/// Carries out steps of one kind and action; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    let are = |kind: Kind| steps.iter().all(|step| step.address.kind == kind);
    if steps.iter().any(|step| step.part == Part::Save) {
        persist::apply(nodes, steps).await
    } else if are(DEFAULT_USER) {
        default_user::apply(nodes, steps).await
    } else if are(KEYS) {
        keys::apply(nodes, steps, context).await
    } else {
        user::apply(nodes, steps, context).await
    }
}
