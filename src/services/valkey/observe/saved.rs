//! What the nodes would have after a restart, as far as that can be seen from here.

use super::Seen;
use crate::core::address::Address;
use crate::services::valkey::acl::{Account, Meaning, differ_in_text, saved_accounts};
use crate::services::valkey::model::{USER, persistence_address};
use crate::services::valkey::node::Node;
use crate::services::valkey::presets::{Persistence, Server};
use crate::services::valkey::unsaved::Unsaved;
use crate::services::{Ask, Observed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The kernel keeps so much of a process' name.
const COMM: usize = 15;

/// What would be lost at the next restart, where anything can be saved at all.
pub async fn unsaved(nodes: &[Node], seen: &[Seen], ask: &Ask) -> Option<(Address, Observed)> {
    if seen.iter().all(|node| node.server.persistence() == Persistence::Volatile) {
        return None;
    }
    let mut unsaved = Unsaved { by_earlier_run: ask.unsaved, ..Unsaved::default() };
    let ours = ask.names(&USER);
    for (node, seen) in nodes.iter().zip(seen).filter(|_| !ours.is_empty()) {
        let Some(text) = file_of(node, &seen.server).await else { continue };
        let Some(saved) = saved_accounts(&text, seen.server.database_rules) else { continue };
        let (own, others): (BTreeSet<&str>, BTreeSet<&str>) =
            differing(seen, &saved).into_iter().partition(|name| ours.contains(name));
        unsaved.others = unsaved.others.max(others.len());
        if !own.is_empty() {
            unsaved.users.insert(seen.node.clone(), own.into_iter().map(str::to_owned).collect());
        }
    }
    Some((persistence_address(), unsaved.observed()?))
}

/// Users that a node has otherwise than its file, or that only one of them has.
fn differing<'a>(seen: &'a Seen, saved: &'a BTreeMap<String, Option<Account>>) -> BTreeSet<&'a str> {
    let meaning = Meaning::new(&seen.server.catalogue);
    let same = |one: &Account, other: &Account| {
        one.hashes == other.hashes
            && (one.user.enabled, one.user.nopass) == (other.user.enabled, other.user.nopass)
            && (!differ_in_text(&one.user, &other.user) || meaning.same(&one.user, &other.user))
    };
    // A configuration file need not name `default`: `requirepass` and the server's own defaults stand for it.
    let is_implied = |name: &str| name == "default" && seen.server.persistence() == Persistence::ConfigFile;
    let differs = |name: &&str| match (seen.accounts.get(*name), saved.get(*name)) {
        (Some(_), None) if is_implied(name) => false,
        (Some(there), Some(Some(saved))) => !same(there, saved),
        (Some(_), Some(None)) | (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    };
    seen.accounts.keys().chain(saved.keys()).map(String::as_str).filter(differs).collect()
}

/// The file that a node saves its users in, if that can be read here. A path alone says little: it may be one of another
/// machine, or inside of a container. So the node must be reached on this machine, and be a process of it.
async fn file_of(node: &Node, server: &Server) -> Option<String> {
    let path = match server.persistence() {
        Persistence::AclFile => server.aclfile.as_deref()?,
        Persistence::ConfigFile => server.config_file.as_deref()?,
        Persistence::Volatile | Persistence::Unknown => return None,
    };
    if !is_local(&node.name) || !Path::new(path).is_absolute() || !is_process_here(node).await {
        return None;
    }
    tokio::fs::read_to_string(path).await.ok()
}

/// Whether an address is one that only leads to this machine: of loopback, or a socket.
fn is_local(node: &str) -> bool {
    let host = node.rsplit_once(':').map_or(node, |(host, _)| host).trim_matches(['[', ']']);
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    node.starts_with('/') || host == "localhost" || host.parse().is_ok_and(is_loopback)
}

/// Whether a process of the number that the node gives as its own runs the same program here and sees the same files. In
/// a container, the numbers or the files are others.
async fn is_process_here(node: &Node) -> bool {
    let Ok(info) = node.call(&["INFO", "server"], "INFO server").await else { return false };
    let info = info.as_str_lossy().unwrap_or_default().into_owned();
    let fact = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let program = fact("executable").and_then(|path| Path::new(path).file_name()?.to_str());
    let process = fact("process_id").and_then(|id| id.parse::<u32>().ok());
    let (Some(program), Some(process)) = (program, process) else { return false };
    let comm = tokio::fs::read_to_string(format!("/proc/{process}/comm")).await.unwrap_or_default();
    let comm = comm.trim_end();
    // Which files a process sees is told to its owner and to root.
    let files = async |process: &str| tokio::fs::read_link(format!("/proc/{process}/ns/mnt")).await.ok();
    let (its, ours) = (files(&process.to_string()).await, files("self").await);
    let sees_others = its.is_some() && ours.is_some() && its != ours;
    !comm.is_empty() && program.get(..COMM).unwrap_or(program) == comm && !sees_others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for local in ["127.0.0.1:6379", "127.1.2.3:1", "localhost:6379", "::1:6379", "[::1]:6379", "/run/valkey.sock"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["10.0.0.7:6379", "valkey:6379", "localhost.example.com:6379", "fe80::1:6379"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
