//! The commands of a server, as `COMMAND` describes them, and which of them a list of rules allows. Pure.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What rules depend on in one command, or in one subcommand (`config|get`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Without the `@`.
    pub categories: BTreeSet<String>,
    /// Whether it may read keys.
    pub reads: bool,
    /// Whether it may change keys.
    pub writes: bool,
    /// Whether it names channels.
    pub channels: bool,
}

/// All commands of a server by name, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    pub commands: BTreeMap<String, Command>,
}

impl Catalogue {
    pub fn knows(&self, command: &str) -> bool {
        self.commands.contains_key(command)
    }

    pub fn has_category(&self, category: &str) -> bool {
        self.of_category(category).next().is_some()
    }

    /// What a rule names, whether it is a command, a subcommand, or a command with a first argument (`select|0`).
    pub fn named(&self, rule: &str) -> Option<&Command> {
        let whole = || self.commands.get(rule.split('|').next().unwrap_or_default());
        self.commands.get(rule).or_else(whole)
    }

    /// The commands that rules allow, replayed in order as the server replays them. `None` if they name a category that
    /// is not known here.
    ///
    /// A first argument (`select|0`) stands for itself, unless its whole command is allowed anyway. A command with
    /// subcommands stands for these.
    pub fn allowed(&self, rules: &[String]) -> Option<BTreeSet<String>> {
        let mut allowed: BTreeSet<String> = BTreeSet::new();
        for rule in rules {
            let give = rule.starts_with('+');
            let what = rule.get(1..)?;
            match what.strip_prefix('@') {
                Some("all") if give => allowed = self.commands.keys().cloned().collect(),
                Some("all") => allowed.clear(),
                Some(category) => {
                    let mut members = self.of_category(category).peekable();
                    members.peek()?;
                    members.for_each(|command| self.change(&mut allowed, command, give));
                }
                None => self.change(&mut allowed, what, give),
            }
        }
        let whole = |name: &String| name.split_once('|').is_some_and(|(command, _)| allowed.contains(command));
        let idle: Vec<String> = allowed.iter().filter(|name| !self.knows(name) && whole(name)).cloned().collect();
        for name in idle {
            allowed.remove(&name);
        }
        let containers: BTreeSet<&str> =
            self.commands.keys().filter_map(|name| name.split_once('|').map(|(container, _)| container)).collect();
        allowed.retain(|name| !containers.contains(name.as_str()));
        Some(allowed)
    }

    fn of_category<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a String> {
        self.commands.iter().filter(move |(_, command)| command.categories.contains(category)).map(|(name, _)| name)
    }

    /// Gives or takes one command with all of its subcommands, and forgets its first arguments.
    fn change(&self, allowed: &mut BTreeSet<String>, command: &str, give: bool) {
        let inside = format!("{command}|");
        allowed.retain(|name| !name.starts_with(&inside));
        if give {
            allowed.insert(command.to_owned());
            let subcommands = self.commands.range(inside.clone()..).take_while(|(name, _)| name.starts_with(&inside));
            allowed.extend(subcommands.map(|(name, _)| name.clone()));
        } else {
            allowed.remove(command);
        }
    }
}

#[cfg(test)]
impl Catalogue {
    /// Commands of which nothing but the name is known.
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { commands: names.into_iter().map(|name| (name.into(), Command::default())).collect() }
    }
}
