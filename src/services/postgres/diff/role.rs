//! Roles and their passwords.

use super::facts::fact;
use super::{View, possible};
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::core::step::{Hold, Reason, Risk};
use crate::services::postgres::model::{
    Credential, Dependent, Op as Do, Place, Role, Tie, database_address, solutions,
};
use crate::services::{DiffInput, Model, Op, Step, rotation};
use std::collections::BTreeSet;

/// A role that is wanted and is not as it should be.
pub fn keep(view: &View, step: &mut Step, before: Option<&Model>, role: &Role) {
    let there = if let Some(Model::PostgresRole(before)) = before { Some(before) } else { None };
    possible::judge_role(view, step, there, role);
    if role.login && role.connection_limit == Some(0) && there.is_none_or(|there| there.connection_limit != Some(0)) {
        step.notes.push("nobody can sign in with a connection limit of 0".to_owned());
    }
    let Some(before) = there else {
        step.op = Op::Postgres(Do::CreateRole);
        step.sets_credential = role.credential == Some(Credential::Generate);
        if role.credential == Some(Credential::Keep) {
            step.notes.push("it is created without a password: set one yourself (credential = \"keep\")".to_owned());
        }
        return;
    };
    step.op = Op::Postgres(Do::AlterRole);
    let risks = risks(before, role, step.reasons.contains(&Reason::NotOursYet));
    step.risks.extend(risks);
}

/// What a change of a role takes from whoever signs in as it.
pub fn risks(before: &Role, role: &Role, not_ours_yet: bool) -> Option<Risk> {
    let loses_attributes = !before.attributes.is_subset(&role.attributes);
    let loses = |had: &Option<BTreeSet<String>>, keeps: &Option<BTreeSet<String>>| match (had, keeps) {
        (Some(had), Some(keeps)) => !had.is_subset(keeps),
        (None, _) | (_, None) => false,
    };
    let loses_memberships = loses(&before.member_of, &role.member_of) || loses(&before.members, &role.members);
    let lowers = |limit: u32| before.connection_limit.is_none_or(|there| limit < there);
    let loses_connections = not_ours_yet && role.connection_limit.is_some_and(lowers);
    let loses_settings = not_ours_yet
        && (before.settings.keys().any(|key| !role.settings.contains_key(key))
            || before.settings_in_databases.iter().flatten().next().is_some() && role.settings_in_databases.is_some());
    let interrupts =
        loses_attributes || loses_memberships || loses_connections || loses_settings || (before.login && !role.login);
    interrupts.then_some(Risk::Interrupts)
}

/// A role that is no longer wanted.
pub fn give_up(step: &mut Step, role: &Role) {
    step.op = Op::Postgres(Do::DropRole);
    step.risks.extend(role.login.then_some(Risk::RemovesLogin));
}

/// Says of each role that is dropped what depends on it and is not removed by the same plan.
pub fn tell_dependents(view: &View, steps: &mut [Step], input: DiffInput<'_>) {
    let removed = Removed::by(steps);
    for step in steps.iter_mut().filter(|step| step.op == Op::Postgres(Do::DropRole)) {
        let mut dependents: Vec<Dependent> = fact(input.observation, &step.address, Dependent::FACT);
        dependents.retain(|dependent| !removed.covers(&step.address.name, dependent));
        if dependents.is_empty() {
            continue;
        }
        let words: Vec<String> = dependents.iter().map(Dependent::words).collect();
        let heir = |place: &Place| heir(view, step, place);
        let solutions = solutions(&step.address.name, heir, &dependents);
        let why = format!("it cannot be dropped while it {}", words.join(", "));
        let how = format!("to let it go, run {}", solutions.join("; "));
        // No consent helps where nothing in this plan takes it away.
        if dependents.iter().any(|dependent| removed.leaves(&step.address.name, dependent)) {
            step.hold = Some(Hold::Blocked { reason: format!("{why}: {how}") });
        } else {
            step.notes.extend([why, how]);
        }
    }
}

