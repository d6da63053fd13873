//! What is said of nodes that could not be asked while something was done on the others.

use super::clean;
use crate::core::listing::some;
use std::collections::BTreeSet;

/// How many nodes are named.
const NAMED: usize = 5;

/// Which nodes did not get what was done to so many users; nothing if that is none, or every node was there.
pub(super) fn not_everywhere(absent: &BTreeSet<String>, users: usize) -> Option<String> {
    if absent.is_empty() || users == 0 {
        return None;
    }
    let nodes = clean(&some(absent, NAMED));
    let (users, were) = if users == 1 { ("1 user".to_owned(), "was") } else { (format!("{users} users"), "were") };
    Some(format!(
        "{nodes} could not be reached: {users} {were} not set there; the next apply after it is back does that."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_missed_something_are_named() {
        let absent = BTreeSet::from(["10.0.0.7:6379".to_owned()]);
        assert_eq!(not_everywhere(&BTreeSet::new(), 3), None);
        assert_eq!(not_everywhere(&absent, 0), None);
        let said = not_everywhere(&absent, 3).unwrap();
        assert!(said.starts_with("10.0.0.7:6379 could not be reached: 3 users were not set there;"), "{said}");
    }
}
