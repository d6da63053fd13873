//! What stands in for a Redpanda, which cannot run here: a real Apache Kafka whose cluster has the id of a Redpanda, behind
//! a relay that takes the calls for users out of what the broker says that it has (as before Redpanda 25.2), and an Admin
//! API that makes those users on that Kafka. It is written by the handlers' code, as testdata/redpanda is.
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::Workspace;
use super::http::{Heard, Nodes, Reply, json, listeners};
use super::own_kafka::{ADMIN, Access, OwnKafka, PASSWORD, Setup};
use super::servers::block_on;
use super::settled::settled;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nornplan::core::secret::Secret;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{Alteration, Change};
use rdkafka::ClientConfig;
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Kafka's numbers of the calls for SCRAM users.
const USER_CALLS: [i16; 2] = [50, 51];
const API_VERSIONS: i16 = 18;

/// What the Admin API is like; it can be changed while it runs.
#[derive(Default)]
pub struct Manner {
    /// Whether the Kafka API has calls for users, as from 25.2 on.
    pub kafka_has_users: AtomicBool,
    /// Whether the Admin API tells mechanisms and times, as from 26.1 on.
    pub tells_times: AtomicBool,
    /// Whether everybody is let in.
    pub open: AtomicBool,
}

/// A user of the Admin API.
struct User {
    mechanism: String,
    password: String,
    set_at: u32,
}

/// Everything together. Make it before the `Workspace` that uses it.
pub struct Standin {
    admin_api: Nodes,
    relay: String,
    pub manner: Arc<Manner>,
    pub calls: Arc<Mutex<Vec<String>>>,
    keeper: Arc<Keeper>,
}

impl Standin {
    pub fn start() -> Self {
        let [listener] = listeners(1).try_into().expect("one port");
        let relay = listener.local_addr().expect("an address").to_string();
        let advertised = format!("advertised.listeners=APPS://{relay},INTERNAL://127.0.0.1:@INTERNAL_PORT@");
        let id = "redpanda.3f2a6c1e-5b1d-4f0e-8a3c-2b1f7a9c0d11";
        let kafka = Setup::new(Access::Scram).cluster(id).lines(&advertised).start();
        let manner = Arc::new(Manner::default());
        forward(listener, format!("127.0.0.1:{}", kafka.port(0)), manner.clone());
        let keeper = Arc::new(Keeper { kafka, users: Mutex::default(), clock: AtomicU32::new(0) });
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, heard_calls, how) = (keeper.clone(), calls.clone(), manner.clone());
        let admin_api = Nodes::serve(listeners(1), None, move |_, heard| {
            let line = heard.line.trim_end_matches(" HTTP/1.1").to_owned();
            heard_calls.lock().expect("the calls").push(line.clone());
            kept.answer(&line, heard, &how)
        });
        Self { admin_api, relay, manner, calls, keeper }
    }

    /// Has every run in a workspace use it, with the Admin API named or not.
    pub fn serve(&self, workspace: &mut Workspace, with_admin_url: bool) {
        self.keeper.kafka.serve(workspace);
        workspace.set("NORNPLAN_KAFKA_BROKERS", &self.relay);
        let url = if with_admin_url { self.url() } else { String::new() };
        workspace.set("NORNPLAN_KAFKA_ADMIN_URL", &url);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.admin_api.addresses[0])
    }

    /// The calls since this was last asked.
    pub fn heard(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.calls.lock().expect("the calls")).into_iter().collect()
    }

    /// Names of the users that the Admin API has.
    pub fn users(&self) -> Vec<String> {
        self.keeper.users.lock().expect("the users").keys().cloned().collect()
    }

    /// Sets a password by hand.
    pub fn change_password(&self, user: &str, password: &str) {
        self.keeper.set(user, password, "SCRAM-SHA-512");
    }
}

/// The users, here and on the real broker.
struct Keeper {
    kafka: OwnKafka,
    users: Mutex<BTreeMap<String, User>>,
    clock: AtomicU32,
}

