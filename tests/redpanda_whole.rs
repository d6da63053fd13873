//! nornplan as a user runs it, on what stands in for a Redpanda (see tests/common/redpanda.rs): which way users are made,
//! and what is told of it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_kafka::PASSWORD;
use common::redpanda::Standin;
use std::sync::atomic::Ordering;

const USERS: &str = "/v1/security/users";

#[test]
fn users_are_made_wherever_the_broker_has_them() {
    let redpanda = Standin::start();
    let mut workspace = Workspace::new();
    redpanda.serve(&mut workspace, true);
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\ntopics = [\"@.orders\"]\n");
    let user = format!("{}shop", workspace.prefix);
    let only = ["--service", "kafka", "--service", "secret"];
    let plan = |more: &[&str]| workspace.run(&[&["plan"], &only[..], more].concat());

    // It is recognised by the cluster's id, and its version comes from the Admin API.
    plan(&[]).exits(0).says("Redpanda 24.3.1").hides("is not known").hides("is open").hides(PASSWORD);
    assert!(redpanda.heard().iter().all(|call| !call.starts_with("PUT") && !call.starts_with("DELETE")));
    workspace.converge();
    assert_eq!(redpanda.users(), std::slice::from_ref(&user));
    let calls = redpanda.heard();
    assert!(calls.contains(&format!("POST {USERS}")), "{calls:?}");
    plan(&["--probe-credentials", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace
        .run(&["doctor"])
        .flat()
        .says("answers: Redpanda, cluster redpanda.3f2a6c1e")
        .says("users are made by the Admin API: the Kafka API has no calls for them")
        .says("Redpanda 24.3.1")
        .says("lets admin in as a superuser")
        .says("authorization is on: ACLs isolate apps")
        .hides(PASSWORD);

    // Before 26.1 it does not tell when a password was set, so only a sign-in shows one that was set by hand.
    redpanda.change_password(&user, "set-by-hand-1");
    plan(&["--detailed-exitcode"]).exits(0).says("No changes.");
    plan(&["--probe-credentials", "--detailed-exitcode"]).exits(2);
    redpanda.heard();
    let applied = ["apply", "--auto-approve", "--probe-credentials", "--allow-interrupt", "all"];
    workspace.run(&applied).exits(0).hides("set-by-hand");
    assert!(redpanda.heard().contains(&format!("PUT {USERS}/{user}")));
    plan(&["--probe-credentials", "--detailed-exitcode"]).exits(0);

    // From 26.1 on it tells.
    redpanda.manner.tells_times.store(true, Ordering::Relaxed);
    workspace.run(&["rotate", "@shop", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    plan(&["--detailed-exitcode"]).exits(0).says("No changes.");
    redpanda.change_password(&user, "set-by-hand-2");
    plan(&["--detailed-exitcode"]).exits(2).says(&format!("kafka.user.{user}"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    plan(&["--detailed-exitcode"]).exits(0).says("No changes.");

    // An Admin API that lets everybody in is the loudest alarm.
    redpanda.manner.open.store(true, Ordering::Relaxed);
    plan(&[]).flat().says("is open: whoever reaches it is a superuser there");
    workspace.run(&["doctor"]).flat().says("is open: whoever reaches it is a superuser there");
    redpanda.manner.open.store(false, Ordering::Relaxed);

    // Without it, what is not known is said, and users cannot be read at all.
    redpanda.serve(&mut workspace, false);
    let plan = |more: &[&str]| workspace.run(&[&["plan"], &only[..], more].concat());
    plan(&[]).exits(1).flat().complains("set kafka.admin_url");
    workspace.run(&["doctor"]).flat().says("users cannot be made").says("whether Redpanda checks ACLs is not known");

    // A Redpanda that has users in its Kafka API needs no Admin API for them.
    redpanda.manner.kafka_has_users.store(true, Ordering::Relaxed);
    plan(&["--detailed-exitcode"])
        .exits(0)
        .flat()
        .says("whether Redpanda checks ACLs is not known")
        .says("No changes.");
    workspace.run(&["doctor"]).flat().says("users are made by the Kafka API");

    // What the workspace says wins over what the cluster's id says.
    workspace.set("NORNPLAN_KAFKA_FLAVOR", "kafka");
    workspace.set("NORNPLAN_KAFKA_ADMIN_URL", &redpanda.url());
    redpanda.heard();
    workspace
        .run(&["doctor"])
        .flat()
        .says("answers: Kafka, cluster redpanda.")
        .says("kafka.flavor says Kafka, and the cluster's id says Redpanda")
        .says("kafka.admin_url is set, and this is no Redpanda: it is not used");
    assert!(redpanda.heard().is_empty());
    workspace.set("NORNPLAN_KAFKA_FLAVOR", "redpanda");
    redpanda.manner.kafka_has_users.store(false, Ordering::Relaxed);
    workspace.run(&["doctor"]).flat().says("kafka.flavor says Redpanda, as the cluster's id does");

    workspace
        .run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"])
        .exits(0);
    assert_eq!(redpanda.users(), Vec::<String>::new());
    assert!(redpanda.heard().contains(&format!("DELETE {USERS}/{user}")));
}
