//! The keys of a namespace, as something that goes with its app: an app whose infraspec says
//! `on_destroy = "purge-keys"` has them. The state remembers it when there is no infraspec any more.

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub const KEYS: Kind = Kind::new("valkey.keys");

/// Namespaces of other databases than the first are told apart by their number: `valkey.keys.shop/3`.
pub fn keys_address(keys: &Keys) -> Address {
    let Keys { namespace, db } = keys;
    Address::new(KEYS, if *db == 0 { namespace.clone() } else { format!("{namespace}/{db}") })
}

/// What becomes of an app's keys when its user is destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDestroy {
    #[default]
    KeepKeys,
    PurgeKeys,
}

/// All keys that start with `<namespace>:` in one database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Keys {
    pub namespace: String,
    /// The number of the database.
    pub db: u32,
}

impl Resource for Keys {
    fn fields(&self) -> Vec<Field> {
        let Self { namespace, db } = self;
        vec![Field::new("namespace", namespace), Field::new("db", db)]
    }
}

impl Keys {
    /// Whether a key is one of these. In a cluster the namespace may be the key's hash tag.
    pub fn has(&self, key: &[u8], cluster: bool) -> bool {
        namespace_of(key, cluster) == Some(self.namespace.as_bytes())
    }

    /// A pattern for `SCAN` that all of them match; [`Keys::has`] says which keys are meant.
    pub fn pattern(&self, cluster: bool) -> String {
        // Namespaces are `[a-z0-9-]+`: nothing in them means anything to a pattern.
        if cluster { format!("*{}*", self.namespace) } else { format!("{}:*", self.namespace) }
    }
}

/// What stands before the first colon of a key, in a cluster without the braces of a hash tag.
pub fn namespace_of(key: &[u8], cluster: bool) -> Option<&[u8]> {
    let end = key.iter().position(|byte| *byte == b':')?;
    let name = key.get(..end)?;
    let tagged = name.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).filter(|_| cluster);
    Some(tagged.unwrap_or(name))
}

/// What was found, before anything of it is destroyed. `None` was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// Keys in the namespace.
    pub keys: Option<u64>,
    /// What they take, by a sample of them.
    pub size_bytes: Option<u64>,
    /// Whether the number of keys was estimated from a part of the database.
    pub sampled: Option<bool>,
    /// Connections of the user.
    pub clients: Option<u64>,
    /// Users of others whose rules reach the keys.
    pub reached_by: Option<BTreeSet<String>>,
    /// Why something could not be read.
    pub unread: Option<String>,
    /// Sentinels that have the user and are not looked after.
    pub sentinels: Option<BTreeSet<String>>,
}

impl Holdings {
    /// What is known, by name, as it travels among the facts of an observation.
    pub fn facts(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(facts)) = serde_json::to_value(self) else { return BTreeMap::new() };
        facts.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// Reads the facts of an observation.
    pub fn of(facts: &BTreeMap<String, Value>) -> Self {
        let facts = facts.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        serde_json::from_value(Value::Object(facts)).unwrap_or_default()
    }

    /// `12,000 keys`, `1 key`.
    pub fn count(keys: u64) -> String {
        let digits = keys.to_string();
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        format!("{grouped} {}", if keys == 1 { "key" } else { "keys" })
    }

    /// Whether it is certain that there are no keys.
    pub fn are_none(&self) -> bool {
        self.keys == Some(0) && self.sampled == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_the_namespace_are_meant() {
        let keys = Keys { namespace: "mail".to_owned(), db: 0 };
        for (key, alone, in_cluster) in [
            ("mail:k", true, true),
            ("mail:", true, true),
            ("{mail}:k", false, true),
            ("mail", false, false),
            ("mail-agent:k", false, false),
            ("amail:k", false, false),
            ("a:mail:k", false, false),
            ("{mail:k", false, false),
        ] {
            assert_eq!((keys.has(key.as_bytes(), false), keys.has(key.as_bytes(), true)), (alone, in_cluster), "{key}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let counts = [0, 1, 999, 1_000, 12_345_678].map(Holdings::count);
        assert_eq!(counts, ["0 keys", "1 key", "999 keys", "1,000 keys", "12,345,678 keys"]);
    }

    #[test]
    fn what_is_unknown_is_no_fact() {
        let some = Holdings { keys: Some(0), sampled: Some(false), ..Holdings::default() };
        assert_eq!(some.facts().keys().collect::<Vec<_>>(), ["keys", "sampled"]);
        assert_eq!(Holdings::of(&some.facts()), some);
        assert!(some.are_none() && !Holdings::default().are_none());
    }
}
