//! Users outlive a restart of the server, or it is said that they do not. Every test has a server of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "it says why it tests nothing")]

use common::Workspace;
use common::own_valkey::{OwnValkey, PASSWORD, Saves, program};
use common::servers::valkey_at;
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SAVES: &str = "valkey.persistence.users";

fn workspace(server: &OwnValkey) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace
}

/// Demands that the app signs in with what is published for it.
#[track_caller]
fn signs_in(workspace: &Workspace, app: &str) {
    valkey_at(&workspace.published(app, "VALKEY_URL"), &["PING"]).unwrap_or_else(|error| panic!("{app}: {error}"));
}

fn is_marked(workspace: &Workspace) -> bool {
    workspace.read("state/default.json").contains("\"unsaved\"")
}

/// A state as a run leaves it that is killed before it has saved.
fn mark(workspace: &Workspace, state: &str) {
    let mut document: serde_json::Value = serde_json::from_str(state).unwrap();
    document["unsaved"] = serde_json::json!(["valkey"]);
    std::fs::write(workspace.path("state/default.json"), document.to_string()).unwrap();
}

#[track_caller]
fn nothing_to_do(workspace: &Workspace) {
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_restart_loses_nothing_where_users_are_saved() {
    for saves in [Saves::AclFile, Saves::ConfigFile] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.spec("b", "app = \"@b\"\n[services.kv]\naccess = \"readonly\"\n");
        workspace.converge().hides(SAVES).hides("volatile");
        assert!(!is_marked(&workspace));
        server.kill();
        server.start_again();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
        // A new password and a user that goes are saved as well.
        let former = workspace.published("@a", "VALKEY_URL");
        workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
        workspace.remove("specs/b.toml");
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
        assert!(valkey_at(&former, &["PING"]).is_err());
        let there = server.run(&["ACL", "USERS"]).into_array();
        assert_eq!(there.len(), 2, "{there:?}");
    }
}

#[test]
fn without_a_file_users_are_made_again_after_a_restart() {
    let server = OwnValkey::with(Saves::Nowhere, "");
    let workspace = workspace(&server);
    workspace.run(&["plan"]).exits(0).says("volatile");
    workspace.converge().hides(SAVES);
    let published = workspace.published("@a", "VALKEY_URL");
    server.restart();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("gone from the service");
    workspace.converge();
    assert_eq!(workspace.published("@a", "VALKEY_URL"), published);
    signs_in(&workspace, "@a");
}

/// Passes the first connection on to a server, and lets every other wait for ever.
fn one_connection_to(server: &OwnValkey) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, there) = (listener.local_addr().unwrap().port(), server.name());
    std::thread::spawn(move || {
        let (one, _) = listener.accept().unwrap();
        let other = TcpStream::connect(there).unwrap();
        for (mut from, mut to) in [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)] {
            std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
        }
        let _waiting: Vec<_> = listener.incoming().collect();
    });
    port
}

/// Kills an apply after it has set a user and before it saves it: the proof of the password, which lies in between, takes
/// a connection of its own, that it does not get.
fn kill_before_it_saves(server: &OwnValkey, workspace: &Workspace, user: &str) {
    let mut apply = workspace.command(&["apply", "--auto-approve"]);
    apply.env("NORNPLAN_VALKEY_PORT", one_connection_to(server).to_string());
    let mut running = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while server.run(&["ACL", "GETUSER", user]).is_null() {
        assert!(since.elapsed() < Duration::from_secs(30) && running.try_wait().unwrap().is_none(), "never set");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn what_a_killed_run_had_set_and_not_saved_is_saved_by_the_next_one() {
    for (saves, restarts_before) in [(Saves::AclFile, false), (Saves::ConfigFile, false), (Saves::AclFile, true)] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.converge();
        workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
        kill_before_it_saves(&server, &workspace, &format!("{}b", workspace.prefix));
        if restarts_before {
            server.restart();
        }
        let is_there = !server.run(&["ACL", "GETUSER", &format!("{}b", workspace.prefix)]).is_null();
        assert_ne!(is_there, restarts_before);
        let plan = workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says(SAVES);
        plan.says("an earlier run ended before it had saved what it set");
        workspace.converge();
        assert!(!is_marked(&workspace));
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@b");
    }
}

#[test]
fn a_kill_at_any_moment_converges_and_outlives_a_restart() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.converge();
    for round in 1..=12 {
        // Its rules change, its user is new, or it goes.
        let access = if round % 2 == 0 { "readonly" } else { "readwrite" };
        workspace.spec("a", &format!("app = \"@a\"\n[services.kv]\naccess = \"{access}\"\n"));
        match round % 3 {
            0 => workspace.remove("specs/b.toml"),
            _ => workspace.spec("b", "app = \"@b\"\n[services.kv]\n"),
        }
        let mut apply = workspace.command(&["apply", "--auto-approve", "--allow-destroy", "all"]);
        let mut running = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + round * 4));
        running.kill().unwrap();
        running.wait().unwrap();
        if round % 4 == 0 {
            server.kill();
            server.start_again();
        }
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
        server.kill();
        server.start_again();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
        assert_eq!(server.run(&["ACL", "USERS"]).into_array().len(), if round % 3 == 0 { 2 } else { 3 });
    }
}

