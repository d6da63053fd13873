//! Users that no infraspec declares and that reach what apps have: they may be meant, and they do not show in any
//! infraspec. Pure.

use super::acl::{Account, Catalogue, Rules, parts, rules_of};
use super::everybody::{Open, Reach, opened};
use super::model::User;
use super::place::Place;
use crate::core::listing::some;
use std::collections::{BTreeMap, BTreeSet};

/// Users that are spelled out in one line; more are counted.
const NAMES_SHOWN: usize = 5;
/// Rules that are spelled out for one user.
const RULES_SHOWN: usize = 3;
/// Lines of the doctor's; more are counted.
const LINES: usize = 10;

/// Those that were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    names: BTreeSet<String>,
    /// The users of each sort, by what they may do and by which rules.
    sorts: BTreeMap<String, BTreeSet<String>>,
}

impl Strangers {
    /// Adds a user, if somebody can sign in as it who reaches what apps have. Who needs no password is told louder.
    pub fn add(&mut self, account: &Account, catalogue: &Catalogue, places: &BTreeSet<Place>) {
        let user = &account.user;
        let signs_in = user.enabled && !user.nopass && !account.hashes.is_empty();
        if places.is_empty() || !signs_in || self.names.contains(&user.name) {
            return;
        }
        // Most users keep to themselves: their rules need not be replayed, which takes its time.
        let rules = rules(user, places);
        if rules.is_empty() {
            return;
        }
        let Some(open) = opened(user, catalogue, places).filter(|open| reaches(open, user, catalogue)) else { return };
        let may = if open == Open::Everything { "do everything".to_owned() } else { open.may() };
        let what = format!("may {may} ({})", some(rules, RULES_SHOWN));
        self.names.insert(user.name.clone());
        self.sorts.entry(what).or_default().insert(user.name.clone());
    }

    /// For a plan: how many there are, and who.
    pub fn sentence(&self) -> Option<String> {
        let (who, reach) = match self.names.len() {
            0 => return None,
            1 => ("1 user".to_owned(), "reaches"),
            count => (format!("{count} users"), "reach"),
        };
        Some(format!(
            "{who} that no infraspec declares {reach} what apps have: {}. `nornplan doctor` says what of it; those that \
             belong here can be named in internal = [...]",
            some(&self.names, NAMES_SHOWN)
        ))
    }

    /// For the doctor: line by line, who may do what.
    pub fn lines(&self) -> Option<String> {
        let lines: Vec<String> =
            self.sorts.iter().map(|(what, names)| format!("{} {what}", some(names, NAMES_SHOWN))).collect();
        let more = lines.len().saturating_sub(LINES);
        let rest = (more > 0).then(|| format!("and {more} more sorts of users"));
        let shown: Vec<String> = lines.into_iter().take(LINES).chain(rest).collect();
        let head = "users that no infraspec declares reach what apps have:";
        (!shown.is_empty()).then(|| format!("{head}\n{}", shown.join("\n")))
    }
}

/// Whether it is about keys or channels of apps, and not just of what a sentinel needs, which listens everywhere.
fn reaches(open: &Open, user: &User, catalogue: &Catalogue) -> bool {
    match open {
        Open::Everything => true,
        Open::Commands(_) => false,
        Open::Keys { reads, writes, .. } => {
            let hears_alone = *reads == Reach::default() && *writes == Reach::default();
            !(hears_alone && may_run_one(user, catalogue, &["slaveof", "replicaof"]))
        }
    }
}

/// Whether a user may run any of some commands.
fn may_run_one(user: &User, catalogue: &Catalogue, names: &[&str]) -> bool {
    let allowed = catalogue.allowed(&rules_of(user).commands);
    allowed.is_some_and(|allowed| names.iter().any(|name| allowed.contains(*name)))
}

/// The rules that reach what apps have.
fn rules(user: &User, places: &BTreeSet<Place>) -> Vec<String> {
    let parts: Vec<Rules> = parts(user).collect();
    let keys = parts.iter().flat_map(|part| &part.keys).filter(|rule| {
        let pattern = rule.split_once('~').map_or("", |(_, pattern)| pattern);
        places.iter().any(|place| place.has_keys_of(pattern))
    });
    let channels = parts.iter().flat_map(|part| &part.channels).filter(|rule| {
        let pattern = rule.strip_prefix('&').unwrap_or_default();
        pattern == "*" || places.iter().any(|place| place.has_channels_of(pattern))
    });
    let (keys, channels): (BTreeSet<&String>, BTreeSet<&String>) = (keys.collect(), channels.collect());
    keys.into_iter().chain(channels).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::acl::{Command, parse_line};
    use super::*;

    fn catalogue() -> Catalogue {
        let commands = [("get", "read"), ("set", "write"), ("publish", "pubsub"), ("replicaof", "dangerous")];
        let command =
            |category: &str| Command { categories: BTreeSet::from([category.to_owned()]), ..Command::default() };
        Catalogue { commands: commands.map(|(name, category)| (name.to_owned(), command(category))).into() }
    }

    fn found(lines: &[&str]) -> Strangers {
        let place = |namespace: Option<&str>, db| Place { namespace: namespace.map(str::to_owned), db };
        let places = BTreeSet::from([place(Some("shop"), 0), place(Some("cafe"), 0), place(None, 3)]);
        let mut strangers = Strangers::default();
        for line in lines {
            strangers.add(&parse_line(&format!("user {line}"), true).unwrap(), &catalogue(), &places);
        }
        strangers
    }

    #[test]
    fn who_reaches_what_apps_have_is_told_by_what_it_reaches() {
        let told = |line: &str| found(&[line]).lines().and_then(|all| Some(all.split_once('\n')?.1.to_owned()));
        let cases = [
            ("ops on #0 ~* &* +@all", Some("ops may do everything (~*, &*)")),
            ("ops on #0 ~* +get +set", Some("ops may read and change every key (~*)")),
            ("ops on #0 ~* db=3 +get", Some("ops may read keys of database 3 (~*)")),
            ("ops on #0 %R~s* ~x:* db=0 +get", Some("ops may read keys of shop (%R~s*, ~x:*)")),
            ("ops on #0 resetkeys &cafe:x +publish", Some("ops may listen and send on channels of cafe (&cafe:x)")),
            ("ops on #0 -@all (~shop:* db=0 +get)", Some("ops may read keys of shop (~shop:*)")),
            ("other on #0 ~other:* db=0 +get +set", None),
            ("sentinel on #0 &* +publish +replicaof", None),
            ("replica on #0 +replicaof", None),
            ("ops off #0 ~* +@all", None),
            ("ops on ~* +@all", None),
        ];
        for (line, expected) in cases {
            assert_eq!(told(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn many_are_counted() {
        let lines: Vec<String> = (10..40).map(|number| format!("ops{number} on #0 ~* +get")).collect();
        let all = found(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let sentence = all.sentence().unwrap();
        assert!(
            sentence.starts_with("30 users that no infraspec declares reach what apps have: ops10, ops11"),
            "{sentence}"
        );
        assert!(sentence.contains("and 25 more.") && all.lines().unwrap().lines().count() == 2);
        assert_eq!((found(&[]).sentence(), found(&[]).lines()), (None, None));
    }
}
