//! What the reader of a plan must know of the nodes.

use super::{Seen, holder};
use crate::core::plan::{Level, Notice};
use crate::services::Ask;
use crate::services::valkey::model::{USER, User};
use crate::services::valkey::presets::Persistence;

/// What must be known of the nodes, loudest first.
pub fn notices(seen: &[Seen], ask: &Ask) -> Vec<Notice> {
    let notice = |level, text| Notice { level, about: "valkey".to_owned(), text };
    let mut notices = Vec::new();
    for node in seen {
        if node.accounts.get("default").is_some_and(|account| opens_everything(&account.user)) {
            notices.push(notice(
                Level::Alarm,
                format!(
                    "{}: the user `default` needs no password and may do everything: nothing is isolated here",
                    node.node
                ),
            ));
        }
        if node.server.persistence() == Persistence::Volatile {
            notices.push(notice(
                Level::Warning,
                format!(
                    "{}: volatile: with neither aclfile nor configuration file, users are gone at restart",
                    node.node
                ),
            ));
        }
    }
    for address in ask.proofs.keys() {
        let Some((_, account)) = holder(seen, &address.name).filter(|_| address.kind == USER) else { continue };
        if account.user.nopass {
            notices.push(notice(Level::Warning, format!("{address}: any password is accepted for this user")));
        }
    }
    notices.sort();
    notices
}

/// `nopass +@all`, enabled, on all keys.
pub fn opens_everything(user: &User) -> bool {
    let all_commands = user.commands.as_ref().is_some_and(|rules| rules.first().is_some_and(|rule| rule == "+@all"));
    let all_keys = user.keys.as_ref().is_some_and(|keys| keys.contains("~*"));
    user.enabled && user.nopass && all_commands && all_keys
}
