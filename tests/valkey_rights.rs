//! An administrator that may not do everything, and servers that have not every command: what is missing is told before
//! anything is written, with the statement that allows it. And users of others that may do too much are named.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::valkey_at;
use common::{Ran, Workspace};

const NORN: &str = "the-password-of-a-lesser-admin";

/// A workspace in which nornplan signs in as `norn`, which has these rules.
fn begin(server: &OwnValkey, rules: &str) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("cafe", "app = \"@cafe\"\n[services.kv]\n");
    allow(server, &format!("on >{NORN} ~* &* {rules}"));
    workspace.set("NORNPLAN_VALKEY_USER", "norn");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", NORN);
    workspace
}

fn allow(server: &OwnValkey, rules: &str) {
    let words: Vec<&str> = ["ACL", "SETUSER", "norn"].into_iter().chain(rules.split(' ')).collect();
    server.run(&words);
}

/// Runs it, and takes out the breaks that lines have to fit a screen.
fn run(workspace: &Workspace, arguments: &[&str]) -> Ran {
    let ran = workspace.run(arguments).hides(NORN);
    let flat = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Ran { code: ran.code, stdout: flat(&ran.stdout), stderr: flat(&ran.stderr) }
}

fn users(server: &OwnValkey) -> Vec<String> {
    server.run(&["ACL", "USERS"]).into_array().into_iter().filter_map(fred::types::Value::into_string).collect()
}

