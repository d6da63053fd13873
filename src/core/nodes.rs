//! The nodes of a service that is more than one server.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Nodes by address. Of a service that is one server, and was one before, there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nodes {
    /// Those that were read.
    pub here: BTreeSet<String>,
    /// Those that belong to it and could not be asked.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub absent: BTreeSet<String>,
    /// Of those that were read, the ones that were absent when something was last written to the others.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub back: BTreeSet<String>,
    /// Those that earlier runs met, and that are none of its nodes any more: the next apply forgets them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<String>,
}

impl Nodes {
    /// Whether there is one server and nothing else to say.
    pub fn is_one(&self) -> bool {
        self.here.len() <= 1 && self.absent.is_empty() && self.left.is_empty()
    }

    /// As a report's head says it: `3 nodes`, `3 nodes, 1 of them absent`.
    pub fn describe(&self) -> Option<String> {
        let all = self.here.len() + self.absent.len();
        match (all, self.absent.len()) {
            (0 | 1, _) => None,
            (_, 0) => Some(format!("{all} nodes")),
            (_, absent) => Some(format!("{all} nodes, {absent} of them absent")),
        }
    }

    /// What is to be remembered from now on, of what was remembered until now: everything that was met and has not left.
    /// Of one server alone, nothing.
    #[must_use]
    pub fn remembered(&self, before: &BTreeSet<String>) -> BTreeSet<String> {
        let after: BTreeSet<String> = before.difference(&self.left).chain(&self.here).cloned().collect();
        if after.len() > 1 { after } else { BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_met_is_remembered_until_it_leaves() {
        let met = |here: &[&str], absent: &[&str], left: &[&str]| Nodes {
            here: set(here),
            absent: set(absent),
            left: set(left),
            ..Nodes::default()
        };
        let remembered = |nodes: Nodes, before: &[&str]| nodes.remembered(&set(before));
        assert_eq!(remembered(met(&["a"], &[], &[]), &[]), set(&[]));
        assert_eq!(remembered(met(&["a", "b"], &[], &[]), &[]), set(&["a", "b"]));
        // Another one that nobody has met yet may be anything.
        assert_eq!(remembered(met(&["a"], &["b", "c"], &[]), &["a", "b"]), set(&["a", "b"]));
        assert_eq!(remembered(met(&["a"], &[], &["b"]), &["a", "b"]), set(&[]));
        assert_eq!(remembered(met(&["b", "c"], &[], &[]), &["a", "b"]), set(&["a", "b", "c"]));
    }

    #[test]
    fn heads_count_nodes() {
        let nodes = |here: &[&str], absent: &[&str]| Nodes { here: set(here), absent: set(absent), ..Nodes::default() };
        assert_eq!(nodes(&["a"], &[]).describe(), None);
        assert_eq!(nodes(&["a", "b", "c"], &[]).describe().as_deref(), Some("3 nodes"));
        assert_eq!(nodes(&["a"], &["b"]).describe().as_deref(), Some("2 nodes, 1 of them absent"));
        assert!(nodes(&["a"], &[]).is_one() && !nodes(&["a"], &["b"]).is_one());
    }
}
