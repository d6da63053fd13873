//! Dropping databases through the binary: what is told before, who is in the way, and that nothing gets lost.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::servers::{block_on, postgres, postgres_at, postgres_value};
use common::{Workspace, real_program};
use sqlx::{Connection, PgConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Four apps, so that one is less than a third of what is owned; the first has a table.
fn applied() -> Workspace {
    let workspace = Workspace::new();
    for name in ["a", "b", "c", "d"] {
        workspace.spec(name, &format!("app = \"@{name}\"\n[services.postgres]\n"));
    }
    workspace.converge();
    let statements = "CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 20000); ANALYZE t";
    postgres_at(&workspace.published("@a", "DATABASE_URL"), statements).expect("a table");
    workspace
}

const DESTROY: [&str; 6] = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "*@a*"];

fn limit(workspace: &Workspace) -> Option<String> {
    let statement = format!("SELECT datconnlimit::text FROM pg_database WHERE datname = '{}a'", workspace.prefix);
    postgres_value("postgres", &statement)
}

fn files(workspace: &Workspace) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace.path("snapshots")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Of the server.
fn major() -> u32 {
    let version = postgres_value("postgres", "SELECT current_setting('server_version_num')").unwrap();
    version.parse::<u32>().unwrap() / 10_000
}

/// Signs in as an administrator that is no superuser from now on.
fn become_lesser(workspace: &mut Workspace) {
    let admin = format!("{}zz", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'"));
    workspace.set("NORNPLAN_POSTGRES_USER", &admin);
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
}

/// Signs in as the tests do again.
fn become_superuser(workspace: &mut Workspace) {
    postgres("postgres", &format!("DROP ROLE {}zz", workspace.prefix));
    for name in ["NORNPLAN_POSTGRES_USER", "NORNPLAN_POSTGRES_PASSWORD"] {
        workspace.set(name, &common::service(name));
    }
}

/// A pg_dump that tells its version and then does something else.
fn only_version(then: &str) -> String {
    format!("case $1 in --version) exec 'REAL' \"$@\" ;; esac; {then}")
}

/// A directory with pg_dump as a script, and the real pg_restore.
fn bin(workspace: &Workspace, name: &str, script: &str) -> String {
    let bin = workspace.path(name);
    std::fs::create_dir(&bin).unwrap();
    let restore = format!("exec '{}' \"$@\"", real_program("pg_restore").display());
    let dump = script.replace("REAL", real_program("pg_dump").to_str().unwrap());
    for (program, script) in [("pg_dump", dump), ("pg_restore", restore)] {
        std::fs::write(bin.join(program), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.to_str().unwrap().to_owned()
}

#[test]
fn the_plan_tells_what_a_drop_loses_and_that_it_cannot_be_dumped() {
    let mut workspace = applied();
    workspace.remove("specs/a.toml");
    let plan = workspace.run(&["plan"]).exits(0).says("in 1 table, about 20000 rows").says("0 sessions");
    let plan = plan.hides("blocked");
    plan.hides("nobody knows how many rows");
    postgres_at(&workspace.published("@b", "DATABASE_URL"), "CREATE TABLE u (x int); INSERT INTO u VALUES (1)")
        .unwrap();
    workspace.remove("specs/b.toml");
    // Whole sentences, which the text breaks into lines.
    let plan = workspace.run(&["plan", "--format", "json"]).exits(0);
    let forgets = format!("last use unknown (PostgreSQL {} does not remember it); 0 sessions", major());
    let plan = if major() < 16 { plan.says(&forgets) } else { plan.hides("last use unknown") };
    plan.says("in 1 table, never analysed, so nobody knows how many rows");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");

    let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
    let old = bin(&workspace, "old", "echo 'pg_dump (PostgreSQL) 9.6.24'");
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &old);
    let blocked = "pg_dump 9.6 is older than the server";
    let plan = workspace.run(&["plan", "--allow-destroy", "*@a*"]).exits(0);
    plan.says(blocked).says("install postgresql-client-").says("set bin_dir under [postgres]");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(1).says(blocked);
    assert_eq!((limit(&workspace).as_deref(), files(&workspace).len()), (Some("-1"), 0));
    let failed = workspace.run(&["snapshot", "@a", "@b"]).exits(1);
    let failed = failed.complains(&format!("error: postgres: {0}a, {0}b: {blocked}", workspace.prefix));
    assert_eq!(failed.stderr.matches("is older than").count(), 1, "{}", failed.stderr);
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &workspace.path("nowhere").display().to_string());
    workspace.run(&["snapshot", "@a"]).exits(1).complains("there is no pg_dump that runs in bin_dir");
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
}

#[test]
fn a_dump_that_fails_cancels_the_drop_and_leaves_everything_open() {
    let mut workspace = applied();
    let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
    // Files may not become larger than that: as on a full disk, writing fails half-way.
    let full = bin(&workspace, "full", "trap '' XFSZ; ulimit -f 8; exec 'REAL' \"$@\"");
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &full);
    let failed = workspace.run(&DESTROY).exits(1);
    failed.says("the snapshot failed").says("nothing was dropped").says("free some space");
    assert_eq!((limit(&workspace).as_deref(), files(&workspace)), (Some("-1"), Vec::new()));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
    // Whoever got in meanwhile, past the limit, might have left what the dump does not have.
    let busy = "'REAL' \"$@\" || exit; case $1 in --version) exit ;; esac; PGAPPNAME=psql exec 'PSQL' -qc 'SELECT 1'";
    let busy = bin(&workspace, "busy", &busy.replace("PSQL", real_program("psql").to_str().unwrap()));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &busy);
    workspace.run(&DESTROY).exits(1).says("somebody was in it while it was dumped").says("nothing was dropped");
    assert_eq!((limit(&workspace).as_deref(), files(&workspace).len()), (Some("-1"), 1));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
    let dropped = workspace.run(&[&DESTROY[..], &["-v"]].concat()).exits(0);
    let dropped = dropped.complains("pg_dump --format=custom").hides(&common::service("NORNPLAN_POSTGRES_PASSWORD"));
    // Where the data are is told as it happens and at the end, by a name that can be typed.
    let address = format!("postgres.database.{}a", workspace.prefix);
    let told = format!("{address}: destroyed; its dump: snapshots/{}a_manual_", workspace.prefix);
    let dropped = dropped.complains(&told).says("  destroyed; its dump: snapshots/").says("To get one back: ");
    let line = dropped.stdout.lines().find(|line| line.contains("its dump: ")).unwrap();
    let dump = line.split("its dump: ").nth(1).unwrap().to_owned();
    assert!(workspace.path(&dump).is_file(), "{dump}");
    assert_eq!((limit(&workspace), files(&workspace).len()), (None, 2));
    // As it says, it comes back.
    workspace.run(&["apply", "--auto-approve"]).exits(0).hides("To get one back");
    workspace.run(&["restore", "@a", &dump, "--auto-approve"]).exits(0);
    assert_eq!(postgres_value(&format!("{}a", workspace.prefix), "SELECT count(*)::text FROM t").unwrap(), "20000");
}

