//! The risks of a step by what it does alone, whatever else was found on the server. Pure.

use super::{database, grant, role};
use crate::core::step::{Reason, Risk};
use crate::services::postgres::model::Op as Do;
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

pub fn risks(step: &Step) -> BTreeSet<Risk> {
    let Op::Postgres(operation) = &step.op else { return BTreeSet::new() };
    let not_ours_yet = step.reasons.contains(&Reason::NotOursYet);
    match (operation, &step.before, &step.after) {
        (Do::AlterRole, Some(Model::PostgresRole(before)), Some(Model::PostgresRole(after))) => {
            role::risks(before, after, not_ours_yet).into_iter().collect()
        }
        (Do::AlterDatabase { .. }, Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
            database::risks(before, after, not_ours_yet).into_iter().collect()
        }
        (Do::SetGrant, before, Some(Model::PostgresGrant(after))) => {
            let before = if let Some(Model::PostgresGrant(before)) = before { Some(before) } else { None };
            grant::risks(before, after)
        }
        (Do::DropRole, Some(Model::PostgresRole(role)), _) => {
            role.login.then_some(Risk::RemovesLogin).into_iter().collect()
        }
        (Do::DropDatabase, _, _) => BTreeSet::from([Risk::LosesData]),
        (Do::RevokeGrant | Do::SetPassword, _, _) => BTreeSet::from([Risk::Interrupts]),
        (_, _, _) => BTreeSet::new(),
    }
}
