//! What destroying users of Valkey loses is told before, and goes only where the infraspec said so.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_valkey::{OwnValkey, Saves};
use fred::prelude::*;
use fred::types::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Makes many keys at once, as no app would.
const MAKE: &str = "for i = 1, ARGV[2] do redis.call('SET', ARGV[1] .. ':k' .. i, 'some value of some length') end";
const PURGES: &str = "app = \"@a\"\n[services.kv]\non_destroy = \"purge-keys\"\n";
const KEEPS: &str = "app = \"@a\"\n[services.kv]\n";

/// The app `a`, with an infraspec, and others.
fn applied(server: &OwnValkey, spec: &str) -> Workspace {
    applied_in(Workspace::new(), server, spec)
}

fn applied_in(mut workspace: Workspace, server: &OwnValkey, spec: &str) -> Workspace {
    server.serve(&mut workspace);
    workspace.spec("a", spec);
    workspace.among_others(5);
    workspace.converge();
    workspace
}

fn make(server: &OwnValkey, namespace: &str, keys: usize) {
    server.run(&["EVAL", MAKE, "0", namespace, &keys.to_string()]);
}

/// How many keys there are in database 0.
fn all_keys(server: &OwnValkey) -> u64 {
    server.run(&["DBSIZE"]).as_u64().expect("a number")
}

fn exists(server: &OwnValkey, key: &str) -> bool {
    server.run(&["EXISTS", key]).as_u64() == Some(1)
}

fn users(server: &OwnValkey) -> Vec<String> {
    server.run(&["ACL", "USERS"]).into_array().into_iter().filter_map(Value::into_string).collect()
}

/// A connection that stays open as long as this is there.
struct SignedIn {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl SignedIn {
    fn at(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let client = Builder::from_config(Config::from_url(url).unwrap()).build().unwrap();
            client.init().await.unwrap();
            client
        });
        Self { runtime, client }
    }

    fn works(&self) -> bool {
        let answer = async { tokio::time::timeout(Duration::from_secs(2), self.client.ping::<Value>(None)).await };
        self.runtime.block_on(answer).is_ok_and(|answer| answer.is_ok())
    }
}

#[test]
fn what_stays_and_who_is_cut_off_is_told_before_consent_is_asked() {
    let server = OwnValkey::start();
    let workspace = applied(&server, KEEPS);
    let name = format!("{}a", workspace.prefix);
    make(&server, &name, 1_234);
    make(&server, &format!("{name}b"), 10);
    let apps: Vec<SignedIn> = (0..2).map(|_| SignedIn::at(&workspace.published("@a", "VALKEY_URL"))).collect();
    workspace.remove("specs/a.toml");
    let plan = workspace.run(&["plan"]).exits(0).says(&format!("held: needs --allow-destroy valkey.user.{name}"));
    // Long lines are wrapped.
    let plan = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "its keys stay: 1,234 keys, about ".to_owned(),
        format!("KiB, under {name}:*; on_destroy = \"purge-keys\" would remove them"),
        "2 clients are signed in as it: stop the app first".to_owned(),
    ] {
        assert!(plan.contains(&told), "no {told:?} in {plan}");
    }
    // Somebody is there, so consent to the destroying is not enough.
    let held = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0);
    held.says(&format!("held: needs --allow-interrupt valkey.user.{name}"));
    assert!(apps.iter().all(SignedIn::works));
    let both = ["apply", "--auto-approve", "--allow-destroy", "*@a*", "--allow-interrupt", "*@a*"];
    workspace.run(&both).exits(0).says("2 destroyed");
    assert!(!apps.iter().any(SignedIn::works), "DELUSER cuts them off");
    assert!(!users(&server).contains(&name));
    assert_eq!(all_keys(&server), 1_244);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn nobody_signed_in_and_no_keys_is_told_as_well() {
    let server = OwnValkey::start();
    let workspace = applied(&server, KEEPS);
    workspace.remove("specs/a.toml");
    let told = format!("no keys lie under {}a:*", workspace.prefix);
    workspace.run(&["plan"]).exits(0).says("nobody is signed in as it").says(&told);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0).says("2 destroyed");
}

