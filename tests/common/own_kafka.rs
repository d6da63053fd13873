//! A Kafka of a test's own, of one broker or several, for what must not be done to the one that tests share: other
//! listeners and configurations, TLS, no sign-in, no authorizer, brokers that die.
//!
//! The jars are those that `make infra` takes; each broker is a child of the test, of about 300 MB. A start takes about
//! 4 seconds: let one broker serve several checks.

use super::certificates::{certificate, signed};
use super::fetched::fetched;
use super::own_postgres::free_port;
use super::{Workspace, root};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The admin's name. It is a super user where there is an authorizer.
pub const ADMIN: &str = "admin";
/// The admin's password, where a broker asks for one.
pub const PASSWORD: &str = "the-password-of-an-own-kafka";
/// How long brokers may take to start, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(90);

/// A snapshot of the metadata after so many bytes of records; by default it comes after an hour or 20 MB. A Kafka (all of
/// 4.1.0 to 4.2.0) that starts with no snapshot and reads in its log that a SCRAM user was removed may lose all other
/// SCRAM users, the admin too: `ScramDelta.apply` drops the mechanism when the removed user is the first in the order of
/// their hashes, and what it adds after that is added to nothing. With a snapshot there is a user before.
const SNAPSHOT: u32 = 4096;

/// How clients come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By SCRAM, not encrypted: as `make infra` has it.
    Scram,
    /// By SCRAM over TLS. The files are below `home`: authority.crt, broker.crt, broker.key.
    ScramOverTls,
    /// By nothing at all.
    Open,
    /// By a client certificate that the authority has signed (client.crt, client.key; the admin is CN=admin).
    Certificate,
}

/// What an own Kafka is to be like.
pub struct Setup {
    access: Access,
    brokers: u16,
    authorizer: bool,
    listeners: Vec<Listener>,
    lines: String,
    classes: Option<PathBuf>,
    cluster: Option<String>,
}

/// One more way in.
struct Listener {
    name: String,
    protocol: &'static str,
    port: u16,
    advertised: String,
}

impl Setup {
    /// One broker, with an authorizer unless everybody is let in without a sign-in.
    pub fn new(access: Access) -> Self {
        let authorizer = access != Access::Open;
        Self {
            access,
            brokers: 1,
            authorizer,
            listeners: Vec::new(),
            lines: String::new(),
            classes: None,
            cluster: None,
        }
    }

    /// So many brokers, each of them a controller too: of three, any one may die.
    pub fn brokers(mut self, count: u16) -> Self {
        self.brokers = count;
        self
    }

    /// No ACLs are kept: who signs in may do everything.
    pub fn without_authorizer(mut self) -> Self {
        self.authorizer = false;
        self
    }

    /// One more way in to a single broker: SASL_SSL, PLAINTEXT, ...; certificates are there if `access` has them.
    pub fn listener(self, name: &str, protocol: &'static str, port: u16) -> Self {
        self.listener_at(name, protocol, port, &format!("127.0.0.1:{port}"))
    }

    /// The same, which sends clients on to another address.
    pub fn listener_at(mut self, name: &str, protocol: &'static str, port: u16, advertised: &str) -> Self {
        self.listeners.push(Listener { name: name.to_owned(), protocol, port, advertised: advertised.to_owned() });
        self
    }

    /// More lines of server.properties; the last of a key counts. `@PORT@`, `@CONTROLLER_PORT@`, `@INTERNAL_PORT@` and
    /// `@FILES@` (the directory with the certificates) are replaced.
    pub fn lines(mut self, lines: &str) -> Self {
        self.lines += lines;
        self.lines.push('\n');
        self
    }

    /// A directory of compiled classes: policies of a test's own.
    pub fn classes(mut self, directory: &Path) -> Self {
        self.classes = Some(directory.to_owned());
        self
    }

    /// The cluster's id, which may be any text: `redpanda.<uuid>` too.
    pub fn cluster(mut self, id: &str) -> Self {
        self.cluster = Some(id.to_owned());
        self
    }

    /// Starts it and waits until all of it is up.
    pub fn start(self) -> OwnKafka {
        let mut said = String::new();
        // Between the finding of a port and its use, somebody else may take it.
        for _ in 0..3 {
            let kafka = OwnKafka::prepared(&self);
            kafka.format(&self);
            kafka.nodes.iter().for_each(|node| kafka.spawn(node));
            match kafka.wait_until_up() {
                Ok(()) => return kafka,
                Err(error) => said = error,
            }
        }
        panic!("no Kafka of our own:\n{said}")
    }
}

/// One broker.
struct Node {
    port: u16,
    controller: u16,
    internal: u16,
    home: PathBuf,
    process: Mutex<Option<Child>>,
}

