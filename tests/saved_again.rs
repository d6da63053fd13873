//! A saved plan whose run broke off, and that is applied again: by itself, and after other runs that ended what it began.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::servers::{kafka_admin, postgres, postgres_value, value_at, works};
use common::{Ran, Workspace, servers};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

const ALL: &str = "app = \"@a\"\n[services.postgres]\nextensions = [\"citext\"]\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";
const CONSENT: [&str; 2] = ["--allow-destroy=all", "--allow-interrupt=all"];
const NO_CHANGES: &[&str] = &["plan", "--detailed-exitcode", "--probe-credentials"];

/// Runs it to the boundary at which it dies.
#[track_caller]
fn dies(workspace: &Workspace, arguments: &[&str], boundary: &str) {
    let mut command = workspace.command(arguments);
    command.env("NORNPLAN_FAILPOINT", format!("abort:1:{boundary}")).arg("--parallelism=1");
    let ran = Ran::of(command.output().expect("nornplan runs"));
    assert!(ran.code != 0 && ran.code != 1, "it was to die: {}\n{}", ran.stdout, ran.stderr);
}

/// What is published signs in.
#[track_caller]
fn works_all(workspace: &Workspace) {
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("it signs in");
    servers::valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]).expect("it signs in");
    workspace.run(NO_CHANGES).exits(0);
}

fn password(workspace: &Workspace) -> String {
    workspace.published("@a", "KAFKA_PASSWORD")
}

/// An app that was applied, and a plan to rotate all of its passwords.
fn rotation() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.among_others(1);
    workspace.converge();
    workspace.run(&["plan", "--rotate", "--app", "@a", "--out", "r.json", CONSENT[0], CONSENT[1]]).exits(0);
    workspace
}

const ROTATE: &[&str] = &["apply", "r.json"];
const PUBLISH: &str = "batch update secret publish";

#[test]
fn what_a_rotation_has_set_is_what_is_published_whoever_publishes_it() {
    // Another run publishes it.
    let workspace = rotation();
    dies(&workspace, ROTATE, &format!("before {PUBLISH}"));
    workspace.run(&["apply", "--auto-approve", CONSENT[1]]).exits(0);
    works_all(&workspace);
    let published = password(&workspace);
    workspace.run(ROTATE).exits(0);
    assert_eq!(password(&workspace), published, "no second password");
    works_all(&workspace);
    drop(workspace);

    // It is published, and was not noted.
    let workspace = rotation();
    let before = password(&workspace);
    dies(&workspace, ROTATE, &format!("after {PUBLISH}"));
    let published = password(&workspace);
    assert_ne!(published, before);
    workspace.run(ROTATE).exits(0);
    assert_eq!(password(&workspace), published, "no second password");
    works_all(&workspace);
    drop(workspace);

    // Another run publishes it, and a later one stages a new one that no server was told.
    let workspace = rotation();
    dies(&workspace, ROTATE, &format!("before {PUBLISH}"));
    workspace.run(&["apply", "--auto-approve", CONSENT[1]]).exits(0);
    let rotate = ["rotate", "@a", "--auto-approve", CONSENT[1]];
    dies(&workspace, &rotate, "before batch rotate postgres.role credential");
    workspace.run(ROTATE).exits(0);
    works_all(&workspace);
}

#[test]
fn what_was_half_made_is_ended_by_the_same_plan() {
    for boundary in [
        "after postgres PASSWORD",
        "after postgres CREATE DATABASE",
        "after batch create valkey.user main",
        "after batch create kafka.user main",
        "after batch create kafka.acl main",
        "after batch create postgres.grant main",
    ] {
        let workspace = Workspace::new();
        workspace.spec("a", ALL);
        workspace.run(&["plan", "--out", "plan.json"]).exits(0);
        dies(&workspace, &["apply", "plan.json"], boundary);
        workspace.run(&["apply", "plan.json"]).exits(0);
        works_all(&workspace);
        let extensions = value_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 'a'::citext::text");
        assert_eq!(extensions.as_deref(), Some("a"), "{boundary}");
    }
}

#[test]
fn what_a_stranger_made_meanwhile_is_refused_all_the_same() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    let prefix = workspace.prefix.clone();
    postgres("postgres", &format!("CREATE ROLE {prefix}a_user LOGIN PASSWORD 'theirs'"));
    workspace.run(&["apply", "plan.json"]).exits(1).says("it exists already");
    // Refused once, it is no half of ours the next time.
    workspace.run(&["apply", "plan.json"]).exits(1).says("it exists already");
    let role = format!("SELECT rolname::text FROM pg_roles WHERE rolname = '{prefix}a_user'");
    assert!(postgres_value("postgres", &role).is_some());
    workspace.run(&["apply", "--auto-approve", CONSENT[1]]).exits(0);
    works_all(&workspace);
}

