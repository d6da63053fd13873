//! What rules come to: for each command, what it reaches. Two users whose rules differ in text may mean the same: Redis
//! 7.0 prints rules from a bitmap, and people write one thing in many ways. Pure.

use super::catalogue::Catalogue;
use super::effort::Effort;
use super::reach::{Part, Reach, equal, equal_keys};
use super::rules::{Account, Rules, parts};
use crate::services::valkey::model::User;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// The commands that each list of rules allows, as far as it is worked out; `None` where they cannot be replayed.
type Allowed = BTreeMap<Vec<String>, Option<Rc<BTreeSet<String>>>>;

/// What it costs to look at two selectors beside their rules.
const ONE_PAIR: usize = 1_000;

/// Rules as one server understands them. Remembers what it has worked out: most users share their rules.
///
/// Rules that take too long to compare are not equal to others: their difference is shown, and repaired.
pub struct Meaning<'a> {
    catalogue: &'a Catalogue,
    effort: Effort,
    allowed: RefCell<Allowed>,
}

impl<'a> Meaning<'a> {
    pub fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, effort: Effort::new(), allowed: RefCell::default() }
    }

    /// Whether two users may do the same. Rules that cannot be replayed here are not equal to others.
    pub fn same(&self, one: &User, other: &User) -> bool {
        self.effort.grow();
        let (Some(one), Some(other)) = (self.parts(one), self.parts(other)) else { return false };
        one == other || equal(self.catalogue, &one, &other, &self.effort)
    }

    /// Whether two accounts may do the same, and sign in with the same passwords.
    pub fn same_account(&self, one: &Account, other: &Account) -> bool {
        one.hashes == other.hashes
            && (one.user.enabled, one.user.nopass) == (other.user.enabled, other.user.nopass)
            && (!differ_in_text(&one.user, &other.user) || self.same(&one.user, &other.user))
    }

    /// Gives what was observed the text of a reference, as far as it means the same.
    pub fn speak_like(&self, observed: &mut User, reference: &User) {
        if !differ_in_text(observed, reference) {
            share(&mut observed.commands, &reference.commands);
            return;
        }
        let same = self.same(observed, reference);
        let same_commands = match (&observed.commands, &reference.commands) {
            (Some(one), Some(other)) => {
                one == other || self.allowed(one).is_some_and(|one| Some(one) == self.allowed(other))
            }
            (Some(_) | None, Some(_) | None) => false,
        };
        adopt(&mut observed.commands, &reference.commands, same || same_commands);
        let same_keys = same || self.same_keys(observed, reference);
        adopt(&mut observed.keys, &reference.keys, same_keys);
        adopt(&mut observed.channels, &reference.channels, same);
        adopt(&mut observed.databases, &reference.databases, same);
        adopt(&mut observed.selectors, &reference.selectors, same);
        let (Some(there), Some(wanted)) = (&mut observed.selectors, &reference.selectors) else { return };
        if there == wanted {
            return;
        }
        let wanted: Vec<(&String, Option<Part>)> = wanted.iter().map(|text| (text, self.selector(text))).collect();
        let selectors = std::mem::take(there).into_iter().map(|text| {
            let part = self.selector(&text);
            let same = |(wanted, other): &&(&String, Option<Part>)| {
                **wanted == text || matches!((&part, other), (Some(part), Some(other)) if self.same_part(part, other))
            };
            let twin = wanted.iter().find(same);
            twin.map_or(text.clone(), |(twin, _)| (*twin).clone())
        });
        *there = selectors.collect();
    }

    fn selector(&self, text: &str) -> Option<Part> {
        self.part(&Rules::parse_selector(text))
    }

    fn same_part(&self, one: &Part, other: &Part) -> bool {
        self.effort.spend(ONE_PAIR).is_some()
            && equal(self.catalogue, std::slice::from_ref(one), std::slice::from_ref(other), &self.effort)
    }

    /// Whether the key rules of two users open the same keys, whatever their commands.
    fn same_keys(&self, one: &User, other: &User) -> bool {
        let part = |user: &User| {
            let reach = Reach { keys: user.keys.clone()?, ..Reach::default() };
            Some(Part { commands: Rc::default(), reach })
        };
        matches!((part(one), part(other)), (Some(one), Some(other)) if equal_keys(&one, &other, &self.effort))
    }

    /// The commands that rules allow; see [`Catalogue::allowed`].
    pub fn allowed(&self, rules: &[String]) -> Option<Rc<BTreeSet<String>>> {
        if let Some(known) = self.allowed.borrow().get(rules) {
            return known.clone();
        }
        let allowed = self.catalogue.allowed(rules).map(Rc::new);
        self.allowed.borrow_mut().insert(rules.to_vec(), allowed.clone());
        allowed
    }

    fn parts(&self, user: &User) -> Option<Vec<Part>> {
        parts(user).map(|rules| self.part(&rules)).collect()
    }

    fn part(&self, rules: &Rules) -> Option<Part> {
        let reach = Reach {
            keys: rules.keys.clone(),
            channels: rules.channels.clone(),
            databases: databases(rules.databases.as_deref()),
        };
        Some(Part { commands: self.allowed(&rules.commands)?, reach })
    }
}

/// `None` is all of them: `alldbs`, or a server that knows no such rules.
fn databases(rule: Option<&str>) -> Option<BTreeSet<String>> {
    match rule? {
        "alldbs" => None,
        rule => {
            Some(rule.strip_prefix("db=").into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect())
        }
    }
}

/// Of two lists that are equal, one is kept.
fn share(observed: &mut Option<Arc<Vec<String>>>, reference: &Option<Arc<Vec<String>>>) {
    if let (Some(there), Some(wanted)) = (observed, reference) {
        there.clone_from(wanted);
    }
}

fn adopt<T: Clone>(observed: &mut Option<T>, reference: &Option<T>, same: bool) {
    if let (true, Some(there), Some(wanted)) = (same, observed, reference) {
        there.clone_from(wanted);
    }
}

/// Whether any rules of the two differ as they are written.
pub fn differ_in_text(one: &User, other: &User) -> bool {
    fn differ<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
        matches!((one, other), (Some(one), Some(other)) if one != other)
    }
    differ(&one.commands, &other.commands)
        || differ(&one.keys, &other.keys)
        || differ(&one.channels, &other.channels)
        || differ(&one.databases, &other.databases)
        || differ(&one.selectors, &other.selectors)
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod tests;
