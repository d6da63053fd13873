//! What Kafka's steps hold, and what they do not: nobody who is at work is cut off unasked, and one topic that waits keeps
//! nobody else waiting.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_hand::{Joined, create_acls, credentials, named_by, reads, signs_in};
use common::servers::{block_on, kafka_admin, kafka_as, partitions};
use common::{Ran, Workspace};
use nornplan::services::kafka::client::native::OwnedBinding;
use nornplan::services::kafka::model::Binding;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use std::time::{Duration, Instant};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// How an app signs in with what is published for it.
fn signed_in(workspace: &Workspace, app: &str) -> ClientConfig {
    let value = |name| workspace.published(app, name);
    let mut config = kafka_as(&value("KAFKA_USERNAME"), &value("KAFKA_PASSWORD"));
    config.set("sasl.mechanism", value("KAFKA_SASL_MECHANISM"));
    config
}

/// Produces one message; the error of what was refused.
fn produce(client: &ClientConfig, topic: &str) -> Result<(), RDKafkaErrorCode> {
    block_on(async {
        let producer: FutureProducer = client.clone().set("message.timeout.ms", "8000").create().unwrap();
        let sent = producer.send(FutureRecord::<(), str>::to(topic).payload("x"), Duration::from_secs(8)).await;
        sent.map(drop).map_err(|(error, _)| error.rdkafka_error_code().unwrap())
    })
}

fn by_hand(workspace: &Workspace, user: &str, binding: Binding) {
    let principal = format!("User:{}{user}", workspace.prefix);
    create_acls(&[OwnedBinding { principal, binding }]);
}

/// Whether an ACL is there; the binding as plans write it.
fn has_acl(workspace: &Workspace, user: &str, text: &str) -> bool {
    let admin = common::kafka_hand::admin_of(&kafka_admin());
    let all = block_on(admin.describe_acls(None)).expect("ACLs");
    let principal = format!("User:{}{user}", workspace.prefix);
    all.iter().any(|acl| acl.principal == principal && acl.binding.to_string() == text)
}

/// Plans until something is told: what others do reaches the broker a moment later.
fn plan_says(workspace: &Workspace, text: &str) -> Ran {
    let since = Instant::now();
    loop {
        let plan = workspace.run(&["plan"]).exits(0).flat();
        if plan.stdout.contains(text) || since.elapsed() > Duration::from_secs(15) {
            return plan.says(text);
        }
    }
}

fn few(workspace: &Workspace, topics: &[&str], more: &str) {
    let topics = topics.iter().map(|name| format!("{{ name = \"@.few.{name}\", readers = [\"@rep\"] }}"));
    let topics = topics.collect::<Vec<_>>().join(", ");
    workspace.spec("few", &format!("app = \"@few\"\n[services.events]\ntopics = [{topics}]\n{more}"));
}

