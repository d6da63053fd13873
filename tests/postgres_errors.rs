//! What PostgreSQL answers with in real life, each provoked on a real server: what is said about it, and what next.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::held::{Session, WAITING, beside};
use common::own_postgres::OwnPostgres;
use common::servers::admin_url;
use common::signals::Running;
use common::waiting::until;
use common::{Ran, Workspace, service};
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SPEC: &str = "app = \"@a\"\n[services.postgres]\n";
const CANARY: &str = "canary-Qz8-admin-password";

/// Plans with some variables set, and demands that it fails with these texts, with a hint, and without any password.
#[track_caller]
fn refused(server: Option<&OwnPostgres>, variables: &[(&str, &str)], texts: &[&str]) {
    let mut workspace = Workspace::new();
    workspace.spec("a", SPEC);
    if let Some(server) = server {
        server.serve(&mut workspace);
    }
    for (name, value) in variables {
        workspace.set(&format!("NORNPLAN_POSTGRES_{name}"), value);
    }
    let mut ran = workspace.run(&["-vvv", "plan"]).exits(1).complains("postgres: ").complains("help: ").hides(CANARY);
    for text in texts {
        ran = ran.complains(text);
    }
    if let Some(server) = server {
        ran.hides(&server.password);
    }
    workspace.run(&["doctor"]).exits(1).says(texts[0]).hides(CANARY);
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let server = OwnPostgres::start();
    server.let_in(
        "host all walled 127.0.0.1/32 reject\nhost all ghost 127.0.0.1/32 trust\nhost all crowd 127.0.0.1/32 trust\n\
         host all postgres,reader,limited,off,expired,missing 127.0.0.1/32 scram-sha-256\n",
    );
    server.run(
        "postgres",
        &format!(
            "CREATE ROLE reader LOGIN PASSWORD '{CANARY}'; CREATE ROLE stranger LOGIN PASSWORD '{CANARY}';
             CREATE ROLE walled LOGIN PASSWORD '{CANARY}'; CREATE ROLE off NOLOGIN PASSWORD '{CANARY}';
             CREATE ROLE limited LOGIN CONNECTION LIMIT 0 PASSWORD '{CANARY}'; CREATE ROLE crowd SUPERUSER LOGIN;
             CREATE ROLE expired LOGIN PASSWORD '{CANARY}' VALID UNTIL '2001-01-01';
             CREATE DATABASE walled; REVOKE CONNECT ON DATABASE walled FROM PUBLIC;
             CREATE DATABASE shut ALLOW_CONNECTIONS false; CREATE DATABASE full_up CONNECTION LIMIT 0"
        ),
    );
    let as_user = |user: &'static str| [("USER", user), ("PASSWORD", CANARY)];
    let into = |database: &'static str| [("USER", "reader"), ("PASSWORD", CANARY), ("DATABASE", database)];
    let at = format!("127.0.0.1:{}", server.port);
    let own = Some(&server);
    refused(own, &[("PASSWORD", CANARY)], &["wrong password for postgres", &at, "NORNPLAN_POSTGRES_PASSWORD"]);
    refused(own, &as_user("missing"), &["wrong password for missing", "does not exist"]);
    refused(own, &as_user("expired"), &["wrong password for expired", "VALID UNTIL"]);
    refused(own, &as_user("ghost"), &["ghost does not exist", "NORNPLAN_POSTGRES_USER"]);
    refused(own, &as_user("off"), &["off may not sign in (NOLOGIN)", "ALTER ROLE off LOGIN"]);
    refused(own, &as_user("stranger"), &["lets stranger on postgres in from nowhere", "add a line to pg_hba.conf"]);
    refused(own, &as_user("walled"), &["lets walled on postgres in from nowhere", "sslmode = \"require\""]);
    refused(own, &into("missing"), &["there is no database \"missing\"", "set database under [postgres]"]);
    refused(own, &into("walled"), &["reader may not connect to walled", "GRANT CONNECT ON DATABASE walled TO reader"]);
    refused(own, &into("shut"), &["shut lets nobody in", "ALLOW_CONNECTIONS true"]);
    refused(own, &into("full_up"), &["too many connections for full_up", "CONNECTION LIMIT"]);
    refused(own, &as_user("limited"), &["too many connections for limited", "ALTER ROLE limited CONNECTION LIMIT"]);

    let crowd = || Session::open(&server.url("crowd", "", "postgres"));
    let mut sessions: Vec<Session> = (0..197).map(|_| crowd().unwrap()).collect();
    refused(own, &as_user("reader"), &["reserved for superusers", "max_connections"]);
    // Whoever has just been refused has a place for a moment more.
    until("the server is full", || {
        sessions.extend(crowd());
        sessions.len() == 200
    });
    refused(own, &[], &["too many connections on the whole server", "raise max_connections"]);
}

