//! What goes wrong with a Valkey in real life: each is brought about on a real server, and told with its cause and what to
//! do next, and without the password.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "it says why it tests nothing")]

use common::own_postgres::free_port;
use common::own_valkey::{OwnValkey, PASSWORD, Saves, program};
use common::servers::valkey_at;
use common::waiting::until;
use common::{Ran, Workspace, service};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USES_IT: &str = "app = \"@a\"\n[services.kv]\n";

/// A workspace that uses what listens on a port of this machine.
fn at(host: &str, port: u16) -> Workspace {
    let mut workspace = Workspace::new();
    workspace.spec("a", USES_IT);
    workspace.set("NORNPLAN_VALKEY_HOST", host);
    workspace.set("NORNPLAN_VALKEY_PORT", &port.to_string());
    workspace.set("NORNPLAN_VALKEY_PASSWORD", PASSWORD);
    workspace
}

fn of(server: &OwnValkey) -> Workspace {
    at("127.0.0.1", server.port)
}

/// Without line breaks, and with no password in it.
fn flat(ran: Ran) -> Ran {
    ran.flat().hides(PASSWORD)
}

/// A plan and the doctor fail with a cause and a next step.
#[track_caller]
fn fails(workspace: &Workspace, cause: &str, next: &str) {
    flat(workspace.run(&["-vvv", "plan"])).exits(1).complains(cause).complains(next);
    flat(workspace.run(&["-vvv", "doctor"])).exits(1).says(cause).says(next);
}

#[track_caller]
fn works(workspace: &Workspace) {
    flat(workspace.run(&["plan"])).exits(0);
}

#[test]
fn who_may_not_in_is_told_why() {
    let server = OwnValkey::start();
    let mut workspace = of(&server);
    works(&workspace);
    workspace.set("NORNPLAN_VALKEY_PASSWORD", "");
    fails(&workspace, "asks for a password, and none is set", "set NORNPLAN_VALKEY_PASSWORD");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", "a-canary");
    fails(&workspace, "does not accept this user name and password", "check `user` under [valkey]");
    workspace.run(&["-vvv", "plan"]).hides("a-canary");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", PASSWORD);
    workspace.set("NORNPLAN_VALKEY_USER", "nobody");
    fails(&workspace, "does not accept this user name and password", "check `user` under [valkey]");
    server.run(&["ACL", "SETUSER", "nobody", &format!(">{PASSWORD}"), "~*", "&*", "+@all"]);
    fails(&workspace, "does not accept this user name and password", "switched off");
}

#[test]
fn a_server_that_is_loading_is_worked_with() {
    let server = OwnValkey::with(
        Saves::AclFile,
        "dbfilename dump.rdb\nkey-load-delay 300\nloading-process-events-interval-bytes 1024",
    );
    server.run(&["EVAL", "for i = 1, 20000 do redis.call('SET', 'k' .. i, 'v') end", "0"]);
    server.run(&["SAVE"]);
    server.stop();
    server.spawn();
    let workspace = of(&server);
    until("it is loading", || {
        server.try_run(&["GET", "k1"]).is_err_and(|error| error.details().starts_with("LOADING"))
    });
    // Users can be read and set all the same.
    flat(workspace.run(&["doctor"])).exits(0).says("is still loading its data");
    works(&workspace);
    workspace.run(&["apply", "--auto-approve", "--wait", "60s"]).exits(0);
    let still = server.try_run(&["GET", "k1"]).expect_err("it takes six seconds");
    assert!(still.details().starts_with("LOADING"), "{}", still.details());
    until("it has loaded", || server.try_run(&["GET", "k1"]).is_ok());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["doctor"]).exits(0).hides("loading");
}

#[test]
fn a_replica_is_not_the_primary() {
    let primary = OwnValkey::start();
    let lines = format!("replicaof 127.0.0.1 {}\nmasterauth {PASSWORD}\nreplica-serve-stale-data no", primary.port);
    let replica = OwnValkey::with(Saves::AclFile, &lines);
    let said = format!("this node is a replica of {}", primary.name());
    fails(&of(&replica), &said, "point [valkey] at the primary");
    // The same if it has lost its primary, and would tell nothing else.
    primary.kill();
    let refused = valkey_at(&replica.url("default", PASSWORD), &["GET", "k"]).unwrap_err();
    assert!(refused.details().starts_with("MASTERDOWN"), "{}", refused.details());
    fails(&of(&replica), &said, "point [valkey] at the primary");
}