/// Running brokers. They are killed, and their data are removed, when this is dropped: make it before the `Workspace`
/// that uses it.
pub struct OwnKafka {
    directory: tempfile::TempDir,
    access: Access,
    classes: Option<PathBuf>,
    nodes: Vec<Node>,
}

impl OwnKafka {
    /// One broker with SCRAM and an authorizer.
    pub fn start() -> Self {
        Setup::new(Access::Scram).start()
    }

    /// So many brokers with SCRAM and an authorizer.
    pub fn of(brokers: u16) -> Self {
        Setup::new(Access::Scram).brokers(brokers).start()
    }

    fn prepared(setup: &Setup) -> Self {
        let directory = tempfile::Builder::new().prefix("nk").tempdir().expect("a temporary directory");
        let node = |number: u16| {
            let home = directory.path().join(number.to_string());
            std::fs::create_dir(&home).expect("a directory of the broker's own");
            let (port, controller, internal) = (free_port(), free_port(), free_port());
            Node { port, controller, internal, home, process: Mutex::new(None) }
        };
        let nodes: Vec<Node> = (1..=setup.brokers).map(node).collect();
        let this = Self { directory, access: setup.access, classes: setup.classes.clone(), nodes };
        if this.speaks_tls() {
            this.make_certificates();
        }
        let voters = (1..).zip(&this.nodes).map(|(id, node)| format!("{id}@127.0.0.1:{}", node.controller));
        let voters = voters.collect::<Vec<_>>().join(",");
        for (id, node) in (1..).zip(&this.nodes) {
            let text = properties(setup, id, &voters)
                .replace("@PORT@", &node.port.to_string())
                .replace("@CONTROLLER_PORT@", &node.controller.to_string())
                .replace("@INTERNAL_PORT@", &node.internal.to_string())
                .replace("@FILES@", &this.home().display().to_string());
            let text = format!("log.dirs={}\n{text}", node.home.join("data").display());
            std::fs::write(node.home.join("server.properties"), text).expect("server.properties is written");
        }
        this
    }

    fn make_certificates(&self) {
        let files = self.home();
        certificate(files, "authority", &[]);
        signed(files, "broker", "IP:127.0.0.1,DNS:localhost");
        signed(files, "client", "DNS:client");
        signed(files, ADMIN, "DNS:admin");
        self.write_keys("broker");
    }

    /// Has the brokers show this certificate (`<name>.crt`) from their next start on.
    pub fn write_keys(&self, name: &str) {
        let read = |end: &str| std::fs::read_to_string(self.home().join(format!("{name}.{end}"))).expect("a file");
        std::fs::write(self.home().join("keys.pem"), read("key") + &read("crt")).expect("the keys are written");
    }

    /// Formats the storage of all brokers, side by side.
    fn format(&self, setup: &Setup) {
        // 22 characters of base64, 16 bytes; another one for every cluster.
        let id = setup.cluster.clone().unwrap_or_else(|| format!("nornplan-own-{:08}A", self.port(0)));
        let formats: Vec<(Child, &Node)> = self
            .nodes
            .iter()
            .map(|node| {
                let mut command = self.java(node);
                command.args(["kafka.tools.StorageTool", "format", "--cluster-id", &id, "--config"]);
                command.arg(node.home.join("server.properties"));
                if matches!(setup.access, Access::Scram | Access::ScramOverTls) {
                    command.arg("--add-scram").arg(format!("SCRAM-SHA-512=[name={ADMIN},password={PASSWORD}]"));
                }
                (command.spawn().expect("java runs"), node)
            })
            .collect();
        for (mut child, node) in formats {
            let ended = child.wait().expect("its end");
            assert!(ended.success(), "not formatted: {}", log_of(node));
        }
    }