#[test]
fn sessions_are_ended_with_consent_alone_and_no_committed_row_is_missing_from_the_dump() {
    let workspace = applied();
    // Planned while nobody is connected.
    workspace.remove("specs/a.toml");
    workspace.run(&["plan", "--out", "saved.json", "--allow-destroy", "*@a*"]).exits(0).hides("--allow-interrupt");
    let (database, writer) = (format!("{}a", workspace.prefix), format!("{}zz", workspace.prefix));
    postgres(
        "postgres",
        &format!("CREATE ROLE {writer} LOGIN PASSWORD 'w'; GRANT CONNECT ON DATABASE {database} TO {writer}"),
    );
    postgres(&database, &format!("GRANT INSERT ON t TO {writer}"));
    let (host, port) = (common::service("NORNPLAN_POSTGRES_HOST"), common::service("NORNPLAN_POSTGRES_PORT"));
    let url = format!("postgres://{writer}:w@{host}:{port}/{database}");
    let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // Two that write for as long as they can, and come again whenever they are sent away.
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let (url, stop, committed) = (url.clone(), stop.clone(), committed.clone());
            std::thread::spawn(move || block_on(write(&url, &stop, &committed)))
        })
        .collect();
    while committed.load(Ordering::SeqCst) < 20 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let flag = format!("--allow-interrupt postgres.database.{database}");
    let refused = workspace.run(&["apply", "saved.json"]).exits(1);
    refused.says("connected (").says(&flag).says("nothing was dropped");
    assert_eq!((limit(&workspace).as_deref(), files(&workspace).len()), (Some("-1"), 0));

    let address = format!("postgres.database.{database}");
    workspace.run(&[&DESTROY[..], &["--allow-interrupt", &address]].concat()).exits(0);
    stop.store(true, Ordering::SeqCst);
    for thread in writers {
        thread.join().unwrap();
    }
    postgres("postgres", &format!("DROP ROLE {writer}"));
    assert_eq!((limit(&workspace), files(&workspace).len()), (None, 1));
    let dumped = Command::new(real_program("pg_restore"))
        .args(["--data-only", "--file", "-"])
        .arg(&files(&workspace)[0])
        .output();
    let dumped = String::from_utf8(dumped.unwrap().stdout).unwrap();
    let rows = dumped.lines().filter(|line| line.parse::<i64>().is_ok()).count();
    let committed = 20_000 + committed.load(Ordering::SeqCst);
    // A session that was ended may not have heard that its last row was committed.
    assert!((committed..=committed + 2).contains(&rows), "{rows} dumped, {committed} committed");
}

