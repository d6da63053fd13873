//! Settings of a role, or of a database.

use crate::error::Diagnostic;
use crate::spec::fields::{MOST_ERRORS, Setting, shown};
use crate::spec::units;
use std::collections::BTreeMap;

const ACTS: &str = "would let the app act as another role";
const LOADS: &str = "loads code into every session, an administrator's too";
const FINDS: &str = "says where the server finds the code that it runs";
const SERVER_ONLY: &str = "leave it out; who looks after the server may set it there for everybody (ALTER SYSTEM)";

/// What no infraspec may set: why, and what to do.
const FORBIDDEN: [(&str, &str, &str); 6] = [
    ("role", ACTS, "leave it out"),
    ("session_authorization", ACTS, "leave it out"),
    ("session_preload_libraries", LOADS, SERVER_ONLY),
    ("local_preload_libraries", LOADS, SERVER_ONLY),
    ("dynamic_library_path", FINDS, SERVER_ONLY),
    ("extension_control_path", FINDS, SERVER_ONLY),
];

/// Checks names and values, and spells the values as PostgreSQL does. Whether the server knows a setting is seen when
/// it is asked: extensions have their own.
pub fn resolve(written: &[Setting], errors: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    for (name, value) in written {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        if !name.value.split('.').all(is_word) {
            let error = name.spot.error(format!("{:?} is no name of a setting", shown(&name.value)));
            let lower = name.value.to_lowercase();
            let meant = lower.split('.').all(is_word).then(|| format!("did you mean {:?}?", shown(&lower)));
            errors.push(
                error.hint(meant.unwrap_or_else(|| "such as statement_timeout or work_mem, in lower case".into())),
            );
        }
        if let Some((_, why, hint)) = FORBIDDEN.iter().find(|(forbidden, ..)| *forbidden == name.value) {
            errors.push(name.spot.error(format!("{} {why}", name.value)).hint(*hint));
        }
        if value.value.chars().any(char::is_control) {
            let error = value.spot.error("there is a line break or control character in this value");
            errors.push(error.hint("remove it"));
        }
    }
    written.iter().map(|(name, value)| (name.value.clone(), units::setting(&value.value))).collect()
}

/// A name, or one part of a name that has dots. The server takes some more, which none of its settings has.
fn is_word(part: &str) -> bool {
    let begins = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
