//! What an app was told to use works until it is told otherwise: it is neither taken nor closed while something else
//! that the app should use instead is held, blocked or fails, and nobody is told a password that is another login's.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{self, postgres, postgres_value, valkey_at, value_at};

const ALL: [&str; 6] = ["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"];

fn app(workspace: &Workspace, name: &str, lines: &str) {
    let spec = format!("app = \"@{name}\"\n[services.postgres]\nowner = \"@{name}_own\"\n{lines}\n");
    workspace.spec(name, &spec);
}

fn url(workspace: &Workspace, app: &str) -> String {
    workspace.published(&format!("@{app}"), "DATABASE_URL")
}

#[track_caller]
fn works(url: &str) {
    servers::works(url, "CREATE TABLE IF NOT EXISTS t (x int); INSERT INTO t VALUES (1)");
}

fn there(query: &str) -> bool {
    postgres_value("postgres", &format!("SELECT ({query})::text")).as_deref() == Some("1")
}

#[test]
fn a_login_made_by_hand_is_not_published_with_the_former_ones_password() {
    let workspace = Workspace::new();
    app(&workspace, "a", "database = \"@k\"\nuser = \"@one\"");
    workspace.among_others(8);
    workspace.converge();
    let hand = format!("{}two", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {hand} LOGIN PASSWORD 'byhand'"));
    app(&workspace, "a", "database = \"@k\"\nuser = \"@two\"");
    let told = "published as before until this is done: DATABASE_URL";
    workspace.run(&["plan"]).exits(0).says("credential unknown").says(told).hides("new value");
    for consent in [&[][..], &["--allow-destroy", "all"]] {
        workspace.run(&[&["apply", "--auto-approve"], consent].concat()).exits(0).says("held");
        works(&url(&workspace, "a"));
    }
    // Now it owns something, which is handed over with the same consent or not at all.
    let part = ["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@k"];
    workspace.run(&part).exits(0);
    works(&url(&workspace, "a"));
    workspace.run(&ALL).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert!(url(&workspace, "a").contains(&hand));
    works(&url(&workspace, "a"));
}

#[test]
fn who_goes_back_to_a_former_user_waits_for_its_password() {
    let workspace = Workspace::new();
    let user = |name: &str| app(&workspace, "a", &format!("database = \"@k\"\nuser = \"@{name}\""));
    user("one");
    workspace.among_others(8);
    workspace.converge();
    user("two");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    works(&url(&workspace, "a"));
    user("one");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    works(&url(&workspace, "a"));
    workspace.run(&ALL).exits(0);
    assert!(url(&workspace, "a").contains("one:"));
    works(&url(&workspace, "a"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_key_value_user_made_by_hand_is_not_published_with_the_former_ones_password() {
    let workspace = Workspace::new();
    let user = |name: &str| workspace.spec("a", &format!("app = \"@a\"\n[services.kv]\nuser = \"@{name}\"\n"));
    user("one");
    workspace.converge();
    user("two");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    let ping = || valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]);
    ping().expect("the new user answers");
    // The former user is there still, and its password is known to nobody.
    user("one");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    ping().expect("what is published answers");
    workspace.run(&ALL).exits(0);
    assert!(workspace.published("@a", "VALKEY_URL").contains("one:"));
    ping().expect("what is published answers");
}

#[test]
fn apps_that_swap_their_databases_lose_neither() {
    let workspace = Workspace::new();
    let databases = |a: &str, b: &str| {
        app(&workspace, "a", &format!("database = \"@{a}\"\nuser = \"@a_user\"\nadopt_objects = true"));
        app(&workspace, "b", &format!("database = \"@{b}\"\nuser = \"@b_user\"\nadopt_objects = true"));
    };
    databases("k1", "k2");
    workspace.among_others(8);
    workspace.converge();
    for name in ["a", "b"] {
        works(&url(&workspace, name));
    }
    databases("k2", "k1");
    for consent in [&[][..], &["--allow-destroy", "all"], &["--allow-interrupt", "postgres.database.@k1"]] {
        workspace.run(&[&["apply", "--auto-approve"], consent].concat()).exits(0).says("held");
        for name in ["a", "b"] {
            works(&url(&workspace, name));
        }
    }
    workspace.run(&ALL).exits(0);
    for (name, database) in [("a", "k2"), ("b", "k1")] {
        works(&url(&workspace, name));
        let is_in = value_at(&url(&workspace, name), "SELECT current_database()::text");
        assert_eq!(is_in, Some(format!("{}{database}", workspace.prefix)));
    }
}

#[test]
fn a_handover_of_several_databases_is_one() {
    let workspace = Workspace::new();
    let user = |name: &str| app(&workspace, "a", &format!("databases = [\"@k1\", \"@k2\"]\nuser = \"@{name}\""));
    user("one");
    workspace.among_others(8);
    workspace.converge();
    let second = format!("DATABASE_URL_{}K2", workspace.prefix.to_uppercase());
    let both = || {
        for variable in ["DATABASE_URL", &second] {
            works(&workspace.published("@a", variable));
        }
    };
    both();
    postgres("postgres", &format!("CREATE ROLE {}two LOGIN PASSWORD 'byhand'", workspace.prefix));
    user("two");
    for half in ["postgres.database.@k1", "postgres.database.@k2", "postgres.role.@two", "postgres.database.*"] {
        workspace.run(&["apply", "--auto-approve", "--allow-interrupt", half]).exits(0).says("held");
        assert!(url(&workspace, "a").contains("one:"), "{half}");
        both();
    }
    workspace.run(&ALL).exits(0);
    assert!(url(&workspace, "a").contains("two:"));
    both();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn the_secret_of_a_renamed_app_goes_after_its_logins() {
    let workspace = Workspace::new();
    let spec = |name: &str| {
        let postgres = "[services.postgres]\ndatabase = \"@k\"\nuser = \"@user\"\nowner = \"@own\"";
        workspace.spec("x", &format!("app = \"@{name}\"\n{postgres}\n"));
    };
    spec("old");
    workspace.among_others(8);
    workspace.converge();
    spec("new");
    for consent in ["secret.@old", "all"] {
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", consent]).exits(0).says("held");
        works(&url(&workspace, "old"));
    }
    workspace.run(&ALL).exits(0);
    works(&url(&workspace, "new"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_is_published_is_not_dropped_while_its_successor_is_held_or_fails() {
    let workspace = Workspace::new();
    let database = |name: &str| app(&workspace, "a", &format!("database = {name}\nuser = \"@user\""));
    database("\"@k\"");
    workspace.among_others(8);
    workspace.converge();
    works(&url(&workspace, "a"));
    let k_is_there = format!("SELECT count(*) FROM pg_database WHERE datname = '{}k'", workspace.prefix);

    // One that exists already is not ours yet.
    postgres("postgres", &format!("CREATE DATABASE {}held", workspace.prefix));
    database("\"@held\"");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).says("held");
    works(&url(&workspace, "a"));
    // This one cannot be made.
    database("{ name = \"@fails\", locale = \"xx_YY\" }");
    workspace.run(&ALL).exits(1).says("because of");
    assert!(there(&k_is_there));
    works(&url(&workspace, "a"));

    database("\"@held\"");
    workspace.run(&ALL).exits(0);
    assert!(!there(&k_is_there));
    works(&url(&workspace, "a"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_login_that_stays_is_not_published_with_its_successors_password() {
    let workspace = Workspace::new();
    app(&workspace, "a", "databases = [\"@k1\", \"@k2\"]\nuser = \"@one\"");
    workspace.among_others(8);
    workspace.converge();
    postgres("postgres", &format!("CREATE ROLE {}two LOGIN PASSWORD 'byhand'", workspace.prefix));
    app(&workspace, "a", "databases = [\"@k1\"]\nuser = \"@two\"");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0).says("held");
    works(&url(&workspace, "a"));
    let file = workspace.path(format!("secrets/{}a.env", workspace.prefix));
    let published = std::fs::read_to_string(file).expect("secrets");
    assert!(!published.contains("one:"), "the former login has a password that is another's");
    workspace.run(&ALL).exits(0);
    works(&url(&workspace, "a"));
}
