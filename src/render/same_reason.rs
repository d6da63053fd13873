//! What stops many resources alike is said once, with their names.

use super::items::{Item, same_reasons};
use super::layout::{wrap_lines, wrap_words};
use super::{Ink, Style, clean, words};
use crate::core::address::Address;
use crate::core::listing::some;
use std::collections::{BTreeMap, BTreeSet};

/// Resources that are named with one reason; more are counted.
pub(super) const NAMED: usize = 10;

/// Names of resources, the first of many.
pub(super) fn names<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> String {
    some(addresses.into_iter().map(words::address), NAMED)
}

/// Each reason that blocks several resources, for the end of a plan.
pub(super) fn lines(items: &[Item<'_>], style: Style) -> Vec<String> {
    const INDENT: usize = 4;
    let mut lines = Vec::new();
    for (reason, addresses) in same_reasons(items) {
        let named = format!("{} blocked, for one reason: {}", addresses.len(), names(addresses));
        let head = wrap_words(&named, style.width.saturating_sub(INDENT)).into_iter().enumerate();
        let margin = |index| if index == 0 { "" } else { "  " };
        lines.extend(head.map(|(index, line)| style.paint(Ink::Change, &format!("{}{line}", margin(index)))));
        let why = wrap_lines(reason, style.width.saturating_sub(INDENT)).into_iter();
        lines.extend(why.map(|line| style.paint(Ink::Danger, &format!("{}{line}", " ".repeat(INDENT)))));
    }
    lines
}

/// A text about a resource, as far as it is not about which one it is: what is the same for two is one and the same thing.
pub(super) fn without_its_name(text: &str, address: &Address) -> String {
    let own = [address.to_string(), address.name.clone()];
    let word = |word: &str| {
        let inner = word.trim_matches(|c: char| "\"'`:,;.()[]".contains(c));
        match own.iter().any(|own| own == inner) {
            true => word.replacen(inner, "\u{fffd}", 1),
            false => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A text about the first of several resources as one about all of them.
pub(super) fn of_all(text: &str, first: &Address, others: usize) -> String {
    if others == 0 { text.to_owned() } else { text.replacen(&format!("{first}: "), "", 1) }
}

/// Puts together what has the same text but for its own name, in the order of the first of each.
pub(super) fn alike<T: Copy>(all: &[T], text: impl Fn(T) -> String) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        let place = *places.entry(text(*one)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(*one),
            None => groups.push(vec![*one]),
        }
    }
    groups
}

/// Lines about resources that could not be looked into, one for each reason.
pub(super) fn untold(reasons: &BTreeMap<String, BTreeSet<Address>>) -> Vec<String> {
    let line = |(why, addresses): (&String, &BTreeSet<Address>)| {
        format!("{} could not be looked into: {}", names(addresses), clean(why))
    };
    reasons.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_beside_the_name_differs() {
        let key = |text: &str, address: &str| without_its_name(text, &address.parse().unwrap());
        let refused = |name: &str| format!("valkey: valkey.user.{name}: no right\n  while: ACL SETUSER {name} reset");
        assert_eq!(key(&refused("a"), "valkey.user.a"), key(&refused("b"), "valkey.user.b"));
        assert_ne!(key("a is not b", "valkey.user.a"), key("a is not b", "valkey.user.b"));
        assert_eq!(
            of_all(&refused("a"), &"valkey.user.a".parse().unwrap(), 3).lines().next(),
            Some("valkey: no right")
        );
    }

    #[test]
    fn groups_keep_the_order_of_their_first() {
        let groups = alike(&["x1", "y1", "x2", "z1", "y2"], |text| text.chars().take(1).collect());
        assert_eq!(groups, [vec!["x1", "x2"], vec!["y1", "y2"], vec!["z1"]]);
    }
}
