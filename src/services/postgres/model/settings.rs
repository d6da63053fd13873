//! Settings of a role or a database, as they are compared. Pure.

use std::collections::BTreeMap;

/// Settings whose value is a list of names; as one string the server would take the whole for one name.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
];

/// Names in lower case, lists without the quotes of the server and with even spaces.
pub fn canonical_settings(settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.iter().map(|(name, value)| canonical_setting(name, value)).collect()
}

fn canonical_setting(name: &str, value: &str) -> (String, String) {
    let name = name.to_lowercase();
    let value = list(&name, value).map_or_else(|| value.to_owned(), |items| items.join(", "));
    (name, value)
}

/// The names in the value of a setting that is a list of names.
pub fn list<'a>(setting: &str, value: &'a str) -> Option<Vec<&'a str>> {
    LISTS.contains(&setting).then(|| value.split(',').map(|item| item.trim().trim_matches('"')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_spelled_alike_and_nothing_else_is_touched() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(canonical_setting("Search_Path", "\"$user\",public"), pair("search_path", "$user, public"));
        assert_eq!(canonical_setting("app.names", "\"a\",b"), pair("app.names", "\"a\",b"));
    }
}
