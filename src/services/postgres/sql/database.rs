//! Statements about databases.

use crate::services::postgres::model::Database;
use postgres_protocol::escape::escape_identifier;

/// Creates a database that nobody can use yet: until [`isolate`] has run, PUBLIC could connect.
pub fn create_database(database: &Database) -> String {
    let (name, owner) = (escape_identifier(&database.name), escape_identifier(&database.owner));
    format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 CONNECTION LIMIT 0")
}

/// Takes a database from PUBLIC and opens it, in one transaction.
pub fn isolate(database: &str) -> String {
    let name = escape_identifier(database);
    format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC; ALTER DATABASE {name} CONNECTION LIMIT -1")
}