#[test]
fn a_user_that_a_killed_run_had_removed_does_not_come_back() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    workspace.converge();
    let users = server.home().join("acl/users.acl");
    let (state, saved) = (workspace.read("state/default.json"), std::fs::read(&users).unwrap());
    workspace.remove("specs/b.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    // As it is when that run is killed after DELUSER: neither journalled nor saved.
    mark(&workspace, &state);
    std::fs::write(&users, saved).unwrap();
    workspace.run(&["plan"]).exits(0).says(SAVES).says("forget");
    // What is forgotten is not looked at any more: it is saved before.
    std::fs::rename(server.home().join("acl"), server.home().join("away")).unwrap();
    workspace.run(&["apply", "--auto-approve"]).exits(1).complains("valkey.persistence.users: failed");
    workspace.run(&["plan"]).exits(0).says(SAVES).says("x valkey.user.");
    std::fs::rename(server.home().join("away"), server.home().join("acl")).unwrap();
    workspace.converge();
    server.restart();
    assert!(server.run(&["ACL", "GETUSER", &format!("{}b", workspace.prefix)]).is_null());
    nothing_to_do(&workspace);
}

#[test]
fn a_mark_that_nothing_came_after_goes_with_a_save() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.converge();
    mark(&workspace, &workspace.read("state/default.json"));
    workspace.run(&["drift"]).exits(2).says(SAVES);
    // Every kind of run repairs it, whatever it is about.
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0).says(SAVES);
    assert!(!is_marked(&workspace));
    nothing_to_do(&workspace);
}

/// Makes saving impossible, and returns how to make it possible again.
fn break_saving(server: &OwnValkey, saves: Saves) -> (PathBuf, PathBuf) {
    let file = server.home().join(if saves == Saves::AclFile { "acl" } else { "valkey.conf" });
    let away = server.home().join("away");
    std::fs::rename(&file, &away).unwrap();
    if saves == Saves::ConfigFile {
        std::fs::create_dir(&file).unwrap();
    }
    (away, file)
}

/// The rules of every user. Redis 7.0 may tell the same ones in another order each time.
fn users(server: &OwnValkey) -> Vec<BTreeSet<String>> {
    let lines = server.run(&["ACL", "LIST"]).into_array().into_iter().filter_map(|line| line.into_string());
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn nothing_is_changed_where_users_cannot_be_saved() {
    for (saves, known, file, next) in [
        (Saves::AclFile, "there is no directory /", "aclfile", "mount that directory"),
        (Saves::ConfigFile, "there is a directory of that name", "configuration file", "Or give the server an aclfile"),
    ] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.converge();
        let users = || users(&server);
        let (before, published) = (users(), workspace.secrets("@a"));
        let (cause, saved_in) =
            (format!("the server cannot save its users in its {file}"), format!("users are saved in the {file}"));
        workspace.run(&["doctor"]).flat().exits(0).says(&saved_in).says("and stand there as they are now");
        let (away, file) = break_saving(&server, saves);
        workspace.run(&["plan"]).flat().exits(0).says("every apply stops before it changes anything").says(known);
        workspace.run(&["doctor"]).flat().exits(1).says("users cannot be saved in").says(known);
        workspace.spec("a", "app = \"@a\"\n[services.kv]\naccess = \"readonly\"\n");
        workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
        let ran = workspace.run(&["apply", "--auto-approve"]).exits(1).says(&format!("127.0.0.1:{}", server.port));
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["nothing was changed", &cause, next] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(users(), before);
        assert_eq!(workspace.secrets("@a"), published);
        assert!(!is_marked(&workspace), "nothing was written");
        workspace.run(&["rotate", "@a", "--auto-approve"]).exits(1).says("nothing was changed");
        assert_eq!(users(), before);
        if saves == Saves::ConfigFile {
            std::fs::remove_dir(&file).unwrap();
        }
        std::fs::rename(away, file).unwrap();
        workspace.converge();
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@a");
    }
}

