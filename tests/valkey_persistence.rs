//! Users outlive a restart of the server, or it is said that they do not. Every test has a server of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::Workspace;
use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::valkey_at;
use fred::prelude::*;
use fred::types::{ClusterHash, CustomCommand};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SAVES: &str = "valkey.persistence.users";

fn workspace(server: &OwnValkey) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace
}

/// Demands that the app signs in with what is published for it.
#[track_caller]
fn signs_in(workspace: &Workspace, app: &str) {
    valkey_at(&workspace.published(app, "VALKEY_URL"), &["PING"]).unwrap_or_else(|error| panic!("{app}: {error}"));
}

fn is_marked(workspace: &Workspace) -> bool {
    workspace.read("state/default.json").contains("\"unsaved\"")
}

/// A state as a run leaves it that is killed before it has saved.
fn mark(workspace: &Workspace, state: &str) {
    let mut document: serde_json::Value = serde_json::from_str(state).unwrap();
    document["unsaved"] = serde_json::json!(["valkey"]);
    std::fs::write(workspace.path("state/default.json"), document.to_string()).unwrap();
}

#[track_caller]
fn nothing_to_do(workspace: &Workspace) {
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_restart_loses_nothing_where_users_are_saved() {
    for saves in [Saves::AclFile, Saves::ConfigFile] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.spec("b", "app = \"@b\"\n[services.kv]\naccess = \"readonly\"\n");
        workspace.converge().hides(SAVES).hides("volatile");
        assert!(!is_marked(&workspace));
        server.kill();
        server.start_again();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
        // A new password and a user that goes are saved as well.
        let former = workspace.published("@a", "VALKEY_URL");
        workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
        workspace.remove("specs/b.toml");
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
        assert!(valkey_at(&former, &["PING"]).is_err());
        let there = server.run(&["ACL", "USERS"]).into_array();
        assert_eq!(there.len(), 2, "{there:?}");
    }
}

#[test]
fn without_a_file_users_are_made_again_after_a_restart() {
    let server = OwnValkey::with(Saves::Nowhere, "");
    let workspace = workspace(&server);
    workspace.run(&["plan"]).exits(0).says("volatile");
    workspace.converge().hides(SAVES);
    let published = workspace.published("@a", "VALKEY_URL");
    server.restart();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("gone from the service");
    workspace.converge();
    assert_eq!(workspace.published("@a", "VALKEY_URL"), published);
    signs_in(&workspace, "@a");
}

/// A connection that was there before the server takes no more.
struct Open {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Open {
    fn to(server: &OwnValkey) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let config = Config::from_url(&server.url("default", PASSWORD)).unwrap();
            let client = Builder::from_config(config).build().unwrap();
            client.init().await.unwrap();
            client
        });
        Self { runtime, client }
    }

    fn run(&self, words: &[&str]) -> Value {
        let command = CustomCommand::new(words[0].to_owned(), ClusterHash::FirstKey, false);
        let arguments: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
        self.runtime
            .block_on(self.client.custom(command, arguments))
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.runtime.block_on(self.client.quit()));
    }
}

/// Kills an apply after it has set a user and before it saves it: the proof of the password, which lies in between, takes
/// a connection that the server does not give.
fn kill_before_it_saves(server: &OwnValkey, workspace: &Workspace, user: &str) {
    let open = Open::to(server);
    open.run(&["CONFIG", "SET", "maxclients", "2"]);
    let mut apply = workspace.command(&["apply", "--auto-approve"]);
    let mut running = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while open.run(&["ACL", "GETUSER", user]).is_null() {
        assert!(since.elapsed() < Duration::from_secs(30) && running.try_wait().unwrap().is_none(), "never set");
        std::thread::sleep(Duration::from_millis(2));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    open.run(&["CONFIG", "SET", "maxclients", "100"]);
}

#[test]
fn what_a_killed_run_had_set_and_not_saved_is_saved_by_the_next_one() {
    for (saves, restarts_before) in [(Saves::AclFile, false), (Saves::ConfigFile, false), (Saves::AclFile, true)] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.converge();
        workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
        kill_before_it_saves(&server, &workspace, &format!("{}b", workspace.prefix));
        if restarts_before {
            server.restart();
        }
        let is_there = !server.run(&["ACL", "GETUSER", &format!("{}b", workspace.prefix)]).is_null();
        assert_ne!(is_there, restarts_before);
        let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(SAVES);
        plan.says("an earlier run ended before it had saved what it set");
        workspace.converge();
        assert!(!is_marked(&workspace));
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@b");
    }
}

