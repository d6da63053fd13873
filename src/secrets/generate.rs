//! New passwords, from the operating system's randomness.

use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Characters in a password: 62^32 is about 190 bits.
pub const LENGTH: usize = 32;

/// A password of 32 letters and digits, safe in URLs, dotenv files and JAAS.
///
/// # Errors
/// The operating system gives no randomness.
pub fn password() -> Result<Secret> {
    let mut password = String::with_capacity(LENGTH);
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while password.len() < LENGTH {
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
            Diagnostic::new(Kind::Secrets, "the operating system gives no randomness for a password").because(error)
        })?;
        password.extend(bytes.iter().filter_map(|byte| letter(*byte)).take(LENGTH - password.len()));
    }
    Ok(Secret::new(password))
}

/// Bytes from 248 on are passed by: 248 is the largest multiple of 62 in a byte, so no letter is likelier than another.
fn letter(byte: u8) -> Option<char> {
    let evenly = usize::from(byte) < 256 / ALPHABET.len() * ALPHABET.len();
    evenly.then(|| ALPHABET.get(usize::from(byte) % ALPHABET.len()).map(|letter| char::from(*letter))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_letter_comes_from_equally_many_bytes() {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for letter in (0..=u8::MAX).filter_map(letter) {
            *counts.entry(letter).or_default() += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn long_enough_and_never_twice() {
        let many: BTreeSet<String> = (0..200).map(|_| password().unwrap().expose().to_owned()).collect();
        assert_eq!(many.len(), 200);
        assert!(many.iter().all(|one| one.len() == LENGTH && one.chars().all(|c| c.is_ascii_alphanumeric())));
    }
}
