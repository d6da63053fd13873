//! What one app has until now and another declares from now on is taken over with consent only, and never with the old
//! password or the old access.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres_at, postgres_value, valkey_at, value_at, works};

fn app(workspace: &Workspace, name: &str, lines: &str) {
    workspace.spec(name, &format!("app = \"@{name}\"\n[services.postgres]\n{lines}\n"));
}

fn url(workspace: &Workspace, app: &str) -> String {
    workspace.published(&format!("@{app}"), "DATABASE_URL")
}

/// The same login in another database.
fn elsewhere(workspace: &Workspace, url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_path(&format!("{}{database}", workspace.prefix));
    url.to_string()
}

/// Whether something of an app was published.
fn publishes(workspace: &Workspace, app: &str, text: &str) -> bool {
    let file = workspace.path(format!("secrets/{}{app}.env", workspace.prefix));
    std::fs::read_to_string(file).unwrap_or_default().contains(&text.replace('@', &workspace.prefix))
}

#[track_caller]
fn fails(url: &str, statements: &str) -> String {
    match postgres_at(url, statements) {
        Ok(()) => panic!("{statements} works"),
        Err(error) => error.to_string(),
    }
}

/// Two apps with a table each, and enough others that destroying a few resources is not much.
fn two(one: &str, other: &str) -> Workspace {
    let workspace = Workspace::new();
    app(&workspace, one, "");
    app(&workspace, other, "");
    workspace.among_others(8);
    workspace.converge();
    for name in [one, other] {
        works(&url(&workspace, name), "CREATE TABLE t (x int); INSERT INTO t VALUES (1)");
    }
    workspace
}

#[test]
fn the_login_of_a_vanished_app_comes_with_consent_a_new_password_and_without_its_old_access() {
    let workspace = two("f", "o");
    let old = url(&workspace, "f");
    workspace.remove("specs/f.toml");
    app(&workspace, "g", "user = \"@f_user\"");
    let told = format!("it belongs to the app {0}f until now, and would be {0}g's", workspace.prefix);
    workspace.run(&["plan"]).exits(0).says(&told).says("HELD");
    for (arguments, exit) in [(&["apply", "--auto-approve"][..], 0), (&["apply", "--auto-approve", "--app", "@g"], 1)] {
        workspace.run(arguments).exits(exit);
        fails(&elsewhere(&workspace, &old, "g"), "SELECT 1");
        works(&old, "SELECT * FROM t");
        assert!(!publishes(&workspace, "g", "@f_user"));
    }
    workspace.run(&["plan", "--app", "@g", "--allow-interrupt", "all"]).exits(0).says("which this run leaves out");

    // As long as it may read the vanished app's database, nobody else gets it.
    let interrupt = ["apply", "--auto-approve", "--allow-interrupt", "postgres.role.@f_user"];
    workspace.run(&interrupt).exits(0).says("held");
    works(&old, "SELECT * FROM t");
    assert!(!publishes(&workspace, "g", "@f_user"));

    workspace.run(&[&interrupt[..], &["--allow-destroy", "postgres.grant.@f/@f_user"]].concat()).exits(0);
    let new = url(&workspace, "g");
    works(&new, "CREATE TABLE own (x int)");
    let why = fails(&elsewhere(&workspace, &new, "f"), "SELECT * FROM t");
    assert!(why.contains("permission denied"), "{why}");
    for database in ["f", "g"] {
        let why = fails(&elsewhere(&workspace, &old, database), "SELECT 1");
        assert!(why.contains("password authentication failed"), "{why}");
    }
    let left = workspace.run(&["plan"]).exits(0).hides("until now");
    assert_eq!(left.last_line(), "Plan: 0 to create, 0 to update, 0 to destroy.");
    // What the former app's tables belonged to cannot be dropped before them.
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}

#[test]
fn a_user_that_another_app_declares_leaves_neither_app_without_its_tables() {
    let workspace = two("a", "b");
    let (old_a, old_b) = (url(&workspace, "a"), url(&workspace, "b"));
    app(&workspace, "a", "user = \"@a2_user\"");
    app(&workspace, "b", "user = \"@a_user\"");
    let other = format!("the app {}b declares it, which this run leaves out", workspace.prefix);
    workspace.run(&["plan", "--app", "@a", "--allow-destroy", "all"]).exits(0).says(&other);
    workspace.run(&["plan", "--app", "@b", "--allow-interrupt", "all"]).exits(0).says("which this run leaves out");
    for (scope, exit) in [(&[][..], 0), (&["--app", "@b"], 1), (&["--app", "@a"], 1)] {
        workspace.run(&[&["apply", "--auto-approve"], scope].concat()).exits(exit);
        assert_eq!((url(&workspace, "a"), url(&workspace, "b")), (old_a.clone(), old_b.clone()), "{scope:?}");
        works(&old_a, "INSERT INTO t VALUES (2)");
        works(&old_b, "INSERT INTO t VALUES (2)");
        fails(&elsewhere(&workspace, &old_a, "b"), "SELECT 1");
    }
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    let (a, b) = (url(&workspace, "a"), url(&workspace, "b"));
    assert!(a.contains("a2_user:") && b.contains("a_user:"));
    for url in [&a, &b] {
        works(url, "INSERT INTO t VALUES (3); CREATE TABLE more (x int)");
    }
    fails(&old_a, "SELECT 1");
    fails(&elsewhere(&workspace, &old_a, "b"), "SELECT 1");
    fails(&elsewhere(&workspace, &b, "a"), "SELECT 1");
    assert_eq!(value_at(&b, "SELECT count(*)::text FROM t").as_deref(), Some("5"));
    let left = workspace.run(&["plan"]).exits(0);
    assert_eq!(left.last_line(), "Plan: 0 to create, 0 to update, 0 to destroy.");
}

