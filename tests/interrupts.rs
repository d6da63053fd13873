//! Ctrl-C, SIGTERM and SIGHUP, by real signals to the program as users run it, in every phase that can be held.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::Session;
use common::own_postgres::OwnPostgres;
use common::own_valkey::OwnValkey;
use common::servers::{admin_url, postgres, postgres_at, postgres_value};
use common::signals::{Running, is_ignored, send, waiting_programs};
use common::state_database::StateDatabase;
use common::waiting::until_it_ends;
use libc::{SIGCONT, SIGHUP, SIGINT, SIGSTOP, SIGTERM};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
/// For what must not wait for anybody.
const SOON: Duration = Duration::from_secs(5);

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nconnection_limit = 5\n");
    workspace
}

/// Whether a session of nornplan's waits for a lock with a statement about this workspace.
fn waits(workspace: &Workspace) -> bool {
    let query = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'nornplan' AND wait_event_type = 'Lock' \
         AND query LIKE '%{}%' AND pid <> pg_backend_pid()",
        workspace.prefix
    );
    postgres_value("postgres", &query).as_deref() != Some("0")
}

fn limit(workspace: &Workspace) -> Option<String> {
    let query = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    postgres_value("postgres", &query)
}

/// An app that was applied, whose role is to change, and a session that keeps the role from changing.
fn held_role(rest: &str) -> (Workspace, Session) {
    let workspace = workspace();
    workspace.converge();
    workspace.spec("a", &format!("app = \"@a\"\n[services.postgres]\nconnection_limit = 6\n{rest}"));
    let mut other = Session::of_admin();
    other.run(&format!("BEGIN; ALTER ROLE {}a_user VALID UNTIL 'infinity'", workspace.prefix));
    (workspace, other)
}

#[test]
fn while_it_waits_for_the_lock() {
    let workspace = workspace();
    std::fs::create_dir_all(workspace.path("state")).expect("state/");
    let lock = std::fs::File::create(workspace.path("state/default.lock")).expect("the lock");
    lock.lock().expect("locked");
    // Whoever runs these tests under nohup has switched it off for the run as well.
    let signals = [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)].into_iter().filter(|(signal, _)| !is_ignored(*signal));
    for (signal, code) in signals {
        let mut run = Running::of(&workspace, &["apply", "--auto-approve", "--lock-timeout", "60s"]);
        run.until_it_opens("default.lock");
        run.signal(signal);
        run.ends_within(SOON).exits(code).complains("Interrupted; nothing was applied.");
    }
    assert!(!workspace.path("state/default.json").exists() && !workspace.path("secrets").exists());
}

#[test]
fn while_a_service_is_read_that_does_not_answer() {
    let mut workspace = workspace();
    workspace.converge();
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    let state = workspace.read("state/default.json");
    let port = std::env::var("NORNPLAN_POSTGRES_PORT").expect("a port");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    workspace.set("NORNPLAN_POSTGRES_PORT", &silent.local_addr().expect("an address").port().to_string());
    let commands: [&[&str]; 8] = [
        &["plan"],
        &["drift"],
        &["doctor"],
        &APPLY,
        &["rotate", "@a", "--auto-approve"],
        &["destroy", "--all", "--auto-approve"],
        &["apply", "plan.json"],
        &["snapshot", "@a"],
    ];
    for command in commands {
        let run = Running::of(&workspace, command);
        let _held = silent.accept().expect("it asks");
        run.signal(SIGTERM);
        let ran = run.ends_within(SOON).exits(143).complains("Interrupted");
        assert!(!ran.stderr.contains("panicked"), "{command:?}: {}", ran.stderr);
    }
    assert_eq!(workspace.read("state/default.json"), state);
    workspace.set("NORNPLAN_POSTGRES_PORT", &port);
}

#[test]
fn whichever_service_it_is_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port().to_string();
    let brokers = format!("127.0.0.1:{port}");
    for (variable, place, declares) in [
        ("NORNPLAN_VALKEY_PORT", &port, "[services.kv]"),
        ("NORNPLAN_KAFKA_BROKERS", &brokers, "[services.events]\ntopics = [\"@a.t\"]"),
    ] {
        let mut workspace = Workspace::new();
        workspace.spec("a", &format!("app = \"@a\"\n{declares}\n"));
        workspace.set(variable, place);
        for command in [&["plan"][..], &APPLY] {
            let run = Running::of(&workspace, command);
            let _held = silent.accept().expect("it asks");
            run.signal(SIGINT);
            run.ends_within(SOON).exits(130).complains("Interrupted; nothing was");
        }
        assert!(!workspace.path("state/default.json").exists());
    }
}

