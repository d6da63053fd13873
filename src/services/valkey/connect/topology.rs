//! Which nodes there are beside the one that was named, as that one says.

use crate::error::{Diagnostic, Kind, Result};
use crate::services::valkey::node::Node;
use std::collections::BTreeMap;

/// The other nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// host:port of each.
    pub names: Vec<String>,
    /// Those that nobody has an address of, by what they are called, and why.
    pub lost: Vec<(String, Diagnosis)>,
    /// What is wrong with all of them together.
    pub warnings: Vec<String>,
}

/// Why a node has no address.
pub type Diagnosis = &'static str;

/// The `name:value` lines of INFO and the like.
pub fn facts(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.trim().split_once(':')).collect()
}

pub async fn text(node: &Node, words: &[&str]) -> Result<String> {
    let answer = node.call(words, &words.join(" ")).await?;
    Ok(answer.as_str_lossy().unwrap_or_default().into_owned())
}

/// Demands that a node is a primary, and no node of a cluster; returns what `INFO replication` says.
async fn primary(node: &Node, hint: &str) -> Result<String> {
    const CALL: &str = "INFO replication";
    let info = text(node, &["INFO", "replication"]).await?;
    let said = facts(&info);
    let wrong = |message: String| Diagnostic::new(Kind::Service, message).on("valkey", &node.name, CALL);
    match said.get("role") {
        Some(&"master") => {}
        Some(&"slave") => {
            let of = ["master_host", "master_port"].map(|name| said.get(name).copied().unwrap_or_default()).join(":");
            return Err(wrong(format!("this node is a replica of {of}")).hint(hint));
        }
        Some(_) | None => {
            return Err(wrong("this is no Valkey or Redis that keeps data".to_owned()).hint(
                "point [valkey] at a data node; a sentinel has no keys: it is named by sentinels = [\"host:port\"]",
            ));
        }
    }
    let cluster = text(node, &["INFO", "cluster"]).await?;
    if facts(&cluster).get("cluster_enabled") == Some(&"1") {
        return Err(wrong("this node is one of a cluster, and the others would be left out".to_owned())
            .hint("say cluster = true under [valkey]"));
    }
    Ok(info)
}

/// Demands that the sentinels are right about who is the primary.
///
/// # Errors
/// They are not, as in the middle of a failover.
pub async fn check_primary(node: &Node) -> Result<()> {
    let hint = "the sentinels say that it is the primary: a failover may be under way; wait, or run with --wait 60s";
    primary(node, hint).await.map(drop).map_err(|error| error.may_pass(true))
}

/// The replicas as the primary names them. `ROLE` would leave out those that are still catching up.
///
/// # Errors
/// The node is no primary, or one of a cluster.
pub async fn replicas(node: &Node) -> Result<Others> {
    let info = primary(node, "point [valkey] at the primary: its replicas are found through it").await?;
    let mut names: Vec<String> = info.lines().filter_map(replica).collect();
    names.sort();
    Ok(Others { names, ..Others::default() })
}

/// The replicas that a replica has of its own.
///
/// # Errors
/// It does not say.
pub async fn below(node: &Node) -> Result<Vec<String>> {
    let info = text(node, &["INFO", "replication"]).await?;
    Ok(info.lines().filter_map(replica).collect())
}

/// `slave0:ip=10.0.0.7,port=6379,state=online,...`
fn replica(line: &str) -> Option<String> {
    let (name, facts) = line.trim().split_once(':')?;
    name.strip_prefix("slave")?.parse::<u32>().ok()?;
    let fact = |name: &str| facts.split(',').find_map(|fact| fact.strip_prefix(name)?.strip_prefix('='));
    Some(format!("{}:{}", fact("ip")?, fact("port")?))
}

/// All other nodes of a cluster, primaries and replicas, those that are down among them.
///
/// # Errors
/// The node is in no cluster, or may not be asked.
pub async fn cluster(seed: &Node) -> Result<Others> {
    let nodes = text(seed, &["CLUSTER", "NODES"]).await.map_err(|error| {
        error.hint("a server that is no cluster is reached without `cluster = true` under [valkey]")
    })?;
    let preferred = seed
        .call(&["CONFIG", "GET", "cluster-preferred-endpoint-type"], "CONFIG GET cluster-preferred-endpoint-type")
        .await?;
    let preferred = preferred.into_array().into_iter().nth(1).and_then(fred::types::Value::into_string);
    let (own_host, _) = super::open::split(&seed.name, 0);
    let mut others = Others::default();
    for line in nodes.lines() {
        match other_node(line, preferred.as_deref(), &own_host) {
            Some(Ok(name)) => others.names.push(name),
            Some(Err(lost)) => others.lost.push(lost),
            None => {}
        }
    }
    others.names.sort();
    others.lost.sort();
    let info = text(seed, &["CLUSTER", "INFO"]).await?;
    if let Some(state) = facts(&info).get("cluster_state").filter(|state| **state != "ok") {
        others.warnings.push(format!(
            "the cluster is down (cluster_state:{state}): apps get CLUSTERDOWN until every slot has a node again; \
             users are set all the same"
        ));
    }
    Ok(others)
}

/// `<id> ip:port@bus[,hostname] flags ...`: the address as clients are told it, unless it is the node that was asked,
/// or one that is not yet in the cluster.
fn other_node(line: &str, preferred: Option<&str>, own_host: &str) -> Option<Result<String, (String, Diagnosis)>> {
    let mut words = line.split_ascii_whitespace();
    let (id, address, flags) = (words.next()?, words.next()?, words.next()?);
    let has = |flag: &str| flags.split(',').any(|one| one == flag);
    if has("myself") || has("handshake") {
        return None;
    }
    if has("noaddr") {
        return Some(Err((format!("the node {id}"), "the cluster has lost its address")));
    }
    let (address, more) = address.split_once('@')?;
    let (ip, port) = address.rsplit_once(':')?;
    let hostname = more.split(',').nth(1).filter(|name| !name.is_empty());
    let host = match preferred {
        Some("hostname") => hostname.unwrap_or(ip),
        Some("unknown-endpoint") => own_host,
        Some(_) | None => ip,
    };
    Some(Ok(format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_are_found_in_what_a_node_says() {
        assert_eq!(replica("slave0:ip=::1,port=6380,state=wait_bgsave,offset=0").as_deref(), Some("::1:6380"));
        assert_eq!(replica("slave_repl_offset:14"), None);
        let of = |line: &str, preferred: &str| other_node(line, Some(preferred), "seed");
        let line = "abc 10.0.0.7:6379@16379,kv7,shard-id=1 slave,fail def 0 0 1 disconnected";
        assert_eq!(of(line, "ip"), Some(Ok("10.0.0.7:6379".to_owned())));
        assert_eq!(of(line, "hostname"), Some(Ok("kv7:6379".to_owned())));
        assert_eq!(of(line, "unknown-endpoint"), Some(Ok("seed:6379".to_owned())));
        assert_eq!(of("abc ::1:6379@16379,,shard-id=1 master - 0 0 1", "hostname"), Some(Ok("::1:6379".to_owned())));
        assert_eq!(of("abc :6379@16379 myself,master - 0 0 1 connected", "ip"), None);
        assert_eq!(of("abc 10.0.0.7:6379@16379 handshake - 0 0 0 connected", "ip"), None);
        let lost = ("the node abc".to_owned(), "the cluster has lost its address");
        assert_eq!(of("abc :0@0 slave,fail,noaddr def 0 0 1 disconnected", "ip"), Some(Err(lost)));
    }
}
