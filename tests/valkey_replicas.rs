//! Replicas without sentinels: a primary says nothing of one that is down, and nornplan does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_valkey::OwnValkey;
use common::servers::valkey_at;
use common::valkey_groups::{fact, is_on, loading_replica_of, password, primary, replica_of, until_it_follows, user};
use common::waiting::until;
use std::process::Command;
use std::time::{Duration, Instant};

const MAIL: &str = "app = \"@mail\"\n[services.kv]\n";
const CAFE: &str = "app = \"@cafe\"\n[services.kv]\n";

#[test]
fn a_replica_that_hangs_is_named_and_holds_up_nobody() {
    let primary = primary();
    let replica = replica_of(&primary);
    let mut workspace = Workspace::new();
    primary.serve(&mut workspace);
    workspace.spec("mail", MAIL);
    workspace.converge();
    is_on(&workspace, "@mail", &[&primary, &replica]);
    let hang = |signal: &str| {
        let pid = fact(&primary, "server", "process_id");
        assert_ne!(pid, replica.pid());
        assert!(Command::new("kill").args([signal, &replica.pid()]).status().unwrap().success());
    };
    hang("-STOP");
    let since = Instant::now();
    let plan = workspace.run(&["plan"]);
    hang("-CONT");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    plan.exits(0).says(&format!("{} cannot be reached", replica.name())).says("1 could not be looked into");
    // A replica is no primary.
    replica.serve(&mut workspace);
    workspace.run(&["plan"]).exits(1).complains(&format!("this node is a replica of 127.0.0.1:{}", primary.port));
    primary.serve(&mut workspace);
}

