//! The language of ACL rules: reads what a server prints into one canonical form, and writes it back. Pure.

use crate::services::valkey::model::User;
use std::collections::BTreeSet;
use std::sync::Arc;

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
        rules.add(words);
        rules
    }

    /// Adds rules to those that are there.
    pub fn add<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        for word in words {
            self.take(word);
        }
        self.merge_keys();
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

    /// The numbers of the databases that the rules reach; `None` is all of them.
    pub fn confined_to(&self) -> Option<BTreeSet<u32>> {
        let rule = self.databases.as_deref().filter(|rule| *rule != "alldbs")?;
        let numbers = rule.strip_prefix("db=").into_iter().flat_map(|list| list.split(','));
        Some(numbers.filter_map(|number| number.parse().ok()).collect())
    }

    /// Reads the text of a selector, parentheses and all.
    pub fn parse_selector(text: &str) -> Self {
        let inside = text.strip_prefix('(').unwrap_or(text);
        let inside = inside.strip_suffix(')').unwrap_or(inside);
        Self::parse(inside.split_ascii_whitespace(), false)
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
        // A pattern may end in a parenthesis too; rules of commands come last, and there is always one.
        let last = word.strip_suffix(')').filter(|word| word.starts_with(['+', '-']));
        inside.push(last.unwrap_or(word));
        if last.is_some() {
            selectors.insert(Rules::parse(open.take().unwrap_or_default(), database_rules).selector());
        }
    }
    if open.is_some() {
        return Err(format!("the line of user {name} in ACL LIST ends inside of a selector"));
    }
    let hashes = plain.iter().filter_map(|word| word.strip_prefix('#')).map(str::to_ascii_lowercase).collect();
    let rules = Rules::parse(plain.iter().copied(), database_rules);
    let user = User {
        enabled: plain.contains(&"on"),
        nopass: plain.contains(&"nopass"),
        skips_sanitizing: plain.contains(&"skip-sanitize-payload"),
        keys: Some(rules.keys),
        channels: Some(rules.channels),
        databases: rules.databases,
        commands: Some(Arc::new(rules.commands)),
        selectors: Some(selectors),
        ..User::new(name)
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
    // `reset` leaves it as it is.
    words.push(if user.skips_sanitizing { "skip-sanitize-payload" } else { "sanitize-payload" }.to_owned());
    words.extend(hashes.iter().map(|hash| format!("#{hash}")));
    words.extend(rules.words());
    words.extend(user.selectors.iter().flatten().cloned());
    words
}

/// The rules of a user and of each of its selectors: what one of them allows is allowed.
pub fn parts(user: &User) -> impl Iterator<Item = Rules> {
    let selectors = user.selectors.iter().flatten().map(|text| Rules::parse_selector(text));
    std::iter::once(rules_of(user)).chain(selectors)
}

/// The rules of a user without its selectors; what is unknown is not allowed.
pub fn rules_of(user: &User) -> Rules {
    Rules {
        keys: user.keys.clone().unwrap_or_default(),
        channels: user.channels.clone().unwrap_or_default(),
        databases: user.databases.clone(),
        commands: user.commands.as_deref().cloned().unwrap_or_else(|| vec!["-@all".to_owned()]),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
