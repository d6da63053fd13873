//! Carries steps out on every node: set, prove, persist. No password leaves this process but to sign in with it.

mod keys;
mod persist;
mod prove;
mod user;

use super::connect::Nodes;
use super::model::Op as UserOp;
use crate::services::{ApplyContext, Op, Outcome, Step};

/// Carries out steps of one kind and action; one outcome for each, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    if steps.iter().all(|step| step.op == Op::Valkey(UserOp::PurgeKeys)) {
        return keys::apply(nodes, steps, context).await;
    }
    user::apply(nodes, steps, context).await
}
