//! What counts as drift, and that `drift` and `plan` tell one and the same.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

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
    workspace.run(&["plan"]).exits(0).says("credential unknown");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.converge();
    workspace.run(&["drift"]).exits(0).says("No drift.");

    // Gone from the sink, where it was published: the app has lost it.
    let secrets = format!("secrets/{}a.env", workspace.prefix);
    let without: String = workspace.read(&secrets).lines().filter(|line| !line.contains("DATABASE_URL")).collect();
    workspace.write(&secrets, &without);
    workspace.run(&["drift", "--service", "postgres"]).exits(2).says("credential unknown").says("Drift: 2 of ");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.converge();

    servers::postgres("postgres", &format!("ALTER ROLE {}a_user PASSWORD 'by-hand'", workspace.prefix));
    workspace.run(&["drift"]).exits(2).says("the published credential does not sign in");
}