#[test]
fn while_it_asks() {
    let workspace = workspace();
    // Ctrl-C and the end of what is typed, as keys.
    for (key, code, said) in [(b"\x03", 130, "Interrupted; nothing was applied."), (b"\x04", 1, "Nothing was applied.")]
    {
        let mut run = Running::at_a_terminal(&workspace, &["apply"]);
        run.until_it_says("Type yes to go on:");
        run.types(key);
        run.ends_within(SOON).exits(code).says(said);
    }
    assert!(!workspace.path("state/default.json").exists());
}

#[test]
fn what_is_in_flight_finishes_and_nothing_more_is_begun() {
    let (workspace, mut other) = held_role("[services.kv]\n");
    let mut run = Running::of(&workspace, &[&APPLY[..], &["--parallelism", "1"]].concat());
    run.until("it waits", || waits(&workspace));
    run.signal(SIGTERM);
    run.until_it_says("Interrupted: finishing what is in flight, for 25 s at most.");
    other.run("ROLLBACK");
    let ran = run.ends_within(SOON).exits(143).complains("Interrupted. Run the same command again to go on from here.");
    let user = format!("valkey.user.{}a", workspace.prefix);
    let (_, not_begun) = ran.stdout.split_once("Not started: the run was stopped").expect("what was not begun");
    assert!(not_begun.contains(&user), "{}", ran.stdout);
    ran.says("1 updated").says("Everything done is recorded");
    assert_eq!(limit(&workspace).as_deref(), Some("6"));
    workspace.converge();
}

