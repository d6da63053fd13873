//! Typed access to the keys of one table. Every error is collected; nothing stops at the first.

use crate::core::name::AppName;
use crate::core::suggest;
use crate::error::Diagnostic;
use crate::spec::node::{Located, Node, Table, Value};
use crate::spec::source::Spot;
use std::ops::RangeInclusive;

/// So many errors of one file are told; a file that has more is no infraspec.
pub const MOST_ERRORS: usize = 100;

/// A text as an error shows it: the start of one that is too long for any name.
pub fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A key of the user's own and its value.
pub type Setting = (Located<String>, Located<String>);

/// One table that is being read.
pub struct Fields<'a, 'e> {
    table: &'a Table,
    /// Where it starts.
    pub spot: Spot,
    /// As errors name it: `services.kv`.
    what: &'a str,
    errors: &'e mut Vec<Diagnostic>,
}

impl<'a, 'e> Fields<'a, 'e> {
    /// Takes a table and checks that all of its keys are known.
    pub fn open(node: &'a Node, what: &'a str, known: &[&str], errors: &'e mut Vec<Diagnostic>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            errors.push(wrong_type(node, what, "a table"));
            return None;
        };
        for (key, (spot, _)) in table {
            if !known.contains(&key.as_str()) && errors.len() < MOST_ERRORS {
                errors.push(unknown_key(key, spot, what, known));
            }
        }
        Some(Self { table, spot: node.spot.clone(), what, errors })
    }

    /// What stands at a key, of any type.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.table.get(key).map(|(_, node)| node)
    }

    /// Where a key stands.
    pub fn key_spot(&self, key: &str) -> Option<Spot> {
        self.table.get(key).map(|(spot, _)| spot.clone())
    }

    pub fn fail(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Whether enough errors of this file have been found.
    fn is_full(&self) -> bool {
        self.errors.len() >= MOST_ERRORS
    }

    pub fn text(&mut self, key: &str) -> Option<Located<String>> {
        let node = self.get(key)?;
        self.text_of(node, key)
    }

    fn text_of(&mut self, node: &Node, key: &str) -> Option<Located<String>> {
        if let Value::Text(text) = &node.value {
            return Some(Located::new(text.clone(), node.spot.clone()));
        }
        self.fail(wrong_type(node, key, "a string"));
        None
    }

    /// A list whose items are read one by one.
    pub fn list(&mut self, key: &str, of: &str) -> Option<&'a [Node]> {
        let node = self.get(key)?;
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        self.fail(wrong_type(node, key, &format!("a list of {of}")));
        None
    }

    /// A list of strings, none of them twice.
    pub fn texts(&mut self, key: &str) -> Option<Vec<Located<String>>> {
        let items = self.list(key, "strings")?;
        let mut texts: Vec<Located<String>> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for item in items {
            if self.is_full() {
                break;
            }
            let Some(text) = self.text_of(item, key) else { continue };
            if seen.insert(text.value.clone()) {
                texts.push(text);
            } else {
                self.fail(
                    text.spot.error(format!("{:?} is in {key} twice", shown(&text.value))).hint("remove one of them"),
                );
            }
        }
        Some(texts)
    }

    /// A list of names of apps.
    pub fn apps(&mut self, key: &str) -> Vec<Located<AppName>> {
        let mut apps = Vec::new();
        for text in self.texts(key).unwrap_or_default() {
            if self.is_full() {
                break;
            }
            match AppName::new(text.value) {
                Ok(name) => apps.push(Located::new(name, text.spot)),
                Err(message) => self.fail(text.spot.error(message).hint(format!("{key} names apps"))),
            }
        }
        apps
    }

    pub fn number(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        let node = self.get(key)?;
        let Value::Integer(number) = node.value else {
            self.fail(wrong_type(node, key, "an integer"));
            return None;
        };
        if range.contains(&number) {
            return Some(Located::new(number, node.spot.clone()));
        }
        let message = format!("{key} is {number}, where {} to {} may stand", range.start(), range.end());
        self.fail(node.spot.error(message).hint("choose a number in that range, or leave the key out"));
        None
    }

    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let node = self.get(key)?;
        if let Value::Flag(flag) = node.value {
            return Some(flag);
        }
        self.fail(wrong_type(node, key, "true or false"));
        None
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let error = text.spot.error(format!("{key} is {:?}", shown(&text.value)));
        self.fail(error.hint(suggest::hint(&text.value, &known)));
        None
    }

    /// A table with keys of the user's own.
    pub fn table(&mut self, key: &str) -> Option<&'a Table> {
        let node = self.get(key)?;
        if let Value::Table(table) = &node.value {
            return Some(table);
        }
        self.fail(wrong_type(node, &format!("{}.{key}", self.what), "a table"));
        None
    }

    /// A table of strings, numbers and flags, as the texts that a server takes.
    pub fn scalars(&mut self, key: &str) -> Vec<Setting> {
        let mut scalars = Vec::new();
        for (name, (spot, node)) in self.table(key).into_iter().flatten() {
            if self.is_full() {
                break;
            }
            if let Some(text) = scalar(&node.value) {
                let name = Located::new(name.clone(), spot.clone());
                scalars.push((name, Located::new(text, node.spot.clone())));
            } else {
                self.fail(wrong_type(node, &shown(name), "a string, a number, true or false"));
            }
        }
        scalars
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Flag(flag) => Some(flag.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) if number.is_finite() => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Float(_) | Value::Null | Value::List(_) | Value::Table(_) | Value::Date => None,
    }
}

