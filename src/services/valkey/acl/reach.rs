//! Compares what two users reach: every argument that a command may get is sorted by which parts of the users' rules let
//! it pass, and nothing else about it matters. Pure.

use super::catalogue::{Catalogue, Command, KeyUse, Need};
use super::effort::Effort;
use super::machine::matched;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What rules open to the commands that they allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// `~p`, `%R~p` or `%W~p`.
    pub keys: BTreeSet<String>,
    /// `&p`
    pub channels: BTreeSet<String>,
    /// Where the server confines to database numbers: these, or all.
    pub databases: Option<BTreeSet<String>>,
}

/// A set of rules: those of the user itself, or of one selector. A call is allowed if one of them allows all of it.
#[derive(PartialEq)]
pub struct Part {
    pub commands: Rc<BTreeSet<String>>,
    pub reach: Reach,
}

/// Which parts let an argument pass: one bit for each.
type Passing = u64;

/// Ways to be let through, each once.
type Ways = BTreeSet<Passing>;

/// What it costs to put two ways together.
const PAIR: usize = 4;

/// The parts of two users, the first user's first, and how arguments of each sort pass them.
struct Reaches<'a> {
    parts: Vec<&'a Part>,
    effort: &'a Effort,
    /// The parts of the first user.
    first: Passing,
    keys: BTreeMap<Need, Ways>,
    /// Names of channels, and patterns of channels, which must stand in the rules literally.
    channels: Ways,
    channel_patterns: Ways,
    /// Database numbers that rules name, and all others together.
    databases: BTreeMap<Option<String>, Passing>,
    /// Parts that reach every database.
    unconfined: Passing,
}

/// Whether every call is allowed by both or by neither. `false` also if it cannot be told with the effort that is left.
pub fn equal(catalogue: &Catalogue, one: &[Part], other: &[Part], effort: &Effort) -> bool {
    let pairs = || one.iter().zip(other);
    // Where two parts open the same, only a command that one of them lacks can make a difference.
    let names: BTreeSet<&String> = if one.len() == other.len() && pairs().all(|(one, other)| one.reach == other.reach) {
        pairs().flat_map(|(one, other)| one.commands.symmetric_difference(&other.commands)).collect()
    } else {
        one.iter().chain(other).flat_map(|part| part.commands.iter()).collect()
    };
    if names.is_empty() {
        return true;
    }
    let Some(reaches) = Reaches::new(one, other, effort) else { return false };
    let names: BTreeSet<&str> = names.into_iter().map(|name| base(catalogue, name).0).collect();
    names.into_iter().all(|name| reaches.agree_on(catalogue, name))
}

/// Whether two sets of key rules open the same keys in the same way. `false` also if it cannot be told.
pub fn equal_keys(one: &Part, other: &Part, effort: &Effort) -> bool {
    let reaches = Reaches::new(std::slice::from_ref(one), std::slice::from_ref(other), effort);
    reaches.is_some_and(|reaches| {
        reaches.keys.values().flatten().all(|passing| *passing == 0 || *passing == reaches.everyone())
    })
}

impl<'a> Reaches<'a> {
    fn new(one: &'a [Part], other: &'a [Part], effort: &'a Effort) -> Option<Self> {
        let parts: Vec<&Part> = one.iter().chain(other).collect();
        if parts.len() >= Passing::BITS as usize {
            return None;
        }
        let mut reaches = Self {
            first: (1 << one.len()) - 1,
            keys: BTreeMap::new(),
            channels: Ways::new(),
            channel_patterns: Ways::new(),
            databases: BTreeMap::new(),
            unconfined: 0,
            parts,
            effort,
        };
        reaches.look_at_keys()?;
        reaches.look_at_channels()?;
        reaches.look_at_databases();
        Some(reaches)
    }

    fn everyone(&self) -> Passing {
        (1 << self.parts.len()) - 1
    }

    /// The parts of which something holds.
    fn those(&self, holds: impl Fn(&Part) -> bool) -> Passing {
        self.parts.iter().enumerate().filter(|(_, part)| holds(part)).fold(0, |all, (bit, _)| all | 1 << bit)
    }

