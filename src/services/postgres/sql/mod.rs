//! The statements that change roles, databases and privileges. Pure.

pub mod database;
pub mod extension;
pub mod grant;
pub mod lock_down;
pub mod membership;
pub mod role;
pub mod stray;

use crate::services::postgres::model::settings;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::BTreeSet;

/// `name TO value`, as it stands behind SET.
fn assignment(name: &str, value: &str) -> String {
    let value = match settings::list(name, value) {
        Some(items) => items.into_iter().map(escape_literal).collect::<Vec<_>>().join(", "),
        None => escape_literal(value),
    };
    format!("{} TO {value}", escape_identifier(name))
}

fn list(privileges: &BTreeSet<String>) -> String {
    privileges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
