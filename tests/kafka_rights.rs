//! An administrator that may not see all: what it may not see is an error that names the ACL to add, and never taken for
//! what is not there; one that may only look can plan.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_kafka::jars;
use common::servers::{block_on, kafka_admin};
use common::settled::settled;
use common::{Workspace, service};
use nornplan::core::secret::Secret;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::client::native::{Alteration, Change, OwnedBinding};
use nornplan::services::kafka::model::Binding;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LOOKER: &str = "the-password-of-who-looks";

/// A user whom ACLs are given to by hand; gone when it is dropped.
struct Looker {
    name: String,
    admin: Admin,
}

impl Looker {
    fn new(name: String) -> Self {
        let this = Self { name, admin: Admin::new(&kafka_admin()).unwrap() };
        let password = Secret::new(LOOKER.to_owned());
        this.alter(Change::Set { iterations: 4096, password: &password });
        this
    }

    fn alter(&self, change: Change<'_>) {
        let alteration = Alteration { user: &self.name, mechanism: "SCRAM-SHA-512", change };
        let done = block_on(self.admin.alter_users(&[alteration])).unwrap();
        assert!(done.values().all(Result::is_ok), "{done:?}");
    }

    /// Lets it do something, and waits until the broker knows.
    fn may(&self, operation: &str, resource: &str, name: &str) {
        let binding = Binding::allow(resource, name, false, operation);
        let owned = OwnedBinding { principal: format!("User:{}", self.name), binding };
        assert!(block_on(self.admin.create_acls(&[owned])).unwrap().iter().all(Result::is_ok));
        block_on(settled(&self.admin));
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let acls = block_on(self.admin.describe_acls(Some(&format!("User:{}", self.name)))).unwrap_or_default();
        let _ = block_on(self.admin.delete_acls(&acls));
        let change = Change::Remove;
        let _ =
            block_on(self.admin.alter_users(&[Alteration { user: &self.name, mechanism: "SCRAM-SHA-512", change }]));
    }
}

fn sign_in(workspace: &mut Workspace, user: &str, password: &str) {
    workspace.set("NORNPLAN_KAFKA_USER", user);
    workspace.set("NORNPLAN_KAFKA_PASSWORD", password);
}

#[test]
fn what_may_not_be_seen_is_never_taken_for_absent() {
    let mut workspace = Workspace::new();
    let looker = Looker::new(format!("{}looker", workspace.prefix));
    let name = looker.name.clone();
    workspace.spec("a", "app = \"@a\"\n[services.events]\ntopics = [\"@.a\"]\n");
    workspace.converge();
    sign_in(&mut workspace, &name, LOOKER);
    let lacks = |workspace: &Workspace, needs: &str, command: &str| {
        let command = format!("kafka-acls.sh --add --allow-principal 'User:{name}' {command}");
        let plan = workspace.run(&["plan"]).flat().exits(1).hides("+ kafka.").hides(LOOKER);
        plan.says("INCOMPLETE").complains(&format!("User:{name} may not do this")).complains(needs).complains(&command);
        workspace.run(&["apply", "--auto-approve"]).exits(1).hides("created");
        workspace.run(&["doctor"]).flat().exits(1).says(&command);
    };

    // No topic may be seen, one that is there as little as one that is not.
    looker.may("describe", "cluster", "kafka-cluster");
    lacks(&workspace, "allow it Describe on Topic *", "--operation Describe --topic '*'");
    workspace.spec("b", "app = \"@b\"\n[services.events]\ntopics = [\"@.b\"]\n");
    lacks(&workspace, "allow it Describe on Topic *", "--operation Describe --topic '*'");
    looker.may("describe", "topic", &format!("{}.a", workspace.prefix));
    lacks(&workspace, &format!("{}.b", workspace.prefix), "--operation Describe --topic '*'");
    looker.may("describe", "topic", "*");
    lacks(&workspace, "allow it DescribeConfigs on Topic *", "--operation DescribeConfigs --topic '*'");
    looker.may("describe_configs", "topic", "*");

    // Who may look can plan, and is told what it takes to apply.
    let plan = workspace.run(&["plan"]).flat().exits(0).says("Plan: 4 to create, 0 to update, 0 to destroy.");
    plan.hides("INCOMPLETE").hides("no authorizer");
    let doctor = workspace.run(&["doctor"]).flat().exits(0);
    let doctor = doctor.says(&format!("User:{name} may look and not change (Create, Alter): plan and drift work"));
    doctor.says("--operation Create --operation Alter --cluster").says("the settings of the brokers cannot be seen");
    let applied = workspace.run(&["apply", "--auto-approve"]).flat().exits(1).hides(LOOKER).hides("Request(");
    let applied = applied.complains(&format!("User:{name} may not do this"));
    applied.says(&format!("--allow-principal 'User:{name}' --operation Create --cluster"));
    looker.may("describe_configs", "cluster", "kafka-cluster");
    workspace.run(&["doctor"]).flat().exits(0).hides("settings of the brokers cannot be seen");

    let (admin, password) = (service("NORNPLAN_KAFKA_USER"), service("NORNPLAN_KAFKA_PASSWORD"));
    sign_in(&mut workspace, &admin, &password);
    workspace.converge();
}