#[test]
fn what_is_right_now_and_lost_at_the_next_restart_is_told_and_saved() {
    for saves in [Saves::AclFile, Saves::ConfigFile] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
        workspace.converge();
        let file = server.home().join(if saves == Saves::AclFile { "acl/users.acl" } else { "valkey.conf" });
        let saved = std::fs::read_to_string(&file).unwrap();
        let (a, b) = (format!("user {}a ", workspace.prefix), format!("user {}b ", workspace.prefix));
        let edited = |of: &str, edit: &dyn Fn(&str) -> String| {
            let lines = saved.lines().map(|line| if line.starts_with(of) { edit(line) } else { line.to_owned() });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        };
        let other_hash = format!("#{}", "0".repeat(64));
        let lost = "correct now, lost at the next restart";
        let (more, passwords) = ("correct now, with more rights after", "correct now, with more passwords after");
        // By meaning: less is lost, and more is a danger.
        let edits = [
            (edited(&a, &|_| String::new()), lost),
            (edited(&a, &|line| line.replace(" on ", " off ")), lost),
            (edited(&a, &|line| format!("{line} -get")), lost),
            (edited(&a, &|line| line.replace(" #", " nopass #")), "open to everybody without a password after"),
            (edited(&a, &|line| format!("{line} +keys")), more),
            (edited(&a, &|line| line.replace(":*", "-other:*")), more),
            (edited(&a, &|line| format!("{line} {other_hash}")), passwords),
        ];
        for (text, fate) in edits {
            assert_ne!(text, saved);
            std::fs::write(&file, text).unwrap();
            let plan =
                workspace.run(&["plan", "--detailed-exitcode"]).flat().exits(2).says(SAVES).hides(&other_hash[1..]);
            let plan = plan.says(fate).says(&format!("restart: {}", &a[5..a.len() - 1])).hides(&format!("valkey.{b}"));
            let plan = plan.says("Plan: 0 to create, 1 to update, 0 to destroy.");
            assert_eq!(plan.stdout.contains("ALARM"), fate != lost, "{}", plan.stdout);
            let doctor = workspace.run(&["doctor"]).flat().exits(i32::from(fate != lost));
            doctor
                .says("not saved as they are now, and otherwise after the next restart")
                .says("`nornplan apply` saves");
            workspace.run(&["drift"]).exits(2).says(SAVES).hides("valkey.user.");
            workspace.converge().says(SAVES);
            assert_eq!(sorted(&std::fs::read_to_string(&file).unwrap()), sorted(&saved));
        }
        // The same in other words is the same, and what other people have is their business.
        let rewritten = edited(&a, &|line| line.replace("~", "%RW~"));
        assert_ne!(rewritten, saved);
        std::fs::write(&file, rewritten).unwrap();
        nothing_to_do(&workspace);
        server.run(&["ACL", "SETUSER", "by-hand", "on", "nopass", "~*", "+get"]);
        nothing_to_do(&workspace);
        // Whoever saves, saves that too.
        workspace.spec("c", "app = \"@c\"\n[services.kv]\n");
        let also = "this also saves 1 other user that somebody changed and did not save: by-hand";
        workspace.run(&["plan"]).exits(0).says(also).hides(SAVES);
        workspace.remove("specs/c.toml");
        // A user that is as it should be and not ours yet is saved when it is taken over.
        std::fs::remove_file(workspace.path("state/default.json")).unwrap();
        nothing_but_adopted(&workspace, false);
        std::fs::remove_file(workspace.path("state/default.json")).unwrap();
        std::fs::write(&file, edited(&b, &|_| String::new())).unwrap();
        let ran = nothing_but_adopted(&workspace, true);
        ran.says(also);
        server.restart();
        nothing_to_do(&workspace);
        signs_in(&workspace, "@b");
        assert!(!server.run(&["ACL", "GETUSER", "by-hand"]).is_null());
    }
}

