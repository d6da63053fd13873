//! A step is about what its address says.

use super::{Judged, holds};
use crate::core::address::{Address, Kind};
use crate::core::step::{Action, Part, Step as CoreStep};
use crate::secrets::model::{Op as SecretOp, SECRET, secret_address};
use crate::services::kafka::model::{ACL, TOPIC, USER as KAFKA_USER, acl_address, topic_address, user_address};
use crate::services::postgres::model::{
    DATABASE, GRANT, LOCK_DOWN, Op as PostgresOp, ROLE, database_address, grant_address, lock_down_address,
    role_address,
};
use crate::services::valkey::model::{
    DEFAULT_USER, KEYS, PERSISTENCE, USER as KV_USER, default_user_address, keys_address, persistence_address,
    user_address as kv_user_address,
};
use crate::services::{Model, Op, Step};

const KINDS: [Kind; 12] =
    [ROLE, DATABASE, GRANT, LOCK_DOWN, KV_USER, DEFAULT_USER, PERSISTENCE, KEYS, KAFKA_USER, TOPIC, ACL, SECRET];
/// What is no app's.
const OF_WORKSPACE: [Kind; 3] = [LOCK_DOWN, DEFAULT_USER, PERSISTENCE];

pub fn check(step: &Step) -> Judged {
    let CoreStep { address, app, before, after, .. } = step;
    holds(KINDS.contains(&address.kind), "address", "there is no such kind of resource")?;
    for (field, model) in [("before", before), ("after", after)] {
        let named = model.as_ref().map(|model| address_of(model, app.as_str()));
        if let Some(named) = named.filter(|named| named != address) {
            return holds(false, field, format!("it is {named}"));
        }
    }
    let of_workspace = OF_WORKSPACE.contains(&address.kind);
    holds(app.is_workspace() == of_workspace, "app", format!("{app} has no such thing"))?;
    holds(address.kind != SECRET || address.name == app.as_str(), "app", "it is another app's")?;
    let part_of = match model_of(step) {
        Some(Model::PostgresGrant(grant)) => Some(role_address(&grant.role)),
        Some(Model::KafkaAcl(acl)) => Some(user_address(&acl.principal)),
        Some(_) | None => None,
    };
    holds(step.part_of.is_none() || step.part_of == part_of, "part_of", "it is no part of that")?;
    renamed(step)
}

/// What a step is about, as it is or as it shall be.
fn model_of(step: &Step) -> Option<&Model> {
    step.before.as_ref().or(step.after.as_ref())
}

fn address_of(model: &Model, app: &str) -> Address {
    match model {
        Model::PostgresRole(role) => role_address(&role.name),
        Model::PostgresDatabase(database) => database_address(&database.name),
        Model::PostgresGrant(grant) => grant_address(&grant.database, &grant.role),
        Model::PostgresLockDown(lock_down) => lock_down_address(&lock_down.database),
        Model::ValkeyUser(user) => kv_user_address(&user.name),
        Model::ValkeyDefaultUser(_) => default_user_address(),
        Model::ValkeyPersistence(_) => persistence_address(),
        Model::ValkeyKeys(keys) => keys_address(keys),
        Model::KafkaUser(user) => user_address(&user.name),
        Model::KafkaTopic(topic) => topic_address(&topic.name),
        Model::KafkaAcl(acl) => acl_address(&acl.principal),
        Model::Secret(_) => secret_address(app),
    }
}

/// What gets another name is called so until now.
fn renamed(step: &Step) -> Judged {
    let renames = step.action == Action::Rename || step.part == Part::Rename;
    let kind = step.renamed_from.as_ref().map(|from| &from.kind);
    let is_so = if renames { kind == Some(&step.address.kind) } else { kind.is_none() };
    holds(is_so, "renamed_from", "it does not go with the action")?;
    let from = match &step.op {
        Op::Postgres(PostgresOp::RenameDatabase { from, .. } | PostgresOp::RenameRole { from, .. }) => from.as_str(),
        Op::Secrets(SecretOp::TakeOver { from } | SecretOp::RemoveFormer { from, .. }) => from.as_str(),
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => return Ok(()),
    };
    let said = step.renamed_from.as_ref().map(|said| said.name.as_str());
    holds(said == Some(from), "op", format!("it is about {from}"))
}
