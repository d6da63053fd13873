//! The user of an app is renamed in its infraspec: what the former user owns goes to the new one, all at once, and
//! nobody is told to sign in as a user that cannot read the app's own tables.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{block_on, postgres, postgres_value, value_at, works};
use sqlx::{Connection, PgConnection};

fn mail(workspace: &Workspace, user: &str) {
    let spec = format!(
        "app = \"@mail\"\n[services.postgres]\nuser = \"{user}\"\nreaders = [\"@report\"]\n[services.kv]\n\
         [publish]\nMAIL_DB_USER = \"{{pg.user}}\"\n"
    );
    workspace.spec("mail", &spec);
}

/// An app with tables, whose user is `@mail_z`, and another that reads them.
fn living() -> Workspace {
    let workspace = Workspace::new();
    mail(&workspace, "@mail_z");
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    workspace.converge();
    let made = "CREATE SCHEMA app; CREATE TABLE app.letters (id serial PRIMARY KEY, text text); \
        INSERT INTO app.letters (text) VALUES ('dear'); CREATE TABLE log (x int); CREATE TYPE mood AS ENUM ('ok'); \
        CREATE VIEW app.seen AS SELECT text FROM app.letters; CREATE SEQUENCE s; \
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    works(&url(&workspace), made);
    workspace
}

/// What the app signs in with.
fn url(workspace: &Workspace) -> String {
    workspace.published("@mail", "DATABASE_URL")
}

/// What the reader signs in with, to the app's database.
fn reader(workspace: &Workspace) -> String {
    let mut url = url::Url::parse(&workspace.published("@report", "DATABASE_URL")).expect("a URL");
    url.set_path(&format!("{}mail", workspace.prefix));
    url.to_string()
}

#[track_caller]
fn is_published(workspace: &Workspace, user: &str) {
    let user = user.replace('@', &workspace.prefix);
    assert_eq!(workspace.published("@mail", "MAIL_DB_USER"), user);
    assert!(url(workspace).contains(&format!("//{user}:")), "not {user}");
}

const DAILY: &str = "INSERT INTO app.letters (text) VALUES ('again'); SELECT * FROM app.seen; SELECT f(); \
    SELECT nextval('s'); ALTER TABLE log ADD COLUMN IF NOT EXISTS y text";
const READS: &str = "SELECT * FROM app.letters; SELECT * FROM app.seen; SELECT * FROM log";

#[test]
fn everything_of_the_former_user_goes_to_the_new_one_with_consent() {
    let workspace = living();
    mail(&workspace, "@mail_b");
    // The former user's name comes last, and does not count for that.
    let (a, b) = (format!("{}mail_z", workspace.prefix), format!("{}mail_b", workspace.prefix));
    let sentence = format!(
        "{a}, the app's user until now, owns 2 tables, 1 function, 1 schema, 1 sequence, 1 type and 1 view; they go to {b}; \
         sessions of {a} (0 sessions here now) fail until the app is restarted with the new credentials"
    );
    let shown = workspace.run(&["plan"]).exits(0);
    let told = shown.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&sentence), "{}", shown.stdout);
    assert!(!shown.stdout.contains("drift"), "{}", shown.stdout);
    shown.says(&format!("needs --allow-interrupt postgres.role.{b}")).hides("which the app cannot use");

    // Without consent nothing changes for the app and its reader, however often it is applied.
    for number in 1..=2 {
        workspace.run(&["apply", "--auto-approve"]).exits(0);
        is_published(&workspace, "@mail_z");
        works(
            &url(&workspace),
            &format!("INSERT INTO app.letters (text) VALUES ('b'); CREATE TABLE more{number} (x int)"),
        );
        works(&reader(&workspace), &format!("{READS}; SELECT * FROM more{number}"));
    }
    // What holds the switch does not hold the rest of the app.
    workspace.run(&["rotate", "@mail", "--service", "valkey", "--auto-approve"]).exits(0);
    is_published(&workspace, "@mail_z");

    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.role.@mail_b"]).exits(0);
    is_published(&workspace, "@mail_b");
    works(&url(&workspace), &format!("{DAILY}; DROP TABLE more1; CREATE TABLE app.later (x serial)"));
    works(&reader(&workspace), &format!("{READS}; SELECT * FROM more2; SELECT * FROM app.later"));
    let left = workspace.run(&["plan"]).exits(0).says("2 held");
    assert_eq!(left.last_line(), "Plan: 0 to create, 0 to update, 0 to destroy.");
    left.hides("cannot be dropped");
    workspace.run(&["drift"]).exits(0).says("No drift.").hides("which the app cannot use");

    // Who lets a role go lets go what it may do.
    let role = format!("--allow-destroy postgres.role.{a}");
    workspace.run(&["plan"]).exits(0).says(&format!("\n2 held: {role}\n")).hides("--allow-destroy postgres.grant");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "postgres.role.@mail_z"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let there = format!("SELECT count(*)::text FROM pg_roles WHERE rolname = '{a}'");
    assert_eq!(postgres_value("postgres", &there).as_deref(), Some("0"));
    works(&url(&workspace), DAILY);
    works(&reader(&workspace), READS);
}

#[test]
fn one_apply_switches_and_drops_where_both_are_allowed() {
    let workspace = living();
    mail(&workspace, "@mail_b");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    is_published(&workspace, "@mail_b");
    works(&url(&workspace), DAILY);
    works(&reader(&workspace), READS);
}

