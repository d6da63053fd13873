//! Locks: they name their holder, die with it, are waited for, and a run whose lock was taken writes nothing more.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::{Session, WAITING};
use common::own_postgres::free_port;
use common::servers;
use common::signals::Running;
use common::state_database::{Holder, StateDatabase};
use std::time::Duration;

/// What waits for nobody any more ends by then.
const SOON: Duration = Duration::from_secs(30);
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
    let mut waiter = Running::of(workspace, &["apply", "--auto-approve", "--lock-timeout", "40s"]);
    waiter.until_it_says("Waiting up to 40 s");
    let process = format!("(process {})", holder.pid());
    holder.kill();
    let waited = waiter.ends_within(SOON).exits(0).says("2 created");
    let waited = waited.complains("Waiting up to 40 s for the lock: it is held by").complains(&process);
    assert_eq!(waited.stderr.matches("Waiting up to").count(), 1);
    workspace.run(&["doctor"]).exits(0).says("its lock is free");
    workspace.run(&["state", "unlock"]).exits(0).complains("Nobody holds the lock");
}

/// A file as the run that has the lock by now is about to rename it.
const HALF_WRITTEN: &str = "secrets/.nornplan-.x.env.staged-Ab12Cd.tmp";

fn lock_file_removed(workspace: &Workspace) {
    workspace.remove("state/default.lock");
}

fn unlocked(workspace: &Workspace) {
    workspace.run(&["state", "unlock", "--auto-approve"]).exits(0);
}

/// A run that goes on after its lock was taken leaves the secrets to who has it by now: after a long plan, and after a question.
fn leaves_the_secrets(workspace: &Workspace, take: fn(&Workspace)) {
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    workspace.spec("a", KV);
    let planning = Holder::start(workspace, free_port());
    take(workspace);
    workspace.write(HALF_WRITTEN, "");
    planning.go_on().exits(1).complains("the lock is no longer ours");
    assert!(workspace.path(HALF_WRITTEN).exists());
    let mut asking = Running::at_a_terminal(workspace, &["apply"]);
    asking.until_it_says("Type yes to go on:");
    take(workspace);
    workspace.write(HALF_WRITTEN, "");
    asking.types(b"yes\n");
    asking.ends_within(SOON).exits(1).says("the lock is no longer ours");
    assert!(workspace.path(HALF_WRITTEN).exists() && !has_user(workspace));
    workspace.converge();
    assert!(!workspace.path(HALF_WRITTEN).exists());
}

/// A run whose lock is taken while something is in flight finishes that and begins nothing more; what it has staged stays.
fn loses_it_in_mid_run(workspace: &Workspace, take: fn(&Workspace)) {
    let prefix = &workspace.prefix;
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    // Its user is refused, as somebody else made it, so that its password looks like one that nobody needs.
    servers::valkey(&["ACL", "SETUSER", &format!("{prefix}a"), "on", ">other"]).unwrap();
    let mut other = Session::of_admin();
    other.run(&format!("BEGIN; CREATE ROLE {prefix}a_user"));
    let mut run = Running::of(workspace, &["apply", "plan.json"]);
    run.until_it_says(&format!("valkey.user.{prefix}a: "));
    run.until("it waits for the role", || {
        let waits = format!("{WAITING} AND query LIKE '%{prefix}%'");
        servers::postgres_value("postgres", &format!("SELECT ({waits})::text")).as_deref() != Some("0")
    });
    let staged = format!("secrets/.{prefix}a.env.staged");
    let before = workspace.read(&staged);
    assert!(before.contains("VALKEY"), "both are staged");
    take(workspace);
    other.run("ROLLBACK");
    let ran = run.ends_within(SOON).exits(1).complains("the lock is no longer ours");
    ran.says("Not started").hides(&format!("postgres.grant.{prefix}a/{prefix}a_user: "));
    assert_eq!(workspace.read(&staged), before);
    assert!(!workspace.path(format!("secrets/{prefix}a.env")).exists(), "nothing was published");
    servers::valkey(&["ACL", "DELUSER", &format!("{prefix}a")]).unwrap();
    workspace.converge();
    servers::works(&workspace.published("@a", "DATABASE_URL"), "SELECT 1");
}

#[test]
fn a_run_whose_lock_on_files_is_gone_leaves_the_secrets_alone() {
    leaves_the_secrets(&Workspace::new(), lock_file_removed);
}

#[test]
fn a_run_whose_lock_in_a_database_is_gone_leaves_the_secrets_alone() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    leaves_the_secrets(&workspace, unlocked);
}

#[test]
fn a_lock_on_files_that_is_lost_in_mid_run() {
    loses_it_in_mid_run(&Workspace::new(), lock_file_removed);
}

#[test]
fn a_lock_in_a_database_that_is_lost_in_mid_run() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    loses_it_in_mid_run(&workspace, unlocked);
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

/// Ends the session that holds the lock, as a restart of the server does, or a broken network.
fn end_session(state: &StateDatabase) {
    state.run(&format!(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE l.locktype = 'advisory' AND d.datname = '{}'",
        state.name
    ));
}

#[test]
fn a_session_that_ended_is_begun_again_if_nobody_else_had_the_lock() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    let holder = Holder::start(&workspace, free_port());
    end_session(&state);
    let ended = holder.go_on().exits(0).says("2 created");
    ended.complains("Nobody has had the lock meanwhile, so it was taken again.");
    assert_eq!(state.value("SELECT count(*)::text FROM nornplan.journal"), "0");
    workspace.converge();

    // Again in the middle of a run.
    let role = format!("{}a_user", workspace.prefix);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    let mut other = Session::of_admin();
    other.run(&format!("BEGIN; CREATE ROLE {role}"));
    let mut run = Running::of(&workspace, &["apply", "--auto-approve"]);
    run.until("it waits for the role", || {
        let waits = format!("{WAITING} AND query LIKE '%{role}%'");
        servers::postgres_value("postgres", &format!("SELECT ({waits})::text")).as_deref() != Some("0")
    });
    end_session(&state);
    other.run("ROLLBACK");
    run.ends_within(SOON).exits(0).complains("it was taken again");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_session_that_ended_is_not_begun_again_after_another_run() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    let first = Holder::start(&workspace, free_port());
    end_session(&state);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("2 created");
    let secrets = workspace.secrets("@a");
    first.go_on().exits(1).complains("the lock is no longer ours: another run has taken it (").hides("created");
    assert_eq!(workspace.secrets("@a"), secrets);
    assert_eq!(state.value("SELECT serial::text FROM nornplan.document"), "1");
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