#[test]
fn apps_that_swap_their_users_are_told_to_do_it_one_after_the_other() {
    let workspace = two("a", "b");
    let before = (url(&workspace, "a"), url(&workspace, "b"));
    app(&workspace, "a", "user = \"@b_user\"");
    app(&workspace, "b", "user = \"@a_user\"");
    workspace.run(&["plan", "--allow-interrupt", "all"]).exits(0).says("declare a new user for").says("BLOCKED");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"]).exits(1);
    assert_eq!((url(&workspace, "a"), url(&workspace, "b")), before);
    for url in [&before.0, &before.1] {
        works(url, "INSERT INTO t VALUES (2)");
    }
}

#[test]
fn the_database_of_a_vanished_app_comes_with_consent() {
    let workspace = two("f", "o");
    let old = url(&workspace, "f");
    workspace.remove("specs/f.toml");
    let spec = "database = \"@f\"\nuser = \"@h_user\"\nowner = \"@h_own\"\nadopt_objects = true";
    app(&workspace, "h", spec);
    let told = format!("it belongs to the app {0}f until now, and would be {0}h's", workspace.prefix);
    workspace.run(&["plan"]).exits(0).says(&told).says("needs --allow-interrupt postgres.database.");
    for (arguments, exit) in [(&["apply", "--auto-approve"][..], 0), (&["apply", "--auto-approve", "--app", "@h"], 1)] {
        workspace.run(arguments).exits(exit);
        works(&old, "INSERT INTO t VALUES (2)");
        assert!(!publishes(&workspace, "h", "@f"));
        let owner =
            format!("SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = '{}f'", workspace.prefix);
        assert!(!postgres_value("postgres", &owner).is_some_and(|owner| owner.ends_with("h_own")));
    }
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@f"]).exits(0);
    works(&url(&workspace, "h"), "INSERT INTO t VALUES (3)");
    assert_eq!(value_at(&url(&workspace, "h"), "SELECT count(*)::text FROM t").as_deref(), Some("4"));
}

#[test]
fn an_app_with_a_new_name_keeps_what_it_has_with_one_consent() {
    let workspace = Workspace::new();
    let spec = |name: &str| {
        let postgres = "[services.postgres]\ndatabase = \"@mail\"\nuser = \"@mail_user\"\nowner = \"@mail_owner\"";
        workspace.spec("mail", &format!("app = \"@{name}\"\n{postgres}\n"));
    };
    spec("mail");
    workspace.among_others(8);
    workspace.converge();
    let old = url(&workspace, "mail");
    works(&old, "CREATE TABLE t (x int)");
    spec("post");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    works(&old, "INSERT INTO t VALUES (1)");
    assert_eq!(url(&workspace, "mail"), old);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    works(&url(&workspace, "post"), "INSERT INTO t VALUES (2); CREATE TABLE more (x int)");
    fails(&old, "SELECT 1");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "secret.@mail"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn logins_of_the_other_services_come_with_consent_and_a_new_password() {
    let workspace = Workspace::new();
    let spec = |name: &str| {
        let events = "[services.events]\nuser = \"@f\"\ntopics = [\"@f.in\"]";
        let kv = "[services.kv]\nuser = \"@f\"\nnamespace = \"@f\"";
        workspace.spec("f", &format!("app = \"@{name}\"\n{kv}\n{events}\n"));
    };
    spec("f");
    workspace.among_others(4);
    workspace.converge();
    let old = workspace.published("@f", "VALKEY_URL");
    let key = format!("{}f:x", workspace.prefix);
    spec("g");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("until now");
    valkey_at(&old, &["SET", &key, "1"]).expect("the user is still the former app's");
    assert!(!publishes(&workspace, "g", "VALKEY_URL"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    valkey_at(&workspace.published("@g", "VALKEY_URL"), &["SET", &key, "2"]).expect("the user is the new app's");
    valkey_at(&old, &["SET", &key, "3"]).expect_err("the former app is out");
    let changed = |variable| {
        assert_ne!(workspace.published("@f", variable), workspace.published("@g", variable), "{variable}");
    };
    changed("KAFKA_PASSWORD");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "secret.@f"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
