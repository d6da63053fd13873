//! An app that sets traps for whoever looks into its database with more rights than its own.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{admin_url, at_once, postgres, postgres_at, postgres_value};

/// Functions that fit our statements better than the server's own of the same names, if only they are looked for.
const TRAPS: [(&str, &str); 4] = [
    ("quote_ident(name)", "text"),
    ("jsonb_build_object(text, text, text, name)", "jsonb"),
    ("format(text, text, text, text)", "text"),
    ("format(text, text, text, name)", "text"),
];

/// Sets them, in schema public and in one that the database's own path puts before the server's.
fn trap(workspace: &Workspace) {
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(&url, "CREATE SCHEMA evil").expect("a schema");
    for schema in ["public", "evil"] {
        for (function, result) in TRAPS {
            let statement = format!(
                "CREATE FUNCTION {schema}.{function} RETURNS {result} LANGUAGE sql \
                 AS $$SELECT (current_user || ' fell into it')::int::text::{result}$$"
            );
            postgres_at(&url, &statement).expect("a trap");
        }
    }
    postgres_at(&url, "CREATE FUNCTION evil.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$SELECT (1/0)::name$$")
        .expect("a trap");
}

#[test]
fn functions_of_an_app_are_never_run_with_our_rights() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\nextensions = [\"hstore\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let database = format!("{}a", workspace.prefix);
    trap(&workspace);
    // They are traps: whoever looks as people usually do falls into them.
    let usual = "DO $$BEGIN PERFORM jsonb_build_object('version', '1'::text, 'schema', 'x'::name); \
                 RAISE 'not caught'; EXCEPTION WHEN invalid_text_representation THEN NULL; END$$";
    assert_eq!(
        postgres_value(&database, "SELECT current_setting('search_path')").as_deref(),
        Some("\"$user\", public")
    );
    at_once(&admin_url(&database), usual);

    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let url = workspace.published("@a", "DATABASE_URL");
    // Everything that is compared, repaired, made and dumped.
    let tables =
        "CREATE TABLE \"odd T\" (i int); CREATE FUNCTION f(x evil.format) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    postgres_at(&url, "CREATE TYPE evil.format AS (i int)").expect("a type");
    postgres_at(&url, tables).expect("objects");
    postgres_at(&url, &format!("REVOKE SELECT ON \"odd T\" FROM {}b_user", workspace.prefix)).expect("a deviation");
    postgres(&database, &format!("ALTER DATABASE {database} SET search_path = evil, pg_catalog, public"));
    postgres(&database, "CREATE TABLE pg_catalog_is_not_asked (i int)");
    workspace.spec(
        "a",
        "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\nadopt_objects = true\nextensions = [\"hstore\", \"citext\"]\n",
    );
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let schema = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'";
    assert_eq!(postgres_value(&database, schema).as_deref(), Some("public"));
    workspace.run(&["snapshot", "@a"]).exits(0);
}

#[test]
fn what_a_snapshot_runs_while_it_is_restored_has_the_rights_of_the_app_alone() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let user = format!("{}a_user", workspace.prefix);
    let url = workspace.published("@a", "DATABASE_URL");
    // It runs for each row that is copied, and leaves in a table who it could become.
    let check = format!(
        "CREATE FUNCTION seen(i int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RESET ROLE; \
         IF (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) \
         THEN RAISE 'it has our rights'; END IF; SET ROLE {user}; RETURN true; \
         EXCEPTION WHEN insufficient_privilege THEN SET ROLE {user}; RETURN true; END$$"
    );
    at_once(&url, &check);
    at_once(&url, "CREATE TABLE t (i int CHECK (seen(i))); INSERT INTO t VALUES (1)");
    let made = workspace.run(&["snapshot", "@a"]).exits(0);
    let file = made.stdout.trim().to_owned();
    workspace.run(&["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"]).exits(0);
    let owner = "SELECT tableowner::text || ' ' || (SELECT count(*) FROM t) FROM pg_tables WHERE tablename = 't'";
    assert_eq!(postgres_value(&format!("{}a", workspace.prefix), owner).unwrap(), format!("{user} 1"));
    // Who restored is gone, after a failure too.
    at_once(&url, "CREATE VIEW v AS SELECT i FROM t");
    workspace
        .run(&["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"])
        .exits(1)
        .complains("changed nothing");
    assert_eq!(restorers(&user), "0");
    // And where it is interrupted: the check waits while rows are copied.
    at_once(&url, "DROP VIEW v; DROP TABLE t");
    let slow = "CREATE FUNCTION slow(i int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN \
                IF current_setting('application_name') = 'nornplan' THEN PERFORM pg_sleep(2); END IF; RETURN true; END$$";
    at_once(
        &url,
        &format!("{slow}; CREATE TABLE t (i int CHECK (slow(i))); INSERT INTO t SELECT generate_series(1, 99)"),
    );
    let file = workspace.run(&["snapshot", "@a"]).exits(0).stdout.trim().to_owned();
    let restore = ["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"];
    let mut running = workspace.command(&restore);
    let mut running =
        running.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("runs");
    let asleep = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = '{}a' AND wait_event = 'PgSleep'",
        workspace.prefix
    );
    let since = std::time::Instant::now();
    while postgres_value("postgres", &asleep).as_deref() != Some("1") {
        assert!(since.elapsed().as_secs() < 20, "it does not get that far");
    }
    assert_eq!(restorers(&user), "1");
    std::process::Command::new("kill").args(["-TERM", &running.id().to_string()]).status().expect("a signal");
    assert_eq!(running.wait().expect("it ends").code(), Some(143));
    assert_eq!(restorers(&user), "0");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

/// How many roles act for a user while they restore.
fn restorers(user: &str) -> String {
    let query = format!(
        "SELECT count(*)::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = '{user}' \
         AND pg_get_userbyid(m.member) LIKE 'nornplan%'"
    );
    postgres_value("postgres", &query).expect("a count")
}
