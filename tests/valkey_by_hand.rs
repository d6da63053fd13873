//! Valkey whose users people change by hand, in any way that the server lets them: nornplan reads on, tells it, and
//! puts its own users right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::own_valkey::OwnValkey;
use fred::types::{ClusterHash, CustomCommand, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

fn workspace(server: &OwnValkey) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.among_others(4);
    workspace.spec("app", "app = \"@app\"\n[services.kv]\nreaders = [\"@kv0\"]\n");
    workspace.converge();
    workspace
}

/// Runs a command whose words may be any bytes.
fn run_bytes(server: &OwnValkey, words: &[&[u8]]) {
    use fred::prelude::*;
    common::servers::block_on(async {
        let config = Config::from_url(&server.url("default", common::own_valkey::PASSWORD)).expect("a URL");
        let client = Builder::from_config(config).build().expect("a client");
        client.init().await.expect("a connection");
        let command = CustomCommand::new("ACL", ClusterHash::FirstKey, false);
        let words: Vec<Value> = words.iter().map(|word| Value::Bytes(word.to_vec().into())).collect();
        let answer: Result<Value, _> = client.custom(command, words).await;
        answer.expect("it is accepted");
        let _ = client.quit().await;
    });
}

/// How often each command was called since the statistics were reset.
fn calls(server: &OwnValkey) -> BTreeMap<String, u64> {
    let said = server.run(&["INFO", "commandstats"]).into_string().unwrap_or_default();
    let counted = said.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    counted.collect()
}

/// Adds a rule to what the state says of the app's user.
fn as_if_applied_with(workspace: &Workspace, rule: &str) {
    let mut state: Json = serde_json::from_str(&workspace.read("state/default.json")).expect("the state");
    let commands = format!("/resources/valkey.user.{}app/applied/commands", workspace.prefix);
    let commands = state.pointer_mut(&commands).and_then(Json::as_array_mut);
    commands.expect("the user's rules in the state").push(rule.into());
    std::fs::write(workspace.path("state/default.json"), state.to_string()).expect("the state is written");
}

#[test]
fn however_strange_the_users_of_others_are_ours_are_read() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    let strange: [&[u8]; 6] = [b"\"quoted", b"(", b"+get", b"~*", "caf\u{e9}".as_bytes(), b"\xff\xfe"];
    for name in strange {
        run_bytes(&server, &[b"SETUSER", name, b"on", b"nopass", b"~\xff*", b"~(", b"&)\"", b"(~x) &y) -@all +get)"]);
        run_bytes(&server, &[b"SETUSER", name, b"+select|(", b"(%R~a +select|))"]);
    }
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let app = format!("{}app", workspace.prefix);
    run_bytes(&server, &[b"SETUSER", app.as_bytes(), b"~\xff*", b"(~x) +get)"]);
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2);
    let plan = plan.says("drifted").says("may no longer:  read and write ").says("use x) with get");
    assert!(plan.last_line().starts_with("Plan: 0 to create, 1 to update, 0 to destroy"), "{}", plan.stdout);
    workspace.converge();
}

#[test]
fn a_plan_asks_as_much_however_many_users_there_are() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    let mut counts = Vec::new();
    for more in [0, 80] {
        workspace.among_others(4 + more);
        workspace.converge();
        server.run(&["CONFIG", "RESETSTAT"]);
        workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
        counts.push(calls(&server));
    }
    assert_eq!(counts.first(), counts.last());
    assert_eq!(counts.first().and_then(|calls| calls.get("acl|list")), Some(&1), "{counts:?}");
}

#[test]
fn rules_that_mean_something_else_on_a_new_version_are_no_drift() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    let app = format!("{}app", workspace.prefix);
    // As if it had been made by a version on which the same declaration meant a little more.
    as_if_applied_with(&workspace, "+dbsize");
    server.run(&["ACL", "SETUSER", &app, "+dbsize"]);
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2);
    plan.says("rules changed with version").says("may no longer:  run dbsize").hides("drifted");
    workspace.converge();
    // Other words for the same are recorded, and written nowhere.
    as_if_applied_with(&workspace, "-dbsize");
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2);
    plan.says("rules changed with version").says("1 to record");
    workspace.converge();
}

