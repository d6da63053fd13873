//! A step does what its action says, and sets a password only where that is said.

use super::{Judged, holds};
use crate::core::address::Kind;
use crate::core::step::{Action, Hold, Part};
use crate::secrets::model::{Op as SecretOp, SECRET};
use crate::secrets::password::placeholder;
use crate::services::kafka::model::{ACL, Op as KafkaOp, TOPIC, USER as KAFKA_USER};
use crate::services::postgres::diff::losers;
use crate::services::postgres::model::{DATABASE, GRANT, Grant, LOCK_DOWN, Op as PostgresOp, ROLE};
use crate::services::valkey::model::{DEFAULT_USER, KEYS, Op as ValkeyOp, PERSISTENCE, USER as KV_USER};
use crate::services::{Model, Op, ServiceId, Step};
use std::collections::BTreeSet;

pub fn check(step: &Step) -> Judged {
    // What cannot be done says only why.
    if matches!(step.hold, Some(Hold::Blocked { .. })) {
        return Ok(());
    }
    holds(fits(step), "op", format!("it is not how to {} this", step.action))?;
    holds(step.sets_credential == sets(step), "sets_credential", "it does not go with the operation")?;
    match (&step.op, &step.after) {
        (Op::Postgres(PostgresOp::AlterDatabase { keeps, .. }), _) => {
            holds(keeps.iter().all(|grant| is_kept(step, grant)), "op", "it gives more than was there")
        }
        (Op::Secrets(SecretOp::Publish { proved, untouched }), _) => {
            let mut names = untouched.iter();
            holds(names.all(|name| may_stay(step, name, proved)), "op", "it leaves a value as it is that is to change")
        }
        (Op::State, _) => Ok(()),
        (_, Some(Model::PostgresGrant(grant))) => {
            holds(is_as_declared(grant), "after", "it is more than such an access means")
        }
        (_, _) => Ok(()),
    }
}

/// The kind, the actions and the part that an operation carries out.
fn fits(step: &Step) -> bool {
    use Action::{Create, Destroy, Rename, Rotate, Update};
    let is = |kind: Kind, actions: &[Action], part: Part| {
        step.address.kind == kind && actions.contains(&step.action) && step.part == part
    };
    let (main, close) = (Part::Main, Part::Close);
    match &step.op {
        Op::State => {
            step.action.only_state() && matches!(step.part, Part::Main | Part::Rename) || is(SECRET, &[Rename], close)
        }
        Op::Postgres(op) => match op {
            PostgresOp::CreateRole => is(ROLE, &[Create], main),
            PostgresOp::AlterRole => is(ROLE, &[Update], main),
            PostgresOp::SetPassword => is(ROLE, &[Rotate], Part::Credential),
            PostgresOp::DropRole => is(ROLE, &[Destroy], main),
            PostgresOp::CreateDatabase => is(DATABASE, &[Create], main),
            PostgresOp::AlterDatabase { .. } => is(DATABASE, &[Update], main),
            PostgresOp::CloseDatabase => is(DATABASE, &[Create, Update], close) || is(DATABASE, &[Update], main),
            PostgresOp::DropDatabase => is(DATABASE, &[Destroy], main),
            PostgresOp::SetGrant => is(GRANT, &[Create, Update], main),
            PostgresOp::RevokeGrant => is(GRANT, &[Destroy], main),
            PostgresOp::LockDown => is(LOCK_DOWN, &[Update], main),
            PostgresOp::RenameDatabase { .. } => is(DATABASE, &[Rename], Part::Rename),
            PostgresOp::RenameRole { .. } => is(ROLE, &[Rename], Part::Rename),
        },
        Op::Valkey(op) => match op {
            ValkeyOp::SetUser => is(KV_USER, &[Create, Update, Rename], main),
            ValkeyOp::SetPassword | ValkeyOp::AddPassword => is(KV_USER, &[Rotate], Part::Credential),
            ValkeyOp::RemoveFormerPasswords => is(KV_USER, &[Rotate], close),
            ValkeyOp::DelUser => is(KV_USER, &[Destroy], main),
            ValkeyOp::SetDefaultUser => is(DEFAULT_USER, &[Create, Update], main),
            ValkeyOp::Save => is(PERSISTENCE, &[Update], Part::Save),
            ValkeyOp::PurgeKeys => is(KEYS, &[Destroy], main),
        },
        Op::Kafka(op) => match op {
            KafkaOp::SetUser => {
                is(KAFKA_USER, &[Create, Update, Rename], main) || is(KAFKA_USER, &[Rotate], Part::Credential)
            }
            KafkaOp::RemoveCredentials => is(KAFKA_USER, &[Update], main) || is(KAFKA_USER, &[Update], close),
            KafkaOp::DeleteUser => is(KAFKA_USER, &[Destroy], main),
            KafkaOp::CreateTopic => is(TOPIC, &[Create], main),
            KafkaOp::AlterTopic => is(TOPIC, &[Update], main),
            KafkaOp::DeleteTopic => is(TOPIC, &[Destroy], main),
            KafkaOp::SetAcls => is(ACL, &[Create, Update], main) || is(ACL, &[Update], close),
            KafkaOp::DeleteAcls => is(ACL, &[Destroy], main),
        },
        Op::Secrets(op) => match op {
            SecretOp::Stage { .. } => is(SECRET, &[Create, Update], Part::Stage),
            SecretOp::Publish { .. } => is(SECRET, &[Create, Update], Part::Publish),
            SecretOp::Remove => is(SECRET, &[Destroy], main),
            SecretOp::TakeOver { .. } => is(SECRET, &[Rename], Part::Rename),
            SecretOp::RemoveFormer { .. } => is(SECRET, &[Rename], close),
        },
    }
}

