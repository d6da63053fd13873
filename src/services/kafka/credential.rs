//! Whether the published password of a user is the one that the broker has.

use super::connect::signs_in;
use super::model::User;
use super::trouble::Trouble;
use crate::config::KafkaConfig;
use crate::core::secret::Secret;
use crate::services::{CredentialStatus, Fingerprint, Proof};
use sha2::{Digest, Sha256};

/// What state may keep of a password: its digest, and what the broker tells about what it stores.
pub fn fingerprint(user: &User, password: &Secret) -> Fingerprint {
    let digest = Sha256::digest(password.expose().as_bytes());
    let password = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Fingerprint { password, stored: Some(format!("{}/{}", user.mechanism, user.iterations)) }
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
    if proof.staged.is_some() {
        return Ok(CredentialStatus::Staged);
    }
    let Some(published) = &proof.published else { return Ok(CredentialStatus::Absent) };
    if !probe && proof.fingerprint.as_ref() == Some(&fingerprint(user, published)) {
        return Ok(CredentialStatus::Verified);
    }
    let works = signs_in(config, &user.name, &user.mechanism, published).await?;
    Ok(if works { CredentialStatus::Verified } else { CredentialStatus::Wrong })
}
