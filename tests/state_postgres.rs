//! The state in a database of its own: made late, closed, whole, and refused where it is not what it should be.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::own_postgres::free_port;
use common::servers;
use common::state_database::StateDatabase;
use common::{Ran, Workspace};

const KV: &str = "app = \"@a\"\n[services.kv]\n";

#[test]
fn it_is_made_by_the_first_run_that_writes_and_nobody_else_enters_it() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n[services.kv]\n");
    workspace.run(&["state", "list"]).exits(0).complains("Nothing is ours");
    workspace.run(&["plan"]).exits(0).says("6 to create");
    workspace.run(&["doctor"]).exits(0).says(&state.name).says("the first apply makes it").says("its lock is free");
    assert!(!state.exists(), "looking makes nothing");
    workspace.converge();
    assert!(!workspace.path("state").exists(), "nothing is in files");
    workspace.run(&["state", "list"]).exits(0).says("valkey.user.@a".replace('@', &workspace.prefix).as_str());
    workspace.run(&["doctor"]).exits(0).says("closed to every other role").says("the state can be written");
    workspace.run(&["-v", "plan"]).exits(0).complains(&format!("state database {}", state.name));
    workspace.run(&["drift", "--unmanaged"]).exits(0).hides(&state.name);

    let url = workspace.published("@a", "DATABASE_URL");
    let (server, _) = url.rsplit_once('/').unwrap();
    let (_, parameters) = url.split_once('?').unwrap();
    let entered = servers::postgres_at(&format!("{server}/{}?{parameters}", state.name), "SELECT 1");
    assert!(entered.unwrap_err().to_string().contains("permission denied"), "apps are kept out");
    state.run(&format!("GRANT CONNECT ON DATABASE \"{}\" TO PUBLIC", state.name));
    workspace.run(&["doctor"]).exits(1).says("open to every role").says("REVOKE ALL ON DATABASE");

    for database in ["nornplan", &state.name] {
        workspace.spec("b", &format!("app = \"@b\"\n[services.postgres]\ndatabase = \"{database}\"\n"));
        workspace.run(&["validate"]).exits(1).complains("is where nornplan keeps its state");
    }
    workspace.remove("specs/b.toml");
}

#[test]
fn a_journal_is_folded_in_and_the_document_before_is_kept() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    let serial = || state.value("SELECT serial::text FROM nornplan.document");
    assert_eq!((serial().as_str(), state.value("SELECT count(*)::text FROM nornplan.journal").as_str()), ("1", "0"));
    // As a run leaves it that was killed before it could write the document.
    let secret = format!("secret.{}b", workspace.prefix);
    let leave = |serial: &str| {
        state.run(&format!(
            "INSERT INTO nornplan.journal (workspace, environment, lineage, serial, event) SELECT workspace, environment, \
             lineage, {serial}, '{{\"event\":\"gone\",\"address\":\"{secret}\"}}' FROM nornplan.document"
        ));
    };
    leave("serial");
    workspace.run(&["state", "list"]).exits(0).hides(&secret);
    assert_eq!(serial(), "1", "looking writes nothing");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("1 adopted");
    assert_eq!(state.value("SELECT count(*)::text FROM nornplan.journal"), "0");
    assert_eq!(serial(), "3");
    assert_eq!(state.value("SELECT serial::text FROM nornplan.backup"), "2");
    workspace.run(&["state", "pull", "--backup"]).exits(0).says("\"serial\": 2").hides(&secret);
    // Killed after it had written the document: it has these events already.
    leave("serial - 1");
    workspace.run(&["state", "list"]).exits(0).says(&secret);
    leave("serial + 1");
    workspace.run(&["state", "list"]).exits(1).complains("is older than its journal").complains("Nothing was written");
    state.run("DELETE FROM nornplan.journal");
}

#[test]
fn what_doctor_says_to_somebody_without_rights_helps_as_it_is_typed() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    workspace.converge();
    let user = format!("{}-Ops", workspace.prefix);
    state.run(&format!(
        "CREATE ROLE \"{user}\" LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE \"{}\" TO \"{user}\"",
        state.name
    ));
    let by = |arguments: &[&str]| {
        let mut command = workspace.command(arguments);
        command.env("NORNPLAN_STATE_USER", &user).env("NORNPLAN_STATE_PASSWORD", "x");
        Ran::of(command.output().unwrap())
    };
    let told = by(&["doctor"]).exits(1).flat().says("the state cannot be written by");
    let (_, hint) = told.stdout.split_once("as who made it: ").unwrap();
    let last = format!("SCHEMA nornplan TO \"{user}\"");
    let (statements, _) = hint.rsplit_once(&last).unwrap();
    let (first, _) = statements.split_once(';').unwrap();
    assert!(first.starts_with("GRANT USAGE ON SCHEMA nornplan TO"), "{hint}");
    state.run(&format!("{statements}{last}"));
    by(&["doctor"]).says("the state can be written");
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    by(&["apply", "--auto-approve"]).exits(0).says("2 created");
    state.run(&format!("DROP OWNED BY \"{user}\"; DROP ROLE \"{user}\""));
}

