//! The apps of the tests, and whom they sign in as.

use super::{SILENCE, Way};
use common::Workspace;
use common::kafka_client::{ADMIN, Client, Everything};
use common::servers::kafka_as;
use rdkafka::ClientConfig;
use serde_json::{Value, json};
use std::time::Duration;

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

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub client: Client,
    pub workspace: Workspace,
    /// The id of the neighbour's topic.
    pub id: String,
}

impl World {
    pub fn new() -> Self {
        Self::on(Workspace::new(), Client::start)
    }

    /// Everybody has worked a little.
    pub fn on(workspace: Workspace, client: impl FnOnce() -> Client) -> Self {
        for (name, spec) in SPECS {
            workspace.spec(name, &format!("app = \"@{name}\"\n[services.events]\n{spec}\n"));
        }
        workspace.converge();
        let mut this = Self { client: client(), workspace, id: String::new() };
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

    pub fn fill(&self, text: &str) -> String {
        text.replace('@', &self.workspace.prefix)
    }

    pub fn filled(&self, value: &Value) -> Value {
        serde_json::from_str(&self.fill(&value.to_string())).expect("JSON")
    }

    pub fn password(&self, app: &str) -> String {
        self.workspace.published(&format!("@{app}"), "KAFKA_PASSWORD")
    }

    /// A body with the names of the app and its neighbour; whole names only come after those that begin with them.
    pub fn aimed(&self, body: &Value) -> Value {
        let text = body.to_string();
        let text = text.replace("YOUR_TOPIC", "@.orders-eu").replace("YOUR_ID", &self.id);
        let text = text.replace("YOUR_OTHER_GROUP", "@batch").replace("YOUR_OTHER_TX", "@ledger");
        let text = text.replace("YOUR_GROUP", "@mail-x").replace("YOUR_TX", "@mail-x").replace("YOUR_USER", "@mail-x");
        let text = text.replace("YOUR_PREFIX", "@mail-x.any").replace("PREFIX_", "@");
        let text = text.replace("MY_TOPIC", "@.orders").replace("MY_GROUP", "@mail").replace("MY_TX", "@mail");
        serde_json::from_str(&self.fill(&text.replace("MY_USER", "@mail"))).expect("JSON")
    }

    /// The codes that a way is answered with.
    pub fn tries(&self, session: &str, way: &Way) -> (Vec<i64>, Value) {
        let body = self.aimed(&way.body);
        let patience = (way.denied == SILENCE).then_some(1500);
        let answer = self.client.ask(json!({
            "do": "send", "as": session, "api": way.api, "version": way.version, "body": body, "patience": patience,
        }));
        let codes = answer["codes"].as_array().into_iter().flatten().chain(answer.get("code"));
        (codes.filter_map(Value::as_i64).collect(), answer)
    }

    #[track_caller]
    pub fn works(&self, session: &str, what: &str, arguments: Value) -> Value {
        let done = self.client.does(session, what, self.filled(&arguments));
        done.unwrap_or_else(|error| panic!("{session}: {what} {arguments}: {error:?}"))
    }

    /// Demands that a piece of work is refused with a code.
    #[track_caller]
    pub fn is_refused(&self, session: &str, what: &str, arguments: Value, code: i64) {
        let done = self.client.does(session, what, self.filled(&arguments));
        let refused = matches!(&done, Err((Some(found), _)) if *found == code);
        assert!(refused, "{session}: {what} {arguments}: {done:?} instead of {code}");
    }

    pub fn everything(&self) -> Everything {
        self.client.everything(&self.workspace.prefix)
    }

    /// The messages of the neighbour's topic, and how far its group is.
    pub fn neighbours_things(&self) -> (Value, Value) {
        let values = self.works("mail-x", "read_partition", json!({ "topic": "@.orders-eu", "count": 2 }));
        let group = json!({ "groups": [{ "group_id": self.fill("@mail-x"), "topics": null }] });
        let (_, offsets) = self.client.sends(ADMIN, "OffsetFetch", &group);
        (values, offsets)
    }

    /// librdkafka as an app.
    pub fn librdkafka(&self, app: &str, settings: &[(&str, &str)]) -> ClientConfig {
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
    pub fn is_declared(&self, topic: &str) -> bool {
        ["@.orders", "@.orders-eu", "@.shared", "@.inbox", "@pre-one"].iter().any(|name| self.fill(name) == topic)
    }
}
