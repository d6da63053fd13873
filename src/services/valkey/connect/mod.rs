//! Connections: one client for each node, made when first needed. Access rules are not replicated, so every node
//! counts, and one that cannot be reached is an error.

mod tls;
mod topology;

use super::errors::{explain, explain_to, explain_without_password};
use super::presets::Server;
use crate::config::ValkeyConfig;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use fred::types::config::{Config, Server as Host, ServerConfig};
use fred::types::{Builder, ClusterHash, ConnectHandle, CustomCommand, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use topology::{cluster_nodes, replicas, split};

const CONNECT: Duration = Duration::from_secs(5);
/// The first `ACL LIST` of 10,000 users takes Redis 7.0 more than six seconds.
const COMMAND: Duration = Duration::from_secs(30);

/// One server process.
pub struct Node {
    /// host:port, or the path of a socket.
    pub name: String,
    pub client: Client,
    /// What reads and writes the connection: it ends with it, and what is asked afterwards would wait in vain.
    pub task: ConnectHandle,
    /// The user that nornplan signs in as.
    pub admin: String,
    pub cluster: bool,
    /// What it is; asked for once in the life of the connection.
    pub server: OnceCell<Server>,
}

impl Node {
    /// One call. `words` after the first must hold no secret that an error could show; `said` stands for the call.
    pub async fn call(&self, words: &[&str], said: &str) -> Result<Value> {
        let mut all = self.try_calls(&[words.iter().map(|word| (*word).to_owned()).collect()]).await;
        match all.pop() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.explain(&error, said)),
            None => Err(Diagnostic::new(Kind::Service, "no answer").on("valkey", &self.name, said)),
        }
    }

    /// An error of a call of ours, with the statement that allows what we may not do.
    pub fn explain(&self, error: &fred::error::Error, said: &str) -> Diagnostic {
        explain_to(&self.admin, error, &self.name, said)
    }

    /// Ends the connection.
    pub async fn close(self) {
        // It is over in any case.
        drop(self.client.quit().await);
    }

    /// Whether the connection is as it was made.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected() && !self.task.is_finished()
    }

    /// Many calls in one round trip, an answer for each.
    pub async fn try_calls(&self, calls: &[Vec<String>]) -> Vec<Result<Value, fred::error::Error>> {
        if !self.is_connected() {
            let lost = || fred::error::Error::new(ErrorKind::IO, "the connection was lost");
            return calls.iter().map(|_| Err(lost())).collect();
        }
        let pipeline = self.client.pipeline();
        for words in calls {
            let mut words = words.iter().cloned();
            let command = CustomCommand::new(words.next().unwrap_or_default(), ClusterHash::FirstKey, false);
            // Queued in memory: there is nothing that could fail yet.
            let queued: Result<Value, _> = pipeline.custom(command, words.collect::<Vec<String>>()).await;
            if let Err(error) = queued {
                return vec![Err(error)];
            }
        }
        pipeline.try_all::<Value>().await
    }
}

/// All nodes of one Valkey, and how to reach them.
pub struct Nodes {
    config: ValkeyConfig,
    open: Mutex<Option<Arc<Vec<Node>>>>,
}

impl Nodes {
    pub fn new(config: &ValkeyConfig) -> Self {
        Self { config: config.clone(), open: Mutex::new(None) }
    }

    /// Every node, the primary first. Found anew if a connection has been lost.
    ///
    /// # Errors
    /// A node that cannot be reached or signed in to: the rest is not taken as the whole.
    pub async fn all(&self) -> Result<Arc<Vec<Node>>> {
        let mut open = self.open.lock().await;
        if let Some(nodes) = open.as_ref().filter(|nodes| nodes.iter().all(Node::is_connected)) {
            return Ok(nodes.clone());
        }
        let nodes = Arc::new(self.discover().await?);
        *open = Some(nodes.clone());
        Ok(nodes)
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
        let (host, port) = split(&node.name, self.config.port);
        self.open(&host, port).await
    }

    async fn discover(&self) -> Result<Vec<Node>> {
        let seed = self.open(&self.config.host, self.config.port).await?;
        let others = if self.config.cluster { cluster_nodes(&seed).await? } else { replicas(&seed).await? };
        let mut nodes = vec![seed];
        for name in others {
            let (host, port) = split(&name, self.config.port);
            let node = self.open(&host, port).await.map_err(|error| {
                let known = error.hint.clone().unwrap_or_default();
                error.hint(format!(
                    "{known}; access rules are not replicated, so every node is needed: {name} is as the others know \
                     it (replica-announce-ip or cluster-announce-ip sets that)"
                ))
            })?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    async fn open(&self, host: &str, port: u16) -> Result<Node> {
        let server = if host.starts_with('/') {
            ServerConfig::Unix { path: host.into() }
        } else {
            ServerConfig::Centralized { server: Host::new(host, port) }
        };
        let name = if host.starts_with('/') { host.to_owned() } else { format!("{host}:{port}") };
        let password = self.config.password.resolve().await?;
        let mut config = Config { server, fail_fast: true, ..Config::default() };
        if password.is_some() || self.config.user != "default" {
            config.username = Some(self.config.user.clone());
            config.password = Some(password.as_ref().map(Secret::expose).unwrap_or_default().to_owned());
        }
        if self.config.use_tls {
            config.tls = Some(tls::connector(&self.config.tls)?.into());
        }
        let client = Builder::from_config(config)
            .with_connection_config(|connection| {
                connection.connection_timeout = CONNECT;
                connection.internal_command_timeout = CONNECT;
                connection.max_command_attempts = 1;
            })
            .with_performance_config(|performance| performance.default_command_timeout = COMMAND)
            .build()
            .map_err(|error| explain(&error, &name, "connect"))?;
        let task = client.init().await.map_err(|error| {
            let explain = if password.is_some() { explain } else { explain_without_password };
            let said = explain(&error, &name, "connect");
            // A server without TLS takes the handshake for the start of a command, and waits for its end.
            if self.config.use_tls && *error.kind() == ErrorKind::Timeout {
                return said
                    .hint("if the server has no TLS, say `tls = false` under [valkey]; else check host and port");
            }
            said
        })?;
        Ok(Node {
            name,
            client,
            task,
            admin: self.config.user.clone(),
            cluster: self.config.cluster,
            server: OnceCell::new(),
        })
    }
}