impl Keeper {
    fn answer(&self, line: &str, heard: &Heard, manner: &Manner) -> Reply {
        let on = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let basic = format!("Basic {}", STANDARD.encode(format!("{ADMIN}:{PASSWORD}")));
        if !on(&manner.open) && heard.headers.get("authorization") != Some(&basic) {
            return refuse("403 Forbidden", "Forbidden (superuser role required)");
        }
        let body: Value = serde_json::from_str(&heard.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        let users = || self.users.lock().expect("the users");
        match line.split_once(' ').expect("a method and a path") {
            ("GET", "/v1/security/users") => ok(&value!(users().keys().collect::<Vec<_>>())),
            ("POST", "/v1/security/users") => {
                let (name, password, algorithm) = (text("username"), text("password"), text("algorithm"));
                let same = users().get(&name).map(|user| user.password == password && user.mechanism == algorithm);
                match same {
                    Some(false) => refuse("500 Internal Server Error", "Unexpected cluster error: User already exists"),
                    Some(true) => done(),
                    None => self.set(&name, &password, &algorithm),
                }
            }
            ("GET", "/v1/cluster_config?include_defaults=true") => ok(&value!({
                "enable_sasl": true, "kafka_enable_authorization": null, "superusers": [ADMIN],
                "kafka_nodelete_topics": ["_schemas"]
            })),
            ("GET", "/v1/brokers") => ok(&value!([{"node_id": 1, "version": "v24.3.1 - 8f1d4e"}])),
            ("GET", "/v1/security/roles") => ok(&value!({"roles": []})),
            ("POST", "/redpanda.core.admin.v2.SecurityService/ListScramCredentials") if on(&manner.tells_times) => {
                let one = |(name, user): (&String, &User)| {
                    let mechanism = format!("SCRAM_MECHANISM_{}", user.mechanism.replace('-', "_"));
                    value!({"name": name, "mechanism": mechanism, "passwordSetAt": format!("2026-01-01T00:00:{:02}Z", user.set_at)})
                };
                ok(&value!({"scramCredentials": users().iter().map(one).collect::<Vec<_>>()}))
            }
            ("PUT", path) if path.starts_with("/v1/security/users/") => {
                self.set(path.rsplit('/').next().expect("a name"), &text("password"), &text("algorithm"))
            }
            ("DELETE", path) if path.starts_with("/v1/security/users/") => {
                let name = path.rsplit('/').next().expect("a name");
                if let Some(user) = users().remove(name) {
                    self.alter(name, &user.mechanism, None);
                }
                done()
            }
            _ => refuse("404 Not Found", "Not found"),
        }
    }

    /// One credential for each user: another mechanism replaces it.
    fn set(&self, name: &str, password: &str, mechanism: &str) -> Reply {
        let set_at = self.clock.fetch_add(1, Ordering::Relaxed);
        let user = User { mechanism: mechanism.to_owned(), password: password.to_owned(), set_at };
        let before = self.users.lock().expect("the users").insert(name.to_owned(), user);
        if let Some(before) = before.filter(|before| before.mechanism != mechanism) {
            self.alter(name, &before.mechanism, None);
        }
        self.alter(name, mechanism, Some(password));
        done()
    }

    /// On the real broker, by a listener that is not relayed.
    fn alter(&self, user: &str, mechanism: &str, password: Option<&str>) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.kafka.internal_port(0)));
        config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN");
        config.set("sasl.username", ADMIN).set("sasl.password", PASSWORD);
        let password = password.map(|password| Secret::new(password.to_owned()));
        let change = match &password {
            Some(password) => Change::Set { iterations: 4096, password },
            None => Change::Remove,
        };
        let admin = Admin::new(&config).expect("a client");
        let altered = block_on(admin.alter_users(&[Alteration { user, mechanism, change }])).expect("an answer");
        assert!(altered.values().all(Result::is_ok), "{altered:?}");
        block_on(settled(&admin));
    }
}

fn ok(body: &Value) -> Reply {
    json("200 OK", &body.to_string())
}

fn done() -> Reply {
    json("200 OK", "")
}

fn refuse(status: &str, message: &str) -> Reply {
    let code: u16 = status.split(' ').next().and_then(|code| code.parse().ok()).expect("a code");
    json(status, &value!({"message": message, "code": code}).to_string())
}

/// Relays Kafka's protocol.
fn forward(listener: TcpListener, to: String, manner: Arc<Manner>) {
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(broker) = TcpStream::connect(&to) else { continue };
            // Versions of the ApiVersions requests that are under way, by their correlation ids.
            let asked: Arc<Mutex<BTreeMap<i32, i16>>> = Arc::default();
            let (mut from_client, mut to_client) = (client.try_clone().expect("a handle"), client);
            let (mut from_broker, mut to_broker) = (broker.try_clone().expect("a handle"), broker);
            let noted = asked.clone();
            std::thread::spawn(move || {
                while let Some(request) = frame(&mut from_client) {
                    if number16(&request, 0) == API_VERSIONS {
                        noted.lock().expect("what was asked").insert(number32(&request, 4), number16(&request, 2));
                    }
                    if send(&mut to_broker, &request).is_none() {
                        break;
                    }
                }
                let _ = to_broker.shutdown(std::net::Shutdown::Both);
            });
            let manner = manner.clone();
            std::thread::spawn(move || {
                while let Some(mut answer) = frame(&mut from_broker) {
                    let version = asked.lock().expect("what was asked").remove(&number32(&answer, 0));
                    if let Some(version) = version.filter(|_| !manner.kafka_has_users.load(Ordering::Relaxed)) {
                        answer = without_user_calls(&answer, version);
                    }
                    if send(&mut to_client, &answer).is_none() {
                        break;
                    }
                }
                let _ = to_client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
}

fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).ok()?];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn send(stream: &mut TcpStream, frame: &[u8]) -> Option<()> {
    let size = i32::try_from(frame.len()).ok()?.to_be_bytes();
    stream.write_all(&[&size, frame].concat()).ok()
}

fn number16(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn number32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// An ApiVersions answer: correlation id, error, and from version 3 on a compact array of (call, lowest, highest, tags).
fn without_user_calls(answer: &[u8], version: i16) -> Vec<u8> {
    if number16(answer, 4) != 0 {
        return answer.to_vec();
    }
    assert!(version >= 3, "librdkafka asks in version 3 or later");
    let count = usize::from(answer[6]) - 1;
    assert!(count < 126, "its length is one byte");
    let (entries, rest) = answer[7..].split_at(count * 7);
    let kept: Vec<&[u8]> = entries.chunks(7).filter(|entry| !USER_CALLS.contains(&number16(entry, 0))).collect();
    assert_eq!(kept.len() + USER_CALLS.len(), count, "they were there");
    let count = u8::try_from(kept.len() + 1).expect("a small number");
    [&answer[..6], &[count], &kept.concat(), rest].concat()
}