#[test]
fn a_database_that_pg_hba_conf_closes_holds_up_nobody_else() {
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    for app in ["a", "b"] {
        workspace.spec(app, &format!("app = \"@{app}\"\n[services.postgres]\n"));
    }
    workspace.converge();
    let closed = format!("{}a", workspace.prefix);
    server.let_in(&format!("host {closed} all 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n"));
    let ran = workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    ran.says(&format!("postgres.database.{closed} could not be looked into")).says("add a line to pg_hba.conf");
    for app in ["a", "b"] {
        workspace.spec(app, &format!("app = \"@{app}\"\n[services.postgres.database]\nconnection_limit = 5\n"));
    }
    workspace.run(&["apply", "--auto-approve"]).exits(1).says("BLOCKED").says("add a line to pg_hba.conf");
    let limits = "SELECT string_agg(datconnlimit::text, ' ' ORDER BY datname) FROM pg_database WHERE datname ~ '[ab]$'";
    assert_eq!(server.value("postgres", limits).as_deref(), Some("-1 5"));
    server.let_in("host all all 127.0.0.1/32 scram-sha-256\n");
    workspace.converge();
    assert_eq!(server.value("postgres", limits).as_deref(), Some("5 5"));
}

#[test]
fn what_is_no_postgresql_is_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port().to_string();
    let since = Instant::now();
    refused(None, &[("HOST", "127.0.0.1"), ("PORT", &silent_port)], &["no answer within 5 s", "something else listen"]);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());

    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let web_port = web.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in web.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
    });
    refused(None, &[("HOST", "127.0.0.1"), ("PORT", &web_port)], &["does not answer as PostgreSQL does"]);
    let valkey = service("NORNPLAN_VALKEY_PORT");
    refused(None, &[("HOST", "127.0.0.1"), ("PORT", &valkey)], &["something else listen"]);

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    refused(None, &[("HOST", "127.0.0.1"), ("PORT", &closed)], &["connection refused", &closed]);
    // Too long a name for any resolver to ask for.
    let no_host = format!("{}.invalid", "x".repeat(64));
    refused(None, &[("HOST", &no_host)], &["the host cannot be reached", "name resolution"]);
    // Of several hosts, each is told.
    let two = format!("127.0.0.1:{closed},127.0.0.1:{web_port}");
    refused(None, &[("HOST", &two)], &["no host can be written", &closed, &web_port]);
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", SPEC);
    // A recovery that takes a while: each look for archived WAL does.
    server.run("postgres", "ALTER SYSTEM SET restore_command = 'sleep 1 && false'");
    server.stop();
    std::fs::write(server.data().join("recovery.signal"), "").unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| server.start_again());
        let since = Instant::now();
        loop {
            let ran = workspace.run(&["plan"]);
            assert!(ran.code == 1 && since.elapsed() < Duration::from_secs(30), "{}", ran.stderr);
            if ran.stderr.contains("the server is starting up") || ran.stderr.contains("answers no queries yet") {
                assert!(ran.stderr.contains("--wait 60s"), "{}", ran.stderr);
                break;
            }
        }
        workspace.run(&["plan", "--wait", "60s", "--detailed-exitcode"]).exits(2);
        starting.join().unwrap();
    });
}

