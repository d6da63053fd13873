//! A value that must never be seen.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A password, or a text with one in it. It cannot be printed, compared by accident or serialised, and is wiped
/// from memory when dropped.
///
/// ```compile_fail
/// let secret = nornplan::core::secret::Secret::new("x".to_owned());
/// println!("{secret}");
/// ```
/// ```compile_fail
/// let secret = nornplan::core::secret::Secret::new("x".to_owned());
/// serde_json::to_string(&secret).unwrap();
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The plaintext: only for what sends it to where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// sha256 in lower-case hex. It shows nothing of a secret that cannot be guessed.
    pub fn sha256(&self) -> String {
        super::digest::sha256(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