#[test]
fn a_switch_that_fails_publishes_nothing_and_is_asked_for_again() {
    let workspace = living();
    let held = block_on(async {
        let mut session = PgConnection::connect(&url(&workspace)).await.expect("the app signs in");
        let begun = sqlx::raw_sql("BEGIN; SELECT * FROM app.letters").execute(&mut session).await;
        begun.expect("the app reads");
        session
    });
    mail(&workspace, "@mail_b");
    workspace
        .run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.role.@mail_b"])
        .exits(1)
        .says("nothing was moved");
    is_published(&workspace, "@mail_z");
    works(&url(&workspace), DAILY);
    drop(held);
    // The new login is there by now, so it is the database that asks.
    workspace.run(&["plan"]).exits(0).says("needs --allow-interrupt postgres.database.");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_published(&workspace, "@mail_z");
    works(&url(&workspace), "INSERT INTO app.letters (text) VALUES ('still')");
    works(&reader(&workspace), READS);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.database.@mail"]).exits(0);
    is_published(&workspace, "@mail_b");
    works(&url(&workspace), "SELECT * FROM app.letters; INSERT INTO log (x) VALUES (1)");
    workspace.run(&["plan"]).exits(0).says("Plan: 0 to create, 0 to update, 0 to destroy.");
}

#[test]
fn what_nobody_knows_is_not_handed_over() {
    let workspace = living();
    mail(&workspace, "@mail_b");
    // Nobody looked, so nobody knows whether there is anything to hand over.
    workspace.run(&["plan", "--shallow", "--allow-interrupt", "all"]).exits(0).says("it was not read what");
    let shallow = ["apply", "--shallow", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&shallow).exits(1).complains("Nothing was applied: ").complains(" blocked");
    is_published(&workspace, "@mail_z");

    // Without the state the former user is a stranger, whose objects are told and left alone.
    let (state, kept) = (workspace.path("state/default.json"), workspace.path("kept.json"));
    std::fs::rename(&state, &kept).expect("the state is lost");
    workspace.run(&["plan"]).exits(0).says("`adopt_objects = true` makes").hides("until now");
    std::fs::rename(&kept, &state).expect("the state is found");
}

#[test]
fn a_former_user_that_owns_nothing_is_replaced_at_once() {
    let workspace = Workspace::new();
    mail(&workspace, "@mail_z");
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    workspace.converge();
    mail(&workspace, "@mail_b");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_published(&workspace, "@mail_b");
    works(&url(&workspace), "CREATE TABLE t (x int)");
    works(&reader(&workspace), "SELECT * FROM t");
    // Somebody still signed in as the former makes something: it is handed over as well, with consent.
    let database = format!("{}mail", workspace.prefix);
    postgres(&database, &format!("SET ROLE {}mail_z; CREATE TABLE public.late (x int)", workspace.prefix));
    workspace.run(&["plan"]).exits(0).says("1 table; it goes to").says("needs --allow-interrupt postgres.database.");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    works(&url(&workspace), "INSERT INTO late VALUES (1)");
    let owner = "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = 'late'";
    assert_eq!(value_at(&url(&workspace), owner), Some(format!("{}mail_b", workspace.prefix)));
}

#[test]
fn a_handover_that_was_stopped_is_not_passed_by_without_looking() {
    let workspace = living();
    let before = url(&workspace);
    mail(&workspace, "@mail_b");
    let held = block_on(async {
        let mut session = PgConnection::connect(&before).await.expect("the app signs in");
        let begun = sqlx::raw_sql("BEGIN; SELECT * FROM app.letters").execute(&mut session).await;
        begun.expect("the app reads");
        session
    });
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(1).says("nothing was moved");
    drop(held);
    // The new user and its grant are there by now, and nobody looks into the database.
    for consent in [&[][..], &["--allow-interrupt", "all"]] {
        let shallow = workspace.run(&[&["apply", "--auto-approve", "--shallow"], consent].concat()).exits(1);
        shallow.says("it was not read what").says("blocked");
        assert_eq!(url(&workspace), before);
        works(&before, "INSERT INTO app.letters (text) VALUES ('still'); SELECT * FROM log");
        works(&reader(&workspace), READS);
    }
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    is_published(&workspace, "@mail_b");
    works(&url(&workspace), DAILY);
    works(&reader(&workspace), READS);
}

#[test]
fn readers_and_writers_of_an_app_with_a_migrator_follow_a_renamed_user() {
    let workspace = Workspace::new();
    let deploy = format!("{}deploy", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {deploy}"));
    let spec = |user: &str| {
        let spec = format!(
            "app = \"@mail\"\n[services.postgres]\nuser = \"{user}\"\nmigrator = \"@deploy\"\nreaders = [\"@report\"]\n\
             writers = [\"@import\"]\n"
        );
        workspace.spec("mail", &spec);
    };
    for other in ["report", "import"] {
        workspace.spec(other, &format!("app = \"@{other}\"\n[services.postgres]\n"));
    }
    spec("@mail_z");
    workspace.converge();
    let database = format!("{}mail", workspace.prefix);
    works(&url(&workspace), "CREATE TABLE own (x int)");
    postgres(&database, &format!("SET ROLE {deploy}; CREATE TABLE public.made (x int)"));

    spec("@mail_b");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    works(&url(&workspace), "CREATE TABLE later (x int); INSERT INTO made VALUES (1)");
    works(&reader(&workspace), "SELECT * FROM own; SELECT * FROM made; SELECT * FROM later");
    workspace.remove("specs/mail.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"]).exits(0);
    postgres("postgres", &format!("DROP ROLE {deploy}"));
}