#[test]
fn a_replica_that_is_down_is_missed_until_it_is_back_or_forgotten() {
    let primary = primary();
    let [near, far] = [replica_of(&primary), replica_of(&primary)];
    let mut workspace = Workspace::new();
    primary.serve(&mut workspace);
    workspace.spec("mail", MAIL);
    workspace.spec("cafe", CAFE);
    workspace.converge().says(", 3 nodes");
    let former = ["@mail", "@cafe"].map(|app| far.url(&user(&workspace, app), &password(&workspace, app)));
    let works = |url: &String| valkey_at(url, &["PING"]).is_ok();

    // The primary forgets it; nornplan does not.
    far.stop();
    let knows = |number: &str| fact(&primary, "replication", "connected_slaves") == number;
    until("the primary has forgotten it", || knows("1"));
    let forget = format!("nornplan state forget-node valkey {}", far.name());
    let lost =
        format!("{} cannot be reached (nobody tells of it: it is down, or follows none of the others)", far.name());
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).flat();
    plan.says(", 3 nodes, 1 of them absent").says(&lost).says(&forget).says("2 could not be looked into");
    let json: serde_json::Value = serde_json::from_str(&workspace.run(&["plan", "--format", "json"]).stdout).unwrap();
    assert_eq!(
        (&json["complete"], &json["services"]["valkey"]["nodes"]["absent"][0]),
        (&false.into(), &far.name().into())
    );
    workspace.run(&["drift"]).exits(1).flat().says(&lost);
    workspace.run(&["doctor"]).exits(1).flat().says(&forget);

    // What it misses is told, and a login that goes is not forgotten for being gone from the others.
    workspace.remove("specs/cafe.toml");
    let applied = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).flat();
    applied
        .says("it stays in the state")
        .says(&format!("{} could not be reached: 1 user was not set there", far.name()));
    assert!(!works(&elsewhere(&former[1], &far, &primary)) && !works(&elsewhere(&former[1], &far, &near)));
    workspace.run(&["state", "list"]).says("valkey.user.@cafe".replace('@', &workspace.prefix).as_str());
    workspace
        .run(&["plan", "--detailed-exitcode"])
        .exits(2)
        .flat()
        .says("the user may still be there, so it is not forgotten");
    let rotated = workspace.run(&["rotate", "@mail", "--auto-approve", "--allow-interrupt", "all"]).exits(0).flat();
    rotated.says(&format!("the former password still signs in on {}", far.name()));

    // Back, it has what it had; nobody did that by hand.
    far.start_again();
    until_it_follows(&far);
    assert!(former.iter().all(works));
    let plan = workspace.run(&["plan", "--allow-destroy", "all"]).exits(0);
    let plan = plan.says("a node was away at the last apply").hides("drifted");
    plan.says(&format!("{} (password)", far.name())).says("1 to update, 1 to destroy");
    let [cafe, mail] = ["@cafe", "@mail"].map(|app| format!("valkey.user.{}", user(&workspace, app)));
    let left = format!("{cafe}, {mail} are left by an earlier apply (a node was away at the last apply)");
    workspace.run(&["drift"]).flat().exits(0).says(&left).says("No drift.");
    near.run(&["ACL", "SETUSER", &user(&workspace, "@mail"), "+keys"]);
    near.run(&["ACL", "SAVE"]);
    workspace.run(&["drift"]).flat().exits(2).says(&format!("~ {mail} drifted")).hides(&format!("~ {cafe}"));
    near.run(&["ACL", "SETUSER", &user(&workspace, "@mail"), "-keys"]);
    near.run(&["ACL", "SAVE"]);
    workspace.run(&["drift"]).exits(0);
    // Who is gone from the others, and was not destroyed, was removed by hand.
    let kept = near.run(&["ACL", "LIST"]).into_array().into_iter().filter_map(|line| line.into_string());
    let kept = kept.into_iter().find(|line| line.starts_with(&format!("user {} ", user(&workspace, "@mail")))).unwrap();
    for node in [&primary, &near] {
        node.run(&["ACL", "DELUSER", &user(&workspace, "@mail")]);
        node.run(&["ACL", "SAVE"]);
    }
    workspace.run(&["drift"]).flat().exits(2).says(&format!("~ {mail} drifted"));
    for node in [&primary, &near] {
        let words: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(kept.split(' ').skip(1)).collect();
        node.run(&words);
        node.run(&["ACL", "SAVE"]);
    }
    workspace.run(&["drift"]).exits(0);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).hides("could not be reached");
    assert!(!former.iter().any(works));
    is_on(&workspace, "@mail", &[&primary, &near, &far]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes. 2 resources match their");
    workspace.run(&["state", "list"]).hides("valkey.user.@cafe".replace('@', &workspace.prefix).as_str());
    assert!(!workspace.read("state/default.json").contains("\"away\""));
    // One that is still there is met again.
    let forgot = workspace.run(&["state", "forget-node", "valkey", &far.name()]).exits(0).flat();
    forgot.says("Forgot").says("If it is still there").says("the next apply meets it again").says("SENTINEL RESET");
    assert!(!workspace.read("state/default.json").contains(&far.name()));
    workspace.run(&["apply", "--auto-approve"]).exits(0).says(", 3 nodes");
    assert!(workspace.read("state/default.json").contains(&far.name()));
    far.run(&["ACL", "SETUSER", &user(&workspace, "@mail"), "~*"]);
    let by_hand = format!("{} (keys: also ~*)", far.name());
    let plan = workspace.run(&["plan"]).exits(0).says("drifted").says(&by_hand);
    assert_eq!(plan.stdout.matches(&by_hand).count(), 1, "{}", plan.stdout);
    workspace.converge();

    // One that leaves the group is missed like one that is down, and is not signed in to; what goes meanwhile is not
    // forgotten for that. It comes back with what it had.
    near.run(&["REPLICAOF", "NO", "ONE"]);
    until("the primary has forgotten it", || knows("1"));
    let connections = || fact(&near, "stats", "total_connections_received").parse::<u64>().unwrap();
    let (first, before) = (connections(), connections());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(", 3 nodes, 1 of them absent").says(&near.name());
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(connections() - before, before - first, "only this test asks it");
    let (host, port) = primary.name().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    near.run(&["REPLICAOF", &host, &port]);
    until_it_follows(&near);
    until("the primary knows it", || knows("2"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says(", 3 nodes").hides("absent");

    // Gone for good.
    far.kill();
    until("the primary has forgotten it", || knows("1"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).flat().says(&lost);
    workspace.run(&["state", "forget-node", "valkey", "10.0.0.7:1"]).exits(1).complains(&far.name());
    workspace.run(&["state", "forget-node", "valkey", &far.name()]).exits(0).says("Forgot");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).hides(&far.name()).says(", 2 nodes");
}

/// The same sign-in on another server.
fn elsewhere(url: &str, from: &OwnValkey, to: &OwnValkey) -> String {
    url.replace(&from.name(), &to.name())
}

#[test]
fn a_replica_that_still_loads_gets_the_users_too() {
    let primary = primary();
    for number in 0..300 {
        primary.run(&["SET", &format!("key{number}"), &"x".repeat(2000)]);
    }
    let mut workspace = Workspace::new();
    primary.serve(&mut workspace);
    workspace.spec("mail", MAIL);
    // It answers now and then meanwhile.
    let replica = loading_replica_of(&primary, Duration::from_secs(12));
    let loads = || fact(&replica, "persistence", "loading") == "1";
    until("it loads", loads);
    workspace.run(&["apply", "--auto-approve"]).exits(0).hides("cannot be reached");
    assert!(loads(), "it was too fast to tell");
    replica.run(&["CONFIG", "SET", "key-load-delay", "0"]);
    until_it_follows(&replica);
    is_on(&workspace, "@mail", &[&primary, &replica]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes. 2 resources match their");
}

#[test]
fn a_replica_of_a_replica_is_a_node_like_any_other() {
    let top = primary();
    let replica = replica_of(&top);
    let below = replica_of(&replica);
    let mut workspace = Workspace::new();
    top.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.converge();
    is_on(&workspace, "@a", &[&top, &replica, &below]);
    below.run(&["ACL", "SETUSER", &user(&workspace, "@a"), "nopass"]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(&below.name());
    workspace.converge();
    drop(below);
}
