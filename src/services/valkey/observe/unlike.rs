//! In what a user is not the same on two nodes, in words.

use crate::core::change::{FieldChange, Resource, three_way};
use crate::core::listing::some;
use crate::services::valkey::acl::{Meaning, covers};
use crate::services::valkey::model::User;
use crate::services::valkey::presets::Server;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many keys or commands are named of each field.
const SHOWN: usize = 5;

/// The fields in which `other` is not as `one`, each with what it has beyond it and what it lacks:
/// `keys: also ~*; commands: also keys, without get`. `server` is where `other` is.
pub fn unlike(one: &User, other: &User, server: &Server) -> Vec<String> {
    let changes = three_way(&one.fields(), &other.fields(), None).changes;
    changes.into_iter().map(|change| told(&change, one, other, server)).collect()
}

fn told(change: &FieldChange, one: &User, other: &User, server: &Server) -> String {
    let field = change.field.as_str();
    let (ours, theirs) = match field {
        "commands" => {
            let meaning = Meaning::new(&server.catalogue);
            let rules = |user: &User| user.commands.clone().unwrap_or_default();
            let allowed = |user: &User| meaning.allowed(&rules(user)).map(|all| (*all).clone());
            let (Some(ours), Some(theirs)) = (allowed(one), allowed(other)) else { return field.to_owned() };
            (ours, theirs)
        }
        "keys" | "channels" | "selectors" => (set(&change.after), set(&change.before)),
        _ => return field.to_owned(),
    };
    let said: Vec<String> = [("also", beyond(&theirs, &ours)), ("without", beyond(&ours, &theirs))]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", some(names, SHOWN)))
        .collect();
    if said.is_empty() { field.to_owned() } else { format!("{field}: {}", said.join(", ")) }
}

/// What some have that no other one covers.
fn beyond<'a>(some: &'a BTreeSet<String>, others: &'a BTreeSet<String>) -> Vec<&'a String> {
    some.difference(others).filter(|one| !others.iter().any(|wide| covers(wide, one))).collect()
}

fn set(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_has_beyond_another_is_named() {
        let user = |keys: &[&str], channels: &[&str]| {
            let set = |some: &[&str]| Some(some.iter().map(|one| (*one).to_owned()).collect());
            User { keys: set(keys), channels: set(channels), ..User::new("cafe") }
        };
        let of = |one: &User, other: &User| unlike(one, other, &Server::default());
        let ours = user(&["~cafe:*"], &["&cafe:*"]);
        assert_eq!(of(&ours, &user(&["~*"], &["&cafe:*"])), ["keys: also ~*"]);
        assert_eq!(
            of(&ours, &user(&["~a:*", "~b:*"], &[])),
            ["keys: also ~a:*, ~b:*, without ~cafe:*", "channels: without &cafe:*"]
        );
        assert_eq!(of(&ours, &user(&["%R~cafe:*"], &["&*"])), ["keys: without ~cafe:*", "channels: also &*"]);
        assert_eq!(of(&ours, &User { enabled: true, ..ours.clone() }), ["enabled"]);
    }
}
