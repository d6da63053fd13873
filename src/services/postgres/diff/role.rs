//! Roles and their passwords.

use super::View;
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::core::step::Risk;
use crate::services::postgres::model::{Credential, Op as Do, Role};
use crate::services::{DiffInput, Model, Op, Step, rotation, rotation_reason};

/// A role that is wanted and is not as it should be.
pub fn keep(step: &mut Step, before: Option<&Model>, role: &Role) {
    let Some(Model::PostgresRole(before)) = before else {
        step.op = Op::Postgres(Do::CreateRole);
        step.sets_credential = role.credential == Some(Credential::Generate);
        if role.credential == Some(Credential::Keep) {
            step.notes.push("it is created without a password: set one yourself (credential = \"keep\")".to_owned());
        }
        return;
    };
    step.op = Op::Postgres(Do::AlterRole);
    let loses_attributes = !before.attributes.is_subset(&role.attributes);
    if loses_attributes || (before.login && !role.login) {
        step.risks.insert(Risk::Interrupts);
    }
}

/// A role that is no longer wanted.
pub fn give_up(step: &mut Step, role: &Role) {
    step.op = Op::Postgres(Do::DropRole);
    step.risks.extend(role.login.then_some(Risk::RemovesLogin));
}

/// New passwords for logins that exist.
pub fn rotations(view: &View, input: DiffInput<'_>) -> Vec<Step> {
    let rotation = |(address, wanted): (&Address, &Wanted<Model>)| {
        let Model::PostgresRole(role) = &wanted.model else { return None };
        if role.credential != Some(Credential::Generate) {
            return None;
        }
        let there = view.observed.get(address)?;
        let status = input.observation.resources.get(address)?.credential;
        let reason = rotation_reason(status, input.rotate.contains(&wanted.app))?;
        Some(rotation(address, wanted, there, reason, Op::Postgres(Do::SetPassword)))
    };
    view.wanted.iter().filter_map(rotation).collect()
}