/// Whether a step sets a password.
fn sets(step: &Step) -> bool {
    let generates = step.after.as_ref().is_some_and(Model::generates_password);
    match &step.op {
        Op::Postgres(PostgresOp::CreateRole) => generates,
        Op::Valkey(ValkeyOp::SetUser) => {
            let there = step.before.as_ref().and_then(Model::as_valkey_user);
            generates && there.is_none_or(|there| there.nopass)
        }
        Op::Kafka(KafkaOp::SetUser)
        | Op::Postgres(PostgresOp::SetPassword)
        | Op::Valkey(ValkeyOp::SetPassword | ValkeyOp::AddPassword)
        | Op::Secrets(SecretOp::Stage { .. }) => true,
        Op::Secrets(SecretOp::Publish { proved, .. }) => !proved.is_empty(),
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => false,
    }
}

/// Whether a value may stay as it is in the sink: it is there, and waits for no password that this step publishes alone.
fn may_stay(step: &Step, name: &str, proved: &BTreeSet<String>) -> bool {
    let value = |model: &Option<Model>| model.as_ref().and_then(Model::as_secret)?.values.get(name).cloned();
    let (Some(_), Some(after)) = (value(&step.before), value(&step.after)) else { return false };
    let needs = |service: &ServiceId| placeholder(*service).is_some_and(|placeholder| after.contains(placeholder));
    let mut needed = ServiceId::ALL.into_iter().filter(needs).peekable();
    needed.peek().is_none() || needed.any(|service| !proved.contains(service.as_str()))
}

/// Whether a grant goes with a change of a database: somebody loses what it had, and is declared to have so much.
fn is_kept(step: &Step, grant: &Grant) -> bool {
    let (Some(Model::PostgresDatabase(before)), Some(Model::PostgresDatabase(after))) = (&step.before, &step.after)
    else {
        return false;
    };
    grant.database == after.name && losers(before, after).contains(grant.role.as_str()) && is_as_declared(grant)
}

/// Whether a role gets what its access means and no more. What was not read, or no maker gives, is not said.
fn is_as_declared(grant: &Grant) -> bool {
    let Some(access) = grant.access else { return false };
    let some_maker = BTreeSet::from([String::new()]);
    let most = Grant::declared(&grant.database, &grant.role, access, &some_maker);
    let within = |has: &Option<BTreeSet<String>>, most: &Option<BTreeSet<String>>| has.is_none() || has == most;
    grant.database_privileges == most.database_privileges
        && within(&grant.schema_privileges, &most.schema_privileges)
        && within(&grant.future_schemas, &most.future_schemas)
        && within(&grant.future_tables, &most.future_tables)
        && within(&grant.future_sequences, &most.future_sequences)
        && within(&grant.beyond, &most.beyond)
}
