//! Whether users outlive a restart, as far as it can be told without saving: that would save what other people have
//! changed and may not want to keep.

use crate::core::listing::some;
use crate::services::Check;
use crate::services::valkey::observe::saved::AtRestart;
use crate::services::valkey::presets::{Persistence, Server};
use crate::services::valkey::rights;
use std::collections::BTreeSet;

/// Users that are spelled out in one line; more are counted.
const NAMES_SHOWN: usize = 5;

/// What is good and bad about one node.
pub fn checks(server: &Server, at: &AtRestart) -> Vec<Check> {
    let (kind, path) = match server.persistence() {
        Persistence::AclFile => ("aclfile", server.aclfile.as_deref()),
        Persistence::ConfigFile => ("configuration file", server.config_file.as_deref()),
        Persistence::Volatile => {
            return vec![Check::warning(
                "volatile: users are gone when it restarts",
                "start it with an aclfile or a configuration file",
            )];
        }
        Persistence::Unknown => {
            return vec![Check::warning(
                "whether users outlive a restart is not known: CONFIG GET is switched off or not allowed",
                format!("if it is not allowed: {}", rights::grant(&server.admin, &BTreeSet::from(["config|get"]))),
            )];
        }
    };
    let Some(file) = &at.file else {
        let path = path.unwrap_or_default();
        return vec![Check::good(format!(
            "users are to be saved in the {kind} {path}, which cannot be seen from here: the next apply tries that, and \
             changes nothing where it fails"
        ))];
    };
    let path = file.path.display();
    let dangers = at.dangers().into_iter();
    let mut checks: Vec<Check> =
        dangers.map(|danger| Check::bad(danger, format!("{} saves what the server has now", at.saved_by()))).collect();
    if let Some(obstacle) = &file.obstacle {
        let what = format!("users cannot be saved in the {kind} {path}: {}", obstacle.why);
        checks.push(Check::bad(
            what,
            format!("{}; until then every apply stops before it changes anything", obstacle.next),
        ));
    } else if file.missing {
        checks.push(Check::bad(
            format!("the {kind} {path} is gone, and without it the server does not start again"),
            "bring it back, or have the server make it anew: ACL SAVE, or CONFIG REWRITE for a configuration file",
        ));
    } else {
        let compared = match (at.compared, at.ours.is_empty() && at.others.is_empty()) {
            (true, true) => ", and stand there as they are now",
            (true, false) => "",
            (false, _) => "; what stands there cannot be compared with what they are now",
        };
        let may = "as far as its permissions tell, the server can write there";
        checks
            .push(Check::good(format!("users are saved in the {kind} {path}{compared} ({may}: an apply tries first)")));
    }
    let unsaved: BTreeSet<&String> = at.ours.keys().chain(&at.others).collect();
    if !unsaved.is_empty() {
        checks.push(Check::warning(
            format!("not saved as they are now, and otherwise after the next restart: {}", some(unsaved, NAMES_SHOWN)),
            format!("{} saves them, and whatever else somebody has changed", at.saved_by()),
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_from_here_is_not_claimed() {
        let server = Server { aclfile: Some("/data/users.acl".to_owned()), ..Server::default() };
        let at = AtRestart::unseen("kv:6379", server.persistence());
        let told = checks(&server, &at);
        let what = "users are to be saved in the aclfile /data/users.acl, which cannot be seen from here: the next apply \
                    tries that, and changes nothing where it fails";
        assert_eq!(told, [Check::good(what)]);
    }
}
