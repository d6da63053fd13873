//! The workspace file: found, read, and turned into layers, with every error of it at once.

use super::keys::{self, TABLES};
use super::layer::{Base, Layer, Located, Origin, Raw, shape};
use super::moved::Move;
use super::url;
use crate::core::address::Address;
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub const NAME: &str = "nornplan.toml";

/// What a file says: for all environments, and for each by name.
#[derive(Debug, Default)]
pub struct File {
    pub base: Layer,
    pub environments: BTreeMap<String, Layer>,
    pub moved: Vec<Move>,
}

/// Finds the workspace file, from a directory upwards. A link that leads nowhere is one: passing by it in silence would
/// mean other servers.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|directory| directory.join(NAME)).find(|file| file.symlink_metadata().is_ok())
}

/// Reads a workspace file. What is wrong with it is added to `wrong`.
pub fn read(path: &Path, variables: &BTreeMap<String, String>, wrong: &mut Vec<Diagnostic>) -> File {
    match text_of(path) {
        Ok(text) => {
            let base = Base { directory: path.parent().unwrap_or(path), variables };
            let mut reader = Reader { path, text: &text, base, wrong };
            reader.read()
        }
        Err(error) => {
            wrong.push(error);
            File::default()
        }
    }
}

fn text_of(path: &Path) -> Result<String, Diagnostic> {
    let cannot = |message: &str| Diagnostic::new(Kind::Config, message).in_file(path);
    let bytes = std::fs::read(path).map_err(|error| {
        use std::io::ErrorKind::{IsADirectory, NotFound};
        let kind = error.kind();
        let hint = if kind == NotFound {
            "check --config, and links; `nornplan init` writes a first workspace file"
        } else if kind == IsADirectory {
            "name the file itself: --config DIRECTORY/nornplan.toml"
        } else {
            "give your user the right to read it, or name another by --config"
        };
        cannot("cannot read the workspace file").because(error).hint(hint)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count();
        cannot(&format!("line {} is not text in UTF-8", line + 1)).hint("save the file as UTF-8")
    })
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    base: Base<'a>,
    wrong: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn read(&mut self) -> File {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            for error in errors {
                let place = self.place(error.span().unwrap_or_default());
                let is_moved = matches!(&place, Place::Text { text, .. } if text.trim_start().starts_with("[[moved]]"));
                let wrong = Diagnostic::new(Kind::Config, error.message()).at(place);
                self.wrong.push(if is_moved {
                    wrong.hint("moved is a list further up: write this into it, or each of its entries as [[moved]]")
                } else {
                    wrong
                });
            }
            return File::default();
        }
        let mut file = File::default();
        for (name, value) in table.get_ref() {
            if name.get_ref() == "env" {
                self.environments(value, &mut file);
            } else if name.get_ref() == "moved" {
                self.moved(value, &mut file.moved);
            } else {
                self.top(name, value, &mut file.base, true);
            }
        }
        url::spread(&mut file.base, self.wrong);
        file
    }

    /// `moved = [{ from = "...", to = "..." }]`, or as tables `[[moved]]`.
    fn moved(&mut self, value: &Spanned<DeValue<'_>>, moved: &mut Vec<Move>) {
        const FORM: &str = "below [[moved]] write from = \"postgres.database.OLD\" and, on a line of its own, to = \"postgres.database.NEW\"";
        let mut wrong = Vec::new();
        let mut push = |place: Place, message: &str| {
            wrong.push(Diagnostic::new(Kind::Config, format!("moved: {message}")).at(place).hint(FORM));
        };
        for one in value.get_ref().as_array().into_iter().flatten() {
            let mut ends: BTreeMap<&str, Address> = BTreeMap::new();
            let Some(table) = one.get_ref().as_table() else {
                push(self.place(one.span()), "expected a table with from and to");
                continue;
            };
            for (name, value) in table {
                match (name.get_ref().as_ref(), value.get_ref().as_str().map(str::parse::<Address>)) {
                    (end @ ("from" | "to"), Some(Ok(address))) => drop(ends.insert(end, address)),
                    ("from" | "to", Some(Err(error))) => push(self.place(value.span()), &error),
                    ("from" | "to", None) => push(self.place(value.span()), "expected an address in quotes"),
                    (other, _) => push(self.place(name.span()), &format!("unknown key {other:?}")),
                }
            }
            match (ends.remove("from"), ends.remove("to")) {
                (Some(from), Some(to)) => moved.push(Move { from, to, place: self.place(one.span()) }),
                (_, _) if table.len() < 2 => push(self.place(one.span()), "expected both from and to"),
                (_, _) => {}
            }
        }
        if value.get_ref().as_array().is_none() {
            push(self.place(value.span()), "expected a list");
        }
        self.wrong.extend(wrong);
    }

    fn environments(&mut self, value: &Spanned<DeValue<'_>>, file: &mut File) {
        let Some(table) = value.get_ref().as_table() else {
            self.push(value.span(), "env: expected tables, as in [env.prod.postgres]");
            return;
        };
        for (name, value) in table {
            let mut layer = Layer::default();
            if !is_environment(name.get_ref()) {
                let message = format!("{:?} is no name of an environment", name.get_ref());
                self.push(name.span(), &message);
            }
            match value.get_ref().as_table() {
                Some(table) => {
                    table.iter().for_each(|(name, value)| self.top(name, value, &mut layer, false));
                }
                None => self.push(value.span(), "expected a table, as in [env.prod.postgres]"),
            }
            url::spread(&mut layer, self.wrong);
            file.environments.insert(name.get_ref().to_string(), layer);
        }
    }

    /// A key or a table at the top of the file, or of an environment.
    fn top(
        &mut self,
        name: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        layer: &mut Layer,
        with_environments: bool,
    ) {
        let text: &str = name.get_ref();
        if let Some(table_name) = TABLES.iter().find(|table| **table == text) {
            match value.get_ref().as_table() {
                Some(table) => {
                    table.iter().for_each(|(name, value)| self.key(table_name, name, value, layer));
                }
                None => self.push(value.span(), &format!("{text}: expected a table, as in [{text}]")),
            }
            return;
        }
        if keys::find("", text).is_some() {
            self.key("", name, value, layer);
            return;
        }
        let more = if with_environments { &["env", "moved"][..] } else { &[] };
        let candidates: Vec<&str> = keys::names("").chain(TABLES.iter().copied()).chain(more.iter().copied()).collect();
        self.unknown(name, "the workspace file", &candidates);
    }

    fn key(
        &mut self,
        table: &'static str,
        name: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        layer: &mut Layer,
    ) {
        let text: &str = name.get_ref();
        if keys::passwords(table).any(|password| password == text) {
            let place = self.place(name.span());
            self.wrong.push(url::password_in_file(table, text).at(place));
            return;
        }
        let Some(key) = keys::find(table, text) else {
            let candidates: Vec<&str> = keys::names(table).collect();
            self.unknown(name, &format!("[{table}]"), &candidates);
            return;
        };
        let origin = Origin::File(self.place(value.span()));
        match shape(key, raw(value.get_ref()), &origin, &self.base) {
            Ok(value) => drop(layer.values.insert((key.table, key.name), Located { value, origin })),
            Err(error) => self.wrong.push(error),
        }
    }

    fn unknown(&mut self, name: &Spanned<toml::de::DeString<'_>>, within: &str, candidates: &[&str]) {
        let place = self.place(name.span());
        let wrong = Diagnostic::new(Kind::Config, format!("unknown key {:?} in {within}", name.get_ref())).at(place);
        let text: &str = name.get_ref();
        if text == "moved" || keys::find("", text).is_some() {
            let table = if text == "moved" { ", or each of it as a table [[moved]]" } else { "" };
            let hint = format!("it is no part of a table: write {text} above the first [table] of the file{table}");
            self.wrong.push(wrong.hint(hint));
            return;
        }
        let near = closest(text, candidates.iter().copied());
        let near = near.or_else(|| elsewhere_called(text).filter(|known| candidates.contains(known)));
        self.wrong.push(match near {
            Some(near) => wrong.hint(format!("did you mean {near:?}?")),
            None => wrong.hint(format!("known are {}", candidates.join(", "))),
        });
    }

    fn push(&mut self, span: Range<usize>, message: &str) {
        let place = self.place(span);
        self.wrong.push(Diagnostic::new(Kind::Config, message).at(place));
    }

    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        let text = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        // A tab would misplace the mark below the line.
        Place::Text { file: self.path.to_owned(), line, column, text: without_secret(text).replace('\t', " ") }
    }
}

/// Our key for what other programs have another name for.
fn elsewhere_called(name: &str) -> Option<&'static str> {
    let of_sentinels = ["sentinel_name", "sentinel_master", "sentinel_master_name", "master_name", "service_name"];
    of_sentinels.contains(&name).then_some("sentinel_service")
}

/// A line of the file without what may be a password in it.
fn without_secret(line: &str) -> String {
    let lower = line.to_lowercase();
    let doubtful = lower.contains("password") || (lower.contains("://") && lower.contains('@'));
    match line.split_once('=') {
        Some((key, _)) if doubtful => format!("{key}= …"),
        Some(_) | None => line.to_owned(),
    }
}

/// Names of environments become names of files.
pub fn is_environment(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number.to_string()),
            Err(_) => Raw::Integer(number.as_str().to_owned()),
        },
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(array) => {
            let texts: Option<Vec<String>> =
                array.iter().map(|one| one.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(Raw::Other("a list with something else in it"), Raw::Texts)
        }
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