/// An app with a table whose database and roles get other names.
fn renaming() -> Workspace {
    let workspace = Workspace::new();
    let spec = |database: &str| format!("app = \"@a\"\n[services.postgres]\ndatabase = \"@{database}\"\n");
    workspace.spec("a", &spec("old_db"));
    workspace.converge();
    works(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
    workspace.spec("a", &spec("new_db"));
    let moves = ["database.@old_db new_db", "role.@old_user new_user", "role.@old_owner new_owner"];
    let entries = moves.map(|one| {
        let (from, to) = one.split_once(' ').expect("two names");
        let kind = from.split_once('.').expect("a kind").0;
        format!("  {{ from = \"postgres.{from}\", to = \"postgres.{kind}.@{to}\" }},\n")
    });
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\nmoved = [\n{}]\n", entries.concat()));
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("3 to rename");
    workspace
}

#[test]
fn a_rename_is_done_once_and_gone_on_with() {
    let is_renamed = |workspace: &Workspace| {
        let url = workspace.published("@a", "DATABASE_URL");
        assert!(url.contains("new_db") && url.contains("new_user"), "{url}");
        assert_eq!(value_at(&url, "SELECT n::text FROM kept").as_deref(), Some("1"));
        workspace.run(NO_CHANGES).exits(0);
    };
    let workspace = renaming();
    workspace.run(&["apply", "plan.json"]).exits(0);
    is_renamed(&workspace);
    workspace.run(&["apply", "plan.json"]).exits(0).says("nothing was written");
    drop(workspace);
    for boundary in [
        "before batch rename postgres.role rename",
        "after batch rename postgres.role rename",
        "after batch rename postgres.database rename",
        "before batch update secret publish",
        "after batch update secret publish",
    ] {
        let workspace = renaming();
        dies(&workspace, &["apply", "plan.json"], boundary);
        workspace.run(&["apply", "plan.json"]).exits(0);
        is_renamed(&workspace);
    }
}

#[test]
fn what_is_protected_since_it_was_planned_is_not_touched() {
    let workspace = Workspace::new();
    let spec = |keep: &str, more: &str| {
        format!(
            "app = \"@a\"\n[services.events]\ntopics = [{{ name = \"@a.t\", config = {{ \"retention.ms\" = \"{keep}\" }} }}]\n{more}"
        )
    };
    workspace.spec("a", &spec("7d", ""));
    workspace.converge();
    let producer: BaseProducer = kafka_admin().create().expect("a producer");
    let topic = format!("{}a.t", workspace.prefix);
    producer.send(BaseRecord::<(), str>::to(&topic).payload("x")).map_err(|(error, _)| error).expect("a place");
    producer.flush(Duration::from_secs(20)).expect("it arrives");
    workspace.spec("a", &spec("1d", ""));
    workspace.run(&["plan", "--out", "plan.json", CONSENT[0], CONSENT[1]]).exits(0).says("1 to update");
    workspace.spec("a", &spec("7d", "[lifecycle]\nprevent_destroy = true\n"));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    let refused = workspace.run(&["apply", "plan.json"]).exits(1).flat();
    refused.complains("it loses data of kafka.topic.").complains("applied with prevent_destroy");
    workspace.run(NO_CHANGES).exits(0);
    workspace.spec("a", &spec("7d", ""));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
}

#[test]
fn a_destroy_needs_the_sink_that_has_what_it_removes() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.among_others(1);
    workspace.converge();
    let destroy = ["plan", "--destroy", "--app", "@a", "--out", "plan.json", CONSENT[0], CONSENT[1]];
    workspace.run(&destroy).exits(0).says("to destroy");
    std::fs::rename(workspace.path("secrets"), workspace.path("elsewhere")).expect("moved away");
    workspace.run(&["apply", "plan.json"]).exits(1).flat().complains("has no marker of a state");
    assert!(!workspace.path("secrets").exists(), "nothing was claimed");
    std::fs::rename(workspace.path("elsewhere"), workspace.path("secrets")).expect("brought back");
    workspace.run(&["apply", "plan.json", "--shallow"]).exits(1).complains("do not go with a saved plan");
    workspace.run(&["apply", "plan.json"]).exits(0).says("destroyed");
    workspace.remove("specs/a.toml");
}

#[test]
fn a_plan_that_hands_over_to_a_new_user_is_repeated_when_the_former_one_is_gone() {
    let workspace = Workspace::new();
    let spec = "app = \"@a\"\n[services.postgres]\n";
    workspace.spec("a", spec);
    workspace.converge();
    workspace.spec("a", &format!("{spec}user = \"@b_user\"\n"));
    workspace.run(&["plan", "--out", "plan.json", CONSENT[0], CONSENT[1]]).exits(0).says("to destroy");
    workspace.run(&["apply", "plan.json"]).exits(0);
    workspace.run(NO_CHANGES).exits(0);
    workspace.run(&["apply", "plan.json"]).exits(0).says("nothing was written");
}

#[test]
fn a_new_app_is_published_whatever_other_infraspecs_say_by_then() {
    for wrong in ["app = 1\n", "app = \"@b\"\n[publish]\nURL = \"{nothing}\"\n"] {
        let workspace = Workspace::new();
        workspace.spec("a", ALL);
        workspace.run(&["plan", "--out", "plan.json"]).exits(0);
        workspace.spec("b", wrong);
        workspace.run(&["apply", "plan.json"]).exits(0);
        workspace.remove("specs/b.toml");
        workspace.run(NO_CHANGES).exits(0);
    }
}
