//! Users, and whether the published passwords are theirs.

use super::users::FoundUser;
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::error::Result;
use crate::services::kafka::client::trouble::Trouble;
use crate::services::kafka::credential;
use crate::services::kafka::model::{User, user_address};
use crate::services::{Ask, CredentialStatus};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;

/// Sign-ins at once.
pub const SIGN_INS: usize = 8;

/// A user with what is known of its password, and what it may do to the cluster if it has just signed in.
pub struct Checked {
    pub user: User,
    pub status: Option<CredentialStatus>,
    pub allowed: Option<BTreeSet<&'static str>>,
}

/// Users with what is known of their passwords.
pub async fn check(config: &KafkaConfig, ask: &Ask, users: &[FoundUser]) -> Result<Vec<Checked>> {
    let models: Vec<(User, Option<String>)> = users
        .iter()
        .map(|user| {
            let wish = mechanism_of(ask, &user.name);
            let model = user.model(wish);
            let stored = credential::stored(&model, wish, user.set_at.as_deref());
            (model, stored)
        })
        .collect();
    if ask.probe_credentials {
        ask.progress.begin(models.len());
    }
    stream::iter(models)
        .map(|(user, stored)| async {
            let status = match ask.proofs.get(&user_address(&user.name)) {
                Some(proof) => Some(credential::status(config, &user, stored, proof, ask.probe_credentials).await),
                None => None,
            };
            let told = |trouble: Trouble| trouble.tell(&config.endpoint(), &user.name, "sign-in", "");
            let (status, seen) = status.transpose().map_err(told)?.unzip();
            ask.progress.advance();
            Ok(Checked { user, status, allowed: seen.flatten().and_then(|cluster| cluster.allowed) })
        })
        .buffer_unordered(SIGN_INS)
        .try_collect()
        .await
}

/// The mechanism in which a user is wanted, or was last applied.
fn mechanism_of<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let address: Address = user_address(name);
    let wanted = ask.wanted.get(&address).map(|wanted| &wanted.model);
    let model = wanted.or_else(|| ask.applied.get(&address).map(|applied| &applied.model))?;
    model.as_kafka_user()?.mechanism.as_deref()
}
