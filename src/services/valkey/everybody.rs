//! What a user may do of what apps have; where it needs no password, whoever connects may. Pure.

use super::acl::{Catalogue, Command, Rules, parts};
use super::dangers;
use super::model::User;
use super::place::Place;
use crate::core::listing::some;
use std::collections::BTreeSet;

/// How far the server is open to whoever is a user, the widest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    Everything,
    /// Keys of all apps, or of those whose namespaces are named.
    Keys {
        reads: Reach,
        writes: Reach,
        /// Channels, to hear and to send.
        hears: Reach,
    },
    /// No keys or channels of an app, but commands that reach beyond these.
    Commands(BTreeSet<String>),
}

/// Whose keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub all: bool,
    pub namespaces: BTreeSet<String>,
}

/// Names that are spelled out; more are counted.
const NAMES_SHOWN: usize = 5;

/// `@dangerous` has these, which tell of the server and not of its keys (monitoring without a password uses them), or
/// reach only the keys that they name.
const HARMLESS: [&str; 8] = ["info", "role", "lastsave", "latency|doctor", "sort", "sort_ro", "restore", "migrate"];

/// What everybody may do by being this user; `None` if nobody gets in as it without a password, or nothing is open.
pub fn open(user: &User, catalogue: &Catalogue, places: &BTreeSet<Place>) -> Option<Open> {
    if user.enabled && user.nopass { opened(user, catalogue, places) } else { None }
}

/// What whoever is this user may do with what apps have, or beyond it; `None` if that is nothing.
pub fn opened(user: &User, catalogue: &Catalogue, places: &BTreeSet<Place>) -> Option<Open> {
    let (mut reads, mut writes, mut hears) = (Reach::default(), Reach::default(), Reach::default());
    let callable = catalogue.callable().count();
    let mut all_allowed = Vec::new();
    for part in parts(user) {
        // Rules that cannot be replayed may allow anything.
        let allowed = catalogue
            .allowed(&part.commands)
            .unwrap_or_else(|| catalogue.callable().map(|(name, _)| name.to_owned()).collect());
        let known = || allowed.iter().filter_map(|name| catalogue.commands.get(name));
        if part.keys.contains("~*") && part.confined_to().is_none() && known().count() == callable {
            return Some(Open::Everything);
        }
        let (may_read, may_write) = (known().any(|one| does(one, "read")), known().any(|one| does(one, "write")));
        for (mode, pattern) in part.keys.iter().filter_map(|rule| rule.split_once('~')) {
            if mode != "%W" && may_read {
                reads.extend(pattern, &part, places);
            }
            if mode != "%R" && may_write {
                writes.extend(pattern, &part, places);
            }
        }
        if known().any(|command| command.categories.contains("pubsub")) {
            part.channels.iter().filter_map(|rule| rule.strip_prefix('&')).for_each(|rule| hears.hear(rule, places));
        }
        all_allowed.push(allowed);
    }
    if [&reads, &writes, &hears].iter().any(|reach| **reach != Reach::default()) {
        return Some(Open::Keys { reads, writes, hears });
    }
    let leads_beyond = |name: &String| {
        let Some(command) = catalogue.commands.get(name) else { return false };
        let reaches = command.categories.contains("dangerous") || dangers::leads_beyond(name);
        reaches && !HARMLESS.contains(&name.as_str())
    };
    let beyond: BTreeSet<String> = all_allowed.into_iter().flatten().filter(leads_beyond).collect();
    (!beyond.is_empty()).then_some(Open::Commands(beyond))
}

/// Whether a command reads or writes keys: scripts may do both.
fn does(command: &Command, what: &str) -> bool {
    command.categories.contains(what) || command.categories.contains("scripting")
}

impl Reach {
    /// Adds the keys of a pattern, in the databases that its rules are confined to.
    fn extend(&mut self, pattern: &str, rules: &Rules, places: &BTreeSet<Place>) {
        let databases = rules.confined_to();
        self.all |= pattern == "*" && databases.is_none();
        let within = |place: &&Place| databases.as_ref().is_none_or(|some| some.contains(&place.db));
        self.namespaces
            .extend(places.iter().filter(within).filter(|place| place.has_keys_of(pattern)).map(Place::name));
    }

    /// Adds channels, which belong to no database.
    fn hear(&mut self, pattern: &str, places: &BTreeSet<Place>) {
        self.all |= pattern == "*";
        self.namespaces.extend(places.iter().filter(|place| place.has_channels_of(pattern)).map(Place::name));
    }

