//! A database that has nornplan's state in it is no app's, whichever name it has and whoever's state it is.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres, postgres_value};
use common::state_database::StateDatabase;
use nornplan::services::postgres::STATE_COMMENT;

const KEPT: &str = "nornplan keeps a state in it";

fn database_of(database: &str) -> Option<String> {
    let query = format!("SELECT oid || ' ' || pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{database}'");
    postgres_value("postgres", &query)
}

#[test]
fn a_database_with_a_state_in_it_is_not_adopted() {
    let mut first = Workspace::new();
    let state = StateDatabase::of(&mut first);
    first.spec("a", "app = \"@a\"\n[services.postgres]\n");
    first.converge();
    let mut second = Workspace::new();
    second.prefix.clone_from(&first.prefix);
    second.spec("b", "app = \"@b\"\n[services.postgres]\ndatabase = \"@state\"\n");
    let before = database_of(&state.name);
    for comment in ["", "COMMENT ON DATABASE @state IS NULL"] {
        if !comment.is_empty() {
            postgres("postgres", &comment.replace('@', &first.prefix));
        }
        second.run(&["plan"]).exits(0).flat().says(KEPT);
        second.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(1);
        assert_eq!(database_of(&state.name), before);
        let enters = format!(
            "SELECT coalesce(bool_or(has_database_privilege(oid, '{}', 'CONNECT')), false)::text FROM pg_roles \
             WHERE rolname LIKE '{}state\\_%'",
            state.name, first.prefix
        );
        assert_eq!(postgres_value("postgres", &enters).as_deref(), Some("false"));
    }
    first.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn an_apps_database_that_has_got_a_state_is_not_dropped_nor_renamed() {
    let second = Workspace::new();
    second.among_others(4);
    second.spec("b", "app = \"@b\"\n[services.postgres]\ndatabase = \"@b\"\n");
    second.converge();
    let database = format!("{}b", second.prefix);
    // As if another team had named it: nothing is in it yet.
    let mut first = Workspace::new();
    first.set("NORNPLAN_STATE_BACKEND", "postgres");
    first.set("NORNPLAN_STATE_DATABASE", &database);
    first.spec("a", "app = \"@a\"\n[services.kv]\n");
    first.converge();
    let before = database_of(&database);

    second.spec("b", "app = \"@b\"\n[services.postgres]\ndatabase = \"@c\"\n");
    second.write(
        "nornplan.toml",
        "specs = \"specs\"\nmoved = [{ from = \"postgres.database.@b\", to = \"postgres.database.@c\" }]\n",
    );
    second.run(&["plan"]).exits(0).flat().says(KEPT);
    second.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(1);
    assert_eq!(database_of(&database), before);
    second.write("nornplan.toml", "specs = \"specs\"\n");
    second.remove("specs/b.toml");
    second.run(&["plan", "--allow-destroy", "all"]).exits(0).flat().says(KEPT);
    second.run(&["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"]).exits(1);
    assert_eq!(database_of(&database), before);

    first.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    first.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    postgres(&database, "DROP SCHEMA nornplan CASCADE");
    postgres("postgres", &format!("COMMENT ON DATABASE {database} IS NULL"));
}

#[test]
fn nobody_is_let_into_a_database_with_a_state_in_it() {
    let second = Workspace::new();
    second.among_others(4);
    second.spec("r", "app = \"@r\"\n[services.postgres]\n");
    second.spec("b", "app = \"@b\"\n[services.postgres]\n");
    second.converge();
    let database = format!("{}b", second.prefix);
    postgres(&database, &format!("COMMENT ON DATABASE {database} IS '{STATE_COMMENT}'"));
    second.spec("b", "app = \"@b\"\n[services.postgres]\nreaders = [\"@r\"]\n");
    second.run(&["plan"]).exits(0).flat().says("nobody is let into it");
    second.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(1);
    let enters = format!("SELECT has_database_privilege('{0}r_user', '{database}', 'CONNECT')::text", second.prefix);
    assert_eq!(postgres_value("postgres", &enters).as_deref(), Some("false"));
    postgres("postgres", &format!("COMMENT ON DATABASE {database} IS NULL"));
}
