//! What the workspace file says was called otherwise is renamed: the data stay, and so do the passwords.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::resp::Wire;
use common::servers::{block_on, partitions, postgres, postgres_value, valkey_at, value_at, works};
use sqlx::{Connection, PgConnection};

/// An app whose names all come from its database.
fn cafe(workspace: &Workspace, database: &str) {
    let spec = format!("app = \"@cafe\"\n[services.postgres]\ndatabase = \"@{database}\"\nreaders = [\"@report\"]\n");
    workspace.spec("cafe", &spec);
}

fn moved(workspace: &Workspace, moves: &[(&str, &str)]) {
    let entries: Vec<String> = moves
        .iter()
        .map(|(from, to)| format!("  {{ from = \"postgres.{from}\", to = \"postgres.{to}\" }},\n"))
        .collect();
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\nmoved = [\n{}]\n", entries.concat()));
}

const ALL: [(&str, &str); 3] = [
    ("database.@old_db", "database.@new_db"),
    ("role.@old_user", "role.@new_user"),
    ("role.@old_owner", "role.@new_owner"),
];

/// The app with a table, under its old names, and a reader.
fn living() -> Workspace {
    let workspace = Workspace::new();
    cafe(&workspace, "old_db");
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    workspace.converge();
    works(
        &url(&workspace),
        "CREATE TABLE orders (id serial PRIMARY KEY, what text); INSERT INTO orders (what) VALUES ('tea')",
    );
    workspace
}

fn url(workspace: &Workspace) -> String {
    workspace.published("@cafe", "DATABASE_URL")
}

fn oid(workspace: &Workspace, database: &str) -> Option<String> {
    let statement = format!("SELECT oid::text FROM pg_database WHERE datname = '{}{database}'", workspace.prefix);
    postgres_value("postgres", &statement)
}

const ORDERS: &str = "SELECT string_agg(what, ',') FROM public.orders";

/// The app signs in by its new names, with the same password, and finds what it had; so does its reader.
#[track_caller]
fn is_renamed(workspace: &Workspace, before: &str) {
    let now = url(workspace);
    assert_eq!(now, before.replace("old_user", "new_user").replace("old_db", "new_db"));
    assert_eq!(value_at(&now, ORDERS).as_deref(), Some("tea"));
    works(&now, "INSERT INTO orders (what) VALUES ('x'); DELETE FROM orders WHERE what = 'x'");
    let mut reader = url::Url::parse(&workspace.published("@report", "DATABASE_URL")).expect("a URL");
    reader.set_path(&format!("{}new_db", workspace.prefix));
    assert_eq!(value_at(reader.as_str(), ORDERS).as_deref(), Some("tea"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["drift"]).exits(0);
}

#[test]
fn a_database_and_its_roles_are_renamed_with_all_that_is_in_them() {
    let workspace = living();
    let (before, oid_before) = (url(&workspace), oid(&workspace, "old_db"));
    cafe(&workspace, "new_db");
    moved(&workspace, &ALL);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    assert!(plan.stdout.ends_with("Plan: 0 to create, 1 to update, 0 to destroy, 3 to rename."), "{}", plan.stdout);
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(oid(&workspace, "new_db"), oid_before);
    assert_eq!(oid(&workspace, "old_db"), None);
    is_renamed(&workspace, &before);
}

#[test]
fn who_is_connected_is_named_and_ended_only_with_consent() {
    let workspace = living();
    let before = url(&workspace);
    let mut session = block_on(PgConnection::connect(&before)).expect("the app signs in");
    cafe(&workspace, "new_db");
    moved(&workspace, &ALL);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says(&format!("1 session is in it now ({}old_user)", workspace.prefix));
    plan.says("--allow-interrupt postgres.database.").says("--allow-interrupt postgres.role.");
    // Held together: the app is told nothing, and goes on.
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "postgres.role.@new_user"]);
    assert_eq!(url(&workspace), before);
    works(&before, "SELECT * FROM orders");
    assert!(oid(&workspace, "new_db").is_none());

    let saved = ["plan", "--out", "saved.json", "--allow-interrupt", "all"];
    workspace.run(&saved).exits(0).says("3 to rename");
    workspace.run(&["apply", "saved.json"]).exits(0);
    assert!(block_on(sqlx::raw_sql("SELECT 1").execute(&mut session)).is_err(), "its session was ended");
    is_renamed(&workspace, &before);
}

