//! Ways round the ACLs of apps: what has no ACL and is everybody's, super users, listeners and mechanisms beside the
//! passwords that nornplan keeps, and ACLs of strangers that come to the same. None of them goes unnoticed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_kafka::{ADMIN, Access, OwnKafka, PASSWORD, Setup, jars};
use common::own_postgres::free_port;
use common::servers::block_on;
use common::settled::settled;
use common::{Ran, Workspace};
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::OwnedBinding;
use nornplan::services::kafka::client::trouble::Trouble;
use nornplan::services::kafka::model::Binding;
use std::process::{Command, Stdio};

const OPEN: &str = "(allow.everyone.if.no.acl.found is true)";
const UNKNOWN: &str = "whether who signs in may use what has no ACL (allow.everyone.if.no.acl.found) is not known";
const ISOLATED: &str = "ACLs isolate apps";
const MAIL: &str = "app = \"mail\"\n[services.events]\ntopics = [\"mail.in\"]\n";
const ORDERS: &str = "app = \"orders\"\n[services.events]\ntopics = [\"orders.new\"]\n";
/// An app whose user is one of super.users.
const EVIL: &str = "app = \"evil2\"\n[services.events]\nuser = \"broker\"\ntopics = [\"evil.in\"]\n";

/// ACLs as `User:x allow read topic y`.
fn owned(texts: &[&str]) -> Vec<OwnedBinding> {
    let owned = |text: &&str| {
        let (principal, binding) = text.split_once(' ').unwrap();
        OwnedBinding { principal: principal.to_owned(), binding: Binding::try_from(binding.to_owned()).unwrap() }
    };
    texts.iter().map(owned).collect()
}

/// Does something while there are some more ACLs.
fn with(kafka: &OwnKafka, acls: &[&str], work: impl FnOnce()) {
    let (admin, acls) = (Admin::new(&kafka.client()).unwrap(), owned(acls));
    let all_well = |results: Vec<Result<(), Trouble>>| assert!(results.iter().all(Result::is_ok), "{results:?}");
    if !acls.is_empty() {
        all_well(block_on(admin.create_acls(&acls)).unwrap());
        block_on(settled(&admin));
    }
    work();
    if !acls.is_empty() {
        all_well(block_on(admin.delete_acls(&acls)).unwrap());
    }
}

fn at(kafka: &OwnKafka) -> Workspace {
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    workspace
}

