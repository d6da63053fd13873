//! A saved plan whose objects were changed since: refused at these, by name, and carried out in everything else.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_hand::{self, create_acls};
use common::{Ran, Workspace, servers};
use nornplan::services::kafka::client::native::OwnedBinding;
use nornplan::services::kafka::model::Binding;

fn refuses(ran: &Ran, address: &str, lines: &[&str]) {
    let after = ran.stdout.split("Refused: not as planned any more; nothing was written to them").nth(1);
    let refused = after.unwrap_or_else(|| panic!("nothing was refused:\n{}\n{}", ran.stdout, ran.stderr));
    let at = refused.find(&format!(" {address} ")).unwrap_or_else(|| panic!("{address} is not among\n{refused}"));
    let flat = refused[at..].split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    for line in lines {
        assert!(flat.contains(line), "no {line:?} of {address} in\n{refused}");
    }
}

fn says_how_many(ran: Ran, refused: &str) -> Ran {
    ran.exits(1).flat().says(&format!("{refused} refused, and everything else was done")).says("Run `nornplan plan`")
}

fn limit(workspace: &Workspace, app: &str) -> Option<String> {
    let query = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}{app}_user'", workspace.prefix);
    servers::postgres_value("postgres", &query)
}

fn valkey(words: &[&str]) {
    servers::valkey(words).expect("an answer");
}

/// Apps with one object each that changes from the one spec to the other.
fn specs(workspace: &Workspace, changed: bool) {
    let one = |before: &'static str, after: &'static str| if changed { after } else { before };
    let spec = |app: &str, text: &str| workspace.spec(app, &format!("app = \"@{app}\"\n{text}"));
    let limit = one("connection_limit = 5\n", "connection_limit = 6\n");
    spec("role", &format!("[services.postgres]\n{limit}"));
    spec("untouched", &format!("[services.postgres]\n{limit}"));
    let settings = one("settings = { statement_timeout = \"30s\" }\n", "settings = { statement_timeout = \"40s\" }\n");
    let readers = one("readers = [\"@role\"]\n", "writers = [\"@role\"]\n");
    spec("base", &format!("[services.postgres]\n{settings}{readers}"));
    spec("kv", &format!("[services.kv]\naccess = \"{}\"\n", one("readwrite", "readonly")));
    spec("sink", &format!("[services.kv]\n[publish]\nMODE = \"{}\"\n", one("one", "two")));
    let retention = one("1d", "2d");
    let topic = format!("{{ name = \"@topic.t\", config = {{ \"retention.ms\" = \"{retention}\" }} }}");
    spec("topic", &format!("[services.events]\ntopics = [{topic}]\n"));
    let groups = one("groups = [\"@acl-a\"]\n", "groups = [\"@acl-b\"]\n");
    spec("acl", &format!("[services.events]\ntopics = [\"@acl.t\"]\n{groups}"));
}

/// Changes an object of each kind by hand.
fn by_hand(workspace: &Workspace) {
    let p = &workspace.prefix;
    servers::postgres("postgres", &format!("ALTER ROLE {p}role_user CONNECTION LIMIT 77"));
    servers::postgres("postgres", &format!("ALTER ROLE {p}base_user SET statement_timeout = '99s'"));
    servers::postgres("postgres", &format!("ALTER DATABASE {p}base CONNECTION LIMIT 7"));
    servers::postgres("postgres", &format!("REVOKE CONNECT ON DATABASE {p}base FROM {p}role_user"));
    valkey(&["ACL", "SETUSER", &format!("{p}kv"), "off"]);
    kafka_hand::set_config(&format!("{p}topic.t"), "retention.ms", "1000");
    let binding = Binding::allow("topic", &format!("{p}topic.t"), false, "read");
    create_acls(&[OwnedBinding { principal: format!("User:{p}acl"), binding }]);
    let file = format!("secrets/{p}sink.env");
    let edited: Vec<String> = workspace
        .read(&file)
        .lines()
        .map(|line| if line.starts_with("MODE=") { "MODE=by-hand".to_owned() } else { line.to_owned() })
        .collect();
    std::fs::write(workspace.path(&file), edited.join("\n") + "\n").expect("written");
}

#[test]
fn each_object_that_was_changed_by_hand_is_refused_and_everything_else_is_applied() {
    let workspace = Workspace::new();
    specs(&workspace, false);
    workspace.converge();
    specs(&workspace, true);
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("8 to update");
    by_hand(&workspace);
    let ran = workspace.run(&["apply", "plan.json"]);
    let p = &workspace.prefix;
    let table = "update: changed since it was planned when planned now wanted";
    refuses(&ran, &format!("postgres.role.{p}role_user"), &[table, "connection limit 5 77 6"]);
    refuses(&ran, &format!("postgres.role.{p}base_user"), &[table, "statement_timeout 30s 99s 40s"]);
    refuses(&ran, &format!("postgres.grant.{p}base/{p}role_user"), &["changed since it was planned"]);
    refuses(&ran, &format!("valkey.user.{p}kv"), &[table, "may sign in yes no yes"]);
    refuses(&ran, &format!("kafka.topic.{p}topic.t"), &[table, "retention.ms 1d 1s 2d"]);
    refuses(&ran, &format!("kafka.acl.{p}acl"), &[&format!("+ topic {p}topic.t: read")]);
    refuses(&ran, &format!("secret.{p}sink"), &[table, "MODE published another value a new value"]);
    says_how_many(ran, "7 resources were").hides("by-hand");
    assert_eq!(limit(&workspace, "untouched").as_deref(), Some("6"), "everything else is done");
    assert_eq!(limit(&workspace, "role").as_deref(), Some("77"), "what nobody has seen is not overwritten");
    assert_eq!(servers::topic_config(&format!("{p}topic.t"), "retention.ms").as_deref(), Some("1000"));
    assert_eq!(workspace.published("@sink", "MODE"), "by-hand");
    // The next plan shows it, and puts it right.
    workspace.run(&["plan"]).exits(0).says("drifted");
    workspace.converge();
}

