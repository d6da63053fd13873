//! Looks the sentinels over for `nornplan doctor`: whoever may command them decides which node is the primary.

use crate::error::Result;
use crate::services::Check;
use crate::services::valkey::everybody::{Open, open};
use crate::services::valkey::node::Node;
use crate::services::valkey::wire;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// What is good and bad about every sentinel, as it was opened.
pub async fn checks(opened: Vec<Result<Node>>) -> Vec<Check> {
    let of_each = opened.into_iter().map(async |opened| {
        let checks = async {
            let node = opened?;
            let checks = of_one(&node).await;
            node.close().await;
            checks
        };
        checks.await.unwrap_or_else(|error| vec![Check::failed(&error)])
    });
    join_all(of_each).await.into_iter().flatten().collect()
}

async fn of_one(sentinel: &Node) -> Result<Vec<Check>> {
    let server = wire::server(sentinel).await?;
    let accounts = wire::all_accounts(sentinel, server, |name| name == "default").await?;
    let mut checks = vec![Check::good(format!("{}: the sentinel answers", sentinel.name))];
    let open_to_everybody = |user| open(user, &server.catalogue, &BTreeSet::new()) == Some(Open::Everything);
    if accounts.get("default").is_some_and(|account| open_to_everybody(&account.user)) {
        checks.push(Check::warning(
            format!("{}: anybody may tell this sentinel which node is the primary", sentinel.name),
            "give it a password (requirepass in its configuration), and nornplan NORNPLAN_VALKEY_SENTINEL_PASSWORD",
        ));
    }
    Ok(checks)
}
