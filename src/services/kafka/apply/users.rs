//! Sets and removes SCRAM credentials, and proves what was set by signing in.

use super::beyond::Proved;
use super::work::{NEEDS_ALTER, PAUSE, SETTLING, Work, all_failed, no_model, unanswered};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use crate::services::kafka::client::connect::sign_in;
use crate::services::kafka::client::native::{Alteration, Change, Cluster};
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::credential::{fingerprint, stored};
use crate::services::kafka::model::User;
use crate::services::kafka::observe::credentials::SIGN_INS;
use crate::services::{Model, Outcome, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;

/// Changes in one call. librdkafka works out the iterations of each password (5 ms) on the one thread that serves all calls
/// of a client: those that wait beside it run out of time where many passwords are set at once.
const BATCH: usize = 50;
const CALL: &str = "AlterUserScramCredentials";

impl Work<'_> {
    /// Upserts users in few calls, and proves every password by signing in.
    pub(super) async fn set_users(&self, steps: &[&Step], passwords: Vec<Result<Secret, Diagnostic>>) -> Vec<Outcome> {
        match self.keeper_of_users().await {
            Ok(None) => {}
            Ok(Some(api)) => return self.set_users_there(api, steps, passwords).await,
            Err(error) => return all_failed(steps, error),
        }
        let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
        let mut ready = Vec::new();
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
        let alterations = ready.iter().map(|(_, _, user, (mechanism, iterations), password)| Alteration {
            user: &user.name,
            mechanism,
            change: Change::Set { iterations: *iterations, password },
        });
        let mut results = self.alter_each(alterations.collect()).await;
        let mut set = Vec::new();
        for (index, step, user, _, password) in ready {
            match results.remove(&user.name).unwrap_or_else(unanswered) {
                Ok(()) => set.push((index, step, user, password)),
                Err(trouble) => drop(outcomes.insert(index, self.failed(&trouble, step, CALL, NEEDS_ALTER))),
            }
        }
        let proofs: Vec<_> = set
            .into_iter()
            .map(|(index, step, user, password)| {
                let stored = stored(user, None, None);
                async move {
                    let (outcome, seen) = self.prove(step, user, &password, stored).await;
                    Proved { index, step, user, password, outcome, seen }
                }
                .boxed()
            })
            .collect();
        let mut proved: Vec<Proved<'_>> = stream::iter(proofs).buffer_unordered(SIGN_INS).collect().await;
        self.judge(&mut proved).await;
        outcomes.extend(proved.into_iter().map(|one| (one.index, one.outcome)));
        self.note_times(steps, &mut outcomes).await;
        outcomes.into_values().collect()
    }

    /// A new credential takes a moment to reach every broker: until then it is refused. What the user sees of the cluster
    /// comes along.
    pub(super) async fn prove(
        &self,
        step: &Step,
        user: &User,
        password: &Secret,
        stored: Option<String>,
    ) -> (Outcome, Option<Cluster>) {
        let start = Instant::now();
        let mechanism = user.mechanism.as_deref().unwrap_or_else(|| self.config.mechanism_of_users());
        loop {
            match sign_in(self.config, &user.name, mechanism, password).await {
                Ok(Some(cluster)) => {
                    let fingerprint = Some(fingerprint(stored, password));
                    return (Outcome::Done { fingerprint, dump: None, note: None }, Some(cluster));
                }
                Ok(None) if start.elapsed() < SETTLING => tokio::time::sleep(PAUSE * 4).await,
                Err(trouble) if trouble.passes() && start.elapsed() < SETTLING => tokio::time::sleep(PAUSE * 4).await,
                Ok(None) => {
                    let refused = format!("{} took the new password of {} and refuses it", self.endpoint, user.name);
                    let told = Diagnostic::new(Kind::Service, refused).on("kafka", &step.address, "sign-in");
                    let told = told.hint(format!(
                        "is {mechanism} among sasl.enabled.mechanisms of this listener? kafka.user_mechanism names another one"
                    ));
                    return (Outcome::failed(told), None);
                }
                Err(trouble) => return (self.failed(&trouble, step, "sign-in", ""), None),
            }
        }
    }

    /// Removes the credentials that a user has beside the one that it keeps. One that is gone already is done: a broker
    /// with one credential a user replaced it when the other was set.
    pub(super) async fn remove_credentials(&self, steps: &[&Step]) -> Vec<Outcome> {
        match self.keeper_of_users().await {
            Ok(None) => {}
            Ok(Some(_)) => return steps.iter().map(|_| Outcome::AlreadySo).collect(),
            Err(error) => return all_failed(steps, error),
        }
        let mut removals = Vec::new();
        for step in steps {
            let (Some(Model::KafkaUser(before)), Some(Model::KafkaUser(after))) = (&step.before, &step.after) else {
                continue;
            };
            let gone = before.other_mechanisms.iter().flatten();
            let gone = gone.filter(|mechanism| Some(*mechanism) != after.mechanism.as_ref());
            removals.extend(gone.map(|mechanism| (before.name.as_str(), mechanism.as_str())));
        }
        let mut results = self.remove_each(removals).await;
        let outcome = |step: &&Step| match results.remove(&step.address.name) {
            Some(Err(trouble)) if trouble.cause != Cause::Absent => self.failed(&trouble, step, CALL, NEEDS_ALTER),
            Some(Ok(()) | Err(_)) => Outcome::done(),
            None => no_model(step),
        };
        steps.iter().map(outcome).collect()
    }

    pub(super) async fn delete_users(&self, steps: &[&Step]) -> Vec<Outcome> {
        match self.keeper_of_users().await {
            Ok(None) => {}
            Ok(Some(api)) => return self.delete_users_there(api, steps).await,
            Err(error) => return all_failed(steps, error),
        }
        let names: BTreeSet<&str> = steps.iter().map(|step| step.address.name.as_str()).collect();
        let there = match self.reader().users(&names).await {
            Ok(there) => there,
            Err(error) => return all_failed(steps, error),
        };
        let credentials =
            there.iter().flat_map(|user| user.credentials.keys().map(|key| (user.name.as_str(), key.as_str())));
        let mut results = self.remove_each(credentials.collect()).await;
        let outcome = |step: &&Step| match results.remove(&step.address.name) {
            None => Outcome::AlreadySo,
            Some(Ok(())) => Outcome::done(),
            Some(Err(trouble)) if trouble.cause == Cause::Absent => Outcome::AlreadySo,
            Some(Err(trouble)) => self.failed(&trouble, step, CALL, NEEDS_ALTER),
        };
        steps.iter().map(outcome).collect()
    }

    /// Removes credentials (user and mechanism), and waits until none is shown any more: a broker hears of it after the
    /// controller has answered, and lets them in until then. The result for each user.
    async fn remove_each(&self, removals: Vec<(&str, &str)>) -> HashMap<String, Result<(), Trouble>> {
        let alterations = removals.iter().map(|(user, mechanism)| remove(user, mechanism));
        let mut results = self.alter_each(alterations.collect()).await;
        let is_gone = |user: &str| match results.get(user) {
            Some(Err(trouble)) => trouble.cause == Cause::Absent,
            Some(Ok(())) => true,
            None => false,
        };
        let mut waiting: Vec<(&str, &str)> = removals.into_iter().filter(|(user, _)| is_gone(user)).collect();
        let start = Instant::now();
        while !waiting.is_empty() {
            let names: BTreeSet<&str> = waiting.iter().map(|(user, _)| *user).collect();
            let read = self.reader().users(&names).await;
            if let Ok(there) = &read {
                let has = |user: &str, mechanism: &str| {
                    there.iter().any(|one| one.name == user && one.credentials.contains_key(mechanism))
                };
                waiting.retain(|(user, mechanism)| has(user, mechanism));
            }
            if waiting.is_empty() {
                break;
            }
            // Another client may find out what this one cannot any more.
            if start.elapsed() > SETTLING || self.admin.is_broken() {
                let late = Trouble::new(Cause::Transient, "the credential was removed, and is not seen to be gone");
                results.extend(waiting.iter().map(|(user, _)| ((*user).to_owned(), Err(late.clone()))));
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        results
    }

    /// Makes changes in as few calls as brokers take, and gives the result for each user: the first trouble that it had.
    async fn alter_each(&self, alterations: Vec<Alteration<'_>>) -> HashMap<String, Result<(), Trouble>> {
        let mut results: HashMap<String, Result<(), Trouble>> = HashMap::new();
        for call in calls(alterations) {
            let users = call.iter().map(|one| one.user);
            let mut answer = match self.admin.alter_users(&call).await {
                Ok(answer) => answer,
                Err(trouble) => users.clone().map(|user| (user.to_owned(), Err(trouble.clone()))).collect(),
            };
            for user in users {
                let result = answer.remove(user).unwrap_or_else(unanswered);
                let known = results.entry(user.to_owned()).or_insert(Ok(()));
                if known.is_ok() {
                    *known = result;
                }
            }
        }
        results
    }
}

fn remove<'a>(user: &'a str, mechanism: &'a str) -> Alteration<'a> {
    Alteration { user, mechanism, change: Change::Remove }
}

/// Parts changes into calls. A user that occurs twice in one is refused there (DUPLICATE_RESOURCE).
fn calls(alterations: Vec<Alteration<'_>>) -> Vec<Vec<Alteration<'_>>> {
    let mut nth: HashMap<&str, usize> = HashMap::new();
    let mut rounds: BTreeMap<usize, Vec<Alteration<'_>>> = BTreeMap::new();
    for alteration in alterations {
        let round = nth.entry(alteration.user).or_default();
        rounds.entry(*round).or_default().push(alteration);
        *round += 1;
    }
    rounds.into_values().flat_map(|round| round.chunks(BATCH).map(<[_]>::to_vec).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_names_a_user_twice_or_too_many() {
        let names: Vec<String> = (0..BATCH + 1).map(|number| format!("u{number}")).collect();
        let mut all: Vec<Alteration<'_>> = names.iter().map(|name| remove(name, "SCRAM-SHA-256")).collect();
        all.extend(names.iter().take(2).map(|name| remove(name, "SCRAM-SHA-512")));
        let sizes: Vec<usize> = calls(all).iter().map(Vec::len).collect();
        assert_eq!(sizes, [BATCH, 1, 2]);
        assert!(calls(Vec::new()).is_empty());
    }
}
