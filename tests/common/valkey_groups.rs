//! Several servers of a test's own that belong together: replicas, sentinels, clusters.

use super::Workspace;
use super::own_postgres::free_port;
use super::own_valkey::{OwnValkey, PASSWORD, Saves};
use super::servers::valkey_at;
use super::waiting::until;
use std::time::Duration;

/// What the sentinels call the primary.
pub const SERVICE: &str = "shop";

/// A line of INFO.
pub fn fact(node: &OwnValkey, section: &str, name: &str) -> String {
    let info = node.try_run(&["INFO", section]).ok().and_then(|info| info.into_string()).unwrap_or_default();
    let found = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:")).map(str::trim));
    found.unwrap_or_default().to_owned()
}

/// A server that can be the primary of others, and later one of their replicas.
pub fn primary() -> OwnValkey {
    OwnValkey::with(Saves::AclFile, &replicates())
}

fn replicates() -> String {
    format!("masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\nrdbcompression no")
}

/// A server that follows another one.
pub fn replica_of(primary: &OwnValkey) -> OwnValkey {
    let replica = OwnValkey::with(Saves::AclFile, &replicates());
    // A replica by its configuration file would wait for a second before it connects.
    replica.run(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    replica.run(&["CONFIG", "REWRITE"]);
    until_it_follows(&replica);
    replica
}

/// A server that takes so long to load the 300 keys that it gets from another one.
pub fn loading_replica_of(primary: &OwnValkey, time: Duration) -> OwnValkey {
    let delay = time.as_micros() / 300;
    let slow = format!("{}\nkey-load-delay {delay}\nloading-process-events-interval-bytes 1024", replicates());
    let replica = OwnValkey::with(Saves::AclFile, &slow);
    replica.run(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    replica
}

#[track_caller]
pub fn until_it_follows(replica: &OwnValkey) {
    until("the replica follows", || fact(replica, "replication", "master_link_status") == "up");
}

/// Three sentinels that watch a primary, and know its replicas and one another. A primary that stands still for a moment on
/// a busy machine is not taken for dead; one that was taken for primary by mistake is noticed after the same ten seconds.
pub fn sentinels_of(primary: &OwnValkey, replicas: usize) -> [OwnValkey; 3] {
    let lines = format!(
        "sentinel monitor {SERVICE} 127.0.0.1 {} 2\nsentinel auth-pass {SERVICE} {PASSWORD}\n\
         sentinel down-after-milliseconds {SERVICE} 10000\nsentinel failover-timeout {SERVICE} 6000",
        primary.port
    );
    let sentinels = [(); 3].map(|()| OwnValkey::sentinel(&lines));
    for sentinel in &sentinels {
        // They look around every ten seconds otherwise, and tell one another every other second.
        sentinel.run(&["SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "200", "PING-PERIOD", "200"]);
    }
    for sentinel in &sentinels {
        let counts = |call: &str| sentinel.run(&["SENTINEL", call, SERVICE]).into_array().len();
        until("the sentinels know all", || counts("REPLICAS") == replicas && counts("SENTINELS") == 2);
    }
    sentinels
}

/// The port of the primary, as a sentinel says.
pub fn primary_of(sentinel: &OwnValkey) -> u16 {
    let address = sentinel.run(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).into_array();
    let port = address.into_iter().nth(1).and_then(|port| port.into_string());
    port.and_then(|port| port.parse().ok()).expect("a port")
}

/// Has every run of nornplan in a workspace find the servers through sentinels.
pub fn serve_by(sentinels: &[OwnValkey], workspace: &mut Workspace) {
    let names: Vec<String> = sentinels.iter().map(OwnValkey::name).collect();
    workspace.set("NORNPLAN_VALKEY_SENTINELS", &names.join(","));
    workspace.set("NORNPLAN_VALKEY_SENTINEL_SERVICE", SERVICE);
    workspace.set("NORNPLAN_VALKEY_PASSWORD", PASSWORD);
    workspace.set("NORNPLAN_VALKEY_SENTINEL_PASSWORD", PASSWORD);
}

/// A node that is in no cluster yet.
pub fn cluster_node() -> OwnValkey {
    let lines = "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\ncluster-port";
    OwnValkey::with(Saves::AclFile, &format!("{lines} {}", free_port()))
}

/// Three primaries that share the slots.
pub fn cluster() -> Vec<OwnValkey> {
    let nodes: Vec<OwnValkey> = (0..3).map(|_| cluster_node()).collect();
    for (node, (first, last)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
        node.run(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
    }
    let (first, others) = nodes.split_first().expect("three nodes");
    others.iter().for_each(|node| join(node, first));
    until_whole(&nodes, 3);
    nodes
}

/// Has a node meet another one's cluster.
pub fn join(node: &OwnValkey, other: &OwnValkey) {
    let bus = other.run(&["CONFIG", "GET", "cluster-port"]).into_array().into_iter().nth(1);
    let bus = bus.and_then(|port| port.into_string()).expect("a port");
    node.run(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), &bus]);
}

/// Waits until every node knows so many, and the cluster works.
pub fn until_whole(nodes: &[OwnValkey], known: usize) {
    for node in nodes {
        until("the cluster is whole", || {
            let info = node.run(&["CLUSTER", "INFO"]).into_string().unwrap_or_default();
            let list = node.run(&["CLUSTER", "NODES"]).into_string().unwrap_or_default();
            let sound = list.lines().filter(|line| line.contains("connected") && !line.contains("handshake")).count();
            info.contains("cluster_state:ok") && sound == known && !list.contains("fail")
        });
    }
}

/// The password in a published URL.
pub fn password(workspace: &Workspace, app: &str) -> String {
    let url = workspace.published(app, "VALKEY_URL");
    let sign_in = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(sign_in, _)| sign_in);
    let password = sign_in.and_then(|sign_in| sign_in.split_once(':')).map(|(_, password)| password);
    password.expect("a password").to_owned()
}

/// Runs a command on a node as an app.
pub fn as_app(workspace: &Workspace, app: &str, node: &OwnValkey, words: &[&str]) -> Result<(), String> {
    let user = app.replace('@', &workspace.prefix);
    let url = node.url(&user, &password(workspace, app));
    let words: Vec<String> = words.iter().map(|word| word.replace('@', &workspace.prefix)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    valkey_at(&url, &words).map(drop).map_err(|error| error.details().to_owned())
}

/// Demands that an app signs in on every node, and is confined there.
#[track_caller]
pub fn is_on(workspace: &Workspace, app: &str, nodes: &[&OwnValkey]) {
    for node in nodes {
        as_app(workspace, app, node, &["PING"]).unwrap_or_else(|error| panic!("{app} on {}: {error}", node.name()));
        let refused = as_app(workspace, app, node, &["KEYS", "*"]).expect_err("it is refused");
        assert!(refused.starts_with("NOPERM"), "{app} on {}: {refused}", node.name());
    }
}

/// The user of an app.
pub fn user(workspace: &Workspace, app: &str) -> String {
    app.replace('@', &workspace.prefix)
}