#[test]
fn a_step_that_we_may_not_carry_out_says_which_right_is_missing() {
    let server = OwnValkey::start();
    let workspace = begin(&server, "+@all -acl|setuser -acl|dryrun -acl|deluser");
    let statement = "ACL SETUSER norn +acl|dryrun +acl|setuser";
    run(&workspace, &["plan"])
        .exits(0)
        .says("BLOCKED")
        .says(&format!("norn may not run ACL DRYRUN, ACL SETUSER: allow it by {statement}"));
    run(&workspace, &["doctor"])
        .exits(1)
        .says("norn may not run ACL DELUSER, ACL DRYRUN, ACL SETUSER")
        .says("ACL SETUSER norn +acl|deluser +acl|dryrun +acl|setuser");
    run(&workspace, &["apply", "--auto-approve"]).exits(1).says(statement);
    assert_eq!(users(&server), ["default", "norn"]);

    // The statement is what was missing.
    server.run(&statement.split(' ').collect::<Vec<_>>());
    workspace.converge();
    workspace.remove("specs/cafe.toml");
    workspace.spec("tea", "app = \"@tea\"\n[services.kv]\n");
    let destroy = ["plan", "--allow-destroy", "all"];
    run(&workspace, &destroy).exits(0).says("norn may not run ACL DELUSER: allow it by ACL SETUSER norn +acl|deluser");
    allow(&server, "+acl|deluser");
    run(&workspace, &destroy).exits(0).hides("BLOCKED");
    run(&workspace, &["doctor"]).exits(0).says("signs in as norn, which may run all that nornplan needs");
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_the_right() {
    let server = OwnValkey::start();
    let workspace = begin(&server, "+@all");
    for (rules, command) in
        [("-info", "INFO"), ("-command", "COMMAND"), ("-acl|list", "ACL LIST"), ("-acl|getuser", "ACL GETUSER")]
    {
        allow(&server, rules);
        let said = format!("norn, as whom nornplan signs in, may not run {command}");
        let statement = format!("ACL SETUSER norn +{}", command.to_lowercase().replace(' ', "|"));
        run(&workspace, &["plan"]).exits(1).complains(&said).complains(&format!("allow it by {statement};"));
        run(&workspace, &["doctor"]).exits(1).says(&said).says(&statement);
        server.run(&statement.split(' ').collect::<Vec<_>>());
        run(&workspace, &["plan"]).exits(0);
    }
}

#[test]
fn settings_that_are_kept_from_us_do_not_stop_anything() {
    let unknown = "whether users outlive a restart is not known";
    for (saves, lines, rules) in [
        (Saves::AclFile, "", "-config"),
        (Saves::ConfigFile, "", "-config|get"),
        (Saves::AclFile, "rename-command CONFIG \"\"", "-flushall"),
    ] {
        let server = OwnValkey::with(saves, lines);
        let workspace = begin(&server, &format!("+@all {rules}"));
        run(&workspace, &["plan"]).exits(0).says(unknown).hides("BLOCKED");
        run(&workspace, &["doctor"]).says(unknown);
        workspace.converge();
        server.restart();
        workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
        let key = format!("{}cafe:k", workspace.prefix);
        valkey_at(&workspace.published("@cafe", "VALKEY_URL"), &["SET", &key, "v"]).expect("saved");
    }
}

#[test]
fn a_server_without_acl_commands_is_told_early() {
    let server = OwnValkey::with(Saves::ConfigFile, "rename-command ACL \"\"");
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("cafe", "app = \"@cafe\"\n[services.kv]\n");
    for (arguments, out) in [(&["plan"][..], false), (&["apply", "--auto-approve"], false), (&["doctor"], true)] {
        let ran = run(&workspace, arguments).exits(1);
        let said = if out { &ran.stdout } else { &ran.stderr };
        assert!(said.contains("the server does not know this command"), "{said}");
        assert!(said.contains("managed offerings"), "{said}");
    }
    assert!(!workspace.path("state/default.json").exists() && !workspace.path("secrets").exists());
}

#[test]
fn users_that_nobody_declares_and_that_reach_apps_are_named() {
    let server = OwnValkey::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("cafe", "app = \"@cafe\"\n[services.kv]\nreaders = [\"@desk\"]\n");
    workspace.spec("desk", "app = \"@desk\"\n[services.kv]\n");
    workspace.converge().hides("that no infraspec declares");
    let cafe = format!("{}cafe", workspace.prefix);
    let user = |name: &str, rules: &str| {
        let words = format!("ACL SETUSER {name} reset on >{NORN} {rules}");
        server.run(&words.split(' ').collect::<Vec<_>>());
    };
    // What replication and sentinels need, and what lies elsewhere, is nobody's business here.
    user("replica", "+psync +replconf +ping");
    let sentinels = "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname \
                     +client|kill +script|kill";
    user("watcher", sentinels);
    user("legacy", "~legacy:* resetchannels +@all");
    user("norn", "~* &* +@all");
    workspace.set("NORNPLAN_VALKEY_USER", "norn");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", NORN);
    for arguments in [&["plan", "--detailed-exitcode"][..], &["plan", "--app", "@desk"], &["drift"], &["doctor"]] {
        run(&workspace, arguments).exits(0).hides("that no infraspec declares");
    }

    user("ops", "~* resetchannels +@all");
    user("deploy", "~* resetchannels +@all");
    user("feed", &format!("%R~{cafe}:f* &{cafe}:news +@read +@pubsub"));
    let count = "3 users that no infraspec declares reach what apps have: deploy, feed, ops.";
    let plan = run(&workspace, &["plan", "--detailed-exitcode"]).exits(0).says(count);
    assert_eq!(plan.stdout.matches("that no infraspec declares").count(), 1, "{}", plan.stdout);
    // A reader that is out of scope is no stranger.
    run(&workspace, &["plan", "--app", "@cafe"]).exits(0).says(count);
    run(&workspace, &["drift"]).exits(0).says(count);
    let feed =
        format!("feed may read keys of {cafe}, and listen and send on channels of {cafe} (%R~{cafe}:f*, &{cafe}:news)");
    run(&workspace, &["doctor"])
        .exits(0)
        .says("deploy, ops may do everything (~*)")
        .says(&feed)
        .says("internal = [...]");
    // Those that belong here are named once.
    workspace.write("nornplan.toml", "specs = \"specs\"\ninternal = [\"ops\", \"deploy\"]\n");
    run(&workspace, &["plan"]).exits(0).says("1 user that no infraspec declares reaches what apps have: feed.");
    server.run(&["ACL", "SETUSER", "feed", "off"]);
    for arguments in [&["plan"][..], &["doctor"]] {
        run(&workspace, arguments).exits(0).hides("that no infraspec declares");
    }
    // The users of others are saved with the next one, and named.
    workspace.spec("more", "app = \"@more\"\n[services.kv]\n");
    let also = "this also saves 7 other users that somebody changed and did not save: deploy, feed, legacy, norn, ops and 2 more";
    run(&workspace, &["plan"]).exits(0).says(also);
    workspace.remove("specs/more.toml");
}

#[test]
fn what_others_left_in_the_file_and_would_be_open_after_a_restart_is_an_alarm() {
    let server = OwnValkey::start();
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.converge().hides("ALARM");
    let file = server.home().join("acl/users.acl");
    let saved = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{saved}user ops on nopass ~* &* +@all\nuser idle off nopass ~* &* +@all\n"))
        .unwrap();
    let opens = "after the next restart, the user `ops` needs no password and may do everything: nothing is isolated";
    workspace
        .run(&["plan", "--detailed-exitcode"])
        .flat()
        .exits(0)
        .says("ALARM")
        .says(opens)
        .says("ACL SAVE saves what");
    let doctor = workspace.run(&["doctor"]).flat().exits(1).says(opens).hides("the user `idle`");
    doctor.says("not saved as they are now, and otherwise after the next restart: idle, ops");
    server.run(&["ACL", "SAVE"]);
    workspace.run(&["plan"]).exits(0).hides("ALARM");
    // A file without `default` leaves it without a password, whatever requirepass says.
    let without: String =
        saved.lines().filter(|line| !line.contains("default")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, without).unwrap();
    workspace.run(&["plan"]).flat().exits(0).says("after the next restart, the user `default` needs no password");
    server.restart();
    valkey_at(&format!("redis://{}", server.name()), &["PING"]).unwrap();
    server.run(&["ACL", "SETUSER", "default", "resetpass", &format!(">{PASSWORD}")]);
    server.run(&["ACL", "SAVE"]);
    // Without its file it would not start at all.
    std::fs::remove_file(&file).unwrap();
    workspace.run(&["plan"]).flat().exits(0).says("is gone, and without it the server does not start again");
    workspace.run(&["doctor"]).flat().exits(1).says("users.acl is gone");
    server.run(&["ACL", "SAVE"]);
    workspace.run(&["doctor"]).exits(0);
}

#[test]
fn who_may_not_save_changes_nothing() {
    let server = OwnValkey::start();
    server.run(&["ACL", "SETUSER", "ops", "on", &format!(">{NORN}"), "~*", "&*", "+@all", "-acl|save"]);
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.set("NORNPLAN_VALKEY_USER", "ops");
    workspace.set("NORNPLAN_VALKEY_PASSWORD", NORN);
    let blocked = "blocked: ops may not run ACL SAVE: allow it by ACL SETUSER ops +acl|save";
    workspace.run(&["apply", "--auto-approve"]).exits(1).says(blocked);
    assert!(server.run(&["ACL", "GETUSER", &format!("{}a", workspace.prefix)]).is_null());
    workspace.set("NORNPLAN_VALKEY_USER", "default");
    server.serve(&mut workspace);
    workspace.converge();
}
