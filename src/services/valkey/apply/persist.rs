//! Saves users, so that they outlive a restart.

use crate::services::Failure;
use crate::services::valkey::connect::Node;
use crate::services::valkey::errors::explain;
use crate::services::valkey::presets::Persistence;
use crate::services::valkey::wire;

/// Saves the users of a sentinel: it does not tell whether it has an aclfile, and refuses the call that is for one.
///
/// # Errors
/// It cannot save them.
pub async fn persist_sentinel(sentinel: &Node) -> Result<(), Failure> {
    let words = |call: [&str; 2]| call.map(str::to_owned).to_vec();
    let saved = sentinel.try_calls(&[words(["ACL", "SAVE"])]).await.into_iter().next();
    match saved {
        Some(Err(error)) if error.details().contains("not configured to use an ACL file") => {
            sentinel.call(&["SENTINEL", "FLUSHCONFIG"], "SENTINEL FLUSHCONFIG").await.map(drop).map_err(Failure::from)
        }
        Some(Err(error)) => Err(explain(&error, &sentinel.name, "ACL SAVE").into()),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Saves the users of one node where it keeps them, if it does.
///
/// # Errors
/// The server cannot save them.
pub async fn persist(node: &Node) -> Result<(), Failure> {
    let words: &[&str] = match wire::server(node).await?.persistence() {
        Persistence::AclFile => &["ACL", "SAVE"],
        Persistence::ConfigFile => &["CONFIG", "REWRITE"],
        Persistence::Volatile => return Ok(()),
    };
    node.call(words, &words.join(" ")).await.map(drop).map_err(Failure::from)
}
