//! One layer of settings (the file, an environment's table, the variables), and what is said about a wrong one.

use super::keys::{Key, Shape};
use crate::core::secret::Secret;
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, Place};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A value of the shape that its key has.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    /// A port, or a count.
    Port(u16),
    Flag(bool),
    List(Vec<String>),
    Paths(Vec<PathBuf>),
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    File(Place),
    Variable(String),
}

impl Origin {
    pub fn wrong(&self, message: impl std::fmt::Display) -> Diagnostic {
        match self {
            Self::File(place) => Diagnostic::new(Kind::Config, message.to_string()).at(place.clone()),
            Self::Variable(name) => Diagnostic::new(Kind::Config, format!("{name}: {message}")),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Located {
    pub value: Value,
    pub origin: Origin,
}

/// Settings by table and key.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    pub values: BTreeMap<(&'static str, &'static str), Located>,
    /// Passwords in the URLs of variables, by table. There are none in a file.
    pub passwords: BTreeMap<&'static str, Secret>,
}

impl Layer {
    /// Lays another layer over this one.
    pub fn overlay(&mut self, over: Self) {
        for ((table, name), located) in over.values {
            // The file and the command of a password exclude one another, so the later one replaces both.
            let by_command = name.strip_suffix("_file").map(|of| format!("{of}_command"));
            let other = by_command.or_else(|| name.strip_suffix("_command").map(|of| format!("{of}_file")));
            self.values.retain(|(of, key), _| *of != table || other.as_deref() != Some(*key));
            self.values.insert((table, name), located);
        }
        self.passwords.extend(over.passwords);
    }

    pub fn origin(&self, table: &'static str, name: &'static str) -> Option<&Origin> {
        self.values.get(&(table, name)).map(|located| &located.origin)
    }

    pub fn text(&self, table: &'static str, name: &'static str) -> Option<String> {
        match &self.values.get(&(table, name))?.value {
            Value::Text(text) => Some(text.clone()),
            Value::Port(_) | Value::Flag(_) | Value::List(_) | Value::Paths(_) => None,
        }
    }

    pub fn port(&self, table: &'static str, name: &'static str) -> Option<u16> {
        match &self.values.get(&(table, name))?.value {
            Value::Port(port) => Some(*port),
            Value::Text(_) | Value::Flag(_) | Value::List(_) | Value::Paths(_) => None,
        }
    }

    pub fn flag(&self, table: &'static str, name: &'static str) -> Option<bool> {
        match &self.values.get(&(table, name))?.value {
            Value::Flag(flag) => Some(*flag),
            Value::Text(_) | Value::Port(_) | Value::List(_) | Value::Paths(_) => None,
        }
    }

    pub fn list(&self, table: &'static str, name: &'static str) -> Option<Vec<String>> {
        match &self.values.get(&(table, name))?.value {
            Value::List(list) => Some(list.clone()),
            Value::Text(_) | Value::Port(_) | Value::Flag(_) | Value::Paths(_) => None,
        }
    }

    pub fn paths(&self, table: &'static str, name: &'static str) -> Option<Vec<PathBuf>> {
        match &self.values.get(&(table, name))?.value {
            Value::Paths(paths) => Some(paths.clone()),
            Value::Text(_) | Value::Port(_) | Value::Flag(_) | Value::List(_) => None,
        }
    }

    pub fn path(&self, table: &'static str, name: &'static str) -> Option<PathBuf> {
        self.paths(table, name)?.into_iter().next()
    }
}

/// What paths are made from.
pub struct Base<'a> {
    /// Relative paths are relative to this.
    pub directory: &'a Path,
    pub variables: &'a BTreeMap<String, String>,
}

/// A setting as it was written, in the file or in a variable.
pub enum Raw {
    Text(String),
    Integer(String),
    Flag(bool),
    Texts(Vec<String>),
    /// A table, a float, a list of something else.
    Other(&'static str),
}

impl Raw {
    fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Texts(_) => "a list",
            Self::Other(what) => what,
        }
    }
}

