//! The state behind a real PgBouncer in transaction mode.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::own_postgres::{OwnPostgres, free_port};
use common::pooler::PgBouncer;
use common::state_database::Holder;

#[test]
fn the_state_works_behind_a_pooler_in_transaction_mode() {
    let server = OwnPostgres::start();
    // Two sessions for all clients: what one leaves behind, another would meet.
    let Some(pooler) =
        PgBouncer::in_front_of(&server, "pool_mode = transaction\ndefault_pool_size = 3\nserver_login_retry = 1")
    else {
        return;
    };
    let mut workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    for (name, value) in [
        ("BACKEND", "postgres"),
        ("HOST", "127.0.0.1"),
        ("PORT", &pooler.port.to_string()),
        ("USER", "postgres"),
        ("PASSWORD", &server.password),
    ] {
        workspace.set(&format!("NORNPLAN_STATE_{name}"), value);
    }
    workspace.run(&["plan"]).exits(0).says("2 to create").hides(&server.password);
    workspace.converge();
    workspace.run(&["doctor"]).exits(0).says("database nornplan on 127.0.0.1").says("its lock is free");
    assert_eq!(server.value("nornplan", "SELECT serial::text FROM nornplan.document").as_deref(), Some("1"));

    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    let holder = Holder::start(&workspace, free_port());
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains(&format!("(process {})", holder.pid()));
    holder.kill();
    workspace.run(&["apply", "--auto-approve", "--lock-timeout", "20s"]).exits(0).says("2 created");
    let holder = Holder::start(&workspace, free_port());
    workspace.run(&["state", "unlock", "--auto-approve"]).exits(0).complains("The lock is free.");
    holder.go_on().exits(1).complains("the lock is no longer ours");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // Nothing of ours stays in the sessions that the pooler hands on.
    for _ in 0..4 {
        let left = "SELECT current_setting('search_path'), current_setting('tcp_keepalives_idle'), \
                    (SELECT count(*) FROM pg_prepared_statements)";
        assert!(!pooler.asks(&server, left).contains("pg_catalog"));
    }
    workspace.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}
