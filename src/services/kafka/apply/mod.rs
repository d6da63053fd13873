//! Carries out steps in few calls, looks at the result of every item, and waits until what was done can be seen.
//!
//! Nothing is retried here: what may pass fails as that, and the executor reads again and carries it out again, with a new
//! client if the connection broke. So every step may be carried out twice, or go on with what an earlier call of it did
//! that was never answered.

mod acls;
mod beyond;
mod meanwhile;
mod redpanda;
mod topics;
mod users;
mod work;

use super::model::Op as KafkaOp;
use crate::core::step::StepId;
use crate::services::{ApplyContext, Op, Outcome, ServiceId, Step};
use std::collections::BTreeMap;
pub use work::{Work, all_failed};

impl Work<'_> {
    /// One outcome for each step, in order.
    pub async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let mut groups: BTreeMap<u8, Vec<(usize, &Step)>> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            groups.entry(group(&step.op)).or_default().push((index, step));
        }
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        for group in groups.into_values() {
            let (places, batch): (Vec<usize>, Vec<&Step>) = group.into_iter().unzip();
            outcomes.extend(places.into_iter().zip(self.carry_out(&batch, context).await));
        }
        outcomes.into_values().collect()
    }

    /// Which topics are not to be deleted as things are.
    pub async fn foresee(&self, steps: &[&Step]) -> Vec<(StepId, Outcome)> {
        topics::foresee(self, steps).await
    }

    async fn carry_out(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let Some(Op::Kafka(op)) = steps.first().map(|step| &step.op) else {
            return steps.iter().map(|_| Outcome::done()).collect();
        };
        match op {
            KafkaOp::CreateTopic => topics::create(self, steps).await,
            KafkaOp::AlterTopic => topics::alter(self, steps).await,
            KafkaOp::DeleteTopic => topics::delete(self, steps).await,
            KafkaOp::SetAcls | KafkaOp::DeleteAcls => self.acls(steps).await,
            KafkaOp::RemoveCredentials => self.remove_credentials(steps).await,
            KafkaOp::DeleteUser => self.delete_users(steps).await,
            KafkaOp::SetUser => {
                let passwords = steps.iter().map(|step| context.vault.password(&step.app, ServiceId::Kafka));
                self.set_users(steps, passwords.collect()).await
            }
        }
    }
}

fn group(op: &Op) -> u8 {
    match op {
        Op::Kafka(op) => 1 + *op as u8,
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Secrets(_) => 0,
    }
}
