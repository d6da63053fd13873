//! Saves users, so that they outlive a restart.

use crate::services::Failure;
use crate::services::valkey::connect::Node;
use crate::services::valkey::presets::Persistence;
use crate::services::valkey::wire;

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
