//! What deleting topics of Kafka loses and whom it meets is told before, and ACLs never outlive their topics.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::kafka_hand::{Joined, create_acls, delete_acls, named_by, produce, reads};
use common::servers::{kafka_as, partitions};
use nornplan::services::kafka::client::native::OwnedBinding;
use nornplan::services::kafka::model::Binding;
use rdkafka::ClientConfig;
use std::time::{Duration, Instant};

const SHOP: &str = "app = \"@shop\"\n[services.events]\ntopics = [\
    { name = \"@.orders\", partitions = 2, readers = [\"@report\"] }, \"@.paid\"]\n";
const REPORT: &str = "app = \"@report\"\n[services.events]\ntopics = [\"@.reports\"]\n";

fn signed_in(workspace: &Workspace, app: &str) -> ClientConfig {
    kafka_as(&workspace.published(app, "KAFKA_USERNAME"), &workspace.published(app, "KAFKA_PASSWORD"))
}

/// Two apps, one of which reads a topic of the other, among many.
fn living() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    workspace.spec("report", REPORT);
    workspace.among_others(12);
    workspace.converge();
    workspace
}

fn legacy(workspace: &Workspace) -> OwnedBinding {
    let binding = Binding::allow("topic", &format!("{}.orders", workspace.prefix), false, "read");
    OwnedBinding { principal: format!("User:{}legacy", workspace.prefix), binding }
}

/// Plans until something is told, and nothing is left open: what others do reaches the broker a moment later.
fn plan_says(workspace: &Workspace, text: &str) -> common::Ran {
    let since = Instant::now();
    loop {
        let plan = workspace.run(&["plan"]).exits(0).flat();
        let is_all_known = !plan.stdout.contains("not known:");
        if plan.stdout.contains(text) && is_all_known || since.elapsed() > Duration::from_secs(60) {
            return plan.says(text).hides("not known:");
        }
    }
}

#[test]
fn what_a_topic_holds_and_who_reads_it_is_told_before_it_goes() {
    let workspace = living();
    let (shop, report) = (signed_in(&workspace, "@shop"), signed_in(&workspace, "@report"));
    let prefix = &workspace.prefix;
    let (orders, paid) = (format!("{prefix}.orders"), format!("{prefix}.paid"));
    produce(&shop, &orders, 1_200, 1_000);
    let consumer = Joined::group(&shop, &format!("{prefix}shop"), &orders);
    let reader = Joined::group(&report, &format!("{prefix}report.daily"), &orders);
    let foreign = legacy(&workspace);
    create_acls(std::slice::from_ref(&foreign));

    workspace.remove("specs/shop.toml");
    plan_says(&workspace, &format!("{prefix}shop (read to the end, 1 consumer now)"));
    let plan = plan_says(&workspace, &format!("{prefix}report.daily (read to the end, 1 consumer now)"));
    assert!(reader.leave() > 0, "the reader reads");
    let plan = plan
        .says("holds at most 1,200 messages, about 1.1 MiB before compression; the last one is of 20")
        .says("holds no messages")
        .says(&format!("stop these consumers first, or have them cut off by --allow-interrupt kafka.topic.{orders}"))
        .says(&format!("ACLs that no infraspec declares name it and stay: User:{prefix}legacy (read)"))
        .says("without its ACLs they may do nothing any more")
        .says("offsets.retention.minutes");
    // Nothing of the app goes without consent, and what it let others read is a part of that.
    plan.says(&format!("what it may do to {orders} stays as long as that does"));
    let json = workspace.run(&["plan", "--format", "json"]).exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let items = json["resources"].as_array().expect("resources");
    let step = items.iter().find(|step| step["address"] == format!("kafka.topic.{orders}")).expect("a step");
    assert!(step["notes"][0].as_str().is_some_and(|note| note.starts_with("holds at most 1,200 messages")), "{step}");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!((partitions(&orders), partitions(&paid)), (2, 1));
    reads(&report, &orders, 0, 1).expect("the reader reads on");

    // Somebody is there, so consent to the destroying is not enough.
    let destroy = ["apply", "--auto-approve", "--allow-destroy", "kafka.*", "--allow-destroy", "secret.*"];
    workspace.run(&destroy).exits(0).flat().says(&format!("--allow-interrupt kafka.topic.{orders}"));
    assert_eq!((partitions(&orders), partitions(&paid)), (2, 1));
    produce(&shop, &orders, 1, 10);
    reads(&report, &orders, 0, 1).expect("the reader reads as long as there is something");
    consumer.leave();
    plan_says(&workspace, &format!("{prefix}shop (read to the end, no consumers now)"));
    let ended = workspace.run(&destroy).exits(0);
    assert_eq!(partitions(&orders), 0, "{}", ended.stdout);
    assert_eq!(named_by(&orders), [format!("User:{prefix}legacy")], "only what is not ours names it");
    assert_eq!(named_by(&paid), Vec::<String>::new());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    delete_acls(&[foreign]);
}

#[test]
fn acls_of_readers_go_first_and_those_that_a_run_leaves_out_are_told() {
    let workspace = living();
    let orders = format!("{}.orders", workspace.prefix);
    // The owner takes one topic away: whoever read it may not any more, and then it goes.
    workspace.spec("shop", "app = \"@shop\"\n[services.events]\ntopics = [\"@.paid\"]\n");
    let taken = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "kafka.topic.@.orders"]).exits(0);
    let at = |text: &str| taken.stderr.find(text).unwrap_or_else(|| panic!("no {text:?} in {}", taken.stderr));
    let gone = at(&format!("kafka.topic.{orders}: destroyed"));
    for app in ["shop", "report"] {
        assert!(at(&format!("kafka.acl.{}{app}: updated", workspace.prefix)) < gone, "{}", taken.stderr);
    }
    assert_eq!((named_by(&orders), partitions(&orders)), (Vec::new(), 0));

    workspace.spec("shop", SHOP);
    workspace.converge();
    let destroy = ["destroy", "--app", "@shop", "--auto-approve", "--allow-destroy", "all"];
    let told =
        format!("ACLs of apps that this run leaves out name it and stay: User:{}report (describe", workspace.prefix);
    workspace.run(&destroy).exits(0).flat().says(&told);
    assert_eq!((named_by(&orders), partitions(&orders)), (vec![format!("User:{}report", workspace.prefix)], 0));
    workspace.remove("specs/shop.toml");
    workspace.converge();
    assert_eq!(named_by(&orders), Vec::<String>::new());
}

#[test]
fn what_a_topic_holds_is_told_before_it_keeps_less() {
    let workspace = living();
    let orders = format!("{}.orders", workspace.prefix);
    produce(&signed_in(&workspace, "@shop"), &orders, 30, 10);
    let less = SHOP.replace("partitions = 2", "partitions = 2, config = { \"retention.ms\" = \"1h\" }");
    workspace.spec("shop", &less);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says("it holds at most 30 messages").says(&format!("kafka.topic.{orders}"));
    plan.says("loses data").hides("all its messages are lost");
}
