//! What destroying a user or a namespace would lose, what an app leaves behind that is to have other keys, and whom that
//! would meet: read at plan time, of these alone, within bounds of time.

use super::Seen;
use crate::core::address::{Address, Kind as ResourceKind};
use crate::error::{Diagnostic, Kind};
use crate::services::valkey::acl::parts;
use crate::services::valkey::connect::{Found, Nodes};
use crate::services::valkey::keyspace::{Call, STEP, Walk, primaries};
use crate::services::valkey::model::{Holdings, KEYS, Keys, USER, User, keys_address, namespace_of, user_address};
use crate::services::valkey::node::Node;
use crate::services::valkey::place::{Fate, Place, fate, left};
use crate::services::{Ask, Failure, Model, Observed};
use fred::types::Value;
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// So long the keys of one database are counted at most.
const LONGEST: Duration = Duration::from_secs(1);
/// Keys of a namespace whose size is asked for on one node.
const SAMPLE: usize = 500;

/// Adds what they hold to the facts of what is to go. What cannot be read is told as that; a plan does not fail for it.
pub async fn add(nodes: &Nodes, found: &Found, seen: &[Seen], ask: &Ask, resources: &mut BTreeMap<Address, Observed>) {
    let doomed: BTreeSet<&Address> = ask.applied.keys().filter(|address| !ask.wanted.contains_key(address)).collect();
    let users: BTreeSet<&str> = of_kind(&doomed, &USER);
    if !users.is_empty() {
        let clients = clients(&found.nodes, &users).await;
        for user in &users {
            let Some(observed) = resources.get_mut(&user_address(user)) else { continue };
            let holdings = match &clients {
                Ok(clients) => Holdings { clients: clients.get(*user).copied(), ..Holdings::default() },
                Err(error) => Holdings { unread: Some(error.message.clone()), ..Holdings::default() },
            };
            observed.facts.extend(holdings.facts());
        }
    }
    for (user, sentinels) in super::sentinels::with(nodes, &users).await {
        let holdings = Holdings { sentinels: Some(sentinels), ..Holdings::default() };
        resources.entry(user_address(user)).and_modify(|observed| observed.facts.extend(holdings.facts()));
    }
    let mut tell = |address: &Address, holdings: &Holdings| {
        if let Some(observed) = resources.get_mut(address) {
            observed.facts.extend(holdings.facts());
        }
    };
    let unread = |failure: &Failure| Holdings { unread: Some(failure.error.message.clone()), ..Holdings::default() };
    let mut holders: BTreeMap<Place, Vec<&Address>> = BTreeMap::new();
    for (address, place) in ask.applied.keys().filter_map(|address| Some((address, in_question(address, ask)?))) {
        holders.entry(place).or_default().push(address);
    }
    let databases: BTreeSet<u32> = holders.keys().map(|place| place.db).collect();
    let others = if databases.is_empty() { Vec::new() } else { others(seen, &users, ask) };
    for db in databases {
        let spaces: BTreeSet<Keys> = holders.keys().filter(|place| place.db == db).filter_map(Place::keys).collect();
        if spaces.is_empty() {
            continue;
        }
        let counted = count(nodes, found, db, &spaces).await;
        for keys in &spaces {
            let mut holdings = match &counted {
                Ok(counted) => counted.get(keys).copied().unwrap_or_default().holdings(),
                Err(failure) => unread(failure),
            };
            let reached_by = reached_by(&others, keys);
            holdings.reached_by = (!reached_by.is_empty()).then_some(reached_by);
            holders.get(&Place::of_keys(keys)).into_iter().flatten().for_each(|address| tell(address, &holdings));
        }
    }
    for (place, addresses) in holders.iter().filter(|(place, _)| place.namespace.is_none()) {
        for address in addresses {
            let next = ask.wanted.get(*address).and_then(|one| Place::of(one.model.as_valkey_user()?));
            let own = next.filter(|next| next.db == place.db).and_then(|next| next.keys());
            let counted = count_beside(nodes, found, place.db, own).await;
            tell(address, &counted.map_or_else(|failure| unread(&failure), Counted::holdings));
        }
    }
    forget_what_is_over(ask, resources);
}

/// The keys that go, or stay behind, with what is ours: if it is to go, or to be elsewhere.
fn in_question(address: &Address, ask: &Ask) -> Option<Place> {
    let last = ask.applied.get(address)?;
    match (&last.model, ask.wanted.get(address).map(|one| &one.model)) {
        (Model::ValkeyKeys(keys), None) => {
            (fate(keys, &last.app, &ask.wanted, &ask.applied) == Fate::Purged).then(|| Place::of_keys(keys))
        }
        (Model::ValkeyUser(user), None) => Place::of(user),
        (Model::ValkeyUser(user), Some(Model::ValkeyUser(wanted))) => left(user, wanted),
        (_, _) => None,
    }
}

