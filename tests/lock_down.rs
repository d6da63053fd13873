//! `[postgres] lock_down`: the databases that come with a server are closed to who has no business there. On servers of
//! the tests' own, since every other test signs in there.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_postgres::OwnPostgres;
use common::servers::postgres_at;
use common::{Ran, Workspace};

const OPEN: &str = "specs = \"specs\"\n[postgres]\nlock_down = false\n";
const CLOSED: &str = "specs = \"specs\"\n[postgres]\nlock_down = true\n";

/// A server, and a workspace that uses it for one app, with these lines as its file.
fn begin(file: &str) -> (OwnPostgres, Workspace) {
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.write("nornplan.toml", file);
    workspace.spec("cafe", "app = \"@cafe\"\n[services.postgres]\n");
    (server, workspace)
}

/// What comes of signing in as an app's user, with what is published, to another database.
fn as_app(workspace: &Workspace, app: &str, database: &str) -> Result<(), String> {
    let url = workspace.published(app, "DATABASE_URL");
    let (server, rest) = url.rsplit_once('/').expect("a URL");
    let options = rest.split_once('?').expect("options").1;
    enter(&format!("{server}/{database}?{options}"))
}

/// The SQLSTATE, if the server says no.
fn enter(url: &str) -> Result<(), String> {
    postgres_at(url, "SELECT 1").map_err(|error| {
        error.as_database_error().and_then(|error| error.code()).expect("the server's own answer").into_owned()
    })
}

/// Whether PUBLIC may connect to a database.
fn is_open(server: &OwnPostgres, database: &str) -> bool {
    let query = format!(
        "SELECT count(*)::text FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) a \
         WHERE datname = '{database}' AND grantee = 0 AND privilege_type = 'CONNECT'"
    );
    server.value("postgres", &query).as_deref() == Some("1")
}

fn refused() -> Result<(), String> {
    Err("42501".to_owned())
}

fn plan(workspace: &Workspace) -> Ran {
    workspace.run(&["plan"]).exits(0)
}

