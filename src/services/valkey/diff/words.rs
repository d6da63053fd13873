//! Tells a change of a user in words: by what its infraspec says, and only where that does not explain it, by what its
//! rules allow. Pure.

use crate::core::change::{Cause, Field, FieldChange, Resource, three_way};
use crate::core::listing::some;
use crate::core::step::Risk;
use crate::services::valkey::acl::Catalogue;
use crate::services::valkey::dangers::worst;
use crate::services::valkey::model::{
    DECLARED, RULES_IN_WORDS, User, channels_in_words, databases_in_words, keys_in_words,
};
use crate::services::valkey::powers::{Beyond, Judge, Opens};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// What the reader of a plan should know of a change.
#[derive(Default)]
pub struct Told {
    pub risks: BTreeSet<Risk>,
    /// In words, beside those of single rules.
    pub changes: Vec<FieldChange>,
    pub notes: Vec<String>,
}

/// How many names a phrase has at most; more commands than that are told by their categories.
const SHOWN: usize = 12;
/// How many categories a phrase has at most.
const GROUPS: usize = 3;
/// The worst dangers that are told with what they open, and as many commands are named with each.
const DANGERS_TOLD: usize = 3;
/// Selectors that are told one by one.
const SELECTORS_TOLD: usize = 5;
/// Categories that say nothing of what a command is for.
const IDLE_CATEGORIES: [&str; 3] = ["fast", "slow", "blocking"];

/// Tells changes of users of one server, if it is known.
pub struct Teller<'a> {
    judge: Judge<'a>,
    /// The commands of each category.
    categories: OnceCell<BTreeMap<&'a str, BTreeSet<&'a str>>>,
}

impl<'a> Teller<'a> {
    pub fn new(catalogue: Option<&'a Catalogue>) -> Self {
        Self { judge: Judge::new(catalogue), categories: OnceCell::new() }
    }

    /// Compares what a user may do now with what it shall be able to do, and with what was last applied.
    pub fn tell(&self, there: &User, wanted: &User, last: Option<&User>) -> Told {
        let (now, then) = (self.judge.powers(there), self.judge.powers(wanted));
        let (taken, given) = (self.judge.beyond(&now, &then), self.judge.beyond(&then, &now));
        let mut told = Told::default();
        told.risks.extend((!given.is_empty()).then_some(Risk::WidensAccess));
        told.risks.extend((!taken.is_empty()).then_some(Risk::Interrupts));
        told.other_than_rules(there, wanted);
        let mut words = |cause, taken: &Beyond, given: &Beyond| {
            told.changes.extend(self.in_words(cause, taken, given, wanted));
        };
        let Some(last) = last else {
            words(Cause::NotOursYet, &taken, &given);
            return told;
        };
        // What somebody added is neither wanted nor was it applied; what somebody took away is both.
        let applied = self.judge.powers(last);
        let less = |one: &Beyond, other: &Beyond| self.judge.beyond(&one.powers(), &other.powers());
        let added = self.judge.beyond(&taken.powers(), &applied);
        let removed = less(&given, &self.judge.beyond(&given.powers(), &applied.or_nothing()));
        words(Cause::Drifted, &added, &removed);
        let declared = declared(last, wanted);
        if declared.is_empty() {
            words(Cause::RulesChanged, &less(&taken, &added), &less(&given, &removed));
        }
        told.changes.splice(0..0, declared);
        told
    }

    /// What one form of a user may do and another may not, as one change.
    fn in_words(&self, cause: Cause, taken: &Beyond, given: &Beyond, user: &User) -> Option<FieldChange> {
        let phrases = |beyond: &Beyond| self.phrases(beyond, user);
        (!taken.is_empty() || !given.is_empty()).then(|| FieldChange {
            field: RULES_IN_WORDS.to_owned(),
            before: phrases(taken).into(),
            after: phrases(given).into(),
            cause,
        })
    }

    /// In which fields a user is not as it was expected.
    pub fn differences(&self, expected: &User, now: &User) -> Vec<FieldChange> {
        let [before, after] = [expected, now].map(|user| self.judge.powers(user));
        let (taken, given) = (self.judge.beyond(&before, &after), self.judge.beyond(&after, &before));
        let words = self.in_words(Cause::Drifted, &taken, &given, expected);
        words.into_iter().chain(three_way(&now.fields(), &expected.fields(), None).changes).collect()
    }

