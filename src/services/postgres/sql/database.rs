//! Statements about databases.

use super::assignment;
use crate::services::postgres::model::Database;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::collections::BTreeMap;

/// Creates a database that nobody can use yet: until [`isolate`] has run, PUBLIC could connect.
pub fn create_database(database: &Database) -> String {
    let mut words = vec![format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0",
        escape_identifier(&database.name),
        escape_identifier(&database.owner)
    )];
    words.extend(database.encoding.as_ref().map(|encoding| format!("ENCODING {}", escape_literal(encoding))));
    // Without a provider a locale is one of libc, whatever the server's own default is.
    let provider = database.locale_provider.as_deref().or(database.locale.as_ref().map(|_| "libc"));
    words.extend(provider.map(|provider| format!("LOCALE_PROVIDER {}", escape_identifier(provider))));
    let option = match provider {
        Some("icu") => "ICU_LOCALE",
        Some("builtin") => "BUILTIN_LOCALE",
        Some(_) | None => "LOCALE",
    };
    words.extend(database.locale.as_ref().map(|locale| format!("{option} {}", escape_literal(locale))));
    // Naming the default one takes a right that using it does not.
    let tablespace = database.tablespace.as_ref().filter(|name| *name != "pg_default");
    words.extend(tablespace.map(|name| format!("TABLESPACE {}", escape_identifier(name))));
    words.push("CONNECTION LIMIT 0".to_owned());
    words.join(" ")
}

/// Takes a new database from PUBLIC, brings its settings and opens it, in one transaction.
pub fn isolate(database: &Database) -> String {
    let name = escape_identifier(&database.name);
    let mut statements = vec![format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")];
    statements.extend(settings(&name, &BTreeMap::new(), &database.settings));
    statements.push(limit(&name, database.connection_limit));
    statements.join("; ")
}

/// Changes what differs and does not need a session in the database; the owner is not among it.
pub fn alter_database(before: &Database, after: &Database) -> Vec<String> {
    let name = escape_identifier(&after.name);
    let mut statements = Vec::new();
    if before.public != after.public {
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
    }
    statements.extend(settings(&name, &before.settings, &after.settings));
    if before.connection_limit != after.connection_limit {
        statements.push(limit(&name, after.connection_limit));
    }
    if before.allow_connections != after.allow_connections {
        statements.push(allow_connections(&after.name, after.allow_connections));
    }
    statements
}

/// Opens a database to whom it is granted, or closes it to everybody.
pub fn allow_connections(database: &str, allow: bool) -> String {
    format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allow}", escape_identifier(database))
}

fn limit(name: &str, limit: Option<u32>) -> String {
    format!("ALTER DATABASE {name} CONNECTION LIMIT {}", limit.map_or(-1, i64::from))
}

fn settings(name: &str, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let reset = gone.map(|key| format!("ALTER DATABASE {name} RESET {}", escape_identifier(key)));
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    reset.chain(new.map(|(key, value)| format!("ALTER DATABASE {name} SET {}", assignment(key, value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_new_database_is_said_to_the_server() {
        let mut odd = Database::new("a\"b", "o");
        assert_eq!(
            create_database(&odd),
            "CREATE DATABASE \"a\"\"b\" OWNER \"o\" TEMPLATE template0 CONNECTION LIMIT 0"
        );
        odd.encoding = Some("UTF8".to_owned());
        odd.locale = Some("C".to_owned());
        odd.tablespace = Some("fast".to_owned());
        let expected = "ENCODING 'UTF8' LOCALE_PROVIDER \"libc\" LOCALE 'C' TABLESPACE \"fast\" CONNECTION LIMIT 0";
        assert!(create_database(&odd).ends_with(expected), "{}", create_database(&odd));
        odd.locale_provider = Some("icu".to_owned());
        odd.locale = Some("en-US".to_owned());
        assert!(create_database(&odd).contains("LOCALE_PROVIDER \"icu\" ICU_LOCALE 'en-US'"));
        odd.locale_provider = Some("builtin".to_owned());
        assert!(create_database(&odd).contains("LOCALE_PROVIDER \"builtin\" BUILTIN_LOCALE 'en-US'"));
    }

    #[test]
    fn only_what_differs_is_altered() {
        let mut before = Database::new("a", "o");
        before.settings.insert("work_mem".to_owned(), "1MB".to_owned());
        before.connection_limit = Some(3);
        let mut after = Database::new("a", "o");
        after.settings.insert("search_path".to_owned(), "app, public".to_owned());
        after.allow_connections = false;
        assert_eq!(
            alter_database(&before, &after),
            [
                "ALTER DATABASE \"a\" RESET \"work_mem\"",
                "ALTER DATABASE \"a\" SET \"search_path\" TO 'app', 'public'",
                "ALTER DATABASE \"a\" CONNECTION LIMIT -1",
                "ALTER DATABASE \"a\" ALLOW_CONNECTIONS false"
            ]
        );
        assert_eq!(alter_database(&after, &after), Vec::<String>::new());
    }
}
