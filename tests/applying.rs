//! Apply: saved plans, the lock, interrupts and kills, the re-read before each write, rotations.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::held::{Session, beside};
use common::servers;
use common::settled::settled;
use common::{Ran, Workspace, kafka_hand};
use nornplan::services::kafka::client::native::NewTopic;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

const ALL: &str =
    "app = \"@a\"\n[services.postgres]\nconnection_limit = 5\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace
}

#[test]
fn a_saved_plan_is_carried_out_as_it_is() {
    let workspace = workspace();
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    workspace.run(&["show", "plan.json"]).exits(0).says("to create");
    // A spec that changes afterwards changes nothing in what was reviewed.
    workspace.spec("a", &ALL.replace("= 5", "= 6"));
    workspace.run(&["apply", "plan.json"]).exits(0);
    let query = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    assert_eq!(servers::postgres_value("postgres", &query).as_deref(), Some("5"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("5 -> 6");
    workspace.run(&["apply", "plan.json", "--app", "@a"]).exits(1).complains("saved plan");
}

#[test]
fn a_saved_plan_that_was_changed_or_cut_is_refused() {
    let workspace = workspace();
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    let text = workspace.read("plan.json");
    workspace.write("changed.json", &text.replace("connection_limit", "connection_limit_"));
    workspace.write("cut.json", &text[..text.len() / 2]);
    workspace.run(&["apply", "changed.json"]).exits(1).complains("changed after it was saved");
    workspace.run(&["apply", "cut.json"]).exits(1).complains("no whole saved plan");
    assert!(!workspace.path("state/default.json").exists());
}

#[test]
fn what_changed_since_the_plan_is_refused_by_name_and_the_rest_goes_on() {
    let workspace = workspace();
    workspace.converge();
    workspace.spec("a", &ALL.replace("= 5", "= 6").replace("\"@a.t\"", "\"@a.t\", \"@a.u\""));
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    servers::postgres("postgres", &format!("ALTER ROLE {}a_user CONNECTION LIMIT 77", workspace.prefix));
    let ran = workspace.run(&["apply", "plan.json"]).exits(1);
    let all = ran.stdout + &ran.stderr;
    assert!(all.contains("a_user") && all.contains("77"), "{all}");
    assert_eq!(servers::partitions(&format!("{}a.u", workspace.prefix)), 1, "what did not change is done");
    let query = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    assert_eq!(
        servers::postgres_value("postgres", &query).as_deref(),
        Some("77"),
        "unseen changes are not overwritten"
    );
    workspace.converge();
}

#[test]
fn a_refused_plan_leaves_no_password_behind() {
    let workspace = Workspace::new();
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    workspace.converge();
    let before = workspace.secrets("@a");
    let staged = workspace.path(format!("secrets/.{}a.env.staged", workspace.prefix));
    let refused = workspace.run(&["apply", "plan.json"]).exits(1);
    refused.says("create: it exists already, with another password").hides("not there");
    assert!(!staged.exists() && workspace.secrets("@a") == before);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // So what somebody edits by hand is what it is, and is held.
    let url = workspace.published("@a", "DATABASE_URL");
    let edited = before.replace(&url, &url.replacen('@', "x@", 1));
    std::fs::write(workspace.path(format!("secrets/{}a.env", workspace.prefix)), edited).expect("edited");
    let plan = workspace.run(&["plan"]).exits(0).says("--allow-interrupt postgres.role.");
    plan.says("the published credential does not sign in").hides("did not finish");

    // What an earlier run staged may be on the server: a refused plan leaves it there, and doctor names it.
    std::fs::write(&staged, "POSTGRES_PASSWORD=of-an-earlier-run\n").expect("staged");
    workspace.run(&["doctor"]).exits(0).says(&format!("passwords are staged for {}a:", workspace.prefix));
    workspace.run(&["apply", "plan.json"]).exits(1);
    assert!(std::fs::read_to_string(&staged).is_ok_and(|text| text.contains("of-an-earlier-run")));
}

#[test]
fn two_runs_never_write_at_once() {
    let workspace = workspace();
    std::fs::create_dir_all(workspace.path("state")).expect("state/");
    let lock = std::fs::File::create(workspace.path("state/default.lock")).expect("the lock");
    lock.lock().expect("locked");
    let since = Instant::now();
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("lock");
    assert!(since.elapsed() < Duration::from_secs(20));
    // Reading needs no lock.
    workspace.run(&["plan"]).exits(0);
    let waiting = workspace.command(&["apply", "--auto-approve", "--lock-timeout", "60s"]);
    let child = beside(waiting);
    std::thread::sleep(Duration::from_millis(500));
    lock.unlock().expect("unlocked");
    Ran::of(child.wait_with_output().expect("it ends")).exits(0);
}

/// So many apps that there is time to interrupt.
const MANY: usize = 6;

fn many() -> Workspace {
    let workspace = Workspace::new();
    for n in 0..MANY {
        workspace.spec(&format!("a{n}"), &ALL.replace("@a", &format!("@a{n}")));
    }
    workspace
}

#[test]
fn an_interrupt_finishes_what_is_in_flight_and_the_next_run_goes_on() {
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let workspace = many();
        let child = beside(workspace.command(&["apply", "--auto-approve"]));
        wait_for_the_journal(&workspace);
        nix_kill(child.id(), signal);
        let ran = Ran::of(child.wait_with_output().expect("it ends"));
        assert!(ran.code == code, "{} {}", ran.code, ran.stderr);
        assert!(ran.stderr.contains("Run the same command again"), "{}", ran.stderr);
        workspace.converge();
    }
}

#[test]
fn a_kill_converges_with_working_credentials() {
    kill_after(&[0, 60, 150, 300]);
}

#[test]
#[ignore = "takes minutes: make test-deep"]
fn a_kill_at_any_moment_converges_with_working_credentials() {
    let delays: Vec<u64> = (0..40).map(|n| n * 25).collect();
    kill_after(&delays);
}

/// Kills an apply so many milliseconds after its first step, and demands that the next one puts everything right.
fn kill_after(delays: &[u64]) {
    for delay in delays.iter().copied() {
        let workspace = many();
        let mut child = beside(workspace.command(&["apply", "--auto-approve"]));
        wait_for_the_journal(&workspace);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().expect("killed");
        child.wait().expect("it ends");
        workspace.converge();
        for n in 0..MANY {
            let url = workspace.published(&format!("@a{n}"), "DATABASE_URL");
            servers::postgres_at(&url, "SELECT 1").expect("it signs in");
            let url = workspace.published(&format!("@a{n}"), "VALKEY_URL");
            servers::valkey_at(&url, &["PING"]).expect("it signs in");
        }
        workspace.run(&["drift"]).exits(0);
    }
}

/// The server finishes what a killed run had sent: a plan that reads before that would be refused at apply.
#[test]
fn what_a_killed_run_is_still_writing_is_waited_for() {
    let workspace = workspace();
    workspace.converge();
    let mut killed = Session::of_admin();
    killed.run("SET application_name = 'nornplan'");
    killed.run(&format!("BEGIN; ALTER ROLE {}a_user CONNECTION LIMIT 7", workspace.prefix));
    let mut plan = beside(workspace.command(&["plan", "--detailed-exitcode"]));
    let mut told = BufReader::new(plan.stderr.take().expect("its messages")).lines().map_while(Result::ok);
    assert!(told.any(|line| line == "PostgreSQL: waiting for what another nornplan writes"));
    killed.run("COMMIT");
    Ran::of(plan.wait_with_output().expect("it ends")).exits(2).says("7 -> 5");
}

fn wait_for_the_journal(workspace: &Workspace) {
    let since = Instant::now();
    while !workspace.path("state/default.journal").exists() && !workspace.path("state/default.json").exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "nothing was applied");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a child of this test.
fn nix_kill(process: u32, signal: i32) {
    let status = std::process::Command::new("kill").arg(format!("-{signal}")).arg(process.to_string()).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn a_rotation_sets_new_passwords_that_work_and_the_old_ones_do_not() {
    let workspace = workspace();
    workspace.converge();
    let old: Vec<String> = ["DATABASE_URL", "VALKEY_URL"].map(|name| workspace.published("@a", name)).into();
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0).says("to rotate");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    servers::postgres_at(&old[0], "SELECT 1").expect_err("the old password is refused");
    servers::valkey_at(&old[1], &["PING"]).expect_err("the old password is refused");
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("the new one works");
    servers::valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]).expect("the new one works");
    workspace.run(&["drift"]).exits(0);
}

