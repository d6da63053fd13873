//! PgBouncer in front of PostgreSQL: found out for certain, refused with what to do, and left as it was.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::Session;
use common::own_postgres::OwnPostgres;
use common::pooler::PgBouncer;

#[test]
fn a_pooler_is_refused_in_every_mode_and_nothing_leaks_into_its_sessions() {
    let server = OwnPostgres::start();
    let ignoring = "ignore_startup_parameters = extra_float_digits, options";
    for (mode, more) in [
        ("transaction", ""),
        ("transaction", "ignore_startup_parameters = extra_float_digits"),
        ("transaction", ignoring),
        ("session", ignoring),
        ("statement", ignoring),
    ] {
        let Some(pooler) = PgBouncer::in_front_of(&server, &format!("pool_mode = {mode}\n{more}")) else { return };
        let mut workspace = Workspace::new();
        workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
        server.serve(&mut workspace);
        workspace.set("NORNPLAN_POSTGRES_PORT", &pooler.port.to_string());
        // The pooler has sessions that it hands on to us, and to others after us.
        assert_eq!(pooler.asks(&server, "SELECT 1"), "1");
        let found = workspace.run(&["plan"]).exits(1).complains("PgBouncer or another pooler stands in front");
        found.complains("public_host").complains(&pooler.port.to_string()).hides(&server.password);
        workspace.run(&["doctor"]).exits(1).says("PgBouncer or another pooler stands in front").says("public_host");
        workspace.run(&["apply", "--auto-approve"]).exits(1).complains("nothing was applied");
        for _ in 0..4 {
            let settings =
                "SELECT current_setting('default_transaction_read_only'), current_setting('statement_timeout')";
            assert_eq!(pooler.asks(&server, settings), "off|0", "{mode} {more}");
        }
        // A password that it does not know.
        workspace.set("NORNPLAN_POSTGRES_PASSWORD", "canary-Wn5-pooler");
        workspace.run(&["plan"]).exits(1).complains("help: ").hides("canary-Wn5-pooler");

        // What works: itself at the server, apps at the pooler.
        let mut beside = Workspace::new();
        beside.spec("a", "app = \"@a\"\n[services.postgres]\n");
        server.serve(&mut beside);
        beside.set("NORNPLAN_POSTGRES_PUBLIC_PORT", &pooler.port.to_string());
        beside.run(&["plan", "--detailed-exitcode"]).exits(2);
    }
}

#[test]
fn no_setting_of_ours_lasts_longer_than_our_session() {
    // The same without a pooler: what a role has set for itself gives way in our sessions alone.
    let server = OwnPostgres::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    server.run("postgres", "ALTER ROLE postgres SET default_transaction_read_only = on");
    workspace.converge();
    let mut session = Session::open(&server.admin_url("postgres")).unwrap();
    assert_eq!(session.count("SELECT (current_setting('default_transaction_read_only') = 'on')::int::bigint"), 1);
}