/// Applies, and demands that users are adopted, whether they must be saved or not.
#[track_caller]
fn nothing_but_adopted(workspace: &Workspace, saves: bool) -> common::Ran {
    let updated = usize::from(saves);
    let ran = workspace.converge();
    ran.says(&format!("Plan: 0 to create, {updated} to update, 0 to destroy, 4 to adopt."))
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with("user ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_file_of_which_nothing_is_known_is_no_difference() {
    let server = OwnValkey::with(Saves::ConfigFile, "");
    let workspace = workspace(&server);
    workspace.converge();
    let file = server.home().join("valkey.conf");
    let saved = std::fs::read_to_string(&file).unwrap();
    let without: String =
        saved.lines().filter(|line| !line.starts_with("user t")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, format!("{without}include /somewhere/else.conf\n")).unwrap();
    nothing_to_do(&workspace);
    // Hidden from us, as a file of another machine is.
    std::fs::rename(&file, server.home().join("away")).unwrap();
    nothing_to_do(&workspace);
    std::fs::rename(server.home().join("away"), &file).unwrap();
    std::fs::write(&file, without).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(2).says("correct now, lost at the next restart");
}

/// A primary and a replica that has caught up.
fn pair() -> (OwnValkey, OwnValkey) {
    let primary = OwnValkey::start();
    let replica = OwnValkey::with(
        Saves::AclFile,
        &format!("replicaof 127.0.0.1 {}\nmasterauth {PASSWORD}\nmasteruser default", primary.port),
    );
    caught_up(&primary, &replica);
    (primary, replica)
}

fn caught_up(primary: &OwnValkey, replica: &OwnValkey) {
    let since = Instant::now();
    let online = format!("port={},state=online", replica.port);
    while !primary.run(&["INFO", "replication"]).as_str_lossy().unwrap().contains(&online) {
        assert!(since.elapsed() < Duration::from_secs(30), "the replica does not catch up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_node_saves_for_itself_or_nothing_is_changed_on_any() {
    let (primary, replica) = pair();
    let workspace = workspace(&primary);
    workspace.converge();
    let user = format!("{}b", workspace.prefix);
    workspace.spec("b", "app = \"@b\"\n[services.kv]\n");
    std::fs::rename(replica.home().join("acl"), replica.home().join("away")).unwrap();
    let ran = workspace.run(&["apply", "--auto-approve"]).exits(1).says("nothing was changed");
    ran.says(&format!("valkey: {}", replica.name())).hides(&format!("valkey: {}", primary.name()));
    for node in [&primary, &replica] {
        assert!(node.run(&["ACL", "GETUSER", &user]).is_null());
    }
    std::fs::rename(replica.home().join("away"), replica.home().join("acl")).unwrap();
    workspace.converge();
    for node in [&replica, &primary] {
        node.restart();
        caught_up(&primary, &replica);
        nothing_to_do(&workspace);
    }
    // Only what this node has saved is another thing than what it has.
    let file = replica.home().join("acl/users.acl");
    let saved = std::fs::read_to_string(&file).unwrap();
    let without: String = saved.lines().filter(|line| !line.contains(&user)).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, without).unwrap();
    let plan = workspace.run(&["plan"]).exits(0);
    plan.says(&format!("{}: correct now, lost at the next restart: {user}", replica.name()))
        .hides(&format!("{}: correct now", primary.name()));
}

#[test]
fn a_saved_plan_saves_too() {
    let server = OwnValkey::start();
    let workspace = workspace(&server);
    workspace.converge();
    mark(&workspace, &workspace.read("state/default.json"));
    workspace.run(&["plan", "--out", "plan.json"]).exits(0).says(SAVES);
    workspace.run(&["show", "plan.json"]).exits(0).says("an earlier run ended before it had saved");
    workspace.run(&["apply", "plan.json"]).exits(0).says("valkey.persistence.users  updated");
    assert!(!is_marked(&workspace));
    nothing_to_do(&workspace);
    workspace.run(&["state", "list"]).exits(0).hides(SAVES);
}

/// A server in mounts of its own, as in a container. Ended when dropped.
struct Contained(Child);

impl Contained {
    /// Starts a server anew after some mounts; `None` where nobody may mount.
    fn start(server: &OwnValkey, mounts: &str) -> Option<Self> {
        server.stop();
        let home = server.home().display().to_string();
        let script = format!("cd {home} && {mounts} && exec {} {home}/valkey.conf", program().display());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        let mut this = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?);
        while server.try_run(&["PING"]).is_err() {
            if this.0.try_wait().unwrap().is_some() {
                eprintln!("nobody may mount here: nothing is tested");
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_file_that_is_mounted_alone_or_read_only_is_found_out_before_anything_is_changed() {
    let alone = "the file is mounted alone, and cannot be replaced (\"Resource busy\")";
    for (saves, mounts, why) in [
        (Saves::AclFile, "mount --bind acl/users.acl acl/users.acl", alone),
        (Saves::AclFile, "mount --bind acl acl && mount -o remount,ro,bind acl", "/acl is mounted read-only"),
        (Saves::ConfigFile, "mount --bind valkey.conf valkey.conf", alone),
    ] {
        let server = OwnValkey::with(saves, "");
        let workspace = workspace(&server);
        let Some(contained) = Contained::start(&server, mounts) else {
            server.start_again();
            return;
        };
        let users = || users(&server);
        let before = users();
        // Seen through the server's own mounts, before anything is tried.
        workspace.run(&["plan"]).flat().exits(0).says("users cannot be saved in").says(why);
        workspace.run(&["doctor"]).flat().exits(1).says("users cannot be saved in").says(why);
        let ran = workspace.run(&["apply", "--auto-approve"]).exits(1).says("nothing was changed");
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("not the file alone"), "{said}");
        assert_eq!(users(), before);
        drop(contained);
        server.start_again();
        workspace.converge();
        server.restart();
        nothing_to_do(&workspace);
    }
}
