//! Whether the published password of a user is the one that the broker has.

use super::client::connect::signs_in;
use super::client::trouble::Trouble;
use super::model::User;
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::services::{CredentialStatus, Fingerprint, Proof};

/// What state may keep of a password: its digest, and what the broker tells about what it stores.
pub fn fingerprint(user: &User, password: &Secret) -> Fingerprint {
    Fingerprint { password: password.sha256(), stored: Some(format!("{}/{}", user.mechanism, user.iterations)) }
}

/// Compares fingerprints where they exist, and signs in where they do not, or where that is asked for (`probe`).
///
/// # Errors
/// A sign-in that was neither let in nor refused.
pub async fn status(
    config: &KafkaConfig,
    user: &User,
    proof: &Proof,
    probe: bool,
) -> Result<CredentialStatus, Trouble> {
    let published = match proof.to_try() {
        Ok(published) => published,
        Err(status) => return Ok(status),
    };
    if !probe && proof.fingerprint.as_ref() == Some(&fingerprint(user, published)) {
        return Ok(CredentialStatus::Verified);
    }
    let works = signs_in(config, &user.name, &user.mechanism, published).await?;
    Ok(if works { CredentialStatus::Verified } else { CredentialStatus::Wrong })
}