#[test]
fn a_topic_that_leaves_its_infraspec_is_used_on_until_it_may_go() {
    let workspace = Workspace::new();
    few(&workspace, &["a", "b", "keep"], "");
    workspace.spec("rep", "app = \"@rep\"\n[services.events]\n");
    workspace.among_others(6);
    workspace.converge();
    let (app, reader) = (signed_in(&workspace, "@few"), signed_in(&workspace, "@rep"));
    let [b, new] = ["b", "new"].map(|name| format!("{}.few.{name}", workspace.prefix));
    produce(&app, &b).unwrap();
    let consumer = Joined::group(&app, &format!("{}few", workspace.prefix), &b);

    // By default, with prevent_destroy, and from a saved plan; while all else is done.
    let goes_on = |messages: usize| {
        produce(&app, &b).unwrap();
        reads(&app, &b, 0, messages).unwrap();
        reads(&reader, &b, 0, messages).unwrap();
    };
    few(&workspace, &["a", "keep"], "[lifecycle]\nprevent_destroy = true\n");
    workspace.run(&APPLY).exits(0).flat().says("held: prevent_destroy in an infraspec");
    goes_on(2);
    few(&workspace, &["a", "keep", "new"], "");
    workspace.run(&["plan", "--out", "saved.json"]).exits(0);
    let applied = workspace.run(&["apply", "saved.json"]).exits(0).flat();
    applied.says(&format!("what it may do to {b} stays as long as that does"));
    goes_on(3);
    produce(&app, &new).unwrap();
    assert!(has_acl(&workspace, "rep", &format!("allow read topic {new}")));
    workspace.run(&APPLY).exits(0).says("held");
    goes_on(4);
    assert_eq!(partitions(&b), 1);

    // What the plan says is enough.
    let flags = format!("--allow-destroy kafka.topic.{b} --allow-interrupt kafka.topic.{b}");
    let plan = plan_says(&workspace, &format!("1 held: {flags}"));
    plan.says(&format!("held: needs --allow-destroy kafka.topic.{b} and --allow-interrupt kafka.topic.{b}"));
    let flags: Vec<&str> = flags.split(' ').collect();
    let one = workspace.run(&[&APPLY[..], &flags[..2]].concat()).exits(0).flat();
    one.says(&format!("needs --allow-interrupt kafka.topic.{b} and --allow-destroy kafka.topic.{b}"));
    goes_on(5);
    workspace.run(&[&APPLY[..], &flags].concat()).exits(0).says("1 destroyed");
    assert_eq!((partitions(&b), named_by(&b)), (0, Vec::new()));
    assert!(consumer.leave() > 0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_renamed_user_works_on_until_it_may_go() {
    let workspace = Workspace::new();
    let shop =
        |line: &str| workspace.spec("shop", &format!("app = \"@shop\"\n[services.events]\ntopics = [\"@.o\"]\n{line}"));
    shop("");
    workspace.among_others(6);
    workspace.converge();
    let (former, topic) = (signed_in(&workspace, "@shop"), format!("{}.o", workspace.prefix));
    shop("user = \"@shop2\"\n");
    let user = format!("kafka.user.{}shop", workspace.prefix);
    workspace.run(&APPLY).exits(0).flat().says(&format!("2 held: --allow-destroy {user}"));
    let new = signed_in(&workspace, "@shop");
    assert_eq!(workspace.published("@shop", "KAFKA_USERNAME"), format!("{}shop2", workspace.prefix));
    for client in [&former, &new] {
        produce(client, &topic).unwrap();
    }
    workspace.run(&[&APPLY[..], &["--allow-destroy", &user]].concat()).exits(0).says("2 destroyed");
    assert!(!signs_in(&former) && !has_acl(&workspace, "shop", &format!("allow write topic {topic}")));
    produce(&new, &topic).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_former_mechanism_works_on_until_it_may_go_and_keeps_nothing_else_waiting() {
    let workspace = Workspace::new();
    let shop =
        |topics: &str| workspace.spec("shop", &format!("app = \"@shop\"\n[services.events]\ntopics = [{topics}]\n"));
    shop("\"@.o\"");
    workspace.converge();
    let (former, user) = (signed_in(&workspace, "@shop"), format!("{}shop", workspace.prefix));
    let [topic, more] = ["o", "more"].map(|name| format!("{}.{name}", workspace.prefix));
    const FILE: &str = "specs = \"specs\"\n[kafka]\nuser_mechanism = \"SCRAM-SHA-256\"\n";
    workspace.write("nornplan.toml", FILE);
    shop("\"@.o\", \"@.more\"");
    let held = format!("1 held: --allow-interrupt kafka.user.{user}");
    workspace.run(&APPLY).exits(0).flat().says(&held).says("clients that still sign in by SCRAM-SHA-512");
    let new = signed_in(&workspace, "@shop");
    assert_eq!(workspace.published("@shop", "KAFKA_SASL_MECHANISM"), "SCRAM-SHA-256");
    for client in [&former, &new] {
        produce(client, &topic).unwrap();
        produce(client, &more).unwrap();
    }
    // It is no drift, it waits still, and a new password does not.
    workspace.run(&["drift"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).flat().says(&held);
    // Whoever goes back meanwhile is told nothing that does not work: the password is that of the new credential.
    workspace.write("nornplan.toml", &FILE.replace("256", "512"));
    workspace.run(&APPLY).exits(0).says("held");
    assert!(signs_in(&former) && signs_in(&new) && signs_in(&signed_in(&workspace, "@shop")));
    workspace.write("nornplan.toml", FILE);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).flat().says(&held);
    workspace.run(&["rotate", "@shop", "--auto-approve"]).exits(0).flat().says(&held);
    assert!(!signs_in(&new) && signs_in(&former) && signs_in(&signed_in(&workspace, "@shop")));
    let user_address = format!("kafka.user.{user}");
    workspace.run(&[&APPLY[..], &["--allow-interrupt", &user_address]].concat()).exits(0);
    assert!(!signs_in(&former) && signs_in(&signed_in(&workspace, "@shop")));
    assert_eq!(credentials(&kafka_admin(), &user).into_keys().collect::<Vec<_>>(), ["SCRAM-SHA-256"]);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_topic_that_waits_keeps_no_acls_waiting() {
    let workspace = Workspace::new();
    let audit = |config: &str| format!("{{ name = \"@.audit\", readers = [\"@rep\"]{config} }}");
    let shop =
        |topics: &str| workspace.spec("shop", &format!("app = \"@shop\"\n[services.events]\ntopics = [{topics}]\n"));
    workspace.among_others(2);
    shop(&format!(
        "{}, \"@.copies\"",
        audit(", config = { \"retention.ms\" = \"7d\" }").replace(", readers = [\"@rep\"]", "")
    ));
    workspace.converge();
    let prefix = &workspace.prefix;
    produce(&signed_in(&workspace, "@shop"), &format!("{prefix}.audit")).unwrap();
    by_hand(&workspace, "shop", Binding::allow("topic", "*", false, "all"));

    // One is held, one cannot be changed and one cannot be made.
    let less = audit(", config = { \"retention.ms\" = \"1d\" }");
    let copies = "{ name = \"@.copies\", partitions = 1, replication = 300 }";
    shop(&format!("{less}, {copies}, \"@.new\", {{ name = \"@.many\", replication = 300 }}"));
    workspace.spec("rep", "app = \"@rep\"\n[services.events]\n");
    workspace.spec(
        "fresh",
        "app = \"@fresh\"\n[services.events]\ntopics = [\"@.fresh\", { name = \"@.bad\", replication = 300 }]\n",
    );
    let applied = workspace.run(&APPLY).exits(1).flat();
    applied
        .says(&format!("1 held: --allow-destroy kafka.topic.{prefix}.audit"))
        .hides("waiting for what is held or blocked");
    assert!(!has_acl(&workspace, "shop", "allow all topic *"), "a hand's ACL goes");
    produce(&signed_in(&workspace, "@shop"), &format!("{prefix}.new")).unwrap();
    reads(&signed_in(&workspace, "@rep"), &format!("{prefix}.audit"), 0, 1).unwrap();
    produce(&signed_in(&workspace, "@fresh"), &format!("{prefix}.fresh")).unwrap();
}

#[test]
fn a_topic_is_published_when_its_app_may_use_it() {
    let workspace = Workspace::new();
    let shop =
        |topics: &str| workspace.spec("shop", &format!("app = \"@shop\"\n[services.events]\ntopics = [{topics}]\n"));
    shop("\"@.old\"");
    workspace.converge();
    let [old, new] = ["old", "new"].map(|name| format!("{}.{name}", workspace.prefix));
    workspace.run(&["state", "forget", "kafka.acl.@shop"]).exits(0);
    by_hand(&workspace, "shop", Binding::allow("group", "*", false, "all"));
    let ad_hoc = Joined::group(&signed_in(&workspace, "@shop"), &format!("{}ad-hoc", workspace.prefix), &old);
    shop("\"@.old\", \"@.new\"");
    // Who is cut off by what is taken from a user that was there before is named.
    let cut_off = format!("group {0}ad-hoc (1 member) reads {old}, which {0}shop may not any more", workspace.prefix);
    let plan = plan_says(&workspace, &cut_off).says("not ours yet");
    let plan = plan.says("published as before until this is done: KAFKA_TOPICS");
    plan.says(&format!("1 held: --allow-interrupt kafka.acl.{}shop", workspace.prefix));
    workspace.run(&APPLY).exits(0);
    assert_eq!(workspace.published("@shop", "KAFKA_TOPICS"), old);
    assert_eq!(produce(&signed_in(&workspace, "@shop"), &new), Err(RDKafkaErrorCode::TopicAuthorizationFailed));
    ad_hoc.leave();
    workspace.run(&[&APPLY[..], &["--allow-interrupt", "kafka.acl.@shop"]].concat()).exits(0);
    assert_eq!(workspace.published("@shop", "KAFKA_TOPICS"), format!("{old},{new}"));
    produce(&signed_in(&workspace, "@shop"), &new).unwrap();
}
