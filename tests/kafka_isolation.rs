//! What an app's own credentials can and cannot do on Kafka: signs in with what was published, and tries to cross.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod kafka_attacks;

use common::Workspace;
use common::kafka_client::{ADMIN, Client, Everything};
use common::servers::kafka_as;
use common::service;
use kafka_attacks::{CLUSTER, Control, FOR_RIGHTS, GROUP, SILENCE, TOPIC, TRANSACTION, Way, brokers, neighbours};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An app, its neighbour (whose names begin with its own), and one of each other kind.
const SPECS: [(&str, &str); 5] = [
    ("mail", "topics = [\"@.orders\"]"),
    (
        "mail-x",
        "topics = [\"@.orders-eu\", { name = \"@.shared\", readers = [\"@desk\"] }, { name = \"@.inbox\", writers = [\"@desk\"] }]\n\
         groups = [\"@batch\"]\ntransactional_ids = [\"@ledger\"]\nreaders = [\"@audit\"]",
    ),
    ("desk", "external = [\"@.legacy\"]"),
    ("audit", ""),
    ("pre", "prefix = \"@pre-\"\ntopics = [\"@pre-one\"]"),
];

const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    client: Client,
    workspace: Workspace,
    /// The id of the neighbour's topic.
    id: String,
}

impl World {
    /// Everybody has worked a little.
    fn new() -> Self {
        let workspace = Workspace::new();
        for (name, spec) in SPECS {
            workspace.spec(name, &format!("app = \"@{name}\"\n[services.events]\n{spec}\n"));
        }
        workspace.converge();
        let client = Client::start();
        let mut this = Self { client, workspace, id: String::new() };
        for (name, _) in SPECS {
            this.client.signs_in(name, &this.fill(&format!("@{name}")), &this.password(name));
        }
        for (app, topic) in [("mail", "@.orders"), ("mail-x", "@.orders-eu")] {
            this.works(app, "produce", json!({ "topic": topic, "values": ["one", "two"] }));
            this.works(app, "consume", json!({ "topic": topic, "group": format!("@{app}"), "count": 2 }));
        }
        let topic = this.fill("@.orders-eu");
        let (_, found) = this.client.sends(ADMIN, "Metadata", &json!({ "topics": [{ "name": topic }] }));
        this.id = found["topics"][0]["topic_id"].as_str().expect("an id").to_owned();
        this
    }

    fn fill(&self, text: &str) -> String {
        text.replace('@', &self.workspace.prefix)
    }

    fn filled(&self, value: &Value) -> Value {
        serde_json::from_str(&self.fill(&value.to_string())).expect("JSON")
    }

    fn password(&self, app: &str) -> String {
        self.workspace.published(&format!("@{app}"), "KAFKA_PASSWORD")
    }

    /// A body with the names of the app and its neighbour; whole names only come after those that begin with them.
    fn aimed(&self, body: &Value) -> Value {
        let text = body.to_string();
        let text = text.replace("YOUR_TOPIC", "@.orders-eu").replace("YOUR_ID", &self.id);
        let text = text.replace("YOUR_OTHER_GROUP", "@batch").replace("YOUR_OTHER_TX", "@ledger");
        let text = text.replace("YOUR_GROUP", "@mail-x").replace("YOUR_TX", "@mail-x").replace("YOUR_USER", "@mail-x");
        let text = text.replace("YOUR_PREFIX", "@mail-x.any").replace("PREFIX_", "@");
        let text = text.replace("MY_TOPIC", "@.orders").replace("MY_GROUP", "@mail").replace("MY_TX", "@mail");
        serde_json::from_str(&self.fill(&text.replace("MY_USER", "@mail"))).expect("JSON")
    }

    /// The codes that a way is answered with.
    fn tries(&self, session: &str, way: &Way) -> (Vec<i64>, Value) {
        let body = self.aimed(&way.body);
        let patience = (way.denied == SILENCE).then_some(1500);
        let answer = self.client.ask(json!({
            "do": "send", "as": session, "api": way.api, "version": way.version, "body": body, "patience": patience,
        }));
        let codes = answer["codes"].as_array().into_iter().flatten().chain(answer.get("code"));
        (codes.filter_map(Value::as_i64).collect(), answer)
    }

    #[track_caller]
    fn works(&self, session: &str, what: &str, arguments: Value) -> Value {
        let done = self.client.does(session, what, self.filled(&arguments));
        done.unwrap_or_else(|error| panic!("{session}: {what} {arguments}: {error:?}"))
    }

