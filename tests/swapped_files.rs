//! Secrets that stand in the place of one another: nothing that works is written over or removed unasked.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{valkey, valkey_at, works};

fn declare(workspace: &Workspace, app: &str, more: &str) {
    let spec = format!(
        "app = \"@{app}\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@{app}.t{more}\"]\n\
         [publish]\nOWN = \"{{app}} {{pg.user}}\"\n"
    );
    workspace.spec(app, &spec);
}

fn swap(workspace: &Workspace) {
    let file = |name: &str| workspace.path(format!("secrets/{}{name}.env", workspace.prefix));
    std::fs::rename(file("a"), file("x")).expect("renamed");
    std::fs::rename(file("b"), file("a")).expect("renamed");
    std::fs::rename(file("x"), file("b")).expect("renamed");
}

const SIGN_IN: [&str; 6] =
    ["DATABASE_URL", "VALKEY_URL", "REDIS_URL", "KAFKA_USERNAME", "KAFKA_PASSWORD", "KAFKA_SASL_MECHANISM"];

fn published(workspace: &Workspace, app: &str) -> [String; 6] {
    SIGN_IN.map(|name| workspace.published(app, name))
}

#[test]
fn a_value_of_two_services_is_published_with_the_password_that_is_set() {
    let workspace = Workspace::new();
    let spec = |value: &str| {
        let spec = format!("app = \"@a\"\n[services.postgres]\n[services.kv]\n[publish]\nBOTH = \"{value}\"\n");
        workspace.spec("a", &spec);
    };
    spec("{pg.database} {kv.password}");
    workspace.converge();
    // Nobody knows the one password any more, and the other's login is gone.
    let file = format!("secrets/{}a.env", workspace.prefix);
    let text = workspace.read(&file);
    let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("DATABASE_URL")).collect();
    std::fs::write(workspace.path(&file), format!("{}\n", rest.join("\n"))).expect("written");
    valkey(&["ACL", "DELUSER", &format!("{}a", workspace.prefix)]).expect("deleted");
    spec("{pg.database}:{kv.password}");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held").says("1 created");
    let url = workspace.published("@a", "VALKEY_URL");
    valkey_at(&url, &["PING"]).expect("the user answers");
    let both = workspace.published("@a", "BOTH");
    let password = both.strip_prefix(&format!("{}a:", workspace.prefix)).expect("the new form");
    assert!(url.contains(password), "the password that is set");
    assert!(!workspace.secrets("@a").contains("DATABASE_URL"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    works(&workspace.published("@a", "DATABASE_URL"), "SELECT 1");
    workspace.converge();
}

#[test]
fn files_that_are_swapped_keep_the_passwords_that_work() {
    let workspace = Workspace::new();
    let prefix = &workspace.prefix;
    for app in ["a", "b"] {
        declare(&workspace, app, "");
    }
    workspace.among_others(8);
    workspace.converge();
    let (a, b) = (published(&workspace, "@a"), published(&workspace, "@b"));
    let state = workspace.read("state/default.json");
    swap(&workspace);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    let plan = plan.says(&format!("what is published for {prefix}a looks like what belongs to {prefix}b"));
    plan.says("left as it is until this is done: DATABASE_URL").says("credential unknown").hides("DATABASE_URL:");
    workspace.run(&["drift"]).exits(2).flat().says("looks like what belongs to");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    assert_eq!((published(&workspace, "@a"), published(&workspace, "@b")), (b.clone(), a.clone()));
    // What else is changed is done, and leaves them alone.
    declare(&workspace, "a", "2");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(published(&workspace, "@a"), b);
    for url in [&a[0], &b[0]] {
        works(url, "SELECT 1");
    }
    valkey_at(&a[1], &["PING"]).expect("the user answers");
    declare(&workspace, "a", "");
    swap(&workspace);
    let consent = ["apply", "--auto-approve", "--allow-destroy", "*@a.t2"];
    workspace.run(&consent).exits(0).hides("rotate").hides("looks like");
    assert_eq!((published(&workspace, "@a"), published(&workspace, "@b")), (a.clone(), b.clone()));
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
    let keys = |text: &str| -> Vec<String> {
        let state: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let values = &state["resources"][format!("secret.{prefix}a")]["applied"]["values"];
        values.as_object().expect("values").keys().cloned().collect()
    };
    assert_eq!(keys(&workspace.read("state/default.json")), keys(&state));

    // With consent to new ones each app has its own, one after the other.
    swap(&workspace);
    for app in ["a", "b"] {
        workspace.run(&["apply", "--auto-approve", "--allow-interrupt", &format!("*@{app}*")]).exits(0);
        let now = published(&workspace, &format!("@{app}"));
        assert!(now[0].contains(&format!("{prefix}{app}_user:")) && now[0] != a[0] && now[0] != b[0]);
        works(&now[0], "SELECT 1");
        valkey_at(&now[1], &["PING"]).expect("the user answers");
    }
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0).says("No changes.");
}
