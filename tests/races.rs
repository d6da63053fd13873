//! Runs at the same time, and people who change the services by hand meanwhile: never do two write at once, and what
//! nobody has seen is never overwritten.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and this one says what it has tried"
)]

mod race_rounds;

use common::held::Session;
use common::resp::{Reply, Wire};
use common::signals::{Running, send};
use common::{Workspace, servers, service};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const APP: &str = "app = \"@a\"\n[services.postgres]\nconnection_limit = 10\n[services.kv]\n";
const SOON: Duration = Duration::from_secs(60);

fn applied() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", APP);
    workspace.converge();
    workspace
}

/// A session that is about to change the app's user: whoever writes that too waits for it.
fn in_the_way(workspace: &Workspace, statement: &str) -> Session {
    let mut session = Session::of_admin();
    session.run(&format!("BEGIN; {}", statement.replace('@', &workspace.prefix)));
    session
}

/// Waits until a run waits for a session.
fn until_stuck(session: &mut Session, admin: &str) {
    let waits = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{admin}' AND");
    let pid = session.count("SELECT pg_backend_pid()::bigint");
    Session::of_admin().until(&format!("{waits} {pid} = ANY (pg_blocking_pids(pid))"));
}

/// Has a workspace sign in as an administrator of its own, so that its sessions can be told apart.
fn as_own_admin(workspace: &mut Workspace) -> String {
    let admin = format!("{}adm", workspace.prefix);
    servers::postgres("postgres", &format!("CREATE ROLE {admin} SUPERUSER LOGIN PASSWORD 'own'"));
    workspace.set("NORNPLAN_POSTGRES_USER", &admin);
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "own");
    admin
}

fn as_everybodys_admin(workspace: &mut Workspace, own: &str) {
    for variable in ["NORNPLAN_POSTGRES_USER", "NORNPLAN_POSTGRES_PASSWORD"] {
        workspace.set(variable, &service(variable));
    }
    servers::postgres("postgres", &format!("DROP ROLE {own}"));
}

const TOUCH: &str = "ALTER ROLE @a_user INHERIT";
const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const WAITING: [&str; 4] = ["apply", "--auto-approve", "--lock-timeout", "60s"];

#[test]
fn of_two_applies_at_once_one_waits_or_names_the_holder_and_never_both_write() {
    let mut workspace = applied();
    workspace.spec("a", &APP.replace("= 10", "= 11"));
    let mut session = in_the_way(&workspace, TOUCH);
    let writer = Running::of(&workspace, &APPLY);
    until_stuck(&mut session, &service("NORNPLAN_POSTGRES_USER"));
    let holder = format!("(process {}) since ", writer.pid());
    let refused = workspace.run(&APPLY).exits(1).complains("the state is locked by").complains(&holder);
    let refused = refused.complains("apply --auto-approve").complains("--lock-timeout");
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    // The one that waits signs in as somebody else, so that its sessions can be told apart: it has none.
    let admin = as_own_admin(&mut workspace);
    let waiter = Running::of(&workspace, &WAITING);
    std::thread::sleep(Duration::from_millis(500));
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{admin}'");
    assert_eq!(Session::of_admin().count(&sessions), 0, "it waits, and reads nothing before");
    drop(session);
    writer.ends_within(SOON).exits(0).says("1 updated");
    waiter.ends_within(SOON).exits(0).says("No changes.");
    as_everybodys_admin(&mut workspace, &admin);
    assert!(!workspace.path("state/default.journal").exists());
}

