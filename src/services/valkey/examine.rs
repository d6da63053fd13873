//! Looks the nodes over for `nornplan doctor`.

use super::observe::{Seen, opens_everything};
use super::presets::Persistence;
use crate::services::Check;

/// What is good and bad about every node.
pub fn checks(seen: &[Seen]) -> Vec<Check> {
    let of_node =
        |seen: &Seen| node(seen).map(|check| Check { what: format!("{}: {}", seen.node, check.what), ..check });
    match seen {
        [one] => node(one).into(),
        many => many.iter().flat_map(of_node).collect(),
    }
}

fn node(seen: &Seen) -> [Check; 3] {
    let everybody = seen.accounts.get("default").is_some_and(|account| opens_everything(&account.user));
    [
        Check::good(format!("{} answers", seen.server.describe())),
        if everybody {
            Check::bad(
                "the user `default` needs no password and may do everything: nothing is isolated",
                "give it a password (requirepass, or ACL SETUSER default), or switch it off",
            )
        } else {
            Check::good("the user `default` does not let just anybody in")
        },
        match seen.server.persistence() {
            Persistence::AclFile => Check::good("users are saved in the aclfile"),
            Persistence::ConfigFile => Check::good("users are saved in the configuration file"),
            Persistence::Volatile => Check::warning(
                "volatile: users are gone when it restarts",
                "start it with an aclfile or a configuration file",
            ),
        },
    ]
}
