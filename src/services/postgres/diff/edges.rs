//! What must be done before what: owner role -> database -> user -> grants; revoke -> drop database -> drop roles.
//! Pure.

use crate::core::address::Address;
use crate::core::step::{Action, Part, StepId};
use crate::services::postgres::model::{Op as Do, database_address, role_address};
use crate::services::{Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What others must know of a step.
struct Summary {
    app: crate::core::name::AppName,
    action: Action,
    /// Names of roles that the step works with, beside a role of its own.
    roles: BTreeSet<String>,
    database: Option<String>,
    /// Who gets privileges by the step.
    grants_to: Option<String>,
    changes_owner: bool,
    /// Whether nobody, or no administrator but a superuser, gets into the database before.
    opens: bool,
    /// Whether the step takes a database from PUBLIC or strangers, or objects in it from their owners.
    takes_away: bool,
    /// Of a database: who loses what it had by owning the database or objects in it.
    loses: BTreeSet<String>,
    only_state: bool,
}

/// Fills in `needs` and `exclusive` of every step.
pub fn connect(steps: &mut [Step]) {
    let summaries: BTreeMap<StepId, Summary> = steps.iter().map(|step| (step.id(), summary(step))).collect();
    for step in steps.iter_mut() {
        let Some(own) = summaries.get(&step.id()) else { continue };
        if own.only_state {
            continue;
        }
        step.exclusive = Some(match &own.database {
            Some(database) => format!("postgres/database/{database}"),
            None => format!("postgres/role/{}", step.address.name),
        });
        step.needs = needs(step, own, &summaries);
    }
}

fn needs(step: &Step, own: &Summary, all: &BTreeMap<StepId, Summary>) -> BTreeSet<StepId> {
    let created = |id: &StepId| all.get(id).is_some_and(|summary| summary.action == Action::Create);
    let main = |address: Address| StepId::main(address);
    let mut needs: BTreeSet<StepId> = BTreeSet::new();
    if step.part == Part::Credential {
        needs.insert(main(step.address.clone()));
        needs.retain(|id| all.contains_key(id));
        return needs;
    }
    let Op::Postgres(operation) = &step.op else { return needs };
    let database = own.database.as_deref().map(|database| main(database_address(database)));
    match operation {
        Do::CreateRole => {
            // People read database, then user. Who owns a database must come before it.
            let databases = all.iter().filter(|(_, other)| other.app == own.app && other.database.is_some());
            let mine: Vec<&StepId> = databases
                .filter(|(id, other)| other.action == Action::Create && is_database(id) && id.part == Part::Main)
                .map(|(id, _)| id)
                .collect();
            let owns = mine.iter().any(|id| all.get(*id).is_some_and(|other| other.roles.contains(&step.address.name)));
            if !owns {
                needs.extend(mine.into_iter().cloned());
            }
        }
        Do::CloseDatabase => {
            let others = all.iter().filter(|(id, other)| **id != step.id() && other.database == own.database);
            needs.extend(others.map(|(id, _)| id.clone()));
        }
        Do::CreateDatabase | Do::AlterDatabase { .. } => {
            needs.extend(own.roles.iter().map(|role| main(role_address(role))).filter(created));
            let grants = all.iter().filter(|(_, other)| gives_first(other, own));
            needs.extend(grants.map(|(id, _)| id.clone()));
        }
        Do::SetGrant => {
            needs.extend(own.roles.iter().map(|role| main(role_address(role))).filter(created));
            let matters = |id: &StepId| {
                all.get(id).is_some_and(|other| {
                    created(id) || other.opens || (other.changes_owner || other.takes_away) && !gives_first(own, other)
                })
            };
            needs.extend(database.filter(matters));
        }
        Do::RevokeGrant => needs.extend(database.filter(|id| all.get(id).is_some_and(|other| other.opens))),
        Do::DropDatabase => {
            let grants = all.iter().filter(|(id, other)| other.database == own.database && !is_database(id));
            needs.extend(grants.filter(|(_, other)| other.action == Action::Destroy).map(|(id, _)| id.clone()));
        }
        Do::DropRole => {
            let involved = |other: &Summary| {
                other.database.is_some() && (other.app == own.app || other.roles.contains(&step.address.name))
            };
            needs.extend(all.iter().filter(|(_, other)| involved(other)).map(|(id, _)| id.clone()));
        }
        Do::AlterRole | Do::SetPassword | Do::LockDown => {}
    }
    needs
}

/// Whether a role gets its own privileges on a database before the database is taken from PUBLIC, or objects in it from
/// their owners: it would be without access in between. What an owner has, and gives away, is granted anew afterwards.
fn gives_first(grant: &Summary, database: &Summary) -> bool {
    let Some(role) = &grant.grants_to else { return false };
    let same = grant.database == database.database && database.action == Action::Update;
    same && database.takes_away && !database.opens && !database.loses.contains(role)
}

fn is_database(id: &StepId) -> bool {
    id.address.kind == crate::services::postgres::model::DATABASE
}

fn opens(step: &Step) -> bool {
    let (Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) = (&step.before, &step.after)
    else {
        return false;
    };
    let unlimited = before.connection_limit == Some(0) && after.connection_limit != Some(0);
    after.allow_connections && (!before.allow_connections || unlimited)
}

fn summary(step: &Step) -> Summary {
    let mut roles = BTreeSet::new();
    let mut database = None;
    let mut owners = BTreeSet::new();
    for model in step.before.iter().chain(&step.after) {
        if let Model::PostgresDatabase(model) = model {
            roles.insert(model.owner.clone());
            owners.insert(model.owner.clone());
            database = Some(model.name.clone());
        }
        if let Model::PostgresGrant(model) = model {
            roles.insert(model.role.clone());
            roles.extend(model.makers.iter().flatten().cloned());
            database = Some(model.database.clone());
        }
        if let Model::PostgresLockDown(model) = model {
            database = Some(model.database.clone());
        }
    }
    if let Op::Postgres(Do::AlterDatabase { user }) = &step.op {
        roles.insert(user.clone());
    }
    let grants_to = match (&step.op, &step.after) {
        (Op::Postgres(Do::SetGrant), Some(Model::PostgresGrant(grant))) => Some(grant.role.clone()),
        _ => None,
    };
    let mut takes_away = false;
    let mut loses = BTreeSet::new();
    if let (Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) = (&step.before, &step.after) {
        let adopts = before.objects_of_others != after.objects_of_others && after.objects_of_others.is_some();
        let strangers = before.strays.iter().chain(before.strays_inside.iter().flatten());
        takes_away = !before.public.is_subset(&after.public) || adopts || strangers.clone().next().is_some();
        // Whoever loses something here may be about to be dropped.
        roles.extend(strangers.filter_map(|words| words.rsplit_once(" to ")).map(|(_, role)| role.to_owned()));
        roles.extend(before.objects_of_others.iter().flatten().map(|(owner, _)| owner.clone()));
        loses.extend(before.objects_of_others.iter().flatten().map(|(owner, _)| owner.clone()));
        if let (true, Op::Postgres(Do::AlterDatabase { user })) = (owners.len() > 1, &step.op) {
            loses.extend(owners.iter().chain([user]).cloned());
        }
    }
    Summary {
        app: step.app.clone(),
        action: step.action,
        roles,
        database,
        grants_to,
        takes_away,
        loses,
        changes_owner: owners.len() > 1,
        opens: opens(step),
        only_state: step.action.only_state(),
    }
}
