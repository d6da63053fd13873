//! What was last applied, what the infraspecs say and what is there: every case on each of the services.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::{Workspace, kafka_hand, servers};
use serde_json::Value;

fn spec(workspace: &Workspace, limit: u32, access: &str, retention: &str) {
    let topic = format!("{{ name = \"@a.t\", config = {{ \"retention.ms\" = \"{retention}\" }} }}");
    let text = format!(
        "app = \"@a\"\n[services.postgres]\nconnection_limit = {limit}\n[services.kv]\naccess = \"{access}\"\n\
         [services.events]\ntopics = [{topic}]\n"
    );
    workspace.spec("a", &text);
}

/// The resources that the plan is about, each with its action and reasons.
fn planned(workspace: &Workspace) -> Vec<Value> {
    let plan = workspace.run(&["plan", "--format", "json"]).exits(0).stdout;
    let mut plan: Value = serde_json::from_str(&plan).expect("JSON");
    plan["resources"].as_array_mut().map(std::mem::take).expect("resources")
}

/// Demands that a resource of each service is planned so.
#[track_caller]
fn plans(workspace: &Workspace, kinds: [&str; 3], action: &str, reasons: &[&str]) -> Vec<Value> {
    let resources = planned(workspace);
    let p = &workspace.prefix;
    let names = [format!("{p}a"), format!("{p}a_user"), format!("{p}a.t")];
    kinds
        .into_iter()
        .map(|kind| {
            let is_it = |one: &&Value| one["kind"] == kind && names.iter().any(|name| one["name"] == name.as_str());
            let found = resources.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} in {resources:#?}"));
            let why: Vec<&str> = found["reasons"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!((found["action"].as_str(), why.as_slice()), (Some(action), reasons), "{found:#}");
            found.clone()
        })
        .collect()
}

const ONES: [&str; 3] = ["postgres.role", "valkey.user", "kafka.topic"];

#[test]
fn every_case_is_told_apart_on_every_service() {
    let workspace = Workspace::new();
    let p = workspace.prefix.clone();
    let state = workspace.path("state/default.json");
    let (one, two) = (
        |workspace: &Workspace| spec(workspace, 5, "readwrite", "1d"),
        |workspace: &Workspace| spec(workspace, 6, "readonly", "2d"),
    );
    one(&workspace);
    workspace.converge();
    let state_of_one = workspace.read("state/default.json");

    // Pending: the infraspec alone has changed.
    two(&workspace);
    plans(&workspace, ONES, "update", &["changed_in_spec"]);

    // Both: somebody has been at the same fields.
    servers::postgres("postgres", &format!("ALTER ROLE {p}a_user CONNECTION LIMIT 7"));
    servers::valkey(&["ACL", "SETUSER", &format!("{p}a"), "off"]).expect("an answer");
    kafka_hand::set_config(&format!("{p}a.t"), "retention.ms", "259200000");
    let both = plans(&workspace, ONES, "update", &["changed_in_spec", "drifted"]);
    assert_eq!(both[0]["changes"][0]["cause"], "changed_and_drifted", "{:#}", both[0]);
    let shown = workspace.run(&["plan"]).exits(0);
    let shown = shown
        .says("Drift    3 resources are not as last applied; the plan puts that right\nBoth     3 of them changed");
    shown.says("connection limit:  7 -> 6  (drifted, and changed in spec)");

    // Drift: the services alone have.
    one(&workspace);
    let drifted = plans(&workspace, ONES, "update", &["drifted"]);
    assert_eq!(drifted[0]["changes"][0]["cause"], "drifted");
    workspace.run(&["plan"]).exits(0).says("3 resources are not as last applied; the plan").hides("changed in spec");
    two(&workspace);
    workspace.converge();
    let state_of_two = workspace.read("state/default.json");

    // Already so: infraspec and service are at the same place, and the state is not.
    std::fs::write(&state, &state_of_one).expect("written");
    plans(&workspace, ONES, "record", &["changed_in_spec"]);

    // Adopted: the state knows nothing of them.
    std::fs::remove_file(&state).expect("removed");
    plans(&workspace, ONES, "adopt", &["not_ours_yet"]);

    // Vanished: they are gone from the services.
    std::fs::write(&state, &state_of_two).expect("written");
    servers::postgres("postgres", &format!("DROP DATABASE {p}a"));
    servers::valkey(&["ACL", "DELUSER", &format!("{p}a")]).expect("an answer");
    kafka_hand::delete_topic(&format!("{p}a.t"));
    let gone = ["postgres.database", "valkey.user", "kafka.topic"];
    plans(&workspace, gone, "create", &["vanished"]);

    // Forgotten: nobody declares them any more either.
    workspace.spec("a", "app = \"@a\"\n");
    plans(&workspace, gone, "forget", &["no_longer_declared"]);
    two(&workspace);
    workspace.converge();
}
