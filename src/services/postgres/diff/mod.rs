//! The steps that bring PostgreSQL where the specs want it. Pure.

mod closing;
mod database;
mod denied;
mod edges;
mod extension;
mod facts;
mod former_owner;
mod grant;
mod halfway;
mod handover;
mod lock_down;
mod losses;
mod moving;
mod objects;
mod possible;
mod replaced;
mod rights;
mod risks;
mod role;
mod settings;
#[cfg(test)]
mod tests;
mod unread;

pub use denied::denied;
pub use edges::connect as put_in_order;
pub use former_owner::losers;
pub use halfway::rest_of;
pub use losses::rows as rows_in_words;
pub use objects::unusable;
pub use rights::{Beyond, beyond, missing as missing_right};
pub use risks::risks;

use super::model::{Database, database_address, role_address};
use super::scope::Scope;
use super::server::Server;
use super::shape::settle;
use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted, reconcile};
use crate::core::step::Hold;
use crate::services::{Decision, DiffInput, Model, Op, Step};
use handover::Handover;
use std::collections::BTreeMap;

/// Decides every step from what was read.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let view = View::of(input);
    let decisions = reconcile(&view.wanted, &view.observed, &view.applied);
    let mut steps: Vec<Step> = decisions.into_iter().filter_map(|decision| view.step(decision, input)).collect();
    role::tell_dependents(&view, &mut steps, input);
    steps.extend(role::rotations(&view, input));
    moving::judge(&view, &mut steps);
    handover::mark(&view, &mut steps);
    replaced::mark(&view, &mut steps, input);
    block(&mut steps, &view.server);
    closing::put_last(&mut steps);
    edges::connect(&mut steps);
    steps
}

/// What our rights do not reach is said beforehand, and not tried.
fn block(steps: &mut [Step], server: &Server) {
    for step in steps.iter_mut().filter(|step| step.hold.is_none()) {
        let reason = rights::missing(step, server).or_else(|| rights::entry(&step.address, server));
        step.hold = reason.map(|reason| Hold::Blocked { reason });
    }
}

fn is_absent(server: &Server, wanted: &BTreeMap<Address, Wanted<Model>>, role: &str) -> bool {
    server.absent_roles.contains(role) && !wanted.contains_key(&role_address(role))
}

/// The three sides, made comparable, and the server that they are about.
struct View {
    wanted: BTreeMap<Address, Wanted<Model>>,
    observed: BTreeMap<Address, Model>,
    applied: BTreeMap<Address, Applied<Model>>,
    /// The app's user of each database.
    users: BTreeMap<String, String>,
    /// By database.
    handovers: BTreeMap<String, Handover>,
    server: Server,
}

impl View {
    fn of(input: DiffInput<'_>) -> Self {
        let (mut wanted, mut applied) = (input.wanted.clone(), input.applied.clone());
        let mut observed = input.observation.models();
        for (address, wanted) in &mut wanted {
            let last = applied.get_mut(address).map(|last| &mut last.model);
            settle(Some(&mut wanted.model), observed.get_mut(address), last);
            let last = applied.get(address).map(|last| &last.model);
            unread::leave(&mut wanted.model, observed.get(address), last);
        }
        let server = Server::of(input.observation);
        for model in wanted.values_mut().map(|wanted| &mut wanted.model) {
            grant::leave_out_absent_makers(model, &server, input.wanted);
        }
        let last = applied.iter().map(|(address, last)| (address, &last.model));
        let next = wanted.iter().map(|(address, wanted)| (address, &wanted.model));
        let users = Scope::of(last.chain(next)).users;
        let handovers = handover::find(&users, input);
        for (database, handover) in &handovers {
            let address = database_address(database);
            let wanted = wanted.get_mut(&address).map(|wanted| &mut wanted.model);
            let last = applied.get_mut(&address).map(|last| &mut last.model);
            handover.declare(wanted, observed.get_mut(&address), last);
        }
        Self { wanted, observed, applied, users, handovers, server }
    }

    fn user(&self, database: &str) -> String {
        self.users.get(database).cloned().unwrap_or_default()
    }

    /// Why nobody can get into a database, neither now nor after this plan. What lies in it can then not be changed.
    fn shut(&self, database: &str) -> Option<String> {
        let address = database_address(database);
        let Some(Model::PostgresDatabase(there)) = self.observed.get(&address) else { return None };
        if there.invalid {
            return Some(format!("a cancelled DROP left {database:?} behind, so nobody gets into it: see there"));
        }
        let opens = matches!(self.wanted.get(&address).map(|wanted| &wanted.model),
            Some(Model::PostgresDatabase(wanted)) if wanted.allow_connections);
        (!there.allow_connections && !opens).then(|| {
            format!(
                "{database:?} is closed, so nobody gets into it to change what roles may do: remove \
                 `allow_connections = false` from the infraspec"
            )
        })
    }

    /// Why nobody is let into a database that a state is kept in.
    fn holds_state(&self, database: &str) -> Option<String> {
        let there = self.observed.get(&database_address(database));
        let holds = matches!(there, Some(Model::PostgresDatabase(there)) if there.holds_state);
        holds.then(|| format!("{}, maybe another team's: nobody is let into it", Database::HOLDS_STATE))
    }

    /// Whether a database is ours, there, and no longer wanted.
    fn drops(&self, database: &str) -> bool {
        let address = database_address(database);
        let ours = self.applied.contains_key(&address) && self.observed.contains_key(&address);
        ours && !self.wanted.contains_key(&address)
    }

    /// Whether a role is not there and will not be made.
    fn is_absent(&self, role: &str) -> bool {
        is_absent(&self.server, &self.wanted, role)
    }

    fn step(&self, decision: Decision, input: DiffInput<'_>) -> Option<Step> {
        let mut step = decision.step(Op::State);
        extension::tell_left(&mut step, input);
        if step.action.only_state() {
            return Some(step);
        }
        match (step.before.clone(), step.after.clone()) {
            (before, Some(Model::PostgresRole(role))) => {
                role::keep(self, &mut step, before.as_ref(), &role);
            }
            (Some(Model::PostgresRole(role)), None) => {
                role::give_up(&mut step, &role);
            }
            (before, Some(Model::PostgresDatabase(database))) => {
                database::keep(self, &mut step, before.as_ref(), &database, input);
            }
            (Some(Model::PostgresDatabase(database)), None) => {
                database::give_up(self, &mut step, &database, input);
            }
            (before, Some(Model::PostgresGrant(grant))) => {
                grant::keep(self, &mut step, before.as_ref(), &grant);
                grant::tell_lacking(&mut step, &grant, input);
                grant::tell_passed_on(&mut step, &grant.role, input);
            }
            (Some(Model::PostgresGrant(grant)), None) => {
                grant::give_up(self, &mut step, grant, input);
            }
            (Some(Model::PostgresLockDown(before)), Some(Model::PostgresLockDown(_))) => {
                lock_down::keep(&mut step, &before, input);
            }
            (Some(Model::PostgresLockDown(before)), None) => lock_down::leave(&mut step, &before.database),
            // Nobody can enter a database that does not exist.
            (None, Some(Model::PostgresLockDown(_))) => return None,
            _ => return None,
        }
        Some(step)
    }
}
