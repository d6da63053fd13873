//! Users that nobody declares and that are not ours. Pure: `ACL LIST` has told of all of them already.

use super::Seen;
use crate::core::address::Address;
use crate::services::valkey::acl::Account;
use crate::services::valkey::model::{keys_in_words, user_address};
use crate::services::{Ask, Facts};
use std::collections::BTreeMap;

/// Those on any data node, with what the first node that has one says of it.
pub fn unmanaged(seen: &[Seen], ask: &Ask) -> BTreeMap<Address, Facts> {
    let Some(known) = &ask.unmanaged else { return BTreeMap::new() };
    let nodes: Vec<&Seen> = seen.iter().filter(|node| !node.server.sentinel).collect();
    let mut listed: BTreeMap<Address, Facts> = BTreeMap::new();
    for (name, account) in nodes.iter().flat_map(|node| &node.accounts) {
        let address = user_address(name);
        if known.contains(&address) {
            continue;
        }
        listed.entry(address).or_insert_with(|| {
            let mut facts = facts(account);
            let holders: Vec<&str> =
                nodes.iter().filter(|node| node.accounts.contains_key(name)).map(|node| node.node.as_str()).collect();
            if holders.len() < nodes.len() {
                facts.insert("only_on".to_owned(), holders.into());
            }
            facts
        });
    }
    listed
}

/// Whether and how one signs in as it, and the keys that it reaches; never a password's hash.
fn facts(account: &Account) -> Facts {
    let user = &account.user;
    let mut facts = Facts::from([
        ("enabled".to_owned(), user.enabled.into()),
        ("passwords".to_owned(), account.hashes.len().into()),
    ]);
    if user.nopass {
        facts.insert("nopass".to_owned(), true.into());
    }
    if let Some(keys) = user.keys.as_ref().filter(|keys| !keys.is_empty()) {
        facts.insert("may".to_owned(), keys_in_words(keys).join("; ").into());
    }
    if let Some(selectors) = user.selectors.as_ref().filter(|selectors| !selectors.is_empty()) {
        facts.insert("selectors".to_owned(), selectors.len().into());
    }
    facts
}