#[test]
fn apps_are_shut_out_and_we_are_not() {
    let (server, workspace) = begin(OPEN);
    workspace.converge();
    for database in ["postgres", "template1"] {
        assert_eq!(as_app(&workspace, "@cafe", database), Ok(()), "{database} was open before");
    }
    let advice = "set lock_down = true under [postgres]";
    workspace.run(&["doctor"]).says("every role may connect to postgres and template1").says(advice);

    workspace.write("nornplan.toml", CLOSED);
    plan(&workspace)
        .says("(workspace)")
        .says("postgres.lock_down.postgres")
        .says("postgres.lock_down.template1")
        .says("Plan: 0 to create, 2 to update, 0 to destroy.")
        .hides("other role");
    workspace.run(&["doctor"]).says("every role may connect to postgres and template1").hides(advice);
    workspace.converge();
    for database in ["postgres", "template1"] {
        assert_eq!(as_app(&workspace, "@cafe", database), refused(), "{database}");
        assert_eq!(enter(&server.admin_url(database)), Ok(()), "{database}");
        let own = format!(
            "SELECT count(*)::text FROM pg_database, aclexplode(datacl) WHERE datname = '{database}' AND \
             grantee = 'postgres'::regrole AND privilege_type = 'CONNECT'"
        );
        assert_eq!(server.value("postgres", &own).as_deref(), Some("1"), "{database}: a CONNECT of our own");
    }
    workspace.run(&["doctor"]).says("postgres and template1 are closed to PUBLIC");
    workspace.run(&["drift"]).exits(0).says("No drift.");
    workspace.run(&["state", "list"]).exits(0).says("postgres.lock_down.template1");
    workspace.run(&["plan", "--format", "json"]).exits(0).hides("lock_down");

    // Passwords are tried and set without entering a database that is closed.
    workspace.run(&["rotate", "@cafe", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(0).says("No changes.");
    let database = format!("{}cafe", workspace.prefix);
    assert_eq!(as_app(&workspace, "@cafe", &database), Ok(()));
}

#[test]
fn what_is_opened_by_hand_is_closed_again_unasked() {
    let (server, workspace) = begin(CLOSED);
    workspace.converge();
    server
        .run("postgres", "CREATE ROLE metrics LOGIN PASSWORD 'metrics'; GRANT CONNECT ON DATABASE postgres TO metrics");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let metrics = |database| enter(&server.url("metrics", "metrics", database));
    assert_eq!((metrics("postgres"), metrics("template1")), (Ok(()), refused()));

    server.run(
        "postgres",
        "GRANT CONNECT ON DATABASE template1 TO PUBLIC; REVOKE CONNECT ON DATABASE postgres FROM postgres",
    );
    workspace.run(&["drift"]).exits(2).says("postgres.lock_down.template1").says("postgres.lock_down.postgres");
    // Other apps' runs are not about the server as a whole.
    workspace.run(&["plan", "--app", "@cafe", "--detailed-exitcode"]).exits(0).says("No changes.").hides("lock_down");
    // Somebody is connected, but this is the way back to what was agreed.
    let _session = Session::open(&server.url("metrics", "metrics", "template1"));
    plan(&workspace).says("1 other role could connect through PUBLIC: metrics").says("drifted").hides("held");
    workspace.converge();
    assert_eq!((metrics("postgres"), metrics("template1")), (Ok(()), refused()));
    workspace.run(&["drift"]).exits(0);
}

#[test]
fn who_is_connected_is_named_and_asked_for() {
    let (server, workspace) = begin(CLOSED);
    for number in 1..=6 {
        server.run("postgres", &format!("CREATE ROLE tool{number} LOGIN PASSWORD 'tool'"));
    }
    server.run(
        "postgres",
        "CREATE ROLE team; GRANT CONNECT ON DATABASE postgres TO team; CREATE ROLE member LOGIN IN ROLE team",
    );
    let session = Session::open(&server.url("tool3", "tool", "postgres"));
    plan(&workspace)
        .says("connected now, and could not connect again: tool3")
        .says("6 other roles could connect through PUBLIC: tool1, tool2, tool3, tool4, tool5 and 1 more")
        .says("--allow-interrupt postgres.lock_down.postgres");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert!(is_open(&server, "postgres"), "held");
    assert!(!is_open(&server, "template1"), "nobody was there, so nobody had to be asked");
    assert_eq!(as_app(&workspace, "@cafe", "template1"), refused());

    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.lock_down.postgres"]).exits(0);
    assert!(!is_open(&server, "postgres"));
    drop(session);
    assert_eq!(enter(&server.url("tool3", "tool", "postgres")), refused());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_lesser_admin_is_told_what_a_superuser_must_run() {
    let (server, mut workspace) = begin(CLOSED);
    server.run("postgres", "CREATE ROLE \"the admin\" LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'");
    workspace.set("NORNPLAN_POSTGRES_USER", "the admin");
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
    let statement = |database| {
        format!(
            "GRANT CONNECT ON DATABASE \"{database}\" TO \"the admin\"; REVOKE ALL ON DATABASE \"{database}\" FROM PUBLIC"
        )
    };
    let together = |ran: &Ran| ran.stdout.replace("->", "").split_whitespace().collect::<Vec<_>>().join(" ");
    let blocked = plan(&workspace).says("BLOCKED").says("only its owner, postgres, or a superuser may close it");
    for database in ["postgres", "template1"] {
        assert!(together(&blocked).contains(&statement(database)), "{}", blocked.stdout);
    }
    // The doctor says the same.
    let doctor = workspace.run(&["doctor"]).says("the admin lacks a right for postgres.lock_down.template1");
    assert!(together(&doctor).contains(&statement("template1")), "{}", doctor.stdout);
    doctor.hides("✓ the rights of");
    // The apps do not wait for it.
    workspace.run(&["apply", "--auto-approve"]).exits(1).says("2 blocked");
    let database = format!("{}cafe", workspace.prefix);
    assert_eq!(as_app(&workspace, "@cafe", &database), Ok(()));
    assert!(is_open(&server, "postgres") && is_open(&server, "template1"));

    server.run("postgres", &format!("{};{}", statement("postgres"), statement("template1")));
    workspace.run(&["doctor"]).says("✓ the rights of the admin reach");
    plan(&workspace).says("Plan: 0 to create, 0 to update, 0 to destroy, 2 to adopt.");
    workspace.converge();
    // Who belongs to the owner may.
    server.run("postgres", "GRANT CONNECT ON DATABASE template1 TO PUBLIC; GRANT postgres TO \"the admin\"");
    workspace.converge();
    assert!(!is_open(&server, "template1"));
}

#[test]
fn a_sign_in_that_fails_afterwards_opens_it_again() {
    let (server, mut workspace) = begin(OPEN);
    server.run(
        "postgres",
        "CREATE ROLE lesser LOGIN CREATEROLE CREATEDB PASSWORD 'lesser' IN ROLE postgres;
         GRANT CONNECT ON DATABASE template1 TO lesser; REVOKE ALL ON DATABASE template1 FROM PUBLIC",
    );
    workspace.set("NORNPLAN_POSTGRES_USER", "lesser");
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
    workspace.converge();
    workspace.write("nornplan.toml", CLOSED);
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("1 to update");
    // One connection is enough to close it, and one too few to prove that another still can be made.
    server.run("postgres", "ALTER ROLE lesser CONNECTION LIMIT 1");
    workspace.run(&["apply", "plan.json"]).exits(1).complains("so it was opened again: too many connections");
    assert!(is_open(&server, "postgres"));
    assert_eq!(as_app(&workspace, "@cafe", "postgres"), Ok(()));

    server.run("postgres", "ALTER ROLE lesser CONNECTION LIMIT -1");
    workspace.converge();
    assert_eq!(as_app(&workspace, "@cafe", "postgres"), refused());
}

#[test]
fn nothing_is_ever_opened() {
    let (server, workspace) = begin(CLOSED);
    workspace.converge();
    workspace.run(&["state", "forget", "postgres.lock_down.*"]).exits(0).says("Forgot postgres.lock_down.postgres");
    plan(&workspace).says("2 to adopt.");
    workspace.converge();

    workspace.write("nornplan.toml", OPEN);
    plan(&workspace)
        .says("2 to forget.")
        .says("stays as it is")
        .says("GRANT CONNECT ON DATABASE \"template1\" TO PUBLIC");
    workspace.converge();
    assert!(!is_open(&server, "postgres") && !is_open(&server, "template1"));
    workspace.run(&["state", "list"]).exits(0).hides("lock_down");

    workspace.write("nornplan.toml", CLOSED);
    workspace.converge();
    server.run("postgres", "GRANT CONNECT ON DATABASE postgres TO PUBLIC");
    let all = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all"];
    workspace.run(&all).exits(0).hides("lock_down");
    assert!(is_open(&server, "postgres") && !is_open(&server, "template1"), "left alone");
    workspace.run(&["state", "list"]).exits(0).says("lock_down").hides("database");
    workspace.run(&all).exits(0).hides("lock_down");
    // It is ours while the workspace file says so, whether or not an app is left.
    workspace.spec("cafe", "app = \"@cafe\"\n");
    plan(&workspace).says("1 to update").hides("to forget");
    workspace.converge();
    assert!(!is_open(&server, "postgres"));
}

#[test]
fn what_protects_the_server_does_not_make_more_than_a_third_less() {
    let (_server, workspace) = begin(CLOSED);
    workspace.spec("cafe", "app = \"@cafe\"\n[services.postgres]\ndatabases = [\"@a\", \"@b\", \"@c\"]\n");
    workspace.spec("shop", "app = \"@shop\"\n[services.postgres]\n");
    workspace.converge();
    workspace.run(&["show"]).exits(0).says("16 resources are ours.");
    // Five of the fourteen resources of apps; of sixteen it would be fewer than a third.
    let some = ["destroy", "--app", "@shop", "--auto-approve", "--allow-destroy", "*@shop*"];
    workspace.run(&some).exits(0).says("--allow-destroy all").hides("lock_down");
}

#[test]
fn a_server_that_no_app_uses_is_not_contacted() {
    let mut workspace = Workspace::new();
    workspace.write("nornplan.toml", CLOSED);
    workspace.set("NORNPLAN_POSTGRES_HOST", "127.0.0.1");
    workspace.set("NORNPLAN_POSTGRES_PORT", "1");
    workspace.spec("cafe", "app = \"@cafe\"\n");
    plan(&workspace).says("No changes.").hides("lock_down");
    workspace.set("NORNPLAN_POSTGRES_LOCK_DOWN", "perhaps");
    workspace.run(&["plan"]).exits(1).complains("NORNPLAN_POSTGRES_LOCK_DOWN").complains("true or false");
}

/// A session that stays while this lives.
struct Session {
    runtime: tokio::runtime::Runtime,
    connection: Option<sqlx::PgConnection>,
}

impl Session {
    fn open(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(<sqlx::PgConnection as sqlx::Connection>::connect(url)).expect("a session");
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(self.runtime.block_on(sqlx::Connection::close(connection)));
        }
    }
}