#[test]
fn a_rotation_that_was_begun_is_finished_by_the_next_apply() {
    let (workspace, mut other) = held_role("");
    let old = workspace.published("@a", "DATABASE_URL");
    let mut run = Running::of(&workspace, &["rotate", "@a", "--auto-approve"]);
    run.until("it waits", || waits(&workspace));
    run.signal(SIGINT);
    run.until_it_says("Interrupted: finishing what is in flight");
    other.run("ROLLBACK");
    let ran = run.ends_within(SOON).exits(130).complains("`nornplan apply` finishes the passwords that were begun");
    ran.says("Not started: the run was stopped");
    assert_eq!(workspace.published("@a", "DATABASE_URL"), old);
    workspace.run(&APPLY).exits(0).says("an earlier run did not finish");
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("the new password works");
    postgres_at(&old, "SELECT 1").expect_err("the old one does not");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_server_that_does_not_answer_is_given_up_after_the_grace() {
    let (workspace, mut other) = held_role("");
    let mut run = Running::of(&workspace, &[&APPLY[..], &["--grace", "300ms"]].concat());
    run.until("it waits", || waits(&workspace));
    run.signal(SIGINT);
    let ran = run.ends_within(SOON).exits(130).complains("It takes too long: what is in flight is given up.");
    ran.says("Given up: in flight when the run was ended").says("1 given up").hides("Not started");
    // The statement does not lie in wait for the lock: it is gone before anybody lets go.
    let still = format!(
        "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{}%'",
        workspace.prefix
    );
    let mut looker = Session::of_admin();
    looker.until(&still);
    other.run("ROLLBACK");
    assert_eq!(limit(&workspace).as_deref(), Some("5"));
    workspace.converge();
}

#[test]
fn a_database_that_is_being_made_is_there_or_not_at_all() {
    let server = OwnPostgres::start();
    let mut workspace = workspace();
    server.serve(&mut workspace);
    let (name, making) =
        (format!("{}a", workspace.prefix), "application_name = 'nornplan' AND query LIKE 'CREATE DATABASE%'");
    let is_there = || {
        let query = format!("SELECT count(*)::text FROM pg_database WHERE datname = '{name}'");
        server.value("postgres", &query).as_deref() == Some("1")
    };
    let waits = || {
        let query = format!("SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {making}");
        server.value("postgres", &query).as_deref() == Some("1")
    };
    let mut other = Session::open(&server.admin_url("postgres")).expect("the administrator signs in");
    for (grace, waited_for) in [("300ms", false), ("60s", true)] {
        other.run("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE ROW EXCLUSIVE MODE");
        let mut run = Running::of(&workspace, &["apply", "--auto-approve", "--grace", grace]);
        run.until("it waits", waits);
        run.signal(SIGTERM);
        run.until_it_says("Interrupted: finishing what is in flight");
        if waited_for {
            other.run("ROLLBACK");
        }
        run.ends_within(SOON).exits(143).says(if waited_for { "1 created" } else { "1 given up" });
        if !waited_for {
            // The server gives it up as well.
            let gone = format!("SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE {making}");
            Session::open(&server.admin_url("postgres")).expect("a session").until(&gone);
            other.run("ROLLBACK");
        }
        assert_eq!(is_there(), waited_for);
    }
    workspace.converge();
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("the app signs in");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (workspace, mut other) = held_role("");
    let mut run = Running::of(&workspace, &[&APPLY[..], &["--grace", "60s"]].concat());
    run.until("it waits", || waits(&workspace));
    run.signal(SIGINT);
    run.until_it_says("for 60 s at most");
    run.signal(SIGTERM);
    run.ends_within(SOON).exits(143).complains("Stopping at once.").says("1 given up");
    other.run("ROLLBACK");
    workspace.converge();
}

#[test]
fn a_service_that_hangs_or_is_gone_while_it_is_written_keeps_nobody() {
    for gone in [false, true] {
        let valkey = OwnValkey::start();
        let (mut workspace, mut other) = held_role("[services.kv]\n");
        valkey.serve(&mut workspace);
        let mut run = Running::of(&workspace, &[&APPLY[..], &["--parallelism", "1", "--grace", "300ms"]].concat());
        run.until("it waits", || waits(&workspace));
        if gone {
            valkey.kill()
        } else {
            send(SIGSTOP, &valkey.pid())
        }
        other.run("ROLLBACK");
        run.until_it_says(&format!("postgres.role.{}a_user: updated", workspace.prefix));
        // What it is about to write to Valkey is in the journal right before it.
        let journal = workspace.path("state/default.journal");
        let is_begun = || std::fs::read_to_string(&journal).is_ok_and(|text| text.contains(r#""event":"unsaved""#));
        run.until("Valkey's users are begun", is_begun);
        run.signal(SIGTERM);
        let ran = run.ends_within(SOON).exits(143);
        assert!(ran.stdout.contains("given up") || ran.stdout.contains("failed"), "{}", ran.stdout);
        if gone {
            valkey.start_again()
        } else {
            send(SIGCONT, &valkey.pid())
        }
        workspace.converge();
    }
}

#[test]
fn a_drop_that_dumps_gives_the_database_back() {
    let mut workspace = workspace();
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
    let programs = waiting_programs(&workspace, "pg_dump", "--file");
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &programs);
    let destroy = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"];
    let mut run = Running::of(&workspace, &destroy);
    let pid = workspace.path("pid");
    run.until("pg_dump runs", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
    let dumps = std::fs::read_to_string(&pid).expect("its process");
    // At a terminal, Ctrl-C goes to the whole group: it must not reach the dump by itself.
    let group = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).expect("a process");
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(2).map(str::to_owned)).expect("a group")
    };
    assert_ne!(group(&dumps), group(&run.pid().to_string()));
    run.signal(SIGINT);
    let ran = run.ends_within(SOON).exits(130).complains("Run the same command again to go on from here");
    ran.says("the run was stopped while it was dumped; nothing was dropped");
    until_it_ends(&dumps);
    let left = std::fs::read_dir(workspace.path("snapshots")).expect("snapshots/").count();
    assert_eq!(left, 0, "what was not finished is removed");
    let query = format!("SELECT datconnlimit::text FROM pg_database WHERE datname = '{}a'", workspace.prefix);
    assert_eq!(postgres_value("postgres", &query).as_deref(), Some("-1"));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
    workspace.converge();
    postgres_at(&url, "SELECT 1").expect("the app gets in");
}

