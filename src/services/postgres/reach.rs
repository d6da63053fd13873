//! How far the rights of a lesser administrator reach, for `nornplan doctor`: what a plan would tell step by step, told
//! before there is a plan.

use super::diff::{Beyond, beyond};
use super::model::ROLE;
use super::observe::server;
use super::server::Server;
use crate::services::{Ask, Check, Failure};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// What others made of that which is declared or ours, and we may not change; nothing for a superuser.
pub async fn examine(connection: &mut PgConnection, ask: &Ask) -> Result<Vec<Check>, Failure> {
    let server = server::standing(connection, ask).await?;
    let roles = ask.names(&ROLE).into_iter().map(str::to_owned).collect();
    if server.admin.superuser || (server.roles.is_empty() && server.owners.is_empty()) {
        return Ok(Vec::new());
    }
    Ok(checks(&server, beyond(&server, &roles)))
}

fn checks(server: &Server, Beyond { roles, of_superusers, superusers }: Beyond) -> Vec<Check> {
    let admin = &server.admin.name;
    let to_admin = escape_identifier(admin);
    let mut checks = Vec::new();
    if !roles.is_empty() {
        let quoted: Vec<String> = roles.iter().map(|role| escape_identifier(role)).collect();
        checks.push(Check::warning(
            format!("{admin} has no ADMIN OPTION on roles that others made: {}", list(&roles)),
            format!("as a superuser: GRANT {} TO {to_admin} WITH ADMIN OPTION", quoted.join(", ")),
        ));
    }
    if !of_superusers.is_empty() {
        let statements: Vec<String> = of_superusers
            .iter()
            .map(|database| format!("ALTER DATABASE {} OWNER TO {to_admin}", escape_identifier(database)))
            .collect();
        checks.push(Check::warning(
            format!("superusers own databases, which {admin} may not change: {}", list(&of_superusers)),
            format!("as a superuser: {}", statements.join("; ")),
        ));
    }
    if !superusers.is_empty() {
        checks.push(Check::warning(
            format!("only a superuser may change superusers (and REPLICATION, BYPASSRLS): {}", list(&superusers)),
            "sign in as a superuser, or take that from them",
        ));
    }
    if checks.is_empty() {
        checks.push(Check::good(format!("{admin} may change what is there of the infraspecs' roles and databases")));
    }
    checks
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