#[test]
fn acls_and_users_may_not_be_seen_without_describe_on_the_cluster() {
    let mut workspace = Workspace::new();
    let looker = Looker::new(format!("{}looker", workspace.prefix));
    workspace.spec("a", "app = \"@a\"\n[services.events]\ntopics = [\"@.a\"]\n");
    workspace.converge();
    looker.may("describe", "topic", "*");
    looker.may("describe_configs", "topic", "*");
    sign_in(&mut workspace, &looker.name, LOOKER);
    let command =
        format!("kafka-acls.sh --add --allow-principal 'User:{}' --operation Describe --cluster", looker.name);
    let plan = workspace.run(&["plan"]).flat().exits(1).says("INCOMPLETE").hides("kafka.acl").hides("no authorizer");
    plan.complains("allow it Describe on Cluster").complains(&command);
    // A broker never answers a question for all users to who may not ask it: it is not asked.
    let since = Instant::now();
    workspace.run(&["drift", "--unmanaged"]).flat().exits(1).complains("allow it Describe on Cluster");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    workspace
        .run(&["doctor"])
        .flat()
        .exits(1)
        .says("may not look at the cluster")
        .says("--operation Describe --cluster");
    let (admin, password) = (service("NORNPLAN_KAFKA_USER"), service("NORNPLAN_KAFKA_PASSWORD"));
    sign_in(&mut workspace, &admin, &password);
}

#[test]
fn acls_of_kinds_that_are_not_known_are_never_deleted() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.events]\ntopics = [\"@.a\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.events]\n");
    workspace.converge();
    let user = format!("{}a", workspace.prefix);
    // Kafka's own tool makes what librdkafka has no word for: who may see tokens of a user.
    acls_by_hand(&workspace, &user, "--add");
    block_on(settled(&Admin::new(&kafka_admin()).unwrap()));
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).flat().exits(0).says("No changes.");
    plan.says(&format!("1 ACLs of {user} are of a kind that this version does not know; they are left alone"));
    workspace.remove("specs/a.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    let admin = Admin::new(&kafka_admin()).unwrap();
    let left = block_on(admin.describe_acls(Some(&format!("User:{user}")))).unwrap();
    assert!(left.iter().all(|owned| !owned.is_known()) && left.len() == 1, "{left:?}");
    acls_by_hand(&workspace, &user, "--remove");
}

fn acls_by_hand(workspace: &Workspace, user: &str, what: &str) {
    let login = format!(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";\n",
        service("NORNPLAN_KAFKA_USER"),
        service("NORNPLAN_KAFKA_PASSWORD")
    );
    workspace.write("client.properties", &login);
    let mut command = Command::new("java");
    command.args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", &format!("{}/*", jars().display())]);
    command.args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &service("NORNPLAN_KAFKA_BROKERS")]);
    command.arg("--command-config").arg(workspace.path("client.properties")).args([what, "--force"]);
    command.args(["--allow-principal", &format!("User:{user}"), "--operation", "DescribeTokens"]);
    command.args(["--user-principal", &format!("User:{user}")]).stdin(Stdio::null());
    let ran = common::Ran::of(command.output().expect("java runs"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}
