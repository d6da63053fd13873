//! What lies outside of a run is left alone: other services, other apps, logins that stay for now, another sink.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers;

fn exists(database: &str) -> bool {
    servers::postgres_value("postgres", &format!("SELECT 'yes' FROM pg_database WHERE datname = '{database}'"))
        .is_some()
}

#[test]
fn one_service_leaves_the_secrets_of_the_others_alone() {
    let workspace = Workspace::new();
    workspace.spec("p", "app = \"@p\"\n[services.postgres]\n");
    workspace.spec("k", "app = \"@k\"\n[services.kv]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["apply", "--auto-approve", "--service", "valkey"]).exits(0);
    workspace.converge();
    let before = ["@p", "@k", "@b"].map(|app| workspace.secrets(app));
    for service in ["postgres", "valkey", "kafka", "secret"] {
        workspace.run(&["plan", "--detailed-exitcode", "--service", service]).exits(0).says("No changes.");
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all", "--service", service]).exits(0);
    }
    // Gone from the specs: what is on the other service is out of sight, and keeps its published password.
    workspace.remove("specs/b.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all", "--service", "valkey"]).exits(0);
    assert_eq!(["@p", "@k", "@b"].map(|app| workspace.secrets(app)), before);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    assert!(!workspace.path(format!("secrets/{}b.env", workspace.prefix)).exists());
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_password_that_another_service_has_lost_is_in_nobodys_way() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.converge();
    let (secrets, before) = (format!("secrets/{}a.env", workspace.prefix), workspace.published("@a", "DATABASE_URL"));
    let kept: Vec<String> =
        workspace.read(&secrets).lines().filter(|line| !line.contains("redis")).map(str::to_owned).collect();
    workspace.write(&secrets, &format!("{}\n", kept.join("\n")));
    workspace.run(&["rotate", "@a", "--service", "postgres", "--auto-approve"]).exits(0).says("rotated");
    let after = workspace.published("@a", "DATABASE_URL");
    assert_ne!(after, before);
    servers::postgres_at(&after, "SELECT 1").expect("it signs in");
    // Gone from the infraspec, while its login stays for now.
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["rotate", "@a", "--auto-approve"]).says("rotated");
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("it signs in");
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    servers::valkey_at(&workspace.published("@a", "VALKEY_URL"), &["PING"]).expect("it signs in");
    workspace.converge();
}

#[test]
fn a_reader_that_goes_takes_its_grants_along() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    // The reader is not there yet: the plan says what to do, and the rest is done.
    workspace.run(&["plan", "--app", "@a"]).exits(0).says("its app was not applied yet").says("1 blocked");
    workspace.run(&["apply", "--auto-approve", "--app", "@a"]).exits(1).says("5 created").says("; 1 blocked.");
    workspace.converge();
    servers::postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE t (x int)").expect("a table");
    let grant = format!("postgres.grant.{0}a/{0}b_user", workspace.prefix);
    workspace.run(&["destroy", "--app", "@b", "--auto-approve"]).exits(0).says(&grant);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["destroy", "--app", "@b", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    assert!(!exists(&format!("{}b", workspace.prefix)) && exists(&format!("{}a", workspace.prefix)));
    workspace.converge();
    // Also what somebody has taken from it already: that is only forgotten, by a saved plan too.
    servers::postgres(&format!("{}a", workspace.prefix), &format!("DROP OWNED BY \"{}b_user\"", workspace.prefix));
    let saved = ["plan", "--destroy", "--app", "@b", "--allow-destroy", "all", "--out", "gone.json"];
    workspace.run(&saved).exits(0).says(&format!("{grant}  forget"));
    workspace.run(&["show", "gone.json"]).exits(0);
    workspace.run(&["apply", "gone.json"]).exits(0);
    assert!(!exists(&format!("{}b", workspace.prefix)) && exists(&format!("{}a", workspace.prefix)));
    workspace.converge();
}

#[test]
fn the_password_of_a_login_that_stays_for_now_stays_published() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.converge();
    let url = workspace.published("@a", "VALKEY_URL");
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("held");
    assert_eq!(workspace.published("@a", "VALKEY_URL"), url);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "valkey.user.@a"]).exits(0);
    assert!(!workspace.secrets("@a").contains("VALKEY_URL"));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn more_than_a_third_counts_secrets_from_the_first() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    for name in ["b", "c", "d", "e"] {
        workspace.spec(name, &format!("app = \"@{name}\"\n[services.kv]\n"));
    }
    workspace.converge();
    // 5 of 13: four without the secret would be less than a third.
    workspace.run(&["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "*"]).exits(0).says("held");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes. 13 resources");
}

#[test]
fn a_lost_sink_is_an_error_everywhere_until_its_secrets_are_forgotten() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    std::fs::rename(workspace.path("secrets"), workspace.path("elsewhere")).expect("moved");
    for command in [&["plan"][..], &["drift"], &["apply", "plan.json"], &["apply", "--auto-approve"]] {
        workspace.run(command).exits(1).complains("has no marker");
    }
    assert!(!workspace.path("secrets").exists(), "nothing was written");
    std::fs::rename(workspace.path("elsewhere"), workspace.path("secrets")).expect("moved back");
    workspace.run(&["apply", "plan.json"]).exits(0);
    std::fs::remove_dir_all(workspace.path("secrets")).expect("lost for good");
    workspace.run(&["state", "forget", "secret.*"]).exits(0);
    workspace.run(&["plan"]).exits(0).says("credential unknown").says("held: needs --allow-interrupt");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode", "--probe-credentials"]).exits(0);
}
