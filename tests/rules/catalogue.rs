//! The commands of the server, and how each can be called with a given key.

use super::wire::{Answer, Wire};
use std::collections::{BTreeMap, BTreeSet};

pub struct Commands {
    pub categories: Vec<String>,
    pub database_rules: bool,
    all: BTreeMap<String, Shape>,
    in_category: BTreeMap<String, Vec<String>>,
}

/// How a command is called.
struct Shape {
    arguments: usize,
    /// Whether there may be more.
    open: bool,
    /// Places of arguments that say how many keys follow.
    counts: BTreeSet<usize>,
    contains: bool,
}

impl Commands {
    pub fn read(wire: &mut Wire) -> Self {
        let mut all = BTreeMap::new();
        shapes(&wire.ask(&["COMMAND"]), &mut all);
        let categories: Vec<String> =
            wire.ask(&["ACL", "CAT"]).list().iter().map(|category| category.text().to_owned()).collect();
        let members = |category: &String, wire: &mut Wire| {
            wire.ask(&["ACL", "CAT", category]).list().iter().map(|name| name.text().to_owned()).collect()
        };
        let in_category = categories.iter().map(|name| (name.clone(), members(name, wire))).collect();
        let database_rules =
            wire.ask(&["ACL", "GETUSER", "default"]).list().iter().any(|part| part.text() == "databases");
        Self { categories, database_rules, all, in_category }
    }

    pub fn names(&self) -> Vec<&String> {
        self.all.keys().collect()
    }

    pub fn knows(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// The members of a category (`@read`), or of a command with subcommands.
    pub fn members(&self, what: &str) -> Vec<String> {
        match what.strip_prefix('@') {
            Some(category) => self.in_category.get(category).cloned().unwrap_or_default(),
            None => {
                let inside = format!("{what}|");
                self.all.keys().filter(|name| name.starts_with(&inside)).cloned().collect()
            }
        }
    }

    /// Every command, called once with one key wherever a key may stand, and once with two keys in turn.
    pub fn calls(&self, keys: [&str; 2]) -> Vec<Vec<String>> {
        let callable =
            self.all.iter().filter(|(name, shape)| !shape.contains && !["select", "swapdb"].contains(&name.as_str()));
        let call = |name: &str, shape: &Shape, keys: &[&str]| {
            let mut words: Vec<String> = name.split('|').map(str::to_owned).collect();
            // Where as many keys follow as there are, values may stand between them.
            let least =
                shape.counts.last().map_or(shape.arguments, |count| shape.arguments.max(count + 2 * keys.len()));
            let least = if shape.open { least.max(words.len() + keys.len()) } else { least };
            for key in keys.iter().cycle().take(least.saturating_sub(words.len())) {
                let count = shape.counts.contains(&words.len()).then(|| keys.len().to_string());
                words.push(count.unwrap_or_else(|| (*key).to_owned()));
            }
            words
        };
        callable.flat_map(|(name, shape)| [call(name, shape, &keys[..1]), call(name, shape, &keys)]).collect()
    }
}

fn shapes(described: &Answer, all: &mut BTreeMap<String, Shape>) {
    for command in described.list() {
        let [name, arity, _, _, _, _, _, _, specifications, subcommands, ..] = command.list() else { panic!() };
        let mut counts = BTreeSet::new();
        for specification in specifications.list() {
            let begin = part(part(specification, "begin_search"), "spec");
            let keys = part(specification, "find_keys");
            if part(keys, "type").text() == "keynum" {
                let place = part(begin, "index").number() + part(part(keys, "spec"), "keynumidx").number();
                counts.insert(usize::try_from(place).unwrap());
            }
        }
        let least = usize::try_from(arity.number().abs()).unwrap();
        let shape =
            Shape { arguments: least, open: arity.number() < 0, counts, contains: !subcommands.list().is_empty() };
        all.insert(name.text().to_owned(), shape);
        shapes(subcommands, all);
    }
}

/// A value of a map as RESP2 has it.
fn part<'a>(map: &'a Answer, name: &str) -> &'a Answer {
    let list = map.list();
    list.chunks(2).find(|pair| pair[0].text() == name).map_or(&Answer::Nothing, |pair| &pair[1])
}
