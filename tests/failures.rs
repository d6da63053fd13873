//! Services that cannot be read, bad input, and everything that must end in a clear error and nothing half-done.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::servers::postgres_at;
use common::{Ran, Workspace, service};
use std::time::{Duration, Instant};

/// A port on which nothing listens.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port().to_string()
}

const ALL: &str = "app = \"@a\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";

#[test]
fn postgres_alone_needs_no_other_service() {
    let mut workspace = Workspace::new();
    workspace.set("NORNPLAN_VALKEY_PORT", &closed_port());
    workspace.set("NORNPLAN_KAFKA_BROKERS", &format!("127.0.0.1:{}", closed_port()));
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2);
    workspace.converge();
    workspace.run(&["doctor"]).exits(0).says("not used");
}

/// Runs it, and demands that it waits for nothing.
fn at_once(workspace: &Workspace, arguments: &[&str]) -> Ran {
    let since = Instant::now();
    let ran = workspace.run(arguments).exits(1);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}: {}", since.elapsed(), ran.stderr);
    ran
}

#[test]
fn no_patience_helps_against_a_wrong_password_or_none() {
    let cases = [
        ("POSTGRES", "wrong", "wrong password for", "help: set NORNPLAN_POSTGRES_PASSWORD"),
        ("POSTGRES", "", "for a password, and none is set", "help: set NORNPLAN_POSTGRES_PASSWORD, or password_file"),
        ("VALKEY", "wrong", "does not accept this user name and password", "NORNPLAN_VALKEY_PASSWORD"),
        ("VALKEY", "", "asks for a password, and none is set", "help: set NORNPLAN_VALKEY_PASSWORD"),
        ("KAFKA", "wrong", "does not accept this user name and password", "NORNPLAN_KAFKA_PASSWORD"),
        ("KAFKA", "", "no password is set for", "help: set NORNPLAN_KAFKA_PASSWORD"),
    ];
    for (service, password, what, next) in cases {
        let mut workspace = Workspace::new();
        workspace.spec("a", ALL);
        workspace.set(&format!("NORNPLAN_{service}_PASSWORD"), password);
        // Nobody waits for another service either, if the plan is incomplete in any case.
        match service {
            "VALKEY" => workspace.set("NORNPLAN_KAFKA_BROKERS", &format!("127.0.0.1:{}", closed_port())),
            _ => workspace.set("NORNPLAN_VALKEY_PORT", &closed_port()),
        }
        at_once(&workspace, &["plan", "--wait", "120s"]).complains(what).complains(next);
    }
    let mut workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.set("NORNPLAN_POSTGRES_PASSWORD", "");
    at_once(&workspace, &["doctor", "--wait", "120s"]).says("none is set");
    // A user that needs one, as which nobody signs in without.
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.set("NORNPLAN_VALKEY_USER", "somebody");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", "");
    at_once(&workspace, &["plan", "--wait", "120s"]).complains("none is set");
}

#[test]
fn what_cannot_be_reached_is_waited_for() {
    let mut workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.set("NORNPLAN_POSTGRES_PORT", &closed_port());
    workspace.set("NORNPLAN_VALKEY_PORT", &closed_port());
    for command in ["plan", "doctor"] {
        let since = Instant::now();
        workspace.run(&[command, "--wait", "3s"]).exits(1).says("refused");
        assert!(since.elapsed() >= Duration::from_secs(3), "{command}: {:?}", since.elapsed());
    }
}

#[test]
fn a_service_that_cannot_be_read_makes_the_plan_incomplete_and_nothing_is_applied() {
    let stops = [
        ("NORNPLAN_POSTGRES_PORT", closed_port(), "postgres: "),
        ("NORNPLAN_VALKEY_PORT", closed_port(), "valkey: "),
        ("NORNPLAN_KAFKA_BROKERS", format!("127.0.0.1:{}", closed_port()), "kafka: "),
    ];
    for (variable, value, name) in stops {
        let mut workspace = Workspace::new();
        workspace.spec("a", ALL);
        workspace.set(variable, &value);
        let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(1).says("INCOMPLETE").complains(name);
        assert!(plan.stderr.contains("refused") && plan.stderr.contains("help:"), "{}", plan.stderr);
        // The rest is shown.
        let shown =
            ["postgres.database.", "valkey.user.", "kafka.topic."].iter().filter(|kind| plan.stdout.contains(**kind));
        assert_eq!(shown.count(), 2, "{}", plan.stdout);
        workspace.run(&["apply", "--auto-approve"]).exits(1).complains("nothing was applied");
        workspace.run(&["plan", "--out", "plan.json"]).exits(1);
        assert!(!workspace.path("plan.json").exists());
        assert!(!workspace.path("state/default.json").exists());
        workspace.run(&["doctor"]).exits(1).says("refused");
    }
}

