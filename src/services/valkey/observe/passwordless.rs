//! Users whose password people keep, and that have none.

use super::Seen;
use crate::core::listing::some;
use crate::services::{Ask, Model};
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes are named in one line.
const SHOWN: usize = 3;

/// What is said of each of them, with what to do about it.
pub fn passwordless(seen: &[Seen], ask: &Ask) -> Vec<(String, String)> {
    let wanted = ask.wanted.values().map(|wanted| &wanted.model);
    let kept = wanted.filter_map(Model::as_valkey_user).filter(|user| user.generated == Some(false));
    let kept: BTreeSet<&str> = kept.map(|user| user.name.as_str()).collect();
    let (mut has_it, mut without) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, BTreeSet<&str>>::new());
    for node in seen {
        for (name, account) in node.accounts.iter().filter(|(name, _)| kept.contains(name.as_str())) {
            *has_it.entry(name).or_default() += 1;
            if account.user.enabled && !account.user.nopass && account.hashes.is_empty() {
                without.entry(name).or_default().insert(&node.node);
            }
        }
    }
    let told = without.into_iter().map(|(name, nodes)| {
        let everywhere = has_it.get(name) == Some(&nodes.len());
        let there = if everywhere { String::new() } else { format!(" on {}", some(&nodes, SHOWN)) };
        let said = format!("{name} is on and has no password{there}: nobody can sign in as it{there}");
        (said, format!("set one (ACL SETUSER {name} >...)"))
    });
    told.collect()
}
