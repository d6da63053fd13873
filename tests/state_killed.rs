//! What is done to the state as a whole, killed at every boundary: the same command again ends well, and there are never two
//! states.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::state_database::StateDatabase;
use common::{Ran, Workspace};
use std::collections::BTreeMap;

/// A run that nothing happens to.
const UNTOUCHED: (&str, &str) = ("NORNPLAN_FAILPOINT", "");

/// Runs with the state on one of the backends, struck or recorded as a variable says.
fn on(workspace: &Workspace, backend: &str, arguments: &[&str], variable: (&str, &str)) -> Ran {
    let mut command = workspace.command(arguments);
    command.env("NORNPLAN_STATE_BACKEND", backend).env(variable.0, variable.1);
    Ran::of(command.output().unwrap())
}

/// Kills a command at every boundary that it passes. `prepare` makes the workspace ready for it, `prove` looks after it was
/// run to its end.
fn killed_everywhere(
    workspace: &Workspace,
    backend: &str,
    command: &[&str],
    prepare: impl Fn(),
    prove: impl Fn(&str, &Ran),
) -> usize {
    prepare();
    let record = ("NORNPLAN_FAILPOINTS_RECORD", "passed");
    let untouched = on(workspace, backend, command, record).exits(0);
    prove("untouched", &untouched);
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    workspace.read("passed").lines().for_each(|line| *passed.entry(line.to_owned()).or_default() += 1);
    workspace.remove("passed");
    let points = passed.iter().flat_map(|(name, hits)| (1..=*hits).map(move |hit| format!("abort:{hit}:{name}")));
    points
        .map(|point| {
            prepare();
            let struck = on(workspace, backend, command, ("NORNPLAN_FAILPOINT", &point));
            assert_eq!(struck.code, 128 + libc::SIGABRT, "{point}: {}\n{}", struck.stdout, struck.stderr);
            let again = [command, &["--lock-timeout", "20s"]].concat();
            prove(&point, &on(workspace, backend, &again, UNTOUCHED));
        })
        .count()
}

const KV: &str = "app = \"@a\"\n[services.kv]\n";

fn said(ran: &Ran) -> String {
    format!("{}\n{}", ran.stdout, ran.stderr)
}

#[test]
fn a_state_that_is_moved_is_at_one_place_whenever_it_is_killed() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    on(&workspace, "local", &["apply", "--auto-approve"], UNTOUCHED).exits(0);
    for (from, to) in [("local", "postgres"), ("postgres", "local")] {
        let migrate = ["state", "migrate", "--from", from];
        let plan = |backend: &str| on(&workspace, backend, &["plan", "--detailed-exitcode"], UNTOUCHED);
        let prove = |point: &str, ran: &Ran| {
            // Killed after the very last effect, there is nothing left to do.
            let ended = ran.code == 0 || ran.stderr.contains("there is no state to move");
            assert!(ended, "{point}: {}", said(ran));
            let (there, here) = (plan(to), plan(from));
            assert!(there.code == 0, "{point}: {}", said(&there));
            assert!(here.code == 1 && here.stderr.contains("moved"), "{point}: {}", said(&here));
        };
        // Back to where it was, unless it is there.
        let back = || {
            let _already = on(&workspace, from, &["state", "migrate", "--from", to], UNTOUCHED);
            if from == "local" {
                state.lose();
            }
            assert_eq!(plan(from).code, 0);
        };
        let points = killed_everywhere(&workspace, to, &migrate, back, prove);
        assert!(points > 12, "{points} are too few");
    }
    on(&workspace, "postgres", &["state", "migrate", "--from", "local"], UNTOUCHED).exits(0);
}

#[test]
fn a_document_that_is_pushed_and_what_is_forgotten_is_there_in_the_end_whenever_it_is_killed() {
    for backend in ["local", "postgres"] {
        let mut workspace = Workspace::new();
        let _state = (backend == "postgres").then(|| StateDatabase::of(&mut workspace));
        workspace.spec("a", KV);
        let run = |arguments: &[&str]| on(&workspace, backend, arguments, UNTOUCHED);
        run(&["apply", "--auto-approve"]).exits(0);
        run(&["state", "pull", "--out", "whole.json"]).exits(0);
        let user = format!("valkey.user.{}a", workspace.prefix);
        let forget = ["state", "forget", &user];
        let push = ["state", "push", "whole.json", "--auto-approve", "--force"];
        let has = |point: &str, wanted: bool| {
            let list = run(&["state", "list"]).exits(0);
            assert_eq!(list.stdout.contains(&user), wanted, "{point}: {}", said(&list));
        };
        let pushed = |point: &str, ran: &Ran| {
            assert!(ran.code == 0, "{point}: {}", said(ran));
            has(point, true);
        };
        let forgotten = |point: &str, ran: &Ran| {
            let ended = ran.code == 0 || ran.stderr.contains("the state does not have");
            assert!(ended, "{point}: {}", said(ran));
            has(point, false);
        };
        let points = killed_everywhere(&workspace, backend, &push, || drop(run(&forget)), pushed)
            + killed_everywhere(&workspace, backend, &forget, || drop(run(&push)), forgotten);
        assert!(points > 12, "{points} are too few");
        run(&push).exits(0);
        run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}
