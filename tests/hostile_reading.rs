//! Apps in whose databases something cannot be read, by bad luck or on purpose: that is told of each of them, and plans
//! for all others are made as ever.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::Session;
use common::servers::{at_once, postgres, postgres_at, postgres_value};
use std::time::{Duration, Instant};

#[test]
fn what_is_no_utf8_is_read_or_stands_in_the_way_of_its_own_database_alone() {
    let workspace = Workspace::new();
    let odd = "app = \"@a\"\n[services.postgres]\n\
               databases = [{ name = \"@a\", encoding = \"WIN1252\", locale = \"C\" }]\n";
    workspace.spec("a", odd);
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let user = format!("{}a_user", workspace.prefix);

    // Its bytes are 0xe9 in the catalog that all databases share, which no other database can read as text.
    postgres_at(&url, &format!("ALTER ROLE {user} SET search_path = \"caf\u{e9}\"")).expect("a setting");
    let database = format!("{}a", workspace.prefix);
    postgres(&database, &format!("ALTER ROLE {user} SET app.note = '\\x\u{e9}\\'"));
    workspace.run(&["plan"]).exits(0).says("search_path").says("caf\u{fffd}").hides("INCOMPLETE");
    workspace.converge();

    // 0x81 is no character of WIN1252, so not even that database can answer with it.
    let schema = "DO $$DECLARE s text := quote_ident(convert_from('\\x81', 'WIN1252')); BEGIN \
                  EXECUTE 'CREATE SCHEMA ' || s; \
                  EXECUTE 'ALTER DEFAULT PRIVILEGES IN SCHEMA ' || s || ' GRANT SELECT ON TABLES TO PUBLIC'; END$$";
    at_once(&url, schema);
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\nextensions = [\"hstore\"]\n");
    let plan = workspace.run(&["plan"]).exits(0).says("hstore").hides("INCOMPLETE");
    plan.says(&format!("postgres.database.{}a could not be looked into", workspace.prefix)).says("WIN1252");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("1 updated");

    // What nobody could look into is neither as it should be nor as it was.
    let drift = workspace.run(&["drift"]).exits(1).says("INCOMPLETE").says("Drift so far: 0 of ");
    drift.says(&format!("postgres.database.{database}, ")).says(" could not be looked into:").hides("No drift");
    workspace.run(&["drift", "--format", "json"]).exits(1).says("\"complete\": false");
    workspace.run(&["drift", "--app", "@b"]).exits(0).says("No drift.");
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes. ");
    plan.says(" resources match their infraspecs; 2 could not be looked into.");

    // Only steps on that database are held.
    workspace.spec("a", &odd.replace(" }", ", connection_limit = 7 }"));
    workspace.run(&["plan"]).exits(0).says("could not be looked into").says("BLOCKED").hides("INCOMPLETE");
    at_once(&url, "DO $$BEGIN EXECUTE format('DROP SCHEMA %I CASCADE', convert_from('\\x81', 'WIN1252')); END$$");
    workspace.converge();
}

/// Signs in as an administrator that is no superuser, who goes last.
struct Lesser(String);

impl Lesser {
    fn new(name: String) -> Self {
        postgres("postgres", &format!("CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD 'of a test'"));
        Self(name)
    }

    fn serve(&self, workspace: &mut Workspace) {
        workspace.set("NORNPLAN_POSTGRES_USER", &self.0);
        workspace.set("NORNPLAN_POSTGRES_PASSWORD", "of a test");
    }
}

impl Drop for Lesser {
    fn drop(&mut self) {
        postgres("postgres", &format!("DROP ROLE {}", self.0));
    }
}

#[test]
fn a_full_database_is_full_for_its_own_app_alone() {
    let admin = Lesser::new(format!("t{}_lesser", std::process::id()));
    let mut workspace = Workspace::new();
    admin.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\ndatabase = { connection_limit = 2 }\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let sessions = [Session::open(&url).expect("a session"), Session::open(&url).expect("a session")];
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\ndatabase = { connection_limit = 3 }\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\nextensions = [\"hstore\"]\n");
    let since = Instant::now();
    let plan = workspace.run(&["plan"]).exits(0).hides("INCOMPLETE").says("hstore").says("BLOCKED");
    plan.says("too many connections for").says("CONNECTION LIMIT; superusers are let in");
    // It is not waited for, as a crowded server is: that takes more than six seconds.
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    workspace.run(&["apply", "--auto-approve"]).says("1 updated");
    drop(sessions);
    workspace.converge();
}

