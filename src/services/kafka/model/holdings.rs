//! What a topic holds and who uses it: never managed, but told before any of it is lost. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What could not be read if it is not known how many messages there are.
pub const CONTENT: &str = "what it holds";

/// What could not be read if not every consumer group was asked.
pub const GROUPS: &str = "how far all consumer groups are";

/// Facts of a topic. `None` was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// Messages at most: what compaction removed and what transactions wrote for themselves counts.
    pub messages: Option<u64>,
    /// Keys, values and headers of all messages before compression, by a sample of the last ones.
    pub size_bytes: Option<u64>,
    /// The greatest timestamp of a message, which its producer chose: 2026-12-31 13:05 UTC.
    pub last_message: Option<String>,
    /// Consumer groups that committed offsets of it, or read it now.
    pub groups: Option<BTreeMap<String, Reading>>,
    /// Why it is not known of all consumers whether they read it now.
    pub consumers_unseen: Option<String>,
    /// Principals that no infraspec in this run declares, with what ACLs that name the topic allow or deny them.
    pub acls_of_others: Option<BTreeMap<String, BTreeSet<String>>>,
    /// The same of principals that are ours, of apps that this run leaves out.
    pub acls_left_out: Option<BTreeMap<String, BTreeSet<String>>>,
    /// What could not be read, and why.
    pub unread: Option<BTreeMap<String, String>>,
}

/// How far a consumer group has read a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Messages at most that it has not read yet; `None` if it committed nothing.
    pub behind: Option<u64>,
    /// Consumers that read the topic now.
    pub members: u64,
    /// It committed where no partition answered, so that it may be further behind.
    #[serde(default)]
    pub unsure: bool,
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

    /// Consumers that read it now.
    pub fn members(&self) -> u64 {
        self.groups.iter().flatten().map(|(_, reading)| reading.members).sum()
    }

    /// Whether somebody reads it now, or may, as not everybody was seen.
    pub fn may_be_read(&self) -> bool {
        self.members() > 0 || self.consumers_unseen.is_some() || self.groups.is_none()
    }

    /// Whether all groups that ever read it are known.
    pub fn knows_all_groups(&self) -> bool {
        let unread = self.unread.as_ref().is_some_and(|unread| unread.contains_key(GROUPS));
        self.groups.is_some() && self.consumers_unseen.is_none() && !unread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_no_fact() {
        let groups = BTreeMap::from([("shop".to_owned(), Reading { members: 2, ..Reading::default() })]);
        let some = Holdings { messages: Some(0), groups: Some(groups), ..Holdings::default() };
        assert_eq!(some.facts().keys().collect::<Vec<_>>(), ["groups", "messages"]);
        assert_eq!((Holdings::of(&some.facts()), some.members()), (some.clone(), 2));
        assert!(some.may_be_read() && some.knows_all_groups() && Holdings::default().may_be_read());
        let none = Holdings { groups: Some(BTreeMap::new()), ..Holdings::default() };
        assert!(!none.may_be_read() && none.knows_all_groups());
        let unseen = Holdings { consumers_unseen: Some("no right".to_owned()), ..none };
        assert!(unseen.may_be_read() && !unseen.knows_all_groups());
    }
}
