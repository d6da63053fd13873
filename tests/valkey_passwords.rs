//! Passwords of Valkey: never seen on the server, new ones without a moment in which neither works, and no strange ones.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::valkey_at;
use fred::types::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const APP: &str = "app = \"@a\"\n[services.kv]\n";

fn applied(server: &OwnValkey) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", APP);
    workspace.converge();
    workspace
}

fn user(workspace: &Workspace) -> String {
    format!("{}a", workspace.prefix)
}

/// The hashes of the passwords that a user may sign in with.
fn hashes(server: &OwnValkey, user: &str) -> Vec<String> {
    let mut parts = server.run(&["ACL", "GETUSER", user]).into_array().into_iter();
    parts.find(|part| part.as_str().as_deref() == Some("passwords")).expect("it has passwords");
    parts.next().expect("a list").into_array().into_iter().filter_map(Value::into_string).collect()
}

fn signs_in(url: &str) -> bool {
    valkey_at(url, &["PING"]).is_ok()
}

/// Everything that the server tells whoever watches it, until it is dropped.
struct Monitor(TcpStream);

impl Monitor {
    fn of(server: &OwnValkey) -> Self {
        let mut stream = TcpStream::connect(server.name()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
        stream.write_all(format!("AUTH {PASSWORD}\r\nMONITOR\r\n").as_bytes()).expect("it is asked");
        Self(stream)
    }

    fn seen(&mut self) -> String {
        let mut seen = Vec::new();
        let mut some = [0; 65_536];
        while let Ok(read) = self.0.read(&mut some)
            && read > 0
        {
            seen.extend_from_slice(&some[..read]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

#[test]
fn no_password_is_ever_seen_on_the_server() {
    let server = OwnValkey::with(Saves::AclFile, "loglevel debug\n");
    server.run(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    server.run(&["CONFIG", "SET", "slowlog-max-len", "100000"]);
    let mut monitor = Monitor::of(&server);
    let workspace = applied(&server);
    let first = workspace.published("@a", "VALKEY_URL");
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
    let second = workspace.published("@a", "VALKEY_URL");
    assert_ne!(first, second);
    let password = |url: &str| url.split(['@', ':']).nth(2).expect("a password").to_owned();
    let passwords = [password(&first), password(&second), PASSWORD.to_owned()];
    assert!(passwords.iter().all(|password| password.len() > 20), "that is no password");
    let mut shown = vec![("MONITOR", monitor.seen()), ("the log", server.log())];
    for (what, words) in [
        ("SLOWLOG", vec!["SLOWLOG", "GET", "100000"]),
        ("ACL LOG", vec!["ACL", "LOG", "1000"]),
        ("CLIENT LIST", vec!["CLIENT", "LIST"]),
        ("ACL LIST", vec!["ACL", "LIST"]),
    ] {
        shown.push((what, format!("{:?}", server.run(&words))));
    }
    shown.push(("the aclfile", std::fs::read_to_string(server.home().join("acl/users.acl")).expect("the aclfile")));
    for file in ["state/default.json", "nornplan.toml"] {
        shown.push((file, workspace.read(file)));
    }
    for (what, text) in &shown {
        for password in &passwords {
            assert!(!text.contains(password.as_str()), "{what} shows a password: {text}");
        }
    }
    let of = |name: &str| &shown.iter().find(|(what, _)| *what == name).expect("it was looked at").1;
    // These did watch.
    assert!(of("MONITOR").contains("\"AUTH\" \"(redacted)\" \"(redacted)\""), "{}", of("MONITOR"));
    assert!(of("SLOWLOG").contains("SETUSER"), "{}", of("SLOWLOG"));
}

#[test]
fn an_app_signs_in_all_the_time_that_its_password_is_rotated() {
    let server = OwnValkey::start();
    let workspace = applied(&server);
    let (stop, tries) = (AtomicBool::new(false), AtomicUsize::new(0));
    let former = workspace.published("@a", "VALKEY_URL");
    std::thread::scope(|scope| {
        let app = scope.spawn(|| {
            let mut known = workspace.published("@a", "VALKEY_URL");
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                // As an app that reads its environment anew where it is turned away.
                if !signs_in(&known) {
                    known = workspace.published("@a", "VALKEY_URL");
                    if !signs_in(&known) && known == workspace.published("@a", "VALKEY_URL") {
                        failed.push(tries.load(Ordering::Relaxed));
                    }
                }
                tries.fetch_add(1, Ordering::Relaxed);
            }
            failed
        });
        for _ in 0..4 {
            let rotated = workspace.run(&["rotate", "@a", "--auto-approve"]);
            if rotated.code != 0 {
                stop.store(true, Ordering::Relaxed);
            }
            rotated.exits(0).complains("former password removed").says("1 rotated");
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(app.join().expect("the app"), Vec::<usize>::new());
    });
    assert!(tries.load(Ordering::Relaxed) > 20, "the app hardly tried");
    assert!(!signs_in(&former));
    assert!(signs_in(&workspace.published("@a", "VALKEY_URL")));
    assert_eq!(hashes(&server, &user(&workspace)).len(), 1);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_rotation_that_is_killed_leaves_a_password_that_works_and_ends_with_one() {
    let server = OwnValkey::start();
    let workspace = applied(&server);
    for delay in (0..12).map(|step| Duration::from_millis(60 + 25 * step)) {
        let mut command = workspace.command(&["rotate", "@a", "--auto-approve"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        // What is published works, whenever it was killed.
        assert!(signs_in(&workspace.published("@a", "VALKEY_URL")), "after {delay:?}");
        workspace.run(&["drift"]).hides("extra passwords").hides("valkey.user.@a  drifted");
        workspace.run(&["apply", "--auto-approve"]).exits(0);
        assert!(signs_in(&workspace.published("@a", "VALKEY_URL")), "repaired after {delay:?}");
        assert_eq!(hashes(&server, &user(&workspace)).len(), 1, "after {delay:?}");
        workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

#[test]
fn what_a_kill_between_publishing_and_removing_leaves_is_removed_without_being_asked() {
    let server = OwnValkey::start();
    let workspace = applied(&server);
    let (name, former) = (user(&workspace), hashes(&server, &user(&workspace)));
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
    server.run(&["ACL", "SETUSER", &name, &format!("#{}", former[0])]);
    let told = "an extra password is accepted for this user: only the published one will be";
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(told).says("drifted").hides(&former[0]);
    workspace.run(&["drift"]).exits(2).says("extra passwords");
    workspace.converge();
    assert_eq!(hashes(&server, &name).len(), 1);
    assert!(signs_in(&workspace.published("@a", "VALKEY_URL")));

    // What the state knows as the former one is nobody's drift.
    let mut state: serde_json::Value = serde_json::from_str(&workspace.read("state/default.json")).unwrap();
    state["resources"][format!("valkey.user.{name}")]["former"] = former[0].clone().into();
    std::fs::write(workspace.path("state/default.json"), state.to_string()).unwrap();
    server.run(&["ACL", "SETUSER", &name, &format!("#{}", former[0])]);
    server.run(&["ACL", "SAVE"]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("a rotation did not finish").hides("drifted");
    let left = "is left by an earlier apply (an earlier run did not finish): the next apply sets it right";
    workspace.run(&["drift"]).flat().exits(0).says(&format!("valkey.user.{name} {left}")).says("No drift.");
    // Another one beside it is.
    server.run(&["ACL", "SETUSER", &name, ">a-strange-password"]);
    server.run(&["ACL", "SAVE"]);
    workspace.run(&["drift"]).exits(2).says("extra passwords").hides("left by an earlier apply");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    workspace.run(&["apply", "plan.json"]).exits(0).says("1 updated");
    assert_eq!(hashes(&server, &name).len(), 1);
}

#[test]
fn a_user_without_a_password_is_asked_about_and_told_where_people_keep_it() {
    let server = OwnValkey::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", &format!("{APP}credential = \"keep\"\n"));
    workspace.converge();
    let name = user(&workspace);
    let told = format!("{name} is on and has no password: nobody can sign in as it until you set one (ACL SETUSER");
    let tells = || {
        workspace.run(&["plan", "--detailed-exitcode"]).flat().exits(0).says(&told).says("No changes.");
        workspace.run(&["doctor"]).flat().says("is on and has no password").says(&format!("ACL SETUSER {name} >..."));
    };
    tells();
    let by_hand = |rule: &str| {
        server.run(&["ACL", "SETUSER", &name, rule]);
        server.run(&["ACL", "SAVE"]);
    };
    by_hand(">one-that-people-keep");
    let nothing = || {
        workspace.run(&["plan", "--detailed-exitcode"]).exits(0).hides("no password");
        workspace.run(&["doctor"]).hides("no password");
    };
    nothing();

    by_hand("nopass");
    let anybody = server.url(&name, "anything");
    let allow = format!("--allow-interrupt valkey.user.{name}");
    let applied = workspace.run(&["apply", "--auto-approve"]).flat().exits(0).says(&allow);
    applied.says("this removes nopass, which threw its passwords away: nobody can sign in as it until you set one");
    assert!(signs_in(&anybody), "held");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "valkey.user.@a"]).exits(0);
    assert!(!signs_in(&anybody) && hashes(&server, &name).is_empty());
    tells();
    by_hand(">another-that-people-keep");
    assert!(signs_in(&server.url(&name, "another-that-people-keep")));
    nothing();
}

#[test]
fn a_strange_password_is_drift_but_takes_consent_where_the_user_was_not_ours() {
    let server = OwnValkey::start();
    let workspace = applied(&server);
    let name = user(&workspace);
    let strange = server.url(&name, "a-strange-password");
    server.run(&["ACL", "SETUSER", &name, ">a-strange-password", ">another-one"]);
    assert!(signs_in(&strange));
    workspace.run(&["drift"]).exits(2).says("extra passwords");
    workspace.run(&["plan"]).exits(0).says("2 extra passwords are accepted for this user");
    workspace.converge();
    assert!(!signs_in(&strange) && signs_in(&workspace.published("@a", "VALKEY_URL")));

    // The same, with no state that says it is ours.
    server.run(&["ACL", "SETUSER", &name, ">a-strange-password"]);
    workspace.run(&["state", "forget", "valkey.user.@a"]).exits(0);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("needs --allow-interrupt");
    assert!(signs_in(&strange));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "valkey.user.@a"]).exits(0);
    assert!(!signs_in(&strange) && signs_in(&workspace.published("@a", "VALKEY_URL")));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // Where people keep the passwords, they are none of ours.
    workspace.spec("a", &format!("{APP}credential = \"keep\"\n"));
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    server.run(&["ACL", "SETUSER", &name, ">a-strange-password"]);
    server.run(&["ACL", "SAVE"]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert!(signs_in(&strange));
}

/// Waits until a replica knows its primary, and the primary it.
fn replicating(primary: &OwnValkey, replica: &OwnValkey) {
    let started = Instant::now();
    let online = || {
        let info = primary.run(&["INFO", "replication"]);
        info.as_str_lossy().unwrap_or_default().contains(&format!("port={},state=online", replica.port))
    };
    while !online() {
        assert!(started.elapsed() < Duration::from_secs(20), "no replica: {}", replica.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn passwords_become_the_same_on_every_node() {
    let primary = OwnValkey::start();
    let replica = OwnValkey::with(
        Saves::AclFile,
        &format!("replicaof 127.0.0.1 {}\nmasterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n", primary.port),
    );
    replicating(&primary, &replica);
    let workspace = applied(&primary);
    let name = user(&workspace);
    let right = hashes(&primary, &name);
    assert_eq!(hashes(&replica, &name), right);
    for (node, change) in [
        (&replica, vec![">a-strange-password"]),
        (&replica, vec!["resetpass"]),
        (&replica, vec!["resetpass", ">a-strange-password"]),
        (&primary, vec![">a-strange-password"]),
        (&primary, vec!["resetpass", ">a-strange-password"]),
    ] {
        let words: Vec<&str> = ["ACL", "SETUSER", &name].into_iter().chain(change.clone()).collect();
        node.run(&words);
        workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("drifted");
        workspace.converge();
        assert_eq!(hashes(&primary, &name), right, "{change:?}");
        assert_eq!(hashes(&replica, &name), right, "{change:?}");
    }
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
    assert_ne!(hashes(&primary, &name), right);
    assert_eq!(hashes(&replica, &name), hashes(&primary, &name));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}
