//! A living database is adopted by the command, in one apply.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres, postgres_at};
use common::service;

const ALL: [&str; 4] = ["apply", "--auto-approve", "--allow-interrupt", "all"];

/// A database `@k` with a table in it that belongs to `@m`, all made by hand.
fn living() -> Workspace {
    let workspace = Workspace::new();
    let by_hand = |database: &str, statements: &str| {
        let [database, statements] = [database, statements].map(|text| text.replace('@', &workspace.prefix));
        postgres(&database, &statements);
    };
    by_hand("postgres", "CREATE ROLE @m LOGIN PASSWORD 'old'; CREATE DATABASE @k OWNER @m");
    by_hand("@k", "CREATE TABLE public.t (x int); ALTER TABLE public.t OWNER TO @m");
    workspace
}

fn declare(workspace: &Workspace, app: &str, rest: &str) {
    let spec = format!("app = \"@{app}\"\n[services.postgres]\n{rest}\n");
    workspace.spec(app, &spec);
}

/// What `@m` can do, with the password that it always had.
fn as_former_owner(workspace: &Workspace, statements: &str) -> Result<(), sqlx::Error> {
    let (host, port) = (service("NORNPLAN_POSTGRES_HOST"), service("NORNPLAN_POSTGRES_PORT"));
    let prefix = &workspace.prefix;
    postgres_at(&format!("postgres://{prefix}m:old@{host}:{port}/{prefix}k"), statements)
}

/// Ends the workspace, and what was made by hand.
fn end(workspace: Workspace) {
    let drop = format!("DROP OWNED BY {0}m; DROP ROLE {0}m", workspace.prefix);
    std::mem::drop(workspace);
    postgres("postgres", &drop);
}

#[test]
fn one_apply_adopts_the_database_of_its_migrator() {
    let workspace = living();
    declare(&workspace, "a", "user = \"@a_user\"\nowner = \"@a_owner\"\ndatabase = \"@k\"\nmigrator = \"@m\"");
    let told = format!("{}m, who owns it now, keeps what the infraspec gives it", workspace.prefix);
    workspace.run(&["plan"]).exits(0).says(&told);
    let with = format!("done with postgres.database.{}k", workspace.prefix);
    let applied = workspace.run(&ALL).exits(0).says(&with);
    assert_eq!(applied.last_line(), "Apply complete: 4 created, 2 updated, 0 destroyed.");
    as_former_owner(&workspace, "CREATE TABLE public.made (); SELECT * FROM t").expect("it makes objects");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    end(workspace);
}

#[test]
fn a_password_that_an_app_uses_is_left_alone_if_the_infraspec_says_so() {
    let workspace = living();
    let app = "user = \"@m\"\nowner = \"@a_owner\"\ndatabase = \"@k\"\n";
    declare(&workspace, "a", app);
    let warning = "the password that the app uses now stops working for new sessions";
    workspace.run(&["plan"]).exits(0).says(warning).says("credential = \"keep\"");
    declare(&workspace, "a", &format!("{app}credential = \"keep\""));
    workspace.run(&["plan"]).exits(0).hides(warning).hides("rotate");
    workspace.run(&ALL).exits(0);
    as_former_owner(&workspace, "INSERT INTO t VALUES (1)").expect("the password is the same");
    // Said otherwise later, the warning comes true.
    declare(&workspace, "a", app);
    workspace.run(&["plan"]).exits(0).says(warning);
    workspace.run(&ALL).exits(0);
    as_former_owner(&workspace, "SELECT 1").expect_err("there is a new password");
    std::mem::drop(workspace);
}

#[test]
fn consent_to_the_database_alone_is_enough_for_its_former_owner_to_read_on() {
    let workspace = living();
    let rest = "user = \"@a_user\"\nowner = \"@a_owner\"\ndatabase = \"@k\"\nadopt_objects = true\n\
        grants = [{ role = \"@m\", access = \"readonly\" }]";
    declare(&workspace, "a", rest);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@k"]).exits(0);
    as_former_owner(&workspace, "SELECT * FROM t").expect("it reads");
    as_former_owner(&workspace, "DELETE FROM t").expect_err("it does not write");
    workspace.converge();
    end(workspace);
}

#[test]
fn a_role_that_somebody_made_beforehand_does_not_get_into_the_apps_new_database() {
    let workspace = Workspace::new();
    let prefix = &workspace.prefix;
    postgres("postgres", &format!("CREATE ROLE {prefix}pay_user LOGIN PASSWORD 'old'"));
    let (host, port) = (service("NORNPLAN_POSTGRES_HOST"), service("NORNPLAN_POSTGRES_PORT"));
    let enters = || {
        postgres_at(&format!("postgres://{prefix}pay_user:old@{host}:{port}/{prefix}pay"), "SELECT 1")
            .map_err(|error| error.to_string())
    };
    workspace.spec("pay", "app = \"@pay\"\n[services.postgres]\ndatabase = \"@pay\"\nuser = \"@pay_user\"\n");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says(&format!("postgres.database.{prefix}pay"));
    let refused = enters().expect_err("whoever made the role has no right there");
    assert!(refused.contains("permission denied for database"), "{refused}");
    let consent = "postgres.role.@pay_user";
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", consent]).exits(0);
    let refused = enters().expect_err("there is a new password");
    assert!(refused.contains("password authentication failed"), "{refused}");
    postgres_at(&workspace.published("@pay", "DATABASE_URL"), "SELECT 1").expect("the app gets in");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