#[test]
fn what_only_the_state_learns_is_held_against_the_services_too() {
    let workspace = Workspace::new();
    specs(&workspace, false);
    workspace.converge();
    // The state is lost, everything is there: all of it is adopted but what was changed by hand.
    std::fs::remove_dir_all(workspace.path("state")).expect("removed");
    let resources = workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("0 to update, 0 to destroy, ");
    assert!(resources.last_line().ends_with(" to adopt."), "{}", resources.stdout);
    by_hand(&workspace);
    let ran = workspace.run(&["apply", "plan.json"]);
    let p = &workspace.prefix;
    let changed = "adopt: changed since it was planned";
    refuses(&ran, &format!("postgres.role.{p}role_user"), &[changed, "connection limit 5 77 5"]);
    refuses(&ran, &format!("postgres.database.{p}base"), &[changed]);
    refuses(&ran, &format!("postgres.grant.{p}base/{p}role_user"), &[changed]);
    refuses(&ran, &format!("valkey.user.{p}kv"), &[changed]);
    refuses(&ran, &format!("kafka.topic.{p}topic.t"), &[changed]);
    refuses(&ran, &format!("kafka.acl.{p}acl"), &[changed]);
    refuses(&ran, &format!("secret.{p}sink"), &[changed]);
    says_how_many(ran, "8 resources were");
    let listed = workspace.run(&["state", "list"]).exits(0);
    listed
        .says(&format!("postgres.role.{p}untouched_user"))
        .hides(&format!("postgres.role.{p}role_user"))
        .hides(&format!("kafka.topic.{p}topic.t"));
    // What is adopted loses nothing without consent.
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.converge();

    // What is gone is to be forgotten, and is there again by then; what has become as declared, and is not any more.
    servers::postgres("postgres", &format!("ALTER ROLE {p}untouched_user CONNECTION LIMIT 9"));
    workspace.spec("untouched", "app = \"@untouched\"\n[services.postgres]\nconnection_limit = 9\n");
    valkey(&["ACL", "DELUSER", &format!("{p}kv")]);
    kafka_hand::delete_topic(&format!("{p}topic.t"));
    workspace.remove("specs/kv.toml");
    workspace.spec("topic", "app = \"@topic\"\n[services.events]\ntopics = []\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("2 to forget").says("1 to record");
    valkey(&["ACL", "SETUSER", &format!("{p}kv"), "on", ">by-hand"]);
    kafka_hand::create_topic(&format!("{p}topic.t"));
    servers::postgres("postgres", &format!("ALTER ROLE {p}untouched_user CONNECTION LIMIT 8"));
    let ran = workspace.run(&["apply", "plan.json"]).exits(1);
    refuses(&ran, &format!("valkey.user.{p}kv"), &["forget: it is there again"]);
    refuses(&ran, &format!("kafka.topic.{p}topic.t"), &["forget: it is there again"]);
    refuses(&ran, &format!("postgres.role.{p}untouched_user"), &["record:", "connection limit 9 8 9"]);
    workspace.run(&["state", "list"]).exits(0).says(&format!("valkey.user.{p}kv")).says(&format!("{p}topic.t"));
}

#[test]
fn what_the_state_has_learnt_since_counts_too() {
    let workspace = Workspace::new();
    let topic = |app: &str, topic: &str| {
        let topics = if topic.is_empty() {
            String::new()
        } else {
            format!("{{ name = \"@.t\", config = {{ \"retention.ms\" = \"{topic}\" }} }}")
        };
        workspace.spec(app, &format!("app = \"@{app}\"\n[services.events]\ntopics = [{topics}]\n[services.kv]\n"));
    };
    topic("a", "1d");
    topic("b", "");
    workspace.spec("c", "app = \"@c\"\n[services.postgres]\nconnection_limit = 5\n");
    workspace.converge();
    topic("a", "2d");
    workspace.spec("c", "app = \"@c\"\n[services.postgres]\nconnection_limit = 6\n");
    workspace.spec("d", "app = \"@d\"\n[services.kv]\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    // Another run gives the topic away, and the role is forgotten.
    topic("a", "");
    topic("b", "1d");
    workspace.run(&["apply", "--auto-approve", "--app", "@a", "--app", "@b", "--allow-interrupt=all"]).exits(0);
    workspace.run(&["state", "forget", "postgres.role.@c_user"]).exits(0);
    let p = &workspace.prefix;
    let ran = workspace.run(&["apply", "plan.json"]);
    refuses(
        &ran,
        &format!("kafka.topic.{p}.t"),
        &[&format!("since it was planned, an apply has made it the app {p}b's")],
    );
    refuses(&ran, &format!("postgres.role.{p}c_user"), &["since it was planned, it was forgotten or destroyed"]);
    says_how_many(ran, "2 resources were").complains("the infraspec of").complains("has changed");
    servers::valkey_at(&workspace.published("@d", "VALKEY_URL"), &["PING"]).expect("everything else is done");
    assert_eq!(limit(&workspace, "c").as_deref(), Some("5"));
    workspace.converge();
}
