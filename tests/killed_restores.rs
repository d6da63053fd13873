//! The login that a restore runs as: what a snapshot makes of it, and what is left of it when nornplan is killed.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::Session;
use common::own_postgres::OwnPostgres;
use common::servers::at_once;
use common::waiting::until;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The roles that act for an app's user and that nornplan made.
fn restorers(server: &OwnPostgres, workspace: &Workspace) -> Option<String> {
    let query = format!(
        "SELECT string_agg(pg_get_userbyid(m.member), ' ') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
         WHERE r.rolname = '{}a_user' AND pg_get_userbyid(m.member) LIKE 'nornplan%'",
        workspace.prefix
    );
    server.value("postgres", &query)
}

fn owner(server: &OwnPostgres, workspace: &Workspace, table: &str) -> Option<String> {
    let query = format!("SELECT tableowner::text FROM pg_tables WHERE tablename = '{table}'");
    server.value(&format!("{}a", workspace.prefix), &query)
}

/// On a server of its own: any apply removes what is left, also that of a test that runs beside this one.
fn begin(lesser: bool) -> (OwnPostgres, Workspace) {
    let (server, mut workspace) = (OwnPostgres::start(), Workspace::new());
    server.serve(&mut workspace);
    if lesser {
        server.run("postgres", "CREATE ROLE lesser LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'");
        workspace.set("NORNPLAN_POSTGRES_USER", "lesser");
        workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
    }
    (server, workspace)
}

/// An app with a table of which each row is checked by a function, and a snapshot of it.
fn with_check(workspace: &Workspace, body: &str) -> String {
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    // Only in a restore, where nornplan signs in.
    let check = format!(
        "CREATE FUNCTION checked(i int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN \
         IF current_setting('application_name') = 'nornplan' THEN {body} END IF; RETURN true; END$$"
    );
    at_once(&url, &check.replace('@', &workspace.prefix));
    at_once(&url, "CREATE TABLE t (i int CHECK (checked(i))); INSERT INTO t SELECT generate_series(1, 99)");
    workspace.run(&["snapshot", "@a"]).exits(0).stdout.trim().to_owned()
}

fn makes_things(lesser: bool) {
    let (server, workspace) = begin(lesser);
    let file = with_check(
        &workspace,
        "RESET ROLE; ALTER ROLE CURRENT_USER PASSWORD 'known to the app'; \
         CREATE TABLE IF NOT EXISTS public.kept (i int); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO @a_user; \
         SET ROLE @a_user;",
    );
    workspace.run(&["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"]).exits(0);
    assert_eq!(restorers(&server, &workspace), None);
    assert_eq!(owner(&server, &workspace, "kept"), Some(format!("{}a_user", workspace.prefix)));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn what_a_snapshot_makes_as_the_login_of_its_restore_is_the_apps() {
    makes_things(false);
    makes_things(true);
}

/// Waits until a restore is asleep over the first row: the role that it runs as.
fn asleep(server: &OwnPostgres, workspace: &Workspace) -> String {
    let asleep = format!(
        "SELECT usename::text FROM pg_stat_activity WHERE datname = '{}a' AND wait_event = 'PgSleep'",
        workspace.prefix
    );
    let since = Instant::now();
    loop {
        if let Some(role) = server.value("postgres", &asleep) {
            return role;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "it does not get that far");
    }
}

fn is_killed(lesser: bool) {
    let (server, workspace) = begin(lesser);
    // The change of its password is not over: who waits for that waits for as long as the app likes.
    let file = with_check(
        &workspace,
        "RESET ROLE; ALTER ROLE CURRENT_USER PASSWORD 'known to the app'; SET ROLE @a_user; PERFORM pg_sleep(600);",
    );
    let mut command = workspace.command(&["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let role = asleep(&server, &workspace);
    let limits = format!(
        "SELECT rolconnlimit || ' ' || (rolvaliduntil < now() + interval '1 day') FROM pg_roles WHERE rolname = '{role}'"
    );
    assert_eq!(server.value("postgres", &limits).as_deref(), Some("1 true"));
    // It runs: nobody else ends it, not even a run with another state, nor is it anybody's drift.
    let mut other = Workspace::new();
    server.serve(&mut other);
    other.spec("b", "app = \"@b\"\n[services.postgres]\n");
    other.run(&["apply", "--auto-approve"]).exits(0);
    other.run(&["doctor"]).hides(&role);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(restorers(&server, &workspace).as_deref(), Some(role.as_str()));
    assert_eq!(child.try_wait().expect("its end"), None);

    child.kill().expect("it is killed");
    child.wait().expect("its end");
    let database = format!("{}a", workspace.prefix);
    let left = format!(
        "CREATE TABLE left_behind (i int); ALTER TABLE left_behind OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}"
    );
    server.run(&database, &left);
    let since = Instant::now();
    while !workspace.run(&["doctor"]).stdout.contains(&role) {
        assert!(since.elapsed() < Duration::from_secs(30), "the doctor does not see it");
    }
    // Whoever is about to let it do something is not waited for.
    let mut granting = Session::open(&server.admin_url("postgres")).expect("it signs in");
    granting.run(&format!("BEGIN; GRANT CONNECT ON DATABASE postgres TO {role}"));
    workspace.run(&["apply", "--auto-approve"]).exits(0).complains("cannot be removed").complains("lock timeout");
    granting.run("ROLLBACK");
    workspace.run(&["apply", "--auto-approve"]).exits(0).complains("Removed the role").complains(&role);
    let count = |query: &str| server.value("postgres", &format!("SELECT count(*)::text FROM {query}"));
    assert_eq!(count(&format!("pg_roles WHERE rolname = '{role}'")).as_deref(), Some("0"));
    // A session that has just been closed is listed for a moment more.
    let sessions = format!("pg_stat_activity WHERE datname = '{database}' AND backend_type = 'client backend'");
    until("nobody is in it", || count(&sessions).as_deref() == Some("0"));
    assert_eq!(owner(&server, &workspace, "left_behind"), Some(format!("{}a_user", workspace.prefix)));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["doctor"]).hides(&role);
}

#[test]
fn the_next_apply_removes_what_a_killed_restore_has_left() {
    is_killed(false);
}

#[test]
fn so_does_that_of_a_lesser_administrator() {
    is_killed(true);
}
