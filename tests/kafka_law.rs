//! The law of acceptance on Kafka: from any state to any other. Whatever people did by hand, and whatever infraspecs want,
//! one apply brings the broker there, as a client finds that shares no code with nornplan, and the next plan is empty.
//!
//! `NORNPLAN_KAFKA_CASES` asks for more cases, `NORNPLAN_KAFKA_SEED` for others.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod law_on_kafka;

use common::Workspace;
use common::kafka_client::{ADMIN, Client, Everything};
use common::service;
use law_on_kafka::hand::{ByHand, by_hand, perform};
use law_on_kafka::truth::{expected, no_fewer};
use law_on_kafka::wish::{OUTSIDE, Wishes, wishes, written};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// In each of the two worlds, which go side by side.
const CASES: u64 = 14;
const APPLY: [&str; 6] = ["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

struct World {
    client: Client,
    workspace: Workspace,
    /// What is there and nobody declares, and must stay.
    others: Everything,
    last: Wishes,
}

impl World {
    fn new() -> Self {
        let (client, workspace) = (Client::start(), Workspace::new());
        let fill = |text: &str| text.replace('@', &workspace.prefix);
        let topics: Vec<Value> = OUTSIDE
            .iter()
            .map(|name| json!({ "name": fill(name), "num_partitions": 2, "replication_factor": 1 }))
            .collect();
        let (codes, _) = client.sends(ADMIN, "CreateTopics", &json!({ "topics": topics, "timeout_ms": 9000 }));
        assert_eq!(codes, [0]);
        let stranger = json!({ "resource_type": 2, "resource_name": fill("@-legacy"), "resource_pattern_type": 3,
            "principal": fill("User:@-stranger"), "host": "*", "operation": 3, "permission_type": 3 });
        assert_eq!(client.sends(ADMIN, "CreateAcls", &json!({ "creations": [stranger] })).0, [0]);
        let others = client.everything(&workspace.prefix);
        assert_eq!((others.topics.len(), others.acls.len()), (2, 1));
        Self { client, workspace, others, last: Wishes::new() }
    }

    fn there(&self) -> Everything {
        self.client.everything(&self.workspace.prefix)
    }

    /// Declares exactly these apps.
    fn declare(&self, wishes: &Wishes) {
        for app in self.last.keys().filter(|app| !wishes.contains_key(*app)) {
            self.workspace.remove(&format!("specs/{app}.toml"));
        }
        for (app, wish) in wishes {
            self.workspace.spec(app, &written(wishes, app, wish));
        }
    }

    /// Waits until the broker has seen all that was done by hand: what it sees, it sees in order.
    fn settles(&self) {
        let principal = format!("User:{}-marker", self.workspace.prefix);
        let acl = json!({ "resource_type": 2, "resource_name": "marker", "resource_pattern_type": 3,
            "principal": principal, "host": "*", "operation": 3, "permission_type": 3 });
        let filter = json!({ "resource_type_filter": 2, "resource_name_filter": "marker", "pattern_type_filter": 3,
            "principal_filter": principal, "host_filter": null, "operation": 3, "permission_type": 3 });
        let is_seen = || {
            let (_, found) = self.client.sends(ADMIN, "DescribeAcls", &filter);
            found["resources"].as_array().is_some_and(|resources| !resources.is_empty())
        };
        assert_eq!(self.client.sends(ADMIN, "CreateAcls", &json!({ "creations": [acl] })).0, [0]);
        while !is_seen() {}
        assert_eq!(self.client.sends(ADMIN, "DeleteAcls", &json!({ "filters": [filter] })).0, [0]);
        while is_seen() {}
    }

    fn case(&mut self, told: &str, mut wishes: Wishes, changes: &[ByHand], loses_state: bool) -> usize {
        let prefix = self.workspace.prefix.clone();
        let mut worked = 0;
        for change in changes {
            worked += usize::from(perform(&self.client, change, &self.there(), &prefix));
            self.settles();
        }
        let before = self.there();
        if loses_state {
            self.workspace.remove("state/default.json");
            // What is forgotten and not declared any more stays, and would stand in the way of the reckoning.
            wishes.clone_from(&self.last);
        }
        wishes.iter_mut().for_each(|(app, wish)| no_fewer(app, wish, &before, &prefix));
        self.declare(&wishes);
        let told = format!("{told}\nby hand: {changes:#?}\nwanted: {wishes:#?}");
        let applied = self.workspace.run(&APPLY);
        assert!(applied.code == 0, "{told}\n{}\n{}", applied.stdout, applied.stderr);
        let must_be = expected(&wishes, &self.last, &before, &self.others, &prefix);
        let is = self.there();
        assert_eq!(is, must_be, "{told}\n{}", applied.stdout);
        let again = self.workspace.run(&["plan", "--detailed-exitcode"]);
        assert!(again.code == 0 && again.last_line().starts_with("No changes."), "{told}\n{}", again.stdout);
        for app in wishes.keys() {
            let password = self.workspace.published(&format!("@{app}"), "KAFKA_PASSWORD");
            let (brokers, user) = (service("NORNPLAN_KAFKA_BROKERS"), format!("{prefix}{app}"));
            let code = self.client.knocks(&brokers, Some(&user), &password, "SCRAM-SHA-512");
            assert_eq!(code, Some(0), "{app} cannot sign in\n{told}");
        }
        self.last = wishes;
        worked
    }
}

fn law(seed: u64) {
    let mut world = World::new();
    let seed = seed + number("NORNPLAN_KAFKA_SEED").unwrap_or(0);
    let bytes: [u8; 32] = std::array::from_fn(|place| if place < 8 { seed.to_le_bytes()[place] } else { 7 });
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let cases = (vec(by_hand(), 0..9), wishes(), prop::bool::weighted(0.1));
    let (mut tried, mut worked) = (0, 0);
    for case in 0..number("NORNPLAN_KAFKA_CASES").unwrap_or(CASES) {
        let (changes, wishes, loses_state) = cases.new_tree(&mut runner).expect("a case").current();
        tried += changes.len();
        worked += world.case(&format!("seed {seed}, case {case}"), wishes, &changes, loses_state && case > 0);
    }
    // Changes that all fail would prove nothing.
    assert!(worked * 2 > tried, "only {worked} of {tried} changes by hand could be made");
    let consent = ["--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    world.workspace.run(&[&["destroy", "--all"], &consent[..]].concat()).exits(0);
    assert_eq!(world.there(), world.others, "not all is gone");
}

#[test]
fn any_wish_comes_true_from_any_state() {
    law(1);
}

#[test]
fn and_from_any_other() {
    law(2);
}
