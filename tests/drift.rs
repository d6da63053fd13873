//! What counts as drift, and that `drift` and `plan` tell one and the same.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers;

const APP: &str = "app = \"@a\"\n[services.postgres]\n";

/// A role and a database as an app has them that was there before nornplan.
fn alive(workspace: &Workspace) {
    let prefix = &workspace.prefix;
    servers::postgres("postgres", &format!("CREATE ROLE {prefix}a_user LOGIN PASSWORD 'old'"));
    servers::postgres("postgres", &format!("CREATE DATABASE {prefix}a OWNER {prefix}a_user"));
}

#[test]
fn a_password_that_was_never_published_is_no_drift_and_one_that_vanished_is() {
    let workspace = Workspace::new();
    alive(&workspace);
    workspace.spec("a", APP);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    for run in [&["drift"][..], &["drift", "--app", "@a"], &["drift", "--service", "postgres"]] {
        workspace.run(run).exits(0).says("No drift.").hides("credential unknown");
    }
    workspace.run(&["plan"]).exits(0).says("credential unknown").hides("rift");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.converge();
    workspace.run(&["drift"]).exits(0).says("No drift.");

    // Gone from the sink, where it was published: the app has lost it.
    let secrets = format!("secrets/{}a.env", workspace.prefix);
    let without: String = workspace.read(&secrets).lines().filter(|line| !line.contains("DATABASE_URL")).collect();
    workspace.write(&secrets, &without);
    workspace.run(&["drift", "--service", "postgres"]).exits(2).says("credential unknown").says("Drift: 2 of ");
    workspace.run(&["plan"]).exits(0).says("Drift    1 resource is not as last applied; the plan puts that right once");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.converge();

    servers::postgres("postgres", &format!("ALTER ROLE {}a_user PASSWORD 'by-hand'", workspace.prefix));
    let drift = workspace.run(&["drift"]).exits(2).says("the published credential does not sign in");
    assert!(drift.last_line().starts_with("Drift: 1 of "), "{}", drift.stdout);
    let plan = ["plan", "--allow-interrupt", "all"];
    workspace
        .run(&plan[..1])
        .exits(0)
        .says("1 resource is not as last applied; the plan puts that right once what is held");
    workspace.run(&plan).exits(0).says("1 resource is not as last applied; the plan puts that right\n");
}

/// Adopts the app with a look at the roles and databases alone.
fn adopted_shallowly(workspace: &Workspace, spec: &str) {
    alive(workspace);
    workspace.spec("a", spec);
    workspace.run(&["apply", "--shallow", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
}

#[test]
fn what_is_closed_and_what_leads_elsewhere_is_no_drift() {
    let workspace = Workspace::new();
    let pool = "[publish]\nPOOL_URL = \"postgres://{pg.user}:{pg.password}@pool.invalid:6432/alias\"\n";
    workspace.spec("a", &format!("{APP}{pool}"));
    workspace.converge();
    workspace.run(&["drift"]).exits(0).says("No drift.");
    let closed = "[services.postgres]\ndatabase = { name = \"@a\", allow_connections = false }\n";
    workspace.spec("a", &format!("app = \"@a\"\n{closed}"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["drift"]).exits(0).says("No drift.");
}

#[test]
fn a_pin_that_is_declared_no_longer_is_no_drift_beside_another_edit() {
    let workspace = Workspace::new();
    let with = |extensions: &str| workspace.spec("a", &format!("{APP}extensions = [{extensions}]\n"));
    with("{ name = \"hstore\", version = \"1.7\" }, \"pg_trgm\"");
    workspace.converge();
    with("{ name = \"hstore\", version = \"1.8\" }, \"pg_trgm\"");
    workspace.run(&["plan"]).exits(0).says("extensions:  hstore: 1.7 -> 1.8\n");
    workspace.converge();
    // One that the database has and nobody declared until now is an edit as well.
    servers::postgres(&format!("{}a", workspace.prefix), "CREATE EXTENSION btree_gin");
    with("\"hstore\", \"pg_trgm\", \"citext\", \"btree_gin\"");
    workspace.run(&["drift"]).exits(0).says("No drift.");
    workspace.run(&["plan"]).exits(0).says("+ citext").says("changed in spec").hides("rift").hides("btree_gin");
    servers::postgres(&format!("{}a", workspace.prefix), "DROP EXTENSION pg_trgm");
    workspace.run(&["drift"]).exits(2).says("- pg_trgm");
    workspace.run(&["plan"]).exits(0).says("drifted").says("+ citext, pg_trgm");
    workspace.converge();
    workspace.run(&["drift"]).exits(0).says("No drift.");
}

#[test]
fn what_was_never_looked_at_when_it_was_applied_has_not_drifted() {
    let workspace = Workspace::new();
    adopted_shallowly(&workspace, &format!("{APP}extensions = [\"hstore\"]\n"));
    workspace.run(&["drift"]).exits(0).says("No drift.");
    workspace.run(&["plan"]).exits(0).says("+ hstore").says("not ours yet").hides("drifted").hides("Drift ");
    servers::postgres(&format!("{}a", workspace.prefix), "CREATE EXTENSION hstore");
    workspace.run(&["plan"]).exits(0).says("2 to record");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    servers::postgres(&format!("{}a", workspace.prefix), "DROP EXTENSION hstore");
    workspace.run(&["drift"]).exits(2).says("- hstore");
}

#[test]
fn what_a_shallow_apply_did_not_see_is_neither_applied_nor_taken_away_unasked() {
    let workspace = Workspace::new();
    let (prefix, database) = (&workspace.prefix, format!("{}a", workspace.prefix));
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    let with = |access: &str| format!("{APP}{access} = [\"@b\"]\n");
    alive(&workspace);
    let taken = format!("GRANT CREATE ON SCHEMA public TO {prefix}s; REVOKE ALL ON SCHEMA public FROM PUBLIC");
    servers::postgres(&database, &format!("CREATE ROLE {prefix}s; {taken}"));
    workspace.spec("a", &with("readers"));
    workspace.run(&["apply", "--shallow", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["drift"]).exits(0).says("No drift.");
    workspace.run(&["plan", "--shallow", "--detailed-exitcode"]).exits(0).says("No changes.");

    // More than reading is given where it can be seen whether it is given.
    workspace.spec("a", &with("writers"));
    workspace.run(&["apply", "--shallow", "--auto-approve"]).exits(0);
    workspace.run(&["drift"]).exits(0).says("No drift.");
    let stray = format!("- CREATE on schema public to {prefix}s");
    let plan =
        workspace.run(&["plan"]).exits(0).says("widens access").says("+ DELETE, INSERT, UPDATE").hides("drifted");
    plan.says(&stray).says("not ours yet").says("1 held: --allow-interrupt postgres.database.");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    // Once it was ours, it is repaired unasked.
    servers::postgres(&database, &format!("GRANT CREATE ON SCHEMA public TO {prefix}s"));
    workspace.run(&["drift"]).exits(2);
    workspace.run(&["plan"]).exits(0).says("drifted").says(&stray).hides("held");
    workspace.converge();
    servers::postgres(&database, &format!("DROP OWNED BY {prefix}s; DROP ROLE {prefix}s"));
}
