//! What roles may do in databases.

use super::View;
use crate::core::step::{Hold, Risk};
use crate::services::postgres::model::{Access, Grant, Op as Do};
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

/// What a role shall be able to do.
pub fn keep(view: &View, step: &mut Step, before: Option<&Model>, grant: &Grant) {
    step.op = Op::Postgres(Do::SetGrant { user: view.creator(&grant.database) });
    step.hold = view.shut(&grant.database).map(|reason| Hold::Blocked { reason });
    let none = BTreeSet::new();
    let before = if let Some(Model::PostgresGrant(before)) = before { Some(before) } else { None };
    let pairs = [
        (before.map(|before| &before.database_privileges), Some(&grant.database_privileges)),
        (before.and_then(|before| before.schema_privileges.as_ref()), grant.schema_privileges.as_ref()),
        (before.and_then(|before| before.future_tables.as_ref()), grant.future_tables.as_ref()),
        (before.and_then(|before| before.future_sequences.as_ref()), grant.future_sequences.as_ref()),
    ];
    for (had, gets) in pairs {
        let (had, gets) = (had.unwrap_or(&none), gets.unwrap_or(&none));
        if !had.is_subset(gets) {
            step.risks.insert(Risk::Interrupts);
        }
        if !gets.is_subset(had) && grant.access != Some(Access::App) {
            step.risks.insert(Risk::WidensAccess);
        }
    }
}

/// What a role shall no longer be able to do.
pub fn give_up(view: &View, step: &mut Step, grant: Grant) {
    if view.keeps(&grant.database) {
        step.hold = view.shut(&grant.database).map(|reason| Hold::Blocked { reason });
    }
    let last = view.applied.get(&step.address).map(|last| &last.model);
    let was_app = matches!(last, Some(Model::PostgresGrant(last)) if last.access == Some(Access::App));
    let user = if was_app { grant.role } else { view.creator(&grant.database) };
    step.op = Op::Postgres(Do::RevokeGrant { user });
    step.risks.insert(Risk::Interrupts);
}
