//! Whether the published password of a user is the one that the broker has.

use super::client::connect::sign_in;
use super::client::native::Cluster;
use super::client::trouble::Trouble;
use super::model::User;
use super::observe::credentials::SIGN_INS;
use crate::config::KafkaConfig;
use crate::core::address::Address;
use crate::core::secret::Secret;
use crate::secrets::Vault;
use crate::services::{CredentialStatus, Fingerprint, Proof, ServiceId, Step};
use futures_util::{FutureExt, StreamExt, stream};
use std::collections::BTreeSet;

/// What the broker tells about what it stores: mechanism and iterations, and on Redpanda from 26.1 when the password
/// was set. A mechanism that it does not tell counts as the wanted one: another wish has to be proved by signing in.
pub fn stored(user: &User, wanted: Option<&str>, set_at: Option<&str>) -> Option<String> {
    let iterations = user.iterations.map(|iterations| iterations.to_string());
    let parts = [user.mechanism.as_deref().or(wanted), iterations.as_deref(), set_at];
    let known: Vec<&str> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join("/"))
}

/// What state may keep of a password: its digest, and what the broker tells about what it stores.
pub fn fingerprint(stored: Option<String>, password: &Secret) -> Fingerprint {
    Fingerprint { password: password.sha256(), stored }
}

/// Compares fingerprints where they exist, and signs in where they do not, or where that is asked for (`probe`): what the
/// user then sees of the cluster comes along.
///
/// # Errors
/// A sign-in that was neither let in nor refused.
pub async fn status(
    config: &KafkaConfig,
    user: &User,
    stored: Option<String>,
    proof: &Proof,
    probe: bool,
) -> Result<(CredentialStatus, Option<Cluster>), Trouble> {
    let published = match proof.to_try() {
        Ok(published) => published,
        Err(status) => return Ok((status, None)),
    };
    if !probe && proof.fingerprint.as_ref() == Some(&fingerprint(stored, published)) {
        return Ok((CredentialStatus::Verified, None));
    }
    let mechanism = user.mechanism.as_deref().unwrap_or_else(|| config.mechanism_of_users());
    let seen = sign_in(config, &user.name, mechanism, published).await?;
    Ok((if seen.is_some() { CredentialStatus::Verified } else { CredentialStatus::Wrong }, seen))
}

/// The users that sign in with the password that is staged for them, as far as that can be found out.
pub async fn with_staged_password(config: &KafkaConfig, steps: &[&Step], vault: &Vault) -> BTreeSet<Address> {
    let tries = steps.iter().filter_map(|step| {
        let user = step.after.as_ref()?.as_kafka_user()?;
        Some((step, user, vault.staged(&step.app, ServiceId::Kafka).ok()??))
    });
    let tries: Vec<_> = tries
        .map(|(step, user, password)| {
            async move {
                let mechanism = user.mechanism.as_deref().unwrap_or_else(|| config.mechanism_of_users());
                let seen = sign_in(config, &user.name, mechanism, &password).await;
                matches!(seen, Ok(Some(_))).then(|| step.address.clone())
            }
            .boxed()
        })
        .collect();
    stream::iter(tries).buffer_unordered(SIGN_INS).filter_map(std::future::ready).collect().await
}

#[cfg(test)]
mod tests {
    use super::stored;
    use crate::services::kafka::model::User;

    #[test]
    fn a_password_that_was_set_by_hand_stores_something_else() {
        let user = |mechanism: Option<&str>, iterations| User {
            name: "shop".to_owned(),
            mechanism: mechanism.map(str::to_owned),
            iterations,
            other_mechanisms: None,
            generated: None,
        };
        assert_eq!(stored(&user(Some("SCRAM-SHA-512"), Some(4096)), None, None).as_deref(), Some("SCRAM-SHA-512/4096"));
        let one = stored(&user(Some("SCRAM-SHA-512"), None), None, Some("2026-01-01T00:00:00Z"));
        let other = stored(&user(Some("SCRAM-SHA-512"), None), None, Some("2026-01-02T00:00:00Z"));
        assert_ne!(one, other);
        // What the broker has is not known: another wish is not as before.
        let unknown = user(None, None);
        assert_ne!(stored(&unknown, Some("SCRAM-SHA-256"), None), stored(&unknown, Some("SCRAM-SHA-512"), None));
        assert_eq!(stored(&unknown, None, None), None);
    }
}