#[test]
fn a_password_that_was_changed_by_hand_is_drift_and_its_rotation_waits_for_consent() {
    let workspace = workspace();
    workspace.converge();
    servers::postgres("postgres", &format!("ALTER ROLE {}a_user PASSWORD 'by-hand'", workspace.prefix));
    workspace.run(&["drift"]).exits(2).says("credential");
    workspace.run(&["plan"]).exits(0).says("1 held: --allow-interrupt");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect_err("it was not touched");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.role.*"]).exits(0);
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("it works again");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_failed_step_fails_only_what_depends_on_it() {
    let workspace = Workspace::new();
    workspace.spec("b", &ALL.replace("@a", "@b"));
    workspace.converge();
    workspace.spec("a", ALL);
    // Somebody makes a topic first that is to come, and the ACLs that name it are not set.
    let more = "\"@b.t\", { name = \"@b.new\", partitions = 1 }";
    workspace.spec("b", &ALL.replace("@a", "@b").replace("\"@b.t\"", more));
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    let (name, config) = (format!("{}b.new", workspace.prefix), BTreeMap::new());
    let theirs = NewTopic { name: &name, partitions: Some(2), replication: Some(1), config: &config };
    let admin = kafka_hand::admin_of(&servers::kafka_admin());
    assert!(servers::block_on(admin.create_topics(&[theirs], false)).expect("an answer").iter().all(Result::is_ok));
    servers::block_on(settled(&admin));
    let ran = workspace.run(&["apply", "--auto-approve", "plan.json"]).exits(1);
    let all = ran.stdout.clone() + &ran.stderr;
    assert!(all.contains(&format!("kafka.topic.{name}")) && all.contains("skipped"), "{all}");
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("the other app is done");
    workspace.spec("b", &ALL.replace("@a", "@b"));
    workspace.converge();
    assert!(servers::block_on(admin.delete_topics(&[&name])).expect("an answer").iter().all(Result::is_ok));
}
