//! Statements about the databases that every role may enter.

use super::list;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

/// Closes a database to PUBLIC. We come first, so that there is no moment at which we could not connect.
pub fn close(database: &str) -> String {
    let name = escape_identifier(database);
    format!("GRANT CONNECT ON DATABASE {name} TO SESSION_USER; REVOKE ALL ON DATABASE {name} FROM PUBLIC")
}

/// Gives PUBLIC back what it had.
pub fn open(database: &str, privileges: &BTreeSet<String>) -> String {
    format!("GRANT {} ON DATABASE {} TO PUBLIC", list(privileges), escape_identifier(database))
}
