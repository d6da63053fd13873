//! `drift --unmanaged`: what exists on real servers, and nobody declares and the state does not own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::servers::{self, block_on};
use common::settled::settled;
use common::{Ran, Workspace};
use nornplan::config::{self, Source};
use nornplan::core::secret::Secret;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::connect::Connection;
use nornplan::services::kafka::client::native::{Alteration, Change, NewTopic, OwnedBinding};
use nornplan::services::kafka::model::Binding;
use serde_json::Value;
use std::collections::BTreeMap;

const APP: &str = "app = \"@a\"
[services.postgres]
[services.kv]
[services.events]
topics = [\"@a.own\"]
";

/// What somebody else has on the servers, made by hand and removed when this is dropped.
struct Others {
    prefix: String,
    acls: Vec<OwnedBinding>,
}

fn kafka<T>(work: impl AsyncFnOnce(&Admin) -> T) -> T {
    let variables: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name.starts_with("NORNPLAN_")).collect();
    let directory = std::env::temp_dir();
    let config = config::load(&Source { working_directory: directory, variables, ..Source::default() }).unwrap();
    block_on(async { work(Connection::new(config.kafka).admin().await.unwrap().as_ref()).await })
}

fn acl(principal: &str, binding: Binding) -> OwnedBinding {
    OwnedBinding { principal: principal.to_owned(), binding }
}

impl Others {
    fn new(workspace: &Workspace) -> Self {
        let prefix = workspace.prefix.clone();
        let legacy = format!("User:{prefix}legacy");
        let topic = |operation| Binding::allow("topic", &format!("{prefix}legacy."), true, operation);
        let acls = vec![
            acl(&legacy, topic("read")),
            acl(&legacy, topic("describe")),
            acl(&legacy, Binding::allow("group", &format!("{prefix}g"), false, "read")),
            acl(&format!("Group:{prefix}team"), topic("read")),
            acl(&format!("User:{prefix}kept"), topic("read")),
        ];
        let this = Self { prefix, acls };
        let prefix = &this.prefix;
        servers::postgres(
            "postgres",
            &format!(
                "CREATE ROLE {prefix}bob LOGIN; CREATE ROLE {prefix}kept1; CREATE ROLE _{prefix}; CREATE ROLE {prefix}ignored; \
                 CREATE DATABASE {prefix}old OWNER {prefix}bob"
            ),
        );
        let keys = format!("~{prefix}w:*");
        servers::valkey(&["ACL", "SETUSER", &format!("{prefix}w"), "on", ">x", ">y", &keys, "+get"]).unwrap();
        servers::valkey(&["ACL", "SETUSER", &format!("{prefix}kept2"), "off"]).unwrap();
        kafka(async |admin| {
            let names = this.topics();
            let config = BTreeMap::new();
            let topic = |name| NewTopic { name, partitions: Some(3), replication: Some(1), config: &config };
            let topics: Vec<NewTopic<'_>> = names.iter().map(|name| topic(name)).collect();
            let made = admin.create_topics(&topics, false).await.unwrap();
            assert!(made.iter().all(Result::is_ok), "{made:?}");
            let user = format!("{prefix}legacy");
            let password = Secret::new("by-hand".to_owned());
            let set = |mechanism, iterations| Alteration {
                user: &user,
                mechanism,
                change: Change::Set { iterations, password: &password },
            };
            // Kafka takes a user once in a call.
            for one in [set("SCRAM-SHA-256", 4096), set("SCRAM-SHA-512", 8192)] {
                let done = admin.alter_users(&[one]).await.unwrap();
                assert!(done.values().all(Result::is_ok), "{done:?}");
            }
            let made = admin.create_acls(&this.acls).await.unwrap();
            assert!(made.iter().all(Result::is_ok), "{made:?}");
            settled(admin).await;
        });
        this
    }

    fn topics(&self) -> [String; 3] {
        let Self { prefix, .. } = self;
        [format!("{prefix}legacy.orders"), format!("_{prefix}internal"), format!("{prefix}kept")]
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let this: &Self = self;
        let prefix = &this.prefix;
        servers::postgres(
            "postgres",
            &format!(
                "DROP DATABASE IF EXISTS {prefix}old; DROP ROLE IF EXISTS {prefix}bob; DROP ROLE IF EXISTS {prefix}kept1; \
                 DROP ROLE IF EXISTS _{prefix}; DROP ROLE IF EXISTS {prefix}ignored"
            ),
        );
        servers::valkey(&["ACL", "DELUSER", &format!("{prefix}w"), &format!("{prefix}kept2")]).unwrap();
        kafka(async |admin| {
            admin.delete_acls(&this.acls).await.unwrap();
            let user = format!("{prefix}legacy");
            let gone = |mechanism| Alteration { user: &user, mechanism, change: Change::Remove };
            for one in [gone("SCRAM-SHA-256"), gone("SCRAM-SHA-512")] {
                admin.alter_users(&[one]).await.unwrap();
            }
            let names = this.topics();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            admin.delete_topics(&names).await.unwrap();
            settled(admin).await;
        });
    }
}

