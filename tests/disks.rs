//! Disks that are full or read-only, directories that one may not write, links that lead nowhere, and what is no file where
//! a file should be: said before any service is written to.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::servers::{postgres_at, postgres_value};
use common::{Ran, Workspace, real_program};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const APP: &str = "app = \"@a\"\n[services.postgres]\n";
const APPLY: [&str; 2] = ["apply", "--auto-approve"];
/// Somebody without rights.
const NOBODY: u32 = 65_534;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.spec("a", APP);
    workspace
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").expect("/proc").uid() == 0
}

/// Gives a directory and all in it to who has no rights, where the test is run by root, whom rights do not bind.
fn give(path: &Path) {
    if !is_root() {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).expect("given");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory") {
            give(&entry.expect("an entry").path());
        }
    }
}

/// nornplan as somebody whom rights bind.
fn bound(workspace: &Workspace, arguments: &[&str]) -> Ran {
    give(&workspace.path(""));
    let command = workspace.command(arguments);
    let mut as_nobody = if is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]);
        setpriv.arg(command.get_program());
        setpriv
    } else {
        Command::new(command.get_program())
    };
    as_nobody.args(command.get_args()).current_dir(workspace.path("")).env_clear();
    as_nobody.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(as_nobody.output().expect("it runs"))
}

/// nornplan after other commands of a shell.
fn after(workspace: &Workspace, shell: &str, arguments: &[&str]) -> Ran {
    let command = workspace.command(arguments);
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]).arg(command.get_program()).args(command.get_args());
    sh.current_dir(workspace.path("")).env_clear();
    sh.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(sh.output().expect("it runs"))
}

/// Whether the role of the app is there, which is what an apply makes first.
fn is_made(workspace: &Workspace) -> bool {
    let query = format!("SELECT count(*)::text FROM pg_roles WHERE rolname LIKE '{}%'", workspace.prefix);
    postgres_value("postgres", &query).as_deref() != Some("0")
}

