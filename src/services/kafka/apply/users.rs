//! Sets and removes SCRAM credentials, and proves what was set by signing in.

use super::work::{NEEDS_ALTER, PAUSE, SETTLING, Work, all_failed, no_model, unanswered};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::kafka::client::connect::signs_in;
use crate::services::kafka::client::native::{Alteration, Change};
use crate::services::kafka::client::trouble::Cause;
use crate::services::kafka::credential::{fingerprint, stored};
use crate::services::kafka::model::User;
use crate::services::kafka::observe::SIGN_INS;
use crate::services::{Model, Outcome, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;

impl Work<'_> {
    /// Upserts users in one call, and proves every password by signing in.
    pub(super) async fn set_users(&self, steps: &[&Step], passwords: Vec<Result<Secret, Diagnostic>>) -> Vec<Outcome> {
        if let Some(api) = self.keeper_of_users().await {
            return self.set_users_there(api, steps, passwords).await;
        }
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut ready: Vec<(usize, &Step, &User, (&str, u32), Secret)> = Vec::new();
        for (index, (step, password)) in steps.iter().zip(passwords).enumerate() {
            match (password, step.after.as_ref().and_then(Model::as_kafka_user)) {
                (Ok(password), Some(user)) => match user.mechanism.as_deref().zip(user.iterations) {
                    Some(kind) => ready.push((index, step, user, kind, password)),
                    None => drop(outcomes.insert(index, no_model(step))),
                },
                (Err(error), _) => drop(outcomes.insert(index, Outcome::failed(error))),
                (Ok(_), None) => drop(outcomes.insert(index, no_model(step))),
            }
        }
        let alterations: Vec<Alteration<'_>> = ready
            .iter()
            .map(|(_, _, user, (mechanism, iterations), password)| Alteration {
                user: &user.name,
                mechanism,
                change: Change::Set { iterations: *iterations, password },
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
        for (index, step, user, _, password) in ready {
            match results.remove(&user.name).unwrap_or_else(unanswered) {
                Ok(()) => set.push((index, step, user, password)),
                Err(trouble) => drop(outcomes.insert(index, self.failed(&trouble, step, call, NEEDS_ALTER))),
            }
        }
        let proofs: Vec<_> = set
            .into_iter()
            .map(|(index, step, user, password)| {
                let stored = stored(user, None, None);
                async move { (index, self.prove(step, user, &password, stored).await) }.boxed()
            })
            .collect();
        let proved: Vec<(usize, Outcome)> = stream::iter(proofs).buffer_unordered(SIGN_INS).collect().await;
        outcomes.extend(proved);
        self.note_times(steps, &mut outcomes).await;
        self.remove_replaced(steps, &mut outcomes).await;
        outcomes.into_values().collect()
    }

    /// A new credential takes a moment to reach every broker: until then it is refused.
    pub(super) async fn prove(&self, step: &Step, user: &User, password: &Secret, stored: Option<String>) -> Outcome {
        let start = Instant::now();
        let mechanism = user.mechanism.as_deref().unwrap_or_else(|| self.config.user_mechanism());
        loop {
            match signs_in(self.config, &user.name, mechanism, password).await {
                Ok(true) => {
                    let fingerprint = Some(fingerprint(stored, password));
                    return Outcome::Done { fingerprint, dump: None, note: None };
                }
                Ok(false) | Err(_) if start.elapsed() < SETTLING => tokio::time::sleep(PAUSE * 4).await,
                Ok(false) => {
                    let refused = format!("{} took the new password of {} and refuses it", self.endpoint, user.name);
                    let told = Diagnostic::new(Kind::Service, refused).on("kafka", &step.address, "sign-in");
                    return Outcome::failed(
                        told.hint(format!("is {mechanism} among sasl.enabled.mechanisms of this listener?")),
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
            let (Some(had), Some(has)) = (&before.mechanism, &after.mechanism) else { continue };
            if works && had != has {
                places.insert(before.name.clone(), (index, *step));
                alterations.push(Alteration { user: &before.name, mechanism: had, change: Change::Remove });
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

    pub(super) async fn delete_users(&self, steps: &[&Step]) -> Vec<Outcome> {
        if let Some(api) = self.keeper_of_users().await {
            return self.delete_users_there(api, steps).await;
        }
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
}