/// Who gets what a role leaves behind. In a database that is the user of the app that declares it, else that of the role's
/// own app. A database itself, and what all share, goes to the role that owns the app's databases: the login never owns
/// one.
fn heir(view: &View, step: &Step, place: &Place) -> Option<String> {
    let of_app = || view.wanted.values().filter(|wanted| wanted.app == step.app).map(|wanted| &wanted.model);
    let owner = |model: &Model| if let Model::PostgresDatabase(one) = model { Some(one.owner.clone()) } else { None };
    let login = |model: &Model| {
        if let Model::PostgresRole(role) = model { role.login.then(|| role.name.clone()) } else { None }
    };
    let declared = |name: &str| view.wanted.get(&database_address(name)).map(|wanted| &wanted.model);
    let heir = match place {
        Place::Inside { database, .. } if declared(database).is_some() => Some(view.user(database)),
        Place::Inside { .. } => of_app().find_map(login),
        Place::Database(database) => declared(database).and_then(owner).or_else(|| of_app().find_map(owner)),
        Place::Shared(_) => of_app().find_map(owner),
    };
    heir.filter(|heir| *heir != step.address.name && !heir.is_empty())
}

/// What a plan takes away from roles.
#[derive(Default)]
struct Removed {
    databases: BTreeSet<String>,
    /// Databases and roles that had privileges there.
    grants: BTreeSet<(String, String)>,
    /// Databases and roles that owned them.
    owned: BTreeSet<(String, String)>,
    /// Databases and roles whose objects in them become the app's.
    handed_over: BTreeSet<(String, String)>,
    /// Databases and roles whose grants there change, and with them what objects of others will give them.
    touched: BTreeSet<(String, String)>,
}

impl Removed {
    fn by(steps: &[Step]) -> Self {
        let mut removed = Self::default();
        for step in steps {
            if let (Some(Model::PostgresGrant(grant)), _) | (_, Some(Model::PostgresGrant(grant))) =
                (&step.before, &step.after)
            {
                removed.touched.insert((grant.database.clone(), grant.role.clone()));
            }
            match (&step.before, &step.after) {
                (Some(Model::PostgresDatabase(database)), None) => {
                    removed.databases.insert(database.name.clone());
                }
                (Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) => {
                    if before.owner != after.owner {
                        removed.owned.insert((before.name.clone(), before.owner.clone()));
                    }
                    let of = |(owner, _): (&String, &u64)| (before.name.clone(), owner.clone());
                    removed.handed_over.extend(before.objects_of_others.iter().flatten().map(of));
                }
                (Some(Model::PostgresGrant(grant)), None) => {
                    removed.grants.insert((grant.database.clone(), grant.role.clone()));
                }
                (_, _) => {}
            }
        }
        removed
    }

    /// Whether what is not covered is there for sure after the plan: what a role gives by default goes with the last
    /// role that gets it, and a membership with either of its ends.
    fn leaves(&self, role: &str, dependent: &Dependent) -> bool {
        match &dependent.place {
            Place::Inside { .. } if dependent.tie == Tie::Owned => true,
            Place::Inside { database, .. } => {
                !self.touched.iter().any(|(touched, grantee)| touched == database && grantee != role)
            }
            Place::Database(_) => true,
            Place::Shared(_) => dependent.tie == Tie::Owned,
        }
    }

    fn covers(&self, role: &str, dependent: &Dependent) -> bool {
        let (Place::Inside { database, .. } | Place::Database(database)) = &dependent.place else { return false };
        let pair = (database.clone(), role.to_owned());
        let is_database = matches!(dependent.place, Place::Database(_));
        let owns = matches!(dependent.tie, Tie::Owned | Tie::ByDefault);
        self.databases.contains(database)
            || (is_database && self.owned.contains(&pair))
            || (!is_database && owns && self.handed_over.contains(&pair))
            || (dependent.tie == Tie::Privilege && self.grants.contains(&pair))
    }
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
        let reason = input.rotation_reason(address, wanted, status)?;
        let mut step = rotation(address, wanted, there, reason, Op::Postgres(Do::SetPassword));
        if reason == Reason::CredentialUnknown {
            step.notes.push(
                "the password that the app uses now stops working for new sessions; credential = \"keep\" in the \
                 infraspec leaves it alone"
                    .to_owned(),
            );
        }
        Some(step)
    };
    view.wanted.iter().filter_map(rotation).collect()
}
