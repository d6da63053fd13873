//! Names that were somebody else's: what of theirs an app may get, and when.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::kafka_hand::{admin_of, produce, reads, set_credential, signs_in};
use common::servers::{block_on, kafka_admin, kafka_as};
use nornplan::services::kafka::client::native::NewTopic;

const PAY: &str = "app = \"@pay\"\n[services.events]\ntopics = [\"@pay.in\"]\n";
const ATTACKER: &str = "a-password-of-somebody";

/// How many ACLs a user has.
fn acls_of(user: &str) -> usize {
    block_on(admin_of(&kafka_admin()).describe_acls(Some(&format!("User:{user}")))).unwrap().len()
}

#[test]
fn a_user_that_somebody_made_beforehand_gets_no_acls_while_his_password_works() {
    let workspace = Workspace::new();
    let (user, topic) = (format!("{}pay", workspace.prefix), format!("{}pay.in", workspace.prefix));
    set_credential(&kafka_admin(), &user, "SCRAM-SHA-512", 4096, ATTACKER);
    let attacker = kafka_as(&user, ATTACKER);
    workspace.spec("pay", PAY);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says("whoever made it knows its password").says("it gets no more ACLs before a new one is set");
    plan.says(&format!("1 held: --allow-interrupt kafka.user.{user}"));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(acls_of(&user), 0);
    produce(&kafka_admin(), &topic, 1, 10);
    assert!(signs_in(&attacker) && reads(&attacker, &topic, 0, 1).is_err());

    let applied = workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.user.@pay"]).exits(0).flat();
    let at = |what: &str| applied.stderr.find(&format!("{what}.{user}")).expect(what);
    assert!(at("kafka.user") < at("kafka.acl"), "{}", applied.stderr);
    assert!(!signs_in(&attacker) && acls_of(&user) > 0);
    let own = kafka_as(&user, &workspace.published("@pay", "KAFKA_PASSWORD"));
    reads(&own, &topic, 0, 1).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");

    // An app that works has more topics while its password is new, and with a state that was lost.
    workspace.spec("pay", &PAY.replace("pay.in\"", "pay.in\", \"@pay.out\""));
    workspace.remove("state/default.json");
    workspace.converge();
    workspace.run(&["rotate", "@pay", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_strangers_user_of_another_mechanism_loses_that_before_it_gets_acls() {
    let workspace = Workspace::new();
    let user = format!("{}pay", workspace.prefix);
    set_credential(&kafka_admin(), &user, "SCRAM-SHA-256", 4096, ATTACKER);
    workspace.spec("pay", PAY);
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(acls_of(&user), 0);
    let applied = workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0).flat();
    let removed = applied.stderr.find("former mechanism removed");
    let given = applied.stderr.find(&format!("kafka.acl.{user}"));
    assert!(removed.zip(given).is_some_and(|(removed, given)| removed < given), "{}", applied.stderr);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

const VAN: &str = "app = \"@van\"\n[services.events]\ntopics = [\"@van.secret\", \"@vanroot\"]\n";

#[test]
fn what_a_vanished_app_left_behind_goes_to_another_one_by_consent_alone() {
    let workspace = Workspace::new();
    let secret = format!("{}van.secret", workspace.prefix);
    workspace.spec("van", VAN);
    workspace.spec("evil", "app = \"@evil\"\n[services.events]\n");
    workspace.among_others(12);
    workspace.converge();
    produce(&kafka_admin(), &secret, 1, 10);
    workspace.remove("specs/van.toml");
    let evil = kafka_as(&format!("{}evil", workspace.prefix), &workspace.published("@evil", "KAFKA_PASSWORD"));
    for (line, reached) in [
        ("prefix = \"@van.\"", "topic @van.secret;"),
        ("external = [\"@van.secret\"]", "topic @van.secret;"),
        ("groups = [\"@van\"]", "group @van;"),
        ("transactional_ids = [\"@van.x\"]", "transactional id @van.*;"),
    ] {
        workspace.spec("evil", &format!("app = \"@evil\"\n[services.events]\n{line}\n"));
        workspace.run(&["validate"]).exits(0);
        let named = |text: &str| text.replace('@', &workspace.prefix);
        let plan = workspace.run(&["plan"]).exits(0).flat().says(&named(reached));
        plan.says(&named("it reaches what is @van's until now")).says(&named("--allow-interrupt kafka.acl.@evil"));
        // An app alone does not see less: then the other one may have its infraspec in another checkout.
        workspace
            .run(&["plan", "--app", "@evil"])
            .exits(1)
            .complains(&named("@van"))
            .complains("(in the state, with no infraspec here)");
        workspace.run(&["apply", "--auto-approve"]).exits(0);
        assert!(reads(&evil, &secret, 0, 1).is_err(), "{line}");
    }
    workspace.spec("evil", "app = \"@evil\"\n[services.events]\nprefix = \"@van.\"\n");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.acl.@evil"]).exits(0);
    reads(&evil, &secret, 0, 1).unwrap();
    // Consent was given: what is taken away by hand is put back.
    workspace.run(&["plan"]).exits(0).flat().hides("it reaches what is");
}

#[test]
fn topics_of_nobody_under_a_prefix_and_what_goes_on_under_a_users_name_are_told() {
    let workspace = Workspace::new();
    let payroll = format!("{}corp.payroll", workspace.prefix);
    let admin = admin_of(&kafka_admin());
    let config = std::collections::BTreeMap::new();
    let new = NewTopic { name: &payroll, partitions: Some(1), replication: Some(1), config: &config };
    assert!(block_on(admin.create_topics(&[new], false)).unwrap().iter().all(Result::is_ok));
    produce(&kafka_admin(), &payroll, 3, 10);
    workspace.spec("corp", "app = \"@corp\"\n[services.events]\ninternal_topics = true\nprefix = \"@corp.\"\n");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let told = format!("that no infraspec declares, and its user may read, write, delete there, too: {payroll}");
    let plan = plan.says("1 topic lies under").says(&told).says("widens access");
    let plan = plan.says(&format!("new users ({}corp): where one of that name was deleted before", workspace.prefix));
    plan.says("its open sessions (connections.max.reauth.ms is 0)");
    workspace.converge();
    workspace.run(&["plan"]).exits(0).flat().hides("new users (");
    // Declared by its name it is the app's, with what is in it.
    let corp = "app = \"@corp\"\n[services.events]\ninternal_topics = true\nprefix = \"@corp.\"\ntopics = [\"@corp.payroll\"]\n";
    workspace.spec("corp", corp);
    let plan = workspace.run(&["plan"]).exits(0).flat().says("it holds at most 3 messages");
    plan.says("already as declared");
    assert!(block_on(admin.delete_topics(&[&payroll])).unwrap().iter().all(Result::is_ok));
}
