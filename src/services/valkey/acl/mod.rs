//! The language of access rules: how servers write it, and what it means.

mod bytes;
mod catalogue;
mod effort;
mod machine;
mod meaning;
mod pattern;
mod reach;
mod rules;
mod saved;

pub use bytes::readable;
pub use catalogue::{Catalogue, Command, KeyUse, Need};
pub use meaning::{Meaning, differ_in_text};
pub use pattern::{covers, includes, overlap};
pub use rules::{Account, Rules, parse_line, parts, rules_of, setuser};
pub use saved::saved_accounts;
