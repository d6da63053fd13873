//! The commands of a server, as `COMMAND` describes them, and which of them a list of rules allows. Pure.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What rules depend on in one command, or in one subcommand (`config|get`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// Without the `@`.
    pub categories: BTreeSet<String>,
    /// The arguments that are keys.
    pub keys: BTreeSet<KeyUse>,
    /// Whether it names channels.
    pub channels: bool,
    /// Whether only its subcommands can be called.
    pub contains: bool,
    /// Whether anybody may call it, whatever the rules say: `AUTH` and the like.
    pub always: bool,
}

/// Arguments of a command that are keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyUse {
    /// One of these, as other arguments say.
    pub needs: BTreeSet<Need>,
    /// Whether there may be several; else just one.
    pub many: bool,
    /// Whether there may be none.
    pub optional: bool,
}

impl KeyUse {
    /// Of a command of which it is not known how it uses its keys.
    pub fn unknown() -> Self {
        Self { needs: BTreeSet::from(Need::ALL), many: true, optional: true }
    }
}

/// What a rule must give for a key. One pattern must give all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// `EXISTS` and `TYPE` neither read nor write what a key holds: any pattern will do.
    Either,
    Read,
    Write,
    Both,
    /// Reads keys that the call does not name (`SORT .. GET`): the server asks for the pattern `*` itself.
    Unnamed,
}

impl Need {
    pub const ALL: [Self; 5] = [Self::Either, Self::Read, Self::Write, Self::Both, Self::Unnamed];

    /// Whether a pattern of this mode (empty, `%R` or `%W`) gives it.
    pub fn met_by(self, mode: &str) -> bool {
        match self {
            Self::Either => true,
            Self::Read | Self::Unnamed => mode != "%W",
            Self::Write => mode != "%R",
            Self::Both => mode.is_empty(),
        }
    }
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

    /// The commands that rules allow, replayed in order as the server replays them. `None` if they name a category that
    /// is not known here.
    ///
    /// A first argument (`select|0`) stands for itself, unless its whole command is allowed anyway. A command with
    /// subcommands stands for these. What anybody may call is left out.
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
        allowed.retain(|name| self.commands.get(name).is_none_or(|command| !command.contains && !command.always));
        Some(allowed)
    }

    /// All commands that can be called and that rules decide about.
    pub fn callable(&self) -> impl Iterator<Item = (&str, &Command)> {
        let all = self.commands.iter().map(|(name, command)| (name.as_str(), command));
        all.filter(|(_, command)| !command.contains && !command.always)
    }

    fn of_category<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a String> {
        self.commands.iter().filter(move |(_, command)| command.categories.contains(category)).map(|(name, _)| name)
    }

    /// Gives or takes one command with all of its subcommands, and forgets its first arguments.
    fn change(&self, allowed: &mut BTreeSet<String>, command: &str, give: bool) {
        let inside = format!("{command}|");
        let inner = allowed.range(inside.clone()..).take_while(|name| name.starts_with(&inside));
        for name in inner.cloned().collect::<Vec<_>>() {
            allowed.remove(&name);
        }
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
