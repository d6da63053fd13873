//! Databases that do not let us in, though the server does: what is in them stays unknown, and all else is read. Pure.

use crate::core::address::Address;
use crate::core::plan::{Level, Notice};
use crate::services::Failure;
use crate::services::postgres::catalog::Inside;
use crate::services::postgres::connect::{answered, is_of_one_database};
use crate::services::postgres::model::{DATABASE, GRANT, database_address};
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeMap;

/// What came of looking into one database.
#[derive(Debug)]
pub enum Look {
    Inside(Inside),
    /// It does not let us in: why, and what to do about it.
    Closed(String),
    /// Something in it, or who is in it, does not let us read it now.
    Unread(Failure),
}

/// What to make of a database that does not let us in.
///
/// # Errors
/// Something is wrong with more than this one.
pub fn not_let_in(failure: Failure, database: &str, user: &str) -> Result<Look, Failure> {
    match answered(&failure) {
        Some("42501") => Ok(Look::Closed(format!(
            "{user} may not connect to {database}: its owner or a superuser allows it by GRANT CONNECT ON DATABASE {} \
             TO {}",
            escape_identifier(database),
            escape_identifier(user)
        ))),
        // pg_hba.conf lets us into others, and what was just closed lets nobody in.
        Some("28000" | "55000") => Ok(Look::Closed(told(&failure))),
        _ => not_read(failure),
    }
}

/// What to make of a database that let us in and did not answer as it should.
///
/// # Errors
/// Something is wrong with more than this one.
pub fn not_read(failure: Failure) -> Result<Look, Failure> {
    if is_of_one_database(&failure) { Ok(Look::Unread(failure)) } else { Err(failure) }
}

fn told(failure: &Failure) -> String {
    let hint = failure.error.hint.iter().map(|hint| format!(": {hint}"));
    format!("{}{}", failure.error.message, hint.collect::<String>())
}

/// What was read of each, and why the others could not be.
pub fn split(looks: Vec<(String, Look)>) -> (BTreeMap<String, Inside>, BTreeMap<String, String>) {
    let (mut insides, mut closed) = (BTreeMap::new(), BTreeMap::new());
    for (database, look) in looks {
        match look {
            Look::Inside(inside) => drop(insides.insert(database, inside)),
            Look::Closed(why) => drop(closed.insert(database, why)),
            Look::Unread(failure) => drop(closed.insert(database, told(&failure))),
        }
    }
    (insides, closed)
}

/// What was read of each that lets us in.
///
/// # Errors
/// One that lets us in could not be read.
pub fn all_read(looks: Vec<(String, Look)>) -> Result<BTreeMap<String, Inside>, Failure> {
    let each = looks.into_iter().filter_map(|(database, look)| match look {
        Look::Inside(inside) => Some(Ok((database, inside))),
        Look::Closed(_) => None,
        Look::Unread(failure) => Some(Err(failure)),
    });
    each.collect()
}

/// Which resources lie in a database that could not be looked into, and why it could not be.
pub fn unread<'a>(
    addresses: impl IntoIterator<Item = &'a Address>,
    closed: &BTreeMap<String, String>,
) -> BTreeMap<Address, String> {
    let why = |address: &Address| match &address.kind {
        kind if *kind == DATABASE => closed.get(&address.name),
        kind if *kind == GRANT => closed.get(address.name.split_once('/')?.0),
        _ => None,
    };
    addresses.into_iter().filter_map(|address| Some((address.clone(), why(address)?.clone()))).collect()
}

/// Says that one could not be looked into.
pub fn warning(database: &str, why: &str) -> Notice {
    let address = database_address(database);
    let text = format!("{address} could not be looked into, so nothing in it is compared or changed; {why}");
    Notice { level: Level::Warning, about: "postgres".to_owned(), text }
}
