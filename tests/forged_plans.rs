//! A saved plan that somebody edited, with a checksum that was made anew: what it shows is what it does, or it is refused
//! before anything is written.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers::{postgres_value, topic_config};
use nornplan::core::digest::sha256;
use serde_json::{Value, json};

/// Writes the plan of a file to another one, as if it had been made so.
fn forge(workspace: &Workspace, from: &str, edit: impl FnOnce(&mut Value)) {
    let mut envelope: Value = serde_json::from_str(&workspace.read(from)).expect("JSON");
    let mut plan: Value = serde_json::from_str(envelope["plan"].as_str().expect("a text")).expect("a plan");
    edit(&mut plan);
    let text = serde_json::to_string_pretty(&plan).expect("JSON");
    envelope["checksum"] = json!(sha256(&text));
    envelope["plan"] = json!(text);
    std::fs::write(workspace.path("forged.json"), envelope.to_string()).expect("written");
}

/// The step on an address, by its part.
#[track_caller]
fn step<'a>(plan: &'a mut Value, address: &str, part: &str) -> &'a mut Value {
    let steps = plan["steps"].as_array_mut().expect("steps");
    let found = steps.iter_mut().find(|step| step["address"] == address && step["part"] == part);
    found.unwrap_or_else(|| panic!("no step {address} ({part})"))
}

/// Gives what a step makes of a field another value, and tells of it.
fn tell(step: &mut Value, field: &str, value: &Value) {
    step["after"][field] = value.clone();
    let changes = step["changes"].as_array_mut().expect("changes");
    match changes.iter_mut().find(|change| change["field"] == field) {
        Some(change) => change["after"] = value.clone(),
        None => changes.push(json!({ "field": field, "before": [], "after": value, "cause": "changed_in_spec" })),
    }
}

const A: &str = "app = \"@a\"\n[services.postgres]\nconnection_limit = LIMIT\nextensions = [EXTENSIONS]\n[services.kv]\n\
                 access = \"ACCESS\"\n[services.events]\ntopics = [{ name = \"@a.t\", config = { \"retention.ms\" = \"KEEP\" } }]\n";
const B: &str = "app = \"@b\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@b.t\"]\n";

fn a(limit: &str, extensions: &str, access: &str, keep: &str) -> String {
    let a = A.replace("LIMIT", limit).replace("EXTENSIONS", extensions);
    a.replace("ACCESS", access).replace("KEEP", keep)
}

/// A plan that changes one app, destroys one, and makes one.
fn planned() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", &a("5", "", "readwrite", "1d"));
    workspace.spec("b", B);
    workspace.converge();
    workspace.spec("a", &a("6", "\"citext\"", "readonly", "2d"));
    workspace.remove("specs/b.toml");
    workspace.spec("c", &B.replace("@b", "@c"));
    workspace.run(&["plan", "--out", "plan.json", "--allow-destroy=all", "--allow-interrupt=all"]).exits(0);
    workspace.run(&["show", "plan.json"]).exits(0).says("to destroy");
    workspace
}

type Edit = Box<dyn Fn(&mut Value)>;

