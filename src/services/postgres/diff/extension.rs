//! Whether the declared extensions of a database can be had on this server, and as whom.

use super::View;
use crate::core::listing;
use crate::core::suggest::{closest, nearest};
use crate::services::postgres::model::settings::list;
use crate::services::postgres::model::{Database, Extension};
use crate::services::postgres::server::{Offered, Package, Version};
use crate::services::{DiffInput, Model, Step};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Names that a reason lists at most.
const LISTED: usize = 8;

/// What stands in the way of the declared extensions, and what must be known of them.
#[derive(Debug, Default)]
pub struct Found {
    pub obstacles: Vec<String>,
    pub notes: Vec<String>,
}

/// Looks at each declared extension. `installed` is all that the database has, declared or not.
pub fn judge(view: &View, wanted: &Database, installed: Option<&BTreeMap<String, Extension>>) -> Found {
    let mut found = Found::default();
    let (Some(offered), Some(declared)) = (&view.server.offered, &wanted.extensions) else { return found };
    let nothing = BTreeMap::new();
    let look = Look {
        offered,
        declared,
        installed: installed.unwrap_or(&nothing),
        database: &wanted.name,
        is_new: installed.is_none(),
        superuser: view.server.admin.superuser,
        listed: Cell::new(false),
    };
    for (name, extension) in declared {
        let result = match look.installed.get(name) {
            None => look.create(name, extension, &mut found.notes),
            Some(there) => look.change(name, there, extension),
        };
        found.obstacles.extend(result.err());
    }
    found
}

/// What must be known of the script of an extension that is not trusted, which runs with our rights: where it does not
/// say in full what it calls, it may call what the app made in the schema that it is made in.
///
/// <https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-SECURITY>
pub fn trusting(
    view: &View,
    wanted: &Database,
    installed: Option<&BTreeMap<String, Extension>>,
    routines: &BTreeMap<String, u64>,
) -> Vec<String> {
    let (Some(offered), true) = (&view.server.offered, view.server.admin.superuser) else { return Vec::new() };
    let path = wanted.settings.get("search_path").map_or("public", String::as_str);
    let path = list("search_path", path).unwrap_or_default();
    let note = |(name, extension): (&String, &Extension)| {
        let package = offered.extensions.get(name)?;
        let there = installed.and_then(|all| all.get(name));
        let number = match there {
            None => extension.version.as_ref().or(package.default_version.as_ref())?,
            Some(there) => extension.version.as_ref().filter(|wanted| there.version.as_ref() != Some(wanted))?,
        };
        let version = package.versions.get(number)?;
        if version.trusted || !version.superuser || version.schema.is_some() {
            return None;
        }
        // It is moved only after it was updated.
        let place = there.map_or(extension.schema.as_deref(), |there| there.schema.as_deref());
        let mut schemas = place.map_or(path.clone(), |schema| vec![schema]).into_iter();
        let (schema, count) = schemas.find_map(|schema| routines.get_key_value(schema))?;
        Some(format!(
            "{name} is not trusted: its script runs with a superuser's rights in schema {schema}, where {} not a \
             superuser's and might be called by it. Look there first, or declare a schema of its own (schema = \"ext\")",
            if *count == 1 {
                "1 function or operator is".to_owned()
            } else {
                format!("{count} functions or operators are")
            }
        ))
    };
    wanted.extensions.iter().flatten().filter_map(note).collect()
}

/// What is declared no longer stays where it is: tables may depend on it.
pub fn tell_left(step: &mut Step, input: DiffInput<'_>) {
    let (
        Some(Model::PostgresDatabase(wanted)),
        Some(Model::PostgresDatabase(last)),
        Some(Model::PostgresDatabase(there)),
    ) = (
        &step.after,
        input.applied.get(&step.address).map(|last| &last.model),
        input.observation.resources.get(&step.address).map(|observed| &observed.model),
    )
    else {
        return;
    };
    let has =
        |all: &Option<BTreeMap<String, Extension>>, name: &str| all.as_ref().is_some_and(|all| all.contains_key(name));
    let left = last.extensions.iter().flatten().map(|(name, _)| name);
    for name in left.filter(|name| !has(&wanted.extensions, name) && has(&there.extensions, name)) {
        step.notes.push(format!(
            "the extension {name} stays: if nothing needs it any more, run DROP EXTENSION {} in {}",
            escape_identifier(name),
            wanted.name
        ));
    }
}

struct Look<'a> {
    offered: &'a Offered,
    declared: &'a BTreeMap<String, Extension>,
    installed: &'a BTreeMap<String, Extension>,
    database: &'a str,
    /// Whether the database is yet to be made.
    is_new: bool,
    superuser: bool,
    /// Whether a reason has said already what there is on the server.
    listed: Cell<bool>,
}