#[test]
fn somebody_who_comes_after_the_plan_is_not_ended_without_consent() {
    let workspace = living();
    let before = url(&workspace);
    cafe(&workspace, "new_db");
    moved(&workspace, &ALL);
    workspace.run(&["plan", "--out", "saved.json"]).exits(0).hides("held");
    let session = block_on(PgConnection::connect(&before)).expect("the app signs in");
    workspace
        .run(&["apply", "saved.json"])
        .exits(1)
        .complains("1 session is connected")
        .complains("nothing was renamed");
    works(&before, "SELECT * FROM orders");
    drop(session);
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_renamed(&workspace, &before);
}

#[test]
fn a_run_that_ended_before_it_was_noted_is_gone_on_with() {
    let workspace = living();
    let before = url(&workspace);
    let state = workspace.read("state/default.json");
    cafe(&workspace, "new_db");
    moved(&workspace, &ALL);
    // Renamed by a run that was killed before it could note it, and before it published.
    let killed = workspace
        .command(&["apply", "--auto-approve"])
        .env("NORNPLAN_FAILPOINT", "abort:1:after batch rename postgres.database rename")
        .output()
        .expect("nornplan runs");
    assert!(!killed.status.success() && oid(&workspace, "new_db").is_some());
    let plan = workspace.run(&["plan"]).exits(0);
    assert_eq!(plan.last_line(), "Plan: 0 to create, 1 to update, 0 to destroy, 2 to rename, 1 to record.");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_renamed(&workspace, &before);

    // The state of before is brought back: all is as it should be, and is taken for what it is.
    let serial = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["serial"].as_u64();
    let later = workspace.read("state/default.json");
    std::fs::write(workspace.path("state/default.json"), &state).expect("the state of before");
    workspace
        .run(&["plan"])
        .exits(0)
        .says("Plan: 0 to create, 0 to update, 0 to destroy, 5 to adopt, 5 to forget, 1 to record.");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert!(serial(&later) > serial(&state));
    is_renamed(&workspace, &before);
}

#[test]
fn where_both_are_there_nobody_guesses() {
    let workspace = living();
    let before = url(&workspace);
    postgres("postgres", &format!("CREATE DATABASE {}new_db", workspace.prefix));
    cafe(&workspace, "new_db");
    moved(&workspace, &ALL);
    let plan = workspace.run(&["plan", "--allow-destroy", "all", "--allow-interrupt", "all"]).exits(0).flat();
    plan.says("and only one can have the name").says("Plan: 0 to create, 0 to update, 0 to destroy.");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"]);
    assert_eq!(url(&workspace), before);
    assert_eq!(value_at(&before, ORDERS).as_deref(), Some("tea"));
    postgres("postgres", &format!("DROP DATABASE {}new_db", workspace.prefix));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    is_renamed(&workspace, &before);
}

#[test]
fn what_is_not_ours_is_not_renamed_and_nothing_empty_takes_its_place() {
    let workspace = Workspace::new();
    postgres("postgres", &format!("CREATE DATABASE {}old_db", workspace.prefix));
    cafe(&workspace, "new_db");
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    moved(&workspace, &ALL);
    workspace.run(&["plan"]).exits(0).flat().says("the state does not say that it is ours").says("BLOCKED");
    workspace.run(&["apply", "--auto-approve"]);
    assert!(oid(&workspace, "new_db").is_none() && oid(&workspace, "old_db").is_some());
    postgres("postgres", &format!("DROP DATABASE {}old_db", workspace.prefix));
    // Another environment, in which nothing has the old names: they are made, and it is said once.
    workspace.run(&["plan"]).exits(0).flat().says("there is no postgres.database.");
    workspace.converge();
    workspace.run(&["plan"]).exits(0).hides("there is no");
}

