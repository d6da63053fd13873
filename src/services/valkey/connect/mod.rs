//! Connections: one client for each node, made when first needed. Access rules are not replicated, so every node
//! counts. Without the node that was named, or the primary that sentinels name, nothing is known; any other that cannot
//! be reached is named, and the rest is not taken as the whole.

mod open;
mod probe;
mod remembered;
mod sentinel;
mod topology;

use super::node::{Node, Part};
use super::saving::Saving;
use super::wire;
use crate::config::ValkeyConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use futures_util::future::join_all;
use open::{Door, name_of, open, split};
pub use remembered::Left;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;
use topology::Others;

/// A node that is there as the others know it, and cannot be asked.
pub struct Unreached {
    pub node: String,
    pub sentinel: bool,
    pub error: Diagnostic,
    /// The command that forgets it, if nobody but nornplan knows of it.
    pub gone: Option<String>,
}

/// All nodes of one Valkey, as they were found.
pub struct Found {
    /// Those that can be asked: the primary or the node that was named first, and never none.
    pub nodes: Vec<Node>,
    /// The sentinels, if apps have users there.
    pub sentinels: Vec<Node>,
    pub unreached: Vec<Unreached>,
    /// Nodes of earlier runs that are none any more.
    pub left: Vec<Left>,
    /// Whether there is a node that nobody has an address of.
    has_lost: bool,
    /// What is wrong with all of them together.
    pub warnings: Vec<String>,
}