#[test]
fn a_user_whose_payloads_go_unchecked_is_put_right() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    let app = format!("{}app", workspace.prefix);
    server.run(&["ACL", "SETUSER", &app, "skip-sanitize-payload"]);
    let line = server.run(&["ACL", "LIST"]).into_array().into_iter().filter_map(Value::into_string);
    // Valkey 9 takes the word and has forgotten what it means.
    let kept = line.into_iter().any(|line| line.contains(&app) && line.contains("skip-sanitize-payload"));
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(if kept { 2 } else { 0 });
    if kept {
        plan.says("RESTORE goes unchecked:  yes -> no");
    }
    workspace.converge();
}

#[test]
fn a_change_of_access_is_told_in_words() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.spec("kv1", "app = \"@kv1\"\n[services.kv]\naccess = \"readonly\"\n");
    let plan = workspace.run(&["plan"]).exits(0).says("access:  readwrite -> readonly").hides("@write").hides("widens");
    assert!(plan.stdout.lines().count() < 14, "{}", plan.stdout);
    plan.hides("key rules");
    let detailed = workspace.run(&["plan", "-v"]).exits(0);
    detailed.says("key rules:      also %R~").says("no longer +@string").says("access:         readwrite -> readonly");
    workspace.spec("kv2", "app = \"@kv2\"\n[services.kv]\nreaders = [\"@kv3\"]\n");
    workspace.run(&["plan"]).exits(0).says(&format!("reads:  also {}kv2:*", workspace.prefix)).hides("@read");
    workspace.converge();
    // What infraspecs no longer say and what a hand has added stand apart.
    workspace.spec("kv2", "app = \"@kv2\"\n[services.kv]\n");
    let reader = format!("{}kv3", workspace.prefix);
    server.run(&["ACL", "SETUSER", &reader, "-get", "+flushall", "~other:*"]);
    let plan = workspace.run(&["plan"]).exits(0).says("kv2:*  (changed in spec)");
    let plan = plan.says("may also:       run get  (drifted)").says("run flushall (delete the keys of all apps)");
    assert_eq!(plan.stdout.matches("read and write other:*").count(), 1, "{}", plan.stdout);
    let drift = workspace.run(&["drift"]).exits(2).says("may also:       run flushall (delete");
    drift.says("may no longer:  run get").hides("key rules").hides("+@string");
    let app = format!("{}app", workspace.prefix);
    server.run(&["ACL", "SETUSER", &app, "+@all", "~*", "&*"]);
    let plan = workspace.run(&["plan"]).exits(0).says("run acl|setuser, ").says("(give itself every");
    let plan = plan.says("read and write all keys").says("listen and send on all channels");
    assert!(plan.stdout.lines().count() < 44, "{}", plan.stdout);
    workspace.converge();
}

#[test]
fn a_refused_plan_says_only_what_somebody_changed_meanwhile() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.spec("kv1", "app = \"@kv1\"\n[services.kv]\naccess = \"queue\"\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("access:  readwrite -> queue");
    let user = format!("{}kv1", workspace.prefix);
    server.run(&["ACL", "SETUSER", &user, "-get", "+flushall", "~other:*"]);
    let refused = workspace.run(&["apply", "plan.json"]).exits(1).says("update: changed since it was planned");
    let (_, told) = refused.stdout.split_once("changed since it was planned").expect("a refusal");
    let told: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    let now = [
        "may also:       run flushall (delete the keys of all apps)",
        "read and write other:*",
        "may no longer:  run get",
    ];
    assert_eq!(told, now, "{}", refused.stdout);
    workspace.converge();
}

#[test]
fn a_user_that_needs_no_password_is_told_whoever_made_it() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.spec("kept", "app = \"@kept\"\n[services.kv]\ncredential = \"keep\"\n");
    workspace.converge();
    let app = format!("{}kept", workspace.prefix);
    server.run(&["ACL", "SETUSER", &app, "nopass"]);
    // Whoever looks after the password: none at all is nobody's wish.
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("needs no password and may");
    plan.says(&format!("the user `{app}`")).says("drifted");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    server.run(&["ACL", "SETUSER", "stranger", "on", "nopass", &format!("~{app}:x*"), "&*", "+@read", "+subscribe"]);
    server.run(&["ACL", "SAVE"]);
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("the user `stranger` needs no password");
    plan.says("may read keys of").says("and listen and send on every channel");
    workspace.run(&["doctor"]).exits(1).says("ACL DELUSER stranger");
}
