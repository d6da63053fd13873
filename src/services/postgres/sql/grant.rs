//! Statements about privileges.

use super::list;
use crate::services::postgres::model::Grant;
use postgres_protocol::escape::escape_identifier;
use std::collections::BTreeSet;

/// Brings a role's privileges to exactly the wanted ones, inside the database and in one transaction.
pub fn set_grant(grant: &Grant, creator: &str) -> String {
    let role = escape_identifier(&grant.role);
    let database = escape_identifier(&grant.database);
    let mut statements = vec![revoke_grant(&grant.database, &grant.role, creator)];
    let mut give = |privileges: Option<&BTreeSet<String>>, what: &str, ending: &str| {
        if let Some(privileges) = privileges.filter(|privileges| !privileges.is_empty()) {
            statements.push(format!("{what}GRANT {} ON {ending} TO {role}", list(privileges)));
        }
    };
    give(Some(&grant.database_privileges), "", &format!("DATABASE {database}"));
    give(grant.schema_privileges.as_ref(), "", "SCHEMA public");
    if creator == grant.role {
        statements.push("REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned());
    } else {
        let future = default_privileges(creator);
        give(grant.future_tables.as_ref(), &future, "TABLES");
        give(grant.future_sequences.as_ref(), &future, "SEQUENCES");
        give(grant.future_tables.as_ref(), "", "ALL TABLES IN SCHEMA public");
        give(grant.future_sequences.as_ref(), "", "ALL SEQUENCES IN SCHEMA public");
    }
    statements.join("; ")
}

/// Gives a role its privileges on the database; nothing inside it.
pub fn give_database(grant: &Grant) -> String {
    let (role, database) = (escape_identifier(&grant.role), escape_identifier(&grant.database));
    format!("GRANT {} ON DATABASE {database} TO {role}", list(&grant.database_privileges))
}

/// Takes from a role everything on a database; nothing inside it.
pub fn revoke_database(grant: &Grant) -> String {
    let (role, database) = (escape_identifier(&grant.role), escape_identifier(&grant.database));
    format!("REVOKE ALL ON DATABASE {database} FROM {role}")
}

/// Takes from a role everything that a grant could have given. What the creator made stays its own.
pub fn revoke_grant(database: &str, role: &str, creator: &str) -> String {
    let (database, name) = (escape_identifier(database), escape_identifier(role));
    let mut what = vec![format!("REVOKE ALL ON DATABASE {database}"), "REVOKE ALL ON SCHEMA public".to_owned()];
    if creator != role {
        let future = default_privileges(creator);
        what.push(format!("{future}REVOKE ALL ON TABLES"));
        what.push(format!("{future}REVOKE ALL ON SEQUENCES"));
        what.push("REVOKE ALL ON ALL TABLES IN SCHEMA public".to_owned());
        what.push("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public".to_owned());
    }
    let statements: Vec<String> = what.into_iter().map(|what| format!("{what} FROM {name}")).collect();
    statements.join("; ")
}

fn default_privileges(creator: &str) -> String {
    format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public ", escape_identifier(creator))
}
