//! Settings of a role, or of a database.

use crate::error::Diagnostic;
use crate::spec::fields::{MOST_ERRORS, Setting, shown};
use crate::spec::units;
use std::collections::BTreeMap;

/// Checks names and values, and spells the values as PostgreSQL does. Whether the server knows a setting is seen when
/// it is asked: extensions have their own.
pub fn resolve(written: &[Setting], errors: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    for (name, value) in written {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        if name.value.is_empty() || !name.value.chars().all(legal) {
            let error = name.spot.error(format!("{:?} is no name of a setting", shown(&name.value)));
            errors.push(error.hint("such as statement_timeout or work_mem, in lower case"));
        }
        if ["role", "session_authorization"].contains(&name.value.as_str()) {
            let error = name.spot.error(format!("{} would let the app act as another role", name.value));
            errors.push(error.hint("leave it out"));
        }
        if value.value.chars().any(char::is_control) {
            let error = value.spot.error("there is a line break or control character in this value");
            errors.push(error.hint("remove it"));
        }
    }
    written.iter().map(|(name, value)| (name.value.clone(), units::setting(&value.value))).collect()
}