#[test]
fn a_user_that_a_killed_run_had_removed_does_not_come_back() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    let users = server.home().join("acl/users.acl");
    let (state, saved) = (workspace.read("state/default.json"), std::fs::read(&users).unwrap());
    workspace.remove("specs/b.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    // As it is when that run is killed after DELUSER: neither journalled nor saved.
    mark(&workspace, &state);
    std::fs::write(&users, saved).unwrap();
    workspace.run(&["plan"]).exits(0).says(SAVES).says("forget");
    // What is forgotten is not looked at any more: it is saved before.
    std::fs::rename(server.home().join("acl"), server.home().join("away")).unwrap();
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("valkey.persistence.users: failed");
    workspace.run(&["plan"]).exits(0).says(SAVES).says("x valkey.user.");
    std::fs::rename(server.home().join("away"), server.home().join("acl")).unwrap();
    workspace.converge();
    server.restart();
    assert!(server.run(&["ACL", "GETUSER", &format!("{}b", workspace.prefix)]).is_null());
    nothing_to_do(&workspace);
}

#[test]
fn a_mark_that_nothing_came_after_goes_with_a_save() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.converge();
    mark(&workspace, &workspace.read("state/default.json"));
    workspace.run(&["drift"]).exits(2).says(SAVES);
    // Every kind of run repairs it, whatever it is about.
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0).says(SAVES);
    assert!(!is_marked(&workspace));
    nothing_to_do(&workspace);
}

/// Makes saving impossible, and returns how to make it possible again.
fn break_saving(server: &OwnValkey, saves: Saves) -> (PathBuf, PathBuf) {
    let file = server.home().join(if saves == Saves::AclFile { "acl" } else { "valkey.conf" });
    let away = server.home().join("away");
    std::fs::rename(&file, &away).unwrap();
    if saves == Saves::ConfigFile {
        std::fs::create_dir(&file).unwrap();
    }
    (away, file)
}

#[test]
fn nothing_is_changed_where_users_cannot_be_saved() {
    for (saves, cause, next) in [
        (Saves::AclFile, "the server cannot save its users in its aclfile", "mount that directory"),
        (
            Saves::ConfigFile,
            "the server cannot save its users in its configuration file",
            "Or give the server an aclfile",
        ),
    ] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.converge();
        let users = || server.run(&["ACL", "LIST"]);
        let (before, published) = (users(), workspace.secrets("@a"));
        let (away, file) = break_saving(&server, saves);
        workspace.spec("a", "app = \"@a\"\n[services.kv]\naccess = \"readonly\"\n");
        workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
        let ran = workspace.run(&["apply", "--auto-approve"]).exits(1).says(&format!("127.0.0.1:{}", server.port));
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["nothing was changed", cause, next] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(users(), before);
        assert_eq!(workspace.secrets("@a"), published);
        assert!(!is_marked(&workspace), "nothing was written");
        workspace.run(&["rotate", "@a", "--auto-approve"]).exits(1).says("nothing was changed");
        assert_eq!(users(), before);
        if saves == Saves::ConfigFile {
            std::fs::remove_dir(&file).unwrap();
        }
        std::fs::rename(away, file).unwrap();
        workspace.converge();
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
    }
}
