//! Databases that do not let us in, though the server does: what is in them stays unknown, and all else is read. Pure.

use crate::core::plan::{Level, Notice};
use crate::services::Failure;
use crate::services::postgres::catalog::Inside;
use crate::services::postgres::connect::answered;
use crate::services::postgres::model::database_address;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeMap;

/// What came of looking into one database.
#[derive(Debug)]
pub enum Look {
    Inside(Inside),
    /// It does not let us in: why, and what to do about it.
    Closed(String),
}

/// Why one database does not let us in; `None` if something is wrong with more than this one.
pub fn why(failure: &Failure, database: &str, user: &str) -> Option<String> {
    let told = || {
        let hint = failure.error.hint.iter().map(|hint| format!(": {hint}"));
        format!("{}{}", failure.error.message, hint.collect::<String>())
    };
    match answered(failure)? {
        "42501" => Some(format!(
            "{user} may not connect to {database}: its owner or a superuser allows it by GRANT CONNECT ON DATABASE {} \
             TO {}",
            escape_identifier(database),
            escape_identifier(user)
        )),
        // pg_hba.conf lets us into others, and what was just closed lets nobody in.
        "28000" | "55000" => Some(told()),
        _ => None,
    }
}

/// What was read of each, and why the others could not be.
pub fn split(looks: Vec<(String, Look)>) -> (BTreeMap<String, Inside>, BTreeMap<String, String>) {
    let (mut insides, mut closed) = (BTreeMap::new(), BTreeMap::new());
    for (database, look) in looks {
        match look {
            Look::Inside(inside) => drop(insides.insert(database, inside)),
            Look::Closed(why) => drop(closed.insert(database, why)),
        }
    }
    (insides, closed)
}

/// Says that one could not be looked into.
pub fn warning(database: &str, why: &str) -> Notice {
    let address = database_address(database);
    let text = format!("{address} could not be looked into, so nothing in it is compared or changed; {why}");
    Notice { level: Level::Warning, about: "postgres".to_owned(), text }
}