fn mode(workspace: &Workspace, directory: &str, mode: u32) {
    std::fs::set_permissions(workspace.path(directory), Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn directories_that_cannot_be_written_are_said_before_anything_is_done() {
    for (directory, what) in [
        ("state", "state: cannot write the directory of the state"),
        ("secrets", "secrets: cannot write the directory of secrets"),
    ] {
        let workspace = workspace();
        std::fs::create_dir(workspace.path(directory)).expect("a directory");
        mode(&workspace, directory, 0o500);
        let ran = bound(&workspace, &APPLY).exits(1).complains(what).complains("Permission denied");
        ran.complains("your user").hides("panicked");
        assert!(!is_made(&workspace), "{directory}");
        mode(&workspace, directory, 0o700);
        // What cannot be looked into is not empty.
        if directory == "state" {
            mode(&workspace, directory, 0o000);
            bound(&workspace, &["plan"]).exits(1).complains("cannot find the state").complains("Permission denied");
            mode(&workspace, directory, 0o700);
        }
    }
}

#[test]
fn a_drop_that_could_not_be_dumped_stops_the_run_before_it_begins() {
    let workspace = workspace();
    workspace.converge();
    workspace.remove("specs/a.toml");
    workspace.spec("b", &APP.replace("@a", "@b"));
    std::fs::create_dir(workspace.path("snapshots")).expect("snapshots/");
    mode(&workspace, "snapshots", 0o500);
    let ran = bound(&workspace, &["apply", "--auto-approve", "--allow-destroy", "all"]).exits(1);
    ran.complains("snapshots: the snapshot cannot be written").complains("set dir under [snapshots]");
    let query = format!("SELECT count(*)::text FROM pg_roles WHERE rolname LIKE '{}b%'", workspace.prefix);
    assert_eq!(postgres_value("postgres", &query).as_deref(), Some("0"), "nothing was made either");
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "SELECT 1").expect("its database is there");
    mode(&workspace, "snapshots", 0o700);
}

#[test]
fn a_link_to_nothing_is_no_empty_state() {
    let workspace = workspace();
    workspace.converge();
    let (state, disk) = (workspace.path("state"), workspace.path("disk"));
    std::fs::rename(&state, &disk).expect("moved");
    symlink(&disk, &state).expect("a link");
    // A link to a directory will do.
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    std::fs::rename(&disk, workspace.path("unmounted")).expect("away");
    for command in
        [&["plan"][..], &["drift"], &["state", "list"], &["show"], &APPLY, &["destroy", "--all", "--auto-approve"]]
    {
        let ran = workspace.run(command).exits(1).complains("state: it is a symbolic link that leads to nothing");
        ran.complains("mount or make what it leads to");
    }
    workspace.run(&["doctor"]).exits(1).says("a symbolic link that leads to nothing");
    std::fs::rename(workspace.path("unmounted"), &disk).expect("back");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    // Nor are secrets behind one not there.
    std::fs::rename(workspace.path("secrets"), workspace.path("kept")).expect("away");
    symlink(workspace.path("nowhere"), workspace.path("secrets")).expect("a link");
    std::fs::remove_dir_all(&disk).expect("lost");
    std::fs::create_dir(&disk).expect("empty");
    for command in [&["plan"][..], &APPLY] {
        workspace.run(command).exits(1).complains("secrets: it is a symbolic link that leads to nothing");
    }
    std::fs::remove_file(workspace.path("secrets")).expect("removed");
    std::fs::rename(workspace.path("kept"), workspace.path("secrets")).expect("back");
    workspace.converge();
}

#[test]
fn what_is_no_file_where_a_file_should_be_is_refused() {
    let workspace = workspace();
    std::fs::create_dir(workspace.path("state")).expect("state/");
    std::fs::create_dir(workspace.path("secrets")).expect("secrets/");
    let secrets = |end: &str| format!("secrets/{end}").replace('@', &workspace.prefix);
    let of_secrets = [secrets("@a.env"), secrets(".@a.env.staged"), secrets(".nornplan")];
    let of_state = ["document", "backup", "journal", "lock"].map(|which| match which {
        "document" => "state/default.json".to_owned(),
        "backup" => "state/default.json.backup".to_owned(),
        which => format!("state/default.{which}"),
    });
    for place in of_state.iter().chain(&of_secrets) {
        let path = workspace.path(place);
        let refused = |kind: &str| {
            let ran = workspace.run(&APPLY).exits(1).complains(place.rsplit('/').next().expect("a name"));
            assert!(!ran.stderr.contains("panicked"), "{place} {kind}: {}", ran.stderr);
            assert!(!is_made(&workspace), "{place} {kind}");
            ran
        };
        std::fs::create_dir(&path).expect("a directory");
        refused("directory");
        std::fs::remove_dir(&path).expect("removed");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        refused("pipe").complains("it is not a regular file");
        if place.ends_with(".lock") {
            workspace.run(&["state", "unlock"]).exits(1).complains("it is not a regular file");
        }
        std::fs::remove_file(&path).expect("removed");
        symlink(workspace.path("elsewhere"), &path).expect("a link to nothing");
        refused("broken link").complains("it is a symbolic link");
        std::fs::remove_file(&path).expect("removed");
        symlink(&path, &path).expect("a link to itself");
        refused("circle");
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(workspace.path("elsewhere"), "theirs").expect("a file");
        symlink(workspace.path("elsewhere"), &path).expect("a link");
        refused("link").complains("it is a symbolic link");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(workspace.read("elsewhere"), "theirs", "{place}");
        std::fs::remove_file(workspace.path("elsewhere")).expect("removed");
    }
    // A saved plan is put in nobody's place either.
    std::fs::write(workspace.path("elsewhere"), "theirs").expect("a file");
    symlink(workspace.path("elsewhere"), workspace.path("plan.json")).expect("a link");
    workspace.run(&["plan", "--out", "plan.json"]).exits(1).complains("symbolic link");
    workspace.run(&["plan", "--out", "/dev/null"]).exits(1).complains("it is not a regular file");
    assert_eq!(workspace.read("elsewhere"), "theirs");
    workspace.converge();
}

#[test]
fn files_that_may_not_grow_are_an_error_and_not_the_end() {
    let workspace = workspace();
    // In blocks of 512 bytes: nothing at all, and less than the state may need.
    for (limit, what) in [(0, "cannot sign the lock"), (8, "as this run may need to")] {
        let ran = after(&workspace, &format!("ulimit -f {limit};"), &APPLY).exits(1).complains(what);
        ran.complains("File too large").complains("a disk that is not full");
        assert!(!is_made(&workspace), "{limit}");
    }
    // pg_dump does not outlive it, and then nothing is dropped.
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(
        &url,
        "CREATE TABLE t AS SELECT md5(x::text) || md5((x+1)::text) FROM generate_series(1, 20000) AS g(x)",
    )
    .expect("a table");
    let destroy = ["destroy", "--all", "--auto-approve", "--allow-destroy", "all"];
    let ran = after(&workspace, "ulimit -f 300;", &destroy).exits(1).flat();
    ran.says("the snapshot failed").says("nothing was dropped").says("free some space in");
    postgres_at(&url, "SELECT FROM t").expect("it is there");
    let left = std::fs::read_dir(workspace.path("snapshots")).expect("snapshots/").count();
    assert_eq!(left, 0);
}

/// Whether a file system can be mounted here, as root or in a namespace.
fn can_mount() -> bool {
    let mount = "mount -t tmpfs -o size=64k none /mnt";
    Command::new("unshare").args(["-rm", "sh", "-c", mount]).status().is_ok_and(|status| status.success())
}

#[test]
fn a_disk_that_is_full_or_fills_up_stops_the_run_and_the_next_one_converges() {
    if !can_mount() {
        // Here the limits of files above are all that can be tried.
        return;
    }
    let workspace = workspace();
    workspace.spec("b", &APP.replace("@a", "@b"));
    let small = |shell: &str| {
        let binary = env!("CARGO_BIN_EXE_nornplan");
        let script = format!(
            "mkdir -p state && cp -r state kept && mount -t tmpfs -o size=512k none state && cp -r kept/. state && \
             np='{binary}'; {shell}\n cp -r state/. kept && umount state && cp -r kept/. state && rm -r kept; exit $code"
        );
        let command = workspace.command(&[]);
        let mut run = Command::new("unshare");
        run.args(["-rm", "sh", "-c", &script]).current_dir(workspace.path("")).env_clear();
        run.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::of(run.output().expect("it runs"))
    };
    // Full beforehand: nothing is done.
    let ran = small("head -c 500000 /dev/zero > state/filler; $np apply --auto-approve; code=$?; rm state/filler");
    ran.exits(1).complains("as this run may need to").complains("No space left on device");
    let ran = small("mount -o remount,ro state; $np apply --auto-approve; code=$?; mount -o remount,rw state");
    ran.exits(1).complains("cannot write the directory of the state").complains("Read-only file system");
    assert!(!is_made(&workspace));
    workspace.converge();
    // It fills up while a database is dumped.
    workspace.remove("specs/a.toml");
    workspace.spec("c", &APP.replace("@a", "@c"));
    let bin = workspace.path("bin");
    std::fs::create_dir(&bin).expect("bin/");
    for program in ["pg_dump", "pg_restore"] {
        let fill = "case \"$*\" in *--file*) cat /dev/zero > state/filler 2>/dev/null ;; esac";
        let fill = if program == "pg_dump" { fill } else { "" };
        let script = format!("#!/bin/sh\n{fill}\nexec '{}' \"$@\"\n", real_program(program).display());
        std::fs::write(bin.join(program), script).expect("a script");
        std::fs::set_permissions(bin.join(program), Permissions::from_mode(0o755)).expect("a program");
    }
    let ran = small(
        "NORNPLAN_POSTGRES_BIN_DIR=bin $np apply --auto-approve --allow-destroy all --parallelism 1; code=$?; rm state/filler",
    );
    let ran = ran.exits(1).complains("cannot write the journal").complains("No space left on device");
    ran.says("Not started: the run was stopped before their turn").says("The state could not be written");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
