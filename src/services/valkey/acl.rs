//! The language of ACL rules: reads what a server prints into one canonical form, compares it by meaning, and
//! writes it back. Pure.

use super::model::User;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A user as a server prints it. The hashes of its passwords stay outside of the model, and are never shown.
#[derive(Clone, PartialEq)]
pub struct Account {
    pub user: User,
    /// sha256 of each password, 64 lower-case hexadecimal digits.
    pub hashes: BTreeSet<String>,
}

/// What a user, or one of its selectors, may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `~p`, `%R~p` or `%W~p`.
    pub keys: BTreeSet<String>,
    pub channels: BTreeSet<String>,
    /// `alldbs`, `resetdbs`, `db=0,2`; `None` where the server has no such rules.
    pub databases: Option<String>,
    /// The first is `-@all` or `+@all`.
    pub commands: Vec<String>,
}

impl Rules {
    /// Nothing is allowed yet; where the server knows rules for databases, all of these are.
    pub fn none(database_rules: bool) -> Self {
        Self {
            keys: BTreeSet::new(),
            channels: BTreeSet::new(),
            databases: database_rules.then(|| "alldbs".to_owned()),
            commands: vec!["-@all".to_owned()],
        }
    }

    /// Applies rules one after another, as the server does. Words that are no rules of this kind are passed by.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>, database_rules: bool) -> Self {
        let mut rules = Self::none(database_rules);
        for word in words {
            rules.take(word);
        }
        rules.merge_keys();
        rules
    }

    fn take(&mut self, word: &str) {
        match word {
            "allkeys" => drop(self.keys.insert("~*".to_owned())),
            "resetkeys" => self.keys.clear(),
            "allchannels" => drop(self.channels.insert("&*".to_owned())),
            "resetchannels" => self.channels.clear(),
            "alldbs" | "resetdbs" => self.databases = Some(word.to_owned()),
            "allcommands" | "+@all" => self.commands = vec!["+@all".to_owned()],
            "nocommands" | "-@all" => self.commands = vec!["-@all".to_owned()],
            _ if word.starts_with("db=") => self.databases = Some(word.to_owned()),
            _ if word.starts_with('+') || word.starts_with('-') => self.commands.push(word.to_ascii_lowercase()),
            _ if word.starts_with('&') => drop(self.channels.insert(word.to_owned())),
            _ if word.starts_with('~') || word.starts_with('%') => {
                let both = word.strip_prefix("%RW~").or_else(|| word.strip_prefix("%WR~"));
                self.keys.insert(both.map_or_else(|| word.to_owned(), |pattern| format!("~{pattern}")));
            }
            _ => {}
        }
    }

    /// `%R~a` and `%W~a` are `~a`, and `~*` and `&*` leave nothing to add.
    fn merge_keys(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        let has = |mode: &str, pattern: &str| keys.contains(&format!("{mode}~{pattern}"));
        self.keys = keys
            .iter()
            .map(|key| match key.split_once('~') {
                Some((_, pattern)) if has("", pattern) || (has("%R", pattern) && has("%W", pattern)) => {
                    format!("~{pattern}")
                }
                Some(_) | None => key.clone(),
            })
            .collect();
        if self.keys.contains("~*") {
            self.keys = BTreeSet::from(["~*".to_owned()]);
        }
        if self.channels.contains("&*") {
            self.channels = BTreeSet::from(["&*".to_owned()]);
        }
    }

    /// The rules as words of `ACL SETUSER`, in the order in which servers print them.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.keys.iter().cloned().collect();
        if !self.channels.contains("&*") {
            words.push("resetchannels".to_owned());
        }
        words.extend(self.channels.iter().cloned());
        words.extend(self.databases.iter().filter(|rule| *rule != "alldbs").cloned());
        words.extend(self.commands.iter().cloned());
        words
    }

    /// As the canonical text of a selector.
    pub fn selector(&self) -> String {
        format!("({})", self.words().join(" "))
    }
}

/// Reads one line of `ACL LIST`; `database_rules` says whether the server has rules for database numbers.
///
/// # Errors
/// A sentence that names the user whose line cannot be read, and no rule of it.
pub fn parse_line(line: &str, database_rules: bool) -> Result<Account, String> {
    let mut words = line.split_ascii_whitespace();
    let (Some("user"), Some(name)) = (words.next(), words.next()) else {
        return Err("a line of ACL LIST does not start with user and a name".to_owned());
    };
    let (mut plain, mut selectors, mut open) = (Vec::new(), BTreeSet::new(), None::<Vec<&str>>);
    for word in words {
        let word = match word.strip_prefix('(') {
            Some(rest) if open.is_none() => {
                open = Some(Vec::new());
                rest
            }
            Some(_) | None => word,
        };
        let Some(inside) = open.as_mut() else {
            plain.push(word);
            continue;
        };
        inside.push(word.strip_suffix(')').unwrap_or(word));
        if word.ends_with(')') {
            selectors.insert(Rules::parse(open.take().unwrap_or_default(), database_rules).selector());
        }
    }
    if open.is_some() {
        return Err(format!("the line of user {name} in ACL LIST ends inside of a selector"));
    }
    let hashes = plain.iter().filter_map(|word| word.strip_prefix('#')).map(str::to_ascii_lowercase).collect();
    let rules = Rules::parse(plain.iter().copied(), database_rules);
    let user = User {
        name: name.to_owned(),
        access: None,
        namespace: None,
        reads: None,
        db: None,
        generated: None,
        enabled: plain.contains(&"on"),
        nopass: plain.contains(&"nopass"),
        keys: Some(rules.keys),
        channels: Some(rules.channels),
        databases: rules.databases,
        commands: Some(rules.commands),
        selectors: Some(selectors),
        uneven_nodes: BTreeSet::new(),
    };
    Ok(Account { user, hashes })
}

