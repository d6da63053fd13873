//! What a killed run had asked for, and a server did after the next run was planned.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::{Ran, Workspace};

/// Runs it to the boundary at which it dies.
#[track_caller]
fn dies(workspace: &Workspace, boundary: &str, time: u32) {
    let mut command = workspace.command(&["apply", "--auto-approve", "--parallelism=1"]);
    let ran =
        Ran::of(command.env("NORNPLAN_FAILPOINT", format!("abort:{time}:{boundary}")).output().expect("nornplan runs"));
    assert!(ran.code != 0 && ran.code != 1, "it was to die: {}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn a_login_that_a_killed_run_asked_for_is_gone_on_with() {
    // The first role of an app owns what it has, and signs in nowhere.
    for (service, kind, time) in
        [("postgres", "postgres.role", 2), ("kv", "valkey.user", 1), ("events", "kafka.user", 1)]
    {
        let workspace = Workspace::new();
        workspace.spec("a", &format!("app = \"@a\"\n[services.{service}]\n"));
        // Its password is staged, and it is not there yet.
        dies(&workspace, &format!("before batch create {kind} main"), time);
        workspace.run(&["plan", "--out", "plan.json"]).exits(0);
        // It comes only now.
        dies(&workspace, &format!("after batch create {kind} main"), 1);
        let ran = workspace.run(&["apply", "plan.json"]).exits(0);
        assert!(!ran.stdout.contains("refused"), "{service}: {}", ran.stdout);
        workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
    }
}