/// Of a namespace with no keys left and nobody to make any, nothing is there.
fn forget_what_is_over(ask: &Ask, resources: &mut BTreeMap<Address, Observed>) {
    let writers: BTreeSet<Address> = ask
        .applied
        .iter()
        .filter(|(address, _)| resources.contains_key(address))
        .filter_map(|(_, last)| Some(keys_address(&Place::of(last.model.as_valkey_user()?)?.keys()?)))
        .collect();
    resources.retain(|address, observed| {
        let over = || !writers.contains(address) && Holdings::of(&observed.facts).are_none();
        address.kind != KEYS || ask.wanted.contains_key(address) || !over()
    });
}

fn of_kind<'a>(addresses: &BTreeSet<&'a Address>, kind: &ResourceKind) -> BTreeSet<&'a str> {
    addresses.iter().filter(|address| address.kind == *kind).map(|address| address.name.as_str()).collect()
}

/// Connections of some users, on all nodes together.
async fn clients(there: &[Node], users: &BTreeSet<&str>) -> Result<BTreeMap<String, u64>, Diagnostic> {
    let mut clients: BTreeMap<String, u64> = users.iter().map(|user| ((*user).to_owned(), 0)).collect();
    for list in try_join_all(there.iter().map(|node| node.call(&["CLIENT", "LIST"], "CLIENT LIST"))).await? {
        for line in list.as_str_lossy().unwrap_or_default().lines() {
            let user = line.split(' ').find_map(|fact| fact.strip_prefix("user="));
            if let Some(count) = user.and_then(|user| clients.get_mut(user)) {
                *count += 1;
            }
        }
    }
    Ok(clients)
}

/// Keys of one namespace, as far as a walk has come.
#[derive(Clone, Copy, Default)]
struct Counted {
    keys: u64,
    /// Sizes of some of them, together.
    bytes: u64,
    sized: u64,
    sampled: bool,
}

impl Counted {
    fn holdings(self) -> Holdings {
        let per_key = |keys: u64| keys.saturating_mul(self.bytes).checked_div(self.sized);
        Holdings {
            keys: Some(self.keys),
            size_bytes: if self.keys == 0 { Some(0) } else { per_key(self.keys) },
            sampled: Some(self.sampled),
            ..Holdings::default()
        }
    }
}

type Counts = BTreeMap<Keys, Counted>;

/// The nodes that keys are counted on. In a cluster each has keys of its own: without one of them there is no number.
async fn all_primaries<'a>(nodes: &Nodes, found: &'a Found) -> Result<Vec<&'a Node>, Failure> {
    match found.unreached.iter().find(|lost| nodes.config().cluster && !lost.sentinel) {
        Some(lost) => {
            let error = Diagnostic::new(Kind::Service, format!("{} is away, and keys with it", lost.node));
            Err(error.on("valkey", &lost.node, "SCAN").hint("plan again once it is back").into())
        }
        None => Ok(primaries(&found.nodes).await?),
    }
}

/// Counts the keys of namespaces of one database in one walk on each primary.
async fn count(nodes: &Nodes, found: &Found, db: u32, namespaces: &BTreeSet<Keys>) -> Result<Counts, Failure> {
    let primaries = all_primaries(nodes, found).await?;
    let each = try_join_all(primaries.into_iter().map(|node| count_on(nodes, node, db, namespaces))).await?;
    let mut all = Counts::new();
    for (keys, counted) in each.into_iter().flatten() {
        let sum = all.entry(keys).or_default();
        sum.keys += counted.keys;
        sum.bytes += counted.bytes;
        sum.sized += counted.sized;
        sum.sampled |= counted.sampled;
    }
    Ok(all)
}

/// Counts the keys of a database beside those of one namespace.
async fn count_beside(nodes: &Nodes, found: &Found, db: u32, own: Option<Keys>) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    for node in all_primaries(nodes, found).await? {
        let walk = Walk::begin(nodes, node, db, String::new()).await?;
        counted.keys += walk.one(("DBSIZE", Vec::new())).await?.as_u64().unwrap_or_default();
        walk.end().await;
    }
    if let Some(own) = own {
        let mine = count(nodes, found, db, &BTreeSet::from([own.clone()])).await?.remove(&own).unwrap_or_default();
        counted.keys = counted.keys.saturating_sub(mine.keys);
        counted.sampled = mine.sampled;
    }
    Ok(counted)
}

