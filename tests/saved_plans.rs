//! Saved plans: what is refused and why, what is refused of them at single objects, and carrying one out again.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_valkey::OwnValkey;
use common::{Ran, Workspace, servers};
use nornplan::core::digest::sha256;
use serde_json::{Value, json};

const ALL: &str =
    "app = \"@a\"\n[services.postgres]\nconnection_limit = 5\n[services.kv]\n[services.events]\ntopics = [\"@a.t\"]\n";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", ALL);
    workspace
}

/// Rewrites a saved plan as if it had been made so, with a checksum that is right.
fn forge(workspace: &Workspace, from: &str, to: &str, edit: impl FnOnce(&mut Value)) {
    let mut envelope: Value = serde_json::from_str(&workspace.read(from)).expect("JSON");
    let mut plan: Value = serde_json::from_str(envelope["plan"].as_str().expect("a text")).expect("a plan");
    edit(&mut plan);
    let text = serde_json::to_string_pretty(&plan).expect("JSON");
    envelope["checksum"] = json!(sha256(&text));
    envelope["plan"] = json!(text);
    std::fs::write(workspace.path(to), envelope.to_string()).expect("written");
}

#[test]
fn a_file_that_is_no_whole_plan_of_this_version_is_refused_with_what_is_wrong() {
    let workspace = workspace();
    let shown = workspace.run(&["plan", "--out", "plan.json", "--format", "json"]).exits(0).stdout;
    let good = workspace.read("plan.json");
    let write = |name: &str, bytes: &[u8]| std::fs::write(workspace.path(name), bytes).expect("written");
    write("empty.json", b"");
    write("blank.json", b" \n\n");
    write("cut.json", &good.as_bytes()[..good.len() / 2]);
    write("binary.json", &[0x7f, b'E', b'L', b'F', 0, 255, 254]);
    write("words.json", b"[1, 2]");
    write("shown.json", shown.as_bytes());
    write("changed.json", good.replace("connection_limit", "connection_limit_").as_bytes());
    write("more.json", good.replacen('{', "{\"more\": 1,", 1).as_bytes());
    write("newer.json", good.replacen("\"nornplan_plan\": 2", "\"nornplan_plan\": 3", 1).as_bytes());
    write("older.json", good.replacen("\"nornplan_plan\": 2", "\"nornplan_plan\": 1", 1).as_bytes());
    forge(&workspace, "plan.json", "unknown.json", |plan| plan["steps"][0]["op"]["do_it_twice"] = json!(true));
    forge(&workspace, "plan.json", "strange.json", |plan| plan["steps"][0]["action"] = json!("explode"));
    std::fs::create_dir(workspace.path("directory.json")).expect("a directory");
    std::fs::File::create(workspace.path("huge.json")).expect("a file").set_len(3 << 30).expect("long");
    let made_anew = "make a new one with `nornplan plan --out FILE`";
    for (file, wrong, hint) in [
        ("absent.json", "the saved plan cannot be read", "name the file that `nornplan plan --out FILE` wrote"),
        ("directory.json", "the saved plan cannot be read", "name the file in it"),
        ("huge.json", "too long a one: more than 256 MiB are not read", "name the file that"),
        ("empty.json", "no saved plan: there is nothing in it", made_anew),
        ("blank.json", "no saved plan: there is nothing in it", made_anew),
        ("cut.json", "no whole saved plan: it ends too early", made_anew),
        ("binary.json", "this is no saved plan", made_anew),
        ("words.json", "this is no saved plan", made_anew),
        ("shown.json", "this is a plan as --format json shows it", made_anew),
        ("changed.json", "was changed after it was saved", made_anew),
        ("more.json", "was changed after it was saved", made_anew),
        ("newer.json", "saved by a newer nornplan, in form 3; this one knows form 2", "the one that made it"),
        ("older.json", "saved by an older nornplan, in form 1; this one knows form 2", "the one that made it"),
        ("unknown.json", "something in it that this nornplan does not know", made_anew),
        ("strange.json", "something in it that this nornplan does not know", made_anew),
    ] {
        for command in ["apply", "show"] {
            let ran = workspace.run(&[command, file]).exits(1).flat().complains(wrong).complains(hint).complains(file);
            assert!(ran.stdout.is_empty(), "{}", ran.stdout);
        }
    }
    assert!(!workspace.path("state").exists(), "nothing was begun");
    workspace.run(&["apply", "plan.json", "--service", "kafka"]).exits(1).complains("narrow it when it is made");
}

