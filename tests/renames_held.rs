//! What gets another name is told to its app: a login keeps its name as long as what is published names it, and what is
//! published and is let in nowhere is drift.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::held::Session;
use common::servers::{postgres, postgres_value, works};

fn cafe(workspace: &Workspace, lines: &str) {
    workspace.spec("cafe", &format!("app = \"@cafe\"\n[services.postgres]\n{lines}\n"));
}

fn moved(workspace: &Workspace, moves: &[(&str, &str)]) {
    let entries: Vec<String> =
        moves.iter().map(|(from, to)| format!("  {{ from = \"{from}\", to = \"{to}\" }},\n")).collect();
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\nmoved = [\n{}]\n", entries.concat()));
}

const ROLES: [(&str, &str); 2] =
    [("postgres.role.@old_user", "postgres.role.@new_user"), ("postgres.role.@old_owner", "postgres.role.@new_owner")];
const NEW_ROLES: &str = "user = \"@new_user\"\nowner = \"@new_owner\"\n";

fn url(workspace: &Workspace) -> String {
    workspace.published("@cafe", "DATABASE_URL")
}

fn has_role(workspace: &Workspace, role: &str) -> bool {
    let query = format!("SELECT 'yes' FROM pg_roles WHERE rolname = '{}{role}'", workspace.prefix);
    postgres_value("postgres", &query).is_some()
}

#[test]
fn a_login_keeps_its_name_as_long_as_the_value_that_names_it() {
    let workspace = Workspace::new();
    cafe(&workspace, "database = \"@old_db\"");
    workspace.converge();
    let before = url(&workspace);
    // The new database cannot be made, so that the app is told nothing new.
    cafe(&workspace, &format!("database = {{ name = \"@other\", extensions = [\"no_such_thing\"] }}\n{NEW_ROLES}"));
    moved(&workspace, &ROLES);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says("held: waits for postgres.database.").says("published as before until this is done: DATABASE_URL");
    workspace.run(&["apply", "--auto-approve"]).exits(1);
    assert_eq!(url(&workspace), before);
    works(&before, "SELECT 1");
    assert!(has_role(&workspace, "old_user") && !has_role(&workspace, "new_user"));
    // The roles alone get their names at once, and the app is told.
    cafe(&workspace, &format!("database = \"@old_db\"\n{NEW_ROLES}"));
    workspace.converge();
    assert_eq!(url(&workspace), before.replace("old_user", "new_user"));
    works(&url(&workspace), "SELECT 1");
}

#[test]
fn the_variable_of_a_database_stays_as_long_as_its_name() {
    let workspace = Workspace::new();
    cafe(&workspace, "databases = [\"@k1\", \"@k2\"]");
    workspace.converge();
    let variable = |name: &str| format!("DATABASE_URL_{}{name}", workspace.prefix.to_uppercase());
    let before = workspace.published("@cafe", &variable("K2"));
    // Both are there, so that nothing is renamed.
    postgres("postgres", &format!("CREATE DATABASE {}k3", workspace.prefix));
    cafe(&workspace, "databases = [\"@k1\", \"@k3\"]");
    moved(&workspace, &[("postgres.database.@k2", "postgres.database.@k3")]);
    workspace.run(&["plan"]).exits(0).flat().says("published as before until this is done: DATABASE_URL_");
    workspace.run(&["apply", "--auto-approve"]).exits(1);
    assert_eq!(workspace.published("@cafe", &variable("K2")), before);
    works(&before, "SELECT 1");
    postgres("postgres", &format!("DROP DATABASE {}k3", workspace.prefix));
    workspace.converge();
    assert_eq!(workspace.published("@cafe", &variable("K3")), before.replace("k2", "k3"));
    assert!(!workspace.secrets("@cafe").contains(&variable("K2")));
}

/// Runs an apply that meets a failpoint.
fn struck(workspace: &Workspace, point: &str) -> common::Ran {
    let mut command = workspace.command(&["apply", "--auto-approve"]);
    common::Ran::of(command.env("NORNPLAN_FAILPOINT", point).output().expect("nornplan runs"))
}

#[test]
fn a_published_url_that_is_let_in_nowhere_is_drift() {
    let workspace = Workspace::new();
    cafe(&workspace, "database = \"@old_db\"");
    workspace.converge();
    workspace.run(&["drift"]).exits(0);
    // It has signed in as the app, and a server lists a session for a moment after its end.
    let sessions = format!("pg_stat_activity WHERE usename = '{}old_user'", workspace.prefix);
    Session::of_admin().until(&format!("SELECT (count(*) = 0)::int::bigint FROM {sessions}"));
    cafe(&workspace, &format!("database = \"@old_db\"\n{NEW_ROLES}"));
    moved(&workspace, &ROLES);
    // Renamed by a run that did not get to publish it.
    let ran = struck(&workspace, "error:1:before write .env").exits(1).flat();
    ran.says("DATABASE_URL of ").says("does not sign in until it is published again: PostgreSQL has a new name.");
    assert!(has_role(&workspace, "new_user") && url(&workspace).contains("old_user"));
    let told =
        format!("not by DATABASE_URL: there is no role {}old_user, or it has another password", workspace.prefix);
    workspace.run(&["drift"]).exits(2).flat().says(&told);
    workspace.converge();
    workspace.run(&["drift"]).exits(0);
    works(&url(&workspace), "SELECT 1");
    // So is one whose database takes nobody.
    let allow = |how| format!("ALTER DATABASE {}old_db ALLOW_CONNECTIONS {how}", workspace.prefix);
    postgres("postgres", &allow("false"));
    workspace.run(&["drift", "--shallow"]).exits(2);
    postgres("postgres", &allow("true"));
    workspace.run(&["drift"]).exits(0);
}

#[test]
fn a_password_that_is_set_and_not_published_is_told_with_the_values_that_need_it() {
    let workspace = Workspace::new();
    workspace.spec(
        "cafe",
        "app = \"@cafe\"\n[services.postgres]\n[services.kv]\n[publish]\nPG = \"{pg.user} {pg.password}\"\n",
    );
    workspace.converge();
    let mut command = workspace.command(&["rotate", "@cafe", "--auto-approve"]);
    let output = command.env("NORNPLAN_FAILPOINT", "error:1:before write .env").output().expect("nornplan runs");
    let ran = common::Ran::of(output).exits(1).flat();
    // Valkey takes the former password as well until the new one is published.
    ran.says("DATABASE_URL, PG of ").says("do not sign in until it is published again: PostgreSQL has a new password.");
    workspace.run(&["apply", "--auto-approve"]).exits(0).hides("not sign in");
    works(&url(&workspace), "SELECT 1");
    workspace.run(&["drift"]).exits(0);
}