#[test]
fn a_server_that_is_busy_with_a_script_can_be_waited_for() {
    let server = OwnValkey::with(Saves::AclFile, "busy-reply-threshold 100");
    let workspace = of(&server);
    let url = server.url("default", PASSWORD);
    std::thread::scope(|scope| {
        scope.spawn(|| valkey_at(&url, &["EVAL", "while true do end", "0"]));
        until("it is busy", || server.try_run(&["PING"]).is_err_and(|error| error.details().starts_with("BUSY")));
        fails(&workspace, "busy with a script", "SCRIPT KILL");
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            server.run(&["SCRIPT", "KILL"]);
        });
        flat(workspace.run(&["plan", "--wait", "60s"])).exits(0);
    });
}

/// A connection, if the server has room for it.
fn let_in(server: &OwnValkey) -> Option<TcpStream> {
    let mut connection = TcpStream::connect(server.name()).unwrap();
    let mut answer = [0; 4];
    let answered = connection.write_all(b"PING\r\n").and_then(|()| connection.read_exact(&mut answer));
    // It asks for a password; whom it has no room for is told so and closed.
    (answered.is_ok() && &answer == b"-NOA").then_some(connection)
}

#[test]
fn too_many_connections_can_be_waited_for() {
    let server = OwnValkey::start();
    let workspace = of(&server);
    server.run(&["CONFIG", "SET", "maxclients", "2"]);
    // Each is known to be let in: the connection that has just changed the setting may still take up room.
    let mut held = Vec::new();
    until("it is full", || {
        held.extend(let_in(&server));
        held.len() == 2
    });
    fails(&workspace, "as many connections as it may (maxclients)", "raise maxclients");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            drop(held);
        });
        flat(workspace.run(&["plan", "--wait", "60s"])).exits(0);
    });
}

#[test]
fn protected_mode_is_named() {
    let Some(address) = other_address() else {
        eprintln!("this machine has no address but loopback: nothing is tested");
        return;
    };
    let server = OwnValkey::with(Saves::AclFile, "bind *\nprotected-mode yes");
    server.run(&["ACL", "SETUSER", "default", "nopass"]);
    fails(&at(&address, server.port), "protected mode", "give its default user a password");
}

#[test]
fn a_sentinel_keeps_no_data() {
    let primary = OwnValkey::start();
    let lines = format!("sentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main {PASSWORD}", primary.port);
    let sentinel = OwnValkey::sentinel(&lines);
    fails(&of(&sentinel), "no Valkey or Redis that keeps data", "a sentinel has no keys");
}

#[test]
fn what_is_no_valkey_is_told_in_time() {
    let http = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    fails(&at("127.0.0.1", http), "answers, but not as Valkey or Redis do", "check `host` and `port` under [valkey]");
    let closes = answering(b"");
    fails(&at("127.0.0.1", closes), "the connection broke off", "check that this is a Valkey or Redis");
    let mumbles = answering(b"ERROR\r\n");
    fails(&at("127.0.0.1", mumbles), "answers, but not as Valkey or Redis do", "check `host` and `port`");

    let since = Instant::now();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    fails(&at("127.0.0.1", silent.local_addr().unwrap().port()), "did not answer in time", "check host, port");
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());

    let postgres = service("NORNPLAN_POSTGRES_PORT").parse().unwrap();
    flat(at("127.0.0.1", postgres).run(&["plan"])).exits(1).complains("help:");
}

/// What reads a request, says this, and hangs up, for as long as the test runs.
fn answering(with: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Whoever hangs up first is no failure of the test.
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(with);
        }
    });
    port
}

/// Whether anybody is connected to a port of this machine (proc_net_tcp(5): the local address, and state 01).
fn has_client(port: u16) -> bool {
    let local = format!(":{port:04X} ");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|address| format!("{address} ").ends_with(&local)) && fields.nth(1) == Some("01")
    })
}

