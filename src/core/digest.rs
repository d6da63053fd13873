//! Digests, in the one form in which they are kept and shown.

use sha2::{Digest, Sha256};

/// sha256 in lower-case hexadecimal digits.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
