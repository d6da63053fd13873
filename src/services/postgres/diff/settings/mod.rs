//! Which settings a role or database cannot have here, why, and what to do instead. Pure.
//!
//! As `ALTER ROLE .. SET` and `ALTER DATABASE .. SET` decide it from 15 on. What is not known for certain is left to the
//! server: nothing that it takes is refused.

mod value;

use crate::core::suggest::closest;
use crate::services::postgres::server::{Parameter, Server};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::BTreeMap;

/// Settings by name.
type Settings = BTreeMap<String, String>;

/// Why settings cannot become as wanted; of those that stay as they are nothing is said.
pub fn obstacles(server: &Server, before: Option<&Settings>, wanted: &Settings) -> Vec<String> {
    let there = |name: &String| before.and_then(|before| before.get(name));
    let new = wanted.iter().filter(|(name, value)| there(name) != Some(*value));
    let gone = before.into_iter().flatten().filter(|(name, _)| !wanted.contains_key(*name));
    let refused = new.filter_map(|(name, value)| refuse(server, name, value));
    refused.chain(gone.filter_map(|(name, _)| lacks_right(server, name))).collect()
}

/// Why one setting cannot have a value.
fn refuse(server: &Server, name: &str, value: &str) -> Option<String> {
    let parameters = server.parameters.as_ref()?;
    let Some(parameter) = parameters.known.get(name) else {
        // What has a dot is an extension's, or the app's own.
        let unknown = !name.contains('.') && !parameters.existing.contains(name);
        return if unknown { Some(no_such(&parameters.names, name)) } else { lacks_right(server, name) };
    };
    wrong_place(parameter, name, value)
        .or_else(|| {
            let why = value::impossible(parameter, name, value)?;
            Some(format!("the setting {name} cannot be {value:?}: {why}. Correct it in the infraspec"))
        })
        .or_else(|| lacks_right(server, name))
}

fn no_such<'a>(names: impl IntoIterator<Item = &'a String>, name: &str) -> String {
    let meant = closest(name, names.into_iter().map(String::as_str));
    let meant = meant.map(|meant| format!(" (did you mean {meant:?}?)")).unwrap_or_default();
    format!("this server has no setting {name:?}{meant}. Correct it in the infraspec, or remove it")
}

/// What no role or database can have of its own.
fn wrong_place(parameter: &Parameter, name: &str, value: &str) -> Option<String> {
    let of_server = |then: &str| {
        format!(
            "the setting {name} is one of the whole server, which no role or database has of its own. Remove it from the \
             infraspec; a superuser sets it by ALTER SYSTEM SET {} = {}, then {then}",
            escape_identifier(name),
            escape_literal(value)
        )
    };
    match parameter.context.as_str() {
        "internal" => Some(format!(
            "the setting {name} tells what the server is, and cannot be set. Remove it from the infraspec"
        )),
        "postmaster" => Some(of_server("restarts the server")),
        "sighup" => Some(of_server("runs SELECT pg_reload_conf()")),
        "backend" | "superuser-backend" => Some(format!(
            "the setting {name} is fixed before a session knows its role and database. Remove it from the infraspec; a \
             client may give it when it connects (options='-c {name}={value}')"
        )),
        _ => None,
    }
}

/// Whether somebody else must allow us to set or reset it. What has a dot and no module explains is a superuser's too.
fn lacks_right(server: &Server, name: &str) -> Option<String> {
    let parameters = server.parameters.as_ref()?;
    let admin = &server.admin;
    if admin.superuser || admin.name.is_empty() || parameters.settable.contains(name) {
        return None;
    }
    let theirs = match parameters.known.get(name) {
        Some(parameter) => parameter.context == "superuser",
        None => name.contains('.') && !parameters.existing.contains(name),
    };
    theirs.then(|| {
        format!(
            "{} may not set {name} for others: a superuser allows it by GRANT SET ON PARAMETER {} TO {}",
            admin.name,
            escape_identifier(name),
            escape_identifier(&admin.name)
        )
    })
}
