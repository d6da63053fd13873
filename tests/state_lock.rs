//! Locks: they name their holder, die with it, are waited for, and a run whose lock was taken writes nothing more.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::own_postgres::free_port;
use common::servers;
use common::state_database::{Holder, StateDatabase};
use common::{Ran, Workspace};
use std::process::Stdio;

const KV: &str = "app = \"@a\"\n[services.kv]\n";

fn has_user(workspace: &Workspace) -> bool {
    let user = format!("{}a", workspace.prefix);
    servers::valkey(&["ACL", "GETUSER", &user]).is_ok_and(|found| !found.is_null())
}

/// On either backend: who holds it is named, a waiter goes on as soon as it is killed.
fn dies_with_its_holder(workspace: &Workspace) {
    let holder = Holder::start(workspace, free_port());
    let second = workspace.run(&["apply", "--auto-approve"]).exits(1).complains("the state is locked by ");
    let second = second.complains(&format!("(process {})", holder.pid())).complains("apply --auto-approve --wait 60s");
    second.complains("--lock-timeout");
    workspace.run(&["doctor"]).says("its lock is held by").says(&format!("(process {})", holder.pid()));
    workspace.run(&["plan"]).exits(0).says("2 to create");
    let mut waiter = workspace.command(&["apply", "--auto-approve", "--lock-timeout", "40s"]);
    let waiter = waiter.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    let process = format!("(process {})", holder.pid());
    holder.kill();
    let waited = Ran::of(waiter.wait_with_output().unwrap()).exits(0).says("2 created");
    let waited = waited.complains("Waiting up to 40 s for the lock: it is held by").complains(&process);
    assert_eq!(waited.stderr.matches("Waiting up to").count(), 1);
    workspace.run(&["doctor"]).exits(0).says("its lock is free");
    workspace.run(&["state", "unlock"]).exits(0).complains("Nobody holds the lock");
}

/// A run that goes on after its lock was taken writes nothing.
fn writes_nothing_more(workspace: &Workspace, holder: Holder) {
    let ended = holder.go_on().exits(1).complains("the lock is no longer ours");
    ended.complains("nothing more was begun").hides("created");
    assert!(!has_user(workspace), "nothing was written to the service");
    workspace.run(&["state", "list"]).exits(0).complains("Nothing is ours");
    workspace.converge();
}

#[test]
fn a_lock_on_files_dies_with_its_holder() {
    let workspace = Workspace::new();
    workspace.spec("a", KV);
    dies_with_its_holder(&workspace);
}

#[test]
fn a_lock_in_a_database_dies_with_its_holder() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    dies_with_its_holder(&workspace);
}

#[test]
fn a_run_whose_lock_on_files_was_removed_or_moved_writes_nothing_more() {
    for thief in ["remove", "replace", "move the directory"] {
        let workspace = Workspace::new();
        workspace.spec("a", KV);
        let holder = Holder::start(&workspace, free_port());
        let unlock = workspace.run(&["state", "unlock"]).exits(1).flat();
        unlock.complains(&format!("kill {}", holder.pid()));
        match thief {
            "remove" => workspace.remove("state/default.lock"),
            "replace" => {
                workspace.remove("state/default.lock");
                workspace.write("state/default.lock", "");
            }
            _ => {
                std::fs::rename(workspace.path("state"), workspace.path("elsewhere")).unwrap();
                std::fs::create_dir(workspace.path("state")).unwrap();
            }
        }
        writes_nothing_more(&workspace, holder);
    }
}

#[test]
fn unlock_ends_the_session_that_it_named_and_its_run_writes_nothing_more() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    let holder = Holder::start(&workspace, free_port());
    workspace.run(&["state", "unlock"]).exits(1).complains("no terminal to ask").complains("is held by");
    let unlocked = workspace.run(&["state", "unlock", "--auto-approve"]).exits(0);
    unlocked.complains(&format!("(process {})", holder.pid())).complains("The lock is free.");
    workspace.run(&["doctor"]).exits(0).says("its lock is free");
    writes_nothing_more(&workspace, holder);
}

#[test]
fn a_session_that_somebody_ended_is_noticed_as_well() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    let holder = Holder::start(&workspace, free_port());
    state.run(&format!(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE l.locktype = 'advisory' AND d.datname = '{}'",
        state.name
    ));
    writes_nothing_more(&workspace, holder);
}

#[test]
fn another_run_that_has_the_lock_by_now_is_not_disturbed() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    let first = Holder::start(&workspace, free_port());
    workspace.run(&["state", "unlock", "--auto-approve"]).exits(0);
    let second = Holder::start(&workspace, free_port());
    let late = first.go_on().exits(1).complains("the lock is no longer ours");
    late.complains("another run has taken it");
    assert!(!has_user(&workspace));
    second.go_on().exits(0).says("2 created");
    assert_eq!(state.value("SELECT serial::text FROM nornplan.document"), "1");
}