#[test]
fn a_plan_of_another_environment_workspace_server_or_state_is_refused() {
    let workspace = workspace();
    workspace.write("nornplan.toml", "specs = \"specs\"\n[env.prod]\n");
    workspace.run(&["plan", "--out", "first.json"]).exits(0);
    let refuses = |file: &str, why: &str| {
        workspace.run(&["apply", file]).exits(1).flat().complains(why).complains("nornplan plan --out FILE");
    };
    let other = "the plan is for environment \"default\", this is \"prod\"";
    workspace.run(&["apply", "first.json", "--env", "prod"]).exits(1).complains(other);
    for (text, key) in [
        ("[state]\npath = \"elsewhere\"\n", "state.path was \"state\" there, and is \"elsewhere\" here"),
        ("[secrets]\ndir = \"elsewhere\"\n", "secrets.dir was \"secrets\" there, and is \"elsewhere\" here"),
        ("[naming]\nstrip = [\"-api\"]\n", "naming.strip was not set there, and is \"-api\" here"),
    ] {
        workspace.write("nornplan.toml", text);
        refuses("first.json", &format!("the plan was made in another workspace: {key}"));
    }
    workspace.write("nornplan.toml", "specs = \"specs\"\n");
    for service in ["postgres", "valkey", "kafka"] {
        forge(&workspace, "first.json", "forged.json", |plan| plan["services"][service]["identity"] = json!("another"));
        refuses("forged.json", "is another server now: planned for another, met ");
    }
    assert!(!workspace.path("state/default.json").exists(), "nothing was written");

    // Of two workspaces without a state, the one that has one by now is told from the other.
    workspace.converge();
    refuses("first.json", "the plan was made from another state: there was none yet, and this is state ");
    workspace.run(&["plan", "--out", "second.json"]).exits(0);
    workspace.run(&["apply", "second.json"]).exits(0);
    forge(&workspace, "second.json", "forged.json", |plan| plan["lineage"] = json!("of-another"));
    refuses("forged.json", "the plan was made from another state: from of-another at serial 1, and this is state ");
    forge(&workspace, "second.json", "forged.json", |plan| plan["serial"] = json!(99));
    refuses("forged.json", "the plan was made from a later state, at serial 99");
}

/// Demands that two texts are the same, and shows the first lines that are not.
#[track_caller]
fn assert_same(one: &str, other: &str, what: &str) {
    let place = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
    let from = |text: &str| text.lines().skip(place).take(3).collect::<Vec<_>>().join("\n");
    assert!(one == other, "{what}, line {}:\n{}\n--- the second time:\n{}", place + 1, from(one), from(other));
}

#[test]
fn the_same_specs_planned_twice_are_the_same_byte_for_byte() {
    // What others on a Valkey have set and not saved yet is told in every plan that saves it with its own: what tests beside
    // this one do would be a change.
    let server = OwnValkey::start();
    let mut workspace = workspace();
    server.serve(&mut workspace);
    workspace.among_others(3);
    let plan = |file: &str| {
        let shown = workspace.run(&["plan", "--format", "json", "--out", file]).exits(0).stdout;
        let saved = workspace.read(file);
        let envelope: Value = serde_json::from_str(&saved).expect("JSON");
        (shown, envelope["plan"].as_str().expect("a text").to_owned(), saved)
    };
    let twice = |when: &str| {
        let (one, two) = (plan("one.json"), plan("two.json"));
        assert_same(&one.0, &two.0, &format!("what is shown {when}"));
        assert_same(&one.1, &two.1, &format!("what is saved {when}"));
        assert_same(&one.2, &two.2, &format!("the whole file {when}"));
    };
    twice("without a state");
    workspace.run(&["apply", "--auto-approve", "--parallelism", "1"]).exits(0);
    workspace.spec("a", &ALL.replace("= 5", "= 6").replace("@a.t\"", "@a.u\""));
    workspace.remove("specs/kv0.toml");
    servers::postgres("postgres", &format!("ALTER ROLE {}a_user CONNECTION LIMIT 77", workspace.prefix));
    twice("with changes, drift and what is to go");
    workspace.spec("a", ALL);
}