impl Look<'_> {
    fn create(&self, name: &str, wanted: &Extension, notes: &mut Vec<String>) -> Result<(), String> {
        let package = self.offered.extensions.get(name).ok_or_else(|| self.unknown(name))?;
        let version = wanted.version.as_ref().or(package.default_version.as_ref());
        let (number, version) = self.version(name, package, version)?;
        if let (Some(schema), Some(only)) = (&wanted.schema, &version.schema)
            && schema != only
        {
            return Err(format!("the extension {name:?} can only be in schema {only}, the infraspec wants {schema}"));
        }
        self.may(name, version, || self.create_statement(name, wanted))?;
        let made_with = self.made_with(name, number, version)?;
        if !made_with.is_empty() {
            notes.push(format!("{} requires {}: made with it", name, made_with.join(", ")));
        }
        Ok(())
    }

    fn change(&self, name: &str, there: &Extension, wanted: &Extension) -> Result<(), String> {
        let Some(package) = self.offered.extensions.get(name) else {
            let differs = |wanted: &Option<String>, there: &Option<String>| wanted.is_some() && wanted != there;
            let same = !differs(&wanted.version, &there.version) && !differs(&wanted.schema, &there.schema);
            return if same { Ok(()) } else { Err(self.unknown(name)) };
        };
        if let (Some(from), Some(to)) = (&there.version, &wanted.version)
            && from != to
        {
            let (_, version) = self.version(name, package, Some(to))?;
            self.update(name, package, from, to)?;
            let statement = || format!("ALTER EXTENSION {} UPDATE TO {}", escape_identifier(name), escape_literal(to));
            self.may(name, version, statement)?;
        }
        if let (Some(from), Some(to)) = (&there.schema, &wanted.schema)
            && from != to
        {
            let version = there.version.as_ref().and_then(|version| package.versions.get(version));
            if version.is_some_and(|version| !version.relocatable) {
                return Err(format!(
                    "the extension {name:?} is in schema {from} and cannot be moved to {to}. Declare schema {from}, or \
                     run DROP EXTENSION {} (what depends on it must go first) and apply again",
                    escape_identifier(name)
                ));
            }
            // What a trusted extension brings belongs to the superuser who lent the right, and only he may move it.
            if !self.superuser && version.is_some_and(|version| version.superuser) {
                return Err(format!(
                    "the extension {name:?} is in schema {from}, the infraspec wants {to}, and only a superuser may move \
                     it. As one, run in the database {}: ALTER EXTENSION {} SET SCHEMA {} (a schema that is there)",
                    self.database,
                    escape_identifier(name),
                    escape_identifier(to)
                ));
            }
        }
        Ok(())
    }

    fn update(&self, name: &str, package: &Package, from: &str, to: &str) -> Result<(), String> {
        let Some(updates) = &package.updates else { return Ok(()) };
        if updates.contains(&(from.to_owned(), to.to_owned())) {
            return Ok(());
        }
        let targets: BTreeSet<&str> =
            updates.iter().filter(|(source, _)| source == from).map(|(_, target)| target.as_str()).collect();
        let offered = if targets.is_empty() {
            "there is none to any other version".to_owned()
        } else {
            format!("from {from} there are updates to {}", some(to, targets))
        };
        Err(format!(
            "the extension {name:?} is version {from}, and its files have no update to {to}; {offered}. Declare version \
             {from}, or another that there is"
        ))
    }

    /// Everything that CASCADE would make beside it.
    fn made_with(&self, name: &str, number: &str, version: &Version) -> Result<Vec<String>, String> {
        let mut open: Vec<&str> = version.requires.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        while let Some(required) = open.pop() {
            let is_there =
                required == "plpgsql" || self.installed.contains_key(required) || self.declared.contains_key(required);
            if is_there || !seen.insert(required.to_owned()) {
                continue;
            }
            let package = self.offered.extensions.get(required).ok_or_else(|| {
                format!("the extension {name:?} {number} requires {required:?}: {}", self.unknown(required))
            })?;
            let (_, version) = self.version(required, package, package.default_version.as_ref())?;
            self.may(required, version, || self.create_statement(required, &Extension::default()))?;
            open.extend(version.requires.iter().map(String::as_str));
        }
        Ok(seen.into_iter().collect())
    }

    fn version<'p>(
        &self,
        name: &str,
        package: &'p Package,
        number: Option<&'p String>,
    ) -> Result<(&'p str, &'p Version), String> {
        let number = number.map_or("", String::as_str);
        package.versions.get(number).map(|version| (number, version)).ok_or_else(|| {
            let default = package.default_version.as_deref().unwrap_or("none");
            format!(
                "version {number} of the extension {name:?} is not on this server; there are {} (default {default}). \
                 Declare one of these, or install its package on the server",
                some(number, package.versions.keys().map(String::as_str))
            )
        })
    }

    /// Whether the role that we sign in with may create or update it.
    fn may(&self, name: &str, version: &Version, statement: impl FnOnce() -> String) -> Result<(), String> {
        if self.superuser || version.trusted || !version.superuser {
            return Ok(());
        }
        let (database, statement) = (self.database, statement());
        Err(if self.is_new {
            format!(
                "the extension {name:?} is not trusted, so only a superuser may do this, and the database {database} is \
                 not there yet. Take the extension out of the infraspec and apply; then, as a superuser, run in that \
                 database: {statement}; then put the extension back"
            )
        } else {
            format!(
                "the extension {name:?} is not trusted, so only a superuser may do this. As one, run in the database \
                 {database}: {statement}"
            )
        })
    }

    fn create_statement(&self, name: &str, wanted: &Extension) -> String {
        let mut words = format!("CREATE EXTENSION {}", escape_identifier(name));
        if let Some(schema) = &wanted.schema {
            words.push_str(&format!(" SCHEMA {}", escape_identifier(schema)));
        }
        if let Some(version) = &wanted.version {
            words.push_str(&format!(" VERSION {}", escape_literal(version)));
        }
        words
    }

    /// What there is instead is listed for the first of them only.
    fn unknown(&self, name: &str) -> String {
        let names = || self.offered.names.iter().map(String::as_str);
        let instead = match closest(name, names()) {
            Some(near) => format!(" (did you mean {near:?}?)"),
            None if self.listed.replace(true) => String::new(),
            None => format!("; there are {}", some(name, names())),
        };
        format!(
            "the extension {name:?} is not on this server{instead}. Install its package on the server, or remove it \
             from the infraspec"
        )
    }
}

/// All names, or those that are spelled most like the wanted one, and how many more there are.
fn some<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "none".to_owned(),
        1..=LISTED => names.join(", "),
        all => listing::some(nearest(wanted, names, all), LISTED),
    }
}
