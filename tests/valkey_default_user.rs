//! `[valkey] default_user`: the user as which every connection is that has not signed in. On servers of the tests' own,
//! since every other test signs in as it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::valkey_at;
use common::waiting::until;
use common::{Ran, Workspace};
use std::io::{Read, Write};
use std::net::TcpStream;

const ADDRESS: &str = "valkey.default_user.default";
const ADMIN: &str = "the-password-of-an-admin-beside";

fn file(default_user: &str) -> String {
    format!("specs = \"specs\"\n[valkey]\ndefault_user = \"{default_user}\"\n")
}

/// A workspace that uses the server for one app, as its user `default`.
fn begin(server: &OwnValkey, default_user: &str) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.write("nornplan.toml", &file(default_user));
    workspace.spec("cafe", "app = \"@cafe\"\n[services.kv]\n");
    workspace
}

/// Makes an administrator beside the user `default`, on this server.
fn make_admin(server: &OwnValkey) {
    server.run(&["ACL", "SETUSER", "nornplan", "on", &format!(">{ADMIN}"), "~*", "&*", "+@all"]);
}

/// Has nornplan sign in as that.
fn as_admin(workspace: &mut Workspace) {
    workspace.set("NORNPLAN_VALKEY_USER", "nornplan");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", ADMIN);
}

/// What comes of a command on a connection that does not sign in.
fn anonymously(server: &OwnValkey) -> Result<(), String> {
    ping(&format!("redis://127.0.0.1:{}", server.port))
}

fn as_default(server: &OwnValkey, password: &str) -> Result<(), String> {
    ping(&server.url("default", password))
}

fn ping(url: &str) -> Result<(), String> {
    let answer = valkey_at(url, &["PING"]).map(drop);
    answer.map_err(|error| error.details().split(' ').next().unwrap_or_default().to_owned())
}

fn refused(word: &str) -> Result<(), String> {
    Err(word.to_owned())
}

/// What the app does with what is published for it.
fn app_works(workspace: &Workspace) {
    let key = format!("{}cafe:k", workspace.prefix);
    valkey_at(&workspace.published("@cafe", "VALKEY_URL"), &["SET", &key, "v"]).expect("the app's own work");
}

fn plan(workspace: &Workspace) -> Ran {
    workspace.run(&["plan"]).exits(0).flat()
}

fn apply(workspace: &Workspace, more: &[&str]) -> Ran {
    workspace.run(&[&["apply", "--auto-approve"], more].concat()).flat()
}

fn is_empty(workspace: &Workspace) {
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["drift"]).exits(0);
}

/// A connection that never signs in.
fn connect(server: &OwnValkey) -> TcpStream {
    let mut stream = TcpStream::connect(server.name()).unwrap();
    assert_eq!(say(&mut stream, "PING"), "+PONG");
    stream
}

/// A connection that signs in with a password alone.
fn connect_with(server: &OwnValkey, password: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.name()).unwrap();
    assert_eq!(say(&mut stream, &format!("AUTH {password}")), "+OK");
    stream
}

fn say(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 200];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).trim().to_owned()
}