#[test]
fn what_is_shown_of_a_saved_plan_is_what_was_planned_and_takes_no_workspace() {
    let workspace = workspace();
    workspace.converge();
    workspace.spec("a", &ALL.replace("= 5", "= 6"));
    for format in ["text", "json", "markdown", "mermaid", "dot"] {
        let planned = workspace.run(&["plan", "--format", format, "--out", "plan.json"]).exits(0).stdout;
        let elsewhere = tempfile::tempdir().expect("a directory");
        let file = workspace.path("plan.json");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_nornplan"))
            .current_dir(elsewhere.path())
            .env_clear()
            .args(["show", file.to_str().expect("UTF-8"), "--format", format])
            .output()
            .expect("nornplan runs");
        let shown = common::Ran::of(output).exits(0).complains("at serial 1.").complains("made by nornplan");
        assert_eq!(shown.stdout, planned, "{format}");
    }
}

#[test]
fn what_is_held_in_a_saved_plan_is_released_by_consent_when_it_is_carried_out() {
    let workspace = workspace();
    workspace.among_others(4);
    workspace.converge();
    workspace.remove("specs/kv0.toml");
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says("held");
    workspace.run(&["apply", "plan.json"]).exits(0).complains("Nothing was applied:");
    let flags = ["--allow-destroy=all", "--allow-interrupt=all"];
    workspace.run(&["apply", "plan.json", flags[0], flags[1]]).exits(0).says("destroyed");
    let again = workspace.run(&["apply", "plan.json", flags[0], flags[1]]).exits(0);
    again.says("nothing was written");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

const KV: &str = "app = \"@a\"\n[services.kv]\n";

#[test]
fn nothing_but_what_the_same_command_wrote_is_overwritten() {
    let workspace = Workspace::new();
    workspace.spec("a", KV);
    workspace.converge();
    workspace.write("cut.json", "{\n  \"nornplan_plan\": 2,\n  \"checksum\": \"12");
    workspace.write("empty.json", " \n");
    workspace.run(&["state", "pull", "--out", "pulled.json"]).exits(0);
    for file in ["state/default.json", "nornplan.toml", "specs/a.toml", "pulled.json"] {
        let before = workspace.read(file);
        let refused = workspace.run(&["plan", "--out", file]).exits(1).complains("is not overwritten");
        assert!(refused.stdout.is_empty(), "it is found out before anything is planned");
        assert_eq!(workspace.read(file), before, "{file}");
    }
    for file in ["cut.json", "empty.json", "new.json", "new.json"] {
        workspace.run(&["plan", "--out", file]).exits(0).complains("Saved to");
        workspace.run(&["show", file]).exits(0);
    }
    for (file, why) in [
        ("state/default.json", "where states are kept"),
        ("state/other.json", "where states are kept"),
        ("specs/a.toml", "is not overwritten"),
        ("new.json", "is not overwritten"),
    ] {
        let before = std::fs::read(workspace.path(file)).ok();
        workspace.run(&["state", "pull", "--out", file]).exits(1).complains(why);
        assert_eq!(std::fs::read(workspace.path(file)).ok(), before, "{file}");
    }
    workspace.run(&["state", "pull", "--out", "pulled.json"]).exits(0);

    for file in ["state/default.json", "pulled.json"] {
        for command in ["show", "apply"] {
            let refused = workspace.run(&[command, file]).exits(1).complains("this is a state, and no saved plan");
            refused.complains("`nornplan show`");
        }
    }
}

/// Types a command that stands between backticks behind some words of a run's messages.
fn typed(workspace: &Workspace, ran: &Ran, behind: &str) -> Ran {
    let rest = ran.stderr.split(behind).nth(1).unwrap_or_else(|| panic!("no {behind:?} in {}", ran.stderr));
    let command = rest.split('`').nth(1).expect("a command").strip_prefix("nornplan").expect("of ours");
    let here = workspace.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(workspace.path("")).env_clear();
    shell.envs(here.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(shell.args(["-c", &format!("{}{command}", env!("CARGO_BIN_EXE_nornplan"))]).output().expect("sh runs"))
}

#[test]
fn a_command_that_is_told_does_what_is_said_when_it_is_typed() {
    let workspace = Workspace::new();
    workspace.spec("a", KV);
    workspace.write("my conf.toml", "specs = \"specs\"\n[env.prod]\n");
    let prod = ["--env", "prod", "--config", "my conf.toml"];
    let run = |arguments: &[&str]| workspace.run(&[&prod[..], arguments].concat());
    let saved = run(&["plan", "--out", "my plan.json"]).exits(0);
    workspace.run(&["apply", "my plan.json", "--config", "my conf.toml"]).exits(1).complains("give --env prod to");
    typed(&workspace, &saved, "Carry out exactly this with: ").exits(0).says("2 created");
    run(&["show", "nowhere.json"]).exits(1).complains("`nornplan --config 'my conf.toml' --env prod plan --out FILE`");

    // Nothing of what is saved runs as it is.
    let saved = run(&["plan", "--destroy", "--app", "@a", "--out", "gone.json"]).exits(0).complains("2 held");
    typed(&workspace, &saved, "Let go what is held with: ").exits(0).says("2 destroyed");
    // Again, and nothing of it is told for done.
    let again = run(&["apply", "gone.json", "--allow-destroy", "all"]).exits(0).says("nothing was written");
    again.says("0 destroyed; 2 already so.");
}

#[test]
fn what_is_refused_of_a_saved_destroy_is_planned_anew_as_a_destroy() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.kv]\nnamespace = \"@a\"\n");
    workspace.among_others(1);
    workspace.converge();
    workspace.run(&["plan", "--destroy", "--app", "@a", "--out", "gone.json", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["state", "forget", "valkey.user.@a"]).exits(0);
    let refused = workspace.run(&["apply", "gone.json"]).exits(1).flat();
    let app = format!("--app {}a", workspace.prefix);
    refused.says(&format!(
        "Run `nornplan plan --destroy {app}` to see what it has become, then `nornplan destroy {app}`."
    ));
    workspace.converge();
}

#[test]
fn an_infraspec_that_stays_as_it_is_has_not_changed_for_a_plan_of_one_service() {
    let workspace = workspace();
    workspace.run(&["plan", "--service", "valkey", "--out", "valkey.json"]).exits(0);
    workspace.run(&["apply", "valkey.json"]).exits(0).hides("has changed");
    workspace.spec("a", &ALL.replace("= 5", "= 6"));
    workspace.run(&["apply", "valkey.json"]).exits(0).complains("has changed");
}

#[test]
fn a_plan_of_a_state_that_is_not_here_says_that_there_is_none() {
    let workspace = Workspace::new();
    workspace.spec("a", KV);
    workspace.converge();
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    std::fs::rename(workspace.path("state"), workspace.path("elsewhere")).expect("moved");
    workspace.run(&["apply", "plan.json"]).exits(1).complains("at serial 1, and there is none here");
    std::fs::remove_dir_all(workspace.path("state")).expect("removed");
    std::fs::rename(workspace.path("elsewhere"), workspace.path("state")).expect("moved back");
}