#[test]
fn snapshots_and_restores_are_broken_off_with_their_programs() {
    let mut workspace = workspace();
    workspace.converge();
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE t (x int)").expect("a table");
    let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
    let made = workspace.run(&["snapshot", "@a"]).exits(0).stdout.trim().to_owned();
    let pid = workspace.path("pid");
    let restore = ["restore", "@a", &made, "--auto-approve", "--allow-destroy", "all"];
    for (program, word, command, said) in [
        (
            "pg_dump",
            "--file",
            &["snapshot", "@a"][..],
            "Interrupted: 0 of 1 database dumped; what was not finished is removed.",
        ),
        ("pg_dump", "--file", &restore[..], "Interrupted; nothing was restored."),
        (
            "pg_restore",
            "--single-transaction",
            &restore[..],
            "Interrupted: the restore was broken off, and the database is as it was.",
        ),
    ] {
        drop(std::fs::remove_file(&pid));
        let programs = waiting_programs(&workspace, program, word);
        workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &programs);
        let mut run = Running::of(&workspace, command);
        run.until("it runs", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
        let process = std::fs::read_to_string(&pid).expect("its process");
        run.signal(SIGTERM);
        run.ends_within(SOON).exits(143).complains(said);
        until_it_ends(&process);
        let partial = std::fs::read_dir(workspace.path("snapshots")).expect("snapshots/").flatten();
        assert!(partial.map(|entry| entry.path()).all(|path| path.extension().is_some_and(|end| end == "dump")));
    }
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
    let query = format!(
        "SELECT count(*)::text FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles r ON r.oid = m.roleid \
         WHERE r.rolname = '{}a_user' AND u.rolname LIKE 'nornplan%'",
        workspace.prefix
    );
    assert_eq!(postgres_value("postgres", &query).as_deref(), Some("0"), "who restored is gone");
    postgres(&format!("{}a", workspace.prefix), "SELECT FROM t");
    workspace.run(&restore).exits(0);
}

#[test]
fn who_was_told_not_to_listen_to_the_terminals_end_does_not() {
    let (workspace, mut other) = held_role("");
    let apply = workspace.command(&APPLY);
    let mut command = Command::new("nohup");
    command.arg(apply.get_program()).args(apply.get_args()).current_dir(workspace.path("")).env_clear();
    command.envs(apply.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut run = Running::start(command);
    run.until("it waits", || waits(&workspace));
    run.signal(SIGHUP);
    std::thread::sleep(Duration::from_millis(200));
    other.run("ROLLBACK");
    run.ends_within(SOON).exits(0).hides("Interrupted");
}

#[test]
fn a_database_of_states_that_hangs_keeps_nobody_from_the_report() {
    let mut workspace = workspace();
    let state = StateDatabase::of(&mut workspace);
    workspace.converge();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nconnection_limit = 6\n");
    let mut other = Session::open(&admin_url(&state.name)).expect("the administrator signs in");
    // It can be read, and not be written.
    other.run("BEGIN; LOCK TABLE nornplan.journal IN SHARE MODE");
    let mut run = Running::of(&workspace, &APPLY);
    run.until_it_says(&format!("postgres.role.{}a_user: updated", workspace.prefix));
    run.signal(SIGINT);
    run.until_it_says("Interrupted: finishing what is in flight");
    run.signal(SIGINT);
    let ran = run.ends_within(Duration::from_secs(9)).exits(1).says("1 updated").hides("Everything done is recorded");
    ran.complains("the state was not written in time after the interrupt");
    other.run("ROLLBACK");
    assert_eq!(limit(&workspace).as_deref(), Some("6"));
    workspace.converge();
}

#[test]
fn what_is_in_flight_goes_on_while_the_state_is_waited_for() {
    let mut workspace = workspace();
    let state = StateDatabase::of(&mut workspace);
    let limited = |limit: u8| {
        let database = format!("{{ name = \"@b\", connection_limit = {limit} }}");
        workspace.spec("b", &format!("app = \"@b\"\n[services.postgres]\ndatabases = [{database}]\n"));
    };
    limited(5);
    workspace.converge();
    limited(6);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nconnection_limit = 6\n");
    let database = format!("{}b", workspace.prefix);
    let (mut holder, mut journal) = (Session::of_admin(), Session::open(&admin_url(&state.name)).expect("a session"));
    holder.run(&format!("BEGIN; ALTER DATABASE {database} CONNECTION LIMIT 5"));
    journal.run("BEGIN; LOCK TABLE nornplan.journal IN SHARE MODE");
    let mut run = Running::of(&workspace, &APPLY);
    run.until_it_says(&format!("postgres.role.{}a_user: updated", workspace.prefix));
    let within = |what: &str, is_so: &dyn Fn() -> bool| {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(15), "{what}");
        }
    };
    within("it waits for the database", &|| waits(&workspace));
    holder.run("ROLLBACK");
    let limit = format!("SELECT datconnlimit::text FROM pg_database WHERE datname = '{database}'");
    within("the database is changed", &|| postgres_value("postgres", &limit).as_deref() == Some("6"));
    journal.run("ROLLBACK");
    run.ends_within(Duration::from_secs(60)).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