/// Replicas that follow other replicas: the primary does not know them.
async fn below(replicas: Option<&[Node]>) -> Result<BTreeSet<String>> {
    let below = join_all(replicas.unwrap_or_default().iter().map(topology::below)).await;
    Ok(below.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// What to do about a node that the others tell of: `gone` is how they forget it.
fn hinted(error: Diagnostic, gone: Option<&str>) -> Diagnostic {
    let address = "its address is as the others know it (replica-announce-ip or cluster-announce-ip sets that)";
    let gone = gone.map(|call| format!("one that is gone for good is forgotten by {call}"));
    let hint = error.hint.iter().cloned().chain([address.to_owned()]).chain(gone).collect::<Vec<_>>().join("; ");
    error.hint(hint)
}

impl Found {
    /// The nodes as plans and the state name them.
    pub fn named(&self, away: &BTreeSet<String>) -> crate::core::nodes::Nodes {
        let here: BTreeSet<String> = self.with_users().map(|node| node.name.clone()).collect();
        let left = self.left.iter().map(|left| left.node.clone());
        crate::core::nodes::Nodes {
            absent: self.unreached.iter().map(|absent| absent.node.clone()).collect(),
            back: here.intersection(away).cloned().collect(),
            left: left.collect(),
            here,
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.with_users().any(|node| node.name == name) || self.unreached.iter().any(|lost| lost.node == name)
    }

    /// All that have users of apps.
    pub fn with_users(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().chain(&self.sentinels)
    }
}

/// All nodes of one Valkey, and how to reach them.
pub struct Nodes {
    config: ValkeyConfig,
    open: Mutex<Open>,
    /// What of this run's writes is saved.
    pub saving: Saving,
}

#[derive(Default)]
struct Open {
    found: Option<Arc<Found>>,
    /// Every node that this run could ask once.
    known: BTreeSet<String>,
    /// Every node that holds data, as this run and those before it met them.
    remembered: BTreeSet<String>,
}

impl Nodes {
    pub fn new(config: &ValkeyConfig) -> Self {
        Self { config: config.clone(), open: Mutex::new(Open::default()), saving: Saving::default() }
    }

    /// Takes in which nodes earlier runs met.
    pub async fn remember(&self, nodes: &BTreeSet<String>) {
        let mut open = self.open.lock().await;
        if !nodes.is_subset(&open.remembered) {
            open.remembered.extend(nodes.iter().cloned());
            open.found = None;
        }
    }

    /// Every node. Found anew if a connection has been lost.
    ///
    /// # Errors
    /// The primary, or the node that was named, cannot be reached or signed in to. Any other node that could be, earlier
    /// in this run, and cannot be now: nobody has been told of that.
    pub async fn all(&self) -> Result<Arc<Found>> {
        let mut open = self.open.lock().await;
        let is_whole = |found: &&Arc<Found>| found.with_users().all(Node::is_connected);
        if let Some(found) = open.found.as_ref().filter(is_whole) {
            return Ok(found.clone());
        }
        let found = Arc::new(self.discover(&open.remembered).await?);
        if let Some(lost) = found.unreached.iter().find(|lost| open.known.contains(&lost.node)) {
            let error = Diagnostic::new(Kind::Service, format!("this node was lost: {}", lost.error.message))
                .on("valkey", &lost.node, "connect")
                .hint("it was there when this run began; look after it, then plan again");
            return Err(error.may_pass(true));
        }
        open.known.extend(found.with_users().map(|node| node.name.clone()));
        open.remembered.extend(found.nodes.iter().map(|node| node.name.clone()));
        open.found = Some(found.clone());
        Ok(found)
    }

    pub fn config(&self) -> &ValkeyConfig {
        &self.config
    }

    /// The password that nornplan signs in with, if it has one.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn password(&self) -> Result<Option<Secret>> {
        self.config.password.resolve().await
    }

    /// A connection of its own to a node, to sign in with as somebody else.
    ///
    /// # Errors
    /// As [`Nodes::all`].
    pub async fn another(&self, node: &Node) -> Result<Node> {
        if node.part == Part::Sentinel {
            return sentinel::open_one(&self.config, &node.name).await;
        }
        self.connect(&node.name).await
    }

    /// Every sentinel that the workspace names, on a connection of its own, or why it cannot be asked.
    pub async fn sentinels(&self) -> Vec<Result<Node>> {
        sentinel::open_all(&self.config).await.into_iter().map(|(opened, _)| opened).collect()
    }

    async fn discover(&self, remembered: &BTreeSet<String>) -> Result<Found> {
        let (first, others, gone) = match &self.config.sentinel_service {
            Some(service) if !self.config.sentinels.is_empty() => {
                let told = sentinel::ask(&self.config, service).await?;
                let primary = self.connect(&told.primary).await.map_err(|mut error| {
                    error.message = format!("the primary {} cannot be reached: {}", told.primary, error.message);
                    let known = error.hint.clone().unwrap_or_default();
                    let hint = format!("the sentinel {} says that it is the primary; {known}", told.by);
                    // If it is down, the sentinels make another one the primary.
                    error.hint(hint).may_pass(true)
                })?;
                topology::check_primary(&primary).await?;
                // After a SENTINEL RESET they know the replicas by and by, and the primary knows them already.
                let followers = topology::below(&primary).await?;
                let names = told.others.into_iter().chain(followers).collect();
                let others = Others { names, ..Others::default() };
                (primary, others, Some(format!("SENTINEL RESET {service} on each sentinel")))
            }
            Some(_) | None => {
                let seed = self.connect(&name_of(&self.config.host, self.config.port)).await?;
                let cluster = self.config.cluster;
                let others = if cluster { topology::cluster(&seed).await? } else { topology::replicas(&seed).await? };
                // A primary forgets a replica by itself.
                (seed, others, cluster.then(|| "CLUSTER FORGET on each node".to_owned()))
            }
        };
        wire::server(&first).await?;
        let mut found = Found {
            nodes: vec![first],
            sentinels: Vec::new(),
            unreached: Vec::new(),
            left: Vec::new(),
            has_lost: !others.lost.is_empty(),
            warnings: others.warnings,
        };
        self.walk(&mut found, others.names.into_iter().collect(), gone.as_deref()).await?;
        for (node, why) in others.lost {
            let error = Diagnostic::new(Kind::Service, why).on("valkey", &node, "CLUSTER NODES");
            let error = hinted(error, gone.as_deref());
            found.unreached.push(Unreached { node, sentinel: false, error, gone: None });
        }
        if self.config.sentinel_users {
            for (opened, node) in sentinel::open_all(&self.config).await {
                match opened {
                    Ok(node) => found.sentinels.push(node),
                    Err(error) => found.unreached.push(Unreached { node, sentinel: true, error, gone: None }),
                }
            }
        }
        remembered::add(&mut found, remembered, self.why_it_is_gone());
        Ok(found)
    }

    /// Reaches nodes, and the replicas that they tell of, and so on.
    async fn walk(&self, found: &mut Found, mut names: BTreeSet<String>, gone: Option<&str>) -> Result<()> {
        names.retain(|name| !found.knows(name));
        while !names.is_empty() {
            let before = found.nodes.len();
            for (reached, node) in join_all(names.into_iter().map(async |name| (self.reach(&name).await, name))).await {
                match reached {
                    Ok(node) => found.nodes.push(node),
                    Err(error) => {
                        let error = hinted(error, gone);
                        found.unreached.push(Unreached { node, sentinel: false, error, gone: None });
                    }
                }
            }
            names = if self.config.cluster { BTreeSet::new() } else { below(found.nodes.get(before..)).await? };
            names.retain(|name| !found.knows(name));
        }
        Ok(())
    }

    /// Why a node that is not told of is none any more. A primary says nothing of those that are down.
    fn why_it_is_gone(&self) -> Option<&'static str> {
        match (self.config.cluster, self.config.sentinels.is_empty()) {
            (true, _) => Some("the cluster does not know it any more"),
            (false, false) => Some("the sentinels do not know it any more"),
            (false, true) => None,
        }
    }

    /// A node that says what it is: one that is too busy or too young for that is none that can be worked with.
    async fn reach(&self, name: &str) -> Result<Node> {
        let node = self.connect(name).await?;
        wire::server(&node).await?;
        Ok(node)
    }

    async fn connect(&self, name: &str) -> Result<Node> {
        let config = &self.config;
        let (host, port) = if name.starts_with('/') { (name.to_owned(), 0) } else { split(name, config.port) };
        let door = Door { user: &config.user, password: &config.password, tls: config.use_tls.then_some(&config.tls) };
        let client = open(&host, port, &door).await?;
        let part = match (config.cluster, config.sentinels.is_empty()) {
            (true, _) => Part::OfCluster,
            (false, false) => Part::BehindSentinels,
            (false, true) => Part::Plain,
        };
        Ok(Node::new(name_of(&host, port), client, &config.user, part))
    }
}
