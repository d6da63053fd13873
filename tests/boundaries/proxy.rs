//! Ways to the three services that can be cut at a boundary, as the run that stands there asks for.

use common::{Workspace, service};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Requests that change something (`apiKey` of Kafka's protocol): CreateTopics, DeleteTopics, CreateAcls, DeleteAcls,
/// CreatePartitions, IncrementalAlterConfigs, AlterUserScramCredentials.
const KAFKA_WRITES: [i16; 7] = [19, 20, 30, 31, 37, 44, 51];

#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    /// Requests and answers of Kafka's, each with its length before it.
    Kafka,
    Bytes,
}

/// The way to one service. It ends with the test's process.
struct Way {
    speaks: Speaks,
    from: u16,
    to: u16,
    open: Mutex<Vec<Arc<Link>>>,
    /// The next request's answer is to be lost, and with it this process, if it is not 0.
    loses: Mutex<Option<u32>>,
}

/// One connection.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// Answers are lost from now on, and with them this process, if it is not 0.
    loses: OnceLock<u32>,
}

impl Link {
    fn cut(&self) {
        for stream in [&self.client, &self.server] {
            // It may be closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Way {
    fn open(speaks: Speaks, to: u16) -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let from = listener.local_addr().expect("an address").port();
        let way = Arc::new(Self { speaks, from, to, open: Mutex::default(), loses: Mutex::default() });
        let this = way.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("a socket");
                }
                let link = Arc::new(Link { client, server, loses: OnceLock::new() });
                this.open.lock().expect("the links").push(link.clone());
                let (there, back) = (this.clone(), this.clone());
                let (out, home) = (link.clone(), link);
                std::thread::spawn(move || there.ask(&out));
                std::thread::spawn(move || back.answer(&home));
            }
        });
        way
    }

    fn cut(&self) {
        for link in self.open.lock().expect("the links").drain(..) {
            link.cut();
        }
    }

    /// Forwards what the client says.
    fn ask(&self, link: &Link) {
        while let Some(said) = self.read(&link.client) {
            let key = said.get(4..6).map(|key| i16::from_be_bytes([key[0], key[1]]));
            let counts = self.speaks == Speaks::Bytes || key.is_some_and(|key| KAFKA_WRITES.contains(&key));
            let lost = if counts { self.loses.lock().expect("what is lost").take() } else { None };
            if let Some(process) = lost {
                link.loses.get_or_init(|| process);
            }
            if (&link.server).write_all(&said).is_err() {
                break;
            }
            if let Some(process) = lost.filter(|process| *process > 0) {
                let killed = Command::new("kill").arg("-9").arg(process.to_string()).status();
                assert!(killed.expect("kill runs").success());
            }
        }
        link.cut();
        self.open.lock().expect("the links").retain(|other| !std::ptr::eq(other.as_ref(), link));
    }

    /// Forwards what the server says.
    fn answer(&self, link: &Link) {
        while let Some(mut said) = self.read(&link.server) {
            match link.loses.get() {
                Some(0) => break,
                // Whoever is about to be killed must not end by itself before, as the connection broke.
                Some(_) => continue,
                None => {}
            }
            if self.speaks == Speaks::Kafka {
                self.lead_here(&mut said);
            }
            if (&link.client).write_all(&said).is_err() {
                break;
            }
        }
        link.cut();
    }

    fn read(&self, mut stream: &TcpStream) -> Option<Vec<u8>> {
        if self.speaks == Speaks::Bytes {
            let mut some = vec![0; 65_536];
            let length = stream.read(&mut some).ok().filter(|length| *length > 0)?;
            some.truncate(length);
            return Some(some);
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).ok()?];
        stream.read_exact(&mut frame).ok()?;
        Some([&length[..], &frame].concat())
    }

    /// Brokers say where they are: their host, then their port. Here they are behind this way.
    fn lead_here(&self, said: &mut [u8]) {
        let brokers = [b"127.0.0.1".as_slice(), &i32::from(self.to).to_be_bytes()].concat();
        let port = i32::from(self.from).to_be_bytes();
        let mut at = 0;
        while let Some(found) = said[at..].windows(brokers.len()).position(|part| part == brokers) {
            at += found + brokers.len();
            said[at - port.len()..at].copy_from_slice(&port);
        }
    }
}

/// The ways of one workspace.
pub struct Proxy {
    ways: [(&'static str, Arc<Way>); 4],
    asked: AtomicUsize,
}

impl Proxy {
    /// Leads a workspace's runs over these ways.
    pub fn before(workspace: &mut Workspace) -> Arc<Self> {
        let port = |text: &str| text.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let way = |name, speaks| Way::open(speaks, port(&service(name)));
        let ways = [
            ("postgres", way("NORNPLAN_POSTGRES_PORT", Speaks::Bytes)),
            ("valkey", way("NORNPLAN_VALKEY_PORT", Speaks::Bytes)),
            ("kafka", way("NORNPLAN_KAFKA_BROKERS", Speaks::Kafka)),
            // On the same server, by a way of its own.
            ("state", way("NORNPLAN_POSTGRES_PORT", Speaks::Bytes)),
        ];
        workspace.set("NORNPLAN_POSTGRES_PORT", &ways[0].1.from.to_string());
        workspace.set("NORNPLAN_VALKEY_PORT", &ways[1].1.from.to_string());
        workspace.set("NORNPLAN_KAFKA_BROKERS", &format!("127.0.0.1:{}", ways[2].1.from));
        workspace.set("NORNPLAN_STATE_PORT", &ways[3].1.from.to_string());
        let socket = workspace.path("proxy.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        workspace.set("NORNPLAN_FAILPOINT_PROXY", socket.to_str().expect("UTF-8"));
        let proxy = Arc::new(Self { ways, asked: AtomicUsize::new(0) });
        let this = proxy.clone();
        std::thread::spawn(move || {
            for mut run in listener.incoming().flatten() {
                let mut line = String::new();
                BufReader::new(&run).read_line(&mut line).expect("a line");
                this.obey(line.trim());
                run.write_all(b"done\n").expect("it waits for this");
            }
        });
        proxy
    }

    fn obey(&self, said: &str) {
        let words: Vec<&str> = said.split(' ').collect();
        let [what, name, process] = words[..] else { panic!("{said}") };
        let (_, way) = self.ways.iter().find(|(known, _)| *known == name).expect("a service");
        match what {
            "cut" => way.cut(),
            "lose" => *way.loses.lock().expect("what is lost") = Some(0),
            "kill" => *way.loses.lock().expect("what is lost") = Some(process.parse().expect("a number")),
            other => panic!("{other}"),
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was asked for something since it was looked at last.
    pub fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// Whether an answer was to be lost and no request came.
    pub fn still_loses(&self) -> bool {
        self.ways.iter().filter_map(|(_, way)| way.loses.lock().expect("what is lost").take()).count() > 0
    }
}