    /// Demands that a piece of work is refused with a code.
    #[track_caller]
    fn is_refused(&self, session: &str, what: &str, arguments: Value, code: i64) {
        let done = self.client.does(session, what, self.filled(&arguments));
        let refused = matches!(&done, Err((Some(found), _)) if *found == code);
        assert!(refused, "{session}: {what} {arguments}: {done:?} instead of {code}");
    }

    fn everything(&self) -> Everything {
        self.client.everything(&self.workspace.prefix)
    }

    /// The messages of the neighbour's topic, and how far its group is.
    fn neighbours_things(&self) -> (Value, Value) {
        let values = self.works("mail-x", "read_partition", json!({ "topic": "@.orders-eu", "count": 2 }));
        let group = json!({ "groups": [{ "group_id": self.fill("@mail-x"), "topics": null }] });
        let (_, offsets) = self.client.sends(ADMIN, "OffsetFetch", &group);
        (values, offsets)
    }

    /// librdkafka as an app.
    fn librdkafka(&self, app: &str, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = kafka_as(&self.fill(&format!("@{app}")), &self.password(app));
        for (name, value) in settings {
            config.set(*name, self.fill(value));
        }
        config
    }
}

impl Drop for World {
    /// Takes away what controls have made.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let seen = self.everything();
        let made: Vec<Value> =
            seen.topics.keys().filter(|name| !self.is_declared(name)).map(|name| json!({ "name": name })).collect();
        if !made.is_empty() {
            self.client.sends(ADMIN, "DeleteTopics", &json!({ "topics": made, "timeout_ms": 9000 }));
        }
        let user = self.fill("@made");
        if seen.users.contains_key(&user) {
            let deletion = json!([{ "name": user, "mechanism": 2 }]);
            let body = json!({ "deletions": deletion, "upsertions": [] });
            self.client.sends(ADMIN, "AlterUserScramCredentials", &body);
        }
    }
}

impl World {
    fn is_declared(&self, topic: &str) -> bool {
        ["@.orders", "@.orders-eu", "@.shared", "@.inbox", "@pre-one"].iter().any(|name| self.fill(name) == topic)
    }
}

#[test]
fn every_way_across_is_refused_and_would_work_for_whose_it_is() {
    let world = World::new();
    let before = (world.everything(), world.neighbours_things());
    let ways: Vec<Way> = neighbours::ways().into_iter().chain(brokers::ways()).collect();
    let mut open = Vec::new();
    for way in &ways {
        let (codes, answer) = world.tries("mail", way);
        let is_denied = codes.contains(&way.denied) && codes.iter().all(|code| [0, way.denied].contains(code));
        if !is_denied {
            open.push(format!("{} ({}): {codes:?} instead of {}: {answer}", way.what, way.api, way.denied));
        }
    }
    assert!(open.is_empty(), "{} of {} ways:\n{}", open.len(), ways.len(), open.join("\n"));
    assert!(ways.len() > 100, "{}", ways.len());
    assert_eq!((world.everything(), world.neighbours_things()), before, "something was changed on the way");

    // Those that remove things come last.
    let mut proves_nothing = Vec::new();
    for way in brokers::ways().iter().chain(&neighbours::ways()) {
        let session = match way.control {
            Control::Neighbour => "mail-x",
            Control::Admin => ADMIN,
            Control::Nobody => continue,
        };
        let (codes, answer) = world.tries(session, way);
        if codes.contains(&way.denied) || codes.iter().any(|code| FOR_RIGHTS.contains(code)) {
            proves_nothing.push(format!("{} ({}): {session}: {codes:?}: {answer}", way.what, way.api));
        }
    }
    assert!(proves_nothing.is_empty(), "ways that prove nothing:\n{}", proves_nothing.join("\n"));
    let after = world.everything();
    assert!(!after.topics.contains_key(&world.fill("@.orders-eu")), "not even the admin's deletion did anything");
    assert!(!after.users.contains_key(&world.fill("@mail-x")) && after.users.contains_key(&world.fill("@made")));
    let planned = world.workspace.run(&["plan", "--detailed-exitcode", "--allow-interrupt", "all"]).exits(2);
    planned.says("kafka.topic.@.orders-eu".replace('@', &world.workspace.prefix).as_str());
}
