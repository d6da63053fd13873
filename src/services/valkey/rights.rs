//! What the user that nornplan signs in as must be able to run, what of it this one may not, and the statement that allows
//! it. Pure.

use super::acl::{Catalogue, parts};
use super::model::User;
use super::presets::{Persistence, Server};
use crate::core::step::Action;
use std::collections::BTreeSet;

/// What users are set with, and proved.
const SETS: [&str; 3] = ["acl|setuser", "acl|getuser", "acl|dryrun"];
const DELETES: [&str; 1] = ["acl|deluser"];
/// What keys are removed with.
const PURGES: [&str; 4] = ["role", "select", "scan", "unlink"];
const SAVES: [&str; 2] = ["acl|save", "config|rewrite"];
/// What is told less of without these; without the last two, what somebody sets on a user while it is replaced is lost unseen.
const TELLS: [&str; 6] = ["config|get", "client|id", "client|list", "memory|usage", "multi", "exec"];

/// Everything that nornplan may call on a server, as rules.
pub const ALL: &str = "+info +command +acl +config|get +config|rewrite +client|id +client|list +cluster|nodes +multi \
    +exec +role +select +scan +unlink +memory|usage";

/// What of it a user may not run on a server that has it. What nothing can be read without is left out: the server has
/// refused it already then.
pub fn lacking(admin: &User, catalogue: &Catalogue) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for rules in parts(admin) {
        // Rules that cannot be replayed may allow anything: the server will say.
        let Some(more) = catalogue.allowed(&rules.commands) else { return BTreeSet::new() };
        allowed.extend(more);
    }
    let needed = SETS.iter().chain(&DELETES).chain(&PURGES).chain(&SAVES).chain(&TELLS);
    needed.filter(|name| catalogue.knows(name) && !allowed.contains(**name)).map(|name| (*name).to_owned()).collect()
}

/// Whether something cannot be done without these, and is not just told less of.
pub fn matter(lacking: &BTreeSet<&str>) -> bool {
    lacking.iter().any(|name| !TELLS.contains(name))
}

/// Why an action cannot be carried out with our rights, and what to do about it.
pub fn missing(action: Action, server: &Server) -> Option<String> {
    let work: &[&str] = if action == Action::Destroy { &DELETES } else { &SETS };
    let saves: &[&str] = match server.persistence() {
        Persistence::AclFile => &["acl|save"],
        Persistence::ConfigFile => &["config|rewrite"],
        Persistence::Unknown | Persistence::Volatile => &[],
    };
    let missing: BTreeSet<&str> =
        work.iter().chain(saves).copied().filter(|name| server.lacking.contains(*name)).collect();
    (!missing.is_empty()).then(|| denied(&server.admin, &missing))
}

/// Why keys cannot be removed with our rights, and what to do about it.
pub fn missing_to_purge(server: &Server) -> Option<String> {
    let missing: BTreeSet<&str> = PURGES.into_iter().filter(|name| server.lacking.contains(*name)).collect();
    (!missing.is_empty()).then(|| denied(&server.admin, &missing))
}

/// What is missing, and the statement.
pub fn denied(admin: &str, missing: &BTreeSet<&str>) -> String {
    format!("{admin} may not run {}: allow it by {}", list(missing), grant(admin, missing))
}

/// As people write commands.
pub fn list(commands: &BTreeSet<&str>) -> String {
    let all: Vec<String> = commands.iter().map(|name| name.replace('|', " ").to_ascii_uppercase()).collect();
    all.join(", ")
}

/// The statement that allows commands.
pub fn grant(admin: &str, commands: &BTreeSet<&str>) -> String {
    let rules: Vec<String> = commands.iter().map(|name| format!("+{name}")).collect();
    format!("ACL SETUSER {admin} {}", rules.join(" "))
}

/// Which command an answer such as `NOPERM User x has no permissions to run the 'config|get' command` is about.
pub fn refused(answer: &str) -> Option<&str> {
    let name = answer.split_once("run the '")?.1.split_once('\'')?.0;
    name.chars().all(|one| one.is_ascii_alphanumeric() || "|-_.".contains(one)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::acl::parse_line;
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::of(["info", "command", "get", "acl|list", "acl|getuser", "acl|setuser", "acl|dryrun", "acl|deluser"])
    }

    #[test]
    fn what_is_missing_is_told_with_the_statement_that_allows_it() {
        let lacks = |rules: &str| {
            let user = parse_line(&format!("user norn on {rules}"), false).unwrap().user;
            lacking(&user, &catalogue())
        };
        assert!(lacks("+@all").is_empty() && lacks("-@all (+@all)").is_empty());
        // What the server does not have is no right that is missing: no acl|save here.
        let lacking = lacks("+@all -acl|setuser -acl|deluser");
        assert_eq!(lacking, BTreeSet::from(["acl|deluser".to_owned(), "acl|setuser".to_owned()]));
        let server = Server { admin: "norn".to_owned(), lacking, ..Server::default() };
        let said = |action| missing(action, &server).unwrap();
        assert_eq!(said(Action::Update), "norn may not run ACL SETUSER: allow it by ACL SETUSER norn +acl|setuser");
        assert_eq!(said(Action::Destroy), "norn may not run ACL DELUSER: allow it by ACL SETUSER norn +acl|deluser");
    }

    #[test]
    fn a_refusal_names_its_command() {
        assert_eq!(refused("NOPERM User x has no permissions to run the 'config|get' command"), Some("config|get"));
        assert_eq!(refused("NOPERM this user has no permissions to run the 'info' command"), Some("info"));
        assert_eq!(refused("NOPERM this user has no permissions to access one of the keys"), None);
    }
}
