//! Reads users and what they depend on from every node.

pub mod absent;
pub mod default_user;
pub mod losses;
mod notices;
mod passwordless;
pub mod saved;
mod sentinels;
mod unlike;
mod unmanaged;
mod user_file;

pub use notices::{notices, open_to_everybody, strangers, straying};
pub use passwordless::passwordless;
pub use saved::at_restart;
use unlike::unlike;
pub use unmanaged::unmanaged;

use super::acl::{Account, Meaning, differ_in_text};
use super::model::{FORMER_PASSWORD, KEYS, MISSING, USER, User};
use super::node::Node;
use super::powers::Judge;
use super::presets::{Expansion, Server, expand};
use super::{rights, wire};
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
type Meant<'a> = BTreeMap<&'a str, Vec<Form<'a>>>;

#[derive(Clone, Copy)]
enum Form<'a> {
    /// What its declaration means on each node.
    Declared(&'a User),
    /// What was last applied, though it was on an older version: what has not changed since then has not drifted.
    Applied(&'a User),
}

/// Reads all users of every node at once.
///
/// # Errors
/// Any node that cannot be read.
pub async fn look<'a>(nodes: impl IntoIterator<Item = &'a Node>, ask: &Ask) -> Result<Vec<Seen>> {
    let wanted = ask.wanted.iter().map(|(address, wanted)| (address, &wanted.model, Form::Declared as fn(_) -> _));
    let applied = ask.applied.iter().map(|(address, applied)| (address, &applied.model, Form::Applied as fn(_) -> _));
    let meant = meant(wanted.chain(applied));
    try_join_all(nodes.into_iter().map(async |node| {
        let server = wire::server(node).await?;
        let accounts = wire::all_accounts(node, server, |name| meant.contains_key(name)).await?;
        seen(node, accounts, &meant).await
    }))
    .await
}

/// Reads some users of every node again.
///
/// # Errors
/// Any node that cannot be read.
pub async fn look_again<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    names: &BTreeSet<String>,
    steps: &[&Step],
) -> Result<Vec<Seen>> {
    let declared = Form::Declared as fn(_) -> _;
    let after = steps.iter().filter_map(|step| Some((&step.address, step.after.as_ref()?, declared)));
    let before = steps.iter().filter_map(|step| Some((&step.address, step.before.as_ref()?, declared)));
    let meant = meant(after.chain(before));
    try_join_all(nodes.into_iter().map(async |node| {
        let server = wire::server(node).await?;
        let accounts = wire::accounts(node, server, names).await?;
        let read = names.iter().map(|name| (name.clone(), accounts.get(name).cloned()));
        // Other kinds are read while users wait to be written.
        node.read.lock().await.extend(read);
        seen(node, accounts, &meant).await
    }))
    .await
}

fn meant<'a>(models: impl Iterator<Item = (&'a Address, &'a Model, fn(&'a User) -> Form<'a>)>) -> Meant<'a> {
    let mut meant = Meant::new();
    for (address, model, form) in models {
        if let Model::ValkeyUser(user) = model {
            meant.entry(address.name.as_str()).or_default().push(form(user));
        }
    }
    meant
}

/// Brings the texts of a node's users into the forms that are meant.
async fn seen(node: &Node, mut accounts: BTreeMap<String, Account>, meant: &Meant<'_>) -> Result<Seen> {
    let server = wire::server(node).await?.clone();
    let (meaning, expansion) = (Meaning::new(&server.catalogue), Expansion::on(&server));
    for (name, forms) in meant {
        let Some(account) = accounts.get_mut(*name) else { continue };
        let mut tried: Option<User> = None;
        for form in forms {
            let form = match form {
                Form::Declared(user) => expansion.of(user),
                Form::Applied(user) => (*user).clone(),
            };
            // What was applied is mostly what is declared.
            if tried.as_ref().is_some_and(|tried| !differ_in_text(tried, &form)) {
                continue;
            }
            meaning.speak_like(&mut account.user, &form);
            if !differ_in_text(&account.user, &form) {
                break;
            }
            tried = Some(form);
        }
    }
    drop((meaning, expansion));
    Ok(Seen { node: node.name.clone(), server, accounts })
}

