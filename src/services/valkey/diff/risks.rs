//! The risks of a step by what it does alone, whatever else was found on the server. Pure.

use super::words::risks_beside_rules;
use crate::core::step::{Part, Reason, Risk};
use crate::services::valkey::model::Op as UserOp;
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

pub fn risks(step: &Step) -> BTreeSet<Risk> {
    let Op::Valkey(operation) = &step.op else { return BTreeSet::new() };
    let user = |model: &Option<Model>| model.as_ref().and_then(Model::as_valkey_user).cloned();
    let risk = match operation {
        UserOp::SetUser => match (user(&step.before), user(&step.after)) {
            (Some(there), Some(wanted)) => return risks_beside_rules(&there, &wanted),
            (_, _) => None,
        },
        // Under another name it goes on.
        UserOp::DelUser => (!step.reasons.contains(&Reason::Moved)).then_some(Risk::RemovesLogin),
        UserOp::SetPassword | UserOp::AddPassword => (step.part == Part::Credential).then_some(Risk::Interrupts),
        // What keys there are is in no step.
        UserOp::PurgeKeys | UserOp::RemoveFormerPasswords | UserOp::SetDefaultUser | UserOp::Save => None,
    };
    risk.into_iter().collect()
}