#[test]
fn chains_protection_and_narrowed_runs() {
    let workspace = living();
    let before = url(&workspace);
    let spec = "app = \"@cafe\"\n[services.postgres]\ndatabase = \"@new_db\"\nreaders = [\"@report\"]\n[lifecycle]\n\
        prevent_destroy = true\n";
    workspace.spec("cafe", spec);
    let middle = [("database.@old_db", "database.@mid_db"), ("database.@mid_db", "database.@new_db")];
    moved(&workspace, &[&middle[..], &ALL[1..]].concat());
    workspace.run(&["apply", "--auto-approve", "--app", "@report"]).exits(0).hides("rename");
    assert!(oid(&workspace, "old_db").is_some());
    workspace.run(&["apply", "--auto-approve", "--app", "@cafe"]).exits(0);
    is_renamed(&workspace, &before);
    workspace.spec("cafe", &spec.replace("prevent_destroy = true", ""));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    // Whatever is changed beside the name is changed with it.
    workspace.spec("cafe", "app = \"@cafe\"\n[services.postgres]\ndatabase = \"@late_db\"\nconnection_limit = 7\n");
    moved(
        &workspace,
        &[
            ("database.@new_db", "database.@late_db"),
            ("role.@new_user", "role.@late_user"),
            ("role.@new_owner", "role.@late_owner"),
        ],
    );
    workspace.converge();
    assert_eq!(value_at(&url(&workspace), ORDERS).as_deref(), Some("tea"));
    let limit = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{}late_user'", workspace.prefix);
    assert_eq!(postgres_value("postgres", &limit).as_deref(), Some("7"));
}

#[test]
fn without_a_word_of_it_a_rename_is_asked_about() {
    let workspace = living();
    cafe(&workspace, "new_db");
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let asked = "did you mean a rename? write at the end of nornplan.toml: [[moved]]";
    assert_eq!(plan.stdout.matches(asked).count(), 2, "{}", plan.stdout);
    // It is there to be pasted, below whatever table comes last; the roles follow their database.
    let shown = workspace.run(&["plan"]).exits(0);
    let table: Vec<&str> = shown.stdout.lines().skip_while(|line| !line.contains("[[moved]]")).take(3).collect();
    let before = url(&workspace);
    let text = format!("specs = \"specs\"\n[snapshots]\nkeep = 2\n{}\n", table.join("\n"));
    workspace.write("nornplan.toml", &text);
    workspace.run(&["apply", "--auto-approve"]).exits(0).hides("did you mean");
    is_renamed(&workspace, &before);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let workspace = living();
    let wrong = |moves: &str, message: &str| {
        workspace.write("nornplan.toml", &format!("specs = \"specs\"\nmoved = [\n  {moves},\n]\n"));
        workspace.run(&["validate"]).exits(1).complains("nornplan.toml:3:").complains(message).complains("help: ");
    };
    wrong("{ from = \"postgres.database.@old_db\", to = \"postgres.database.@x\" }", "is declared still");
    wrong("{ from = \"postgres.database.@x\", to = \"postgres.database.@y\" }", "nothing declares");
    wrong("{ from = \"postgres.role.@x\", to = \"postgres.database.@old_db\" }", "of different kinds");
    wrong("{ from = \"postgres.database\", to = \"postgres.database.@old_db\" }", "is no address; one looks like");
    wrong("{ from = \"postgres.database.@x\" }", "expected both from and to");
    wrong("{ from = \"postgres.database.@x\", too = \"postgres.database.@old_db\" }", "unknown key \"too\"");
    let misplaced = |text: &str, help: &str| {
        workspace.write("nornplan.toml", &format!("specs = \"specs\"\n{text}"));
        workspace.run(&["validate"]).exits(1).complains("nornplan.toml:").complains(help);
    };
    misplaced("[snapshots]\nmoved = []\n", "above the first [table] of the file, or each of it as a table [[moved]]");
    misplaced("[env.prod]\nmoved = []\n", "above the first [table] of the file, or each of it as a table [[moved]]");
    misplaced("[snapshots]\nexclude = []\n", "write exclude above the first [table] of the file");
    misplaced("moved = []\n[[moved]]\n", "moved is a list further up");
    workspace.write("nornplan.toml", "specs = \"specs\"\n");
}

