//! Connections: one client for each node, made when first needed. Access rules are not replicated, so every node
//! counts, and one that cannot be reached is an error.

use super::errors::{explain, explain_without_password};
use super::presets::Server;
use super::wire;
use crate::config::{Tls, ValkeyConfig};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::ClientLike;
use fred::rustls::pki_types::pem::PemObject;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, RootCertStore, crypto};
use fred::types::config::{Config, Server as Host, ServerConfig, TlsConnector};
use fred::types::{Builder, ClusterHash, CustomCommand, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

const CONNECT: Duration = Duration::from_secs(5);
/// The first `ACL LIST` of 10,000 users takes Redis 7.0 more than six seconds.
const COMMAND: Duration = Duration::from_secs(30);

/// One server process.
pub struct Node {
    /// host:port, or the path of a socket.
    pub name: String,
    pub client: Client,
    admin: String,
    cluster: bool,
    server: OnceCell<Server>,
}

impl Node {
    /// What it is; asked for once in the life of the connection.
    pub async fn server(&self) -> Result<&Server> {
        self.server.get_or_try_init(|| wire::server(self, &self.admin, self.cluster)).await
    }

    /// One call. `words` after the first must hold no secret that an error could show; `said` stands for the call.
    pub async fn call(&self, words: &[&str], said: &str) -> Result<Value> {
        let mut all = self.try_calls(&[words.iter().map(|word| (*word).to_owned()).collect()]).await;
        match all.pop() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(explain(&error, &self.name, said)),
            None => Err(Diagnostic::new(Kind::Service, "no answer").on("valkey", &self.name, said)),
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        // It is over in any case.
        drop(self.client.quit().await);
    }

    /// Many calls in one round trip, an answer for each.
    pub async fn try_calls(&self, calls: &[Vec<String>]) -> Vec<Result<Value, fred::error::Error>> {
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
        if let Some(nodes) = open.as_ref().filter(|nodes| nodes.iter().all(|node| node.client.is_connected())) {
            return Ok(nodes.clone());
        }
        let nodes = Arc::new(self.discover().await?);
        *open = Some(nodes.clone());
        Ok(nodes)
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
            config.tls = Some(tls(&self.config.tls)?.into());
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
        client.init().await.map_err(|error| {
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
            admin: self.config.user.clone(),
            cluster: self.config.cluster,
            server: OnceCell::new(),
        })
    }
}

/// The replicas as the primary names them. `ROLE` would leave out those that are still catching up.
async fn replicas(primary: &Node) -> Result<Vec<String>> {
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
async fn cluster_nodes(seed: &Node) -> Result<Vec<String>> {
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
fn split(name: &str, default_port: u16) -> (String, u16) {
    match name.rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(default_port)),
        None => (name.to_owned(), default_port),
    }
}

fn tls(files: &Tls) -> Result<TlsConnector> {
    let wrong = |file: Option<&Path>, message: String| {
        let error = Diagnostic::new(Kind::Config, message).hint("check the TLS files under [valkey]");
        if let Some(file) = file { error.in_file(file) } else { error }
    };
    let read = |file: &Path| -> Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        all.map_err(|error| wrong(Some(file), format!("no certificates can be read: {error}")))
    };
    let mut roots = RootCertStore::empty();
    let trusted = match &files.ca_file {
        Some(file) => read(file)?,
        None => fred::rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(trusted);
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(None, error.to_string()))?
        .with_root_certificates(roots);
    let config = match (&files.cert_file, &files.key_file) {
        (Some(cert), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| wrong(Some(key), format!("no private key can be read: {error}")))?;
            builder.with_client_auth_cert(read(cert)?, private).map_err(|error| wrong(Some(cert), error.to_string()))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) | (None, Some(_)) => {
            return Err(wrong(None, "a client certificate needs both cert_file and key_file".to_owned()));
        }
    };
    Ok(config.into())
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
