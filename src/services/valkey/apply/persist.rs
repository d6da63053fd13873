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
    let save = async |words: &[&str]| node.call(words, &words.join(" ")).await.map(drop);
    match wire::server(node).await?.persistence() {
        Persistence::AclFile => save(&["ACL", "SAVE"]).await?,
        Persistence::ConfigFile => save(&["CONFIG", "REWRITE"]).await?,
        Persistence::Volatile => {}
        // A server without an aclfile says so.
        Persistence::Unknown => match save(&["ACL", "SAVE"]).await {
            Err(error) if error.causes().iter().any(|cause| cause.contains("not configured to use an ACL file")) => {
                save(&["CONFIG", "REWRITE"]).await?;
            }
            saved => saved?,
        },
    }
    Ok(())
}
