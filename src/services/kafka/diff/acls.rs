//! What becomes of ACLs.

use crate::core::step::{Action, Hold, Risk};
use crate::services::kafka::model::{Binding, Op as KafkaOp};
use crate::services::kafka::server::Server;
use crate::services::{Model, Op, Step};

/// Fills in the risks of a step on ACLs, and whether the broker keeps any.
pub fn judge(step: &mut Step, server: &Server) {
    let acls = |model: &Option<Model>| {
        model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
    };
    let (had, has) = (acls(&step.before), acls(&step.after));
    let takes = |binding: &&Binding| binding.allow;
    if had.difference(&has).any(|binding| takes(&binding)) || has.difference(&had).any(|one| !one.allow) {
        step.risks.insert(Risk::Interrupts);
    }
    let gives = has.difference(&had).any(|one| one.allow) || had.difference(&has).any(|one| !one.allow);
    if gives && step.action != Action::Create && step.op == Op::Kafka(KafkaOp::SetAcls) {
        step.risks.insert(Risk::WidensAccess);
    }
    if !server.keeps_acls() {
        let reason = "the broker has no authorizer, so it keeps no ACLs; set authorizer.class.name on it";
        step.hold = Some(Hold::Blocked { reason: reason.to_owned() });
    }
}