#[test]
fn a_server_that_dies_in_the_middle_is_said_to_have_broken_off() {
    let server = OwnValkey::start();
    let workspace = of(&server);
    let in_the_middle = |arguments: &[&str], comes_back: bool| {
        // It takes commands and answers none, until it is killed.
        server.run(&["CLIENT", "PAUSE", "20000", "ALL"]);
        let mut command = workspace.command(arguments);
        let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("nornplan is connected", || has_client(server.port));
        server.kill();
        if comes_back {
            server.start_again();
        }
        flat(Ran::of(running.wait_with_output().unwrap()))
    };
    in_the_middle(&["plan"], false).exits(1).complains("the connection broke off").complains("help:");
    server.start_again();
    in_the_middle(&["plan", "--wait", "30s"], true).exits(0);
    // Between the plan and its writes: these are tried again a few times.
    let shown = dies_at_the_prompt(&server, &workspace, false);
    assert!(shown.contains("nothing listens there") && shown.contains("start the server"), "{shown}");
    server.start_again();
    let shown = dies_at_the_prompt(&server, &workspace, true);
    assert!(shown.contains("Apply complete"), "{shown}");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

/// What an apply shows at a terminal, if the server dies while it asks whether to go on.
fn dies_at_the_prompt(server: &OwnValkey, workspace: &Workspace, comes_back: bool) -> String {
    let command = workspace.command(&["--color", "never", "apply"]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line.join(" "), "/dev/null"]).current_dir(workspace.path("")).env_clear();
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm-256color");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = terminal.spawn().expect("script, of util-linux");
    let (mut keyboard, mut screen) = (running.stdin.take().unwrap(), running.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("Type yes to go on") {
        let mut some = [0; 4000];
        let length = screen.read(&mut some).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&some[..length]);
    }
    server.kill();
    keyboard.write_all(b"yes\n").unwrap();
    if comes_back {
        std::thread::sleep(Duration::from_millis(500));
        server.start_again();
    }
    screen.read_to_end(&mut shown).unwrap();
    running.wait().unwrap();
    let shown = String::from_utf8_lossy(&shown).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!shown.contains(PASSWORD), "{shown}");
    shown
}

/// An address of this machine that is not loopback. Nothing is sent.
fn other_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// A server with a plain port and one for TLS.
struct Encrypted {
    child: Child,
    plain: u16,
    tls: u16,
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("its end");
    }
}

impl Encrypted {
    /// `None` if no server here was built with TLS: the wheel's is not, Debian's is.
    fn start(files: &Path, certificate: &str) -> Option<Self> {
        Self::start_with(files, certificate, "no")
    }

    /// Whether it asks clients for a certificate: yes or no.
    fn start_with(files: &Path, certificate: &str, asks: &str) -> Option<Self> {
        let checker = Path::new("/usr/bin/redis-check-rdb");
        for program in [program(), checker] {
            let (plain, tls) = (free_port(), free_port());
            let mut command = Command::new(program);
            // Debian's tool is the server, if it is called so.
            command
                .arg0("redis-server")
                .current_dir(files)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.args(["--save", "", "--requirepass", PASSWORD, "--tls-auth-clients", asks]);
            command.args(["--port", &plain.to_string(), "--tls-port", &tls.to_string()]);
            for (option, file) in [
                ("--tls-cert-file", format!("{certificate}.crt")),
                ("--tls-key-file", format!("{certificate}.key")),
                ("--tls-ca-cert-file", "authority.crt".to_owned()),
            ] {
                command.args([option, files.join(file).to_str().unwrap()]);
            }
            let Ok(child) = command.spawn() else { continue };
            let mut server = Self { child, plain, tls };
            let url = format!("redis://:{PASSWORD}@127.0.0.1:{plain}");
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(10) && server.child.try_wait().unwrap().is_none() {
                if valkey_at(&url, &["PING"]).is_ok() {
                    return Some(server);
                }
            }
        }
        None
    }
}

/// Makes `<name>.key` and a certificate `<name>.crt`, signed by itself or by another, in a directory.
fn certificate(directory: &Path, name: &str, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-subj", &format!("/CN={name}")]);
    command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")]).args(arguments);
    let made = Ran::of(command.output().expect("openssl runs"));
    assert_eq!(made.code, 0, "{}", made.stderr);
}

