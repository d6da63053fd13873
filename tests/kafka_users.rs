//! SCRAM users of Kafka as people meet them: mechanisms, second credentials, passwords set by hand, renamed users.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::kafka_hand::{credentials, set_credential, signs_in};
use common::own_kafka::{ADMIN, Access, PASSWORD, Setup};
use common::servers::{kafka_admin, kafka_as};
use rdkafka::ClientConfig;
use std::collections::BTreeMap;

const SHOP: &str = "app = \"@shop\"\n[services.events]\ntopics = [\"@.orders\"]\n";

/// How an app signs in with what is published for it.
fn published(workspace: &Workspace, app: &str) -> ClientConfig {
    let value = |name| workspace.published(app, name);
    let mut config = kafka_as(&value("KAFKA_USERNAME"), &value("KAFKA_PASSWORD"));
    config.set("bootstrap.servers", value("KAFKA_BROKERS")).set("sasl.mechanism", value("KAFKA_SASL_MECHANISM"));
    config
}

fn only(mechanism: &str, iterations: u32) -> BTreeMap<String, u32> {
    BTreeMap::from([(mechanism.to_owned(), iterations)])
}

#[test]
fn a_mechanism_changes_and_the_old_credential_goes_last() {
    let workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    workspace.spec("report", "app = \"@report\"\n[services.events]\n");
    workspace.converge();
    let (shop, report) = (format!("{}shop", workspace.prefix), format!("{}report", workspace.prefix));
    assert_eq!(credentials(&kafka_admin(), &shop), only("SCRAM-SHA-512", 4096));

    let file = "specs = \"specs\"\n[kafka]\nuser_mechanism = \"SCRAM-SHA-256\"\niterations = 8192\n";
    workspace.write("nornplan.toml", file);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says("clients that still sign in by SCRAM-SHA-512, with the former password, are refused");
    let plan = plan.says(&format!("held: needs --allow-interrupt kafka.user.{shop}"));
    assert_eq!(plan.stdout.matches("mechanism: SCRAM-SHA-512 -> SCRAM-SHA-256").count(), 2, "{}", plan.stdout);
    let applied = workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.user.@*"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let told = applied.stderr.find("published").zip(applied.stderr.find("former mechanism removed"));
    assert!(told.is_some_and(|(published, removed)| published < removed), "{}", applied.stderr);
    for (app, user) in [("@shop", &shop), ("@report", &report)] {
        assert_eq!(credentials(&kafka_admin(), user), only("SCRAM-SHA-256", 8192));
        assert_eq!(workspace.published(app, "KAFKA_SASL_MECHANISM"), "SCRAM-SHA-256");
        assert!(signs_in(&published(&workspace, app)), "{app}");
    }

    // Only the iterations.
    workspace.write("nornplan.toml", &file.replace("8192", "4096"));
    workspace.converge();
    assert_eq!(credentials(&kafka_admin(), &shop), only("SCRAM-SHA-256", 4096));
    assert!(signs_in(&published(&workspace, "@shop")));
}

#[test]
fn a_second_credential_is_a_way_in_that_is_told_and_removed() {
    let workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    workspace.converge();
    let shop = format!("{}shop", workspace.prefix);
    let second = || set_credential(&kafka_admin(), &shop, "SCRAM-SHA-256", 4096, "a-password-of-somebody");
    second();
    workspace.run(&["drift"]).exits(2).flat().says(&format!("kafka.user.{shop}")).says("more credentials");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says("it has a second way in, SCRAM-SHA-256, with a password that nornplan did not set");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(credentials(&kafka_admin(), &shop), only("SCRAM-SHA-512", 4096));
    assert!(signs_in(&published(&workspace, "@shop")), "its own password stays");

    // On a user that is taken over somebody may rely on it.
    second();
    workspace.remove("state/default.json");
    let flag = format!("--allow-interrupt kafka.user.{shop}");
    workspace.run(&["plan"]).exits(0).flat().says(&flag);
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(credentials(&kafka_admin(), &shop).len(), 2);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.user.@shop"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(credentials(&kafka_admin(), &shop), only("SCRAM-SHA-512", 4096));
    assert!(signs_in(&published(&workspace, "@shop")));
}

