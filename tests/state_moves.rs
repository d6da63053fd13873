//! The state as a whole: pulled, pushed, and moved between backends, with nobody going on from the old one unawares.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::state_database::StateDatabase;
use common::{Ran, Workspace};

const KV: &str = "app = \"@a\"\n[services.kv]\n";

/// Writes a file as it is: in documents, `@` stands for itself.
fn write(workspace: &Workspace, relative: &str, text: &str) {
    std::fs::write(workspace.path(relative), text).unwrap();
}

/// Runs with the state in files, whatever else is set.
fn on_files(workspace: &Workspace, arguments: &[&str]) -> Ran {
    Ran::of(workspace.command(arguments).env("NORNPLAN_STATE_BACKEND", "local").output().unwrap())
}

#[test]
fn a_state_moves_into_the_database_and_back_and_its_old_place_says_so() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    on_files(&workspace, &["apply", "--auto-approve"]).exits(0);
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["state", "list"], &["drift"]] {
        let refused = workspace.run(command).exits(1).complains("there is a local state, and none in the database");
        refused.complains("state migrate --from local");
    }
    assert!(!state.exists(), "nothing was made");
    workspace.run(&["state", "migrate", "--from", "postgres"]).exits(1).complains("keeps its state already");
    let before = workspace.read("state/default.json");
    workspace
        .run(&["state", "migrate", "--from", "local"])
        .exits(0)
        .complains("Moved the state to database")
        .complains("stays at ")
        .complains("state/default.json.moved.");
    assert_eq!(workspace.run(&["state", "pull"]).exits(0).stdout, before);
    assert!(!workspace.path("state/default.json").exists());
    assert_eq!(workspace.read("state/default.json.moved"), before);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).hides("warning");
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["state", "list"]] {
        on_files(&workspace, command).exits(1).complains("this state was moved to");
    }
    workspace.run(&["state", "migrate", "--from", "local"]).exits(1).complains("there is no state to move");

    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    on_files(&workspace, &["state", "migrate", "--from", "postgres"]).exits(0);
    assert!(!workspace.path("state/default.json.moved").exists());
    on_files(&workspace, &["plan", "--detailed-exitcode"]).exits(0);
    workspace.run(&["plan"]).exits(1).complains("this state was moved to").complains("default.json");
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("this state was moved to");
    workspace.run(&["state", "migrate", "--from", "local"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_move_that_was_killed_half_way_is_finished_and_two_that_went_apart_are_refused() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    on_files(&workspace, &["apply", "--auto-approve"]).exits(0);
    let first = workspace.read("state/default.json");
    workspace.run(&["state", "migrate", "--from", "local"]).exits(0);
    // As it is after the state was written at the new place, and before the old one was marked.
    std::fs::rename(workspace.path("state/default.json.moved"), workspace.path("state/default.json")).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).complains("is a state too, and is not looked at");
    workspace.run(&["state", "migrate", "--from", "local"]).exits(0);
    assert!(!workspace.path("state/default.json").exists());
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    write(&workspace, "state/default.json", &first);
    let apart =
        workspace.run(&["state", "migrate", "--from", "local"]).exits(1).complains("one went on without the other");
    apart.complains("(serial 2 there, 1 here)").complains("Nothing was moved");
    write(&workspace, "state/default.json", &first.replace("\"lineage\": \"", "\"lineage\": \"x"));
    workspace.run(&["state", "migrate", "--from", "local"]).exits(1).complains("another state is there");
    std::fs::remove_dir_all(workspace.path("state")).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_first_run_that_was_killed_before_it_did_anything_leaves_nothing_to_move() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    std::fs::create_dir(workspace.path("state")).unwrap();
    let head = "{\"journal\":1,\"lineage\":\"l\",\"environment\":\"default\",\"serial\":0}\n";
    write(&workspace, "state/default.journal", head);
    workspace.run(&["plan"]).exits(1).complains("state migrate --from local");
    workspace.run(&["state", "migrate", "--from", "local"]).exits(1).complains("there is no state to move");
    workspace.converge();
}

/// What holds on either backend.
fn pushes(workspace: &Workspace) {
    workspace.spec("a", KV);
    workspace.converge();
    workspace.run(&["state", "pull", "--out", "first.json"]).exits(0);
    let first = workspace.read("first.json");
    assert_eq!(workspace.run(&["state", "pull"]).exits(0).stdout, first);
    let push = |file: &str| workspace.run(&["state", "push", file, "--auto-approve"]);
    push("first.json").exits(0).complains("what is there already");
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    push("first.json").exits(1).complains("older than what is there: serial 1, and 2 is there").complains("--force");
    let second = workspace.run(&["state", "pull"]).stdout;
    let edited = |file: &str, text: &str| {
        write(workspace, file, text);
        push(file)
    };
    edited("same.json", &first.replace("\"serial\": 1", "\"serial\": 2")).exits(1).complains("the same serial (2)");
    edited("other.json", &second.replace("\"lineage\": \"", "\"lineage\": \"x")).exits(1).complains("another state");
    edited("prod.json", &second.replace("\"environment\": \"default\"", "\"environment\": \"prod\""))
        .exits(1)
        .complains("the state of environment prod");
    edited("new.json", &second.replace("\"format_version\": 1", "\"format_version\": 8"))
        .exits(1)
        .complains("format 8");
    edited("torn.json", "{\"format_ver").exits(1).complains("this is no state");
    for huge in [u64::MAX, u64::try_from(i64::MAX).unwrap()] {
        let huge = second.replace("\"serial\": 2", &format!("\"serial\": {huge}"));
        edited("huge.json", &huge).exits(1).complains("is as large as none that was ever counted up to");
    }
    push("nowhere.json").exits(1).complains("no such file");
    assert_eq!(workspace.run(&["state", "pull"]).stdout, second, "nothing was written");
    write(workspace, "newer.json", &second.replace("\"serial\": 2", "\"serial\": 5"));
    workspace.run(&["state", "push", "newer.json"]).exits(1).complains("no terminal to ask");
    push("newer.json").exits(0).complains("serial 6");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let forced = workspace.run(&["state", "push", "first.json", "--auto-approve", "--force"]).exits(0);
    forced.complains("serial 7").complains("with 2 resources");
    workspace.run(&["state", "pull", "--backup"]).exits(0).says("\"serial\": 6");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("2 adopted");
}

#[test]
fn documents_are_pulled_and_pushed_on_files() {
    pushes(&Workspace::new());
}

#[test]
fn documents_are_pulled_and_pushed_in_a_database() {
    let mut workspace = Workspace::new();
    let _state = StateDatabase::of(&mut workspace);
    pushes(&workspace);
}