async fn count_on(nodes: &Nodes, node: &Node, db: u32, namespaces: &BTreeSet<Keys>) -> Result<Counts, Failure> {
    // Where there are several, all keys come over and are told apart here: still one walk.
    let pattern = match namespaces.iter().next() {
        Some(only) if namespaces.len() == 1 => only.pattern(node.is_of_cluster()),
        Some(_) | None => "*".to_owned(),
    };
    let mut walk = Walk::begin(nodes, node, db, pattern).await?;
    let began = Instant::now();
    let (mut steps, mut samples): (u64, BTreeMap<Keys, Vec<Value>>) = (0, BTreeMap::new());
    let mut counts = Counts::new();
    let by_name: BTreeMap<&[u8], &Keys> = namespaces.iter().map(|keys| (keys.namespace.as_bytes(), keys)).collect();
    while !walk.ended() && (steps == 0 || began.elapsed() < LONGEST) {
        for key in walk.next().await? {
            let Some(keys) = key
                .as_bytes()
                .and_then(|key| namespace_of(key, node.is_of_cluster()))
                .and_then(|name| by_name.get(name))
            else {
                continue;
            };
            counts.entry((*keys).clone()).or_default().keys += 1;
            let sample = samples.entry((*keys).clone()).or_default();
            if sample.len() < SAMPLE {
                sample.push(key);
            }
        }
        steps += 1;
    }
    for (keys, sample) in samples {
        let calls: Vec<Call> =
            sample.into_iter().map(|key| ("MEMORY", vec![Value::from_static_str("USAGE"), key])).collect();
        let counted = counts.entry(keys).or_default();
        // A key that is gone by now, or a server that does not tell sizes, says nothing.
        for size in walk.many(calls).await.into_iter().flatten().filter_map(|size| size.as_u64()) {
            counted.bytes += size;
            counted.sized += 1;
        }
    }
    if !walk.ended() {
        let all = walk.one(("DBSIZE", Vec::new())).await?.as_u64().unwrap_or_default();
        let looked_at = steps * STEP;
        for keys in namespaces {
            let counted = counts.entry(keys.clone()).or_default();
            counted.sampled = true;
            counted.keys = counted.keys.max(estimate(counted.keys, all, looked_at));
        }
    }
    walk.end().await;
    Ok(counts)
}

/// The number in all, from that in a part.
fn estimate(found: u64, all: u64, looked_at: u64) -> u64 {
    let estimate = u128::from(found) * u128::from(all) / u128::from(looked_at.max(1));
    u64::try_from(estimate).unwrap_or(u64::MAX)
}

/// Users that are neither ours nor the administrator's and whose own rules reach the keys: somebody works with them.
/// Those that reach all keys of the server say nothing of these.
fn reached_by(others: &[&User], keys: &Keys) -> BTreeSet<String> {
    let place = Place::of_keys(keys);
    let reaches =
        |rule: &String| rule.split_once('~').is_some_and(|(_, pattern)| pattern != "*" && place.has_keys_of(pattern));
    let reach = |user: &&&User| parts(user).any(|rules| rules.keys.iter().any(reaches));
    others.iter().filter(reach).map(|user| user.name.clone()).collect()
}

/// Users of all nodes that stay and that no infraspec declares: what becomes of those stands there.
fn others<'a>(seen: &'a [Seen], doomed: &BTreeSet<&str>, ask: &Ask) -> Vec<&'a User> {
    let accounts = seen.iter().flat_map(|node| node.accounts.iter().map(move |(name, account)| (node, name, account)));
    let stays = |node: &Seen, name: &String| {
        !doomed.contains(name.as_str()) && *name != node.server.admin && !ask.wanted.contains_key(&user_address(name))
    };
    accounts.filter(|(node, name, _)| stays(node, name)).map(|(_, _, account)| &account.user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::valkey::acl::parse_line;

    #[test]
    fn keys_are_told_apart_by_what_stands_before_the_colon() {
        assert_eq!(namespace_of(b"mail:k:x", false), Some(&b"mail"[..]));
        assert_eq!(namespace_of(b"{mail}:k", true), Some(&b"mail"[..]));
        assert_eq!(namespace_of(b"{mail}:k", false), Some(&b"{mail}"[..]));
        assert_eq!(namespace_of(b"mail", false), None);
    }

    #[test]
    fn who_works_with_keys_by_rules_of_its_own_reaches_them() {
        let of = |rules: &str| {
            let user = parse_line(&format!("user ops on {rules}"), true).unwrap().user;
            !reached_by(&[&user], &Keys { namespace: "shop".to_owned(), db: 0 }).is_empty()
        };
        assert!(of("~sh* +get") && of("~{shop}:* +get") && of("%R~{shop}:x +get") && of("-@all (~shop:a* +get)"));
        assert!(!of("~* +get") && !of("~store:* ~{store}:* +get") && !of("-@all (~* +get)"));
    }

    #[test]
    fn a_part_stands_for_the_whole() {
        assert_eq!(estimate(10, 5_000, 1_000), 50);
        assert_eq!((estimate(0, 5, 0), estimate(u64::MAX, u64::MAX, 1)), (0, u64::MAX));
    }
}
