//! Losing the state costs nothing: what is declared is adopted again and no service is written to. The servers say so.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::own_kafka::{Access, OwnKafka, Setup};
use common::own_postgres::OwnPostgres;
use common::own_valkey::OwnValkey;
use common::servers::{postgres_at, valkey_at};
use common::witness::{Witness, watch_postgres, written_statements};
use serde_json::Value;

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// One of everything that can be declared.
const SHOP: &str = r#"app = "@shop"
[services.postgres]
databases = ["@shop", "@shop_more"]
extensions = ["citext"]
connection_limit = 20
settings = { statement_timeout = "30s" }
readers = ["@audit"]
writers = ["@jobs"]
[services.kv]
readers = ["@audit"]
[services.events]
prefix = "@shop."
topics = [{ name = "@shop.orders", partitions = 3, config = { "retention.ms" = "7d" }, readers = ["@audit"] }, "@shop.paid"]
groups = ["@shop-workers"]
transactional_ids = ["@shop-tx"]
[publish]
SHOP_DB = "{pg.user}:{pg.password}@{pg.host}:{pg.port}/{pg.database}"
[lifecycle]
prevent_destroy = true
"#;
const AUDIT: &str = r#"app = "@audit"
[services.postgres]
[services.kv]
access = "readonly"
db = 1
[services.events]
topics = []
"#;
const JOBS: &str = r#"app = "@jobs"
[services.postgres]
credential = "keep"
[services.kv]
access = "queue"
[services.events]
topics = [{ name = "@jobs.done", writers = ["@shop"] }]
"#;
/// Of the environment `prod`, which has infraspecs of its own.
const PROD: &str = "app = \"@live\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@live.t\"]\n";

struct Servers {
    postgres: OwnPostgres,
    valkey: OwnValkey,
    kafka: OwnKafka,
}

impl Servers {
    fn start() -> Self {
        // The broker's own notes of being idle are switched off, so that each record is a change.
        let kafka = Setup::new(Access::Scram).lines("metadata.max.idle.interval.ms=0").start();
        let this = Self { postgres: OwnPostgres::start(), valkey: OwnValkey::start(), kafka };
        watch_postgres(&this.postgres);
        this
    }

    fn witness(&self) -> Witness {
        Witness::of(&self.postgres, &self.valkey, &self.kafka)
    }

    /// Demands that no server is written to meanwhile.
    #[track_caller]
    fn stay_as_they_are<T>(&self, run: impl FnOnce() -> T) -> T {
        let before = self.witness();
        let since = self.postgres.log().len();
        let result = run();
        assert_eq!(written_statements(&self.postgres, since), Vec::<String>::new());
        let after = self.witness();
        assert!(before == after, "a server was written to\n{before:#?}\n{after:#?}");
        result
    }
}

/// What the state says, but for what tells it from another one, which saved plans it was made by, how things became ours, and digests of passwords: these are
/// kept only of passwords that nornplan has generated, and without a state nothing says that it has.
fn document(workspace: &Workspace, environment: &str) -> Value {
    let mut document: Value =
        serde_json::from_str(&workspace.read(&format!("state/{environment}.json"))).expect("a state");
    let all = document.as_object_mut().expect("an object");
    all.remove("lineage").expect("a lineage");
    all.remove("serial").expect("a serial");
    all.remove("carried");
    for entry in all.get_mut("resources").and_then(Value::as_object_mut).expect("resources").values_mut() {
        let entry = entry.as_object_mut().expect("an object");
        entry.remove("origin").expect("an origin");
        entry.remove("fingerprint");
    }
    document
}

/// Demands that a state is what it was, and names what is not.
#[track_caller]
fn is_again(workspace: &Workspace, environment: &str, before: &Value) {
    let now = document(workspace, environment);
    let mut differing = Vec::new();
    compare("", before, &now, &mut differing);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn compare(path: &str, before: &Value, now: &Value, differing: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                compare(&format!("{path}/{name}"), &of(one), &of(other), differing);
            }
        }
        (before, now) if before != now => differing.push(format!("{path}: {before} -> {now}")),
        _ => {}
    }
}

fn lose(workspace: &Workspace, directory: &str) {
    std::fs::remove_dir_all(workspace.path(directory)).expect("lost");
}