    fn java(&self, node: &Node) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(node.home.join("log")).expect("a log");
        let config = root().join("infra/native/kafka/log4j2.properties");
        let classes = self.classes.iter().map(|directory| format!("{}:", directory.display())).collect::<String>();
        let mut command = Command::new("java");
        command
            .args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={}", config.display()))
            .arg("-cp")
            .arg(format!("{classes}{}/*", jars().display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        command
    }

    fn spawn(&self, node: &Node) {
        // What it says from now on is about this start.
        std::fs::write(node.home.join("log"), "").expect("an empty log");
        let child = self.java(node).arg("kafka.Kafka").arg(node.home.join("server.properties")).spawn();
        *node.process.lock().expect("the process") = Some(child.expect("java runs"));
    }

    fn wait_until_up(&self) -> Result<(), String> {
        let since = Instant::now();
        for node in &self.nodes {
            let mut process = node.process.lock().expect("the process");
            let Some(child) = process.as_mut() else { continue };
            while !log_of(node).contains("Kafka Server started") {
                if child.try_wait().expect("its end").is_some() || since.elapsed() > START {
                    return Err(log_of(node));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // Brokers hear of one another.
        let running = self.nodes.iter().filter(|node| node.process.lock().expect("the process").is_some()).count();
        while running > 1 && self.seen() != running {
            if since.elapsed() > START {
                return Err(format!("{} of {running} brokers are seen", self.seen()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Brokers that the cluster says it has, by whichever of them answers.
    pub fn seen(&self) -> usize {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        consumer.fetch_metadata(Some("none"), Duration::from_secs(5)).map_or(0, |found| found.brokers().len())
    }

    /// Ends a broker (from 0) as a failure of the machine does.
    pub fn kill(&self, broker: usize) {
        self.node(broker).kill();
    }

    /// Starts a broker again on its port, after `kill`, and waits until it is up.
    pub fn start_again(&self, broker: usize) {
        self.spawn(self.node(broker));
        self.wait_until_up().unwrap_or_else(|error| panic!("it does not start again: {error}"));
    }

    /// Kills all brokers and starts them again, with what their configuration is now.
    pub fn restart(&self) {
        self.nodes.iter().for_each(Node::kill);
        self.nodes.iter().for_each(|node| self.spawn(node));
        self.wait_until_up().unwrap_or_else(|error| panic!("it does not start again: {error}"));
    }

    /// Adds lines to the configuration of all brokers; `restart` has them read.
    pub fn add_lines(&self, lines: &str) {
        for node in &self.nodes {
            let path = node.home.join("server.properties");
            let text = std::fs::read_to_string(&path).expect("server.properties");
            std::fs::write(path, format!("{text}\n{lines}\n")).expect("server.properties is written");
        }
    }

    fn node(&self, broker: usize) -> &Node {
        self.nodes.get(broker).expect("such a broker")
    }

    fn speaks_tls(&self) -> bool {
        matches!(self.access, Access::ScramOverTls | Access::Certificate)
    }

    /// Where its files lie, certificates among them.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// The path of one of its files.
    pub fn file(&self, name: &str) -> String {
        self.home().join(name).display().to_string()
    }

    /// What a broker has said since its last start.
    pub fn log(&self, broker: usize) -> String {
        log_of(self.node(broker))
    }

    /// The port for clients of a broker.
    pub fn port(&self, broker: usize) -> u16 {
        self.node(broker).port
    }

    /// The port of the listener for controllers (SASL PLAIN).
    pub fn controller_port(&self, broker: usize) -> u16 {
        self.node(broker).controller
    }

    /// The port of the listener for brokers (SASL PLAIN).
    pub fn internal_port(&self, broker: usize) -> u16 {
        self.node(broker).internal
    }

    /// All brokers, as nornplan names them.
    pub fn name(&self) -> String {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect::<Vec<_>>().join(",")
    }

    /// A raw client as the admin.
    pub fn client(&self) -> ClientConfig {
        self.client_as(ADMIN, PASSWORD)
    }

    /// A raw client as somebody. Where certificates are asked for, `<user>.crt` is shown.
    pub fn client_as(&self, user: &str, password: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.name()).set("log_level", "0");
        let protocol = match self.access {
            Access::Scram => "SASL_PLAINTEXT",
            Access::ScramOverTls => "SASL_SSL",
            Access::Open => "PLAINTEXT",
            Access::Certificate => "SSL",
        };
        config.set("security.protocol", protocol);
        if matches!(self.access, Access::Scram | Access::ScramOverTls) {
            config.set("sasl.mechanism", "SCRAM-SHA-512").set("sasl.username", user).set("sasl.password", password);
        }
        if self.speaks_tls() {
            config.set("ssl.ca.location", self.file("authority.crt"));
        }
        if self.access == Access::Certificate {
            config.set("ssl.certificate.location", self.file(&format!("{user}.crt")));
            config.set("ssl.key.location", self.file(&format!("{user}.key")));
        }
        config
    }

    /// Has every run of nornplan in a workspace use these brokers, as their admin.
    pub fn serve(&self, workspace: &mut Workspace) {
        workspace.set("NORNPLAN_KAFKA_BROKERS", &self.name());
        workspace.set("NORNPLAN_KAFKA_USER", ADMIN);
        workspace.set("NORNPLAN_KAFKA_PASSWORD", PASSWORD);
        if matches!(self.access, Access::Open | Access::Certificate) {
            workspace.set("NORNPLAN_KAFKA_MECHANISM", "none");
            workspace.set("NORNPLAN_KAFKA_PASSWORD", "");
        }
        if self.speaks_tls() {
            workspace.set("NORNPLAN_KAFKA_CA_FILE", &self.file("authority.crt"));
        }
        if self.access == Access::Certificate {
            workspace.set("NORNPLAN_KAFKA_CERT_FILE", &self.file("admin.crt"));
            workspace.set("NORNPLAN_KAFKA_KEY_FILE", &self.file("admin.key"));
        }
    }
}

impl Node {
    fn kill(&self) {
        if let Some(mut child) = self.process.lock().expect("the process").take() {
            child.kill().expect("it is killed");
            child.wait().expect("its end");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_of(node: &Node) -> String {
    String::from_utf8_lossy(&std::fs::read(node.home.join("log")).unwrap_or_default()).into_owned()
}

/// Ports and files are filled in later.
fn properties(setup: &Setup, id: u16, voters: &str) -> String {
    let (protocol, more) = match setup.access {
        Access::Scram => ("SASL_PLAINTEXT", ""),
        Access::ScramOverTls => ("SASL_SSL", ""),
        Access::Open => ("PLAINTEXT", ""),
        Access::Certificate => ("SSL", "listener.name.apps.ssl.client.auth=required\n"),
    };
    let copies = setup.brokers.min(3);
    let mut listeners = "CONTROLLER://127.0.0.1:@CONTROLLER_PORT@,INTERNAL://127.0.0.1:@INTERNAL_PORT@".to_owned();
    let mut advertised = "INTERNAL://127.0.0.1:@INTERNAL_PORT@".to_owned();
    let mut protocols = "CONTROLLER:SASL_PLAINTEXT,INTERNAL:SASL_PLAINTEXT".to_owned();
    let mut text = String::new();
    let apps = ("APPS".to_owned(), protocol, "127.0.0.1:@PORT@".to_owned(), "127.0.0.1:@PORT@".to_owned());
    let others = setup.listeners.iter().map(|one| {
        (one.name.to_ascii_uppercase(), one.protocol, format!("127.0.0.1:{}", one.port), one.advertised.clone())
    });
    for (name, protocol, address, as_advertised) in [apps].into_iter().chain(others) {
        listeners += &format!(",{name}://{address}");
        advertised += &format!(",{name}://{as_advertised}");
        protocols += &format!(",{name}:{protocol}");
        let prefix = format!("listener.name.{}", name.to_ascii_lowercase());
        if protocol.starts_with("SASL") {
            for mechanism in ["512", "256"] {
                text += &format!(
                    "{prefix}.scram-sha-{mechanism}.sasl.jaas.config=\
                     org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
                );
            }
        }
        if protocol.ends_with("SSL") {
            text += &format!(
                "{prefix}.ssl.keystore.type=PEM\n{prefix}.ssl.keystore.location=@FILES@/keys.pem\n\
                 {prefix}.ssl.truststore.type=PEM\n{prefix}.ssl.truststore.location=@FILES@/authority.crt\n"
            );
        }
    }
    text += &format!(
        "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={voters}\n\
         listeners={listeners}\nadvertised.listeners={advertised}\nlistener.security.protocol.map={protocols}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=INTERNAL\n\
         sasl.mechanism.controller.protocol=PLAIN\nsasl.mechanism.inter.broker.protocol=PLAIN\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256\n\
         auto.create.topics.enable=false\ngroup.initial.rebalance.delay.ms=0\n\
         default.replication.factor={copies}\noffsets.topic.num.partitions=4\ntransaction.state.log.num.partitions=4\n\
         offsets.topic.replication.factor={copies}\ntransaction.state.log.replication.factor={copies}\n\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor={copies}\n\
         share.coordinator.state.topic.min.isr=1\n\
         metadata.log.max.record.bytes.between.snapshots={SNAPSHOT}\n\
         controller.quorum.election.timeout.ms=500\ncontroller.quorum.fetch.timeout.ms=1000\n\
         broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n"
    );
    for listener in ["controller", "internal"] {
        text += &format!(
            "listener.name.{listener}.sasl.enabled.mechanisms=PLAIN\n\
             listener.name.{listener}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"{ADMIN}\" password=\"{PASSWORD}\" user_{ADMIN}=\"{PASSWORD}\";\n"
        );
    }
    if setup.authorizer {
        text += &format!(
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:{ADMIN};User:CN={ADMIN}\n"
        );
    }
    text + more + &setup.lines
}

/// The jars that `make infra` would run.
pub fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| PathBuf::from(fetched("java", "kafka_jars").unwrap_or_else(|why| panic!("{why}"))))
}
