//! Saved plans, and what happens between the plan and its end: things are made anew, and runs end between two nodes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_hand::{named_by, produce};
use common::servers::{kafka_admin, postgres, postgres_value};
use common::valkey_groups::{is_on, primary, replica_of, user};
use common::{Ran, Workspace};

const CONSENT: [&str; 2] = ["--allow-destroy=all", "--allow-interrupt=all"];

#[test]
fn a_topic_that_is_not_to_go_keeps_its_users() {
    let workspace = Workspace::new();
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\ntopics = [\"@shop.a\", \"@shop.b\"]\n");
    workspace.among_others(3);
    workspace.converge();
    let destroy = ["plan", "--destroy", "--app", "@shop", "--out", "plan.json", CONSENT[0], CONSENT[1]];
    workspace.run(&destroy).exits(0).flat().says("holds no messages");
    let topic = format!("{}shop.b", workspace.prefix);
    produce(&kafka_admin(), &topic, 3, 1);
    let password = workspace.published("@shop", "KAFKA_PASSWORD");
    let ran = workspace.run(&["apply", "plan.json"]).exits(1).flat();
    ran.complains("it holds 3 messages now, and held none when this was planned");
    // All that leads to it is as it was.
    assert!(!named_by(&topic).is_empty(), "its ACLs stay");
    assert_eq!(workspace.published("@shop", "KAFKA_PASSWORD"), password);
    let mut listed = workspace.run(&["state", "list"]).exits(0);
    let p = &workspace.prefix;
    for kind in ["kafka.user", "kafka.acl", "secret"] {
        listed = listed.says(&format!("{kind}.{p}shop"));
    }
    listed.says(&format!("kafka.topic.{p}shop.a"));
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
    workspace.run(&["destroy", "--app", "@shop", "--auto-approve", CONSENT[0], CONSENT[1]]).exits(0);
    workspace.remove("specs/shop.toml");
}

#[test]
fn a_user_that_something_else_was_applied_to_is_refused_alone() {
    let workspace = Workspace::new();
    let spec = |limit: u32, access: &str| {
        let postgres = format!("[services.postgres]\nconnection_limit = {limit}");
        workspace.spec("a", &format!("app = \"@a\"\n{postgres}\n[services.kv]\naccess = \"{access}\"\n"));
    };
    spec(5, "readwrite");
    workspace.among_others(5);
    workspace.converge();
    spec(7, "readonly");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("access:  readwrite -> readonly");
    spec(5, "queue");
    workspace.run(&["apply", "--auto-approve", CONSENT[1]]).exits(0);
    let ran = workspace.run(&["apply", "plan.json", CONSENT[1]]).exits(1).flat();
    ran.says("1 refused").says("since it was planned, something else was applied to it");
    let limit = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    assert_eq!(postgres_value("postgres", &limit).as_deref(), Some("7"));
    spec(7, "queue");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_database_that_was_made_anew_is_another_one() {
    let workspace = Workspace::new();
    for app in ["a", "b", "c", "d"] {
        workspace.spec(app, &format!("app = \"@{app}\"\n[services.postgres]\n"));
    }
    workspace.converge();
    workspace.remove("specs/a.toml");
    workspace.run(&["plan", "--out", "plan.json", CONSENT[0], CONSENT[1]]).exits(0).says("to destroy");
    let database = format!("{}a", workspace.prefix);
    for statement in [
        format!("ALTER DATABASE {database} RENAME TO {database}_old"),
        format!("CREATE DATABASE {database} TEMPLATE {database}_old OWNER {database}_owner"),
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
        format!("DROP DATABASE {database}_old"),
    ] {
        postgres("postgres", &statement);
    }
    let ran = workspace.run(&["apply", "plan.json"]).exits(1).flat();
    ran.says("it was dropped and made anew since it was planned");
    let there = format!("SELECT datname::text FROM pg_database WHERE datname = '{database}'");
    assert!(postgres_value("postgres", &there).is_some(), "nobody planned on this one");
    workspace.run(&["apply", "--auto-approve", CONSENT[0], CONSENT[1]]).exits(0);
    assert!(postgres_value("postgres", &there).is_none());
}

#[test]
fn what_was_rotated_is_rotated_once() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n[services.events]\n");
    workspace.among_others(1);
    workspace.converge();
    workspace.run(&["plan", "--rotate", "--app", "@a", "--out", "r.json", CONSENT[0], CONSENT[1]]).exits(0);
    workspace.run(&["apply", "r.json"]).exits(0);
    let rotated = workspace.secrets("@a");
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nconnection_limit = 9\n[services.kv]\n[services.events]\n");
    workspace.run(&["apply", "--auto-approve", CONSENT[1]]).exits(0);
    assert_eq!(workspace.secrets("@a"), rotated);
    workspace.run(&["apply", "r.json"]);
    assert_eq!(workspace.secrets("@a"), rotated, "no second password");
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
}

#[test]
fn what_ended_between_two_nodes_is_gone_on_with() {
    let first = primary();
    let second = replica_of(&first);
    let nodes = [&first, &second];
    let mut workspace = Workspace::new();
    first.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.converge();
    is_on(&workspace, "@a", &nodes);
    let name = user(&workspace, "@a");
    let rules = |node: &common::own_valkey::OwnValkey| {
        let list = node.run(&["ACL", "LIST"]).into_array();
        let lines = list.into_iter().filter_map(|line| line.into_string());
        lines.into_iter().find(|line| line.starts_with(&format!("user {name} "))).expect("the user")
    };
    for (what, plan) in [
        ("update", &["plan", "--out", "plan.json"][..]),
        ("rotate", &["plan", "--rotate", "--app", "@a", "--out", "plan.json", CONSENT[1]]),
    ] {
        for late in 0..2 {
            let access = if late == 0 { "readonly" } else { "readwrite" };
            if what == "update" {
                workspace.spec("a", &format!("app = \"@a\"\n[services.kv]\naccess = \"{access}\"\n"));
            }
            workspace.run(plan).exits(0).says(what);
            let former = rules(nodes[late]);
            let part = if what == "update" { "main" } else { "credential" };
            let mut command = workspace.command(&["apply", "plan.json"]);
            command.env("NORNPLAN_FAILPOINT", format!("abort:1:after batch {what} valkey.user {part}"));
            let ran = Ran::of(command.output().expect("nornplan runs"));
            assert!(ran.code != 0 && ran.code != 1, "it was to die: {}{}", ran.stdout, ran.stderr);
            // As if it had died before it came to this node.
            let words: Vec<&str> = former.split(' ').skip(2).collect();
            nodes[late].run(&[&["ACL", "SETUSER", &name, "reset"], &words[..]].concat());
            workspace.run(&["apply", "plan.json"]).exits(0);
            is_on(&workspace, "@a", &nodes);
            workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
        }
    }
}
