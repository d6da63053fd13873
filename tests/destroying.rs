//! Nothing is destroyed by default: ownership, absence from the specs, and consent.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers;

const ALL: &str = "app = \"@a\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";

/// Four apps, so that one is less than a third of what is owned.
fn applied() -> Workspace {
    let workspace = Workspace::new();
    for name in ["a", "b", "c", "d"] {
        workspace.spec(name, &ALL.replace("@a", &format!("@{name}")));
    }
    workspace.converge();
    workspace
}

fn exists(database: &str) -> bool {
    servers::postgres_value("postgres", &format!("SELECT 'yes' FROM pg_database WHERE datname = '{database}'"))
        .is_some()
}

#[test]
fn an_app_whose_infraspec_vanished_is_held_whole_and_destroyed_with_consent() {
    let workspace = applied();
    let database = format!("{}d", workspace.prefix);
    servers::postgres_at(&workspace.published("@d", "DATABASE_URL"), "CREATE TABLE t (x int)").expect("a table");
    workspace.remove("specs/d.toml");
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("held: --allow-destroy");
    assert_eq!(plan.last_line(), "Plan: 0 to create, 0 to update, 0 to destroy.");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert!(exists(&database));
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@d*"]).exits(0);
    assert!(!exists(&database));
    assert!(!workspace.path(format!("secrets/{}d.env", workspace.prefix)).exists());
    assert_eq!(servers::partitions(&format!("{}d.t", workspace.prefix)), 0);
    let dumps = std::fs::read_dir(workspace.path("snapshots")).expect("snapshots/").count();
    assert_eq!(dumps, 1, "the database was dumped before it was dropped");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn destroy_takes_consent_and_the_word_all_for_more_than_a_third() {
    let workspace = applied();
    workspace.run(&["destroy", "--app", "@a", "--auto-approve"]).exits(0).says("held: --allow-destroy");
    assert!(exists(&format!("{}a", workspace.prefix)));
    workspace.run(&["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0);
    assert!(!exists(&format!("{}a", workspace.prefix)));
    // Everything: a glob is not enough.
    workspace.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "*"]).exits(0).says("held");
    assert!(exists(&format!("{}b", workspace.prefix)));
    workspace.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    assert!(!exists(&format!("{}b", workspace.prefix)));
    workspace.run(&["state", "list"]).exits(0);
}

#[test]
fn prevent_destroy_holds_whatever_is_allowed() {
    let workspace = Workspace::new();
    workspace.spec("a", &format!("{ALL}[lifecycle]\nprevent_destroy = true\n"));
    workspace.converge();
    workspace
        .run(&["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"])
        .exits(0)
        .says("prevent_destroy");
    assert!(exists(&format!("{}a", workspace.prefix)));
    workspace.spec("a", ALL);
}

/// All consent there is.
const EVERYTHING: [&str; 6] = ["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
const PREVENTS: &str = "[lifecycle]\nprevent_destroy = true\n";

/// Four apps, of which one is protected, has data, and has lost its infraspec.
fn protected() -> Workspace {
    let workspace = applied();
    workspace.spec("d", &format!("{}{PREVENTS}", ALL.replace("@a", "@d")));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("its infraspec says prevent_destroy");
    workspace.converge().complains("Noted in the state what the infraspecs say of prevent_destroy.");
    let url = workspace.published("@d", "DATABASE_URL");
    servers::postgres_at(&url, "CREATE TABLE t (x int); INSERT INTO t VALUES (42)").expect("data");
    workspace.remove("specs/d.toml");
    workspace
}

#[test]
fn prevent_destroy_outlives_its_infraspec() {
    let workspace = protected();
    let database = format!("{}d", workspace.prefix);
    let words = format!("held: the last infraspec of {database} said prevent_destroy; to let it go");
    let told = "held: prevent_destroy in the last infraspec of what has none now; no flag releases that";
    workspace.run(&["plan"]).exits(0).says(&words).says(told);
    let state = workspace.read("state/default.json");
    let url = workspace.published("@d", "DATABASE_URL");
    workspace.run(&EVERYTHING).exits(0).says(&words).complains("held.");
    let destroy = ["destroy", "--app", "@d", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    workspace.run(&destroy).exits(0).says(&words);
    assert_eq!(workspace.read("state/default.json"), state, "nothing was done and nothing forgotten");
    assert_eq!(servers::postgres_value(&database, "SELECT x::text FROM t"), Some("42".to_owned()));
    assert_eq!(workspace.published("@d", "DATABASE_URL"), url);
    assert_eq!(servers::partitions(&format!("{database}.t")), 1);
    workspace.run(&["show"]).exits(0).says(&format!("prevent_destroy: {database}\n"));

    // The way out. Another app's apply is none.
    workspace.spec("d", &ALL.replace("@a", "@d"));
    workspace.run(&["apply", "--auto-approve", "--app", "@a"]).exits(0);
    workspace.run(&["plan"]).exits(0).says("does not say prevent_destroy any more");
    assert!(workspace.read("state/default.json").contains("prevent_destroy"), "a plan writes nothing");
    workspace.run(&["apply", "--auto-approve", "--app", "@d"]).exits(0);
    assert!(!workspace.read("state/default.json").contains("prevent_destroy"));
    workspace.remove("specs/d.toml");
    workspace.run(&EVERYTHING).exits(0);
    assert!(!exists(&database));
}

#[test]
fn what_prevent_destroy_keeps_can_be_forgotten() {
    let workspace = protected();
    let database = format!("{}d", workspace.prefix);
    workspace.run(&["state", "forget", "*@d*"]).exits(0);
    assert!(!workspace.read("state/default.json").contains("prevent_destroy"), "there is nothing to keep");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert!(exists(&database));
    // Taken under management again, so that it is cleaned up.
    workspace.spec("d", &ALL.replace("@a", "@d"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
}

#[test]
fn a_protected_app_with_a_new_name_leaves_nothing_behind() {
    let workspace = applied();
    let spec = |name: &str, lifecycle: &str| {
        let postgres = "[services.postgres]\ndatabase = \"@m\"\nuser = \"@m_user\"\nowner = \"@m_owner\"\n";
        workspace.spec("m", &format!("app = \"@{name}\"\n{postgres}{lifecycle}"));
    };
    spec("m", PREVENTS);
    workspace.converge();
    spec("p", PREVENTS);
    let words = format!("held: the last infraspec of {}m said prevent_destroy", workspace.prefix);
    workspace.run(&EVERYTHING).exits(0).says(&words);
    // All else is the new one's by now: a password for a login that it does not have any more is nothing to keep.
    workspace.run(&["plan"]).exits(0).says("held: --allow-destroy");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "secret.@m"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let shown = format!("prevent_destroy: {}p\n", workspace.prefix);
    workspace.run(&["show"]).exits(0).says(&shown);
    spec("p", "");
}

#[test]
fn a_saved_plan_does_not_destroy_what_was_protected_since() {
    let workspace = applied();
    let (database, saved) = (format!("{}d", workspace.prefix), ["plan", "--out", "saved.json"]);
    workspace.remove("specs/d.toml");
    workspace.run(&saved).exits(0).says("held: --allow-destroy");
    workspace.run(&[&saved[..], &["--allow-destroy", "all"]].concat()).exits(0);
    std::fs::copy(workspace.path("saved.json"), workspace.path("consented.json")).expect("a copy");
    workspace.run(&saved).exits(0);
    workspace.spec("d", &format!("{}{PREVENTS}", ALL.replace("@a", "@d")));
    workspace.converge();
    for file in ["saved.json", "consented.json"] {
        workspace
            .run(&["apply", file, "--allow-destroy", "all", "--allow-interrupt", "all"])
            .exits(1)
            .complains(&format!("since it was made the infraspec of {database} was applied with prevent_destroy"));
        assert!(exists(&database));
    }
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    // A plan that is made to let go does both at once: the second database goes without another apply.
    let two = ALL
        .replace("@a", "@d")
        .replace("[services.postgres]\n", "[services.postgres]\ndatabases = [\"@d\", \"@d_2\"]\n");
    workspace.spec("d", &format!("{two}{PREVENTS}"));
    workspace.converge();
    workspace.spec("d", &ALL.replace("@a", "@d"));
    workspace.run(&[&saved[..], &["--allow-destroy", "*@d_2*"]].concat()).exits(0);
    workspace.run(&["apply", "saved.json"]).exits(0);
    assert!(exists(&database) && !exists(&format!("{database}_2")));
    assert!(!workspace.read("state/default.json").contains("prevent_destroy"));
    workspace.converge();
}

#[test]
fn what_the_state_forgets_is_left_alone() {
    let workspace = applied();
    workspace.run(&["state", "show", "postgres.database.@d"]).exits(0).says("owner");
    workspace.run(&["state", "forget", "postgres.database.@d"]).exits(0);
    workspace.run(&["state", "forget", "postgres.database.@d"]).exits(1).complains("does not have");
    workspace.run(&["plan"]).exits(0).says("1 to adopt");
    workspace.converge();
}

#[test]
fn a_kept_credential_is_adopted_and_never_touched() {
    let workspace = Workspace::new();
    let name = format!("{}norn", workspace.prefix);
    servers::postgres(
        "postgres",
        &format!("CREATE ROLE {name} LOGIN PASSWORD 'norn'; CREATE DATABASE {name}_db OWNER {name}"),
    );
    workspace.spec(
        "norn",
        "app = \"@norn\"\n[services.postgres]\ndatabase = \"@norn_db\"\nuser = \"@norn\"\nowner = \"@norn\"\ncredential = \"keep\"\n",
    );
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let port = common::service("NORNPLAN_POSTGRES_PORT");
    servers::postgres_at(&format!("postgres://{name}:norn@127.0.0.1:{port}/{name}_db"), "CREATE TABLE t (x int)")
        .expect("as before");
    assert!(!workspace.path(format!("secrets/{name}.env")).exists(), "what is kept is not published");
}