/// Brings a setting into the shape of its key.
pub fn shape(key: &Key, raw: Raw, origin: &Origin, base: &Base<'_>) -> Result<Value, Diagnostic> {
    let name = key.name;
    let found = raw.describe();
    let path = |text: &str| {
        let expanded = expand(text, base.variables).map_err(|problem| origin.wrong(format!("{name}: {problem}")))?;
        let path = base.directory.join(expanded);
        Ok::<PathBuf, Diagnostic>(std::path::absolute(&path).unwrap_or(path))
    };
    let empty = || Err(origin.wrong(format!("{name} is empty")).hint("leave it out for the default"));
    match (key.shape, raw) {
        (Shape::Text | Shape::Choice(_) | Shape::Path, Raw::Text(text)) if text.is_empty() => empty(),
        (Shape::Text, Raw::Text(text)) => Ok(Value::Text(text)),
        (Shape::Choice(choices), Raw::Text(text)) => {
            match choices.iter().find(|choice| choice.eq_ignore_ascii_case(&text)) {
                Some(choice) => Ok(Value::Text((*choice).to_owned())),
                None => {
                    let wrong = origin.wrong(format!("{name} = {text:?}: expected {}", key.shape.describe()));
                    Err(match closest(&text, choices.iter().copied()) {
                        Some(near) => wrong.hint(format!("did you mean {near:?}?")),
                        None => wrong,
                    })
                }
            }
        }
        (Shape::Port | Shape::Count, Raw::Integer(text)) => match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Value::Port(port)),
            Ok(_) | Err(_) => Err(origin.wrong(format!("{name} = {text}: expected {}", key.shape.describe()))),
        },
        (Shape::Flag, Raw::Flag(flag)) => Ok(Value::Flag(flag)),
        (Shape::List, Raw::Text(text)) => Ok(Value::List(split(&text))),
        (Shape::List, Raw::Texts(texts)) => Ok(Value::List(texts)),
        (Shape::Words, Raw::Texts(texts)) if texts.is_empty() => empty(),
        (Shape::Words, Raw::Texts(texts)) => Ok(Value::List(texts)),
        (Shape::Path, Raw::Text(text)) => Ok(Value::Paths(vec![path(&text)?])),
        (Shape::Paths, Raw::Text(text)) => {
            split(&text).iter().map(|one| path(one)).collect::<Result<_, _>>().map(Value::Paths)
        }
        (Shape::Paths, Raw::Texts(texts)) => {
            texts.iter().map(|one| path(one)).collect::<Result<_, _>>().map(Value::Paths)
        }
        (
            Shape::Text
            | Shape::Choice(_)
            | Shape::Port
            | Shape::Count
            | Shape::Flag
            | Shape::List
            | Shape::Words
            | Shape::Path
            | Shape::Paths,
            Raw::Text(_) | Raw::Integer(_) | Raw::Flag(_) | Raw::Texts(_) | Raw::Other(_),
        ) => Err(origin.wrong(format!("{name}: expected {}, found {found}", key.shape.describe()))),
    }
}

/// The parts between commas.
pub fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Expands a leading `~`, `$NAME` and `${NAME}`.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let value = |name: &str| {
        variables.get(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("{text:?}: ${name} is not set"))
    };
    let mut expanded = String::new();
    let mut rest = text;
    if rest == "~" || rest.starts_with("~/") {
        expanded.push_str(value("HOME")?);
        rest = rest.strip_prefix('~').unwrap_or_default();
    }
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, after) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or_else(|| format!("{text:?}: a ${{ has no }}"))?,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at_checked(end).unwrap_or((after, ""))
            }
        };
        if name.is_empty() {
            return Err(format!("{text:?}: a $ stands before no name"));
        }
        expanded.push_str(value(name)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
