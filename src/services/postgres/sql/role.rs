//! Statements about roles.

use super::assignment;
use crate::services::postgres::model::{Expiry, Role};
use postgres_protocol::escape::{escape_identifier, escape_literal};

/// Creates a role whole, but for its password.
pub fn create_role(role: &Role) -> String {
    let name = escape_identifier(&role.name);
    let mut options = vec![if role.login { "LOGIN" } else { "NOLOGIN" }.to_owned()];
    options.extend(role.connection_limit.map(|limit| format!("CONNECTION LIMIT {limit}")));
    options.extend(role.attributes.iter().cloned());
    let mut statements = vec![format!("CREATE ROLE {name} {}", options.join(" "))];
    statements.extend(role.settings.iter().map(|(key, value)| set(&role.name, key, value)));
    statements.join("; ")
}

/// Changes only what differs: naming an attribute needs the right to change it.
pub fn alter_role(before: &Role, after: &Role) -> String {
    let name = escape_identifier(&after.name);
    let mut options = Vec::new();
    if before.login != after.login {
        options.push(if after.login { "LOGIN" } else { "NOLOGIN" }.to_owned());
    }
    if before.connection_limit != after.connection_limit {
        options.push(format!("CONNECTION LIMIT {}", after.connection_limit.map_or(-1, i64::from)));
    }
    options.extend(before.attributes.difference(&after.attributes).map(|attribute| format!("NO{attribute}")));
    options.extend(after.attributes.difference(&before.attributes).cloned());
    if matches!((&before.valid_until, &after.valid_until), (Some(Expiry::At(_)), Some(Expiry::Never))) {
        options.push("VALID UNTIL 'infinity'".to_owned());
    }
    let mut statements = Vec::new();
    if !options.is_empty() {
        statements.push(format!("ALTER ROLE {name} {}", options.join(" ")));
    }
    let gone = before.settings.keys().filter(|key| !after.settings.contains_key(*key));
    statements.extend(gone.map(|key| format!("ALTER ROLE {name} RESET {}", escape_identifier(key))));
    let new = after.settings.iter().filter(|(key, value)| before.settings.get(*key) != Some(value));
    statements.extend(new.map(|(key, value)| set(&after.name, key, value)));
    statements.join("; ")
}

fn set(role: &str, key: &str, value: &str) -> String {
    format!("ALTER ROLE {} SET {}", escape_identifier(role), assignment(key, value))
}

/// Lets the password of a role be good for ever.
pub fn never_expire(role: &str) -> String {
    format!("ALTER ROLE {} VALID UNTIL 'infinity'", escape_identifier(role))
}

/// Takes back what was set for a role in one database alone.
pub fn reset_in_database(role: &str, database: &str, key: &str) -> String {
    let (role, database) = (escape_identifier(role), escape_identifier(database));
    format!("ALTER ROLE {role} IN DATABASE {database} RESET {}", escape_identifier(key))
}

/// Sets a password by its verifier: never show the text.
pub fn set_password(role: &str, verifier: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", escape_identifier(role), escape_literal(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn role(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            login: true,
            connection_limit: None,
            attributes: BTreeSet::new(),
            settings: std::collections::BTreeMap::new(),
            credential: None,
            valid_until: Some(Expiry::Never),
            member_of: None,
            members: None,
            settings_in_databases: None,
        }
    }

    #[test]
    fn names_and_values_are_quoted() {
        let mut odd = role("a\"b");
        odd.settings.insert("app.x".to_owned(), "it's".to_owned());
        assert_eq!(create_role(&odd), "CREATE ROLE \"a\"\"b\" LOGIN; ALTER ROLE \"a\"\"b\" SET \"app.x\" TO 'it''s'");
    }

    #[test]
    fn only_what_differs_is_altered() {
        let mut before = role("a");
        before.attributes.insert("CREATEDB".to_owned());
        before.connection_limit = Some(3);
        before.valid_until = Some(Expiry::At("2020-01-01T00:00:00Z".to_owned()));
        before.settings.insert("work_mem".to_owned(), "1MB".to_owned());
        let mut after = role("a");
        after.settings.insert("search_path".to_owned(), "app, public".to_owned());
        assert_eq!(
            alter_role(&before, &after),
            "ALTER ROLE \"a\" CONNECTION LIMIT -1 NOCREATEDB VALID UNTIL 'infinity'; ALTER ROLE \"a\" RESET \"work_mem\"; \
             ALTER ROLE \"a\" SET \"search_path\" TO 'app', 'public'"
        );
        assert_eq!(alter_role(&after, &after), "");
    }
}
