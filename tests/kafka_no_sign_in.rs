//! A Kafka over TLS, one that lets everybody in, one that asks for certificates alone, one without an authorizer: what is
//! managed there, what is said and published, and what becomes of users and ACLs when a workspace goes there and back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_kafka::{Access, OwnKafka, PASSWORD, Setup};
use common::own_postgres::free_port;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

const SHOP: &str = "app = \"@shop\"\n[services.events]\ntopics = [{ name = \"@.orders\", partitions = 2 }]\n";
const OTHER: &str = "app = \"@other\"\n[services.events]\ntopics = [\"@.other\"]\n";
const OPEN: &str = "lets everybody in without a sign-in (kafka.mechanism = \"none\"): Kafka isolates no app from any other; \
                    only topics are made, and no users and ACLs";

/// The names in an app's file, in order.
fn names(workspace: &Workspace, app: &str) -> Vec<String> {
    let text = workspace.secrets(app).replace(&workspace.prefix.to_uppercase(), "PREFIX");
    let mut names: Vec<String> = text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    names.sort();
    names
}

/// Has runs come in by another way.
fn by(workspace: &mut Workspace, port: u16, mechanism: &str) {
    workspace.set("NORNPLAN_KAFKA_BROKERS", &format!("127.0.0.1:{port}"));
    workspace.set("NORNPLAN_KAFKA_MECHANISM", mechanism);
    workspace.set("NORNPLAN_KAFKA_TLS", "false");
}

/// The topics that the app sees who signs in with what is published, as its client library would.
fn seen(kafka: &OwnKafka, workspace: &Workspace) -> Vec<String> {
    let published = |name: &str| workspace.published("@shop", name);
    let mut config = kafka.client_as(&published("KAFKA_USERNAME"), &published("KAFKA_PASSWORD"));
    config.set("bootstrap.servers", published("KAFKA_BOOTSTRAP_SERVERS"));
    config.set("security.protocol", published("KAFKA_SECURITY_PROTOCOL"));
    config.set("sasl.mechanism", published("KAFKA_SASL_MECHANISM"));
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).unwrap();
    metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
}

#[test]
fn there_and_back() {
    let (open, mutual) = (free_port(), free_port());
    let kafka = Setup::new(Access::ScramOverTls)
        .listener("open", "PLAINTEXT", open)
        .listener("mutual", "SSL", mutual)
        .lines("listener.name.mutual.ssl.client.auth=required")
        .lines("super.users=User:admin;User:CN=admin;User:ANONYMOUS")
        .start();
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    workspace.spec("shop", SHOP);

    // Over TLS, with a sign-in.
    workspace.converge().hides(PASSWORD);
    let all = [
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_BROKERS",
        "KAFKA_PASSWORD",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_TOPICS",
        "KAFKA_TOPIC_PREFIX_ORDERS",
        "KAFKA_USERNAME",
    ];
    assert_eq!(names(&workspace, "@shop"), all);
    assert_eq!(workspace.published("@shop", "KAFKA_SECURITY_PROTOCOL"), "SASL_SSL");
    assert_eq!(seen(&kafka, &workspace), [format!("{}.orders", workspace.prefix)]);
    workspace
        .run(&["doctor"])
        .exits(0)
        .says("signed in as admin by SCRAM-SHA-512 over TLS")
        .says("an authorizer is on");
    let password = workspace.published("@shop", "KAFKA_PASSWORD");
    workspace.set("NORNPLAN_KAFKA_PUBLIC_BROKERS", "kafka.internal:9093");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(workspace.published("@shop", "KAFKA_BROKERS"), "kafka.internal:9093");

    // To a listener that lets everybody in: users and ACLs stay as they are, in the state and on the broker.
    workspace.set("NORNPLAN_KAFKA_PUBLIC_BROKERS", &format!("127.0.0.1:{}", kafka.port(0)));
    by(&mut workspace, open, "none");
    workspace.set("NORNPLAN_KAFKA_CA_FILE", "");
    let left = "the state has 1 user and ACLs of 1 user: while kafka.mechanism = \"none\" they are not read, and stay as they \
                are, here and on the broker";
    workspace
        .run(&["plan"])
        .flat()
        .exits(0)
        .says(OPEN)
        .says("ALARM Kafka")
        .says(left)
        .hides("kafka.user")
        .hides("kafka.acl");
    workspace
        .run(&["doctor"])
        .flat()
        .exits(1)
        .says("everybody is let in without a sign-in")
        .hides("an authorizer is on");
    workspace.run(&["drift"]).flat().exits(1).says("kafka.mechanism is \"none\", so this is not read");
    workspace.spec("other", OTHER);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(
        names(&workspace, "@other"),
        ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS", "KAFKA_TOPICS", "KAFKA_TOPIC_PREFIX_OTHER"]
    );
    workspace.run(&["state", "list"]).exits(0).says("kafka.user.").says("kafka.acl.");

    // And back: nothing was lost, the password is the same, and what was added gets its user and ACLs.
    by(&mut workspace, kafka.port(0), "SCRAM-SHA-512");
    workspace.set("NORNPLAN_KAFKA_TLS", "true");
    workspace.set("NORNPLAN_KAFKA_CA_FILE", &kafka.file("authority.crt"));
    workspace.run(&["plan"]).exits(0).hides(&format!("kafka.user.{}shop", workspace.prefix)).says("kafka.user.");
    workspace.converge();
    assert_eq!(names(&workspace, "@shop"), all);
    assert_eq!(workspace.published("@shop", "KAFKA_PASSWORD"), password, "nobody set another");
    assert_eq!(seen(&kafka, &workspace), [format!("{}.orders", workspace.prefix)]);

    by_certificate(&kafka, mutual);
    without_an_authorizer(&kafka, &mut workspace, open);
}

