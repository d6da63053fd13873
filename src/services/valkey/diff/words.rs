//! Tells in words what a change of rules gives and takes. Pure.

use crate::core::listing::some;
use crate::core::step::Risk;
use crate::services::valkey::acl::{Catalogue, Meaning, Rules, includes};
use crate::services::valkey::model::User;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// What the reader of a plan should know of a change.
#[derive(Default)]
pub struct Told {
    pub risks: BTreeSet<Risk>,
    pub notes: Vec<String>,
}

/// How many names a note has at most; more commands than that are told by their categories.
const SHOWN: usize = 12;
/// How many categories a note has at most.
const GROUPS: usize = 5;
/// Categories that say nothing of what a command is for.
const IDLE_CATEGORIES: [&str; 3] = ["fast", "slow", "blocking"];

/// Tells changes of users of one server, if it is known.
pub struct Teller<'a> {
    known: Option<(&'a Catalogue, Meaning<'a>)>,
    /// The commands of each category.
    categories: OnceCell<BTreeMap<&'a str, BTreeSet<&'a str>>>,
}

impl<'a> Teller<'a> {
    pub fn new(catalogue: Option<&'a Catalogue>) -> Self {
        let known = catalogue.map(|catalogue| (catalogue, Meaning::new(catalogue)));
        Self { known, categories: OnceCell::new() }
    }

