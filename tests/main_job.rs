//! Infraspecs in, plan, apply, an empty second plan; on all three services, through the binary.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::own_valkey::OwnValkey;
use common::servers;

const CAFE: &str = r#"
app = "@cafe"
[services.postgres]
database = "@cafe_db"
connection_limit = 10
[services.kv]
namespace = "@cafe"
[services.events]
topics = ["@cafe.orders", { name = "@cafe.payments", partitions = 3, config = { "retention.ms" = "7d" } }]
[publish]
CAFE_POSTGRES_URL = "postgresql://{pg.user}:{pg.password}@{pg.host}:{pg.port}/{pg.database}"
"#;

const SHOP: &str =
    "app = \"@shop\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@shop.sales\"]\n";

fn both() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("cafe", CAFE);
    workspace.spec("shop", SHOP);
    workspace
}

/// What an app can do with what was published for it, on all three services.
fn works(workspace: &Workspace, app: &str, topic: &str) {
    let url = workspace.published(app, "DATABASE_URL");
    servers::postgres_at(&url, "CREATE TABLE IF NOT EXISTS work (x int); INSERT INTO work VALUES (1)")
        .expect("a table");
    let key = format!("{}{}:key", workspace.prefix, app.trim_start_matches('@'));
    servers::valkey_at(&workspace.published(app, "VALKEY_URL"), &["SET", &key, "1"]).expect("a key");
    let user = workspace.published(app, "KAFKA_USERNAME");
    send(&user, &workspace.published(app, "KAFKA_PASSWORD"), &topic.replace('@', &workspace.prefix))
        .expect("a message");
}

fn send(user: &str, password: &str, topic: &str) -> Result<(), String> {
    use rdkafka::producer::{FutureProducer, FutureRecord};
    servers::block_on(async {
        let producer: FutureProducer =
            servers::kafka_as(user, password).set("message.timeout.ms", "10000").create().map_err(|e| e.to_string())?;
        let record = FutureRecord::<str, str>::to(topic).payload("x").key("k");
        producer
            .send(record, std::time::Duration::from_secs(10))
            .await
            .map(|_| ())
            .map_err(|(error, _)| error.to_string())
    })
}

#[test]
fn plan_apply_and_an_empty_second_plan() {
    let workspace = both();
    let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("postgres.database.");
    assert!(
        plan.last_line().starts_with("Plan: ") && plan.last_line().contains(" to create, 0 to update, 0 to destroy")
    );
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    let second = workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert!(second.last_line().starts_with("No changes. "), "{}", second.stdout);
    works(&workspace, "@cafe", "@cafe.orders");
    works(&workspace, "@shop", "@shop.sales");
    // Work that an app has done is no difference.
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    workspace.run(&["drift"]).exits(0).says("No drift.");
    assert!(workspace.published("@cafe", "CAFE_POSTGRES_URL").starts_with("postgresql://"));
}

#[test]
fn apps_are_refused_on_what_belongs_to_others() {
    let workspace = both();
    workspace.converge();
    let shop = |variable: &str| workspace.published("@shop", variable);
    let foreign = shop("DATABASE_URL").replace("shop?", "cafe_db?").replace("shop_db?", "cafe_db?");
    assert_ne!(foreign, shop("DATABASE_URL"));
    let error = servers::postgres_at(&foreign, "SELECT 1").expect_err("the database is closed").to_string();
    assert!(error.contains("permission denied for database"), "{error}");
    let key = format!("{}cafe:key", workspace.prefix);
    let error = servers::valkey_at(&shop("VALKEY_URL"), &["GET", &key]).expect_err("the key is closed").to_string();
    assert!(error.contains("NOPERM") || error.contains("No permissions"), "{error}");
    for command in [vec!["KEYS", "*"], vec!["FLUSHALL"], vec!["CONFIG", "GET", "*"], vec!["ACL", "LIST"]] {
        servers::valkey_at(&shop("VALKEY_URL"), &command).expect_err("administration is closed");
    }
    let topic = format!("{}cafe.orders", workspace.prefix);
    send(&shop("KAFKA_USERNAME"), &shop("KAFKA_PASSWORD"), &topic).expect_err("the topic is closed");
}

#[test]
fn losing_the_state_costs_nothing() {
    let workspace = both();
    workspace.converge();
    let before = (workspace.secrets("@cafe"), workspace.secrets("@shop"));
    let claimed = workspace.read("secrets/.nornplan");
    std::fs::remove_dir_all(workspace.path("state")).expect("the state is removed");
    let plan = workspace.run(&["plan"]).exits(0);
    assert!(
        plan.last_line().contains("0 to create, 0 to update, 0 to destroy") && plan.last_line().contains("to adopt")
    );
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!((workspace.secrets("@cafe"), workspace.secrets("@shop")), before);
    assert_ne!(workspace.read("secrets/.nornplan"), claimed);
    works(&workspace, "@cafe", "@cafe.orders");
}

#[test]
fn the_same_inputs_give_the_same_json() {
    // Where tests share a Valkey, what others have set and not saved yet is told, and is another thing each time.
    let server = OwnValkey::start();
    let mut workspace = both();
    server.serve(&mut workspace);
    let first = workspace.run(&["plan", "--format", "json"]).exits(0).stdout;
    let second = workspace.run(&["plan", "--format", "json"]).exits(0).stdout;
    assert_eq!(first, second);
    let plan: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(plan["format_version"], 1);
    for format in ["markdown", "mermaid", "dot"] {
        workspace.run(&["plan", "--format", format]).exits(0).says(&workspace.prefix);
    }
}

#[test]
fn an_app_alone_is_planned_and_applied_alone() {
    let workspace = both();
    workspace.run(&["apply", "--auto-approve", "--app", "@cafe"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode", "--app", "@cafe"]).exits(0);
    let rest = workspace.run(&["plan", "--detailed-exitcode"]).exits(2);
    assert!(!rest.stdout.contains(&format!("+ postgres.database.{}cafe_db", workspace.prefix)));
    workspace.run(&["apply", "--auto-approve", "--service", "postgres"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode", "--service", "postgres"]).exits(0);
    workspace.converge();
    works(&workspace, "@shop", "@shop.sales");
    workspace.run(&["plan", "--app", "nobody"]).exits(1).complains("there is no app nobody");
}