/// The app's own sign-in, and that of its reader, do all that they could before.
fn everything_works(workspace: &Workspace) {
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(&url, "INSERT INTO t VALUES (1); DELETE FROM t WHERE x = 1; CREATE TABLE u (); DROP TABLE u").unwrap();
    let own = workspace.published("@b", "DATABASE_URL");
    let there = own.replace(&format!("/{}b?", workspace.prefix), &format!("/{}a?", workspace.prefix));
    assert_ne!(own, there);
    postgres_at(&there, "SELECT count(*) FROM t").unwrap();
}

#[test]
fn a_drop_that_is_held_or_refused_takes_nothing_from_the_app() {
    let mut workspace = applied();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let drops = ["--allow-destroy", "*@a*"];
    workspace.remove("specs/a.toml");
    workspace.run(&[&["plan", "--out", "saved.json"][..], &drops].concat()).exits(0).says("it goes with the database");
    let session = block_on(PgConnection::connect(&url)).unwrap();

    // Seen when it is planned: all of it is held, and nothing is left to do.
    let held = workspace.run(&[&["apply", "--auto-approve"][..], &drops].concat()).exits(0);
    let database = format!("postgres.database.{}a", workspace.prefix);
    held.says(&format!("({}a_user)", workspace.prefix))
        .says("stop the app first")
        .says(&format!("1 held: --allow-destroy {database} --allow-interrupt {database}"))
        .says("5 held: waiting for what is held")
        .says("0 to destroy");
    everything_works(&workspace);
    // Seen when it is carried out.
    workspace.run(&["apply", "saved.json"]).exits(1).says("1 session is connected (").says("5 skipped");
    everything_works(&workspace);
    block_on(session.close()).unwrap();
    // It cannot be dumped.
    let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
    let broken = bin(&workspace, "broken", &only_version("echo broken >&2; exit 1"));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &broken);
    workspace.run(&DESTROY).exits(1).says("the snapshot failed: broken").says("5 skipped");
    everything_works(&workspace);
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);

    workspace.run(&DESTROY).exits(0).says("already gone").says("6 destroyed");
    assert_eq!(limit(&workspace), None);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_drop_that_is_killed_goes_on_or_is_taken_back_as_the_infraspecs_say() {
    for lesser in [false, true] {
        let mut workspace = Workspace::new();
        if lesser {
            become_lesser(&mut workspace);
        }
        workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n");
        workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
        workspace.converge();
        postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE t (x int)").unwrap();

        let destroy = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"];
        let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
        let deadly = bin(&workspace, "deadly", &only_version("kill -9 $PPID"));
        let room = if lesser { "1" } else { "0" };
        let kill = |workspace: &mut Workspace| {
            workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &deadly);
            workspace.run(&destroy).exits(128 + 9);
            workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);
            assert_eq!(limit(workspace).as_deref(), Some(room));
        };
        // It is wanted after all: it is open again after one apply, and nothing else was taken.
        kill(&mut workspace);
        let plan = workspace.run(&["plan"]).exits(0).says("drifted").says("connection limit");
        plan.says(&format!("{room} -> unlimited")).says("Plan: 0 to create, 1 to update, 0 to destroy.");
        workspace.converge();
        everything_works(&workspace);
        // The same, killed right before DROP.
        postgres("postgres", &format!("ALTER DATABASE {}a CONNECTION LIMIT 0", workspace.prefix));
        workspace.run(&["plan"]).exits(0).says("0 -> unlimited").says("1 to update, 0 to destroy.");
        workspace.converge();
        everything_works(&workspace);
        // It is to go still.
        kill(&mut workspace);
        workspace.remove("specs/a.toml");
        workspace.run(&["plan"]).exits(0).says("held: --allow-destroy");
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).says("6 destroyed");
        let whole = files(&workspace).iter().filter(|file| file.extension().is_some_and(|end| end == "dump")).count();
        assert_eq!((limit(&workspace), whole), (None, 1));
        workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
        if lesser {
            workspace.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all"]).exits(0);
            become_superuser(&mut workspace);
        }
    }
}

