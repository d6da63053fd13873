//! What is renamed is what was planned on, and what is ours: nothing of a stranger's, and no login whose password would go.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres, postgres_value, valkey, valkey_at, value_at, works};

fn cafe(workspace: &Workspace, database: &str, more: &str) {
    workspace.spec("cafe", &format!("app = \"@cafe\"\n[services.postgres]\ndatabase = \"@{database}\"\n{more}"));
}

fn moved(workspace: &Workspace, moves: &[(&str, &str)]) {
    let entries: Vec<String> =
        moves.iter().map(|(from, to)| format!("  {{ from = \"{from}\", to = \"{to}\" }},\n")).collect();
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\nmoved = [\n{}]\n", entries.concat()));
}

/// The roles have the names of the database.
const DATABASE: [(&str, &str); 1] = [("postgres.database.@old_db", "postgres.database.@new_db")];

fn there(workspace: &Workspace, table: &str, name: &str) -> Option<String> {
    let name = format!("{}{name}", workspace.prefix);
    let column = if table == "pg_database" { "datname" } else { "rolname" };
    postgres_value("postgres", &format!("SELECT oid::text FROM {table} WHERE {column} = '{name}'"))
}

fn url(workspace: &Workspace) -> String {
    workspace.published("@cafe", "DATABASE_URL")
}

#[test]
fn roles_that_are_called_by_the_database_are_renamed_with_it() {
    let workspace = Workspace::new();
    cafe(&workspace, "old_db", "");
    workspace.converge();
    let before = url(&workspace);
    works(&before, "CREATE TABLE orders (what text); INSERT INTO orders VALUES ('tea')");
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    workspace.run(&["plan"]).exits(0).says("Plan: 0 to create, 1 to update, 0 to destroy, 3 to rename.");
    // The database has its new name when the run ends, and the roles follow in the next one.
    let killed = workspace
        .command(&["apply", "--auto-approve"])
        .env("NORNPLAN_FAILPOINT", "abort:1:before batch rename postgres.role rename")
        .output()
        .expect("nornplan runs");
    assert!(!killed.status.success() && there(&workspace, "pg_database", "new_db").is_some());
    workspace.run(&["plan"]).exits(0).says("Plan: 0 to create, 1 to update, 0 to destroy, 2 to rename.");
    workspace.converge();
    assert_eq!(url(&workspace), before.replace("old_user", "new_user").replace("old_db", "new_db"));
    assert_eq!(value_at(&url(&workspace), "SELECT what FROM orders").as_deref(), Some("tea"));
    // Roles with names of their own keep them.
    cafe(&workspace, "late_db", "user = \"@new_user\"\nowner = \"@new_owner\"\n");
    moved(&workspace, &[("postgres.database.@new_db", "postgres.database.@late_db")]);
    workspace.run(&["plan"]).exits(0).says("Plan: 0 to create, 1 to update, 0 to destroy, 1 to rename.");
    workspace.converge();
}

#[test]
fn a_strangers_database_under_the_new_name_is_not_taken_for_the_one_that_is_gone() {
    let workspace = Workspace::new();
    cafe(&workspace, "old_db", "");
    workspace.among_others(3);
    workspace.converge();
    let prefix = &workspace.prefix;
    postgres("postgres", &format!("DROP DATABASE {prefix}old_db"));
    postgres("postgres", &format!("CREATE ROLE {prefix}stranger"));
    postgres("postgres", &format!("CREATE DATABASE {prefix}new_db OWNER {prefix}stranger"));
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    let plan = workspace.run(&["plan"]).exits(0).flat().hides("drifted");
    plan.says("no run of ours has renamed it").says(&format!("--allow-interrupt postgres.database.{prefix}new_db"));
    workspace.run(&["apply", "--auto-approve"]);
    let owner = format!("SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = '{prefix}new_db'");
    assert_eq!(postgres_value("postgres", &owner), Some(format!("{prefix}stranger")));
    postgres("postgres", &format!("DROP DATABASE {prefix}new_db; "));
    postgres("postgres", &format!("DROP ROLE {prefix}stranger"));
    workspace.converge();
}

