//! Brokers and runs that die: whatever was published works, and the next apply puts everything right.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_client::{ADMIN, Client, Everything};
use common::own_kafka::{self, OwnKafka};
use common::{Ran, Workspace, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const APPLY: [&str; 6] = ["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];

/// So many apps with so many topics each; `more` is said of every topic.
fn declare(workspace: &Workspace, apps: usize, topics: usize, more: &str) {
    for app in 0..apps {
        let mut text = format!("app = \"@a{app}\"\n[services.events]\nreaders = [\"@a{}\"]\n", (app + 1) % apps);
        for topic in 0..topics {
            writeln!(text, "[[services.events.topics]]\nname = \"@.a{app}.t{topic}\"\n{more}").expect("text");
        }
        workspace.spec(&format!("a{app}"), &text);
    }
}

fn beside(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// Waits until a run has written down that so many steps are done, or has ended.
fn wait_for_steps(workspace: &Workspace, child: &mut Child, steps: usize) {
    let since = Instant::now();
    let done =
        || std::fs::read_to_string(workspace.path("state/default.journal")).map_or(0, |text| text.lines().count());
    while done() < steps && child.try_wait().expect("its end").is_none() {
        assert!(since.elapsed() < Duration::from_secs(60), "nothing was applied");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The apps that have a password published, each with whether it signs in at a broker.
fn published(workspace: &Workspace, client: &Client, broker: &str, apps: usize) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for app in 0..apps {
        let name = format!("{}a{app}", workspace.prefix);
        let Ok(text) = std::fs::read_to_string(workspace.path(format!("secrets/{name}.env"))) else { continue };
        let Some(password) = text.lines().find_map(|line| line.strip_prefix("KAFKA_PASSWORD=")) else { continue };
        let password = password.trim_matches(['"', '\'']);
        found.push((name.clone(), client.knocks(broker, Some(&name), password, "SCRAM-SHA-512") == Some(0)));
    }
    found
}

/// Tries again for a while: another broker hears of things a moment later.
fn soon(what: &str, is_so: impl FnMut() -> Result<(), String>) {
    soon_or(what, is_so, String::new);
}

/// The same; what is not so in the end is told together with what `look` finds then.
fn soon_or(what: &str, mut is_so: impl FnMut() -> Result<(), String>, look: impl FnOnce() -> String) {
    let since = Instant::now();
    while let Err(why) = is_so() {
        if since.elapsed() >= PATIENCE {
            panic!("{what}: {why}\n{}", look());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Killed at several moments on the way: while topics are made, users, ACLs, and while passwords are published.
#[test]
fn a_killed_run_leaves_credentials_that_work_and_the_next_one_converges() {
    const APPS: usize = 12;
    let client = Client::start();
    let brokers = service("NORNPLAN_KAFKA_BROKERS");
    let mut moments = BTreeSet::new();
    for steps in [1, APPS * 3 + 1, APPS * 4 + 1, APPS * 5 + 1] {
        let workspace = Workspace::new();
        declare(&workspace, APPS, 3, "partitions = 2\nconfig.\"retention.ms\" = \"1h\"");
        let mut child = beside(workspace.command(&["apply", "--auto-approve"]));
        wait_for_steps(&workspace, &mut child, steps);
        child.kill().expect("killed");
        child.wait().expect("it ends");
        // What is published works, or the next plan names it.
        let left = client.everything(&workspace.prefix);
        let early = published(&workspace, &client, &brokers, APPS);
        moments.insert((left.topics.len(), left.users.len(), left.acls.len(), early.len()));
        let planned = workspace.run(&["plan"]).exits(0);
        for (name, works) in early {
            let named = planned.stdout.contains(&format!("kafka.user.{name} "));
            assert!(works || named, "after {steps} steps {name} cannot sign in\n{}", planned.stdout);
        }
        workspace.converge();
        let all = published(&workspace, &client, &brokers, APPS);
        assert!(all.len() == APPS && all.iter().all(|(_, works)| *works), "after {steps} steps: {all:?}");
        workspace.run(&["drift"]).exits(0);
        let there = client.everything(&workspace.prefix);
        assert_eq!((there.topics.len(), there.users.len()), (APPS * 3, APPS));
        // Nothing is left that no state knows of.
        let consent = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
        workspace.run(&consent).exits(0);
        assert!(client.everything(&workspace.prefix).is_nothing(), "after {steps} steps");
        workspace.remove("state/default.json");
    }
    assert!(moments.len() > 2, "all were killed too early or too late: {moments:?}");
}

/// Three brokers, each a controller too, with a workspace that uses them.
struct Cluster {
    kafka: OwnKafka,
    apps: usize,
}

impl Cluster {
    fn client(&self, workspace: &Workspace) -> (Client, Everything) {
        let client = Client::of(&self.kafka.name(), own_kafka::ADMIN, own_kafka::PASSWORD);
        let there = client.everything(&workspace.prefix);
        (client, there)
    }

    /// Runs an apply, and kills a broker after so many steps of it.
    fn apply_and_kill(&self, workspace: &Workspace, broker: usize, steps: usize) -> Ran {
        let mut child = beside(workspace.command(&APPLY));
        wait_for_steps(workspace, &mut child, steps);
        self.kafka.kill(broker);
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    fn address(&self, broker: usize) -> String {
        format!("127.0.0.1:{}", self.kafka.port(broker))
    }

    /// Whom each broker lets in, and which credentials it says that there are.
    fn who_is_let_in(&self, workspace: &Workspace, client: &Client, up: &[usize]) -> String {
        let at = |broker: &usize| {
            let address = self.address(*broker);
            let admin = client.knocks(&address, Some(own_kafka::ADMIN), own_kafka::PASSWORD, "SCRAM-SHA-512");
            let apps = published(workspace, client, &address, self.apps);
            let there = client.ask(json!({
                "do": "send", "as": ADMIN, "api": "DescribeUserScramCredentials", "body": { "users": null },
                "node": broker + 1,
            }));
            format!("{address}: the admin gets {admin:?}; apps {apps:?}\n  {there}")
        };
        up.iter().map(at).collect::<Vec<_>>().join("\n")
    }

    /// Demands that what was published works at every broker that is up, and that each has all topics and ACLs.
    fn is_whole(&self, workspace: &Workspace, up: &[usize], apps: usize) {
        let (client, there) = self.client(workspace);
        assert_eq!((there.topics.len(), there.users.len()), (apps * TOPICS, apps));
        for broker in up {
            let address = self.address(*broker);
            let all_work = || {
                let found = published(workspace, &client, &address, self.apps);
                let wrong: Vec<_> = found.iter().filter(|(_, works)| !works).collect();
                if wrong.is_empty() && found.len() == apps { Ok(()) } else { Err(format!("{address}: {wrong:?}")) }
            };
            soon_or("credentials", all_work, || self.who_is_let_in(workspace, &client, up));
            let filter = json!({ "resource_type_filter": 1, "resource_name_filter": null, "pattern_type_filter": 1,
                "principal_filter": null, "host_filter": null, "operation": 1, "permission_type": 1 });
            soon("ACLs", || {
                let told = client.ask(json!({
                    "do": "send", "as": ADMIN, "api": "DescribeAcls", "body": filter, "node": broker + 1,
                }));
                let resources = told["answer"]["resources"].as_array().into_iter().flatten();
                let acls = resources.flat_map(|one| one["acls"].as_array().cloned().unwrap_or_default());
                let count =
                    acls.filter(|acl| acl["principal"].as_str().is_some_and(|who| who.contains(&workspace.prefix)));
                let count = count.count();
                if count == there.acls.len() { Ok(()) } else { Err(format!("{address}: {count} ACLs: {told}")) }
            });
        }
    }
}

const TOPICS: usize = 6;

#[test]
fn a_broker_that_dies_on_the_way_leaves_nothing_that_does_not_come_right() {
    const SHAPE: &str = "partitions = 3\nreplication = 3";
    let cluster = Cluster { kafka: OwnKafka::of(3), apps: 8 };
    let mut workspace = Workspace::new();
    cluster.kafka.serve(&mut workspace);
    declare(&workspace, 2, TOPICS, SHAPE);
    workspace.run(&APPLY).exits(0);
    is_spread(&cluster, &workspace);
    declare(&workspace, 8, TOPICS, SHAPE);

    // One dies while everything is made. What was not made is named; what was published works where it can be asked.
    let ran = cluster.apply_and_kill(&workspace, 0, 1);
    assert!(ran.code == 0 || (ran.code == 1 && ran.stderr.contains("kafka.")), "{}\n{}", ran.stdout, ran.stderr);
    {
        let (client, _) = cluster.client(&workspace);
        for broker in [1, 2] {
            let address = cluster.address(broker);
            soon("what was published", || {
                let wrong = published(&workspace, &client, &address, 8).into_iter().filter(|(_, works)| !works);
                let wrong: Vec<_> = wrong.collect();
                if wrong.is_empty() { Ok(()) } else { Err(format!("{address}: {wrong:?}")) }
            });
        }
    }
    // With two of three, a plan and an apply work as ever.
    workspace.run(&["plan"]).exits(0);
    workspace.run(&APPLY).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    cluster.is_whole(&workspace, &[1, 2], 8);
    cluster.kafka.start_again(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    cluster.is_whole(&workspace, &[0, 1, 2], 8);

    // Another dies while much is changed, added and taken away.
    declare(&workspace, 8, TOPICS, "partitions = 4\nreplication = 3\nconfig.\"retention.ms\" = \"2h\"");
    workspace.remove("specs/a7.toml");
    let text = workspace.read("specs/a6.toml").replace(&format!("{}a7", workspace.prefix), "@a0");
    workspace.write("specs/a6.toml", &text);
    let ran = cluster.apply_and_kill(&workspace, 1, 1);
    assert!(ran.code == 0 || (ran.code == 1 && ran.stderr.contains("kafka.")), "{}\n{}", ran.stdout, ran.stderr);
    workspace.run(&APPLY).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    cluster.is_whole(&workspace, &[0, 2], 7);
    let (_, there) = cluster.client(&workspace);
    let changed =
        |topic: &common::kafka_client::Topic| topic.partitions == 4 && topic.config["retention.ms"] == "7200000";
    assert!(there.topics.values().all(changed), "{:?}", there.topics);
    assert!(!there.acls.iter().any(|acl| acl.contains("a7")), "{:?}", there.acls);

    cluster.kafka.start_again(1);
    soon("the plan is empty again", || {
        let ran = workspace.run(&["plan", "--detailed-exitcode"]);
        if ran.code == 0 { Ok(()) } else { Err(format!("{}{}", ran.stdout, ran.stderr)) }
    });
    cluster.is_whole(&workspace, &[0, 1, 2], 7);
    drop(workspace);
}

/// Every partition has three copies on three brokers, and no broker leads them all.
fn is_spread(cluster: &Cluster, workspace: &Workspace) {
    let (client, _) = cluster.client(workspace);
    let (_, metadata) = client.sends(ADMIN, "Metadata", &json!({ "topics": null }));
    let topics = metadata["topics"].as_array().into_iter().flatten();
    let own = topics.filter(|topic| topic["name"].as_str().is_some_and(|name| name.starts_with(&workspace.prefix)));
    let partitions: Vec<Value> =
        own.flat_map(|topic| topic["partitions"].as_array().cloned().unwrap_or_default()).collect();
    assert_eq!(partitions.len(), 2 * TOPICS * 3);
    let mut copies = [0; 4];
    for partition in &partitions {
        let nodes: BTreeSet<u64> =
            partition["replica_nodes"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        assert_eq!(nodes, BTreeSet::from([1, 2, 3]), "{partition}");
        let first = partition["replica_nodes"][0].as_u64().and_then(|node| usize::try_from(node).ok());
        copies[first.expect("a node")] += 1;
    }
    assert!(copies[1..].iter().all(|count| *count > partitions.len() / 6), "preferred leaders by broker: {copies:?}");
}

/// Most of these take a second on a quiet machine. One that waited for a dead broker at every call would take longer.
const SOON: Duration = Duration::from_secs(30);
/// A write that nobody takes: one call of 20 s, and half a minute in which it may be seen to have come through.
const GIVEN_UP: Duration = Duration::from_secs(120);

fn within(limit: Duration, what: &str, run: impl FnOnce() -> Ran) -> Ran {
    let since = Instant::now();
    let ran = run();
    let took = since.elapsed();
    assert!(took < limit, "{what} took {took:?}\n{}\n{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn a_broker_that_has_just_died_costs_no_wait_and_two_of_three_cost_no_data() {
    const SHAPE: &str = "partitions = 3\nreplication = 3";
    const APPS: usize = 4;
    let plan = ["plan", "--detailed-exitcode"];
    let cluster = Cluster { kafka: OwnKafka::of(3), apps: APPS };
    let mut workspace = Workspace::new();
    cluster.kafka.serve(&mut workspace);
    declare(&workspace, APPS, TOPICS, SHAPE);
    workspace.run(&APPLY).exits(0);

    // The first of the list dies in the middle of a plan, and is still taken for alive.
    let child = beside(workspace.command(&plan));
    std::thread::sleep(Duration::from_millis(100));
    cluster.kafka.kill(0);
    let read = |child: Child| Ran::of(child.wait_with_output().expect("it ends"));
    within(SOON, "a plan in whose middle a broker dies", || read(child)).exits(0).says("No changes.");
    within(SOON, "a plan after that", || workspace.run(&plan)).exits(0).says("No changes.");
    declare(&workspace, APPS, TOPICS, &format!("{SHAPE}\nconfig.\"retention.ms\" = \"1h\""));
    within(2 * SOON, "an apply", || workspace.run(&APPLY)).exits(0);

    // Two of three are dead: nothing can be written. The last one still tells all that it knew.
    cluster.kafka.kill(1);
    let ran = within(4 * SOON, "a plan without a quorum", || workspace.run(&plan));
    assert!(ran.stdout.contains("No changes.") || ran.code == 1, "{}\n{}", ran.stdout, ran.stderr);
    declare(&workspace, APPS, TOPICS, &format!("{SHAPE}\nconfig.\"retention.ms\" = \"2h\""));
    let ran = within(GIVEN_UP, "an apply without a quorum", || workspace.run(&APPLY)).exits(1);
    let said = format!("{}\n{}", ran.stdout, ran.stderr);
    ["kafka: ", &cluster.address(2), "help: start the broker"].iter().for_each(|part| {
        assert!(said.contains(part), "no {part:?} in {said}");
    });
    let planned = within(4 * SOON, "a plan after that", || workspace.run(&plan));
    assert!(!planned.stdout.contains(" will be created"), "{}", planned.stdout);

    // One more is enough.
    cluster.kafka.start_again(0);
    workspace.run(&APPLY).exits(0);
    workspace.run(&plan).exits(0).says("No changes.");
    cluster.is_whole(&workspace, &[0, 2], APPS);
    let (_, there) = cluster.client(&workspace);
    assert!(there.topics.values().all(|topic| topic.config["retention.ms"] == "7200000"), "{:?}", there.topics);
}
