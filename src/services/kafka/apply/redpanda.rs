//! Users by Redpanda's Admin API, one call each, where the broker's Kafka API has no calls for them.

use super::work::{Work, all_failed, no_model};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Result};
use crate::services::kafka::client::trouble::Cause;
use crate::services::kafka::credential::stored;
use crate::services::kafka::model::User;
use crate::services::kafka::redpanda::AdminApi;
use crate::services::kafka::redpanda::facts::Credential;
use crate::services::{Model, Outcome, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::BTreeMap;

/// Calls at once: each is a write to the leader's log.
const AT_ONCE: usize = 4;

impl Work<'_> {
    /// The Admin API, if the broker cannot make users by the Kafka API. librdkafka knows that without asking twice.
    ///
    /// # Errors
    /// The broker does not tell.
    pub(super) async fn keeper_of_users(&self) -> Result<Option<&AdminApi>> {
        let Some(api) = self.redpanda else { return Ok(None) };
        match self.admin.describe_users(&[self.config.user.as_str()]).await {
            Ok(_) => Ok(None),
            Err(trouble) if trouble.cause == Cause::Unsupported => Ok(Some(api)),
            Err(trouble) => {
                let trouble = trouble.of(self.admin.principal());
                Err(trouble.tell(&self.endpoint, "", "DescribeUserScramCredentials", "Describe on Cluster"))
            }
        }
    }

    pub(super) async fn set_users_there(
        &self,
        api: &AdminApi,
        steps: &[&Step],
        passwords: Vec<Result<Secret, Diagnostic>>,
    ) -> Vec<Outcome> {
        let calls: Vec<_> = steps
            .iter()
            .zip(passwords)
            .map(|(step, password)| async move { self.set_user_there(api, step, password).await }.boxed())
            .collect();
        let set: Vec<_> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        let proofs: Vec<_> = steps
            .iter()
            .zip(set)
            .map(|(step, set)| {
                async move {
                    match set {
                        Ok((user, password)) => self.prove(step, user, &password, there(user, None)).await.0,
                        Err(outcome) => outcome,
                    }
                }
                .boxed()
            })
            .collect();
        let mut outcomes: Vec<Outcome> = stream::iter(proofs).buffered(AT_ONCE).collect().await;
        // When each password was set, where that is told: so that one set by hand shows.
        let told = api.credentials().await.ok().flatten().unwrap_or_default();
        for (step, outcome) in steps.iter().zip(&mut outcomes) {
            let Outcome::Done { fingerprint: Some(fingerprint), .. } = outcome else { continue };
            if let Some(user) = step.after.as_ref().and_then(Model::as_kafka_user) {
                fingerprint.stored = there(user, told.get(&user.name));
            }
        }
        outcomes
    }

    async fn set_user_there<'a>(
        &self,
        api: &AdminApi,
        step: &'a Step,
        password: Result<Secret, Diagnostic>,
    ) -> Result<(&'a User, Secret), Outcome> {
        let password = password.map_err(Outcome::failed)?;
        let user = step.after.as_ref().and_then(Model::as_kafka_user).ok_or_else(|| no_model(step))?;
        let mechanism = user.mechanism.as_deref().ok_or_else(|| no_model(step))?;
        match api.set_user(&user.name, &password, mechanism).await {
            Ok(()) => Ok((user, password)),
            Err(error) => Err(failed(error, step)),
        }
    }

    pub(super) async fn delete_users_there(&self, api: &AdminApi, steps: &[&Step]) -> Vec<Outcome> {
        let there = match api.users().await {
            Ok(there) => there,
            Err(error) => return all_failed(steps, error),
        };
        let calls: Vec<_> = steps
            .iter()
            .map(|step| {
                let there = &there;
                async move {
                    if !there.contains(&step.address.name) {
                        return Outcome::AlreadySo;
                    }
                    match api.delete_user(&step.address.name).await {
                        Ok(()) => Outcome::done(),
                        Err(error) => failed(error, step),
                    }
                }
                .boxed()
            })
            .collect();
        stream::iter(calls).buffered(AT_ONCE).collect().await
    }

    /// Keeps when passwords were set, of a Redpanda that makes users by the Kafka API and tells that by the other.
    pub(super) async fn note_times(&self, steps: &[&Step], outcomes: &mut BTreeMap<usize, Outcome>) {
        let Some(api) = self.redpanda else { return };
        let Ok(Some(told)) = api.credentials().await else { return };
        for (index, step) in steps.iter().enumerate() {
            let Some(Outcome::Done { fingerprint: Some(fingerprint), .. }) = outcomes.get_mut(&index) else { continue };
            let Some(user) = step.after.as_ref().and_then(Model::as_kafka_user) else { continue };
            let set_at = told.get(&user.name).and_then(|credential| credential.set_at.as_deref());
            fingerprint.stored = stored(user, None, set_at);
        }
    }
}

/// What will be read of a user: the Admin API tells no iterations, and before 26.1 nothing at all.
fn there(user: &User, told: Option<&Credential>) -> Option<String> {
    let mechanism = told.and_then(|credential| credential.mechanism.clone());
    let read = User { mechanism, iterations: None, ..user.clone() };
    stored(&read, user.mechanism.as_deref(), told.and_then(|credential| credential.set_at.as_deref()))
}

/// The failure of a step's call, which stays in it.
fn failed(error: Diagnostic, step: &Step) -> Outcome {
    let call = match &error.place {
        Some(crate::error::Place::Server { statement, .. }) => statement.clone(),
        Some(_) | None => String::new(),
    };
    let retry = error.may_pass;
    Outcome::Failed { error: error.on("kafka", &step.address, call), retry }
}