#[test]
fn a_namespace_is_purged_and_nothing_beside_it() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, &name, 2_000);
    make(&server, &format!("{name}b"), 2_000);
    for (db, key) in
        [("0", format!("x{name}:k")), ("0", name.clone()), ("0", format!("{{{name}}}:k")), ("1", format!("{name}:k"))]
    {
        server.run(&["EVAL", "redis.call('SELECT', ARGV[1]) redis.call('SET', ARGV[2], 'v')", "0", db, &key]);
    }
    let beside = all_keys(&server) - 2_000;
    // A key need not be text.
    server.run(&["EVAL", "redis.call('SET', ARGV[1] .. ':\\255\\0\\n', 'v')", "0", &name]);
    workspace.remove("specs/a.toml");
    let address = format!("valkey.keys.{name}");
    let plan = workspace.run(&["plan"]).exits(0);
    let plan =
        plan.says(&format!("its keys go after it: {address}")).says("holds 2,001 keys, about ").says("loses data");
    plan.says(&format!("held: needs --allow-destroy {address}"));
    // Consent to the one is no consent to the other.
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "valkey.user.@a"]).exits(0).says(&address);
    assert!(!users(&server).contains(&name));
    assert_eq!(all_keys(&server), beside + 2_001);
    let purged = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0);
    purged.says(&format!("{address}  destroyed; 2,001 keys removed")).complains("2,001 keys removed");
    assert_eq!(all_keys(&server), beside);
    for key in
        [format!("x{name}:k"), name.clone(), format!("{{{name}}}:k"), format!("{name}b:k1"), format!("{name}b:k2000")]
    {
        assert!(exists(&server, &key), "{key}");
    }
    let elsewhere = server.run(&["EVAL", "redis.call('SELECT', '1') return redis.call('DBSIZE')", "0"]);
    assert_eq!(elsewhere.as_u64(), Some(1), "another database");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let commands = server.run(&["INFO", "commandstats"]);
    let commands = commands.as_str_lossy().unwrap_or_default().into_owned();
    assert!(commands.contains("cmdstat_unlink") && !commands.contains("cmdstat_flush"), "{commands}");
    assert!(!commands.contains("cmdstat_keys:"), "{commands}");
}

#[test]
fn a_purge_in_a_database_of_its_own_number_leaves_the_others() {
    let server = OwnValkey::start();
    let workspace = applied(&server, &format!("{PURGES}db = 3\n"));
    let name = format!("{}a", workspace.prefix);
    let make_in = |db: &str| {
        server.run(&["EVAL", &format!("redis.call('SELECT', '{db}') {MAKE}"), "0", &name, "2500"]);
    };
    let count = |db: &str| {
        let words = ["EVAL", "redis.call('SELECT', ARGV[1]) return redis.call('DBSIZE')", "0", db];
        server.run(&words).as_u64().unwrap()
    };
    make_in("0");
    make_in("3");
    workspace.remove("specs/a.toml");
    workspace.run(&["plan"]).exits(0).says("holds 2,500 keys");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0).says("2,500 keys removed");
    assert_eq!((count("0"), count("3")), (2_500, 0));
}

