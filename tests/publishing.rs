//! What is published works: a value that names what is not there keeps its former form, whatever stands in the way.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres, postgres_at, postgres_value, valkey_at};

/// An app on one database, running.
fn running() -> Workspace {
    let workspace = Workspace::new();
    declare(&workspace, "database = \"@k\"");
    workspace.converge();
    workspace
}

fn declare(workspace: &Workspace, database: &str) {
    let spec = format!(
        "app = \"@a\"\n[services.postgres]\nuser = \"@a_user\"\nowner = \"@a_owner\"\n{database}\n[services.kv]\n\
         [publish]\nDB = \"{{pg.database}}\"\n"
    );
    workspace.spec("a", &spec);
}

/// The app signs in with what is published, and is where it should be.
#[track_caller]
fn works(workspace: &Workspace, variable: &str, database: &str) {
    let (url, database) = (workspace.published("@a", variable), database.replace('@', &workspace.prefix));
    let made = "CREATE TABLE IF NOT EXISTS t (x int); INSERT INTO t VALUES (1)";
    postgres_at(&url, made).unwrap_or_else(|error| panic!("{variable}: {error}"));
    assert_eq!(common::servers::value_at(&url, "SELECT current_database()::text"), Some(database));
    valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]).expect("Valkey answers");
}

#[test]
fn nobody_is_sent_to_a_database_that_is_blocked() {
    let workspace = running();
    declare(&workspace, "database = { name = \"@k2\", extensions = [\"no_such_thing\"] }");
    let plan = workspace.run(&["plan"]).exits(0).says("BLOCKED");
    plan.says("published as before until this is done: DATABASE_URL, DB").hides("secret.");
    let before = workspace.secrets("@a");
    workspace.run(&["apply", "--auto-approve"]).exits(1);
    assert_eq!(workspace.secrets("@a"), before);
    works(&workspace, "DATABASE_URL", "@k");
    assert_eq!(workspace.published("@a", "DB"), format!("{}k", workspace.prefix));

    // New passwords are published all the same.
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(1).says("rotated");
    for variable in ["DATABASE_URL", "VALKEY_URL"] {
        let value = workspace.published("@a", variable);
        assert!(!before.contains(&value), "{variable} is not new");
    }
    works(&workspace, "DATABASE_URL", "@k");

    declare(&workspace, "database = \"@k2\"");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    works(&workspace, "DATABASE_URL", "@k2");
    assert_eq!(workspace.published("@a", "DB"), format!("{}k2", workspace.prefix));
}

#[test]
fn nobody_is_sent_to_an_empty_database_while_there_is_something_in_the_former_one() {
    let workspace = running();
    declare(&workspace, "database = \"@k2\"");
    // Nothing is in it yet.
    workspace.run(&["plan"]).exits(0).says("new value").hides("it is made empty");
    works(&workspace, "DATABASE_URL", "@k");
    let plan = workspace.run(&["plan"]).exits(0).says("the app starts empty").says("in 1 table");
    let plan = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plan.contains(&format!("needs --allow-interrupt postgres.database.{}k2", workspace.prefix)), "{plan}");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    for _ in 1..=2 {
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).says("held");
        works(&workspace, "DATABASE_URL", "@k");
        assert_eq!(workspace.published("@a", "DB"), format!("{}k", workspace.prefix));
    }

    // As the plan says it: what was there comes along.
    let file = workspace.run(&["snapshot", "@a"]).exits(0).stdout.trim().to_owned();
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@k2"]).exits(0);
    workspace.run(&["restore", "@a", &file, "--database", "@k2", "--auto-approve"]).exits(0);
    works(&workspace, "DATABASE_URL", "@k2");
    let rows = common::servers::value_at(&workspace.published("@a", "DATABASE_URL"), "SELECT count(*)::text FROM t");
    assert!(rows.is_some_and(|rows| rows != "1"));
    workspace.run(&["plan"]).exits(0).says("Plan: 0 to create, 0 to update, 0 to destroy.");
}

#[test]
fn a_second_database_is_published_when_it_is_there() {
    let workspace = running();
    let variable = format!("DATABASE_URL_{}K2", workspace.prefix.to_uppercase());
    for second in ["extensions = [\"no_such_thing\"]", "locale = \"xx_YY\""] {
        declare(&workspace, &format!("databases = [\"@k\", {{ name = \"@k2\", {second} }}]"));
        workspace.run(&["apply", "--auto-approve"]).exits(1);
        assert!(!workspace.secrets("@a").contains(&variable), "{second}");
        works(&workspace, "DATABASE_URL", "@k");
    }
    declare(&workspace, "databases = [\"@k\", \"@k2\"]");
    workspace.converge();
    works(&workspace, &variable, "@k2");
}

#[test]
fn a_database_that_cannot_be_made_changes_nothing_for_the_app() {
    let workspace = running();
    let before = workspace.secrets("@a");
    declare(&workspace, "database = { name = \"@k2\", locale = \"xx_YY\" }");
    let apply = ["apply", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&apply).exits(1).says("because of postgres.database.");
    assert_eq!(workspace.secrets("@a"), before);
    works(&workspace, "DATABASE_URL", "@k");
    // A new password would not be published, so it is not set.
    workspace
        .run(&["rotate", "@a", "--auto-approve", "--allow-interrupt", "all"])
        .exits(1)
        .says("because of postgres.database.");
    assert_eq!(workspace.secrets("@a"), before);
    works(&workspace, "DATABASE_URL", "@k");
    declare(&workspace, "database = \"@k2\"");
    workspace.run(&apply).exits(0);
    works(&workspace, "DATABASE_URL", "@k2");
}

#[test]
fn what_has_no_database_yet_has_its_other_credentials() {
    let workspace = Workspace::new();
    declare(&workspace, "database = { name = \"@k\", extensions = [\"no_such_thing\"] }");
    workspace.run(&["apply", "--auto-approve"]).exits(1);
    assert!(!workspace.secrets("@a").contains("DATABASE_URL") && !workspace.secrets("@a").contains("DB="));
    valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]).expect("Valkey answers");
    declare(&workspace, "database = \"@k\"");
    workspace.converge();
    works(&workspace, "DATABASE_URL", "@k");
}

#[test]
fn a_login_whose_grant_waits_is_neither_made_nor_published() {
    let workspace = Workspace::new();
    let (owner, database) = (format!("{}old", workspace.prefix), format!("{}k", workspace.prefix));
    postgres("postgres", &format!("CREATE ROLE {owner}; CREATE DATABASE {database} OWNER {owner}"));
    declare(&workspace, "database = \"@k\"");
    let plan = workspace.run(&["plan"]).exits(0).says("not published until this is done: DATABASE_URL, DB");
    plan.says("held: waits for postgres.grant.");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert!(!workspace.secrets("@a").contains("DATABASE_URL"));
    let there = format!("SELECT count(*)::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    assert_eq!(postgres_value("postgres", &there).as_deref(), Some("0"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    works(&workspace, "DATABASE_URL", "@k");
    drop(workspace);
    postgres("postgres", &format!("DROP ROLE {owner}"));
}

#[test]
fn a_role_that_could_not_sign_in_gets_a_password() {
    let workspace = Workspace::new();
    postgres("postgres", &format!("CREATE ROLE {}a_user NOLOGIN", workspace.prefix));
    declare(&workspace, "database = \"@k\"");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    works(&workspace, "DATABASE_URL", "@k");
    workspace.converge();
}
