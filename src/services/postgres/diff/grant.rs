//! What roles may do in databases.

use super::facts::fact;
use super::{View, is_absent};
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::core::step::{Hold, Risk};
use crate::services::postgres::model::{Access, Grant, Lacking, Op as Do, PassedOn, role_address};
use crate::services::postgres::server::Server;
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What a role shall be able to do.
pub fn keep(view: &View, step: &mut Step, before: Option<&Model>, grant: &Grant) {
    step.op = Op::Postgres(Do::SetGrant);
    let reason = view.shut(&grant.database).or_else(|| view.holds_state(&grant.database));
    step.hold = reason.map(|reason| Hold::Blocked { reason });
    if view.is_absent(&grant.role) {
        let list = if grant.access == Some(Access::Migrator) { "migrator" } else { "grants" };
        let next = if grant.outside {
            format!("create it, or take it out of {list}")
        } else {
            "its app was not applied yet: apply that one first, or all without --app".to_owned()
        };
        let reason = format!("there is no role {:?} on the server: {next}", grant.role);
        step.hold = Some(Hold::Blocked { reason });
    }
    let before = if let Some(Model::PostgresGrant(before)) = before { Some(before) } else { None };
    step.risks.extend(risks(before, grant));
}

/// What a role loses and what it gets.
pub fn risks(before: Option<&Grant>, grant: &Grant) -> BTreeSet<Risk> {
    let none = BTreeSet::new();
    let mut risks = BTreeSet::new();
    let pairs = [
        (before.map(|before| &before.database_privileges), Some(&grant.database_privileges)),
        (before.and_then(|before| before.schema_privileges.as_ref()), grant.schema_privileges.as_ref()),
        (before.and_then(|before| before.future_schemas.as_ref()), grant.future_schemas.as_ref()),
        (before.and_then(|before| before.future_tables.as_ref()), grant.future_tables.as_ref()),
        (before.and_then(|before| before.future_sequences.as_ref()), grant.future_sequences.as_ref()),
    ];
    for (had, gets) in pairs {
        let (had, gets) = (had.unwrap_or(&none), gets.unwrap_or(&none));
        if !had.is_subset(gets) {
            risks.insert(Risk::Interrupts);
        }
        if !gets.is_subset(had) && grant.access != Some(Access::App) {
            risks.insert(Risk::WidensAccess);
        }
    }
    if before.and_then(|before| before.beyond.as_ref()).is_some_and(|beyond| !beyond.is_empty()) {
        risks.insert(Risk::Interrupts);
    }
    risks
}

/// What a role shall no longer be able to do.
pub fn give_up(view: &View, step: &mut Step, grant: Grant, input: DiffInput<'_>) {
    if view.drops(&grant.database) {
        step.notes.push("it goes with the database".to_owned());
    } else {
        step.hold = view.shut(&grant.database).map(|reason| Hold::Blocked { reason });
        tell_passed_on(step, &grant.role, input);
    }
    // Whoever signs in as a role that goes as well has nothing left from here on: that is one thing with its drop.
    let role = role_address(&grant.role);
    if view.applied.contains_key(&role) && !view.wanted.contains_key(&role) {
        step.risks.insert(Risk::RemovesLogin);
        step.part_of = Some(role);
    }
    // What the server does not tell: how it was declared.
    if let Some(Model::PostgresGrant(last)) = view.applied.get(&step.address).map(|last| &last.model) {
        let Grant { access, makers, outside, .. } = last.clone();
        step.before = Some(Model::PostgresGrant(Grant { access, makers, outside, ..grant }));
    }
    step.op = Op::Postgres(Do::RevokeGrant);
    step.risks.insert(Risk::Interrupts);
}

/// On which present objects a role has not all that it shall have.
pub fn tell_lacking(step: &mut Step, grant: &Grant, input: DiffInput<'_>) {
    let lacking: Lacking = fact(input.observation, &step.address, Lacking::FACT);
    if lacking.is_empty() || !step.changes.iter().any(|change| change.field == "present_objects") {
        return;
    }
    let what = if grant.access == Some(Access::Readonly) { "may not read" } else { "lacks privileges on" };
    step.notes.push(format!("{} {what} {}", grant.role, lacking.words()));
}

/// Who else loses something by the step: what the role gave to others goes with its right to give.
pub fn tell_passed_on(step: &mut Step, role: &str, input: DiffInput<'_>) {
    let passed_on: PassedOn = fact(input.observation, &step.address, PassedOn::FACT);
    if !passed_on.is_empty() {
        step.notes.push(format!("what {role} passed on goes with it: to {}", passed_on.words()));
    }
}

/// A migrator that is not there yet blocks its own grant and nobody else's.
pub fn leave_out_absent_makers(model: &mut Model, server: &Server, wanted: &BTreeMap<Address, Wanted<Model>>) {
    if let Model::PostgresGrant(Grant { makers: Some(makers), .. }) = model {
        makers.retain(|maker| !is_absent(server, wanted, maker));
    }
}