#[test]
fn a_purge_that_is_killed_goes_on_in_the_next_run() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, &name, 150_000);
    make(&server, &format!("{name}b"), 1_000);
    workspace.remove("specs/a.toml");
    let consent = ["apply", "--auto-approve", "--allow-destroy", "*@a*"];
    let mut child = workspace.command(&consent).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while all_keys(&server) == 151_000 {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "nothing is purged");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = all_keys(&server);
    assert!(left > 1_000 && left < 151_000, "killed too late: {left}");
    assert!(!users(&server).contains(&name), "nobody writes while it is purged");
    let told = format!("valkey.keys.{name}");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&told).says("keys, about ");
    // It takes consent again, as any loss.
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(all_keys(&server), left);
    workspace.run(&consent).exits(0).says("keys removed");
    assert_eq!(all_keys(&server), 1_000);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn in_a_cluster_keys_go_by_their_hash_tag_as_well() {
    let server = OwnValkey::with(Saves::AclFile, "cluster-enabled yes\n");
    server.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let began = Instant::now();
    while !server.run(&["CLUSTER", "INFO"]).as_str_lossy().unwrap_or_default().contains("cluster_state:ok") {
        assert!(began.elapsed() < Duration::from_secs(20), "no cluster: {}", server.log());
    }
    let workspace = Workspace::new();
    workspace.write("nornplan.toml", "specs = \"specs\"\n[valkey]\ncluster = true\n");
    let workspace = applied_in(workspace, &server, PURGES);
    let name = format!("{}a", workspace.prefix);
    for number in 0..20 {
        for namespace in [name.clone(), format!("{{{name}}}"), format!("{name}b"), format!("x{{{name}}}")] {
            server.run(&["SET", &format!("{namespace}:k{number}"), "v"]);
        }
    }
    workspace.remove("specs/a.toml");
    workspace.run(&["plan"]).exits(0).says("holds 40 keys, about ");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0).says("40 keys removed");
    assert_eq!(all_keys(&server), 40);
    assert!(exists(&server, &format!("{name}b:k1")) && exists(&server, &format!("x{{{name}}}:k1")));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn keys_that_somebody_else_works_with_are_not_removed() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, &name, 50);
    // A user that no infraspec declares.
    server.run(&["ACL", "SETUSER", "stranger", "on", "nopass", &format!("%R~{name}:*"), "+get"]);
    workspace.remove("specs/a.toml");
    let told = format!("stranger may use keys of {name}:* by rules of their own, so they are not removed");
    let consent = ["apply", "--auto-approve", "--allow-destroy", "*@a*"];
    workspace.run(&consent).exits(1).says(&told);
    assert_eq!(all_keys(&server), 50);
    server.run(&["ACL", "DELUSER", "stranger"]);
    // Another app that has the namespace by now.
    workspace.spec("b", &format!("app = \"@b\"\n[services.kv]\nnamespace = \"{name}\"\n"));
    workspace.run(&["plan"]).exits(0).says(&format!("its keys stay, also when {}b is destroyed", workspace.prefix));
    let taking = format!("valkey.user.{}b", workspace.prefix);
    workspace.run(&[&consent[..], &["--allow-interrupt", &taking]].concat()).exits(0).says("1 forgotten");
    assert_eq!(all_keys(&server), 50);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn an_app_that_is_outside_of_the_run_keeps_its_keys() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, &name, 50);
    workspace.spec("a", &format!("{PURGES}namespace = \"@other\"\n"));
    workspace.spec("b", &format!("app = \"@b\"\n[services.kv]\nnamespace = \"{name}\"\n"));
    let taking = ["apply", "--auto-approve", "--app", "@b"];
    workspace.run(&taking).exits(0).flat().says(&format!("is {name}'s until now")).says("held");
    workspace.run(&[&taking[..], &["--allow-interrupt", "all"]].concat()).exits(0);
    let told = format!("{}b may use keys of {name}:*", workspace.prefix);
    let alone = ["apply", "--auto-approve", "--app", "@a", "--allow-interrupt", "all"];
    workspace.run(&alone).exits(0).flat().says(&format!("{}b may use them", workspace.prefix));
    let destroy = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"];
    workspace.run(&destroy).exits(1).flat().says(&told);
    assert_eq!(all_keys(&server), 50);
    workspace.converge().says("1 forgotten");
    assert_eq!(all_keys(&server), 50);
}

#[test]
fn an_infraspec_that_keeps_keys_again_is_noted_without_a_write() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    make(&server, &format!("{}a", workspace.prefix), 50);
    workspace.spec("a", KEEPS);
    workspace.converge().says("1 forgotten");
    workspace.remove("specs/a.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0);
    assert_eq!(all_keys(&server), 50);
    // Wrong words are said to be.
    workspace.spec("a", &KEEPS.replace("[services.kv]\n", "[services.kv]\non_destroy = \"purge\"\n"));
    workspace.run(&["validate"]).exits(1).complains("on_destroy is \"purge\"").complains("purge-keys");
    workspace.remove("specs/a.toml");
}
