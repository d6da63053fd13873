//! The statements that change roles, databases and privileges: pure.

pub mod database;
pub mod extension;
pub mod grant;
pub mod lock_down;
pub mod membership;
pub mod role;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::{BTreeMap, BTreeSet};

/// Settings whose value is a list of names; as one string the server would take the whole for one name.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
];

/// Whether a setting's value is a list of names.
fn is_list(setting: &str) -> bool {
    LISTS.contains(&setting)
}

/// Settings as they are compared: names in lower case, lists without the quotes of the server and with even spaces.
pub fn canonical_settings(settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.iter().map(|(name, value)| canonical_setting(name, value)).collect()
}

fn canonical_setting(name: &str, value: &str) -> (String, String) {
    let name = name.to_lowercase();
    let value = if is_list(&name) {
        value.split(',').map(|item| item.trim().trim_matches('"')).collect::<Vec<_>>().join(", ")
    } else {
        value.to_owned()
    };
    (name, value)
}

/// `name TO value`, as it stands behind SET.
fn assignment(name: &str, value: &str) -> String {
    let value = if is_list(name) {
        let items: Vec<String> = value.split(',').map(|item| escape_literal(item.trim().trim_matches('"'))).collect();
        items.join(", ")
    } else {
        escape_literal(value)
    };
    format!("{} TO {value}", escape_identifier(name))
}

fn list(privileges: &BTreeSet<String>) -> String {
    privileges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