    fn look_at_keys(&mut self) -> Option<()> {
        let rules: BTreeSet<(&str, &str)> =
            self.parts.iter().flat_map(|part| &part.reach.keys).filter_map(|rule| rule.split_once('~')).collect();
        let rules: Vec<(&str, &str)> = rules.into_iter().collect();
        let sorts = sorts(&rules, |(mode, pattern)| (*pattern, mode.is_empty()), self.effort)?;
        self.effort.spend((sorts.len() + self.parts.len()) * rules.len() * Need::ALL.len())?;
        let having = rules.iter().map(|(mode, pattern)| {
            let rule = format!("{mode}~{pattern}");
            self.those(|part| part.reach.keys.contains(&rule))
        });
        let having: Vec<Passing> = having.collect();
        for need in Need::ALL {
            let ways = |sort: &BTreeSet<usize>| {
                let matching = rules.iter().zip(&having).enumerate().filter(|(place, _)| sort.contains(place));
                let giving = matching.filter(|(_, ((mode, _), _))| need.met_by(mode));
                giving.fold(0, |all, (_, (_, having))| all | having)
            };
            let ways = if need == Need::Unnamed {
                let all = rules.iter().enumerate().filter(|(_, (_, pattern))| *pattern == "*");
                Ways::from([ways(&all.map(|(place, _)| place).collect())])
            } else {
                sorts.iter().map(ways).collect()
            };
            self.keys.insert(need, ways);
        }
        Some(())
    }

    fn look_at_channels(&mut self) -> Option<()> {
        let rules: BTreeSet<&String> = self.parts.iter().flat_map(|part| &part.reach.channels).collect();
        let rules: Vec<&String> = rules.into_iter().collect();
        let sorts = sorts(&rules, |rule| (rule.strip_prefix('&').unwrap_or(rule), true), self.effort)?;
        self.effort.spend((sorts.len() + self.parts.len()) * rules.len())?;
        let having: Vec<Passing> =
            rules.iter().map(|rule| self.those(|part| part.reach.channels.contains(*rule))).collect();
        let names = sorts.iter().map(|sort| {
            let matching = having.iter().enumerate().filter(|(place, _)| sort.contains(place));
            matching.fold(0, |all, (_, having)| all | having)
        });
        let all = |part: &Part| part.reach.channels.contains("&*");
        let all = self.those(all);
        let literal = having.iter().map(|having| all | having).chain([all]);
        let (names, literal) = (names.collect(), literal.collect());
        (self.channels, self.channel_patterns) = (names, literal);
        Some(())
    }

    fn look_at_databases(&mut self) {
        let named: BTreeSet<&String> =
            self.parts.iter().filter_map(|part| part.reach.databases.as_ref()).flatten().collect();
        let numbers = named.into_iter().cloned().map(Some).chain([None]);
        let databases = numbers.map(|number| {
            let passing = self.those(|part| match (&part.reach.databases, &number) {
                (None, _) => true,
                (Some(some), Some(number)) => some.contains(number),
                (Some(_), None) => false,
            });
            (number, passing)
        });
        self.databases = databases.collect();
        self.unconfined = self.those(|part| part.reach.databases.is_none());
    }

    /// Whether both users may make the same calls of a command.
    fn agree_on(&self, catalogue: &Catalogue, name: &str) -> bool {
        let inside = format!("{name}|");
        let arguments: BTreeSet<&str> = self
            .parts
            .iter()
            .flat_map(|part| part.commands.range(inside.clone()..).take_while(|name| name.starts_with(&inside)))
            .filter_map(|name| name.strip_prefix(&inside))
            .collect();
        // A subcommand is a command of its own.
        let arguments: BTreeSet<&str> =
            arguments.into_iter().filter(|argument| !catalogue.knows(&format!("{name}|{argument}"))).collect();
        let variants = arguments.iter().copied().map(Some).chain([None]);
        variants.into_iter().all(|argument| {
            let first = argument.map(|argument| format!("{name}|{argument}"));
            let allowed = self.those(|part| {
                part.commands.contains(name) || first.as_ref().is_some_and(|first| part.commands.contains(first))
            });
            let unknown = Command { keys: BTreeSet::from([KeyUse::unknown()]), channels: true, ..Command::default() };
            let command = catalogue.commands.get(name).unwrap_or(&unknown);
            let ways = self.ways(Ways::from([allowed]), name, command, argument, &arguments);
            ways.is_some_and(|ways| ways.iter().all(|way| (way & self.first == 0) == (way & !self.first == 0)))
        })
    }

