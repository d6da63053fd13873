//! In what a user is not the same on two nodes, in words.

use crate::core::change::{Resource, three_way};
use crate::core::listing::some;
use crate::services::valkey::model::User;
use crate::services::valkey::powers::{Beyond, Judge, Opens};
use std::collections::BTreeSet;

/// How many keys or commands are named of each field.
const SHOWN: usize = 5;

/// The fields in which `other` is not as `one`, each with what it has beyond it and what it lacks:
/// `keys: also ~*; commands: also keys, without get`. `judge` knows the server where `other` is.
pub fn unlike(one: &User, other: &User, judge: &Judge<'_>) -> Vec<String> {
    let changes = three_way(&one.fields(), &other.fields(), None).changes;
    if changes.is_empty() {
        return Vec::new();
    }
    let (ours, theirs) = (judge.powers(one), judge.powers(other));
    let (more, less) = (judge.beyond(&theirs, &ours), judge.beyond(&ours, &theirs));
    changes.into_iter().map(|change| told(&change.field, &more, &less)).collect()
}

fn told(field: &str, more: &Beyond, less: &Beyond) -> String {
    let said: Vec<String> = [("also", names(field, more)), ("without", names(field, less))]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word} {}", some(names, SHOWN)))
        .collect();
    if said.is_empty() { field.to_owned() } else { format!("{field}: {}", said.join(", ")) }
}

fn names(field: &str, beyond: &Beyond) -> Vec<String> {
    let all = |names: &BTreeSet<String>| names.iter().cloned().collect();
    match field {
        "commands" => all(&beyond.commands),
        "keys" => all(&beyond.opens.keys),
        "channels" => all(&beyond.opens.channels),
        "selectors" => beyond.selectors.iter().map(|(opens, commands)| selector(opens, commands)).collect(),
        _ => Vec::new(),
    }
}

/// `(~a:* db=0: get, set and 3 more)`
fn selector(opens: &Opens, commands: &BTreeSet<String>) -> String {
    let databases = opens.databases.iter().map(|database| format!("db={database}"));
    let opens: Vec<String> = opens.keys.iter().chain(&opens.channels).cloned().chain(databases).collect();
    let opens = if opens.is_empty() { "no key".to_owned() } else { opens.join(" ") };
    format!("({opens}: {})", some(commands, SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::valkey::acl::{Catalogue, parse_line};

    #[test]
    fn what_a_node_has_beyond_another_is_named() {
        let user = |keys: &[&str], channels: &[&str]| {
            let set = |some: &[&str]| Some(some.iter().map(|one| (*one).to_owned()).collect());
            User { keys: set(keys), channels: set(channels), ..User::new("cafe") }
        };
        let of = |one: &User, other: &User| unlike(one, other, &Judge::new(None));
        let ours = user(&["~cafe:*"], &["&cafe:*"]);
        assert_eq!(of(&ours, &user(&["~*"], &["&cafe:*"])), ["keys: also ~*"]);
        assert_eq!(
            of(&ours, &user(&["~a:*", "~b:*"], &[])),
            ["keys: also ~a:*, ~b:*, without ~cafe:*", "channels: without &cafe:*"]
        );
        assert_eq!(of(&ours, &user(&["%R~cafe:*"], &["&*"])), ["keys: without ~cafe:*", "channels: also &*"]);
        assert_eq!(of(&ours, &User { enabled: true, ..ours.clone() }), ["enabled"]);
    }

    #[test]
    fn commands_and_selectors_are_compared_by_what_they_allow() {
        let catalogue = Catalogue::of(["get", "set", "del", "client|list", "client|kill"]);
        let user = |rules: &str| parse_line(&format!("user cafe on {rules}"), true).unwrap().user;
        let of = |one: &str, other: &str| unlike(&user(one), &user(other), &Judge::new(Some(&catalogue)));
        assert_eq!(
            of("+get +set", "+get +client|list +client|kill +del"),
            ["commands: also client|kill, client|list, del, without set"]
        );
        assert_eq!(of("+@all -del", "+@all -del -set +set"), ["commands"]);
        assert_eq!(
            of("(%R~* +get)", "(%R~a:* %W~b:* +get)"),
            ["selectors: also (%R~a:* %W~b:*: get), without (%R~*: get)"]
        );
        assert_eq!(of("(~a:* db=0 +get)", "(~a:* db=0 +get +set)"), ["selectors: also (~a:* db=0: set)"]);
        assert_eq!(of("+get", "+get (+get)"), ["selectors: also (no key: get)"]);
    }
}
