//! How far the rights of a lesser administrator reach, for `nornplan doctor`: what a plan would tell step by step, told
//! before there is a plan.

use super::connect::Connector;
use super::diff::{Beyond, beyond, denied};
use super::model::ROLE;
use super::observe;
use super::server::Server;
use crate::core::listing::some;
use crate::services::{Ask, Check, DiffInput, Failure};
use postgres_protocol::escape::escape_identifier;
use std::collections::{BTreeMap, BTreeSet};

/// Addresses that one line names; more are counted.
const NAMED: usize = 3;

/// What is wanted or ours and cannot be brought about with our rights; for an administrator that is no superuser.
pub async fn examine(connector: &Connector, ask: &Ask) -> Result<Vec<Check>, Failure> {
    let observation = observe::observe(connector, ask).await?;
    let server = Server::of(&observation);
    let roles = ask.names(&ROLE).into_iter().map(str::to_owned).collect();
    let beyond = beyond(&server, &roles);
    let input = DiffInput {
        wanted: &ask.wanted,
        applied: &ask.applied,
        observation: &observation,
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    };
    let denied = denied(input, &beyond);
    let mut checks = others(&server, &beyond);
    checks.extend(denied.into_iter().map(|(reason, addresses)| {
        Check::warning(format!("{} lacks a right for {}", server.admin.name, some(&addresses, NAMED)), reason)
    }));
    let makes = server.admin.createrole && server.admin.createdb;
    if checks.is_empty() && makes && !ask.addresses().is_empty() {
        let all = "what the infraspecs want, and what is there of it";
        checks.push(Check::good(format!("the rights of {} reach {all}", server.admin.name)));
    }
    Ok(checks)
}

/// What others made, and we may not change.
fn others(server: &Server, Beyond { roles, of_superusers, superusers }: &Beyond) -> Vec<Check> {
    let admin = &server.admin.name;
    let to_admin = escape_identifier(admin);
    let mut checks = Vec::new();
    if !roles.is_empty() {
        let quoted: Vec<String> = roles.iter().map(|role| escape_identifier(role)).collect();
        checks.push(Check::warning(
            format!("{admin} has no ADMIN OPTION on roles that others made: {}", list(roles)),
            format!("as a superuser: GRANT {} TO {to_admin} WITH ADMIN OPTION", quoted.join(", ")),
        ));
    }
    if !of_superusers.is_empty() {
        let statements: Vec<String> = of_superusers
            .iter()
            .map(|database| format!("ALTER DATABASE {} OWNER TO {to_admin}", escape_identifier(database)))
            .collect();
        checks.push(Check::warning(
            format!("superusers own databases, which {admin} may not change: {}", list(of_superusers)),
            format!("as a superuser: {}", statements.join("; ")),
        ));
    }
    if !superusers.is_empty() {
        checks.push(Check::warning(
            format!("only a superuser may change superusers (and REPLICATION, BYPASSRLS): {}", list(superusers)),
            "sign in as a superuser, or take that from them",
        ));
    }
    checks
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
