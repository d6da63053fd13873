//! A saved plan that is carried out once more, or again after a run of it was killed: nothing is done twice.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::held::beside;
use common::{Workspace, servers};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ALL: &str =
    "app = \"@a\"\n[services.postgres]\nconnection_limit = 5\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";
const CONSENT: [&str; 2] = ["--allow-destroy=all", "--allow-interrupt=all"];

/// What is kept of an app: its published values, and the state.
fn kept(workspace: &Workspace) -> (String, String) {
    (workspace.secrets("@a"), workspace.read("state/default.json"))
}

/// Carries a plan out twice, and demands that the second time writes nothing anywhere.
fn twice(workspace: &Workspace, plan: &str) {
    workspace.run(&["apply", plan]).exits(0).says("Apply complete: ");
    let state = workspace.read("state/default.json");
    let again = workspace.run(&["apply", plan]).exits(0).says("Everything was so already: nothing was written.");
    assert!(again.last_line().starts_with("Apply complete: 0 created, 0 updated, "), "{}", again.stdout);
    assert_eq!(workspace.read("state/default.json"), state);
}

fn works(workspace: &Workspace, app: &str) {
    servers::postgres_at(&workspace.published(app, "DATABASE_URL"), "SELECT 1").expect("it signs in");
    servers::valkey_at(&workspace.published(app, "VALKEY_URL"), &["PING"]).expect("it signs in");
}

#[test]
fn a_plan_that_is_carried_out_twice_does_nothing_the_second_time() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.among_others(3);
    // One that founds the state, with logins that are made.
    workspace.run(&["plan", "--out", "first.json"]).exits(0);
    twice(&workspace, "first.json");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    works(&workspace, "@a");

    // One with new passwords for logins that exist.
    let before = kept(&workspace);
    workspace.run(&["plan", "--rotate", "--app", "@a", "--out", "rotate.json"]).exits(0).says("to rotate");
    assert_eq!(kept(&workspace), before, "planning changes nothing");
    workspace.run(&["apply", "rotate.json"]).exits(0).says("rotated");
    let rotated = kept(&workspace);
    assert_ne!(rotated.0, before.0);
    workspace.run(&["apply", "rotate.json"]).exits(0).says("nothing was written");
    assert_eq!(kept(&workspace), rotated, "no second password");
    works(&workspace, "@a");

    // One that destroys: what was made anew since is not destroyed by it.
    let destroy = ["plan", "--destroy", "--app", "@a", "--out", "destroy.json", CONSENT[0], CONSENT[1]];
    workspace.run(&destroy).exits(0).says("to destroy").says("asked for");
    twice(&workspace, "destroy.json");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    works(&workspace, "@a");
    let again = workspace.run(&["apply", "destroy.json"]).exits(1).flat();
    again.says("this plan was carried out on it before, and it has been changed since").says("0 destroyed");
    works(&workspace, "@a");
    // The first one says of the logins that they are not those that it made.
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

/// The steps that the state says were begun and not ended.
fn in_flight(workspace: &Workspace) -> usize {
    let journal = workspace.read("state/default.journal");
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for event in lines {
        match event["event"].as_str() {
            Some("begun") => begun.extend(event["steps"].as_array().into_iter().flatten().map(Value::to_string)),
            Some("carried") => drop(ended.insert(event["step"].to_string())),
            _ => {}
        }
    }
    begun.difference(&ended).count()
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_by_the_same_plan() {
    const MANY: usize = 5;
    let mut met = 0;
    // Killed when so many lines are in the journal: at its first steps, and in the midst of them.
    for lines in [3, 12, 20] {
        let workspace = Workspace::new();
        for n in 0..MANY {
            workspace.spec(&format!("a{n}"), &ALL.replace("@a", &format!("@a{n}")));
        }
        workspace.run(&["plan", "--out", "plan.json"]).exits(0);
        let mut child = beside(workspace.command(&["apply", "plan.json"]));
        let since = Instant::now();
        let journal = || std::fs::read_to_string(workspace.path("state/default.journal")).unwrap_or_default();
        while journal().lines().count() < lines {
            assert!(since.elapsed() < Duration::from_secs(60), "nothing was applied");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("killed");
        child.wait().expect("it ends");
        met += in_flight(&workspace);
        workspace.run(&["apply", "plan.json"]).exits(0);
        workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0);
        (0..MANY).for_each(|n| works(&workspace, &format!("@a{n}")));
    }
    assert!(met > 0, "nothing was in flight when a run was killed");
}

#[test]
fn destroys_and_rotations_are_previewed_without_a_terminal_and_without_a_change() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.among_others(1);
    workspace.run(&["plan", "--rotate", "--app", "@a"]).exits(1).complains("was not applied yet");
    workspace.converge();
    let before = kept(&workspace);
    workspace.run(&["plan", "--destroy", "--app", "@a"]).exits(0).says("HELD").hides("@kv0");
    workspace.run(&["plan", "--destroy"]).exits(0).says(&format!("{}a", workspace.prefix)).says("kv0");
    workspace.run(&["plan", "--rotate"]).exits(1).complains("--app");
    workspace.run(&["plan", "--rotate", "--destroy", "--app", "@a"]).exits(1);
    workspace.run(&["plan", "--destroy", "--service", "kafka"]).exits(1);
    workspace.run(&["plan", "--destroy", "--app", "@none"]).exits(1).complains("there is no app");
    let one = ["plan", "--rotate", "--app", "@a", "--service", "valkey", "--detailed-exitcode", "--summary"];
    workspace.run(&one).exits(2).says("1 to rotate");
    assert_eq!(kept(&workspace), before);
}
