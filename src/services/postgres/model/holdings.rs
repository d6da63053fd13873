//! What a database holds and who is in it: never managed, but told before it is dropped. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Facts of a database. `None` was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// Our own do not count.
    pub sessions: Option<u64>,
    pub size_bytes: Option<u64>,
    pub tables: Option<u64>,
    /// As the last ANALYZE counted them.
    pub rows: Option<u64>,
    /// Tables with something in them that were never counted.
    pub unknown_rows: Option<u64>,
    /// A day, such as 2026-12-31.
    pub last_used: Option<String>,
    /// Who is connected now.
    pub users: Option<String>,
    /// Why it could not be read what it holds.
    pub unread: Option<String>,
}

impl Holdings {
    /// What is known, by name, as it travels among the facts of an observation.
    pub fn facts(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(facts)) = serde_json::to_value(self) else { return BTreeMap::new() };
        facts.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_no_fact() {
        let some = Holdings { sessions: Some(0), users: Some("ada".to_owned()), ..Holdings::default() };
        let facts = some.facts();
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["sessions", "users"]);
        assert_eq!(serde_json::from_value::<Holdings>(serde_json::to_value(facts).unwrap()).unwrap(), some);
    }
}
