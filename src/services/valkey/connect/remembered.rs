//! Nodes that earlier runs met and that the others do not tell of now: a primary forgets a replica as soon as it is down.

use super::{Found, Nodes, Unreached, topology};
use crate::error::{Diagnostic, Kind, Result};
use crate::services::valkey::node::Node;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// A node of earlier runs that is none of these any more.
pub struct Left {
    pub node: String,
    /// What became of it.
    pub why: String,
    /// The connection, if it answers.
    pub open: Option<Node>,
}

/// What a node says that it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Identity {
    /// A new one with every start of the process.
    run_id: Option<String>,
    /// The histories that its data are of: its own, and the one that it went on from.
    histories: BTreeSet<String>,
    /// host:port of what it is a replica of.
    follows: Option<String>,
}

impl Identity {
    async fn of(node: &Node) -> Result<Self> {
        Ok(Self::parse(&topology::text(node, &["INFO", "server", "replication"]).await?))
    }

    fn parse(info: &str) -> Self {
        let said: BTreeMap<&str, &str> = topology::facts(info);
        let fact = |name: &str| said.get(name).copied().filter(|value| !value.is_empty()).map(str::to_owned);
        // An id that is not set is forty zeros.
        let history = |name: &str| fact(name).filter(|id| id.bytes().any(|byte| byte != b'0'));
        let follows = || Some(format!("{}:{}", fact("master_host")?, fact("master_port")?));
        Self {
            run_id: fact("run_id"),
            histories: ["master_replid", "master_replid2"].into_iter().filter_map(history).collect(),
            follows: said.get("role").filter(|role| **role == "slave").and_then(|_| follows()),
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.run_id.is_some() && self.run_id == other.run_id
    }
}

/// The nodes that are known, by what they say that they are.
struct Group {
    all: Vec<Identity>,
    /// The histories of the primary.
    histories: BTreeSet<String>,
}

enum Verdict {
    /// One that is known already, by another address.
    Known,
    /// A replica of one of these.
    Ours(Node),
    Left(Left),
    Absent(Diagnostic),
}

/// Looks for the nodes that nobody has told of. Where sentinels or a cluster say who belongs to it, that is the truth
/// about one that does not answer: it is gone for good. A primary says nothing of a replica that is down.
///
/// # Errors
/// A node that answered before does not say any more what it is.
pub async fn find(nodes: &Nodes, found: &mut Found, mut names: BTreeSet<String>) -> Result<()> {
    // Of a node without an address it cannot be told which of these it is.
    let tells_all = nodes.why_it_is_gone().filter(|_| !found.has_lost);
    loop {
        names.retain(|name| !found.knows(name));
        if names.is_empty() {
            return Ok(());
        }
        let all = join_all(found.nodes.iter().map(Identity::of)).await.into_iter().collect::<Result<Vec<_>>>()?;
        let histories = all.first().map(|first| first.histories.clone()).unwrap_or_default();
        let group = Group { all, histories };
        let judged = join_all(names.iter().map(async |name| judge(nodes, found, &group, name).await)).await;
        let first_new = found.nodes.len();
        let mut undecided = Vec::new();
        for (name, verdict) in names.iter().zip(judged) {
            match verdict {
                Verdict::Ours(node) => found.nodes.push(node),
                verdict @ (Verdict::Known | Verdict::Left(_) | Verdict::Absent(_)) => undecided.push((name, verdict)),
            }
        }
        if found.nodes.len() > first_new {
            // These may have replicas of their own, and others may be known by them.
            nodes.walk_below(found, first_new).await?;
            continue;
        }
        for (name, verdict) in undecided {
            match (verdict, tells_all) {
                (Verdict::Left(left), _) => found.left.push(left),
                (Verdict::Absent(error), None) => {
                    let gone = format!("nornplan state forget-node valkey {name}");
                    let known = error.hint.iter().cloned();
                    let hint = known.chain([format!("if it is gone for good: {gone}")]).collect::<Vec<_>>().join("; ");
                    let error = error.hint(hint);
                    found.unreached.push(Unreached { node: name.clone(), sentinel: false, error, gone: Some(gone) });
                }
                (Verdict::Absent(_), Some(why)) => {
                    found.left.push(Left { node: name.clone(), why: why.to_owned(), open: None });
                }
                // Who belongs to it is told by other addresses.
                (Verdict::Known, Some(_)) => drop(found.renamed.insert(name.clone())),
                // By this one it may be somebody else after the next failover.
                (Verdict::Known | Verdict::Ours(_), _) => {}
            }
        }
        return Ok(());
    }
}

async fn judge(nodes: &Nodes, found: &Found, group: &Group, name: &str) -> Verdict {
    if nodes.config().cluster {
        // The cluster tells of all of its nodes, down or not, and a password is for them alone.
        let what = "the cluster does not tell of it, and has lost the address of a node";
        return Verdict::Absent(Diagnostic::new(Kind::Service, what).on("valkey", name, "CLUSTER NODES"));
    }
    let asked = async {
        let node = nodes.reach(name).await?;
        let identity = Identity::of(&node).await?;
        Ok((node, identity))
    };
    let (node, identity) = match asked.await {
        Ok(asked) => asked,
        Err(error) => return Verdict::Absent(error),
    };
    let left = |node: Node, why: String| Verdict::Left(Left { node: name.to_owned(), why, open: Some(node) });
    if group.all.iter().any(|known| known.is(&identity)) {
        node.close().await;
        return Verdict::Known;
    }
    let Some(primary) = &identity.follows else {
        return left(node, "it is a primary of its own now".to_owned());
    };
    if found.nodes.iter().any(|node| node.name == *primary) {
        return Verdict::Ours(node);
    }
    // It may know one of them by another address.
    let other = async { Identity::of(&nodes.reach(primary).await?).await };
    match other.await {
        Ok(other) if group.all.iter().any(|known| known.is(&other)) => Verdict::Ours(node),
        Ok(_) => left(node, format!("it is a replica of {primary} now")),
        Err(_) if identity.histories.iter().any(|history| group.histories.contains(history)) => Verdict::Ours(node),
        Err(_) => {
            let what = format!("it follows {primary}, which does not answer: whether it belongs here is not known");
            let error = Diagnostic::new(Kind::Service, what).on("valkey", name, "INFO replication");
            Verdict::Absent(error.hint("have it follow the primary again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_what_it_says() {
        let zeros = "0".repeat(40);
        let replica = format!(
            "# Server\r\nrun_id:r1\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6379\r\n\
             master_replid:h1\r\nmaster_replid2:{zeros}\r\n"
        );
        let replica = Identity::parse(&replica);
        assert_eq!(replica.follows.as_deref(), Some("10.0.0.7:6379"));
        assert_eq!(replica.histories, BTreeSet::from(["h1".to_owned()]));
        let primary = Identity::parse("run_id:r1\nrole:master\nmaster_replid:h2\nmaster_replid2:h1\n");
        assert_eq!((primary.follows.as_deref(), primary.histories.len()), (None, 2));
        assert!(primary.is(&replica) && !Identity::default().is(&Identity::default()));
    }
}