#[test]
fn what_was_made_anew_since_it_was_planned_is_not_renamed() {
    let workspace = Workspace::new();
    cafe(&workspace, "old_db", "");
    workspace.converge();
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    workspace.run(&["plan", "--out", "saved.json"]).exits(0);
    let prefix = &workspace.prefix;
    postgres("postgres", &format!("DROP DATABASE {prefix}old_db"));
    postgres("postgres", &format!("CREATE DATABASE {prefix}old_db OWNER {prefix}old_owner"));
    workspace.run(&["apply", "saved.json"]).exits(1).complains("old_db was dropped and made anew since it was planned");
    assert!(there(&workspace, "pg_database", "old_db").is_some());
    assert!(
        there(&workspace, "pg_database", "new_db").is_none() && there(&workspace, "pg_roles", "new_user").is_none()
    );

    // A role, too.
    workspace.run(&["plan", "--out", "saved.json"]).exits(0);
    let anew = "ALTER ROLE @old_user RENAME TO @kept; CREATE ROLE @old_user LOGIN".replace('@', prefix);
    postgres("postgres", &anew);
    workspace.run(&["apply", "saved.json"]).exits(1).complains("old_user was dropped and made anew");
    assert!(there(&workspace, "pg_roles", "new_user").is_none());
    postgres("postgres", &"DROP ROLE @old_user; ALTER ROLE @kept RENAME TO @old_user".replace('@', prefix));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

/// Gives a role a password of the kind MD5.
fn set_md5(workspace: &Workspace, role: &str, password: &str) {
    let statement =
        format!("SET password_encryption = 'md5'; ALTER ROLE {}{role} PASSWORD '{password}'", workspace.prefix);
    postgres("postgres", &statement);
}

fn stored(workspace: &Workspace, role: &str) -> Option<String> {
    let role = format!("{}{role}", workspace.prefix);
    postgres_value("postgres", &format!("SELECT left(rolpassword, 5) FROM pg_authid WHERE rolname = '{role}'"))
}

#[test]
fn a_password_that_would_go_with_the_name_is_set_anew_or_keeps_the_name() {
    let workspace = Workspace::new();
    cafe(&workspace, "old_db", "credential = \"keep\"\n");
    workspace.converge();
    set_md5(&workspace, "old_user", "of-people");
    cafe(&workspace, "new_db", "credential = \"keep\"\n");
    moved(&workspace, &DATABASE);
    workspace
        .run(&["plan", "--out", "saved.json"])
        .exits(0)
        .flat()
        .says("which the server throws away")
        .says("BLOCKED");
    workspace.run(&["apply", "--auto-approve"]);
    assert!(stored(&workspace, "old_user").is_some_and(|stored| stored.starts_with("md5")));
    postgres("postgres", &format!("ALTER ROLE {}old_user PASSWORD 'of-people'", workspace.prefix));
    workspace.run(&["plan", "--out", "saved.json"]).exits(0).hides("MD5");
    // It becomes one that would go after the plan.
    set_md5(&workspace, "old_user", "of-people");
    workspace
        .run(&["apply", "saved.json"])
        .exits(1)
        .complains("nornplan does not know it")
        .complains("nothing was renamed");
    assert!(stored(&workspace, "old_user").is_some_and(|stored| stored.starts_with("md5")));
    postgres("postgres", &format!("ALTER ROLE {}old_user PASSWORD 'of-people'", workspace.prefix));
    workspace.converge();
    assert_eq!(stored(&workspace, "new_user").as_deref(), Some("SCRAM"));

    let workspace = Workspace::new();
    cafe(&workspace, "old_db", "");
    workspace.converge();
    let before = url(&workspace);
    let password = url::Url::parse(&before).expect("a URL").password().expect("a password").to_owned();
    set_md5(&workspace, "old_user", &password);
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    workspace.run(&["plan"]).exits(0).flat().says("which is set anew as SCRAM with the name");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(stored(&workspace, "new_user").as_deref(), Some("SCRAM"));
    let now = before.replace("old_user", "new_user").replace("old_db", "new_db");
    works(&now, "SELECT 1");
    // The state knows what is stored now, so that no later plan has to try the password.
    let role = format!("{}new_user", workspace.prefix);
    let digest = "SELECT encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex') FROM pg_authid WHERE rolname = ";
    let digest = postgres_value("postgres", &format!("{digest}'{role}'")).expect("a password");
    assert!(workspace.read("state/default.json").contains(&digest), "not the fingerprint of what is stored");
    workspace.converge();
    assert_eq!(url(&workspace), now);
}

#[test]
fn a_lesser_administrator_renames_what_it_made() {
    let mut workspace = Workspace::new();
    let admin = format!("{}zz_admin", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'"));
    workspace.set("NORNPLAN_POSTGRES_USER", &admin);
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
    cafe(&workspace, "old_db", "");
    workspace.converge();
    let before = url(&workspace);
    // It may not look at stored passwords: the published one works, so it is set anew with the name.
    let password = url::Url::parse(&before).expect("a URL").password().expect("a password").to_owned();
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    workspace.run(&["plan"]).exits(0).says("3 to rename").hides(&password);
    workspace.converge();
    works(&url(&workspace), "SELECT 1");
    assert_eq!(url(&workspace), before.replace("old_user", "new_user").replace("old_db", "new_db"));
    let everything = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    workspace.run(&everything).exits(0);
    postgres("postgres", &format!("DROP ROLE {admin}"));
}

/// From 16 on it renames only roles that it has ADMIN OPTION on.
#[test]
fn a_lesser_administrator_is_told_before_it_renames_what_it_may_not() {
    let version = postgres_value("postgres", "SELECT current_setting('server_version_num')").expect("a version");
    if version.parse::<u32>().expect("a number") < 160_000 {
        return;
    }
    let mut workspace = Workspace::new();
    let admin = format!("{}zz_admin", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'"));
    workspace.set("NORNPLAN_POSTGRES_USER", &admin);
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "lesser");
    cafe(&workspace, "old_db", "");
    workspace.converge();
    for role in ["old_user", "old_owner"] {
        postgres("postgres", &format!("REVOKE {}{role} FROM {admin} CASCADE", workspace.prefix));
    }
    cafe(&workspace, "new_db", "");
    moved(&workspace, &DATABASE);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let prefix = &workspace.prefix;
    for role in ["old_user", "old_owner"] {
        let advice = format!("GRANT \"{prefix}{role}\" TO \"{admin}\" WITH ADMIN OPTION");
        assert!(plan.stdout.contains(&advice), "{advice} in {}", plan.stdout);
        postgres("postgres", &advice);
    }
    workspace.converge();
    assert!(
        there(&workspace, "pg_database", "new_db").is_some() && there(&workspace, "pg_roles", "new_user").is_some()
    );
    let everything = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    workspace.run(&everything).exits(0);
    postgres("postgres", &format!("DROP ROLE {admin}"));
}

#[test]
fn a_user_of_valkey_whose_password_is_not_ours_goes_with_consent_alone() {
    let workspace = Workspace::new();
    let spec = |user: &str| {
        let text = format!(
            "app = \"@cafe\"\n[services.kv]\nnamespace = \"@cafe\"\nuser = \"@{user}\"\ncredential = \"keep\"\n"
        );
        workspace.spec("cafe", &text);
    };
    workspace.among_others(5);
    spec("old");
    workspace.converge();
    let old = format!("{}old", workspace.prefix);
    valkey(&["ACL", "SETUSER", &old, ">of-people"]).expect("a password");
    let mut of_people = url::Url::parse(&workspace.published("@kv0", "VALKEY_URL")).expect("a URL");
    of_people.set_username(&old).expect("a user");
    of_people.set_password(Some("of-people")).expect("a password");
    let key = format!("{}cafe:k", workspace.prefix);
    let signs_in = || valkey_at(of_people.as_str(), &["GET", &key]).is_ok();
    assert!(signs_in());
    spec("new");
    workspace.run(&["plan"]).exits(0).hides("did you mean");
    moved(&workspace, &[("valkey.user.@old", "valkey.user.@new")]);
    let plan = workspace.run(&["plan"]).exits(0).flat().hides("rename from");
    plan.says("whose password nornplan does not know").says(&format!("--allow-destroy valkey.user.{old}"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    assert!(signs_in());
    // Nor is one that somebody has given another password.
    workspace.spec("kv1", "app = \"@kv1\"\n[services.kv]\nnamespace = \"@kv1\"\nuser = \"@kvnew\"\n");
    let other = format!("{}kv1", workspace.prefix);
    valkey(&["ACL", "SETUSER", &other, "resetpass", ">of-people"]).expect("a password");
    moved(&workspace, &[("valkey.user.@kv1", "valkey.user.@kvnew")]);
    workspace.run(&["plan"]).exits(0).hides("rename from").says(&format!("--allow-destroy valkey.user.{other}"));
}

#[test]
fn nothing_stays_published_for_an_app_under_its_former_name() {
    let workspace = Workspace::new();
    let spec = |app: &str, publish: &str| {
        let text = format!(
            "app = \"@{app}\"\n[services.postgres]\n[services.kv]\nnamespace = \"@shop\"\n[publish]\n{publish}"
        );
        workspace.spec("shop", &text);
    };
    spec("shop", "OLD_PASSWORD = \"{pg.password}\"\n");
    workspace.converge();
    spec("store", "");
    moved(&workspace, &[("app.@shop", "app.@store")]);
    // Narrowed to the app under its new name: the former one is no neighbour whose namespace is taken.
    let apply = ["apply", "--auto-approve", "--allow-interrupt", "all", "--app", "@store"];
    workspace.run(&apply).exits(0);
    assert!(!workspace.path(format!("secrets/{}shop.env", workspace.prefix)).exists());
    assert!(!workspace.secrets("@store").contains("OLD_PASSWORD"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