#[test]
fn a_locked_table_of_a_database_that_goes_is_told_and_not_waited_for() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    let mut app = Session::open(&url).expect("a session");
    app.run("CREATE TABLE big (i int); INSERT INTO big VALUES (1)");
    app.run("BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE");
    workspace.remove("specs/a.toml");
    let since = Instant::now();
    let plan = workspace.run(&["plan"]).exits(0).hides("INCOMPLETE");
    plan.says("what is in it cannot be read: canceling statement due to lock timeout");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn what_an_owner_sets_on_a_database_does_not_bind_our_sessions() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let database = format!("{}a", workspace.prefix);
    let role = format!("{database}_user");
    let mut settings = vec![
        ("statement_timeout", "1"),
        ("lock_timeout", "1"),
        ("idle_in_transaction_session_timeout", "1"),
        ("idle_session_timeout", "1"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("default_transaction_read_only", "on"),
        ("quote_all_identifiers", "on"),
        ("standard_conforming_strings", "off"),
        ("local_preload_libraries", "no_such_library"),
        ("client_encoding", "SQL_ASCII"),
        ("row_security", "off"),
        ("role", role.as_str()),
    ];
    let version = postgres_value("postgres", "SELECT current_setting('server_version_num')").expect("a version");
    if version.as_str() >= "170000" {
        settings.push(("transaction_timeout", "1"));
    }
    let set = |(name, value): &(&str, &str)| format!("ALTER DATABASE {database} SET {name} = '{value}'");
    postgres("postgres", &settings.iter().map(set).collect::<Vec<_>>().join(";"));
    workspace
        .spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\nextensions = [\"pg_stat_statements\"]\n");
    let plan = workspace.run(&["plan"]).exits(0).hides("INCOMPLETE").hides("could not be looked into");
    plan.says("statement_timeout").says("pg_stat_statements").hides("present_objects").hides("grant");
    // An untrusted extension, which only our own role may make.
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn what_a_role_has_where_nobody_looked_is_not_taken_for_gone() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let (database, reader) = (format!("{}a", workspace.prefix), format!("{}b_user", workspace.prefix));
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE t (i int)").expect("a table");
    let select = format!("SELECT has_table_privilege('{reader}', 't', 'SELECT')::text");
    let alone = "app = \"@a\"\n[services.postgres]\n";

    // Closed, so that it cannot be taken now.
    let closed = "database = { allow_connections = false }\n";
    workspace.spec("a", &format!("{alone}readers = [\"@b\"]\n{closed}"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    postgres("postgres", &format!("REVOKE CONNECT ON DATABASE {database} FROM {reader}"));
    workspace.spec("a", &format!("{alone}{closed}"));
    workspace.run(&["plan"]).exits(0).hides("already gone").says("BLOCKED");
    workspace.spec("a", alone);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    assert_eq!(postgres_value(&database, &select).as_deref(), Some("false"));

    // Not looked at.
    workspace.spec("a", &format!("{alone}readers = [\"@b\"]\n"));
    workspace.converge();
    assert_eq!(postgres_value(&database, &select).as_deref(), Some("true"));
    postgres("postgres", &format!("REVOKE CONNECT ON DATABASE {database} FROM {reader}"));
    workspace.spec("a", alone);
    let shallow = ["apply", "--shallow", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&shallow).exits(0).hides("already gone");
    assert_eq!(postgres_value(&database, &select).as_deref(), Some("false"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_shallow_apply_installs_nothing_that_its_plan_did_not_show() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let database = format!("{}a", workspace.prefix);
    let installed = "SELECT count(*)::text FROM pg_extension WHERE extname = 'pg_stat_statements'";
    let declared = "app = \"@a\"\n[services.postgres]\nextensions = [\"pg_stat_statements\"]\n";
    workspace.spec("a", declared);
    workspace.run(&["apply", "--shallow", "--auto-approve"]).exits(0).hides("pg_stat_statements");
    workspace.spec("a", &format!("{declared}database = {{ connection_limit = 9 }}\n"));
    let shallow = workspace.run(&["apply", "--shallow", "--auto-approve"]).exits(0);
    shallow.says("connection limit").hides("pg_stat_statements");
    assert_eq!(postgres_value(&database, installed).as_deref(), Some("0"));
    // It was not applied, so that it is not there is no drift.
    workspace.run(&["drift"]).exits(0);
    workspace.run(&["plan"]).exits(0).says("pg_stat_statements").says("changed in spec").hides("drifted");
    workspace.converge();
    assert_eq!(postgres_value(&database, installed).as_deref(), Some("1"));
}

#[test]
fn an_app_that_calls_itself_nornplan_is_seen() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let mut app = Session::open(&workspace.published("@a", "DATABASE_URL")).expect("a session");
    app.run("SET application_name = 'nornplan'");
    workspace.remove("specs/a.toml");
    let plan = workspace.run(&["plan", "--allow-destroy", "*@a*"]).exits(0);
    plan.says(&format!("1 session ({}a_user)", workspace.prefix)).says("sessions are in the way");
}
