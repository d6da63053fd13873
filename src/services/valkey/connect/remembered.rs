//! Nodes that earlier runs met and that nobody tells of now: a primary forgets a replica as soon as it is down. None of them
//! is contacted: by now the address may be somebody else's, who would be given the administrator's password.

use super::{Found, Unreached};
use crate::error::{Diagnostic, Kind};
use std::collections::BTreeSet;

/// A node of earlier runs that is none of these any more.
pub struct Left {
    pub node: String,
    /// What became of it.
    pub why: &'static str,
}

/// Adds the nodes that nobody has told of. `why_gone`: where sentinels or a cluster say who belongs to it, why one that they do
/// not name is gone for good. A primary does not say that: there a node is missed until it follows again or is forgotten.
pub fn add(found: &mut Found, names: &BTreeSet<String>, why_gone: Option<&'static str>) {
    // Of a node without an address it cannot be told which of these it is.
    let why_gone = why_gone.filter(|_| !found.has_lost);
    let missing: Vec<&String> = names.iter().filter(|name| !found.knows(name)).collect();
    for node in missing {
        match why_gone {
            Some(why) => found.left.push(Left { node: node.clone(), why }),
            None => found.unreached.push(missed(node)),
        }
    }
}

fn missed(node: &str) -> Unreached {
    let gone = format!("nornplan state forget-node valkey {node}");
    let error = Diagnostic::new(Kind::Service, "nobody tells of it: it is down, or follows none of the others")
        .on("valkey", node, "INFO replication")
        .hint(format!("have it follow the primary again; if it is gone for good: `{gone}`"));
    Unreached { node: node.to_owned(), sentinel: false, error, gone: Some(gone) }
}
