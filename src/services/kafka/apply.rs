//! Carries out steps in few calls, looks at the result of every item, and waits until what was done can be seen.

use super::admin::Admin;
use super::connect::signs_in;
use super::credential::fingerprint;
use super::model::{Op as KafkaOp, User};
use super::native::{Alteration, Change, OwnedBinding};
use super::observe::SIGN_INS;
use super::read::Reader;
use super::topics;
use super::trouble::{Cause, Trouble};
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::{ApplyContext, Model, Op, Outcome, ServiceId, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long what was written may take to reach every broker.
pub const SETTLING: Duration = Duration::from_secs(5);
pub const PAUSE: Duration = Duration::from_millis(50);
/// ACLs in one call; KRaft takes 10,000 records.
const ACL_BATCH: usize = 5000;

/// What a batch is carried out with.
pub struct Work<'a> {
    pub config: &'a KafkaConfig,
    pub admin: &'a Admin,
    pub endpoint: String,
}

impl Work<'_> {
    pub fn failed(&self, trouble: &Trouble, step: &Step, call: &str, needs: &str) -> Outcome {
        let error = trouble.tell(&self.endpoint, &step.address.to_string(), call, needs);
        Outcome::Failed { error, retry: trouble.passes() }
    }

    pub fn reader(&self) -> Reader<'_> {
        Reader { admin: self.admin, endpoint: &self.endpoint }
    }

    /// One outcome for each step, in order.
    pub async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let mut groups: BTreeMap<u8, Vec<(usize, &Step)>> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            groups.entry(group(&step.op)).or_default().push((index, step));
        }
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        for group in groups.into_values() {
            let (places, batch): (Vec<usize>, Vec<&Step>) = group.into_iter().unzip();
            outcomes.extend(places.into_iter().zip(self.carry_out(&batch, context).await));
        }
        outcomes.into_values().collect()
    }

    async fn carry_out(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let Some(Op::Kafka(op)) = steps.first().map(|step| &step.op) else {
            return steps.iter().map(|_| Outcome::done()).collect();
        };
        match op {
            KafkaOp::CreateTopic => topics::create(self, steps).await,
            KafkaOp::AlterTopic => topics::alter(self, steps).await,
            KafkaOp::DeleteTopic => topics::delete(self, steps).await,
            KafkaOp::SetAcls | KafkaOp::DeleteAcls => self.acls(steps).await,
            KafkaOp::DeleteUser => self.delete_users(steps).await,
            KafkaOp::SetUser => {
                let passwords = steps.iter().map(|step| context.vault.password(&step.app, ServiceId::Kafka));
                self.set_users(steps, passwords.collect()).await
            }
        }
    }

    /// Upserts users in one call, and proves every password by signing in.
    async fn set_users(&self, steps: &[&Step], passwords: Vec<Result<Secret, Diagnostic>>) -> Vec<Outcome> {
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut ready: Vec<(usize, &Step, &User, Secret)> = Vec::new();
        for (index, (step, password)) in steps.iter().zip(passwords).enumerate() {
            match (password, step.after.as_ref().and_then(Model::as_kafka_user)) {
                (Ok(password), Some(user)) => ready.push((index, step, user, password)),
                (Err(error), _) => drop(outcomes.insert(index, Outcome::failed(error))),
                (Ok(_), None) => drop(outcomes.insert(index, no_model(step))),
            }
        }
        let alterations: Vec<Alteration<'_>> = ready
            .iter()
            .map(|(_, _, user, password)| Alteration {
                user: &user.name,
                mechanism: &user.mechanism,
                change: Change::Set { iterations: user.iterations, password },
            })
            .collect();
        let call = "AlterUserScramCredentials";
        let results =
            if alterations.is_empty() { Ok(HashMap::new()) } else { self.admin.alter_users(&alterations).await };
        let mut results = match results {
            Ok(results) => results,
            Err(trouble) => return steps.iter().map(|step| self.failed(&trouble, step, call, NEEDS_ALTER)).collect(),
        };
        let mut set = Vec::new();
        for (index, step, user, password) in ready {
            match results.remove(&user.name).unwrap_or_else(unanswered) {
                Ok(()) => set.push((index, step, user, password)),
                Err(trouble) => drop(outcomes.insert(index, self.failed(&trouble, step, call, NEEDS_ALTER))),
            }
        }
        let proofs: Vec<_> = set
            .into_iter()
            .map(|(index, step, user, password)| {
                async move { (index, self.prove(step, user, &password).await) }.boxed()
            })
            .collect();
        let proved: Vec<(usize, Outcome)> = stream::iter(proofs).buffer_unordered(SIGN_INS).collect().await;
        outcomes.extend(proved);
        self.remove_replaced(steps, &mut outcomes).await;
        outcomes.into_values().collect()
    }

    /// A new credential takes a moment to reach every broker: until then it is refused.
    async fn prove(&self, step: &Step, user: &User, password: &Secret) -> Outcome {
        let start = Instant::now();
        loop {
            match signs_in(self.config, &user.name, &user.mechanism, password).await {
                Ok(true) => {
                    return Outcome::Done { fingerprint: Some(fingerprint(user, password)), dump: None, note: None };
                }
                Ok(false) | Err(_) if start.elapsed() < SETTLING => tokio::time::sleep(PAUSE * 4).await,
                Ok(false) => {
                    let refused = format!("{} took the new password of {} and refuses it", self.endpoint, user.name);
                    let told = Diagnostic::new(Kind::Service, refused).on("kafka", &step.address, "sign-in");
                    return Outcome::failed(
                        told.hint(format!("is {} among sasl.enabled.mechanisms of this listener?", user.mechanism)),
                    );
                }
                Err(trouble) => return self.failed(&trouble, step, "sign-in", ""),
            }
        }
    }

    /// Removes the credential of the mechanism that a user had before, once the new one works.
    async fn remove_replaced(&self, steps: &[&Step], outcomes: &mut BTreeMap<usize, Outcome>) {
        let mut places = BTreeMap::new();
        let mut alterations = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let works = outcomes.get(&index).is_some_and(Outcome::succeeded);
            let (Some(Model::KafkaUser(before)), Some(Model::KafkaUser(after))) = (&step.before, &step.after) else {
                continue;
            };
            if works && before.mechanism != after.mechanism {
                places.insert(before.name.clone(), (index, *step));
                alterations.push(Alteration {
                    user: &before.name,
                    mechanism: &before.mechanism,
                    change: Change::Remove,
                });
            }
        }
        if alterations.is_empty() {
            return;
        }
        let results = self.admin.alter_users(&alterations).await;
        for (name, (index, step)) in places {
            let result = match &results {
                Ok(results) => results.get(&name).cloned().unwrap_or_else(unanswered),
                Err(trouble) => Err(trouble.clone()),
            };
            match result {
                Err(trouble) if trouble.cause != Cause::Absent => {
                    outcomes.insert(index, self.failed(&trouble, step, "AlterUserScramCredentials", NEEDS_ALTER));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    async fn delete_users(&self, steps: &[&Step]) -> Vec<Outcome> {
        let names: BTreeSet<&str> = steps.iter().map(|step| step.address.name.as_str()).collect();
        let there = match self.reader().users(&names).await {
            Ok(there) => there,
            Err(error) => return all_failed(steps, error),
        };
        let credentials = there.iter().flat_map(|user| user.credentials.keys().map(move |key| (&user.name, key)));
        let alterations: Vec<Alteration<'_>> =
            credentials.map(|(user, mechanism)| Alteration { user, mechanism, change: Change::Remove }).collect();
        if alterations.is_empty() {
            return steps.iter().map(|_| Outcome::AlreadySo).collect();
        }
        let call = "AlterUserScramCredentials";
        let results = match self.admin.alter_users(&alterations).await {
            Ok(results) => results,
            Err(trouble) => return steps.iter().map(|step| self.failed(&trouble, step, call, NEEDS_ALTER)).collect(),
        };
        let outcome = |step: &&Step| match results.get(&step.address.name) {
            None => Outcome::AlreadySo,
            Some(Ok(())) => Outcome::done(),
            Some(Err(trouble)) if trouble.cause == Cause::Absent => Outcome::AlreadySo,
            Some(Err(trouble)) => self.failed(trouble, step, call, NEEDS_ALTER),
        };
        steps.iter().map(outcome).collect()
    }

    /// Creates what is missing, then deletes what is too much, then waits until it can be seen.
    async fn acls(&self, steps: &[&Step]) -> Vec<Outcome> {
        let mut troubles: BTreeMap<usize, (Trouble, &str)> = BTreeMap::new();
        let (mut create, mut delete) = (Vec::new(), Vec::new());
        for (index, step) in steps.iter().enumerate() {
            let bindings = |model: &Option<Model>| {
                model.as_ref().and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
            };
            let (had, has) = (bindings(&step.before), bindings(&step.after));
            let principal = format!("User:{}", step.address.name);
            let owned = |binding: &super::model::Binding| {
                (index, OwnedBinding { principal: principal.clone(), binding: binding.clone() })
            };
            create.extend(has.difference(&had).map(owned));
            delete.extend(had.difference(&has).map(owned));
        }
        for (call, all) in [("CreateAcls", create), ("DeleteAcls", delete)] {
            for batch in all.chunks(ACL_BATCH) {
                let (places, acls): (Vec<usize>, Vec<OwnedBinding>) =
                    batch.iter().filter(|(index, _)| !troubles.contains_key(index)).cloned().unzip();
                if acls.is_empty() {
                    continue;
                }
                let results = if call == "CreateAcls" {
                    self.admin.create_acls(&acls).await
                } else {
                    self.admin.delete_acls(&acls).await
                };
                let results = results.unwrap_or_else(|trouble| vec![Err(trouble); acls.len()]);
                for (index, result) in places.into_iter().zip(results) {
                    if let Err(trouble) = result {
                        troubles.insert(index, (trouble, call));
                    }
                }
            }
        }
        let visible = self.until_visible(steps, &troubles.keys().copied().collect()).await;
        let outcome = |(index, step): (usize, &&Step)| match troubles.get(&index) {
            Some((trouble, call)) => self.failed(trouble, step, call, NEEDS_ALTER),
            None => match &visible {
                Ok(()) => Outcome::done(),
                Err(trouble) => self.failed(trouble, step, "DescribeAcls", "Describe on Cluster"),
            },
        };
        steps.iter().enumerate().map(outcome).collect()
    }

    async fn until_visible(&self, steps: &[&Step], broken: &BTreeSet<usize>) -> Result<(), Trouble> {
        let good: Vec<&&Step> =
            steps.iter().enumerate().filter(|(index, _)| !broken.contains(index)).map(|(_, step)| step).collect();
        let principals: BTreeSet<&str> = good.iter().map(|step| step.address.name.as_str()).collect();
        let start = Instant::now();
        while !good.is_empty() {
            let seen = self.reader().acls(&principals).await;
            let seen = seen.map_err(|error| Trouble::new(Cause::Other, error.message))?.unwrap_or_default();
            let arrived = good.iter().all(|step| {
                let there = seen.by_principal.get(&step.address.name).map(|acl| &acl.bindings);
                let wanted = step.after.as_ref().and_then(Model::as_kafka_acl).map(|acl| &acl.bindings);
                there.cloned().unwrap_or_default() == wanted.cloned().unwrap_or_default()
            });
            if arrived {
                break;
            }
            if start.elapsed() > SETTLING {
                return Err(Trouble::new(Cause::Transient, "the ACLs were taken, and are not seen after 5 s"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

pub const NEEDS_ALTER: &str = "Alter on Cluster";

/// The result of an item that the broker said nothing of.
pub fn unanswered() -> Result<(), Trouble> {
    Err(Trouble::new(Cause::Other, "the broker did not answer for it"))
}

/// The same failure for every step, with its cause and hint.
pub fn all_failed(steps: &[&Step], error: Diagnostic) -> Vec<Outcome> {
    let copy = |step: &&Step| {
        let told = Diagnostic::new(error.kind, error.message.clone()).on("kafka", &step.address, "");
        match &error.hint {
            Some(hint) => told.hint(hint.clone()),
            None => told,
        }
    };
    steps.iter().map(|step| Outcome::Failed { error: copy(step), retry: false }).collect()
}

/// A step whose after-model is not of its kind: a plan that was changed by hand.
pub fn no_model(step: &Step) -> Outcome {
    let wrong = Diagnostic::new(Kind::Plan, "the step does not say what shall be there").on("kafka", &step.address, "");
    Outcome::failed(wrong.hint("plan again"))
}

fn group(op: &Op) -> u8 {
    match op {
        Op::Kafka(op) => 1 + *op as u8,
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Secrets(_) => 0,
    }
}