/// The arguments of an `ACL SETUSER` that makes the user exactly so, in one call that happens whole or not at all.
pub fn setuser(user: &User, hashes: &BTreeSet<String>) -> Vec<String> {
    let rules = rules_of(user);
    let mut words = vec!["SETUSER".to_owned(), user.name.clone(), "reset".to_owned()];
    words.push(if user.enabled { "on" } else { "off" }.to_owned());
    if user.nopass {
        words.push("nopass".to_owned());
    }
    words.extend(hashes.iter().map(|hash| format!("#{hash}")));
    words.extend(rules.words());
    words.extend(user.selectors.iter().flatten().cloned());
    words
}

/// The rules of a user without its selectors; what is unknown is not allowed.
pub fn rules_of(user: &User) -> Rules {
    Rules {
        keys: user.keys.clone().unwrap_or_default(),
        channels: user.channels.clone().unwrap_or_default(),
        databases: user.databases.clone(),
        commands: user.commands.clone().unwrap_or_else(|| vec!["-@all".to_owned()]),
    }
}

/// The commands of a server and the categories that they are in, each with its subcommands (`config|get`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// As `COMMAND LIST` names them.
    pub commands: BTreeSet<String>,
    /// As `ACL CAT` names them. Empty unless some rules had to be compared by meaning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, BTreeSet<String>>,
}

impl Catalogue {
    /// The commands that rules allow, replayed in order. `None` if they name a category that is not known here.
    ///
    /// A first argument (`select|0`) stands for itself, unless its whole command is allowed anyway.
    pub fn allowed(&self, rules: &[String]) -> Option<BTreeSet<String>> {
        let mut allowed: BTreeSet<String> = BTreeSet::new();
        for rule in rules {
            let give = rule.starts_with('+');
            let what = rule.get(1..)?;
            match what.strip_prefix('@') {
                Some("all") if give => allowed = self.commands.clone(),
                Some("all") => allowed.clear(),
                Some(category) => {
                    for command in self.categories.get(category)? {
                        self.change(&mut allowed, command, give);
                    }
                }
                None => self.change(&mut allowed, what, give),
            }
        }
        let whole = |name: &String| name.split_once('|').is_some_and(|(command, _)| allowed.contains(command));
        let idle: Vec<String> =
            allowed.iter().filter(|name| !self.commands.contains(*name) && whole(name)).cloned().collect();
        for name in idle {
            allowed.remove(&name);
        }
        let containers: BTreeSet<&str> =
            self.commands.iter().filter_map(|name| name.split_once('|').map(|(container, _)| container)).collect();
        allowed.retain(|name| !containers.contains(name.as_str()));
        Some(allowed)
    }

    /// Gives or takes one command with all of its subcommands, and forgets its first arguments.
    fn change(&self, allowed: &mut BTreeSet<String>, command: &str, give: bool) {
        let inside = format!("{command}|");
        allowed.retain(|name| !name.starts_with(&inside));
        if give {
            allowed.insert(command.to_owned());
            allowed.extend(self.commands.iter().filter(|name| name.starts_with(&inside)).cloned());
        } else {
            allowed.remove(command);
        }
    }

    /// Whether two rule lists are the same text or mean the same here.
    pub fn same(&self, one: &[String], other: &[String]) -> bool {
        one == other || matches!((self.allowed(one), self.allowed(other)), (Some(one), Some(other)) if one == other)
    }

    fn same_rules(&self, one: &Rules, other: &Rules) -> bool {
        one.keys == other.keys
            && one.channels == other.channels
            && one.databases == other.databases
            && self.same(&one.commands, &other.commands)
    }
}

/// Gives what was observed the text of a reference where it means the same: Redis 7.0 prints rules from a bitmap.
pub fn speak_like(observed: &mut User, reference: &User, catalogue: &Catalogue) {
    if let (Some(there), Some(wanted)) = (&mut observed.commands, &reference.commands)
        && catalogue.same(there, wanted)
    {
        there.clone_from(wanted);
    }
    let (Some(there), Some(wanted)) = (&mut observed.selectors, &reference.selectors) else { return };
    let database_rules = observed.databases.is_some();
    let read = |text: &str| {
        let inside = text.trim_start_matches('(').trim_end_matches(')');
        Rules::parse(inside.split_ascii_whitespace(), database_rules)
    };
    *there = std::mem::take(there)
        .into_iter()
        .map(|text| {
            let rules = read(&text);
            let twin = wanted.iter().find(|wanted| catalogue.same_rules(&rules, &read(wanted)));
            twin.cloned().unwrap_or(text)
        })
        .collect();
}

/// Whether comparing the two needs the categories: their texts differ.
pub fn differ_in_text(one: &User, other: &User) -> bool {
    fn differ<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
        matches!((one, other), (Some(one), Some(other)) if one != other)
    }
    differ(&one.commands, &other.commands) || differ(&one.selectors, &other.selectors)
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