#[test]
fn what_is_not_as_it_should_be_is_refused_and_left_alone() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    workspace.converge();
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    let good = workspace.run(&["state", "pull"]).exits(0).stdout;
    for (wrong, back, says) in [
        ("UPDATE nornplan.format SET version = 7", "UPDATE nornplan.format SET version = 1", "have format 7"),
        (
            "UPDATE nornplan.document SET content = replace(content, '\"format_version\": 1', '\"format_version\": 9')",
            "UPDATE nornplan.document SET content = replace(content, '\"format_version\": 9', '\"format_version\": 1')",
            "the state has format 9",
        ),
        (
            "UPDATE nornplan.document SET serial = 40",
            "UPDATE nornplan.document SET serial = 2",
            "its row is not about it",
        ),
        (
            "UPDATE nornplan.document SET content = '<<<<' || content",
            "UPDATE nornplan.document SET content = substr(content, 5)",
            "the state is corrupt",
        ),
    ] {
        state.run(wrong);
        for command in [&["plan"][..], &["apply", "--auto-approve"], &["state", "list"]] {
            workspace.run(command).exits(1).complains(says).complains("Nothing was written");
        }
        state.run(back);
    }
    assert_eq!(workspace.run(&["state", "pull"]).exits(0).stdout, good);
    // The way back from a document that cannot be read.
    state.run("UPDATE nornplan.document SET content = 'gone'");
    let hint = "nornplan state push --force good.json";
    workspace.run(&["state", "pull"]).exits(1).flat().complains(hint);
    workspace.run(&["state", "pull", "--backup", "--out", "good.json"]).exits(0);
    workspace.run(&["state", "push", "good.json", "--auto-approve"]).exits(1).complains("the state is corrupt");
    workspace.run(&["state", "push", "good.json", "--force", "--auto-approve"]).exits(0).complains("serial 2");
    workspace.run(&["apply", "--auto-approve"]).exits(0).says("2 adopted");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_server_that_cannot_be_reached_is_never_taken_for_an_empty_state() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.spec("a", KV);
    workspace.converge();
    let port = free_port().to_string();
    let away = |arguments: &[&str]| {
        let output = workspace.command(arguments).env("NORNPLAN_STATE_PORT", &port).output().unwrap();
        common::Ran::of(output).exits(1).complains("the state cannot be reached").complains(&port).hides("to create")
    };
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["drift"], &["state", "list"], &["state", "unlock"]] {
        away(command);
    }
    let doctor = workspace.command(&["doctor"]).env("NORNPLAN_STATE_PORT", &port).output().unwrap();
    common::Ran::of(doctor).exits(1).says("the state cannot be reached");
    // Another database that is used for something else.
    let other = format!("{}other", workspace.prefix);
    servers::postgres("postgres", &format!("CREATE DATABASE \"{other}\""));
    servers::postgres(&other, "CREATE TABLE theirs (x int)");
    let apply =
        workspace.command(&["apply", "--auto-approve"]).env("NORNPLAN_STATE_DATABASE", &other).output().unwrap();
    servers::postgres("postgres", &format!("DROP DATABASE \"{other}\" WITH (FORCE)"));
    common::Ran::of(apply).exits(1).complains("is used for something else (public.theirs is in it)");
    drop(state);
}

#[test]
fn several_workspaces_and_environments_share_a_database_and_nothing_else() {
    let mut workspace = Workspace::new();
    let state = StateDatabase::of(&mut workspace);
    workspace.write("nornplan.toml", "specs = \"specs\"\n[env.prod.secrets]\ndir = \"elsewhere\"\n");
    workspace.spec("a", KV);
    workspace.converge();
    workspace.run(&["state", "list", "--env", "prod"]).exits(0).complains("Nothing is ours");
    let mut other = Workspace::new();
    state.share(&mut other);
    other.set("NORNPLAN_STATE_NAME", "other");
    other.spec("a", KV);
    other.run(&["plan"]).exits(0).says("2 to create, 0 to update, 0 to destroy");
    other.converge();
    assert_eq!(
        state.value("SELECT string_agg(workspace, ',' ORDER BY workspace) FROM nornplan.document"),
        "default,other"
    );
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    other.run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all"]).exits(0);
}
