//! What a user may do, as sets that can be taken from one another. Pure.

use crate::services::valkey::acl::{Catalogue, Meaning, Rules, covers};
use crate::services::valkey::model::User;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// More key rules than this are compared as texts alone.
const MOST_RULES: usize = 100;

/// What rules open to commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opens {
    /// `~p`, `%R~p` or `%W~p`.
    pub keys: BTreeSet<String>,
    /// `&p`
    pub channels: BTreeSet<String>,
    /// Numbers of databases; `*` is all of them. Empty where the rules say nothing of them.
    pub databases: BTreeSet<String>,
}

/// All that a user may do. What is unknown is no difference to anything.
#[derive(Clone, Default)]
pub struct Powers {
    commands: Option<Rc<BTreeSet<String>>>,
    keys: Option<BTreeSet<String>>,
    channels: Option<BTreeSet<String>>,
    databases: Option<BTreeSet<String>>,
    /// Of selectors: commands by what is opened to them.
    selectors: Option<BTreeMap<Opens, Rc<BTreeSet<String>>>>,
}

impl Powers {
    /// What is unknown is taken for nothing.
    pub fn or_nothing(&self) -> Self {
        Self {
            commands: Some(self.commands.clone().unwrap_or_default()),
            keys: Some(self.keys.clone().unwrap_or_default()),
            channels: Some(self.channels.clone().unwrap_or_default()),
            databases: Some(self.databases.clone().unwrap_or_default()),
            selectors: Some(self.selectors.clone().unwrap_or_default()),
        }
    }
}

/// What one user may do and another may not.
#[derive(Default)]
pub struct Beyond {
    pub commands: BTreeSet<String>,
    pub opens: Opens,
    pub selectors: BTreeMap<Opens, BTreeSet<String>>,
}

impl Beyond {
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.opens == Opens::default() && self.selectors.is_empty()
    }

    /// As what a user may do.
    pub fn powers(&self) -> Powers {
        let shared = |commands: &BTreeSet<String>| Rc::new(commands.clone());
        Powers {
            commands: Some(shared(&self.commands)),
            keys: Some(self.opens.keys.clone()),
            channels: Some(self.opens.channels.clone()),
            databases: Some(self.opens.databases.clone()),
            selectors: Some(self.selectors.iter().map(|(opens, names)| (opens.clone(), shared(names))).collect()),
        }
    }
}

/// Users as one server understands them, if it is known.
pub struct Judge<'a> {
    known: Option<(&'a Catalogue, Meaning<'a>)>,
}

impl<'a> Judge<'a> {
    pub fn new(catalogue: Option<&'a Catalogue>) -> Self {
        Self { known: catalogue.map(|catalogue| (catalogue, Meaning::new(catalogue))) }
    }

    pub fn catalogue(&self) -> Option<&'a Catalogue> {
        self.known.as_ref().map(|(catalogue, _)| *catalogue)
    }

    /// A user in the text of another one, as far as that means the same.
    pub fn told_like(&self, user: &User, other: &User) -> User {
        let mut told = user.clone();
        if let Some((_, meaning)) = &self.known {
            meaning.speak_like(&mut told, other);
        }
        told
    }

    pub fn powers(&self, user: &User) -> Powers {
        let selectors = user.selectors.as_ref().map(|texts| {
            let mut selectors: BTreeMap<Opens, Rc<BTreeSet<String>>> = BTreeMap::new();
            for rules in texts.iter().map(|text| Rules::parse_selector(text)) {
                let allowed = self.allowed(&rules.commands);
                let databases = rules.databases.as_deref().filter(|rule| *rule != "alldbs").map(databases);
                let opens =
                    Opens { keys: rules.keys, channels: rules.channels, databases: databases.unwrap_or_default() };
                let known = selectors.entry(opens).or_default();
                *known = if known.is_empty() { allowed } else { Rc::new(known.union(&allowed).cloned().collect()) };
            }
            selectors
        });
        Powers {
            commands: user.commands.as_ref().map(|rules| self.allowed(rules)),
            keys: user.keys.clone(),
            channels: user.channels.clone(),
            databases: user.databases.as_deref().map(databases),
            selectors,
        }
    }

    /// What the rules allow; the rules themselves where they cannot be understood.
    fn allowed(&self, rules: &[String]) -> Rc<BTreeSet<String>> {
        let allowed = self.known.as_ref().and_then(|(_, meaning)| meaning.allowed(rules));
        allowed.unwrap_or_else(|| Rc::new(rules.iter().cloned().collect()))
    }

    /// What one may do and the other may not.
    pub fn beyond(&self, one: &Powers, other: &Powers) -> Beyond {
        let all = |numbers: &BTreeSet<String>, number: &str| numbers.contains("*") || numbers.contains(number);
        Beyond {
            commands: match (&one.commands, &other.commands) {
                (Some(one), Some(other)) => self.more_commands(one, other),
                (Some(_) | None, Some(_) | None) => BTreeSet::new(),
            },
            opens: Opens {
                keys: more(&one.keys, &other.keys, |others, rule| {
                    let few = others.len() <= MOST_RULES;
                    others.contains(rule) || few && others.iter().any(|other| covers(other, rule))
                }),
                channels: more(&one.channels, &other.channels, |others, rule| {
                    others.contains("&*") || others.contains(rule)
                }),
                databases: more(&one.databases, &other.databases, all),
            },
            selectors: match (&one.selectors, &other.selectors) {
                (Some(one), Some(other)) => self.more_selectors(one, other),
                (Some(_) | None, Some(_) | None) => BTreeMap::new(),
            },
        }
    }

    fn more_commands(&self, one: &Rc<BTreeSet<String>>, other: &Rc<BTreeSet<String>>) -> BTreeSet<String> {
        // Most users share their rules.
        if Rc::ptr_eq(one, other) {
            return BTreeSet::new();
        }
        // `select|0` is nothing new to who has all of `select`.
        let covered = |name: &String| {
            let unknown = self.catalogue().is_some_and(|catalogue| !catalogue.knows(name));
            unknown && name.split_once('|').is_some_and(|(command, _)| other.contains(command))
        };
        one.difference(other).filter(|name| !covered(name)).cloned().collect()
    }

    fn more_selectors(
        &self,
        one: &BTreeMap<Opens, Rc<BTreeSet<String>>>,
        other: &BTreeMap<Opens, Rc<BTreeSet<String>>>,
    ) -> BTreeMap<Opens, BTreeSet<String>> {
        let none = Rc::default();
        let more = one
            .iter()
            .map(|(opens, commands)| (opens.clone(), self.more_commands(commands, other.get(opens).unwrap_or(&none))));
        more.filter(|(_, commands)| !commands.is_empty()).collect()
    }
}

fn more(
    one: &Option<BTreeSet<String>>,
    other: &Option<BTreeSet<String>>,
    has: impl Fn(&BTreeSet<String>, &str) -> bool,
) -> BTreeSet<String> {
    let (Some(one), Some(other)) = (one, other) else { return BTreeSet::new() };
    one.iter().filter(|rule| !has(other, rule)).cloned().collect()
}

fn databases(rule: &str) -> BTreeSet<String> {
    match rule {
        "alldbs" => BTreeSet::from(["*".to_owned()]),
        rule => rule.strip_prefix("db=").into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect(),
    }
}
