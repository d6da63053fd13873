//! As long as nobody has said whether something is new or has another name only, nothing is made that would be in the way
//! of the rename; and either way there is a way to go on.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres_value, value_at, works};

fn cafe(workspace: &Workspace, database: &str, more: &str) {
    workspace.spec("cafe", &format!("app = \"@cafe\"\n[services.postgres]\ndatabase = \"@{database}\"\n{more}"));
}

fn moved(workspace: &Workspace, moves: &[(&str, &str)]) {
    let table = |(from, to): &(&str, &str)| format!("[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
    let tables: String = moves.iter().map(table).collect();
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\n{tables}"));
}

const DATABASE: (&str, &str) = ("postgres.database.@old_db", "postgres.database.@new_db");

/// An app with a table, under its old name, among others.
fn living() -> Workspace {
    let workspace = Workspace::new();
    workspace.among_others(9);
    cafe(&workspace, "old_db", "");
    workspace.converge();
    works(&url(&workspace, "@cafe"), "CREATE TABLE orders (what text); INSERT INTO orders VALUES ('tea')");
    workspace
}

fn url(workspace: &Workspace, app: &str) -> String {
    workspace.published(app, "DATABASE_URL")
}

#[track_caller]
fn has_its_data(workspace: &Workspace, app: &str) {
    assert_eq!(value_at(&url(workspace, app), "SELECT what FROM orders").as_deref(), Some("tea"));
}

/// The roles of PostgreSQL that the test has, without its prefix.
fn roles(workspace: &Workspace) -> String {
    let prefix = &workspace.prefix;
    let names = format!(
        "SELECT string_agg(substr(rolname, {}), ' ' ORDER BY rolname COLLATE \"C\") FROM pg_roles \
         WHERE rolname ~ '^{prefix}[a-z]'",
        prefix.len() + 1
    );
    postgres_value("postgres", &names).unwrap_or_default()
}

#[test]
fn what_was_applied_before_the_question_was_answered_is_renamed_all_the_same() {
    let workspace = living();
    cafe(&workspace, "new_db", "");
    let plan = workspace.run(&["plan"]).exits(0).says("did you mean a rename?");
    plan.says(&format!("held: waits for postgres.database.{}new_db", workspace.prefix));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(roles(&workspace), "old_owner old_user");
    moved(&workspace, &[DATABASE]);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("3 renamed");
    assert_eq!(roles(&workspace), "new_owner new_user");
    has_its_data(&workspace, "@cafe");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");

    // All names of it are others, and none of them follows from the database's.
    cafe(&workspace, "late_db", "user = \"@login\"\nowner = \"@boss\"\n");
    let first = ("postgres.database.@new_db", "postgres.database.@late_db");
    moved(&workspace, &[DATABASE, first]);
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("did you mean a rename?");
    assert_eq!(roles(&workspace), "new_owner new_user");
    let owner = ("postgres.role.@new_owner", "postgres.role.@boss");
    moved(&workspace, &[first, owner, ("postgres.role.@new_user", "postgres.role.@login")]);
    workspace.converge();
    assert_eq!(roles(&workspace), "boss login");
    has_its_data(&workspace, "@cafe");
}

#[test]
fn what_is_new_is_made_with_consent() {
    let workspace = living();
    cafe(&workspace, "new_db", "");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@new_db"]).exits(0);
    works(&url(&workspace, "@cafe"), "CREATE TABLE orders (what text)");
    assert_eq!(roles(&workspace), "new_owner new_user old_owner old_user");

    // Who finds out now that it should have been a rename is told the way back.
    moved(&workspace, &[DATABASE]);
    let plan = workspace.run(&["plan"]).exits(0).flat().says("are both ours by now");
    plan.says(&format!("let postgres.database.{}new_db go with --allow-destroy", workspace.prefix));
    moved(&workspace, &[]);
    cafe(&workspace, "old_db", "");
    let back = ["apply", "--auto-approve", "--allow-destroy", "postgres.*.@new_*", "--allow-interrupt", "all"];
    workspace.run(&back).exits(0);
    assert_eq!(roles(&workspace), "old_owner old_user");
    cafe(&workspace, "new_db", "");
    moved(&workspace, &[DATABASE]);
    workspace.converge();
    has_its_data(&workspace, "@cafe");
}

#[test]
fn an_app_is_renamed_before_another_one_is_made_of_its_new_name() {
    let workspace = living();
    let shop =
        |app: &str| workspace.spec("cafe", &format!("app = \"@{app}\"\n[services.postgres]\ndatabase = \"@{app}\"\n"));
    shop("bistro");
    workspace.run(&["plan"]).exits(0).says("did you mean a rename of the app?");
    moved(&workspace, &[("app.@cafe", "app.@bistro")]);
    workspace.converge();
    assert_eq!(roles(&workspace), "bistro_owner bistro_user");
    has_its_data(&workspace, "@bistro");

    // One that is new is made while the other one waits for consent.
    moved(&workspace, &[]);
    shop("grill");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("did you mean a rename of the app?");
    works(&url(&workspace, "@grill"), "SELECT 1");
    has_its_data(&workspace, "@bistro");
    workspace.run(&["plan"]).exits(0).hides("did you mean");
    moved(&workspace, &[("app.@bistro", "app.@grill")]);
    // Too late to be a rename: both keep what they have.
    let refused = workspace.run(&["apply", "--auto-approve"]).exits(1);
    refused.complains("are both there by now").complains("nornplan.toml:").complains("let what is");
    works(&url(&workspace, "@grill"), "SELECT 1");
    has_its_data(&workspace, "@bistro");
}

#[test]
fn a_former_name_that_nothing_has_is_told() {
    let workspace = Workspace::new();
    let spec = "app = \"@cafe\"\n[services.postgres]\n[services.kv]\nuser = \"@kv\"\n[services.events]\nuser = \"@mq\"\n\
        topics = [\"@orders\"]\n";
    workspace.spec("cafe", spec);
    let names = [
        ("valkey.user.@kw", "valkey.user.@kv"),
        ("kafka.user.@mp", "kafka.user.@mq"),
        ("kafka.topic.@order", "kafka.topic.@orders"),
        ("app.@cage", "app.@cafe"),
    ];
    moved(&workspace, &names);
    let mut plan = workspace.run(&["plan"]).exits(0).flat();
    for (from, to) in names.map(|(from, to)| (from.replace('@', &workspace.prefix), to.replace('@', &workspace.prefix)))
    {
        plan = plan.says(&format!("the state has no {from}, so nothing is renamed to {to}"));
    }
    // Said once: another environment may come, and here all is done.
    workspace.converge().says("the state has no");
    workspace.run(&["plan"]).exits(0).hides("the state has no");
}
