//! The steps that bring PostgreSQL where the specs want it: pure.

mod database;
mod grant;
mod role;
#[cfg(test)]
mod tests;

use super::edges::connect;
use super::server::Server;
use super::shape::settle;
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::services::{Decision, DiffInput, Model, Op, Step};
use std::collections::BTreeMap;

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let view = View::of(input);
    let decisions = reconcile(&view.wanted, &view.observed, &view.applied);
    let mut steps: Vec<Step> = decisions.into_iter().filter_map(|decision| view.step(decision, input)).collect();
    steps.extend(role::rotations(&view, input));
    connect(&mut steps);
    steps
}

/// The three sides, made comparable, and the server that they are about.
struct View {
    wanted: BTreeMap<Address, Wanted<Model>>,
    observed: BTreeMap<Address, Model>,
    applied: BTreeMap<Address, Applied<Model>>,
    /// Whose tables each database's readers shall be able to read.
    creators: BTreeMap<String, String>,
    server: Server,
}

impl View {
    fn of(input: DiffInput<'_>) -> Self {
        let (mut wanted, mut applied) = (input.wanted.clone(), input.applied.clone());
        let mut observed = input.observation.models();
        for (address, wanted) in &mut wanted {
            let last = applied.get_mut(address).map(|last| &mut last.model);
            settle(Some(&mut wanted.model), observed.get_mut(address), last);
        }
        let last = applied.iter().map(|(address, last)| (address, &last.model));
        let next = wanted.iter().map(|(address, wanted)| (address, &wanted.model));
        let creators = super::scope::Scope::of(last.chain(next)).creators;
        Self { wanted, observed, applied, creators, server: Server::of(input.observation) }
    }

    fn creator(&self, database: &str) -> String {
        self.creators.get(database).cloned().unwrap_or_default()
    }

    fn step(&self, decision: Decision, input: DiffInput<'_>) -> Option<Step> {
        let mut step = decision.step(Op::State);
        if step.action.only_state() {
            return Some(step);
        }
        match (step.before.clone(), step.after.clone()) {
            (before, Some(Model::PostgresRole(role))) => role::keep(&mut step, before.as_ref(), &role),
            (Some(Model::PostgresRole(role)), None) => {
                role::give_up(&mut step, &role);
            }
            (before, Some(Model::PostgresDatabase(database))) => {
                database::keep(self, &mut step, before.as_ref(), &database, input);
            }
            (Some(Model::PostgresDatabase(_)), None) => {
                database::give_up(self, &mut step, input);
            }
            (before, Some(Model::PostgresGrant(grant))) => grant::keep(self, &mut step, before.as_ref(), &grant),
            (Some(Model::PostgresGrant(grant)), None) => {
                grant::give_up(self, &mut step, grant);
            }
            _ => return None,
        }
        Some(step)
    }
}
