//! What a role passed on to others: it goes with the role's right to pass on. Pure.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many places are named.
const NAMED: usize = 3;

/// Who got something from a role, directly or through others, and on what (`app.t`, `the database`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PassedOn(BTreeMap<String, BTreeSet<String>>);

impl PassedOn {
    /// The name under which it travels among the facts of a grant.
    pub const FACT: &str = "passed_on";

    /// Adds what was given on one place, as pairs of who gave and who got.
    pub fn add(&mut self, role: &str, place: &str, gifts: &BTreeSet<(String, String)>) {
        let mut reached = vec![role];
        while let Some(giver) = reached.pop() {
            for (_, taker) in gifts.iter().filter(|(from, to)| from == giver && to != role) {
                if self.0.entry(taker.clone()).or_default().insert(place.to_owned()) {
                    reached.push(taker);
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Such as "PUBLIC (the database) and stranger (app.t, app.v)".
    pub fn words(&self) -> String {
        let places = |places: &BTreeSet<String>| match places.len() {
            0..=NAMED => places.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            many => format!("{many} objects"),
        };
        let each: Vec<String> = self.0.iter().map(|(role, on)| format!("{role} ({})", places(on))).collect();
        match each.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            Some(_) | None => each.concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gifts(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn what_was_passed_on_further_goes_too_and_nothing_else() {
        let mut passed = PassedOn::default();
        passed.add("ada", "app.t", &gifts(&[("ada", "bob"), ("bob", "cleo"), ("cleo", "bob"), ("dora", "emil")]));
        passed.add("ada", "the database", &gifts(&[("ada", "bob"), ("bob", "ada")]));
        assert_eq!(passed.words(), "bob (app.t, the database) and cleo (app.t)");
        for place in ["a", "b", "c"] {
            passed.add("ada", place, &gifts(&[("ada", "cleo")]));
        }
        assert_eq!(passed.words(), "bob (app.t, the database) and cleo (4 objects)");
        passed = PassedOn::default();
        passed.add("ada", "app.t", &gifts(&[("dora", "emil")]));
        assert!(passed.is_empty() && passed.words().is_empty());
    }
}