#[test]
fn a_server_that_lets_everybody_in_is_said_loudest() {
    let server = OwnValkey::start();
    let workspace = begin(&server, "leave");
    let tells = |rules: &str, may: &str| {
        let words = ["ACL", "SETUSER", "default", "reset", "on", "nopass"].into_iter().chain(rules.split(' '));
        server.run(&words.collect::<Vec<_>>());
        let said = format!("the user `default` needs no password and may {may}");
        // It may do all that nornplan needs, or nothing can be asked.
        let text = plan(&workspace).says(&said).stdout;
        assert!(text.contains("ALARM Valkey"), "{text}");
        let json = workspace.run(&["plan", "--format", "json"]).exits(0).flat().says(&said).stdout;
        assert!(json.contains("\"level\": \"alarm\""), "{json}");
        let markdown = workspace.run(&["plan", "--format", "markdown"]).exits(0).stdout;
        assert!(markdown.contains("[!CAUTION]"), "{markdown}");
        assert!(markdown.contains(&format!("needs no password and may {may}")), "{markdown}");
        let doctor = workspace.run(&["doctor"]).flat().exits(1).says(&said);
        doctor.says("default_user = \"admin-only\" or \"off\"");
    };
    let work = "+info +command +acl +config +client";
    tells("~* &* +@all", "do everything: nothing is isolated");
    tells(&format!("%R~* +@read {work}"), "read every key");
    tells(&format!("%W~* +@write {work}"), "change every key");
    tells(
        &format!("~{}cafe:x* +get +set {work}", workspace.prefix),
        &format!("read and change keys of {}cafe", workspace.prefix),
    );
    // Who may give rights has all of them.
    tells(&format!("~elsewhere:* +@all {work}"), "run ACL");

    workspace.converge();
    workspace.run(&["drift"]).flat().exits(0).says("ALARM Valkey");
    // Who needs a password, or may do nothing that matters, is no alarm.
    make_admin(&server);
    let mut workspace = workspace;
    as_admin(&mut workspace);
    for rules in ["reset on nopass ~* +ping +info", "reset on >secret ~* +@all", "reset off nopass ~* +@all"] {
        let words = ["ACL", "SETUSER", "default"].into_iter().chain(rules.split(' ')).collect::<Vec<_>>();
        valkey_at(&server.url("nornplan", ADMIN), &words).unwrap();
        // What the file has counts after the next restart.
        valkey_at(&server.url("nornplan", ADMIN), &["ACL", "SAVE"]).unwrap();
        plan(&workspace).hides("needs no password");
        workspace.run(&["doctor"]).exits(0).says("does not let just anybody in");
    }
}

#[test]
fn it_is_switched_off_and_stays_off() {
    for saves in [Saves::AclFile, Saves::ConfigFile] {
        let server = OwnValkey::with(saves, "");
        make_admin(&server);
        server.run(&["ACL", "SETUSER", "default", "nopass"]);
        let mut workspace = begin(&server, "leave");
        as_admin(&mut workspace);
        workspace.converge();
        plan(&workspace).hides(ADDRESS).says("needs no password and may do everything");
        assert_eq!((anonymously(&server), as_default(&server, "anything")), (Ok(()), Ok(())));

        workspace.write("nornplan.toml", &file("off"));
        plan(&workspace)
            .says("(workspace)")
            .says(ADDRESS)
            .says("Plan: 0 to create, 1 to update, 0 to destroy.")
            .hides("held");
        workspace.converge().hides(ADMIN);
        assert_eq!((anonymously(&server), as_default(&server, "anything")), (refused("NOAUTH"), refused("WRONGPASS")));
        app_works(&workspace);
        plan(&workspace).hides("needs no password");
        workspace.run(&["plan", "--app", "@cafe", "--detailed-exitcode"]).exits(0);

        server.restart();
        assert_eq!(anonymously(&server), refused("NOAUTH"));
        app_works(&workspace);
        is_empty(&workspace);

        // By hand it is switched on, and by the next run off again, unasked.
        let by_hand = |words: &[&str]| valkey_at(&server.url("nornplan", ADMIN), words).unwrap();
        by_hand(&["ACL", "SETUSER", "default", "on", "nopass"]);
        workspace.run(&["drift"]).exits(2).says(ADDRESS);
        let _client = connect(&server);
        plan(&workspace).says("drifted").hides("held");
        workspace.converge();
        assert_eq!(anonymously(&server), refused("NOAUTH"));

        // What is no longer wanted is left as it is.
        workspace.write("nornplan.toml", &file("leave"));
        plan(&workspace).says("forget").says("it stays as it is");
        workspace.converge();
        assert_eq!(anonymously(&server), refused("NOAUTH"));
        by_hand(&["ACL", "SETUSER", "default", "on"]);
        is_empty(&workspace);
    }
}

#[test]
fn the_administrators_password_is_the_only_one_that_is_left() {
    let server = OwnValkey::start();
    let workspace = begin(&server, "leave");
    // Any password is accepted: ours too.
    server.run(&["ACL", "SETUSER", "default", "nopass"]);
    workspace.converge();
    workspace.write("nornplan.toml", &file("admin-only"));
    plan(&workspace).says(ADDRESS).says("no password is needed today").hides("held").hides(PASSWORD);
    workspace.converge().hides(PASSWORD);
    assert_eq!((anonymously(&server), as_default(&server, "anything")), (refused("NOAUTH"), refused("WRONGPASS")));
    assert_eq!(as_default(&server, PASSWORD), Ok(()));
    // As programs of old sign in.
    assert_eq!(ping(&format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port)), Ok(()));
    app_works(&workspace);
    server.restart();
    assert_eq!(anonymously(&server), refused("NOAUTH"));
    is_empty(&workspace);

    server.run(&["ACL", "SETUSER", "default", ">another-one"]);
    workspace.run(&["drift"]).exits(2).says(ADDRESS);
    plan(&workspace).says("other passwords sign in as it today");
    workspace.converge();
    assert_eq!((as_default(&server, "another-one"), as_default(&server, PASSWORD)), (refused("WRONGPASS"), Ok(())));
}