/// Those of some users that are there, each given with its declaration.
pub fn users<'a>(
    seen: &[Seen],
    asked: impl IntoIterator<Item = (&'a Address, Option<&'a User>)>,
) -> Vec<(&'a Address, User)> {
    let nodes: Vec<(&Seen, Judge<'_>)> =
        seen.iter().map(|node| (node, Judge::new(Some(&node.server.catalogue)))).collect();
    let users =
        asked.into_iter().map(|(address, declared)| Some((address, user(seen, &nodes, &address.name, declared)?)));
    users.flatten().collect()
}

/// The user as the first node that has it has it, with the nodes that differ from it.
fn user(seen: &[Seen], nodes: &[(&Seen, Judge<'_>)], name: &str, declared: Option<&User>) -> Option<User> {
    let (holder, account) = holder(seen, name)?;
    let uneven = nodes.iter().filter_map(|(node, judge)| {
        let unlike = match node.accounts.get(name) {
            None => MISSING.to_owned(),
            Some(other) => {
                let rules = if node.server.sentinel {
                    // Its rules are others than those of the data nodes.
                    declared
                        .map(|declared| unlike(&expand(declared, &node.server), &other.user, judge))
                        .unwrap_or_default()
                } else if even((holder, &account.user), (*node, &other.user), declared) {
                    Vec::new()
                } else {
                    unlike(&account.user, &judge.told_like(&other.user, &account.user), judge)
                };
                let password = (other.hashes != account.hashes).then(|| "password".to_owned());
                rules.into_iter().chain(password).collect::<Vec<_>>().join("; ")
            }
        };
        (!unlike.is_empty()).then(|| format!("{} ({unlike})", node.node))
    });
    Some(User { uneven_nodes: uneven.collect(), ..account.user.clone() })
}

/// The first node that has the user. What only a sentinel has is no user of an app.
pub fn holder<'a>(seen: &'a [Seen], name: &str) -> Option<(&'a Seen, &'a Account)> {
    seen.iter()
        .filter(|node| !node.server.sentinel)
        .find_map(|node| node.accounts.get(name).map(|account| (node, account)))
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
    let declared = |address: &Address| ask.wanted.get(address).and_then(|wanted| wanted.model.as_valkey_user());
    users(seen, addresses.map(|address| (address, declared(address))))
        .into_iter()
        .map(|(address, user)| {
            // A password that a node missed the change of is no extra one: it goes as the nodes are made even.
            let all = hashes(seen.iter().filter(|node| !ask.away.contains(&node.node)), &address.name);
            // Apps get nowhere with a password that only sentinels accept.
            let of_data_nodes = hashes(seen.iter().filter(|node| !node.server.sentinel), &address.name);
            let proof = ask.proofs.get(address);
            let credential = proof.map(|proof| status(&of_data_nodes, proof));
            let user = User { extra_passwords: proof.and_then(|proof| extra(&all, proof)), ..user };
            let mut observed = Observed { credential, ..Observed::plain(Model::ValkeyUser(user)) };
            let former = proof.and_then(|proof| proof.former.as_ref()).is_some_and(|former| all.contains(former));
            observed.facts.extend(former.then(|| (FORMER_PASSWORD.to_owned(), true.into())));
            (address.clone(), observed)
        })
        .chain(keys)
        .collect()
}

/// What is accepted on any node: where another one differs, that is for the nodes to be made even.
pub fn hashes<'a>(seen: impl Iterator<Item = &'a Seen>, name: &str) -> BTreeSet<String> {
    seen.filter_map(|node| node.accounts.get(name)).flat_map(|account| account.hashes.iter().cloned()).collect()
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

/// The server as the differ needs it: the first node's, with what we may not run on any, and no more databases than
/// every node has.
pub fn server(seen: &[Seen]) -> Server {
    let lacking = |node: &Seen| {
        let admin = node.accounts.get(&node.server.admin);
        admin.map(|account| rights::lacking(&account.user, &node.server.catalogue)).unwrap_or_default()
    };
    let Some(first) = seen.first() else { return Server::default() };
    Server {
        lacking: seen.iter().flat_map(lacking).collect(),
        databases: seen.iter().filter_map(|node| node.server.databases).min(),
        ..first.server.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::acl::{Catalogue, parse_line};
    use super::*;

    #[test]
    fn nodes_that_tell_the_same_in_another_order_are_even() {
        let server = Server { catalogue: Catalogue::of(["get", "set", "del"]), ..Server::default() };
        let node = |name: &str, rules: &str| {
            let account = parse_line(&format!("user mail on ~mail:* -@all {rules} #aa"), false).unwrap();
            Seen { node: name.into(), server: server.clone(), accounts: [("mail".to_owned(), account)].into() }
        };
        let address = Address::new(USER, "mail");
        let uneven = |rules: &str| {
            let seen = [node("a:1", "+get +set"), node("b:1", rules)];
            users(&seen, [(&address, None)]).remove(0).1.uneven_nodes
        };
        assert_eq!(uneven("+set +get"), BTreeSet::new());
        assert_eq!(uneven("+set +del"), BTreeSet::from(["b:1 (commands: also del, without get)".to_owned()]));
    }
}
