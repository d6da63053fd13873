//! A small HTTP server of a test's own: what stands in for Redpanda's Admin API, which cannot run here.
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::root;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The first line: `GET /v1/security/users HTTP/1.1`.
    pub line: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What is answered: a whole response as it goes over the wire, or nothing at all.
pub type Reply = Option<String>;
type Handler = dyn Fn(usize, &Heard) -> Reply + Send + Sync;

/// A response with a JSON body.
pub fn json(status: &str, body: &str) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    Some(format!("{head}\r\n\r\n{body}"))
}

/// Servers that listen until this is dropped.
pub struct Nodes {
    /// `127.0.0.1:40001`, by node.
    pub addresses: Vec<String>,
    ended: Arc<AtomicBool>,
}

impl Nodes {
    /// Starts so many. The handler gets the number of the node that was asked.
    pub fn serve(
        listeners: Vec<TcpListener>,
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(usize, &Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let handler: Arc<Handler> = Arc::new(handler);
        let ended = Arc::new(AtomicBool::new(false));
        let addresses = listeners.iter().map(|one| one.local_addr().expect("an address").to_string()).collect();
        for (node, listener) in listeners.into_iter().enumerate() {
            let (handler, tls, ended) = (handler.clone(), tls.clone(), ended.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let (handler, tls) = (handler.clone(), tls.clone());
                    std::thread::spawn(move || talk(node, stream, tls, handler.as_ref()));
                }
            });
        }
        Self { addresses, ended }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for address in &self.addresses {
            // Wakes the listener, which then ends.
            drop(TcpStream::connect(address));
        }
    }
}

/// Free ports that are listened on already, so that nobody takes them.
pub fn listeners(count: usize) -> Vec<TcpListener> {
    (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect()
}

/// TLS with `<name>.crt` and `<name>.key` of a directory.
pub fn server_tls(directory: &Path, name: &str) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}.crt"))).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server's certificate");
    Arc::new(config)
}

fn talk(node: usize, stream: TcpStream, tls: Option<Arc<ServerConfig>>, handler: &Handler) {
    // What comes from somebody who speaks something else ends here; the client tells what it came to.
    let _ = match tls {
        Some(config) => {
            let connection = ServerConnection::new(config).expect("a connection");
            answer(node, StreamOwned::new(connection, stream), handler)
        }
        None => answer(node, stream, handler),
    };
}

fn answer(node: usize, stream: impl Read + Write, handler: &Handler) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut text = String::new();
        stream.read_line(&mut text)?;
        let Some((name, value)) = text.trim_end().split_once(": ") else { break };
        let before = headers.insert(name.to_ascii_lowercase(), value.to_owned());
        assert_eq!(before, None, "{name} comes twice");
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).expect("UTF-8");
    let heard = Heard { line: line.trim_end().to_owned(), headers, body };
    if let Some(reply) = handler(node, &heard) {
        stream.get_mut().write_all(reply.as_bytes())?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// One request that is expected, and its answer.
struct Exchange {
    node: usize,
    heard: Heard,
    reply: Reply,
}

#[derive(Default)]
struct Script {
    left: Vec<Exchange>,
    unexpected: Vec<(usize, Heard)>,
}

/// The exchanges of a file in testdata/redpanda, each of which takes place exactly once.
pub struct Recorded {
    nodes: Nodes,
    script: Arc<Mutex<Script>>,
}

impl Recorded {
    /// Plays a file. Its form stands in testdata/redpanda/README.md.
    pub fn play(name: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let path = root().join("testdata/redpanda").join(name);
        let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = text.lines().filter_map(node_of).max().unwrap_or_default() + 1;
        let listeners = listeners(count);
        for (node, listener) in listeners.iter().enumerate() {
            text = text.replace(&format!("@{node}@"), &listener.local_addr().expect("an address").to_string());
        }
        let script = Arc::new(Mutex::new(Script { left: parse(&text), unexpected: Vec::new() }));
        let playing = script.clone();
        let nodes = Nodes::serve(listeners, tls, move |node, heard| {
            let mut script = playing.lock().expect("the script");
            let found = script.left.iter().position(|one| one.node == node && one.heard == *heard);
            match found {
                Some(at) => script.left.remove(at).reply,
                None => {
                    script.unexpected.push((node, heard.clone()));
                    json("599 Unexpected", "{\"message\": \"the test did not expect this\"}")
                }
            }
        });
        Self { nodes, script }
    }

    /// The URLs of the first nodes, as `kafka.admin_url` has them.
    pub fn urls(&self, scheme: &str, count: usize) -> String {
        let urls: Vec<String> =
            self.nodes.addresses.iter().take(count).map(|address| format!("{scheme}://{address}")).collect();
        urls.join(",")
    }

    /// Demands that everything took place, and nothing else.
    #[track_caller]
    pub fn finish(self) {
        let script = self.script.lock().expect("the script");
        let left: Vec<(usize, &Heard)> = script.left.iter().map(|one| (one.node, &one.heard)).collect();
        assert!(
            left.is_empty() && script.unexpected.is_empty(),
            "expected and not asked: {left:#?}\nnot expected: {:#?}",
            script.unexpected
        );
    }
}

fn node_of(line: &str) -> Option<usize> {
    line.strip_prefix("== node ")?.trim().parse().ok()
}

fn parse(text: &str) -> Vec<Exchange> {
    let mut parts: Vec<(usize, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (node_of(line), parts.last_mut()) {
            (Some(node), _) => parts.push((node, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            // What stands before the first exchange is for people.
            (None, None) => {}
        }
    }
    parts.into_iter().map(|(node, lines)| exchange(node, &lines)).collect()
}

fn exchange(node: usize, lines: &[&str]) -> Exchange {
    let at = lines.iter().position(|line| *line == "--").unwrap_or_else(|| panic!("no -- in {lines:#?}"));
    let (line, headers, body) = message(&lines[..at]);
    let mut headers: BTreeMap<String, String> =
        headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if !body.is_empty() {
        headers.insert("content-length".to_owned(), body.len().to_string());
    }
    let heard = Heard { line, headers, body };
    if lines[at + 1..].iter().all(|line| line.trim().is_empty()) {
        return Exchange { node, heard, reply: None };
    }
    let (line, headers, body) = message(&lines[at + 1..]);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let reply = format!("{line}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    Exchange { node, heard, reply: Some(reply) }
}

fn message(lines: &[&str]) -> (String, Vec<(String, String)>, String) {
    let mut lines = lines.iter();
    let line = lines.next().expect("a first line").to_string();
    let headers = lines.by_ref().take_while(|line| !line.is_empty());
    let headers = headers.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no header"));
        (name.to_owned(), value.to_owned())
    });
    let headers = headers.collect();
    let body = lines.copied().collect::<Vec<_>>().join("\n").trim_end().to_owned();
    (line, headers, body)
}