/// What is listed of this test's own: its address without the prefix, and the facts.
fn listed(workspace: &Workspace, ran: &Ran) -> BTreeMap<String, Value> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout));
    let all = report["unmanaged"].as_array().unwrap().iter();
    let own = all.filter(|one| one["address"].as_str().unwrap().contains(&workspace.prefix));
    own.map(|one| (one["address"].as_str().unwrap().replace(&workspace.prefix, "@"), one["facts"].clone())).collect()
}

const JSON: [&str; 4] = ["drift", "--unmanaged", "--format", "json"];

#[test]
fn what_is_neither_declared_nor_ours_is_listed_and_is_no_drift() {
    let workspace = Workspace::new();
    workspace.write(
        "nornplan.toml",
        "specs = \"specs\"\ninternal = [\"@kept*\"]\n[postgres]\nignore_roles = [\"@ignored\"]\n",
    );
    workspace.spec("a", APP);
    let others = Others::new(&workspace);

    // Before anything was applied there is no telling of drift, and what is there is listed all the same.
    let before = workspace.run(&JSON).exits(1).complains("there is no state");
    assert!(listed(&workspace, &before).contains_key("kafka.topic.@legacy.orders"), "{}", before.stdout);
    workspace.run(&["drift"]).exits(1).complains("there is no state").hides("Not managed");

    workspace.converge();
    let found = listed(&workspace, &workspace.run(&JSON).exits(0));
    let expected = [
        "kafka.acl.@legacy",
        "kafka.acl.Group:@team",
        "kafka.topic.@legacy.orders",
        "kafka.user.@legacy",
        "postgres.database.@old",
        "postgres.role.@bob",
        "valkey.user.@w",
    ];
    assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{found:#?}");
    let reads = format!("reads group {0}g; reads {0}legacy.*", workspace.prefix);
    assert_eq!((&found["kafka.acl.@legacy"]["acls"], &found["kafka.acl.@legacy"]["may"]), (&3.into(), &reads.into()));
    assert_eq!(found["kafka.acl.@legacy"]["bindings"].as_array().unwrap().len(), 3);
    assert_eq!(found["kafka.topic.@legacy.orders"], serde_json::json!({"partitions": 3, "replication": 1}));
    let iterations = serde_json::json!({"SCRAM-SHA-256": 4096, "SCRAM-SHA-512": 8192});
    assert_eq!(found["kafka.user.@legacy"]["iterations"], iterations);
    let database = &found["postgres.database.@old"];
    assert!(database["size_bytes"].as_u64().unwrap() > 1_000_000, "{database}");
    assert_eq!(database["owner"], format!("{}bob", workspace.prefix));
    assert_eq!(found["postgres.role.@bob"]["databases"], 1);
    assert_eq!(found["valkey.user.@w"]["passwords"], 2);

    // Nobody else hears of it, and who manages a service alone sees that alone.
    workspace.run(&["drift"]).exits(0).hides("Not managed").hides("legacy");
    let kafka_alone = listed(&workspace, &workspace.run(&[&JSON[..], &["--service", "kafka"]].concat()).exits(0));
    assert!(kafka_alone.keys().all(|address| address.starts_with("kafka.")) && kafka_alone.len() == 4);
    workspace.run(&["drift", "--unmanaged", "--app", "@a"]).exits(1).complains("cannot be used with '--app");
    let text = workspace.run(&["drift", "--unmanaged", "-v"]).exits(0).says("Not managed: ").says("No drift. ");
    text.says(&format!("3 ACLs: reads group {0}g; reads {0}legacy.*", workspace.prefix)).hides("by-hand");

    // What an infraspec declares by now is a matter of the plan.
    workspace.spec("old", "app = \"@old\"\n[services.postgres]\ndatabase = \"@old\"\nuser = \"@bob\"\n");
    let declared = listed(&workspace, &workspace.run(&JSON).exits(0));
    assert!(!declared.contains_key("postgres.database.@old") && !declared.contains_key("postgres.role.@bob"));
    workspace.remove("specs/old.toml");

    // More ACLs of a principal of ours are drift.
    let prefix = &workspace.prefix;
    let more =
        acl(&format!("User:{prefix}a"), Binding::allow("topic", &format!("{prefix}legacy.orders"), false, "read"));
    kafka(async |admin| {
        admin.create_acls(&[more]).await.unwrap();
        settled(admin).await;
    });
    let drifted = workspace.run(&JSON).exits(2);
    assert!(!listed(&workspace, &drifted).contains_key("kafka.acl.@a"), "{}", drifted.stdout);
    workspace.converge();

    drop(others);
    assert_eq!(listed(&workspace, &workspace.run(&JSON).exits(0)), BTreeMap::new());
}

#[test]
fn a_service_that_has_nothing_of_ours_is_not_contacted() {
    let mut workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.converge();
    workspace.set("NORNPLAN_KAFKA_BROKERS", "127.0.0.1:1");
    workspace.set("NORNPLAN_POSTGRES_PORT", "1");
    workspace.run(&["drift", "--unmanaged"]).exits(0).says("Not managed").says("No drift.");
    // As soon as one is declared there it is, and what cannot be read is no empty list.
    workspace.spec("b", "app = \"@b\"\n[services.events]\ntopics = [\"@b.x\"]\n");
    workspace.run(&["drift", "--unmanaged"]).exits(1).says("INCOMPLETE").says("Kafka at 127.0.0.1:1");
    workspace.remove("specs/b.toml");
}