    /// What one may do, each after the word "may".
    fn phrases(&self, beyond: &Beyond, user: &User) -> Vec<String> {
        let mut phrases = Vec::new();
        let mut left = beyond.commands.clone();
        let whole_database = user.whole_database == Some(true);
        let confined = user.databases.as_deref().is_some_and(|rule| rule != "alldbs");
        for (names, opens) in worst(&beyond.commands, confined, whole_database).into_iter().take(DANGERS_TOLD) {
            phrases.push(format!("run {} ({opens})", some(&names, DANGERS_TOLD)));
            left.retain(|name| !names.contains(&name.as_str()));
        }
        if !left.is_empty() {
            let more = if phrases.is_empty() { "" } else { "more " };
            phrases.push(format!("run {}", self.named(&left, more)));
        }
        phrases.extend(opened(&beyond.opens));
        for (opens, commands) in beyond.selectors.iter().take(SELECTORS_TOLD) {
            let databases = databases_in_words(&opens.databases).map(|databases| databases.replacen("use", "in", 1));
            let alone = Opens { databases: BTreeSet::new(), ..opens.clone() };
            // What may be done there is what the commands do.
            let what = opened(&alone).join(" and ").replacen("read and write", "use", 1);
            let what = Some(what).filter(|what| !what.is_empty());
            let what: Vec<String> = what.into_iter().chain(databases).collect();
            let what = if what.is_empty() { "reach no key".to_owned() } else { what.join(" ") };
            phrases.push(format!("{what} with {}", self.named(commands, "")));
        }
        let more = beyond.selectors.len().saturating_sub(SELECTORS_TOLD);
        phrases.extend((more > 0).then(|| format!("do what {more} more selectors say")));
        phrases
    }

    /// Few commands by name, many by category.
    fn named(&self, commands: &BTreeSet<String>, more: &str) -> String {
        match commands.len() {
            0..=SHOWN => some(commands, SHOWN),
            number => format!("{number} {more}commands: {}", self.grouped(commands)),
        }
    }

    /// Many commands by the categories that they fill, else by those that most of them are in.
    fn grouped(&self, commands: &BTreeSet<String>) -> String {
        const NAMED: usize = 3;
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
        match left.len() {
            0 => {}
            1..=NAMED => groups.push(some(&left, NAMED)),
            others => groups.push(format!("{others} others")),
        }
        groups.join(", ")
    }

    fn categories(&self) -> &BTreeMap<&'a str, BTreeSet<&'a str>> {
        self.categories.get_or_init(|| {
            let mut categories: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let all = self.judge.catalogue().into_iter().flat_map(Catalogue::callable);
            for (name, command) in all {
                for category in command.categories.iter().filter(|name| !IDLE_CATEGORIES.contains(&name.as_str())) {
                    categories.entry(category).or_default().insert(name);
                }
            }
            categories
        })
    }
}

fn opened(opens: &Opens) -> Vec<String> {
    let more = channels_in_words(&opens.channels).into_iter().chain(databases_in_words(&opens.databases));
    keys_in_words(&opens.keys).into_iter().chain(more).collect()
}

/// What the infraspecs say otherwise than they did at the last apply.
fn declared(last: &User, wanted: &User) -> Vec<FieldChange> {
    let fields = |user: &User| -> Vec<Field> {
        user.fields().into_iter().filter(|field| DECLARED.contains(&field.name)).collect()
    };
    let mut changes = three_way(&fields(wanted), &fields(last), None).changes;
    changes.iter_mut().for_each(|change| change.cause = Cause::ChangedInSpec);
    changes
}

/// The risks of a change beside those of its rules.
pub fn risks_beside_rules(there: &User, wanted: &User) -> BTreeSet<Risk> {
    let mut told = Told::default();
    told.other_than_rules(there, wanted);
    told.risks
}

impl Told {
    /// Of passwords and the like, what the fields alone do not say.
    fn other_than_rules(&mut self, there: &User, wanted: &User) {
        if there.enabled != wanted.enabled {
            self.risks.insert(if wanted.enabled { Risk::WidensAccess } else { Risk::Interrupts });
        }
        let stops = there.nopass && !wanted.nopass || there.skips_sanitizing && !wanted.skips_sanitizing;
        self.risks.extend(stops.then_some(Risk::Interrupts));
        if let (Some(extra @ 1..), Some(0)) = (there.extra_passwords, wanted.extra_passwords) {
            self.risks.insert(Risk::Interrupts);
            self.notes.push(match extra {
                1 => "an extra password is accepted for this user: only the published one will be".to_owned(),
                _ => format!("{extra} extra passwords are accepted for this user: only the published one will be"),
            });
        }
        // What a node has beyond the others is taken away there.
        self.risks.extend(there.differs_somewhere().then_some(Risk::Interrupts));
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