pub fn wrong_type(node: &Node, what: &str, wanted: &str) -> Diagnostic {
    let error = node.spot.error(format!("{what} is {}, where {wanted} belongs", node.value.kind()));
    let (text, list) = (wanted.contains("string"), wanted.contains("list"));
    error.hint(match &node.value {
        Value::Null if wanted == "a table" => "write {} to take the defaults, or leave the key out".to_owned(),
        Value::Null => "give it a value, or leave the key out".to_owned(),
        Value::Text(value) if list => format!("write [{:?}]", shown(value)),
        Value::Text(value) if wanted == "an integer" && value.parse::<i64>().is_ok() => {
            format!("write {value} without quotes")
        }
        Value::Integer(number) if wanted.starts_with("a string") => format!("write \"{number}\", in quotes"),
        Value::Flag(flag) if wanted.starts_with("a string") => format!("write \"{flag}\", in quotes"),
        Value::Date | Value::Float(_) if text => "put it in quotes".to_owned(),
        Value::Flag(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Table(_)
        | Value::Date => format!("put {wanted} here"),
    })
}

/// Names under which people look for our keys.
const SYNONYMS: [(&str, &str); 21] = [
    ("valkey", "kv"),
    ("redis", "kv"),
    ("cache", "kv"),
    ("kafka", "events"),
    ("redpanda", "events"),
    ("topic", "topics"),
    ("postgresql", "postgres"),
    ("pg", "postgres"),
    ("db", "database"),
    ("role", "user"),
    ("username", "user"),
    ("name", "app"),
    // Of a database.
    ("charset", "encoding"),
    ("collate", "locale"),
    ("collation", "locale"),
    ("lc_collate", "locale"),
    ("lc_ctype", "locale"),
    ("icu_locale", "locale"),
    // Of a grant.
    ("user", "role"),
    ("privileges", "access"),
    ("level", "access"),
];

pub fn unknown_key(key: &str, spot: &Spot, what: &str, known: &[&str]) -> Diagnostic {
    let error = spot.error(format!("unknown key {:?} in {what}", shown(key)));
    let synonym = SYNONYMS.iter().find(|(from, to)| *from == key && known.contains(to));
    error.hint(match synonym {
        Some((_, to)) => format!("did you mean {to:?}?"),
        None => suggest::hint(key, known),
    })
}