#[test]
fn what_is_shown_is_what_is_done() {
    let workspace = planned();
    let p = workspace.prefix.clone();
    let at = |kind: &str, name: &str| format!("{kind}.{p}{name}");
    let edit = |address: String, change: fn(&mut Value)| -> Edit {
        Box::new(move |plan| change(step(plan, &address, "main")))
    };
    let (role, topic) = (at("postgres.role", "a_user"), at("kafka.topic", "a.t"));
    let (gone, made) = (at("postgres.database", "b"), at("postgres.role", "c_user"));
    let (grant, acl) = (format!("postgres.grant.{p}c/{p}c_user"), at("kafka.acl", "c"));
    let secret = at("secret", "c");
    let (of_secret, of_stage, of_other) = (secret.clone(), secret.clone(), secret.clone());
    let (other_app, other_need, prevented) = (format!("{p}a"), format!("{p}x"), format!("{p}a"));
    let (another, nobody) = (format!("{p}a"), gone.clone());
    let waits = gone.clone();
    let forged: Vec<(&str, Edit, &str)> = vec![
        ("another role", edit(role.clone(), |step| step["after"]["name"] = json!("postgres")), "after: it is"),
        (
            "another database",
            {
                let gone = gone.clone();
                Box::new(move |plan| step(plan, &gone, "main")["before"]["name"] = json!(another))
            },
            "before: it is",
        ),
        ("another operation", edit(role.clone(), |step| step["op"]["do"] = json!("drop_role")), "op: it is not how to"),
        ("more than is told", edit(role.clone(), |step| step["after"]["connection_limit"] = json!(77)), "changes:"),
        (
            "rights untold",
            edit(role.clone(), |step| step["after"]["attributes"] = json!(["SUPERUSER"])),
            "changes: that attributes changes is not said",
        ),
        (
            "other words",
            edit(topic.clone(), |step| step["changes"][0]["after"]["retention.ms"] = json!("7")),
            "changes: config does not change so",
        ),
        ("less risk", edit(gone.clone(), |step| step["risks"] = json!([])), "risks: it loses data"),
        (
            "another app's",
            {
                let gone = gone.clone();
                Box::new(move |plan| step(plan, &gone, "main")["app"] = json!(other_app))
            },
            "app:",
        ),
        (
            "nobody's",
            Box::new(move |plan| _ = plan["owners"].as_object_mut().unwrap().remove(&nobody)),
            "app: when it was planned",
        ),
        (
            "taken over unsaid",
            {
                let role = role.clone();
                Box::new(move |plan| _ = plan["owners"].as_object_mut().unwrap().remove(&role))
            },
            "reasons: it was not",
        ),
        ("a part of something else", edit(gone.clone(), |step| step["part_of"] = json!("postgres.role.x")), "part_of:"),
        ("a rename", edit(made.clone(), |step| step["renamed_from"] = json!("postgres.role.x")), "renamed_from:"),
        ("no password", edit(made.clone(), |step| step["sets_credential"] = json!(false)), "sets_credential:"),
        (
            "more privileges",
            edit(grant.clone(), |step| tell(step, "schema_privileges", &json!(["CREATE", "USAGE", "X"]))),
            "after: it is more than",
        ),
        ("too early", edit(acl.clone(), |step| step["needs"] = json!([])), "needs:"),
        (
            "what nobody plans",
            {
                let acl = acl.clone();
                Box::new(move |plan| {
                    let need = json!({ "address": format!("kafka.topic.{other_need}"), "part": "main" });
                    step(plan, &acl, "main")["needs"] = json!([need]);
                })
            },
            "is no step of the plan",
        ),
        (
            "a circle",
            {
                let (acl, user) = (acl.clone(), at("kafka.user", "c"));
                Box::new(move |plan| {
                    let need = json!({ "address": acl, "part": "main" });
                    step(plan, &user, "main")["needs"] = json!([need]);
                })
            },
            "which it needs",
        ),
        ("all at once", edit(role.clone(), |step| step["exclusive"] = json!(null)), "exclusive:"),
        (
            "held by half",
            Box::new(move |plan| step(plan, &waits, "main")["hold"] = json!({ "why": "destroy" })),
            "which is held",
        ),
        (
            "a new password",
            Box::new(move |plan| {
                step(plan, &of_stage, "stage")["op"]["do"]["stage"]["services"]["kafka"] = json!(true)
            }),
            "op: other passwords",
        ),
        (
            "unproved",
            Box::new(move |plan| step(plan, &of_other, "publish")["op"]["do"]["publish"]["proved"] = json!(["kafka"])),
            "op: other passwords",
        ),
        (
            "no server",
            Box::new(|plan| _ = plan["services"].as_object_mut().unwrap().remove("postgres")),
            "does not name its server",
        ),
        (
            "protected no more",
            Box::new(move |plan| plan["prevent_destroy"] = json!({ prevented.clone(): false })),
            "it does not say of the app",
        ),
    ];
    let state = workspace.read("state/default.json");
    for (what, edit, why) in &forged {
        forge(&workspace, "plan.json", edit);
        for command in ["show", "apply"] {
            let ran = workspace.run(&[command, "forged.json"]);
            assert_eq!(ran.code, 1, "{command} {what}: {}{}", ran.stdout, ran.stderr);
            let said = ran.flat().stderr;
            for words in ["the saved plan is not what nornplan writes", why, "make a new one"] {
                assert!(said.contains(words), "{command} {what}: {said}");
            }
        }
    }
    // What only the workspace, the state and the servers can tell.
    let (kv, database) = (at("valkey.user", "a"), at("postgres.database", "a"));
    let reserved = format!("{p}c.t");
    let here: Vec<(&str, Edit, &str)> = vec![
        (
            "a reserved name",
            Box::new(move |plan| {
                let text = plan.to_string().replace(&reserved, "_schemas");
                *plan = serde_json::from_str(&text).unwrap();
            }),
            "bears a name that is reserved",
        ),
        (
            "rules untold",
            edit(kv.clone(), |step| step["after"]["more_keys"] = json!(["~*"])),
            "would get other rules than what is declared",
        ),
        (
            "keys untold",
            edit(kv.clone(), |step| {
                step["after"]["more_keys"] = json!(["~x:*"]);
                step["after"]["keys"].as_array_mut().unwrap().push(json!("~x:*"));
                let keys = step["after"]["keys"].clone();
                tell(step, "keys", &keys);
                step["risks"].as_array_mut().unwrap().push(json!("widens_access"));
            }),
            "would get, or lose, more than is told",
        ),
        ("rules of its own", edit(kv, |step| step["after"]["access"] = json!(null)), "access does not change so"),
        (
            "another user",
            edit(database.clone(), |step| step["op"]["do"]["alter_database"]["user"] = json!("x")),
            "is not its app's",
        ),
        ("another's objects", edit(database, |step| step["after"]["former_users"] = json!(["x"])), "is not its app's"),
        (
            "another server's URL",
            Box::new(move |plan| {
                let publish = step(plan, &of_secret, "publish");
                let url = publish["after"]["values"]["DATABASE_URL"].as_str().unwrap().replace('@', "@evil.example/");
                publish["after"]["values"]["DATABASE_URL"] = json!(url.clone());
                publish["changes"][0]["after"]["DATABASE_URL"] = json!(url);
                step(plan, &of_secret, "stage")["after"]["values"]["DATABASE_URL"] = json!(url);
            }),
            "it would publish a DATABASE_URL",
        ),
        (
            "no identity",
            Box::new(|plan| plan["services"]["postgres"]["identity"] = json!(null)),
            "is another server now",
        ),
    ];
    for (what, edit, why) in &here {
        forge(&workspace, "plan.json", edit);
        let ran = workspace.run(&["apply", "forged.json"]).flat();
        assert_eq!(ran.code, 1, "{what}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(why), "{what}: {}", ran.stderr);
    }
    assert_eq!(workspace.read("state/default.json"), state, "nothing was noted");
    let limit = format!("SELECT rolconnlimit::text FROM pg_roles WHERE rolname = '{p}a_user'");
    assert_eq!(postgres_value("postgres", &limit).as_deref(), Some("5"), "nothing was written");
    assert_eq!(topic_config(&format!("{p}a.t"), "retention.ms").as_deref(), Some("86400000"));
    // The plan as it was made is carried out, once.
    workspace.run(&["apply", "plan.json"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    workspace.run(&["apply", "plan.json"]).exits(0).says("nothing was written");
}
