//! Which nodes there are beside the one that was named.

use super::Node;
use crate::error::{Diagnostic, Kind, Result};

/// The replicas as the primary names them. `ROLE` would leave out those that are still catching up.
pub async fn replicas(primary: &Node) -> Result<Vec<String>> {
    const CALL: &str = "INFO replication";
    let info = primary.call(&["INFO", "replication"], CALL).await?;
    let info = info.as_str_lossy().unwrap_or_default().into_owned();
    let fact = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    match fact("role") {
        Some("master") => {}
        Some("slave") => {
            let of = [fact("master_host"), fact("master_port")].map(Option::unwrap_or_default).join(":");
            return Err(Diagnostic::new(Kind::Service, format!("this node is a replica of {of}"))
                .on("valkey", &primary.name, CALL)
                .hint("point [valkey] at the primary: its replicas are found through it"));
        }
        Some(_) | None => {
            return Err(Diagnostic::new(Kind::Service, "this is no Valkey or Redis that keeps data")
                .on("valkey", &primary.name, CALL)
                .hint("point [valkey] at a data node; a sentinel has no keys"));
        }
    }
    let mut names: Vec<String> = info.lines().filter_map(replica).collect();
    names.sort();
    Ok(names)
}

/// `slave0:ip=10.0.0.7,port=6379,state=online,...`
fn replica(line: &str) -> Option<String> {
    let (name, facts) = line.trim().split_once(':')?;
    name.strip_prefix("slave")?.parse::<u32>().ok()?;
    let fact = |name: &str| facts.split(',').find_map(|fact| fact.strip_prefix(name)?.strip_prefix('='));
    Some(format!("{}:{}", fact("ip")?, fact("port")?))
}

/// All other nodes of a cluster, primaries and replicas.
pub async fn cluster_nodes(seed: &Node) -> Result<Vec<String>> {
    let answer = seed.call(&["CLUSTER", "NODES"], "CLUSTER NODES").await.map_err(|error| {
        error.hint("a server that is no cluster is reached without `cluster = true` under [valkey]")
    })?;
    let mut names: Vec<String> =
        answer.as_str().as_deref().unwrap_or_default().lines().filter_map(other_node).collect();
    names.sort();
    Ok(names)
}

/// `<id> ip:port@bus[,hostname] flags ...`: the address, unless it is the node that was asked or has no address.
fn other_node(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (address, flags) = (words.next()?, words.next()?);
    if flags.split(',').any(|flag| matches!(flag, "myself" | "noaddr" | "handshake")) {
        return None;
    }
    address.split(['@', ',']).next().map(str::to_owned)
}

/// Splits at the last colon: an IPv6 address has more of them.
pub fn split(name: &str, default_port: u16) -> (String, u16) {
    match name.rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(default_port)),
        None => (name.to_owned(), default_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_are_found_in_what_a_node_says() {
        assert_eq!(replica("slave0:ip=::1,port=6380,state=wait_bgsave,offset=0").as_deref(), Some("::1:6380"));
        assert_eq!(replica("slave_repl_offset:14"), None);
        assert_eq!(
            other_node("abc 10.0.0.7:6379@16379,host slave def 0 0 1 connected").as_deref(),
            Some("10.0.0.7:6379")
        );
        assert_eq!(other_node("abc :6379@16379 myself,master - 0 0 1 connected"), None);
        assert_eq!(split("::1:6380", 1), ("::1".to_owned(), 6380));
    }
}