/// The app's user is set, and proves to be a super user: it gets nothing more.
#[track_caller]
fn refuses_evil(workspace: &Workspace) {
    workspace.spec("evil", EVIL);
    let applied = workspace.run(&["apply", "--auto-approve"]).flat().exits(1);
    let applied = applied.says("broker may do everything to every app, whatever ACLs say, as super.users may");
    applied.says("take it out of super.users").says("its password is not published");
    assert!(!workspace.path("secrets/evil2.env").exists(), "it is not published");
    workspace.remove("specs/evil.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}

#[test]
fn what_has_no_acl_and_is_everybodys_is_told_from_the_first_sign_in_on() {
    let lines = "allow.everyone.if.no.acl.found=true\nsuper.users=User:admin;User:broker";
    let kafka = Setup::new(Access::Scram).lines(lines).start();
    let workspace = at(&kafka);
    workspace.spec("mail", MAIL);
    workspace.run(&["plan"]).flat().exits(0).says(&format!("{UNKNOWN} until the first app has signed in"));
    workspace.run(&["doctor"]).flat().says(UNKNOWN).hides(ISOLATED);
    // Nobody has any ACL yet: super users are told from everybody all the same.
    refuses_evil(&workspace);
    let told = |extra: &[&str]| {
        with(&kafka, extra, || {
            workspace.run(&["plan"]).flat().exits(0).says(OPEN).hides(UNKNOWN);
            workspace.run(&["doctor"]).flat().exits(1).says(OPEN).hides(ISOLATED);
        });
    };
    told(&[]);
    // ACLs that are about every topic, the cluster and all that begins as we do hide nothing.
    told(&["User:exporter allow describe topic *"]);
    told(&["User:exporter allow describe topic *", "User:exporter allow describe cluster kafka-cluster"]);
    told(&["User:n allow read topic n (prefix)", "User:exporter allow describe cluster kafka-cluster"]);
    let everything = [
        "User:exporter allow describe topic *",
        "User:exporter allow describe group *",
        "User:exporter allow describe cluster kafka-cluster",
    ];
    with(&kafka, &everything, || {
        workspace.run(&["plan"]).flat().exits(0).hides(OPEN);
        workspace.run(&["doctor"]).flat().says(UNKNOWN).hides(ISOLATED);
    });
    // Another workspace's first apply tells it as soon as its own password is proved.
    let other = at(&kafka);
    other.spec("orders", ORDERS);
    other.run(&["apply", "--auto-approve"]).flat().exits(0).says(OPEN);
    with(&kafka, &["User:exporter allow describe cluster kafka-cluster"], || {
        other.spec("billing", "app = \"billing\"\n[services.events]\ntopics = [\"billing\"]\n");
        other.run(&["apply", "--auto-approve"]).flat().exits(0).says(OPEN);
    });
}

#[test]
fn super_users_are_no_apps() {
    let lines = "allow.everyone.if.no.acl.found=false\nsuper.users=User:admin;User:broker";
    let kafka = Setup::new(Access::Scram).lines(lines).start();
    let workspace = at(&kafka);
    workspace.spec("mail", MAIL);
    // There is no ACL at all, by which a super user would show.
    refuses_evil(&workspace);
    workspace.spec("orders", ORDERS);
    workspace.converge();
    refuses_evil(&workspace);
    workspace.run(&["doctor"]).flat().exits(0).says(ISOLATED);
    kafka.add_lines("super.users=User:admin;User:orders");
    kafka.restart();
    let said = "orders: may do everything to every app, whatever ACLs say, as super.users may";
    workspace.run(&["plan", "--probe-credentials"]).flat().exits(0).says(said).says("No changes.");
    workspace.run(&["drift"]).flat().says(said);
    workspace.run(&["doctor"]).flat().exits(1).says(said).says("take it out of super.users").hides(ISOLATED);
    // An app that runs already is not kept from the password that somebody asked for.
    let rotated = workspace.run(&["rotate", "orders", "--auto-approve"]).flat().exits(0);
    rotated.says("may do everything to every app, whatever ACLs say, as super.users may");
    workspace.run(&["rotate", "mail", "--auto-approve"]).flat().exits(0).hides("super.users");
}

#[test]
fn ways_in_beside_passwords_and_acls_that_come_to_the_same_are_told() {
    let (open, plain) = (free_port(), free_port());
    let kafka = Setup::new(Access::Scram)
        .listener("open", "PLAINTEXT", open)
        .listener("plain", "SASL_PLAINTEXT", plain)
        .lines("super.users=User:admin;User:ANONYMOUS\nlistener.name.plain.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN")
        .lines(
            "listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_own=\"guess\";",
        )
        .start();
    let workspace = at(&kafka);
    workspace.spec("mail", MAIL);
    workspace.converge();
    let no_sign_in =
        format!("OPEN (127.0.0.1:{open}): whoever reaches it comes in without a sign-in, as User:ANONYMOUS");
    workspace.run(&["plan"]).flat().exits(0).says(&no_sign_in).says("No changes.").hides("PLAIN (").hides("INTERNAL");
    let by_plain = format!("PLAIN (127.0.0.1:{plain}): the users of apps may sign in by PLAIN too");
    let doctor = workspace.run(&["doctor"]).flat().exits(0).says(&no_sign_in).says(&by_plain);
    doctor.hides("INTERNAL").hides("APPS (").hides(ISOLATED);

    // Who sets the brokers' configs, or makes tokens of others, has what apps have.
    with(&kafka, &["User:snoop2 allow alter_configs cluster kafka-cluster"], || {
        let said =
            "User:snoop2 may alter configs cluster kafka-cluster (who may set the brokers' configs may have every";
        workspace.run(&["plan"]).flat().exits(0).says(said);
        workspace.run(&["doctor"]).flat().says(said);
    });
    acls_by_hand(&kafka, &workspace, "--add");
    let said = "of User:snoop (1); see kafka-acls.sh --list --principal User:snoop";
    workspace.run(&["plan"]).flat().exits(0).says(said).says("No changes.");
    workspace.run(&["doctor"]).flat().says(said);
    workspace.write("nornplan.toml", "specs = \"specs\"\ninternal = [\"sno*\"]\n");
    workspace.run(&["plan"]).flat().exits(0).hides("snoop");
}

/// Kafka's own tool makes what librdkafka has no word for: who may make tokens that sign in as somebody else.
fn acls_by_hand(kafka: &OwnKafka, workspace: &Workspace, what: &str) {
    let login = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{ADMIN}\" password=\"{PASSWORD}\";\n"
    );
    workspace.write("client.properties", &login);
    let mut command = Command::new("java");
    command.args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", &format!("{}/*", jars().display())]);
    command.args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &kafka.name(), "--command-config"]);
    command.arg(workspace.path("client.properties")).args([what, "--force", "--allow-principal", "User:snoop"]);
    command.args(["--operation", "CreateTokens", "--user-principal", "User:mail"]).stdin(Stdio::null());
    let ran = Ran::of(command.output().expect("java runs"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    block_on(settled(&Admin::new(&kafka.client()).unwrap()));
}
