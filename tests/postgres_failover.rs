//! Replicas and failovers, with a real primary and a real streaming standby.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::held::{Session, WAITING, beside};
use common::own_postgres::OwnPostgres;
use common::standby::{Standby, kill};
use common::{Ran, Workspace};

const CANARY: &str = "canary-Fv2-replica";

#[test]
fn a_replica_is_not_read_and_names_its_primary() {
    let primary = OwnPostgres::start();
    let Some(standby) = Standby::of(&primary) else { return };
    primary.run("postgres", &format!("CREATE ROLE lesser LOGIN CREATEROLE CREATEDB PASSWORD '{CANARY}'"));
    let mut workspace = Workspace::new();
    primary.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    let replica = format!("127.0.0.1:{}", standby.port);

    workspace.set("NORNPLAN_POSTGRES_HOST", &replica);
    let named = format!("use the primary at 127.0.0.1:{}", primary.port);
    let plan = workspace.run(&["-vvv", "plan"]).exits(1).complains("this is a replica").complains(&named);
    plan.complains(&replica).hides(&primary.password);
    workspace.run(&["doctor"]).exits(1).says("this is a replica").says(&named).hides(&primary.password);
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("nothing was applied");

    // Who may not know whom it follows is told what to look for.
    let mut lesser = Workspace::new();
    lesser.spec("a", "app = \"@a\"\n[services.postgres]\n");
    lesser.set("NORNPLAN_POSTGRES_HOST", &replica);
    lesser.set("NORNPLAN_POSTGRES_USER", "lesser");
    lesser.set("NORNPLAN_POSTGRES_PASSWORD", CANARY);
    let mut at_standby = Session::open(&primary.admin_url("postgres")).unwrap();
    at_standby.until(CAUGHT_UP);
    let plan = lesser.run(&["plan"]).exits(1).complains("this is a replica").complains("to the primary");
    plan.hides(&primary.password).hides(CANARY);

    // With all of them named, whichever stands first.
    workspace.set("NORNPLAN_POSTGRES_HOST", &format!("{replica},127.0.0.1:{}", primary.port));
    workspace.run(&["doctor"]).says(&format!("reachable at 127.0.0.1:{} (the primary of", primary.port));
    workspace.converge();
}

/// Whether the standby has all that the primary has.
const CAUGHT_UP: &str =
    "SELECT (count(*) = 1)::int::bigint FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_insert_lsn()";

#[test]
fn an_apply_goes_on_at_the_new_primary() {
    let primary = OwnPostgres::start();
    let Some(standby) = Standby::of(&primary) else { return };
    let mut workspace = Workspace::new();
    primary.serve(&mut workspace);
    workspace.set("NORNPLAN_POSTGRES_HOST", &format!("127.0.0.1:{},127.0.0.1:{}", primary.port, standby.port));
    for app in ["a", "b", "c"] {
        workspace.spec(app, &format!("app = \"@{app}\"\n[services.postgres]\n"));
    }
    let mut other = Session::open(&primary.admin_url("postgres")).unwrap();
    let mut watch = Session::open(&primary.admin_url("postgres")).unwrap();

    // In the middle of it: the owners are made, the databases wait for this lock.
    other.run("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE");
    let apply = beside(workspace.command(&["apply", "--auto-approve"]));
    watch.until(&format!("SELECT (count(*) = 3)::int::bigint FROM ({}) s", WAITING.replace("count(*)", "pid")));
    watch.until(CAUGHT_UP);
    kill(&primary);
    standby.promote();
    let applied = Ran::of(apply.wait_with_output().unwrap()).exits(0);
    assert!(applied.stdout.contains("Apply complete"), "{}", applied.stdout);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["doctor"]).says(&format!("reachable at 127.0.0.1:{} (the primary of", standby.port));
    // And once more, with nothing but the new one.
    workspace.remove("specs/c.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}

#[test]
fn a_primary_that_became_a_replica_is_left_between_two_steps() {
    let first = OwnPostgres::start();
    let Some(second) = Standby::of(&first) else { return };
    let mut workspace = Workspace::new();
    first.serve(&mut workspace);
    workspace.set("NORNPLAN_POSTGRES_HOST", &format!("127.0.0.1:{},127.0.0.1:{}", first.port, second.port));
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    let mut other = Session::open(&first.admin_url("postgres")).unwrap();
    let mut watch = Session::open(&first.admin_url("postgres")).unwrap();
    other.run("BEGIN; LOCK TABLE pg_catalog.pg_database IN SHARE MODE");
    let apply = beside(workspace.command(&["apply", "--auto-approve"]));
    watch.until(WAITING);
    watch.until(CAUGHT_UP);
    // Switched over: the old one comes back on its port as somebody who can only be read. The lock goes with it: what it let
    // through before would be lost with the old one, which nobody could know of.
    kill(&first);
    drop((other, watch));
    std::fs::write(first.data().join("standby.signal"), "").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| first.start_again());
        std::thread::sleep(std::time::Duration::from_secs(2));
        second.promote();
    });
    Ran::of(apply.wait_with_output().unwrap()).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