/// Whom a certificate lets in has a principal that no app has: topics are made, and people make the rest.
fn by_certificate(kafka: &OwnKafka, mutual: u16) {
    let mut workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    kafka.serve(&mut workspace);
    by(&mut workspace, mutual, "none");
    workspace.set("NORNPLAN_KAFKA_TLS", "true");
    workspace.set("NORNPLAN_KAFKA_CERT_FILE", &kafka.file("admin.crt"));
    workspace.set("NORNPLAN_KAFKA_KEY_FILE", &kafka.file("admin.key"));
    let said = workspace.converge().flat().hides("ALARM").hides("kafka.user").hides("kafka.acl");
    said.says("a certificate and does not sign in (kafka.mechanism = \"none\"): only topics are made")
        .says("ssl.client.auth");
    let published = ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS", "KAFKA_SECURITY_PROTOCOL", "KAFKA_TOPICS"];
    assert_eq!(names(&workspace, "@shop")[..4], published);
    assert_eq!(workspace.published("@shop", "KAFKA_SECURITY_PROTOCOL"), "SSL");
    workspace.run(&["doctor"]).flat().exits(0).says("is let in by its certificate, and apps have no users");
}

/// ACLs cannot be read, made or deleted: the plan says so of each, and forgets none.
fn without_an_authorizer(kafka: &OwnKafka, workspace: &mut Workspace, open: u16) {
    kafka.add_lines("authorizer.class.name=");
    kafka.restart();
    workspace.spec("new", "app = \"@new\"\n[services.events]\ntopics = [\"@.new\"]\n");
    workspace.remove("specs/other.toml");
    let alarm = "has no authorizer: every user may do everything, and ACLs cannot be kept";
    let plan = workspace.run(&["plan"]).flat().exits(0).says("ALARM").says(alarm);
    let plan = plan.says("the broker has no authorizer, so it keeps no ACLs; set authorizer.class.name on it");
    plan.says("the state has ACLs of 1 user: while there is no authorizer they are not read, and stay as they are");
    workspace.run(&["doctor"]).flat().exits(1).says("there is no authorizer: every user may do everything");
    let applied = workspace.run(&["apply", "--auto-approve"]).exits(1);
    applied.says("Apply incomplete: 3 created, 0 updated, 0 destroyed; 2 blocked, 3 held.");
    let acls = workspace.run(&["state", "list"]).exits(0).stdout.matches("kafka.acl.").count();
    assert_eq!(acls, 2, "of the app that is declared, and of the one that is not");

    // A stock Norn: no sign-in, no authorizer.
    let mut stock = Workspace::new();
    stock.spec("shop", SHOP);
    by(&mut stock, open, "none");
    let said = stock.converge().flat().says("ALARM Kafka").says(OPEN).hides("authorizer");
    said.says("publishes KAFKA_BOOTSTRAP_SERVERS, KAFKA_BROKERS, KAFKA_TOPICS, KAFKA_TOPIC_");
    let file = stock.secrets("@shop");
    assert!(!file.contains("KAFKA_USERNAME") && !file.contains("KAFKA_PASSWORD"), "{file}");
    stock.run(&["doctor"]).exits(1).says("everybody is let in");

    // It comes back, and so does what it kept.
    kafka.add_lines("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    kafka.restart();
    workspace.spec("other", OTHER);
    workspace.converge();
}