#[test]
fn an_apply_survives_an_ended_session_and_a_concurrent_change() {
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", SPEC);
    let mut other = Session::open(&server.admin_url("postgres")).unwrap();
    let mut watch = Session::open(&server.admin_url("postgres")).unwrap();

    // CREATE DATABASE waits for this lock, and is ended while it does.
    other.run("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE");
    let apply = beside(workspace.command(&["apply", "--auto-approve"]));
    watch.until(WAITING);
    watch.until(&WAITING.replace("count(*)", "count(pg_terminate_backend(pid))"));
    other.run("COMMIT");
    Ran::of(apply.wait_with_output().unwrap()).exits(0);
    assert!(server.log().contains("terminating connection due to administrator command"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // ALTER ROLE waits for the other's, and finds the row changed under it.
    server.run("postgres", &format!("ALTER ROLE \"{}a_user\" CREATEDB", workspace.prefix));
    other.run(&format!("BEGIN; ALTER ROLE \"{}a_user\" SET work_mem = '5MB'", workspace.prefix));
    other.run(&format!("ALTER ROLE \"{}a_user\" RESET work_mem; ALTER ROLE \"{0}a_user\" INHERIT", workspace.prefix));
    let apply = beside(workspace.command(&["apply", "--auto-approve"]));
    watch.until(WAITING);
    other.run("COMMIT");
    Ran::of(apply.wait_with_output().unwrap()).exits(0);
    assert!(server.log().contains("tuple concurrently updated"), "{}", server.log());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // Somebody makes the same role at this moment.
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    other.run(&format!("BEGIN; CREATE ROLE \"{}b_owner\" LOGIN SUPERUSER", workspace.prefix));
    let apply = beside(workspace.command(&["apply", "--auto-approve"]));
    watch.until(WAITING);
    other.run("COMMIT");
    Ran::of(apply.wait_with_output().unwrap()).exits(1).says("plan again");
    server.run("postgres", &format!("DROP ROLE \"{}b_owner\"", workspace.prefix));
    workspace.converge();
    // Nothing of ours stays behind.
    watch.until("SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE application_name = 'nornplan'");
}

#[test]
fn a_setting_that_cannot_be_is_told_beforehand_or_by_the_server() {
    let workspace = Workspace::new();
    workspace.spec("a", &format!("{SPEC}settings = {{ stutement_timeout = \"30s\" }}\n"));
    let ran = workspace.run(&["apply", "--auto-approve"]).exits(1);
    ran.says("BLOCKED").says("did you mean \"statement_timeout\"?");
    // What is a time zone only the server knows.
    workspace.spec("a", &format!("{SPEC}settings = {{ timezone = \"Middle/Earth\" }}\n"));
    let ran = workspace.run(&["apply", "--auto-approve"]).exits(1);
    ran.says("Middle/Earth").says("check the values under [services.postgres]");
    workspace.spec("a", SPEC);
    workspace.converge();
}

#[test]
fn a_right_that_is_missing_is_named() {
    let server = OwnPostgres::start();
    server.run("postgres", &format!("CREATE ROLE powerless LOGIN PASSWORD '{CANARY}'"));
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.set("NORNPLAN_POSTGRES_USER", "powerless");
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", CANARY);
    workspace.spec("a", SPEC);
    workspace.run(&["apply", "--auto-approve"]).exits(1).hides(CANARY).says("BLOCKED").says("CREATEROLE");
}

#[test]
fn who_else_uses_a_database_is_named() {
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", SPEC);
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    // Such as another run of ours, which a drop waits for.
    let url = format!("{}?application_name=nornplan", server.admin_url(&format!("{}a", workspace.prefix)));
    let session = Session::open(&url).unwrap();
    workspace.remove("specs/a.toml");
    let ran = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(1);
    ran.says("connected (another nornplan); nothing was dropped").says("wait until the other run is done");
    drop(session);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}

#[test]
fn few_connections_make_reading_slower_and_none_at_all_an_error() {
    let server = OwnPostgres::start();
    server.run("postgres", &format!("CREATE ROLE small LOGIN CREATEROLE CREATEDB PASSWORD '{CANARY}'"));
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.set("NORNPLAN_POSTGRES_USER", "small");
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", CANARY);
    let names: Vec<String> = (0..8).map(|number| format!("\"@d{number}\"")).collect();
    workspace.spec("a", &format!("{SPEC}databases = [{}]\n", names.join(", ")));
    workspace.converge();
    // One for all that databases share, and one that looks into them.
    server.run("postgres", "ALTER ROLE small CONNECTION LIMIT 2");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert!(server.log().contains("too many connections for role"));
    server.run("postgres", "ALTER ROLE small CONNECTION LIMIT 1");
    workspace.run(&["plan"]).exits(1).complains("too many connections for small").complains("CONNECTION LIMIT");
    server.run("postgres", "ALTER ROLE small CONNECTION LIMIT -1");
}

#[test]
fn a_terminal_sees_how_far_reading_has_come_and_a_killed_run_leaves_no_session() {
    let workspace = Workspace::new();
    workspace.spec("a", &format!("{SPEC}databases = [\"@one\", \"@two\"]\n"));
    workspace.converge();
    let one = format!("{}one", workspace.prefix);
    let mut other = Session::open(&admin_url(&one)).unwrap();
    let mut watch = Session::of_admin();
    let waiting = format!("{WAITING} AND datname = '{one}'");

    // Reading this database takes for as long as the lock is held. Signing in does not need this catalog, as it may others.
    other.run("BEGIN; LOCK TABLE pg_catalog.pg_largeobject_metadata");
    let mut on_a_terminal = Running::at_a_terminal(&workspace, &["plan"]);
    on_a_terminal.until_it_says("reading PostgreSQL 1/2 databases");
    other.run("COMMIT");
    on_a_terminal.ends_within(Duration::from_secs(60)).exits(0).says("No changes.");
    other.run("BEGIN; LOCK TABLE pg_catalog.pg_largeobject_metadata");
    let piped = beside(workspace.command(&["plan"]));
    watch.until(&waiting);
    other.run("COMMIT");
    let piped = Ran::of(piped.wait_with_output().unwrap()).exits(0);
    assert!(!piped.stderr.contains("reading"), "{}", piped.stderr);

    other.run("BEGIN; LOCK TABLE pg_catalog.pg_largeobject_metadata");
    let mut killed = beside(workspace.command(&["plan"]));
    watch.until(&waiting);
    killed.kill().unwrap();
    killed.wait().unwrap();
    other.run("COMMIT");
    watch.until(&format!(
        "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity WHERE application_name = 'nornplan' AND datname = \
         '{one}'"
    ));
}
