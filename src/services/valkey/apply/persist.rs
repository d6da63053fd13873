//! Saves users, so that they outlive a restart.

use crate::error::{Diagnostic, Result};
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::errors::is_unknown;
use crate::services::valkey::node::Node;
use crate::services::valkey::presets::Persistence;
use crate::services::valkey::wire;
use crate::services::{Failure, Outcome, Step};
use fred::error::Error;
use futures_util::future::join_all;

/// Saves on every node what an earlier run had set there and not saved, or what people had.
pub async fn apply(nodes: &Nodes, steps: &[&Step]) -> Vec<Outcome> {
    let saved = async { save(nodes, &nodes.all().await?.nodes).await }.await;
    match saved {
        Ok(()) => steps.iter().map(|_| Outcome::done()).collect(),
        // There is one such step.
        Err(error) => vec![Outcome::from(Failure::from(error))],
    }
}

/// Saves the users of a sentinel: it does not tell whether it has an aclfile, and refuses the call that is for one.
///
/// # Errors
/// It cannot save them.
pub async fn persist_sentinel(sentinel: &Node) -> Result<(), Failure> {
    let ways = [(["ACL", "SAVE"], is_without_aclfile as GivesWay), (["SENTINEL", "FLUSHCONFIG"], |_| false)];
    save_by_first(sentinel, &ways).await.map_err(Failure::from)
}

/// Proves before anything is changed that every node can save, once in a run. The only proof is to save what the node
/// has: the changes that other people made and did not save are saved with it, as they are at the end in any case.
///
/// # Errors
/// Any node that cannot save.
pub async fn prove_saving(nodes: &Nodes, there: &[Node]) -> Result<()> {
    if there.iter().all(|node| nodes.saving.is_proven(&node.name)) {
        return Ok(());
    }
    save(nodes, there).await.map_err(|error| {
        let message = format!("nothing was changed, as it would be gone at the next restart: {}", error.message);
        Diagnostic { message, ..error }
    })
}

/// Saves the users of every node where it keeps them, if it does.
///
/// # Errors
/// The first node that cannot save them; others are named with it.
pub async fn save(nodes: &Nodes, there: &[Node]) -> Result<()> {
    let saved = join_all(there.iter().map(save_one)).await;
    let mut failed = None::<Diagnostic>;
    for (node, saved) in there.iter().zip(saved) {
        match (saved, &mut failed) {
            (Ok(()), _) => nodes.saving.proven(&node.name),
            (Err(error), None) => failed = Some(error),
            (Err(_), Some(first)) => first.message = format!("{}, nor on {}", first.message, node.name),
        }
    }
    failed.map_or_else(
        || {
            nodes.saving.saved();
            Ok(())
        },
        Err,
    )
}

async fn save_one(node: &Node) -> Result<()> {
    let save = async |words: &[&str]| node.call(words, &words.join(" ")).await.map(drop);
    match wire::server(node).await?.persistence() {
        Persistence::AclFile => save(&["ACL", "SAVE"]).await,
        Persistence::ConfigFile => save(&["CONFIG", "REWRITE"]).await,
        Persistence::Volatile => Ok(()),
        Persistence::Unknown => save_as_it_may(node).await,
    }
}

/// Saves on a server that does not tell how: one without an aclfile says so, and where CONFIG is switched off as well,
/// nobody can have it save. The plan has said that it is not known whether users outlive a restart.
async fn save_as_it_may(node: &Node) -> Result<()> {
    let ways = [(["ACL", "SAVE"], is_without_aclfile as GivesWay), (["CONFIG", "REWRITE"], is_unknown)];
    save_by_first(node, &ways).await
}

/// Whether a refusal means that another way is the right one.
type GivesWay = fn(&Error) -> bool;

/// Saves by the first call that is the right one. None of them may be.
async fn save_by_first(node: &Node, ways: &[([&str; 2], GivesWay)]) -> Result<()> {
    for (call, gives_way) in ways {
        match node.try_calls(&[call.map(str::to_owned).to_vec()]).await.pop() {
            Some(Err(error)) if gives_way(&error) => {}
            Some(Err(error)) => return Err(node.explain(&error, &call.join(" "))),
            Some(Ok(_)) | None => return Ok(()),
        }
    }
    Ok(())
}

fn is_without_aclfile(error: &Error) -> bool {
    error.details().contains("not configured to use an ACL file")
}
