//! One field changed in a spec, or one thing changed by hand: the plan shows exactly that, apply does exactly that.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers;
use common::settled::settled;
use nornplan::services::kafka::admin::Admin;
use serde_json::Value;

const APP: &str = r#"
app = "@a"
[services.postgres]
connection_limit = 10
settings = { statement_timeout = "30s" }
[services.kv]
[services.events]
topics = [{ name = "@a.t", partitions = 2, config = { "retention.ms" = "7d" } }]
"#;

fn applied() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", APP);
    workspace.converge();
    workspace
}

/// Address, action, and (field, cause) of each change.
type Change = (String, String, Vec<(String, String)>);

/// What the plan changes.
fn changes(workspace: &Workspace) -> Vec<Change> {
    let json = workspace.run(&["plan", "--format", "json"]).exits(0).stdout;
    let plan: Value = serde_json::from_str(&json).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").replace(&workspace.prefix, "@");
    let steps = plan["resources"].as_array().expect("resources");
    steps
        .iter()
        .map(|step| {
            let fields = step["changes"].as_array().expect("changes").iter();
            let fields = fields.map(|change| (text(&change["field"]), text(&change["cause"]))).collect();
            (text(&step["address"]), text(&step["action"]), fields)
        })
        .collect()
}

fn one(address: &str, field: &str, cause: &str) -> Vec<Change> {
    vec![(address.to_owned(), "update".to_owned(), vec![(field.to_owned(), cause.to_owned())])]
}

#[test]
fn a_connection_limit() {
    let workspace = applied();
    workspace.spec("a", &APP.replace("connection_limit = 10", "connection_limit = 11"));
    assert_eq!(changes(&workspace), one("postgres.role.@a_user", "connection_limit", "changed_in_spec"));
    workspace.run(&["plan"]).exits(0).says("10 -> 11");
    workspace.converge();
    let query = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}a_user'", workspace.prefix);
    assert_eq!(servers::postgres_value("postgres", &query).as_deref(), Some("11"));
}

#[test]
fn a_connection_limit_that_lets_nobody_in_is_told() {
    let workspace = applied();
    let note = "* nobody can sign in with a connection limit of 0";
    workspace.run(&["plan"]).exits(0).hides(note);
    workspace.spec("a", &APP.replace("connection_limit = 10", "connection_limit = 0"));
    workspace.run(&["plan"]).exits(0).says("10 -> 0").says(note);
    workspace.converge();
    let refused = servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect_err("no session");
    assert!(refused.to_string().contains("too many connections for role"), "{refused}");
}

#[test]
fn a_topics_partitions_and_retention() {
    let workspace = applied();
    let topic = format!("{}a.t", workspace.prefix);
    workspace.spec("a", &APP.replace("partitions = 2", "partitions = 3"));
    assert_eq!(changes(&workspace), one("kafka.topic.@a.t", "partitions", "changed_in_spec"));
    workspace.converge();
    assert_eq!(servers::partitions(&topic), 3);
    workspace.spec("a", &APP.replace("partitions = 2", "partitions = 3").replace("7d", "1d"));
    assert_eq!(changes(&workspace), one("kafka.topic.@a.t", "config", "changed_in_spec"));
    workspace.converge();
    assert_eq!(servers::topic_config(&topic, "retention.ms").as_deref(), Some("86400000"));
    // Fewer partitions cannot be had: that resource is blocked with a reason, not the plan.
    workspace.spec("a", &APP.replace("partitions = 2", "partitions = 1").replace("7d", "1d"));
    workspace.run(&["plan"]).exits(0).says("partitions");
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("Nothing was applied: 1 blocked.");
    assert_eq!(servers::partitions(&topic), 3);
}

#[test]
fn a_namespace() {
    let workspace = applied();
    workspace.spec("a", &APP.replace("[services.kv]", "[services.kv]\nnamespace = \"@b\""));
    let found = changes(&workspace);
    assert!(
        found
            .iter()
            .all(|(address, ..)| address == "valkey.user.@a" || address == "valkey.user.@b" || address == "secret.@a"),
        "{found:?}"
    );
    assert!(!found.is_empty());
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    let url = workspace.published("@a", "VALKEY_URL");
    servers::valkey_at(&url, &["SET", &format!("{}b:k", workspace.prefix), "1"]).expect("the new namespace is open");
    servers::valkey_at(&url, &["SET", &format!("{}a:k", workspace.prefix), "1"])
        .expect_err("the old namespace is closed");
}

/// Changes something by hand, demands that plan and drift show exactly that as drift, and that apply repairs it.
#[track_caller]
fn drifts(workspace: &Workspace, address: &str, field: &str, by_hand: impl FnOnce(&str)) {
    by_hand(&workspace.prefix);
    let mut found = changes(workspace);
    // What rules allow is told in words beside them.
    found.iter_mut().for_each(|(_, _, changes)| changes.retain(|(field, _)| field != "rules_in_words"));
    assert_eq!(found, one(address, field, "drifted"));
    let shown = address.replace('@', &workspace.prefix);
    workspace.run(&["plan"]).exits(0).says("drifted").says(&shown);
    workspace.run(&["drift"]).exits(2).says(&shown);
    let before = workspace.read("state/default.json");
    assert_eq!(workspace.read("state/default.json"), before, "drift writes nothing");
    workspace.converge();
    workspace.run(&["drift"]).exits(0).says("No drift.");
}

#[test]
fn a_grant_that_was_revoked_by_hand() {
    let workspace = applied();
    drifts(&workspace, "postgres.grant.@a/@a_user", "database_privileges", |prefix| {
        servers::postgres("postgres", &format!("REVOKE TEMPORARY ON DATABASE {prefix}a FROM {prefix}a_user"));
    });
}

#[test]
fn a_database_that_was_opened_to_public_by_hand() {
    let workspace = applied();
    drifts(&workspace, "postgres.database.@a", "public", |prefix| {
        servers::postgres("postgres", &format!("GRANT CONNECT ON DATABASE {prefix}a TO PUBLIC"));
    });
}

#[test]
fn key_patterns_that_were_widened_by_hand() {
    let workspace = applied();
    drifts(&workspace, "valkey.user.@a", "keys", |prefix| {
        servers::valkey(&["ACL", "SETUSER", &format!("{prefix}a"), "~*"]).expect("SETUSER");
    });
}

#[test]
fn a_topics_config_that_was_changed_by_hand() {
    let workspace = applied();
    drifts(&workspace, "kafka.topic.@a.t", "config", |prefix| {
        use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
        servers::block_on(async {
            let admin: AdminClient<_> = servers::kafka_admin().create().expect("an admin");
            let topic = format!("{prefix}a.t");
            let alter = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "1000");
            admin.alter_configs(&[alter], &AdminOptions::new()).await.expect("altered")[0].as_ref().expect("altered");
            settled(&Admin::new(&servers::kafka_admin()).expect("an admin")).await;
        });
    });
}

#[test]
fn acls_that_were_deleted_by_hand() {
    let workspace = applied();
    drifts(&workspace, "kafka.acl.@a", "bindings", |prefix| {
        servers::block_on(async {
            let admin = Admin::new(&servers::kafka_admin()).expect("an admin");
            let acls = admin.describe_acls(Some(&format!("User:{prefix}a"))).await.expect("ACLs");
            assert!(acls.len() > 1);
            for deleted in admin.delete_acls(&acls[..1]).await.expect("deleted") {
                deleted.expect("deleted");
            }
            settled(&admin).await;
        });
    });
}