#[test]
fn an_administrator_beside_it_gives_it_his_password() {
    let server = OwnValkey::start();
    make_admin(&server);
    let mut workspace = begin(&server, "off");
    as_admin(&mut workspace);
    workspace.converge();
    assert_eq!(as_default(&server, PASSWORD), refused("WRONGPASS"));
    workspace.write("nornplan.toml", &file("admin-only"));
    plan(&workspace).says("changed in spec").says("widens access");
    workspace.converge().hides(ADMIN);
    assert_eq!((as_default(&server, PASSWORD), as_default(&server, ADMIN)), (refused("WRONGPASS"), Ok(())));
    // Whoever is connected as it until now is asked for by the next edit as well.
    let client = connect_with(&server, ADMIN);
    workspace.write("nornplan.toml", &file("off"));
    let asks = format!("--allow-interrupt {ADDRESS}");
    plan(&workspace).says("changed in spec").says("1 connection is made as it now").says(&asks);
    apply(&workspace, &[]).exits(0).says(&asks);
    assert_eq!(as_default(&server, ADMIN), Ok(()), "held");
    workspace.run(&["plan", "--out", "saved"]).exits(0);
    apply(&workspace, &["saved", "--allow-interrupt", ADDRESS]).exits(0);
    assert_eq!(as_default(&server, ADMIN), refused("WRONGPASS"));
    drop(client);
    is_empty(&workspace);
}

#[test]
fn who_is_connected_is_counted_and_asked_for() {
    let server = OwnValkey::start();
    make_admin(&server);
    server.run(&["ACL", "SETUSER", "default", "nopass"]);
    let mut workspace = begin(&server, "off");
    as_admin(&mut workspace);
    let (mut one, _other) = (connect(&server), connect(&server));
    plan(&workspace)
        .says("2 connections are made as it now, from 127.0.0.1")
        .says("CLIENT KILL USER default")
        .says(&format!("--allow-interrupt {ADDRESS}"));
    apply(&workspace, &[]).exits(0);
    assert_eq!(anonymously(&server), Ok(()), "held");
    apply(&workspace, &["--allow-interrupt", ADDRESS]).exits(0);
    assert_eq!(anonymously(&server), refused("NOAUTH"));
    // As the plan said: whoever is there stays.
    assert_eq!(say(&mut one, "PING"), "+PONG");
    is_empty(&workspace);
}

#[test]
fn we_are_never_locked_out() {
    let server = OwnValkey::start();
    let mut workspace = begin(&server, "off");
    plan(&workspace).says("nornplan itself signs in as it").says("user = \"nornplan\"");
    apply(&workspace, &[]).exits(1);
    assert_eq!(as_default(&server, PASSWORD), Ok(()));

    server.run(&["ACL", "SETUSER", "default", "nopass"]);
    workspace.write("nornplan.toml", &file("admin-only"));
    workspace.set("NORNPLAN_VALKEY_PASSWORD", "");
    plan(&workspace).says("nornplan signs in without a password").says("NORNPLAN_VALKEY_PASSWORD");
    apply(&workspace, &[]).exits(1);
    assert_eq!(anonymously(&server), Ok(()));
    server.run(&["ACL", "SETUSER", "default", "resetpass", &format!(">{PASSWORD}")]);
    workspace.set("NORNPLAN_VALKEY_PASSWORD", PASSWORD);
}

