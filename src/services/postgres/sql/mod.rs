//! The statements that change roles, databases and privileges: pure.

pub mod database;
pub mod grant;
pub mod lock_down;
pub mod membership;
pub mod role;

use std::collections::BTreeSet;

/// Settings whose value is a list of names; as one string the server would take the whole for one name.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
];

/// Whether a setting's value is a list of names.
pub fn is_list(setting: &str) -> bool {
    LISTS.contains(&setting)
}

fn list(privileges: &BTreeSet<String>) -> String {
    privileges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
