//! Users that apps have on sentinels too, where they may be left with nobody to look after them.

use crate::services::valkey::connect::Nodes;
use crate::services::valkey::wire;
use std::collections::{BTreeMap, BTreeSet};

/// Which of the sentinels have some users, where none of them is looked after. One that cannot be asked says nothing.
pub async fn with<'a>(nodes: &Nodes, users: &BTreeSet<&'a str>) -> BTreeMap<&'a str, BTreeSet<String>> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    if users.is_empty() || nodes.config().sentinel_users {
        return found;
    }
    let names: BTreeSet<String> = users.iter().map(|user| (*user).to_owned()).collect();
    for sentinel in nodes.sentinels().await.into_iter().flatten() {
        let read = async { wire::accounts(&sentinel, wire::server(&sentinel).await?, &names).await };
        let there = read.await.unwrap_or_default();
        for user in users.iter().filter(|user| there.contains_key(**user)) {
            found.entry(user).or_default().insert(sentinel.name.clone());
        }
        sentinel.close().await;
    }
    found
}
