//! `moved`: what resources were called once, so that they are renamed and not made anew. As Terraform's `moved` blocks do,
//! it may stay in the file when it is done: other environments come later.

use crate::core::address::Address;
use crate::error::{Diagnostic, Kind, Place};
use std::collections::{BTreeMap, BTreeSet};

/// One resource that has another name from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub from: Address,
    pub to: Address,
    /// Where it is written.
    pub place: Place,
}

impl Move {
    fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Kind::Config, message).at(self.place.clone())
    }
}

/// What can be named in `moved`; everything else follows what it belongs to.
const KINDS: [&str; 6] = ["app", "postgres.database", "postgres.role", "valkey.user", "kafka.user", "kafka.topic"];

/// Checks the moves by themselves, and lets each lead to where its chain ends: `a -> b` and `b -> c` mean that both a and b
/// are c by now.
pub fn resolve(moves: Vec<Move>, wrong: &mut Vec<Diagnostic>) -> Vec<Move> {
    let mut next: BTreeMap<&Address, &Address> = BTreeMap::new();
    let mut into: BTreeMap<&Address, &Address> = BTreeMap::new();
    let before = wrong.len();
    for one in &moves {
        let Move { from, to, .. } = one;
        if let Some(error) = kinds(one) {
            wrong.push(error);
        } else if from == to {
            wrong
                .push(one.wrong(format!("moved: {from} is to become itself")).hint("name two addresses, or remove it"));
        } else if let Some(other) = next.insert(from, to) {
            wrong.push(
                one.wrong(format!("moved: {from} is to become both {other} and {to}"))
                    .hint("keep the one that is right"),
            );
        } else if let Some(other) = into.insert(to, from) {
            let error = one.wrong(format!("moved: both {other} and {from} are to become {to}"));
            wrong.push(error.hint("two cannot be made into one: keep the one whose data it shall have"));
        }
    }
    if wrong.len() > before {
        return Vec::new();
    }
    let mut resolved = Vec::new();
    for one in &moves {
        let mut seen = BTreeSet::from([&one.from]);
        let mut to = &one.to;
        while let Some(further) = next.get(to) {
            if !seen.insert(to) {
                break;
            }
            to = further;
        }
        if seen.contains(to) {
            let error = one.wrong(format!("moved: {} goes round in a circle", one.from));
            wrong.push(error.hint("names cannot be exchanged in one run: move one of them to a third name first"));
            continue;
        }
        resolved.push(Move { to: to.clone(), ..one.clone() });
    }
    resolved
}

fn kinds(one: &Move) -> Option<Diagnostic> {
    let Move { from, to, .. } = one;
    if from.kind != to.kind {
        let error = one.wrong(format!("moved: {from} and {to} are of different kinds"));
        return Some(error.hint("only a name can change: what stands before it is the same on both sides"));
    }
    if KINDS.contains(&from.kind.as_str()) {
        return None;
    }
    let hint = match from.kind.as_str() {
        "postgres.grant" => "grants follow their database and their role: move these".to_owned(),
        "kafka.acl" => "ACLs follow their user: move kafka.user".to_owned(),
        "valkey.keys" => "Valkey cannot rename keys: keep `namespace = \"...\"` as it is in the infraspec".to_owned(),
        "secret" => format!("what is published follows its app: move app.{}", from.name),
        _ => format!("known are {}", KINDS.join(", ")),
    };
    Some(one.wrong(format!("moved: a {} has no name to be given another", from.kind)).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn resolved(moves: &[(&str, &str)]) -> Result<Vec<(String, String)>, Vec<String>> {
        let one = |(from, to): &(&str, &str)| Move {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            place: Place::File(PathBuf::new()),
        };
        let mut wrong = Vec::new();
        let resolved = resolve(moves.iter().map(one).collect(), &mut wrong);
        assert!(wrong.iter().all(|error| error.hint.is_some() && error.place.is_some()));
        if wrong.is_empty() {
            Ok(resolved.into_iter().map(|one| (one.from.name, one.to.name)).collect())
        } else {
            Err(wrong.into_iter().map(|error| error.message).collect())
        }
    }

    #[test]
    fn chains_lead_to_their_end() {
        let chain = [("postgres.role.b", "postgres.role.c"), ("postgres.role.a", "postgres.role.b")];
        let expected = [("b", "c"), ("a", "c")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(resolved(&chain), Ok(expected.to_vec()));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let (a, b, c) = ("postgres.role.a", "postgres.role.b", "postgres.role.c");
        for (moves, message) in [
            (vec![(a, b), (b, a)], "round in a circle"),
            (vec![(a, b), (b, c), (c, a)], "round in a circle"),
            (vec![(a, a)], "become itself"),
            (vec![(a, b), (a, c)], "is to become both"),
            (vec![(a, c), (b, c)], "both postgres.role.a and postgres.role.b are to become"),
            (vec![(a, "postgres.database.b")], "of different kinds"),
            (vec![("postgres.grant.a/b", "postgres.grant.c/b")], "has no name to be given another"),
            (vec![("valkey.keys.a", "valkey.keys.b")], "has no name to be given another"),
        ] {
            let wrong = resolved(&moves).unwrap_err();
            assert!(wrong.iter().all(|wrong| wrong.contains(message)), "{wrong:?}");
        }
    }
}
