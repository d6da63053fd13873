//! What belongs to others than the app in one database, in numbers and in words. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fact of a database that holds a map of owner and [`Belongings`].
pub const FACT: &str = "objects_of_others";

/// What one role owns in a database that is not its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Belongings {
    pub superuser: bool,
    /// How many of each kind (`table`, `materialised view`).
    pub kinds: BTreeMap<String, u64>,
    /// Functions among them that run with their owner's rights (SECURITY DEFINER).
    pub definers: u64,
    /// The owner's sessions in this database.
    pub sessions: u64,
}

impl Belongings {
    pub fn total(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// Such as "12 tables and 3 sequences", the most first.
    pub fn words(&self) -> String {
        let mut kinds: Vec<(&str, u64)> = self.kinds.iter().map(|(kind, number)| (kind.as_str(), *number)).collect();
        kinds.sort_by_key(|(kind, number)| (std::cmp::Reverse(*number), *kind));
        let words: Vec<String> = kinds.into_iter().map(|(kind, number)| several(number, kind)).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            Some((last, _)) => last.clone(),
            None => "nothing".to_owned(),
        }
    }
}

/// How many objects each owner has.
pub fn totals(belongings: &BTreeMap<String, Belongings>) -> BTreeMap<String, u64> {
    belongings.iter().map(|(owner, one)| (owner.clone(), one.total())).collect()
}

/// A number and what is counted, in the plural where it is one.
pub fn several(number: u64, what: &str) -> String {
    let plural = match what.strip_suffix('y') {
        _ if number == 1 || what.ends_with("statistics") => what.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None if what.ends_with("ss") => format!("{what}es"),
        None => format!("{what}s"),
    };
    format!("{number} {plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_named_before_few() {
        let kinds = [("table", 12), ("sequence", 3), ("operator class", 2), ("operator family", 2), ("schema", 1)];
        let kinds = kinds.into_iter().map(|(kind, number)| (kind.to_owned(), number)).collect();
        let one = Belongings { kinds, ..Belongings::default() };
        assert_eq!(one.words(), "12 tables, 3 sequences, 2 operator classes, 2 operator families and 1 schema");
        assert_eq!(one.total(), 20);
        assert_eq!(several(2, "extended statistics"), "2 extended statistics");
    }
}