    fn whose(&self, what: &str) -> Option<String> {
        if self.all {
            return Some(format!("every {what}"));
        }
        (!self.namespaces.is_empty()).then(|| format!("{what}s of {}", some(&self.namespaces, NAMES_SHOWN)))
    }
}

impl Open {
    /// Whether it lets everybody at what apps keep.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::Everything | Self::Keys { .. } => true,
            Self::Commands(names) => names.iter().any(|name| dangers::leads_beyond(name)),
        }
    }

    /// As a sentence, of a user without a password.
    pub fn describe(&self, user: &str) -> String {
        format!("the user `{user}` needs no password and may {}", self.may())
    }

    /// What it lets one do: `read every key`.
    pub fn may(&self) -> String {
        match self {
            Self::Everything => "do everything: nothing is isolated".to_owned(),
            Self::Keys { reads, writes, hears } => {
                let keys = match (reads.whose("key"), writes.whose("key")) {
                    (Some(reads), Some(writes)) if reads == writes => Some(format!("read and change {reads}")),
                    (Some(reads), Some(writes)) => Some(format!("read {reads}, and change {writes}")),
                    (Some(reads), None) => Some(format!("read {reads}")),
                    (None, Some(writes)) => Some(format!("change {writes}")),
                    (None, None) => None,
                };
                let channels = hears.whose("channel").map(|whose| format!("listen and send on {whose}"));
                keys.into_iter().chain(channels).collect::<Vec<_>>().join(", and ")
            }
            Self::Commands(names) => {
                let names = names.iter().map(|name| name.replace('|', " ").to_ascii_uppercase());
                format!("run {}", some(names, NAMES_SHOWN))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::acl::parse_line;
    use super::*;

    fn catalogue() -> Catalogue {
        let command = |categories: &[&str]| Command {
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            ..Command::default()
        };
        let commands = [
            ("get", command(&["read"])),
            ("set", command(&["write"])),
            ("ping", command(&["connection"])),
            ("info", command(&["dangerous"])),
            ("flushall", command(&["dangerous", "write"])),
            ("eval", command(&["scripting"])),
            ("publish", command(&["pubsub"])),
        ];
        Catalogue { commands: commands.into_iter().map(|(name, command)| (name.to_owned(), command)).collect() }
    }

    #[test]
    fn what_everybody_may_do_is_told_by_what_it_reaches() {
        let place = |namespace: &str, db| Place { namespace: Some(namespace.to_owned()), db };
        let places = BTreeSet::from([place("mail", 0), place("cafe", 3)]);
        let said = |rules: &str| {
            let user = parse_line(&format!("user default {rules}"), true).unwrap().user;
            let open = open(&user, &catalogue(), &places);
            open.map(|open| open.describe("default").replace("the user `default` needs no password and may ", ""))
        };
        let cases = [
            ("on nopass ~* &* +@all", Some("do everything: nothing is isolated")),
            ("on nopass (~* +@all)", Some("do everything: nothing is isolated")),
            ("on nopass ~* &* +@read +ping", Some("read every key")),
            (
                "on nopass ~* &* +@all -flushall",
                Some("read and change every key, and listen and send on every channel"),
            ),
            ("on nopass %R~* ~mail:x* +get +set", Some("read every key, and change keys of mail")),
            ("on nopass ~c* +set", Some("change keys of cafe")),
            ("on nopass ~c* +eval", Some("read and change keys of cafe")),
            ("on nopass ~other:* +@all", Some("run FLUSHALL")),
            ("on nopass ~other:* +@all -@dangerous", None),
            ("on nopass ~other:* &* +@all -@dangerous", Some("listen and send on every channel")),
            (
                "on nopass ~*:x:* &mail:* +@all",
                Some("read and change keys of cafe, mail, and listen and send on channels of mail"),
            ),
            ("on nopass ~* +ping +info", None),
            ("on nopass ~* db=3 +@read", Some("read keys of cafe")),
            ("on nopass ~* &cafe:* db=7 +@read +publish", Some("listen and send on channels of cafe")),
            ("off nopass ~* &* +@all", None),
            ("on #0 ~* &* +@all", None),
        ];
        for (rules, expected) in cases {
            assert_eq!(said(rules).as_deref(), expected, "{rules}");
        }
    }
}