#[test]
fn a_lost_state_is_found_again_without_a_write_to_any_service() {
    let servers = Servers::start();
    let mut workspace = Workspace::new();
    servers.postgres.serve(&mut workspace);
    servers.valkey.serve(&mut workspace);
    servers.kafka.serve(&mut workspace);
    workspace.write(
        "nornplan.toml",
        "specs = \"specs\"\n[postgres]\nlock_down = true\n[valkey]\ndefault_user = \"admin-only\"\n[env.prod]\nspecs = \"prod\"\n",
    );
    std::fs::create_dir(workspace.path("prod")).expect("prod/");
    for (name, text) in [("shop", SHOP), ("audit", AUDIT), ("jobs", JOBS)] {
        workspace.spec(name, text);
    }
    workspace.write("prod/live.toml", PROD);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all", "--env", "prod"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode", "--env", "prod"]).exits(0);
    let before = document(&workspace, "default");
    let (of_prod, secrets) = (document(&workspace, "prod"), workspace.secrets("@shop"));

    // All of it, in both environments.
    lose(&workspace, "state");
    let plan = servers.stay_as_they_are(|| workspace.run(&["plan", "--detailed-exitcode"]).exits(2));
    assert!(plan.last_line().starts_with("Plan: 0 to create, 0 to update, 0 to destroy, "), "{}", plan.stdout);
    servers.stay_as_they_are(|| workspace.run(&APPLY).exits(0));
    is_again(&workspace, "default", &before);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    servers.stay_as_they_are(|| workspace.run(&["apply", "--auto-approve", "--env", "prod"]).exits(0));
    is_again(&workspace, "prod", &of_prod);
    workspace.run(&["plan", "--detailed-exitcode", "--env", "prod"]).exits(0);
    assert_eq!(workspace.secrets("@shop"), secrets);
    workspace.run(&["drift"]).exits(0);

    // App by app.
    lose(&workspace, "state");
    for app in ["@shop", "@jobs", "@audit"] {
        servers.stay_as_they_are(|| workspace.run(&["apply", "--auto-approve", "--app", app]).exits(0));
    }
    servers.stay_as_they_are(|| workspace.run(&APPLY).exits(0));
    is_again(&workspace, "default", &before);

    // Kafka tells nobody what it has of a password: only signing in does.
    lose(&workspace, "state");
    let file = format!("secrets/{}shop.env", workspace.prefix);
    let right = workspace.published("@shop", "KAFKA_PASSWORD");
    let publish = |text: &str| std::fs::write(workspace.path(&file), text).expect("published");
    publish(&secrets.replace(&right, "of-somebody-else"));
    let held = format!("--allow-interrupt kafka.user.{}shop", workspace.prefix);
    servers.stay_as_they_are(|| workspace.run(&["plan"]).exits(0)).says(&held).says("does not sign in");
    publish(&secrets);

    // A saved plan does the same.
    servers.stay_as_they_are(|| {
        workspace.run(&["plan", "--out", "plan.json"]).exits(0);
        workspace.run(&["apply", "plan.json"]).exits(0)
    });
    is_again(&workspace, "default", &before);

    // The witnesses do see a write; passwords are kept out of the log.
    workspace.spec("shop", &SHOP.replace("connection_limit = 20", "connection_limit = 21"));
    let (quiet, since) = (servers.witness(), servers.postgres.log().len());
    workspace.run(&["rotate", "@shop", "--auto-approve"]).exits(0);
    assert!(quiet.all_differ(&servers.witness()));
    let said = written_statements(&servers.postgres, since);
    assert!(said.iter().any(|text| text.starts_with("ALTER ROLE")), "{said:?}");

    // What was to be destroyed and is forgotten is nobody's now, and is told.
    workspace.remove("specs/jobs.toml");
    workspace.spec("shop", &SHOP.replace("writers = [\"@jobs\"]\n", ""));
    lose(&workspace, "state");
    let unmanaged = ["drift", "--unmanaged", "--format", "json"];
    let told = servers.stay_as_they_are(|| workspace.run(&unmanaged).exits(1)).stdout;
    let report: Value = serde_json::from_str(&told).expect("JSON");
    let listed: Vec<&str> =
        report["unmanaged"].as_array().expect("a list").iter().filter_map(|one| one["address"].as_str()).collect();
    for what in [
        "postgres.database.@jobs",
        "postgres.role.@jobs_user",
        "valkey.user.@jobs",
        "kafka.topic.@jobs.done",
        "kafka.user.@jobs",
        "kafka.acl.@jobs",
    ] {
        assert!(listed.contains(&what.replace('@', &workspace.prefix).as_str()), "no {what} in {listed:?}");
    }
}

#[test]
fn with_the_secrets_lost_too_nothing_is_renewed_unasked() {
    let servers = Servers::start();
    let mut workspace = Workspace::new();
    servers.postgres.serve(&mut workspace);
    servers.valkey.serve(&mut workspace);
    servers.kafka.serve(&mut workspace);
    workspace.spec("live", PROD);
    workspace.converge();
    let url = workspace.published("@live", "DATABASE_URL");
    let valkey = workspace.published("@live", "VALKEY_URL");
    lose(&workspace, "state");
    lose(&workspace, "secrets");
    let held = "3 held: --allow-interrupt kafka.user.";
    let plan = servers.stay_as_they_are(|| workspace.run(&["plan"]).exits(0)).says(held);
    plan.says("the password that the app uses now stops working for new sessions");
    servers.stay_as_they_are(|| workspace.run(&APPLY).exits(0)).says("8 adopted; 3 held.");
    postgres_at(&url, "SELECT 1").expect("the password that the app has works");
    valkey_at(&valkey, &["PING"]).expect("the password that the app has works");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    postgres_at(&url, "SELECT 1").expect_err("there is a new one");
    postgres_at(&workspace.published("@live", "DATABASE_URL"), "SELECT 1").expect("it works");
}
