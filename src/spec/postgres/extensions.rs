//! Extensions of an app, and those of one of its databases beside them.

use crate::error::Diagnostic;
use crate::services::postgres::model::Extension;
use crate::spec::fields::{MOST_ERRORS, shown};
use crate::spec::names;
use crate::spec::node::Located;
use crate::spec::postgres::read;
use std::collections::BTreeMap;

/// Every database has it.
const IN_EVERY_DATABASE: &str = "plpgsql";

/// Checks one list of extensions. Whether the server has them is seen when it is asked.
pub fn resolve(written: &[read::Extension], errors: &mut Vec<Diagnostic>) -> BTreeMap<String, Extension> {
    for extension in written {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        check_name(&extension.name, errors);
        if extension.name.value == IN_EVERY_DATABASE && (extension.version.is_some() || extension.schema.is_some()) {
            let error = extension.name.spot.error("plpgsql is in every database, as the server has it");
            errors.push(error.hint("leave it out"));
        }
        if let Some(version) = &extension.version {
            check_version(version, errors);
        }
        if let Some(schema) = &extension.schema {
            check_schema(schema, errors);
        }
    }
    let text = |written: &Option<Located<String>>| written.as_ref().map(|text| text.value.clone());
    let named = written.iter().filter(|extension| extension.name.value != IN_EVERY_DATABASE).map(|extension| {
        let wanted = Extension { version: text(&extension.version), schema: text(&extension.schema) };
        (extension.name.value.clone(), wanted)
    });
    named.collect()
}

/// All of both. What the database says wins, and what it leaves unsaid is the app's.
pub fn joined(app: &BTreeMap<String, Extension>, own: BTreeMap<String, Extension>) -> BTreeMap<String, Extension> {
    let mut all = app.clone();
    for (name, extension) in own {
        let below = all.entry(name).or_default();
        *below = Extension {
            version: extension.version.or(below.version.take()),
            schema: extension.schema.or(below.schema.take()),
        };
    }
    all
}

fn check_name(name: &Located<String>, errors: &mut Vec<Diagnostic>) {
    let Located { value, spot } = name;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if value.is_empty() || value.len() > names::LONGEST_IN_POSTGRES || !value.chars().all(legal) {
        let shown = shown(value);
        let error = spot.error(format!("{shown:?} is no name of an extension"));
        errors.push(error.hint("such as \"pgcrypto\", \"citext\", \"uuid-ossp\""));
    }
}

/// As PostgreSQL's `check_valid_version_name` does: versions are parts of names of files.
fn check_version(version: &Located<String>, errors: &mut Vec<Diagnostic>) {
    let Located { value, spot } = version;
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '/' || c == '\\';
    let dashes = value.contains("--") || value.starts_with('-') || value.ends_with('-');
    if value.is_empty() || value.len() > 100 || value.chars().any(odd) || dashes {
        let shown = shown(value);
        let error = spot.error(format!("{shown:?} is no version of an extension"));
        errors.push(error.hint("such as \"1.3\", as pg_available_extension_versions has it; or leave it out"));
    }
}

fn check_schema(schema: &Located<String>, errors: &mut Vec<Diagnostic>) {
    let Located { value, spot } = schema;
    let shown = shown(value);
    if let Err(why) = names::check_existing(value) {
        let error = spot.error(format!("the schema {shown:?} {why}"));
        errors.push(error.hint("such as \"extensions\"; or leave it out for the server's choice"));
    } else if (value.starts_with("pg_") && value != "pg_catalog") || value == "information_schema" {
        let error = spot.error(format!("the schema {shown:?} is reserved"));
        errors.push(error.hint("such as \"extensions\"; or leave it out for the server's choice"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[(&str, Option<&str>, Option<&str>)]) -> BTreeMap<String, Extension> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let item = |(name, version, schema): &(&str, Option<&str>, Option<&str>)| {
            ((*name).to_owned(), Extension { version: owned(*version), schema: owned(*schema) })
        };
        items.iter().map(item).collect()
    }

    #[test]
    fn what_a_database_says_of_an_extension_wins() {
        let app = list(&[("citext", None, None), ("vector", Some("0.7.0"), Some("extensions"))]);
        let own = list(&[("vector", Some("0.8.0"), None), ("hstore", None, Some("h"))]);
        let wanted =
            list(&[("citext", None, None), ("hstore", None, Some("h")), ("vector", Some("0.8.0"), Some("extensions"))]);
        assert_eq!(joined(&app, own), wanted);
        let named_again = list(&[("vector", None, None)]);
        assert_eq!(joined(&app, named_again), app);
    }
}