    /// All ways in which calls of a command pass.
    fn ways(
        &self,
        mut ways: Ways,
        name: &str,
        command: &Command,
        argument: Option<&str>,
        arguments: &BTreeSet<&str>,
    ) -> Option<Ways> {
        for key in &command.keys {
            let choices = key.needs.iter().filter_map(|need| self.keys.get(need)).flatten().copied().collect();
            let with = self.narrowed(&ways, &choices, key.many)?;
            if key.optional {
                ways.extend(with);
            } else {
                ways = with;
            }
        }
        if command.channels {
            let choices = if name == "psubscribe" { &self.channel_patterns } else { &self.channels };
            ways = self.narrowed(&ways, choices, true)?;
        }
        let number = |number: &Option<String>| match (argument, number.as_deref()) {
            (Some(argument), number) => number == Some(argument) || (number.is_none() && !self.names(argument)),
            (None, Some(number)) => !arguments.contains(number),
            (None, None) => true,
        };
        self.effort.spend(self.databases.len() + self.parts.len())?;
        let chosen: Ways =
            self.databases.iter().filter(|(name, _)| number(name)).map(|(_, passing)| *passing).collect();
        let any: Ways = self.databases.values().copied().collect();
        match database_use(name, command) {
            DatabaseUse::None => Some(ways),
            DatabaseUse::Named => self.narrowed(&ways, &chosen, false),
            DatabaseUse::Current => self.narrowed(&ways, &any, false),
            DatabaseUse::Two => self.narrowed(&ways, &any, true),
            DatabaseUse::All => self.narrowed(&ways, &Ways::from([self.unconfined]), false),
        }
    }

    /// The ways that are left with one more argument, or with several.
    fn narrowed(&self, ways: &Ways, choices: &Ways, many: bool) -> Option<Ways> {
        let with = |ways: &Ways| -> Option<Ways> {
            self.effort.spend(PAIR * ways.len().saturating_mul(choices.len()))?;
            Some(ways.iter().flat_map(|way| choices.iter().map(move |choice| way & choice)).collect())
        };
        let mut all = with(ways)?;
        let mut settled = !many;
        while !settled {
            let more = with(&all)?;
            settled = more.is_subset(&all);
            all.extend(more);
        }
        Some(all)
    }

    /// Whether a rule names a database number.
    fn names(&self, number: &str) -> bool {
        self.databases.contains_key(&Some(number.to_owned()))
    }
}

/// The command that an allowed name belongs to, and its first argument if the name has one (`select|0`).
fn base<'n>(catalogue: &Catalogue, name: &'n str) -> (&'n str, Option<&'n str>) {
    match name.split_once('|') {
        Some((command, argument)) if !catalogue.knows(name) => (command, Some(argument)),
        Some(_) | None => (name, None),
    }
}

/// Every sort of text by the places of the patterns that match it. `read` gives a rule's pattern, and whether a lone `*`
/// in it stands for all there is.
fn sorts<T>(rules: &[T], read: impl Fn(&T) -> (&str, bool), effort: &Effort) -> Option<BTreeSet<BTreeSet<usize>>> {
    let patterns: Vec<&str> = rules.iter().map(|rule| read(rule).0).collect();
    let mut sorts = matched(&patterns, effort)?;
    let those = |holds: &dyn Fn(&T) -> bool| -> BTreeSet<usize> {
        rules.iter().enumerate().filter(|(_, rule)| holds(rule)).map(|(place, _)| place).collect()
    };
    // The empty text.
    sorts.insert(those(&|rule| read(rule) == ("*", true) || read(rule).0.is_empty()));
    Some(sorts)
}

/// Which database numbers a command needs where rules confine to some.
enum DatabaseUse {
    None,
    /// One that it names.
    Named,
    Current,
    /// The current one and one that it names, or two that it names.
    Two,
    All,
}

/// As Valkey 9.1 was found to decide.
fn database_use(name: &str, command: &Command) -> DatabaseUse {
    let of_keys = || ["keyspace", "read", "write"].iter().any(|category| command.categories.contains(*category));
    match name {
        "select" => DatabaseUse::Named,
        "swapdb" | "move" | "copy" => DatabaseUse::Two,
        "flushall" | "cluster|flushslot" | "cluster|migrateslots" | "cluster|cancelslotmigrations" => DatabaseUse::All,
        _ if !command.keys.is_empty() || of_keys() => DatabaseUse::Current,
        _ => DatabaseUse::None,
    }
}