#[test]
fn a_user_of_valkey_is_made_anew_with_its_password_and_the_former_one_goes_after_publishing() {
    let workspace = Workspace::new();
    let spec = |user: &str| {
        workspace.spec("cafe", &format!("app = \"@cafe\"\n[services.kv]\nnamespace = \"@cafe\"\nuser = \"@{user}\"\n"));
    };
    workspace.among_others(3);
    spec("old");
    workspace.converge();
    let before = workspace.published("@cafe", "VALKEY_URL");
    valkey_at(&before, &["SET", &format!("{}cafe:k", workspace.prefix), "v"]).expect("the app writes");
    let sign_in = url::Url::parse(&before).expect("a URL");
    let session =
        Wire::sign_in(sign_in.port().expect("a port"), sign_in.username(), sign_in.password().expect("a password"));
    spec("new");
    workspace.write(
        "nornplan.toml",
        "specs = \"specs\"\nmoved = [{ from = \"valkey.user.@old\", to = \"valkey.user.@new\" }]\n",
    );
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says("rename from").says("--allow-interrupt valkey.user.").hides("--allow-destroy");
    workspace.run(&["apply", "--auto-approve"]);
    assert_eq!(workspace.published("@cafe", "VALKEY_URL"), before);
    workspace.run(&["plan", "--allow-interrupt", "all"]).exits(0).says("1 to destroy, 1 to rename.");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "valkey.user.@new"]).exits(0);
    drop(session);
    let prefix = &workspace.prefix;
    let now = workspace.published("@cafe", "VALKEY_URL");
    assert_eq!(now, before.replace(&format!("{prefix}old"), &format!("{prefix}new")));
    let read = valkey_at(&now, &["GET", &format!("{prefix}cafe:k")]).expect("the app reads");
    assert_eq!(read.as_str().as_deref(), Some("v"));
    assert!(valkey_at(&before, &["PING"]).is_err(), "the former user is gone");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_user_of_kafka_keeps_its_password_and_its_acls_and_a_topic_its_name() {
    let workspace = Workspace::new();
    let spec = |user: &str, topic: &str| {
        workspace.spec(
            "cafe",
            &format!("app = \"@cafe\"\n[services.events]\nuser = \"@{user}\"\ntopics = [\"@{topic}\"]\n"),
        );
    };
    workspace.among_others(3);
    spec("old", "orders");
    workspace.converge();
    let password = workspace.published("@cafe", "KAFKA_PASSWORD");
    spec("new", "orders");
    workspace.write(
        "nornplan.toml",
        "specs = \"specs\"\nmoved = [{ from = \"kafka.user.@old\", to = \"kafka.user.@new\" }]\n",
    );
    workspace
        .run(&["plan"])
        .exits(0)
        .says("rename from")
        .says("1 held: --allow-interrupt kafka.user.")
        .hides("--allow-destroy");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "kafka.user.@new"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    assert_eq!(workspace.published("@cafe", "KAFKA_PASSWORD"), password);
    assert_eq!(workspace.published("@cafe", "KAFKA_USERNAME"), format!("{}new", workspace.prefix));
    workspace.run(&["plan", "--probe-credentials", "--detailed-exitcode"]).exits(0);

    spec("new", "sales");
    workspace.write(
        "nornplan.toml",
        "specs = \"specs\"\nmoved = [{ from = \"kafka.topic.@orders\", to = \"kafka.topic.@sales\" }]\n",
    );
    let plan = workspace.run(&["plan", "--allow-destroy", "all"]).exits(0).flat();
    plan.says("Kafka cannot rename a topic").says("0 to create, 0 to update, 0 to destroy");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]);
    assert!(partitions(&format!("{}orders", workspace.prefix)) > 0);
    assert_eq!(partitions(&format!("{}sales", workspace.prefix)), 0);
    // The app is told what it was told.
    let orders = format!("{}orders", workspace.prefix);
    let variable = format!("KAFKA_TOPIC_{}", orders.to_uppercase());
    assert_eq!(workspace.published("@cafe", &variable), orders);
    assert_eq!(workspace.published("@cafe", "KAFKA_TOPICS"), orders);
}