    /// Compares what a user may do now with what it shall be able to do.
    pub fn tell(&self, there: &User, wanted: &User) -> Told {
        let mut told = Told::default();
        if let Some(rules) = &wanted.commands {
            let now = there.commands.clone().unwrap_or_default();
            self.commands(&mut told, "", &self.allowed(&now), &self.allowed(rules));
        }
        told.compare("keys", &known(&there.keys), &known(&wanted.keys), covers);
        told.compare("channels", &known(&there.channels), &known(&wanted.channels), covers);
        self.selectors(&mut told, &known(&there.selectors), &known(&wanted.selectors));
        match (&there.databases, &wanted.databases) {
            (Some(there), Some(wanted)) if there != wanted => {
                if there != "resetdbs" {
                    told.risks.insert(Risk::Interrupts);
                }
                if there != "alldbs" {
                    told.risks.insert(Risk::WidensAccess);
                }
                told.notes.push(format!("databases: {there} becomes {wanted}"));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        if there.enabled != wanted.enabled {
            told.risks.insert(if wanted.enabled { Risk::WidensAccess } else { Risk::Interrupts });
            told.notes
                .push(if wanted.enabled { "it can sign in again" } else { "it can no longer sign in" }.to_owned());
        }
        if there.nopass && !wanted.nopass {
            told.risks.insert(Risk::Interrupts);
            told.notes.push("just any password signs in today: only the published one will".to_owned());
        }
        if let (Some(extra @ 1..), Some(0)) = (there.extra_passwords, wanted.extra_passwords) {
            told.risks.insert(Risk::Interrupts);
            told.notes.push(match extra {
                1 => "an extra password is accepted for this user: only the published one will be".to_owned(),
                _ => format!("{extra} extra passwords are accepted for this user: only the published one will be"),
            });
        }
        if there.skips_sanitizing && !wanted.skips_sanitizing {
            told.risks.insert(Risk::Interrupts);
            told.notes.push("what it gives to RESTORE goes unchecked today: it will be checked".to_owned());
        }
        if !there.uneven_nodes.is_empty() {
            // What a node has beyond the others is taken away there.
            if there.differs_somewhere() {
                told.risks.insert(Risk::Interrupts);
            }
        }
        told
    }

    /// What the rules allow; the rules themselves where they cannot be understood.
    fn allowed(&self, rules: &[String]) -> BTreeSet<String> {
        let allowed = self.known.as_ref().and_then(|(_, meaning)| meaning.allowed(rules));
        allowed.map_or_else(|| rules.iter().cloned().collect(), |allowed| (*allowed).clone())
    }

    fn commands(&self, told: &mut Told, on: &str, there: &BTreeSet<String>, wanted: &BTreeSet<String>) {
        // `select|0` is nothing new to who has all of `select`.
        let covered = |name: &str, others: &BTreeSet<String>| {
            let unknown = self.known.as_ref().is_some_and(|(catalogue, _)| !catalogue.knows(name));
            unknown && name.split_once('|').is_some_and(|(command, _)| others.contains(command))
        };
        let beyond = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> BTreeSet<String> {
            some.difference(others).filter(|name| !covered(name, others)).cloned().collect()
        };
        let (given, taken) = (beyond(wanted, there), beyond(there, wanted));
        if !given.is_empty() {
            told.risks.insert(Risk::WidensAccess);
            told.notes.push(match given.len() > SHOWN {
                true => format!("gives {} commands{on}: {}", given.len(), self.grouped(&given)),
                false => format!("gives commands{on}: {}", some(&given, SHOWN)),
            });
        }
        if !taken.is_empty() {
            told.risks.insert(Risk::Interrupts);
            told.notes.push(match taken.len() > SHOWN {
                true => format!("takes {} commands away{on}: {}", taken.len(), self.grouped(&taken)),
                false => format!("takes commands away{on}: {}", some(&taken, SHOWN)),
            });
        }
    }

    /// Many commands by the categories that they fill, else by those that most of them are in.
    fn grouped(&self, commands: &BTreeSet<String>) -> String {
        let mut left: BTreeSet<&str> = commands.iter().map(String::as_str).collect();
        let mut groups = Vec::new();
        while groups.len() < GROUPS {
            let found = self.categories().iter().map(|(category, members)| {
                let inside: BTreeSet<&str> = members.intersection(&left).copied().collect();
                let whole = members.iter().all(|member| commands.contains(*member));
                (inside.len() * if whole { 2 } else { 1 }, whole, inside, category)
            });
            let best = found.filter(|(_, _, inside, _)| inside.len() > 1).max_by_key(|(score, ..)| *score);
            let Some((_, whole, inside, category)) = best else { break };
            groups.push(match (whole, groups.is_empty()) {
                (true, _) => format!("all of @{category}"),
                (false, true) => format!("{} of @{category}", inside.len()),
                (false, false) => format!("{} more of @{category}", inside.len()),
            });
            left.retain(|name| !inside.contains(name));
        }
        let names = SHOWN.saturating_sub(groups.len() * 2);
        if !left.is_empty() {
            groups.push(some(&left, names));
        }
        groups.join(", ")
    }

    fn categories(&self) -> &BTreeMap<&'a str, BTreeSet<&'a str>> {
        self.categories.get_or_init(|| {
            let mut categories: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let all = self.known.as_ref().map(|(catalogue, _)| catalogue.callable()).into_iter().flatten();
            for (name, command) in all {
                for category in command.categories.iter().filter(|name| !IDLE_CATEGORIES.contains(&name.as_str())) {
                    categories.entry(category).or_default().insert(name);
                }
            }
            categories
        })
    }

    /// What selectors add or no longer add. One that opens the same to other commands is told by these.
    fn selectors(&self, told: &mut Told, there: &BTreeSet<String>, wanted: &BTreeSet<String>) {
        let parsed = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> BTreeMap<String, BTreeSet<String>> {
            let mut commands: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for rules in some.difference(others).map(|text| Rules::parse_selector(text)) {
                commands.entry(opened(&rules)).or_default().extend(self.allowed(&rules.commands));
            }
            commands
        };
        let (there, wanted) = (parsed(there, wanted), parsed(wanted, there));
        let none = BTreeSet::new();
        for opens in there.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
            let of = |some: &BTreeMap<String, BTreeSet<String>>| some.get(opens).unwrap_or(&none).clone();
            self.commands(told, &format!(" on {opens}"), &of(&there), &of(&wanted));
        }
    }
}

impl Told {
    fn compare(
        &mut self,
        what: &str,
        there: &BTreeSet<String>,
        wanted: &BTreeSet<String>,
        covers: fn(&str, &str) -> bool,
    ) {
        let beyond = |some: &BTreeSet<String>, others: &BTreeSet<String>| -> BTreeSet<String> {
            let new = some.difference(others);
            new.filter(|one| !others.iter().any(|other| covers(other, one))).cloned().collect()
        };
        let (given, taken) = (beyond(wanted, there), beyond(there, wanted));
        if !given.is_empty() {
            self.risks.insert(Risk::WidensAccess);
            self.notes.push(format!("gives {what}: {}", some(&given, SHOWN)));
        }
        if !taken.is_empty() {
            self.risks.insert(Risk::Interrupts);
            self.notes.push(format!("takes {what} away: {}", some(&taken, SHOWN)));
        }
    }
}

/// What the rules of a selector open to its commands.
fn opened(rules: &Rules) -> String {
    let databases = rules.databases.iter().filter(|databases| *databases != "alldbs");
    let opened: Vec<&str> = rules.keys.iter().chain(&rules.channels).chain(databases).map(String::as_str).collect();
    if opened.is_empty() { "no keys".to_owned() } else { opened.join(" ") }
}

fn known(set: &Option<BTreeSet<String>>) -> BTreeSet<String> {
    set.clone().unwrap_or_default()
}

/// Whether one key rule opens all that another opens: `~` opens more than `%R~`.
fn covers(wide: &str, narrow: &str) -> bool {
    let (Some((wide_mode, wide)), Some((narrow_mode, narrow))) = (wide.split_once('~'), narrow.split_once('~')) else {
        return wide == "&*";
    };
    (wide_mode.is_empty() || wide_mode == narrow_mode) && includes(wide, narrow)
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
