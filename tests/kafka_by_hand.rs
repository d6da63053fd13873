//! What people change by hand on Kafka is found by `drift`, and put right by the next apply where it can be.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_client::{ADMIN, Client};
use common::{Workspace, service};
use serde_json::json;

const ORDERS: &str = "app = \"@shop\"\n[services.events]\ntopics = [{ name = \"@.orders\", partitions = 2, config = { \"retention.ms\" = \"1d\" } }]\n";

#[test]
fn what_is_changed_by_hand_is_drift_and_is_repaired_where_it_can_be() {
    let (client, here) = (Client::start(), Workspace::new());
    here.spec("shop", ORDERS);
    here.converge();
    let (user, topic) = (format!("{}shop", here.prefix), format!("{}.orders", here.prefix));
    let declared = client.everything(&here.prefix);
    here.run(&["drift"]).exits(0).says("No drift.");
    let acl = |operation: u8| {
        json!({ "resource_type": 2, "resource_name": topic, "resource_pattern_type": 3,
            "principal": format!("User:{user}"), "host": "*", "operation": operation, "permission_type": 3 })
    };
    let filter = json!({ "resource_type_filter": 2, "resource_name_filter": topic, "pattern_type_filter": 3,
        "principal_filter": format!("User:{user}"), "host_filter": null, "operation": 3, "permission_type": 3 });
    let config = json!({ "name": "retention.ms", "config_operation": 0, "value": "1000" });
    let config = json!({ "resources": [{ "resource_type": 2, "resource_name": topic, "configs": [config] }] });
    let removal = json!({ "deletions": [{ "name": user, "mechanism": 2 }], "upsertions": [] });
    for (api, body, address) in [
        ("IncrementalAlterConfigs", config, format!("kafka.topic.{topic}")),
        ("CreateAcls", json!({ "creations": [acl(6)] }), format!("kafka.acl.{user}")),
        ("DeleteAcls", json!({ "filters": [filter] }), format!("kafka.acl.{user}")),
        ("AlterUserScramCredentials", removal, format!("kafka.user.{user}")),
    ] {
        assert_eq!(client.sends(ADMIN, api, &body).0, [0], "{api}");
        soon(&here, 2);
        let drift = here.run(&["drift"]).exits(2).says(&address);
        assert!(drift.last_line().starts_with("Drift: 1 of "), "{api}: {}", drift.stdout);
        here.run(&["plan", "--detailed-exitcode"]).exits(2).says(&address);
        here.converge();
        here.run(&["drift"]).exits(0).says("No drift.");
        assert_eq!(client.everything(&here.prefix), declared, "{api}");
    }

    // Another password: its iterations do not tell it, a sign-in does; the next one is the app's own again.
    let set = json!({ "user": user, "password": "by-hand" });
    client.does(ADMIN, "set_password", set).expect("a password");
    let brokers = service("NORNPLAN_KAFKA_BROKERS");
    let signs_in = |password: &str| client.knocks(&brokers, Some(&user), password, "SCRAM-SHA-512") == Some(0);
    while !signs_in("by-hand") {}
    here.run(&["drift"])
        .exits(2)
        .says(&format!("kafka.user.{user}"))
        .says("does not sign in")
        .says("plan --probe-credentials");
    let consent = ["apply", "--auto-approve", "--probe-credentials", "--allow-interrupt", "all"];
    here.run(&consent).exits(0);
    assert!(signs_in(&here.published("@shop", "KAFKA_PASSWORD")) && !signs_in("by-hand"));
    here.run(&["drift"]).exits(0).says("No drift.");

    // Partitions cannot be taken away: it is said what to do, and nothing else waits for it.
    let grown = json!({ "topics": [{ "name": topic, "count": 3 }], "timeout_ms": 9000 });
    assert_eq!(client.sends(ADMIN, "CreatePartitions", &grown).0, [0]);
    soon(&here, 2);
    here.run(&["drift"]).exits(2).says(&format!("kafka.topic.{topic}"));
    here.run(&["plan"]).exits(0).flat().says("take partitions away").says("declare 3");
    here.spec("shop", &ORDERS.replace("partitions = 2", "partitions = 3"));
    here.converge();
    here.run(&["drift"]).exits(0).says("No drift.");
}

/// A broker may see a change by hand a moment later than it answered for it.
#[track_caller]
fn soon(here: &Workspace, code: i32) {
    for _ in 0..50 {
        if here.run(&["drift"]).code == code {
            return;
        }
    }
    panic!("drift never ends with {code}");
}