#[test]
fn an_administrator_that_is_no_superuser_dumps_restores_and_drops() {
    let mut workspace = Workspace::new();
    let prefix = workspace.prefix.clone();
    become_lesser(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(&url, "CREATE SCHEMA s; CREATE TABLE s.t (x serial); INSERT INTO s.t VALUES (1)").unwrap();
    let made = workspace.run(&["snapshot", "@a"]).exits(0);
    postgres_at(&url, "DROP TABLE s.t; DROP SCHEMA s").unwrap();
    workspace.run(&["restore", "@a", made.stdout.trim(), "--auto-approve"]).exits(0);
    postgres_at(&url, "ALTER TABLE s.t ADD y int").expect("it is the app's");

    let session = block_on(PgConnection::connect(&url)).unwrap();
    let destroy = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all"];
    let held = format!("held: needs --allow-interrupt postgres.database.{prefix}a");
    workspace.run(&destroy).exits(0).says(&held).says(&format!("({prefix}a_user)"));
    assert_eq!(limit(&workspace).as_deref(), Some("-1"));
    workspace.run(&[&destroy[..], &["--allow-interrupt", "all"]].concat()).exits(0);
    assert_eq!((limit(&workspace), files(&workspace).len()), (None, 2));
    drop(session);
    become_superuser(&mut workspace);
}

#[test]
fn a_database_that_lets_nobody_in_opens_for_its_dump_alone() {
    for (lesser, by_hand) in [(false, false), (true, false), (true, true)] {
        let mut workspace = Workspace::new();
        let prefix = workspace.prefix.clone();
        if lesser {
            become_lesser(&mut workspace);
        }
        workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
        workspace.converge();
        postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE kept (x int)").unwrap();
        let door = format!("SELECT datallowconn || ' ' || datconnlimit FROM pg_database WHERE datname = '{prefix}a'");
        if by_hand {
            // As an unfinished creation leaves it.
            postgres("postgres", &format!("ALTER DATABASE {prefix}a CONNECTION LIMIT 0"));
        } else {
            let shut =
                "app = \"@a\"\n[services.postgres]\ndatabase = { allow_connections = false, connection_limit = 3 }\n";
            workspace.spec("a", shut);
            workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
            workspace.run(&["snapshot", "@a"]).exits(1).complains("remove `allow_connections = false`");
        }
        let before = postgres_value("postgres", &door);
        assert_eq!(before.as_deref(), Some(if by_hand { "true 0" } else { "false 3" }));

        let destroy = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all"];
        let found = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_default();
        let broken = bin(&workspace, "broken", &only_version("echo broken >&2; exit 1"));
        workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &broken);
        workspace.run(&destroy).exits(1).says("the snapshot failed: broken").says("nothing was dropped");
        assert_eq!((postgres_value("postgres", &door), files(&workspace).len()), (before, 0));
        workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &found);

        workspace.run(&destroy).exits(0);
        assert_eq!((limit(&workspace), files(&workspace).len()), (None, 1));
        let listed =
            Command::new(real_program("pg_restore")).arg("--list").arg(&files(&workspace)[0]).output().unwrap();
        assert!(String::from_utf8_lossy(&listed.stdout).contains("TABLE public kept"), "{lesser} {by_hand}");
        if lesser {
            become_superuser(&mut workspace);
        }
    }
}

async fn write(url: &str, stop: &AtomicBool, committed: &AtomicUsize) {
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut connection) = PgConnection::connect(url).await else { continue };
        while sqlx::raw_sql("INSERT INTO t VALUES (1)").execute(&mut connection).await.is_ok() {
            committed.fetch_add(1, Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

#[test]
fn what_more_than_a_third_takes_is_said_with_both_flags_as_they_are_typed() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let session = block_on(PgConnection::connect(&url)).expect("a session");
    let address = format!("postgres.database.{}a", workspace.prefix);
    let destroy = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"];
    let held = workspace.run(&destroy).exits(0).flat();
    let held = held.says(&format!("--allow-destroy all --allow-interrupt {address}"));
    held.says("nothing less than the word all").hides(&format!("--allow-destroy {address}"));
    workspace.run(&[&destroy[..], &["--allow-interrupt", &address]].concat()).exits(0).says("destroyed");
    drop(session);
}
