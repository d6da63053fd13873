//! Steps wait for what they need, as nornplan has them wait, and nothing runs that waits for what is held.

use super::{Wrong, holds};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Action, Part, StepId};
use crate::secrets::model::{Op as SecretOp, SECRET, secret_address};
use crate::services::kafka::diff::{reached, taken};
use crate::services::kafka::model::{ACL, Op as KafkaOp, TOPIC, USER as KAFKA_USER, topic_address, user_address};
use crate::services::postgres::diff::put_in_order;
use crate::services::valkey::model::{Op as ValkeyOp, USER as KV_USER};
use crate::services::{Model, Op, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What must come before each step.
type Needs = BTreeMap<StepId, BTreeSet<StepId>>;

/// # Errors
/// The first step that is not as it should be, and what is wrong with it.
pub fn check(steps: &[Step]) -> Result<(), (&Step, Wrong)> {
    let held: BTreeMap<StepId, bool> = steps.iter().map(|step| (step.id(), !step.runs())).collect();
    let needs = needs(steps);
    let keys = exclusive(steps);
    for step in steps {
        let of_step = |wrong| (step, wrong);
        for need in &step.needs {
            holds(held.contains_key(need), "needs", format!("{need} is no step of the plan")).map_err(of_step)?;
            let waits = step.runs() && held.get(need) == Some(&true);
            holds(!waits, "hold", format!("it waits for {need}, which is held")).map_err(of_step)?;
        }
        let missing = needs.get(&step.id()).into_iter().flatten();
        let missing = missing.filter(|need| held.contains_key(need)).find(|need| !step.needs.contains(need));
        if let Some(need) = missing {
            holds(false, "needs", format!("{need} comes before it")).map_err(of_step)?;
        }
        let key = keys.get(&step.id());
        holds(key.is_none_or(|key| *key == step.exclusive), "exclusive", "it is another one").map_err(of_step)?;
    }
    passwords(steps)
}

fn is_of_postgres(step: &&Step) -> bool {
    ServiceId::of(&step.address) == Some(ServiceId::Postgres) && step.part != Part::Rename
}

/// The steps on PostgreSQL as they are before others of the plan are known.
fn postgres(steps: &[Step]) -> Vec<Step> {
    let mut of_postgres: Vec<Step> = steps.iter().filter(is_of_postgres).cloned().collect();
    put_in_order(&mut of_postgres);
    of_postgres
}

fn exclusive(steps: &[Step]) -> BTreeMap<StepId, Option<String>> {
    postgres(steps).into_iter().map(|step| (step.id(), step.exclusive)).collect()
}

fn needs(steps: &[Step]) -> Needs {
    let needs = postgres(steps).into_iter().map(|step| (step.id(), step.needs));
    // What only the state learns says itself what it waits for.
    let mut needs: Needs = needs.collect();
    let all: BTreeSet<StepId> = steps.iter().map(Step::id).collect();
    let of_app = |step: &Step, is: &dyn Fn(&Step) -> bool| -> BTreeSet<StepId> {
        steps.iter().filter(|other| other.app == step.app && is(other)).map(Step::id).collect()
    };
    let going = steps.iter().filter(|step| step.action == Action::Destroy && step.address.kind == TOPIC);
    let going: BTreeSet<String> = going.map(|step| step.address.name.clone()).collect();
    for step in steps {
        let more = needs.entry(step.id()).or_default();
        let secret = |part| StepId { address: secret_address(step.app.as_str()), part };
        if step.sets_credential && step.address.kind != SECRET {
            more.insert(secret(Part::Stage));
        }
        if step.part == Part::Credential {
            more.insert(StepId::main(step.address.clone()));
        }
        let removes = step.op == Op::Kafka(KafkaOp::RemoveCredentials);
        if step.part == Part::Close && (step.action == Action::Rotate || removes) {
            more.insert(secret(Part::Publish));
        }
        match &step.op {
            Op::Secrets(SecretOp::Remove) => {
                more.extend(of_app(step, &|other| other.action == Action::Destroy && other.address.kind != SECRET));
            }
            Op::Secrets(SecretOp::Publish { proved, .. }) if !proved.is_empty() => {
                more.insert(secret(Part::Stage));
                more.extend(of_app(step, &|other| sets_password(other) && other.runs()));
            }
            Op::Valkey(ValkeyOp::PurgeKeys) => {
                let user = |other: &Step| other.address.kind == KV_USER && other.part == Part::Main;
                more.extend(of_app(step, &|other| user(other) && other.action == Action::Destroy));
            }
            Op::Kafka(KafkaOp::DeleteTopic) => {
                more.extend(of_app(step, &|other| other.op == Op::Kafka(KafkaOp::DeleteUser)));
            }
            Op::Kafka(KafkaOp::SetAcls) if step.part == Part::Main => more.extend(before_acls(step, steps)),
            Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => {}
        }
    }
    for step in steps.iter().filter(|step| step.address.kind == ACL && step.part == Part::Main) {
        let mut before = |address: Address| {
            let goes = |id: &StepId| all.contains(id) && (id.address.kind == TOPIC || step.action == Action::Destroy);
            let id = Some(StepId::main(address)).filter(goes);
            id.into_iter().for_each(|id| _ = needs.entry(id).or_default().insert(step.id()));
        };
        taken(step).iter().flat_map(|binding| reached(binding, &going)).for_each(|topic| before(topic_address(topic)));
        let user = user_address(&step.address.name);
        let goes = |other: &Step| other.address == user && other.action == Action::Destroy;
        if step.action == Action::Destroy && steps.iter().any(goes) {
            before(user);
        }
    }
    needs
}

/// A user comes before its ACLs, and so do the topics that these name, where they are made.
fn before_acls(step: &Step, steps: &[Step]) -> BTreeSet<StepId> {
    let Some(acl) = step.after.as_ref().and_then(Model::as_kafka_acl) else { return BTreeSet::new() };
    let named = |topic: &str| {
        let mut bindings = acl.bindings.iter().filter(|one| one.resource == "topic" && !one.prefixed);
        bindings.any(|one| one.name == topic)
    };
    let comes_before = |other: &&Step| match &other.op {
        Op::Kafka(KafkaOp::CreateTopic) => other.runs() && named(&other.address.name),
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => {
            let is_user = other.address.kind == KAFKA_USER && other.address.name == step.address.name;
            is_user && other.part == Part::Main && other.after.is_some()
        }
    };
    steps.iter().filter(comes_before).map(Step::id).collect()
}

/// The services on which logins of an app get a password, and whether that is a new one for a login that exists.
type ByApp<'a> = BTreeMap<&'a AppName, BTreeMap<&'static str, bool>>;

fn sets_password(step: &Step) -> bool {
    step.sets_credential && step.address.kind != SECRET
}

/// Passwords are staged and published for the logins that get one, and for no others.
fn passwords(steps: &[Step]) -> Result<(), (&Step, Wrong)> {
    let (mut running, mut all): (ByApp<'_>, ByApp<'_>) = (ByApp::new(), ByApp::new());
    for step in steps.iter().filter(|step| sets_password(step)) {
        let Some(service) = ServiceId::of(&step.address) else { continue };
        let sets = [Some(&mut all), Some(&mut running).filter(|_| step.runs())];
        for services in sets.into_iter().flatten().map(|apps| apps.entry(&step.app).or_default()) {
            *services.entry(service.as_str()).or_default() |= step.part == Part::Credential;
        }
    }
    let none = BTreeMap::new();
    for step in steps.iter().filter(|step| step.runs()) {
        let (run, all) = (running.get(&step.app).unwrap_or(&none), all.get(&step.app).unwrap_or(&none));
        let is_so = match &step.op {
            // One that is held since then is staged as well.
            Op::Secrets(SecretOp::Stage { services }) => {
                let is_known = |(service, renew): (&String, &bool)| {
                    [run, all].iter().any(|known| known.get(service.as_str()) == Some(renew))
                };
                services.iter().all(is_known) && run.keys().all(|service| services.contains_key(*service))
            }
            Op::Secrets(SecretOp::Publish { proved, .. }) => proved.iter().map(String::as_str).eq(run.keys().copied()),
            Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => true,
        };
        holds(is_so, "op", "other passwords are set").map_err(|wrong| (step, wrong))?;
    }
    // Or the app would be left with one that works no more.
    let untold = steps.iter().filter(|step| step.part == Part::Publish && !step.runs());
    let untold: BTreeSet<&AppName> = untold.map(|step| &step.app).collect();
    let renews = |step: &&Step| sets_password(step) && step.part == Part::Credential && !step.moves() && step.runs();
    for step in steps.iter().filter(renews) {
        let is_told = !untold.contains(&step.app);
        holds(is_told, "hold", "its new password is set and not published").map_err(|wrong| (step, wrong))?;
    }
    Ok(())
}