#[test]
fn a_wrong_password_is_said_at_once_and_not_shown() {
    let canary = "canary-Xq7-wrong-password";
    for (variable, name) in [
        ("NORNPLAN_POSTGRES_PASSWORD", "postgres: "),
        ("NORNPLAN_VALKEY_PASSWORD", "valkey: "),
        ("NORNPLAN_KAFKA_PASSWORD", "kafka: "),
    ] {
        let mut workspace = Workspace::new();
        workspace.spec("a", ALL);
        workspace.set(variable, canary);
        workspace.run(&["plan"]).exits(1).complains(name).hides(canary);
        workspace.run(&["-vvv", "doctor"]).exits(1).hides(canary);
    }
}

#[test]
fn a_canary_in_every_admin_variable_is_never_shown() {
    let canary = "canary-Yk3-admin-password";
    let mut workspace = Workspace::new();
    workspace.spec("a", ALL);
    // An empty variable counts as unset, so that those after it are asked.
    for variable in ["NORNPLAN_POSTGRES_PASSWORD", "NORNPLAN_VALKEY_PASSWORD", "NORNPLAN_KAFKA_PASSWORD"] {
        workspace.set(variable, "");
    }
    for variable in ["POSTGRES_ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "KAFKA_PASSWORD"] {
        workspace.set(variable, canary);
    }
    let commands: [&[&str]; 7] = [
        &["-vvv", "validate"],
        &["-vvv", "plan"],
        &["-vvv", "plan", "--format", "json"],
        &["-vvv", "apply", "--auto-approve"],
        &["-vvv", "doctor"],
        &["-vvv", "drift"],
        &["-vvv", "state", "list"],
    ];
    for command in commands {
        workspace.run(command).hides(canary);
    }
    let refused = workspace.run(&["plan"]).exits(1).complains("postgres: ").complains("valkey: ").complains("kafka: ");
    assert!(refused.stderr.contains("password"), "{}", refused.stderr);
    let state = workspace.path("state");
    for file in std::fs::read_dir(state).into_iter().flatten() {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        assert!(!text.contains(canary));
    }
}

#[test]
fn drift_without_a_state_cannot_be_told() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["drift"]).exits(1).complains("there is no state");
}

#[test]
fn bad_specs_change_nothing() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\ndatabse = \"x\"\n");
    for arguments in
        [vec!["validate"], vec!["plan"], vec!["apply", "--auto-approve"], vec!["destroy", "--all", "--auto-approve"]]
    {
        let ran = workspace.run(&arguments).exits(1).complains("specs/b.toml:3:1").complains("did you mean");
        assert!(!ran.stderr.contains("panicked"));
    }
    workspace.remove("specs/b.toml");
    workspace.remove("specs/a.toml");
    workspace.run(&["plan"]).exits(1).complains("specs");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(1);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_password_in_the_workspace_file_and_an_unknown_environment_are_errors() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.write("nornplan.toml", "specs = \"specs\"\n[postgres]\npassword = \"canary-in-file\"\n");
    workspace.run(&["validate"]).exits(1).complains("nornplan.toml:3").hides("canary-in-file");
    workspace.write("nornplan.toml", "specs = \"specs\"\n[env.prod.postgres]\nhost = \"db.internal\"\n");
    workspace.run(&["validate", "--env", "prd"]).exits(1).complains("prod");
    workspace.run(&["validate", "--env", "prod"]).exits(0);
}

#[test]
fn without_a_terminal_apply_asks_for_the_flag_at_once() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace.run(&["apply"]).exits(1).complains("--auto-approve");
    assert!(!workspace.path("state/default.json").exists());
    workspace.run(&["plan", "--no-such-flag"]).exits(1);
    workspace.run(&["--help"]).exits(0).says("Example");
    for command in ["init", "validate", "plan", "apply", "show", "drift", "doctor", "state", "destroy", "completions"] {
        workspace.run(&[command, "--help"]).exits(0).says("Example");
    }
}

