//! Looks the sentinels over: whoever may command them decides which node is the primary.

use super::grouping::grouped;
use crate::error::{Diagnostic, Result};
use crate::services::Check;
use crate::services::valkey::everybody::{Open, open};
use crate::services::valkey::node::Node;
use crate::services::valkey::wire;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// What is good and bad about every sentinel, as it was opened.
pub async fn checks(opened: Vec<Result<Node>>) -> Vec<Check> {
    let all = opened.len();
    let of_each = opened.into_iter().map(async |opened| {
        let node = opened?;
        let (name, checks) = (node.name.clone(), of_one(&node).await);
        node.close().await;
        Ok::<_, Diagnostic>((name, checks?))
    });
    let (mut answering, mut failed) = (Vec::new(), Vec::new());
    for checks in join_all(of_each).await {
        match checks {
            Ok(checks) => answering.push(checks),
            // It names the sentinel.
            Err(error) => failed.push(Check::failed(&error)),
        }
    }
    let mut checks = grouped(answering, all, "sentinels");
    checks.extend(failed);
    checks
}

async fn of_one(sentinel: &Node) -> Result<Vec<Check>> {
    let server = wire::server(sentinel).await?;
    let accounts = wire::all_accounts(sentinel, server, |name| name == "default").await?;
    let mut checks = vec![Check::good("the sentinel answers")];
    let open_to_everybody = |user| open(user, &server.catalogue, &BTreeSet::new()) == Some(Open::Everything);
    if accounts.get("default").is_some_and(|account| open_to_everybody(&account.user)) {
        checks.push(Check::warning(
            "anybody may tell this sentinel which node is the primary",
            "give it a password (requirepass in its configuration), and nornplan NORNPLAN_VALKEY_SENTINEL_PASSWORD",
        ));
    }
    Ok(checks)
}