const NOTHING: &str = "Plan: 0 to create, 0 to update, 0 to destroy.";

/// An app with all that has a name of the app's.
fn whole(workspace: &Workspace, app: &str) {
    let spec = format!(
        "app = \"@{app}\"\n[services.postgres]\nreaders = [\"@report\"]\n[services.kv]\nnamespace = \"@shop\"\n\
         [services.events]\ntopics = [\"@orders\"]\n[publish]\nAPP = \"{{app}} at {{pg.database}}\"\n[lifecycle]\n\
         prevent_destroy = true\n"
    );
    workspace.spec("shop", &spec);
}

#[test]
fn an_app_is_renamed_with_its_names_and_keeps_its_passwords() {
    let workspace = Workspace::new();
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    whole(&workspace, "shop");
    workspace.converge();
    let prefix = workspace.prefix.clone();
    let published = |app: &str| {
        ["DATABASE_URL", "VALKEY_URL", "KAFKA_PASSWORD", "KAFKA_USERNAME", "APP"]
            .map(|name| workspace.published(app, name))
    };
    let before = published("@shop");
    works(&before[0], "CREATE TABLE orders (what text); INSERT INTO orders VALUES ('tea')");
    valkey_at(&before[1], &["SET", &format!("{prefix}shop:k"), "v"]).expect("the app writes");
    whole(&workspace, "store");
    let asked = format!("[[moved]] from = \"app.{prefix}shop\" to = \"app.{prefix}store\"");
    workspace.run(&["plan"]).exits(0).flat().says("did you mean a rename of the app? then write").says(&asked);
    workspace.write("nornplan.toml", "specs = \"specs\"\nmoved = [{ from = \"app.@shop\", to = \"app.@store\" }]\n");
    let plan = workspace.run(&["plan"]).exits(0).hides("no infraspec here declares").flat();
    let plan = plan.says("1 held: --allow-interrupt kafka.user.").hides("rotate").hides("did you mean");
    plan.says("Kafka cannot rename a user")
        .says(&format!("groups = [\"{prefix}shop\"] in the infraspec"))
        .says(NOTHING);
    let state = workspace.read("state/default.json");
    // Kafka does not tell who is signed in, so it waits, and with it all the other names.
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(published("@shop"), before);
    assert_eq!(value_at(&before[0], ORDERS).as_deref(), Some("tea"));
    assert!(!workspace.path(format!("secrets/{prefix}store.env")).exists());
    workspace.run(&["drift"]).exits(0);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    let after = published("@store");
    assert_eq!(after, before.clone().map(|value| value.replace(&format!("{prefix}shop"), &format!("{prefix}store"))));
    assert!(!workspace.path(format!("secrets/{prefix}shop.env")).exists(), "nothing is published for it any more");
    assert_eq!(value_at(&after[0], ORDERS).as_deref(), Some("tea"));
    let read = valkey_at(&after[1], &["GET", &format!("{prefix}shop:k")]).expect("the app reads");
    assert_eq!(read.as_str().as_deref(), Some("v"));
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
    let now = workspace.read("state/default.json");
    assert!(
        !now.contains(&format!("\"app\": \"{prefix}shop\"")) && !now.contains(&format!("secret.{prefix}shop")),
        "{now}"
    );

    // The state of before is brought back: nothing is made anew, and no password set.
    std::fs::write(workspace.path("state/default.json"), &state).expect("the state of before");
    let consent = ["apply", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&consent).exits(0).hides("to rotate").says("0 created, 0 updated, 0 destroyed");
    assert_eq!(published("@store"), after);
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).says("No changes.");
    workspace.spec("shop", &workspace.read("specs/shop.toml").replace("prevent_destroy = true", ""));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
}