#[test]
fn a_holder_that_stands_still_is_named_and_one_that_was_killed_is_not_waited_for() {
    let workspace = applied();
    workspace.spec("a", &APP.replace("= 10", "= 11"));
    let mut session = in_the_way(&workspace, TOUCH);
    let holder = Running::of(&workspace, &APPLY);
    until_stuck(&mut session, &service("NORNPLAN_POSTGRES_USER"));
    holder.signal(libc::SIGSTOP);
    let since = Instant::now();
    let ran = workspace.run(&["apply", "--auto-approve", "--lock-timeout", "1s"]).exits(1);
    ran.complains(&format!("(process {})", holder.pid())).complains("it did not end in time");
    assert!(since.elapsed() >= Duration::from_secs(1));
    let waiter = Running::of(&workspace, &WAITING);
    std::thread::sleep(Duration::from_millis(500));
    drop(session);
    send(libc::SIGKILL, &holder.pid().to_string());
    let since = Instant::now();
    waiter.ends_within(SOON).exits(0);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    holder.ends_within(SOON).exits(128 + libc::SIGKILL);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

/// What somebody is about to change, to what, as it is read afterwards, and the infraspec that wants it otherwise.
struct Meanwhile {
    by_hand: &'static str,
    query: &'static str,
    value: &'static str,
    wants: (&'static str, &'static str),
}

#[test]
fn what_is_changed_between_the_plan_and_the_write_is_refused_by_name_and_stays() {
    let limit = ("= 10", "= 11");
    let setting = ("limit = 10", "limit = 10\nsettings = { statement_timeout = \"30s\" }");
    let of_database = ("limit = 10", "limit = 10\ndatabase = { connection_limit = 50 }");
    let in_database = ("limit = 10", "limit = 10\ndatabase = { settings = { work_mem = \"64MB\" } }");
    const SET: &str = "SELECT string_agg(c, ' ') FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE ";
    let cases = [
        Meanwhile {
            by_hand: "ALTER ROLE @a_user CONNECTION LIMIT 77",
            query: "SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '@a_user'",
            value: "77",
            wants: limit,
        },
        Meanwhile {
            by_hand: "ALTER ROLE @a_user CREATEDB",
            query: "SELECT rolcreatedb::text FROM pg_roles WHERE rolname = '@a_user'",
            value: "true",
            wants: limit,
        },
        Meanwhile {
            by_hand: "ALTER ROLE @a_user SET statement_timeout TO '77s'",
            query: "setrole = '@a_user'::regrole",
            value: "statement_timeout=77s",
            wants: setting,
        },
        Meanwhile {
            by_hand: "ALTER DATABASE @a CONNECTION LIMIT 77",
            query: "SELECT datconnlimit::text FROM pg_database WHERE datname = '@a'",
            value: "77",
            wants: of_database,
        },
        Meanwhile {
            by_hand: "ALTER DATABASE @a SET work_mem TO '77MB'",
            query: "setdatabase = (SELECT oid FROM pg_database WHERE datname = '@a')",
            value: "work_mem=77MB",
            wants: in_database,
        },
        Meanwhile {
            by_hand: "GRANT TEMPORARY ON DATABASE @a TO PUBLIC",
            query: "SELECT EXISTS (SELECT FROM aclexplode(datacl) WHERE grantee = 0)::text FROM pg_database WHERE datname = '@a'",
            value: "true",
            wants: of_database,
        },
    ];
    for case in cases {
        let mut workspace = applied();
        let admin = as_own_admin(&mut workspace);
        workspace.spec("a", &APP.replace(case.wants.0, case.wants.1));
        // Nobody sees it before it is committed, and then the run has read all that it reads.
        let mut session = in_the_way(&workspace, case.by_hand);
        let run = Running::of(&workspace, &APPLY);
        until_stuck(&mut session, &admin);
        session.run("COMMIT");
        let ran = run.ends_within(SOON);
        let told = format!("{}\n{}\n{}", case.by_hand, ran.stdout, ran.stderr);
        assert!(ran.code == 1 && ran.stdout.contains("1 refused"), "{told}");
        assert!(ran.stdout.contains("changed since it was planned"), "{told}");
        let query =
            if case.query.starts_with("SELECT") { case.query.to_owned() } else { format!("{SET}{}", case.query) };
        let query = query.replace('@', &workspace.prefix);
        let found = servers::postgres_value("postgres", &query).unwrap_or_default();
        assert!(found.contains(case.value), "{found}\n{told}");
        // Once it is seen, it is drift like any other.
        workspace.converge();
        as_everybodys_admin(&mut workspace, &admin);
    }
}

#[test]
fn rules_that_somebody_sets_while_a_user_is_replaced_are_put_back_or_were_shown() {
    let workspace = applied();
    let user = format!("{}a", workspace.prefix);
    for round in 0..8 {
        let access = if round % 2 == 0 { "queue" } else { "readwrite" };
        workspace.spec("a", &APP.replace("[services.kv]", &format!("[services.kv]\naccess = \"{access}\"")));
        let over = AtomicBool::new(false);
        let (ran, set) = std::thread::scope(|scope| {
            let setting = scope.spawn(|| {
                let mut wire = admin();
                let mut set = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let rule = format!("~hand{round}x{}:*", set.len());
                    let done = wire.say(&["ACL", "SETUSER", &user, &rule]);
                    assert_eq!(done, Reply::Text("OK".to_owned()), "{rule}");
                    set.push(rule);
                    std::thread::sleep(Duration::from_millis(1));
                }
                set
            });
            let ran = workspace.run(&APPLY);
            over.store(true, Ordering::Relaxed);
            (ran, setting.join().expect("the hand"))
        });
        let now = format!("{:?}", admin().say(&["ACL", "GETUSER", &user]));
        let lost: Vec<&String> =
            set.iter().filter(|rule| !now.contains(*rule) && !ran.stdout.contains(*rule)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}\n{}\n{}", lost.len(), set.len(), ran.stdout, ran.stderr);
        assert!(ran.code == 0 || ran.code == 1 && ran.stdout.contains("1 refused"), "{}\n{}", ran.stdout, ran.stderr);
        workspace.converge();
    }
}

/// The administrator of Valkey.
fn admin() -> Wire {
    let port = service("NORNPLAN_VALKEY_PORT").parse().expect("a port");
    Wire::sign_in(port, "default", &service("NORNPLAN_VALKEY_PASSWORD"))
}

#[test]
fn two_hundred_rounds_at_random() {
    race_rounds::play();
}
