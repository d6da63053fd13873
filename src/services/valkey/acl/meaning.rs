//! What rules come to: for each command, what it reaches. Two users whose rules differ in text may mean the same: Redis
//! 7.0 prints rules from a bitmap, and people write one thing in many ways. Pure.

use super::catalogue::{Catalogue, Command};
use super::pattern;
use super::rules::{Rules, rules_of};
use crate::services::valkey::model::User;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a command reaches through one set of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    channels: BTreeSet<String>,
    /// Where the server confines to database numbers: these, or all.
    databases: Option<BTreeSet<String>>,
}

/// A set of rules: those of the user itself, or of one selector.
#[derive(PartialEq)]
struct Part {
    commands: Rc<BTreeSet<String>>,
    reach: Reach,
}

/// The commands that each list of rules allows, as far as it is worked out; `None` where they cannot be replayed.
type Allowed = BTreeMap<Vec<String>, Option<Rc<BTreeSet<String>>>>;

/// Rules as one server understands them. Remembers what it has worked out: most users share their rules.
pub struct Meaning<'a> {
    catalogue: &'a Catalogue,
    allowed: RefCell<Allowed>,
}

impl<'a> Meaning<'a> {
    pub fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, allowed: RefCell::default() }
    }

    /// Whether two users may do the same. Rules that cannot be replayed here are not equal to others.
    pub fn same(&self, one: &User, other: &User) -> bool {
        let (Some(one), Some(other)) = (self.parts(one), self.parts(other)) else { return false };
        one == other || self.by_command(&one) == self.by_command(&other)
    }

    /// Gives what was observed the text of a reference, as far as it means the same.
    pub fn speak_like(&self, observed: &mut User, reference: &User) {
        if !differ_in_text(observed, reference) {
            return;
        }
        let keys = |user: &User| user.keys.as_ref().map(|keys| (reduced(keys, "%R"), reduced(keys, "%W")));
        let same = self.same(observed, reference);
        let same_commands = match (&observed.commands, &reference.commands) {
            (Some(one), Some(other)) => {
                one == other || self.allowed(one).is_some_and(|one| Some(one) == self.allowed(other))
            }
            (Some(_) | None, Some(_) | None) => false,
        };
        adopt(&mut observed.commands, &reference.commands, same || same_commands);
        let same_keys = keys(observed) == keys(reference);
        adopt(&mut observed.keys, &reference.keys, same || same_keys);
        adopt(&mut observed.channels, &reference.channels, same);
        adopt(&mut observed.databases, &reference.databases, same);
        adopt(&mut observed.selectors, &reference.selectors, same);
        let (Some(there), Some(wanted)) = (&mut observed.selectors, &reference.selectors) else { return };
        let selectors = std::mem::take(there).into_iter().map(|text| {
            let twin = wanted.iter().find(|wanted| self.same_selector(&text, wanted));
            twin.cloned().unwrap_or(text)
        });
        *there = selectors.collect();
    }

    fn same_selector(&self, one: &str, other: &str) -> bool {
        let part = |text: &str| self.part(&Rules::parse_selector(text)).map(|part| vec![part]);
        let (Some(one), Some(other)) = (part(one), part(other)) else { return false };
        one == other || self.by_command(&one) == self.by_command(&other)
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
        let selectors = user.selectors.iter().flatten().map(|text| Rules::parse_selector(text));
        std::iter::once(rules_of(user)).chain(selectors).map(|rules| self.part(&rules)).collect()
    }

    fn part(&self, rules: &Rules) -> Option<Part> {
        let reach = Reach {
            reads: reduced(&rules.keys, "%R"),
            writes: reduced(&rules.keys, "%W"),
            channels: rules.channels.clone(),
            databases: databases(rules.databases.as_deref()),
        };
        Some(Part { commands: self.allowed(&rules.commands)?, reach })
    }

    /// What each command reaches, without what is less than something else that it reaches.
    fn by_command(&self, parts: &[Part]) -> BTreeMap<String, BTreeSet<Reach>> {
        let mut all: BTreeMap<String, BTreeSet<Reach>> = BTreeMap::new();
        for part in parts {
            for name in part.commands.iter() {
                let reach = part.reach.by(self.catalogue.named(name));
                let known = all.entry(name.clone()).or_default();
                if !known.iter().any(|other| other.covers(&reach)) {
                    known.retain(|other| !reach.covers(other));
                    known.insert(reach);
                }
            }
        }
        all
    }
}

impl Reach {
    /// As far as it matters to a command; all of it where nothing is known of the command.
    fn by(&self, command: Option<&Command>) -> Self {
        let Some(command) = command else { return self.clone() };
        let when = |matters: bool, set: &BTreeSet<String>| if matters { set.clone() } else { BTreeSet::new() };
        Self {
            reads: when(command.reads, &self.reads),
            writes: when(command.writes, &self.writes),
            channels: when(command.channels, &self.channels),
            databases: self.databases.clone(),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let keys = |wide: &BTreeSet<String>, narrow: &BTreeSet<String>| {
            narrow.iter().all(|narrow| wide.iter().any(|wide| pattern::includes(wide, narrow)))
        };
        let databases = match (&self.databases, &other.databases) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.is_superset(narrow),
        };
        databases
            && keys(&self.reads, &other.reads)
            && keys(&self.writes, &other.writes)
            // PSUBSCRIBE takes a pattern that is there literally: a wider one does not stand for it.
            && (self.channels.contains("&*") || self.channels.is_superset(&other.channels))
    }
}

/// The patterns of one mode, without those that another one includes.
fn reduced(keys: &BTreeSet<String>, mode: &str) -> BTreeSet<String> {
    let of_mode = |key: &String| {
        let (written, pattern) = key.split_once('~')?;
        (written.is_empty() || written == mode).then(|| pattern.to_owned())
    };
    let patterns: BTreeSet<String> = keys.iter().filter_map(of_mode).collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for pattern in patterns {
        if !kept.iter().any(|other| pattern::includes(other, &pattern)) {
            kept.retain(|other| !pattern::includes(&pattern, other));
            kept.insert(pattern);
        }
    }
    kept
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