#[test]
fn tls_that_does_not_fit_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path();
    certificate(files, "authority", &[]);
    certificate(files, "stranger", &[]);
    let signed = ["-CA", "authority.crt", "-CAkey", "authority.key", "-addext", "basicConstraints=CA:FALSE", "-addext"];
    certificate(files, "elsewhere", &[&signed[..], &["subjectAltName=DNS:db.internal"]].concat());
    certificate(files, "here", &[&signed[..], &["subjectAltName=IP:127.0.0.1"]].concat());
    let Some(server) = Encrypted::start(files, "here") else {
        eprintln!("no server here was built with TLS: nothing is tested");
        return;
    };
    let over_tls = |server: &Encrypted, authority: &str| {
        let mut workspace = at("127.0.0.1", server.tls);
        workspace.set("NORNPLAN_VALKEY_CA_FILE", files.join(format!("{authority}.crt")).to_str().unwrap());
        workspace
    };
    works(&over_tls(&server, "authority"));
    works(&at("127.0.0.1", server.plain));
    flat(over_tls(&server, "authority").run(&["doctor"])).says("reached over TLS");
    fails(&over_tls(&server, "stranger"), "not signed by an authority", "ca_file");
    fails(&at("127.0.0.1", server.tls), "the server speaks TLS here, and nornplan does not", "set tls = true");
    let mut wrong_port = at("127.0.0.1", server.plain);
    wrong_port.set("NORNPLAN_VALKEY_TLS", "true");
    fails(&wrong_port, "the server speaks no TLS here, and nornplan does", "set tls = false");
    by_sentinels_over_tls(files, &server);

    let elsewhere = Encrypted::start(files, "elsewhere").unwrap();
    fails(&over_tls(&elsewhere, "authority"), "for another host name", "host");

    expired(files);
    let old = Encrypted::start(files, "old").unwrap();
    fails(&over_tls(&old, "authority"), "has expired", "have it renewed");

    let authority = Encrypted::start(files, "authority").unwrap();
    fails(&over_tls(&authority, "authority"), "an authority's own certificate", "basicConstraints=CA:FALSE");

    let asking = Encrypted::start_with(files, "here", "yes").unwrap();
    fails(&over_tls(&asking, "authority"), "wants a client certificate", "cert_file and key_file");
    certificate(files, "client", &[&signed[..], &["subjectAltName=DNS:client"]].concat());
    let mut workspace = over_tls(&asking, "authority");
    workspace.set("NORNPLAN_VALKEY_CERT_FILE", files.join("client.crt").to_str().unwrap());
    workspace.set("NORNPLAN_VALKEY_KEY_FILE", files.join("client.key").to_str().unwrap());
    works(&workspace);
}

/// Sentinels that speak TLS lead to a primary that does.
fn by_sentinels_over_tls(files: &Path, primary: &Encrypted) {
    let (plain, tls) = (free_port(), free_port());
    let file = |name: &str| files.join(name).display().to_string();
    let config = format!(
        "port {plain}\ntls-port {tls}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no\n\
         tls-replication yes\nsentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main {PASSWORD}\n",
        file("here.crt"),
        file("here.key"),
        file("authority.crt"),
        primary.tls
    );
    std::fs::write(files.join("sentinel.conf"), config).unwrap();
    let mut command = Command::new("/usr/bin/redis-check-rdb");
    command.arg0("redis-server").current_dir(files).args(["sentinel.conf", "--sentinel"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _sentinel = Encrypted { child, plain, tls };
    until("the sentinel answers", || valkey_at(&format!("redis://127.0.0.1:{plain}"), &["PING"]).is_ok());
    let mut workspace = at("127.0.0.1", primary.tls);
    workspace.set("NORNPLAN_VALKEY_SENTINEL_SERVICE", "main");
    workspace.set("NORNPLAN_VALKEY_SENTINELS", &format!("127.0.0.1:{tls}"));
    fails(&workspace, "the server speaks TLS here, and nornplan does not", "set tls = true");
    workspace.set("NORNPLAN_VALKEY_CA_FILE", &file("authority.crt"));
    workspace.converge().hides(PASSWORD);
    let url = workspace.published("@a", "VALKEY_URL");
    assert!(
        url.starts_with("rediss+sentinel://") && url.ends_with(&format!("@127.0.0.1:{tls}/main/0")),
        "another form"
    );
    workspace.run(&["doctor"]).exits(0).says("the sentinel answers").says("reached over TLS");
    workspace.set("NORNPLAN_VALKEY_SENTINELS", &format!("127.0.0.1:{plain}"));
    fails(&workspace, "the server speaks no TLS here, and nornplan does", "set tls = false");
    workspace.set("NORNPLAN_VALKEY_SENTINELS", &format!("127.0.0.1:{tls}"));
}

/// Makes a certificate `old.crt` that was valid for a day long ago, signed by the authority.
fn expired(directory: &Path) {
    let config = "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nnew_certs_dir = .\nserial = serial\npolicy = p\ndefault_md = sha256\n\
        x509_extensions = e\n[p]\ncommonName = supplied\n[e]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n";
    std::fs::write(directory.join("ca.conf"), config).unwrap();
    std::fs::write(directory.join("index"), "").unwrap();
    let run = |line: &str| {
        let made = Command::new("openssl").current_dir(directory).args(line.split(' ')).output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=old -keyout old.key -out old.csr");
    run(
        "ca -batch -notext -rand_serial -config ca.conf -cert authority.crt -keyfile authority.key -in old.csr -out old.crt \
         -startdate 200101000000Z -enddate 200102000000Z",
    );
}