#[test]
fn no_secret_is_in_any_output_plan_state_or_log() {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    let mut seen = String::new();
    for arguments in [
        vec!["-vvv", "plan", "--out", "plan.json"],
        vec!["-vvv", "plan", "--format", "json"],
        vec!["-vvv", "apply", "--auto-approve"],
        vec!["-vvv", "drift", "--format", "json"],
        vec!["-vvv", "rotate", "@a", "--auto-approve"],
        vec!["-vvv", "doctor"],
        vec!["-vvv", "show", "plan.json"],
        vec!["-vvv", "state", "show", "postgres.role.@a_user"],
    ] {
        let ran = workspace.run(&arguments).exits(0);
        seen += &ran.stdout;
        seen += &ran.stderr;
    }
    seen += &workspace.read("plan.json");
    seen += &workspace.read("state/default.json");
    for file in std::fs::read_dir(std::path::Path::new(&service("INFRA_DIR")).join("log")).expect("the services' logs")
    {
        seen += &String::from_utf8_lossy(&std::fs::read(file.expect("a log").path()).expect("a log"));
    }
    let mut secrets = vec![
        service("NORNPLAN_POSTGRES_PASSWORD"),
        service("NORNPLAN_VALKEY_PASSWORD"),
        service("NORNPLAN_KAFKA_PASSWORD"),
        workspace.published("@a", "KAFKA_PASSWORD"),
    ];
    for variable in ["DATABASE_URL", "VALKEY_URL"] {
        let url = url::Url::parse(&workspace.published("@a", variable)).expect("a URL");
        secrets.push(url.password().expect("a password").to_owned());
    }
    for secret in secrets {
        assert!(secret.len() >= 16 && !seen.contains(&secret), "a secret was shown");
    }
    assert!(!seen.contains("SCRAM-SHA-256$"), "a verifier was shown");
}

#[test]
fn a_rotation_that_would_set_nothing_is_an_error_and_makes_nothing() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\ncredential = \"keep\"\n");
    workspace.spec("b", "app = \"@b\"\n[services.kv]\ncredential = \"keep\"\n");
    let rotate = |arguments: &[&str]| workspace.run(&[&["rotate", "--auto-approve"], arguments].concat());
    rotate(&["@a"]).exits(1).complains("was not applied yet").complains("help: `nornplan apply --app");
    assert!(!workspace.path("secrets").exists());
    rotate(&["@c"]).exits(1).complains("there is no app").complains("did you mean");
    workspace.converge();
    let before = workspace.secrets("@a");
    let ran = rotate(&["@a", "--service", "valkey"]).exits(1).complains("generates no password for");
    ran.complains("on Valkey").complains("specs/a.toml:1").complains("credential = \"keep\"");
    rotate(&["@a", "--service", "kafka"]).exits(1).complains("on Kafka");
    rotate(&["@b"]).exits(1).complains("generates no password for");
    assert_eq!(workspace.secrets("@a"), before);
    workspace.remove("specs/b.toml");
    rotate(&["@b"]).exits(1).complains("no infraspec declares").hides("destroy ·");
    rotate(&["@a"]).exits(0).says("1 rotated");
    assert_ne!(workspace.secrets("@a"), before);
}

#[test]
fn a_consent_to_nothing_is_told() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    let told = "warning: --allow-destroy valkey.user.misspelt matches nothing in this plan";
    workspace.run(&["plan", "--allow-destroy", "valkey.user.misspelt"]).exits(0).complains(told);
    let allowed = ["--allow-destroy", "valkey.user.misspelt", "--allow-interrupt", "valkey.*"];
    let ran = workspace.run(&[&["apply", "--auto-approve"], &allowed[..]].concat()).exits(0).complains(told);
    ran.hides("--allow-interrupt");
}

#[test]
fn doctor_says_that_lost_secrets_stop_every_plan() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.run(&["doctor"]).exits(0).says("is not there yet; the first apply makes it");
    workspace.converge();
    std::fs::rename(workspace.path("secrets"), workspace.path("kept")).expect("lost");
    workspace.run(&["plan"]).exits(1).complains("has no marker of a state");
    let ran = workspace.run(&["doctor"]).exits(1).says("has no marker of a state").says("bring back the directory");
    ran.hides("the first apply makes it");
    std::fs::rename(workspace.path("kept"), workspace.path("secrets")).expect("found");
    workspace.run(&["doctor"]).exits(0).says("belongs to the state");
}

#[test]
fn nothing_is_published_for_a_login_that_waits_for_what_is_blocked() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nextensions = [\"no_such_thing\"]\n");
    let plan = workspace.run(&["plan"]).exits(0).says("the extension \"no_such_thing\" is not on this server");
    plan.says("Plan: 1 to create, 0 to update, 0 to destroy.").hides("secret.");
    // What is declared and cannot be done is told apart from what waits for somebody's word, and is no success.
    let applied = workspace.run(&["apply", "--auto-approve"]).exits(1).says("Blocked: cannot be done as things are\n");
    assert!(applied.last_line().starts_with("Apply incomplete: 1 created, 0 updated, 0 destroyed; 1 blocked, 2 held"));
    let report = applied.stdout.split("\nDone\n").last().expect("a report");
    assert!(report.lines().all(|line| line.len() <= 100), "{report}");
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("Nothing was applied: 1 blocked, 2 held.");
    let secrets = workspace.path(format!("secrets/{}a.env", workspace.prefix));
    assert!(!secrets.exists());
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("the app signs in");
}