/// A password that is another at each time cannot be the one that is left: signing in is tried, and fails.
#[test]
fn what_would_lock_us_out_is_put_back() {
    let server = OwnValkey::start();
    make_admin(&server);
    let mut workspace = begin(&server, "leave");
    as_admin(&mut workspace);
    workspace.converge();
    server.run(&["ACL", "SETUSER", "default", "nopass"]);
    let command = "password_command = [\"sh\", \"-c\", \"date +%s%N\"]\n";
    workspace.write("nornplan.toml", &(file("admin-only") + command));
    workspace.set("NORNPLAN_VALKEY_USER", "default");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", "");
    apply(&workspace, &[])
        .exits(1)
        .says("it was put back as it was, since nornplan could not sign in any more")
        .says("nothing is changed");
    assert_eq!(anonymously(&server), Ok(()));
    workspace.write("nornplan.toml", &file("leave"));
    as_admin(&mut workspace);
    is_empty(&workspace);
}

#[test]
fn replicas_that_sign_in_as_it_are_not_cut_off() {
    let primary = OwnValkey::start();
    let lines = |auth: &str| format!("replicaof 127.0.0.1 {}\n{auth}", primary.port);
    let replica = OwnValkey::with(Saves::AclFile, &lines(&format!("masterauth {PASSWORD}")));
    for server in [&primary, &replica] {
        make_admin(server);
    }
    let mut workspace = begin(&primary, "off");
    as_admin(&mut workspace);
    until("the replica is in step", || {
        let info = primary.run(&["INFO", "replication"]).into_string().unwrap();
        info.contains("state=online")
    });
    plan(&workspace)
        .says(&format!("replication signs in as it on {}", first(&primary, &replica)))
        .says("masteruser and masterauth");
    apply(&workspace, &[]).exits(1);
    assert_eq!((as_default(&primary, PASSWORD), as_default(&replica, PASSWORD)), (Ok(()), Ok(())));

    // With the administrator's password it goes on as before; with another it would not.
    workspace.write("nornplan.toml", &file("admin-only"));
    plan(&workspace).says("CONFIG SET masterauth");
    for server in [&primary, &replica] {
        server.run(&["ACL", "SETUSER", "replica", "on", ">replicate", "+psync", "+replconf", "+ping"]);
        server.run(&["CONFIG", "SET", "masteruser", "replica"]);
        server.run(&["CONFIG", "SET", "masterauth", "replicate"]);
    }
    workspace.write("nornplan.toml", &file("off"));
    workspace.converge();
    for server in [&primary, &replica] {
        assert_eq!((anonymously(server), as_default(server, PASSWORD)), (refused("NOAUTH"), refused("WRONGPASS")));
    }
    // Cut off, it comes back by itself.
    let admin = |server: &OwnValkey, words: &[&str]| valkey_at(&server.url("nornplan", ADMIN), words).unwrap();
    admin(&primary, &["CLIENT", "KILL", "TYPE", "replica"]);
    until("the replica is back", || {
        let info = admin(&replica, &["INFO", "replication"]).into_string().unwrap();
        info.contains("master_link_status:up")
    });
    // Each node by itself.
    admin(&replica, &["ACL", "SETUSER", "default", "on"]);
    plan(&workspace).says(&format!("only on 1 of 2 nodes: {}", replica.name())).says("drifted");
    workspace.converge();
    assert_eq!(as_default(&replica, PASSWORD), refused("WRONGPASS"));
}

#[test]
fn sentinels_that_sign_in_as_it_are_not_cut_off() {
    let primary = OwnValkey::start();
    make_admin(&primary);
    let lines = format!("sentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main {PASSWORD}", primary.port);
    let _sentinel = OwnValkey::sentinel(&lines);
    let mut workspace = begin(&primary, "off");
    as_admin(&mut workspace);
    until("the sentinel watches", || {
        primary.run(&["CLIENT", "LIST"]).into_string().unwrap().contains("name=sentinel-")
    });
    plan(&workspace).says(&format!("sentinels sign in as it on {}", primary.name())).says("auth-user");
    apply(&workspace, &[]).exits(1);
    assert_eq!(as_default(&primary, PASSWORD), Ok(()));
    // Whether its password is ours cannot be seen, so it is asked for.
    workspace.write("nornplan.toml", &file("admin-only"));
    plan(&workspace).says("their auth-pass must be").says(&format!("--allow-interrupt {ADDRESS}"));
}

/// Two names as a list has them.
fn first(one: &OwnValkey, other: &OwnValkey) -> String {
    let mut names = [one.name(), other.name()];
    names.sort();
    names.join(", ")
}
