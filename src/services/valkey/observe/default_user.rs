//! The user `default`, and who would miss it: clients, replicas, sentinels.

use super::Seen;
use crate::core::address::Address;
use crate::core::change::agree;
use crate::core::secret::Secret;
use crate::error::Result;
use crate::services::valkey::acl::Account;
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::model::{Accepts, DefaultUser, UsedBy, default_user_address};
use crate::services::valkey::node::Node;
use crate::services::{Ask, Model, Observed};
use fred::types::Value;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The user as it is on the nodes, in the terms of what is declared of it. `ours` is the password that nornplan signs in
/// with.
pub fn user(seen: &[Seen], ours: Option<&Secret>, declared: Option<&DefaultUser>) -> Option<DefaultUser> {
    let ours = ours.map(Secret::sha256);
    let on_node = |account: &Account| {
        let accepts = accepts(account, ours.as_deref());
        DefaultUser {
            mode: None,
            enabled: account.user.enabled,
            accepts: declared.is_none_or(|declared| declared.accepts.is_some()).then_some(accepts),
            uneven_nodes: BTreeSet::new(),
        }
    };
    let there: Vec<(&str, DefaultUser)> =
        seen.iter().filter_map(|node| Some((node.node.as_str(), on_node(node.accounts.get("default")?)))).collect();
    let differs = |user: &DefaultUser| declared.is_some_and(|declared| !agree(declared, user));
    let (_, shown) = there.iter().find(|(_, user)| differs(user)).or_else(|| there.first())?;
    let uneven = there.iter().any(|(_, user)| !differs(user));
    let uneven = there.iter().filter(|(_, user)| uneven && differs(user)).map(|(node, _)| (*node).to_owned());
    Some(DefaultUser { uneven_nodes: uneven.collect(), ..shown.clone() })
}

fn accepts(account: &Account, ours: Option<&str>) -> Accepts {
    let mut hashes = account.hashes.iter();
    match (account.user.nopass, hashes.next(), hashes.next()) {
        (true, _, _) => Accepts::Anything,
        (false, None, _) => Accepts::NoPassword,
        (false, Some(only), None) if Some(only.as_str()) == ours => Accepts::AdminPassword,
        (false, Some(_), Some(_) | None) => Accepts::OtherPasswords,
    }
}

/// The resource, with who uses it.
///
/// # Errors
/// The password that nornplan signs in with cannot be read.
pub async fn observe(nodes: &Nodes, there: &[Node], seen: &[Seen], ask: &Ask) -> Result<Option<(Address, Observed)>> {
    let address = default_user_address();
    if !ask.addresses().contains(&address) {
        return Ok(None);
    }
    let ours = nodes.password().await?.filter(|password| !password.expose().is_empty());
    let declared = ask.wanted.get(&address).and_then(|wanted| wanted.model.as_valkey_default_user());
    let Some(user) = user(seen, ours.as_ref(), declared) else { return Ok(None) };
    let looks = join_all(there.iter().map(async |node| (node, look(node, ours.as_ref()).await))).await;
    let mut used_by = UsedBy { admin_has_password: ours.is_some(), nodes: there.len(), ..UsedBy::default() };
    for (node, look) in looks {
        used_by.admin.clone_from(&node.admin);
        match look.clients {
            Some(Clients { hosts, watched }) => {
                used_by.clients += hosts.len();
                used_by.hosts.extend(hosts);
                used_by.watched.extend(watched.then(|| node.name.clone()));
            }
            None => drop(used_by.clients_unknown.insert(node.name.clone())),
        }
        // A server that is alone signs in nowhere.
        match look.replicates.filter(|_| there.len() > 1) {
            Some(Replicates { as_default: true, with_ours }) => {
                used_by.replicating.insert(node.name.clone());
                used_by.with_another_password.extend((!with_ours).then(|| node.name.clone()));
            }
            None if there.len() > 1 => drop(used_by.replication_unknown.insert(node.name.clone())),
            Some(Replicates { as_default: false, .. }) | None => {}
        }
    }
    let facts = BTreeMap::from([("used_by".to_owned(), json!(used_by))]);
    Ok(Some((address, Observed { facts, ..Observed::plain(Model::ValkeyDefaultUser(user)) })))
}

/// What one node says of who uses the user, as far as it says it.
struct Look {
    clients: Option<Clients>,
    replicates: Option<Replicates>,
}

/// Connections that are the user.
struct Clients {
    /// Where clients come from, one for each connection.
    hosts: Vec<String>,
    /// Whether a sentinel is among them.
    watched: bool,
}

/// How a node signs in to its primary, if it has one or comes to have one.
struct Replicates {
    as_default: bool,
    with_ours: bool,
}

async fn look(node: &Node, ours: Option<&Secret>) -> Look {
    let calls = ["CLIENT ID", "CLIENT LIST", "CONFIG GET masteruser", "CONFIG GET masterauth"];
    let calls: Vec<Vec<String>> = calls.iter().map(|call| call.split(' ').map(str::to_owned).collect()).collect();
    let mut answers = node.try_calls(&calls).await.into_iter();
    let mut next = || answers.next().and_then(Result::ok);
    let (own, list) = (next().and_then(|id| id.as_i64()), next().and_then(Value::into_string));
    let mut setting = || next()?.into_array().into_iter().nth(1)?.into_string();
    let (user, password) = (setting(), setting().map(Secret::new));
    Look {
        clients: own.zip(list).map(|(own, list)| clients(own, &list)),
        replicates: user.zip(password).map(|(user, password)| Replicates {
            as_default: user.is_empty() || user == "default",
            with_ours: ours.is_some_and(|ours| ours.expose() == password.expose()),
        }),
    }
}

/// Reads lines such as `id=3 addr=127.0.0.1:40000 name= flags=N user=default`.
fn clients(own: i64, list: &str) -> Clients {
    let mut clients = Clients { hosts: Vec::new(), watched: false };
    let own = own.to_string();
    for line in list.lines() {
        let facts: BTreeMap<&str, &str> = line.split(' ').filter_map(|fact| fact.split_once('=')).collect();
        let fact = |name: &str| facts.get(name).copied().unwrap_or_default();
        // Links between primary and replica are told by how a node signs in.
        let is_link = fact("flags").contains(['S', 'M']);
        if fact("user") != "default" || fact("id") == own || is_link {
            continue;
        }
        if fact("name").starts_with("sentinel-") {
            clients.watched = true;
        } else {
            clients.hosts.push(fact("addr").rsplit_once(':').map_or("", |(host, _)| host).to_owned());
        }
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_from_links_sentinels_and_ourselves() {
        let list = "id=1 addr=10.0.0.1:5 name= flags=N user=default\n\
            id=2 addr=[::1]:6 laddr=[::1]:1 name=a flags=P user=default\n\
            id=3 addr=10.0.0.2:5 name= flags=N user=cafe\n\
            id=4 addr=10.0.0.3:5 name= flags=S user=default\n\
            id=5 addr=10.0.0.4:5 name=sentinel-0a1b2c3d-cmd flags=N user=default\n";
        let there = clients(1, list);
        assert_eq!((there.hosts.as_slice(), there.watched), (&["[::1]".to_owned()][..], true));
    }
}
