//! What must be done before what. Pure.
//!
//! - A new role comes before whatever names it: an owner before its database, a grantee before its grant.
//! - A new database comes before the app's user, as people read it, and before the grants on it.
//! - Rights are given before others are taken: a grant comes before its database is closed to PUBLIC. But a role that
//!   loses what it had by owning something gets its grant anew, afterwards.
//! - A role whose password somebody else knows gets a new one before it gets into a new database.
//! - What the app's former user owns goes to the new one after that has its grant, and before anything else is granted or
//!   revoked there, or a new password set.
//! - A database that lets nobody in opens before anything is granted or revoked in it; closing it comes after all else.
//! - A database that is dropped goes first, and what was granted in it goes with it: where its drop is refused or fails,
//!   nobody has lost anything. Both go before a role that they name, and before all roles of the same app.
//! - A role that changes hands loses first what it has in the databases of others, and gets a new password before it gets
//!   anything. An app whose user it becomes keeps the former user's rights until then.

mod summary;
#[cfg(test)]
mod tests;

use crate::core::address::Address;
use crate::core::step::{Action, Part, StepId};
use crate::services::postgres::model::{Op as Do, ROLE, database_address, role_address};
use crate::services::{Op, Step};
use std::collections::{BTreeMap, BTreeSet};
use summary::Summary;

/// Fills in `needs` and `exclusive` of every step.
pub fn connect(steps: &mut [Step]) {
    let plan = Plan(steps.iter().map(|step| (step.id(), Summary::of(step))).collect());
    for step in steps.iter_mut().filter(|step| !step.action.only_state() || step.moves()) {
        let Some(own) = plan.0.get(&step.id()) else { continue };
        let exclusive = match &own.database {
            Some(database) => format!("postgres/database/{database}"),
            None => format!("postgres/role/{}", step.address.name),
        };
        step.exclusive = (!step.action.only_state()).then_some(exclusive);
        step.needs = plan.needs(step, own);
    }
}

/// All steps, summed up.
struct Plan(BTreeMap<StepId, Summary>);

impl Plan {
    /// Steps that must be done before this one.
    fn needs(&self, step: &Step, own: &Summary) -> BTreeSet<StepId> {
        if step.part == Part::Credential {
            let same = self.main(step.address.clone(), |_| true).collect::<BTreeSet<StepId>>();
            if own.moves {
                return same;
            }
            return &same | &self.all(|_, other| other.hands_over_to.as_ref() == Some(&step.address.name));
        }
        // Roles that are blocked might wait for one another.
        if own.moves && step.address.kind == ROLE && step.hold.is_none() {
            return self.all(|_, other| other.takes_from.as_ref() == Some(&step.address.name) && other.app != own.app);
        }
        let Op::Postgres(operation) = &step.op else { return BTreeSet::new() };
        match operation {
            Do::CreateRole => self.new_databases_before_their_user(&step.address.name, own),
            Do::CreateDatabase | Do::AlterDatabase { .. } => {
                &self.roles(own) | &self.all(|_, other| other.gives_before(own))
            }
            Do::SetGrant => &(&self.roles(own) | &self.database_before_its_grant(own)) | &self.passwords_of_others(own),
            Do::RevokeGrant => {
                let changes_hands =
                    own.takes_from.iter().any(|role| self.main(role_address(role), |role| role.moves).next().is_some());
                let database = self.database_of(own, |database| {
                    let former = database.hands_over_to.is_some() && !database.loses.is_disjoint(&own.roles);
                    database.opens || former || database.action == Action::Destroy && !changes_hands
                });
                let successor = |id: &StepId, other: &Summary| {
                    is_moving_role(id, other) && own.takes_from_user && other.app == own.app
                };
                &database | &self.all(successor)
            }
            Do::CloseDatabase => self.all(|id, other| *id != step.id() && other.database == own.database),
            Do::DropRole => self.all(|_, other| {
                other.database.is_some() && (other.app == own.app || other.roles.contains(&step.address.name))
            }),
            Do::AlterRole
            | Do::SetPassword
            | Do::LockDown
            | Do::DropDatabase
            | Do::RenameDatabase { .. }
            | Do::RenameRole { .. } => BTreeSet::new(),
        }
    }

    /// Roles that the step names and that are made, or given to the app, by the same plan.
    fn roles(&self, own: &Summary) -> BTreeSet<StepId> {
        let matters = |id: &StepId, other: &Summary| {
            let role = &id.address.name;
            let comes = other.moves && (other.app == own.app || own.grants_to.as_ref() == Some(role));
            id.address.kind == ROLE && own.roles.contains(role) && (other.creates() || comes)
        };
        self.all(matters)
    }

    /// The new password of a role that somebody else may sign in as, before it gets into a new database.
    fn passwords_of_others(&self, own: &Summary) -> BTreeSet<StepId> {
        let is_new = own.creates() && !self.database_of(own, Summary::creates).is_empty();
        self.all(|id, other| {
            let of_role = id.address.kind == ROLE && own.grants_to.as_ref() == Some(&id.address.name);
            is_new && of_role && other.replaces_anothers_password
        })
    }

    /// The new databases of an app, before its user; not before who owns one of them.
    fn new_databases_before_their_user(&self, role: &str, own: &Summary) -> BTreeSet<StepId> {
        let new = |id: &StepId, other: &Summary| {
            other.creates() && other.app == own.app && is_database(id) && id.part == Part::Main
        };
        if self.0.iter().any(|(id, other)| new(id, other) && other.roles.contains(role)) {
            return BTreeSet::new();
        }
        self.all(new)
    }

    /// The step on a grant's database, unless that has nothing to do with it or waits for the grant itself.
    fn database_before_its_grant(&self, own: &Summary) -> BTreeSet<StepId> {
        self.database_of(own, |database| {
            let shifts = database.changes_owner || database.takes_away;
            database.creates() || database.opens || database.moves || shifts && !own.gives_before(database)
        })
    }

    /// The step on the database that a step is about, where that matters.
    fn database_of(&self, own: &Summary, matters: impl Fn(&Summary) -> bool) -> BTreeSet<StepId> {
        own.database.iter().flat_map(|database| self.main(database_address(database), &matters)).collect()
    }

    fn main(&self, address: Address, matters: impl Fn(&Summary) -> bool) -> impl Iterator<Item = StepId> {
        let id = StepId::main(address);
        let known = self.0.get(&id).is_some_and(matters);
        known.then_some(id).into_iter()
    }

    fn all(&self, matters: impl Fn(&StepId, &Summary) -> bool) -> BTreeSet<StepId> {
        self.0.iter().filter(|(id, other)| matters(id, other)).map(|(id, _)| id.clone()).collect()
    }
}

fn is_moving_role(id: &StepId, step: &Summary) -> bool {
    step.moves && id.address.kind == ROLE && id.part == Part::Main
}

fn is_database(id: &StepId) -> bool {
    id.address.kind == crate::services::postgres::model::DATABASE
}
