//! Looks the nodes over for `nornplan doctor`.

use super::observe::{Seen, opens_everything};
use super::presets::Persistence;
use crate::services::{Check, Verdict};

/// What is good and bad about every node.
pub fn checks(seen: &[Seen]) -> Vec<Check> {
    seen.iter().flat_map(node).collect()
}

fn node(seen: &Seen) -> Vec<Check> {
    let check = |verdict, what: String, hint: Option<&str>| Check {
        verdict,
        what: format!("{}: {what}", seen.node),
        hint: hint.map(str::to_owned),
    };
    let mut checks = vec![check(Verdict::Good, format!("{} answers", seen.server.describe()), None)];
    checks.push(match seen.accounts.get("default") {
        Some(account) if opens_everything(&account.user) => check(
            Verdict::Bad,
            "the user `default` needs no password and may do everything: nothing is isolated".to_owned(),
            Some("give it a password (requirepass, or ACL SETUSER default), or switch it off"),
        ),
        Some(_) | None => check(Verdict::Good, "the user `default` does not let just anybody in".to_owned(), None),
    });
    checks.push(match seen.server.persistence() {
        Persistence::AclFile => check(Verdict::Good, "users are saved in the aclfile".to_owned(), None),
        Persistence::ConfigFile => check(Verdict::Good, "users are saved in the configuration file".to_owned(), None),
        Persistence::Volatile => check(
            Verdict::Warning,
            "volatile: users are gone when it restarts".to_owned(),
            Some("start it with an aclfile or a configuration file"),
        ),
    });
    checks
}
