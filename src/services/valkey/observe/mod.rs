//! Reads users and what they depend on from every node.

pub mod losses;
mod notices;

pub use notices::{notices, opens_everything};

use super::acl::{Account, Meaning, differ_in_text};
use super::connect::Node;
use super::model::{KEYS, USER, User};
use super::presets::{Server, expand};
use super::wire;
use crate::core::address::Address;
use crate::core::change::{Resource, three_way};
use crate::core::secret::Secret;
use crate::error::Result;
use crate::services::{Ask, CredentialStatus, Model, Observed, Proof, Step};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// One node as it was read.
pub struct Seen {
    pub node: String,
    pub server: Server,
    pub accounts: BTreeMap<String, Account>,
}

/// Forms that a user may be meant in, most wanted first: the texts that its rules are given where they mean the same.
type Meant<'a> = BTreeMap<&'a str, Vec<&'a User>>;

/// Reads all users of every node at once.
///
/// # Errors
/// Any node that cannot be read.
pub async fn look(nodes: &[Node], ask: &Ask) -> Result<Vec<Seen>> {
    let wanted = ask.wanted.iter().map(|(address, wanted)| (address, &wanted.model));
    let applied = ask.applied.iter().map(|(address, applied)| (address, &applied.model));
    let meant = meant(wanted.chain(applied));
    try_join_all(nodes.iter().map(async |node| {
        let server = wire::server(node).await?;
        let accounts = wire::all_accounts(node, server).await?;
        seen(node, accounts, &meant).await
    }))
    .await
}

/// Reads some users of every node again.
///
/// # Errors
/// Any node that cannot be read.
pub async fn look_again(nodes: &[Node], names: &BTreeSet<String>, steps: &[&Step]) -> Result<Vec<Seen>> {
    let after = steps.iter().filter_map(|step| Some((&step.address, step.after.as_ref()?)));
    let before = steps.iter().filter_map(|step| Some((&step.address, step.before.as_ref()?)));
    let meant = meant(after.chain(before));
    try_join_all(nodes.iter().map(async |node| {
        let server = wire::server(node).await?;
        let accounts = wire::accounts(node, server, names).await?;
        seen(node, accounts, &meant).await
    }))
    .await
}

fn meant<'a>(models: impl Iterator<Item = (&'a Address, &'a Model)>) -> Meant<'a> {
    let mut meant = Meant::new();
    for (address, model) in models {
        if let Model::ValkeyUser(user) = model {
            meant.entry(address.name.as_str()).or_default().push(user);
        }
    }
    meant
}

/// Brings the texts of a node's users into the forms that are meant.
async fn seen(node: &Node, mut accounts: BTreeMap<String, Account>, meant: &Meant<'_>) -> Result<Seen> {
    let server = wire::server(node).await?.clone();
    let meaning = Meaning::new(&server.catalogue);
    for (name, forms) in meant {
        let Some(account) = accounts.get_mut(*name) else { continue };
        for form in forms {
            let form = expand(form, &server);
            meaning.speak_like(&mut account.user, &form);
            if !differ_in_text(&account.user, &form) {
                break;
            }
        }
    }
    drop(meaning);
    Ok(Seen { node: node.name.clone(), server, accounts })
}

/// The user as the first node that has it has it, with the nodes that differ from it.
pub fn user(seen: &[Seen], name: &str, declared: Option<&User>) -> Option<User> {
    let (holder, account) = holder(seen, name)?;
    let uneven = seen.iter().filter(|node| match node.accounts.get(name) {
        Some(other) => other.hashes != account.hashes || !even((holder, &account.user), (node, &other.user), declared),
        None => true,
    });
    Some(User { uneven_nodes: uneven.map(|node| node.node.clone()).collect(), ..account.user.clone() })
}

/// The first node that has the user.
pub fn holder<'a>(seen: &'a [Seen], name: &str) -> Option<(&'a Seen, &'a Account)> {
    seen.iter().find_map(|node| node.accounts.get(name).map(|account| (node, account)))
}

/// Equal, or each as the declaration means it on its own version.
fn even(one: (&Seen, &User), other: (&Seen, &User), declared: Option<&User>) -> bool {
    let as_declared = |(seen, user): (&Seen, &User)| {
        declared.is_some_and(|declared| {
            let wanted = expand(declared, &seen.server);
            three_way(&wanted.fields(), &user.fields(), None).changes.is_empty()
        })
    };
    one.1 == other.1 || (as_declared(one) && as_declared(other))
}

/// The resources that were asked for and exist.
pub fn resources(seen: &[Seen], ask: &Ask) -> BTreeMap<Address, Observed> {
    // The keys of a namespace are there as long as they are declared or ours, be they many or none.
    let keys = ask.addresses().into_iter().filter(|address| address.kind == KEYS).filter_map(|address| {
        let wanted = ask.wanted.get(address).map(|wanted| &wanted.model);
        let model = wanted.or_else(|| ask.applied.get(address).map(|last| &last.model))?;
        Some((address.clone(), Observed::plain(model.clone())))
    });
    let addresses = ask.addresses().into_iter().filter(|address| address.kind == USER);
    addresses
        .filter_map(|address| {
            let declared = ask.wanted.get(address).and_then(|wanted| wanted.model.as_valkey_user());
            let user = user(seen, &address.name, declared)?;
            let hashes = hashes(seen, &address.name);
            let proof = ask.proofs.get(address);
            let credential = proof.map(|proof| status(&hashes, proof));
            let user = User { extra_passwords: proof.and_then(|proof| extra(&hashes, proof)), ..user };
            let observed = Observed { credential, ..Observed::plain(Model::ValkeyUser(user)) };
            Some((address.clone(), observed))
        })
        .chain(keys)
        .collect()
}

/// What is accepted on any node: where another one differs, that is for the nodes to be made even.
fn hashes(seen: &[Seen], name: &str) -> BTreeSet<String> {
    seen.iter().filter_map(|node| node.accounts.get(name)).flat_map(|account| account.hashes.iter().cloned()).collect()
}

/// How many passwords are accepted beside ours; unknown if ours is not.
fn extra(hashes: &BTreeSet<String>, proof: &Proof) -> Option<u32> {
    let ours: BTreeSet<String> = proof.ours().map(Secret::sha256).collect();
    if hashes.is_disjoint(&ours) { None } else { u32::try_from(hashes.difference(&ours).count()).ok() }
}

/// The server keeps sha256 and no salt, so nobody needs to sign in to know.
fn status(hashes: &BTreeSet<String>, proof: &Proof) -> CredentialStatus {
    match proof.to_try() {
        Ok(published) if hashes.contains(&published.sha256()) => CredentialStatus::Verified,
        Ok(_) => CredentialStatus::Wrong,
        Err(status) => status,
    }
}

/// The server as the differ needs it: the first node's.
pub fn server(seen: &[Seen]) -> Server {
    seen.first().map(|node| node.server.clone()).unwrap_or_default()
}
