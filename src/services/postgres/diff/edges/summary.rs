//! What other steps must know of a step. Pure.

use crate::core::name::AppName;
use crate::core::step::{Action, Part, Reason};
use crate::services::postgres::model::{Access, Database, Op as Do, owner_of_public};
use crate::services::{Model, Op, Step};
use std::collections::BTreeSet;

/// One step, as far as the order of steps depends on it.
#[derive(Debug)]
pub struct Summary {
    pub app: AppName,
    pub action: Action,
    /// The database that it changes, or changes something in.
    pub database: Option<String>,
    /// Roles that it names, beside one that it is about.
    pub roles: BTreeSet<String>,
    /// Whether it gives an app what belongs to another one until now.
    pub moves: bool,
    /// Whether it sets a password where the present one is not known to be nornplan's.
    pub replaces_anothers_password: bool,
    /// Who loses privileges by it, or the database.
    pub takes_from: Option<String>,
    /// Whether it takes from the app's user what it may do in its own database.
    pub takes_from_user: bool,
    /// Who gets privileges by it.
    pub grants_to: Option<String>,
    pub changes_owner: bool,
    /// Whether it opens a database into which nobody, or no administrator but a superuser, gets before.
    pub opens: bool,
    /// Whether it takes a database from PUBLIC or strangers, or objects in it from their owners.
    pub takes_away: bool,
    /// Who loses what it had by owning the database, schema public or objects in it.
    pub loses: BTreeSet<String>,
    /// The app's new user, who gets what the former one owns.
    pub hands_over_to: Option<String>,
}

impl Summary {
    pub fn of(step: &Step) -> Self {
        let mut summary = Self {
            app: step.app.clone(),
            action: step.action,
            database: None,
            roles: BTreeSet::new(),
            moves: step.moves(),
            replaces_anothers_password: step.part == Part::Credential
                && [Reason::CredentialUnknown, Reason::CredentialWrong, Reason::UnfinishedRun]
                    .iter()
                    .any(|reason| step.reasons.contains(reason)),
            takes_from: None,
            takes_from_user: false,
            grants_to: None,
            changes_owner: false,
            opens: false,
            takes_away: false,
            loses: BTreeSet::new(),
            hands_over_to: None,
        };
        for model in step.before.iter().chain(&step.after) {
            summary.mention(model);
        }
        match (&step.op, &step.before, &step.after) {
            (Op::Postgres(Do::SetGrant), _, Some(Model::PostgresGrant(grant))) => {
                summary.grants_to = Some(grant.role.clone());
            }
            (Op::Postgres(Do::RevokeGrant), Some(Model::PostgresGrant(grant)), _) => {
                summary.takes_from = Some(grant.role.clone());
                summary.takes_from_user = grant.access == Some(Access::App);
            }
            (_, Some(Model::PostgresDatabase(before)), None) => summary.takes_from = Some(before.owner.clone()),
            (op, Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
                let user = if let Op::Postgres(Do::AlterDatabase { user, keeps }) = op {
                    summary.roles.extend(keeps.iter().flat_map(|grant| grant.makers.iter().flatten()).cloned());
                    Some(user)
                } else {
                    None
                };
                summary.change(before, after, user);
                summary.hands_over_to = user.filter(|_| step.reasons.contains(&Reason::HandsOver)).cloned();
            }
            _ => {}
        }
        summary
    }

    pub fn creates(&self) -> bool {
        self.action == Action::Create
    }

    /// Whether this gives a role its own privileges on a database before the step on that database takes it from PUBLIC,
    /// or objects in it from their owners: the role would be without access in between. What an owner has, and gives
    /// away, is granted anew afterwards. Others' rights on what the app's former user makes stay until it is replaced.
    pub fn gives_before(&self, database: &Self) -> bool {
        let Some(role) = self.grants_to.as_ref().filter(|_| !database.moves) else { return false };
        if database.hands_over_to.as_ref().is_some_and(|user| user != role) {
            return false;
        }
        let same = self.database == database.database && database.action == Action::Update;
        same && database.takes_away && !database.opens && !database.loses.contains(role)
    }

    fn mention(&mut self, model: &Model) {
        if let Model::PostgresDatabase(database) = model {
            self.database = Some(database.name.clone());
            self.roles.insert(database.owner.clone());
        }
        if let Model::PostgresGrant(grant) = model {
            self.database = Some(grant.database.clone());
            self.roles.insert(grant.role.clone());
            self.roles.extend(grant.makers.iter().flatten().cloned());
        }
        if let Model::PostgresLockDown(lock_down) = model {
            self.database = Some(lock_down.database.clone());
        }
    }

    /// What a change of a database gives and takes. `user` is the app's.
    fn change(&mut self, before: &Database, after: &Database, user: Option<&String>) {
        self.changes_owner = before.owner != after.owner;
        self.takes_from = self.changes_owner.then(|| before.owner.clone());
        self.opens = opens(before, after);
        self.roles.extend(user.cloned());
        if self.changes_owner
            && let Some(user) = user
        {
            self.loses.extend([&before.owner, &after.owner, user].into_iter().cloned());
        }
        let owners_of_objects = before.objects_of_others.iter().flatten().map(|(owner, _)| owner);
        self.loses.extend(owners_of_objects.clone().cloned());
        self.loses.extend(before.strays_inside.as_ref().and_then(owner_of_public).map(str::to_owned));
        // Whoever loses something here may be about to be dropped.
        self.roles.extend(owners_of_objects.cloned());
        let strays = || before.strays.iter().chain(before.strays_inside.iter().flatten());
        let strangers = strays().filter_map(|words| words.rsplit_once(" to ")).map(|(_, role)| role.to_owned());
        self.roles.extend(strangers);
        let adopts = after.objects_of_others.is_some() && before.objects_of_others != after.objects_of_others;
        self.takes_away = adopts || !before.public.is_subset(&after.public) || strays().next().is_some();
    }
}

fn opens(before: &Database, after: &Database) -> bool {
    let unlimited = before.connection_limit == Some(0) && after.connection_limit != Some(0);
    after.allow_connections && (!before.allow_connections || unlimited)
}