#[test]
fn a_password_set_by_hand_is_found_by_signing_in_alone() {
    let workspace = Workspace::new();
    workspace.spec("shop", SHOP);
    workspace.spec("report", "app = \"@report\"\n[services.events]\n");
    workspace.converge();
    let shop = format!("{}shop", workspace.prefix);
    workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["drift"]).exits(0).says("No drift.");
    set_credential(&kafka_admin(), &shop, "SCRAM-SHA-512", 4096, "a-password-of-somebody");

    // Brokers tell mechanism and iterations, and these are the same.
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let probing = workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(2).flat();
    let probing = probing.says(&format!("kafka.user.{shop}")).says("the published credential does not sign in");
    probing
        .says(&format!("--allow-interrupt kafka.user.{shop}"))
        .hides(&format!("kafka.user.{}report", workspace.prefix));
    workspace.run(&["drift"]).exits(2).flat().says(&format!("kafka.user.{shop}")).hides("a-password-of-somebody");
    let before = workspace.published("@shop", "KAFKA_PASSWORD");
    assert!(!signs_in(&published(&workspace, "@shop")));
    let repair = ["apply", "--probe-credentials", "--auto-approve", "--allow-interrupt", "kafka.user.@shop"];
    workspace.run(&repair).exits(0).hides("a-password-of-somebody").hides(&before);
    assert_ne!(workspace.published("@shop", "KAFKA_PASSWORD"), before);
    assert!(signs_in(&published(&workspace, "@shop")));
    workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_renamed_user_works_before_the_former_one_goes() {
    let workspace = Workspace::new();
    let spec = |user: &str| {
        let topics = "topics = [{ name = \"@.orders\", readers = [\"@report\"] }]";
        workspace.spec("shop", &format!("app = \"@shop\"\n[services.events]\nuser = \"{user}\"\n{topics}\n"));
    };
    spec("@z");
    workspace.spec("report", "app = \"@report\"\n[services.events]\n");
    workspace.converge();
    let former = published(&workspace, "@shop");
    spec("@b");
    workspace.run(&["plan"]).exits(0).flat().says(&format!("--allow-destroy kafka.user.{}z", workspace.prefix));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    let now = published(&workspace, "@shop");
    assert_eq!(workspace.published("@shop", "KAFKA_USERNAME"), format!("{}b", workspace.prefix));
    assert!(signs_in(&now), "the new user");
    assert!(signs_in(&former), "the former one is held until somebody lets it go");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "kafka.user.@z"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert!(signs_in(&now) && !signs_in(&former));

    // In one go: nobody is without a login for a moment.
    spec("@c");
    let applied = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    let at = |text: &str| applied.stderr.find(text).unwrap_or_else(|| panic!("no {text:?} in {}", applied.stderr));
    let of = |kind: &str, user: &str, done: &str| at(&format!("kafka.{kind}.{}{user}: {done}", workspace.prefix));
    let published = at(&format!("secret.{}shop: published", workspace.prefix));
    assert!(of("user", "c", "created") < of("acl", "c", "created") && of("acl", "c", "created") < published);
    assert!(published < of("acl", "b", "destroyed") && of("acl", "b", "destroyed") < of("user", "b", "destroyed"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn an_admin_that_signs_in_by_plain_makes_scram_users_and_says_how_long_sessions_live() {
    let kafka = Setup::new(Access::Scram)
        .lines("listener.name.apps.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN")
        .lines(&format!(
            "listener.name.apps.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{ADMIN}=\"{PASSWORD}\";"
        ))
        .lines("connections.max.reauth.ms=60000\ndelegation.token.secret.key=a-key-of-a-test")
        .start();
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    workspace.set("NORNPLAN_KAFKA_MECHANISM", "PLAIN");
    workspace.spec("shop", SHOP);
    workspace.converge();
    assert_eq!(workspace.published("@shop", "KAFKA_SASL_MECHANISM"), "SCRAM-SHA-512");
    assert!(signs_in(&published(&workspace, "@shop")));
    workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.remove("specs/shop.toml");
    workspace.spec("other", "app = \"@other\"\n[services.events]\n");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says("sessions that are open go on for at most 60 s").says("delegation tokens that it made for itself");
    // Where the broker's users are looked after by people, none is planned.
    workspace.set("NORNPLAN_KAFKA_USER_MECHANISM", "none");
    workspace.run(&["plan"]).exits(0).hides(&format!("kafka.user.{}other", workspace.prefix));
}
