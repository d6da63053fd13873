//! Nothing is destroyed, and nobody interrupted, by default: one table of what may happen to a workspace, on real servers.
//! Each row says what was changed, with which flags a run is made, what it says, and what is there afterwards.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::Workspace;
use common::servers;

const A: &str = "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n[services.kv]\n";
const B: &str = "app = \"@b\"\n[services.postgres]\n[services.kv]\n";
const D: &str = "app = \"@d\"\n[services.postgres]\ndatabases = [\"@d\", \"@d2\"]\n[services.kv]\n";
const E: &str = "app = \"@e\"\n[services.events]\ntopics = [\"@e.one\", \"@e.two\"]\n";
const PREVENTS: &str = "[lifecycle]\nprevent_destroy = true\n";

/// Something on a server.
#[derive(Clone, Copy)]
enum Thing {
    Database(&'static str),
    Role(&'static str),
    KvUser(&'static str),
    Topic(&'static str),
}

impl Thing {
    fn exists(self, workspace: &Workspace) -> bool {
        let full = |name: &str| name.replace('@', &workspace.prefix);
        let found = |table: &str, column: &str, name: &str| {
            let query = format!("SELECT 'yes' FROM {table} WHERE {column} = '{}'", full(name));
            servers::postgres_value("postgres", &query).is_some()
        };
        match self {
            Self::Database(name) => found("pg_database", "datname", name),
            Self::Role(name) => found("pg_roles", "rolname", name),
            Self::KvUser(name) => !servers::valkey(&["ACL", "GETUSER", &full(name)]).expect("an answer").is_null(),
            Self::Topic(name) => servers::partitions(&full(name)) > 0,
        }
    }
}

/// What a run with the flags comes to, `@` standing for the prefix.
struct Row {
    what: &'static str,
    change: fn(&Workspace),
    flags: &'static [&'static str],
    /// Every line that says that something is held or blocked, and nothing else.
    held: &'static [&'static str],
    verdict: &'static str,
    exit: i32,
    gone: &'static [Thing],
    stays: &'static [Thing],
}

/// Apps that make what goes less than a third.
const OTHERS: usize = 20;
const NONE: &str = "Plan: 0 to create, 0 to update, 0 to destroy.";

fn declare(workspace: &Workspace) {
    workspace.write("nornplan.toml", "specs = \"specs\"\n");
    for (name, text) in [("a", A), ("b", B), ("d", D), ("e", E)] {
        workspace.spec(name, text);
    }
}

fn applied() -> Workspace {
    let workspace = Workspace::new();
    declare(&workspace);
    workspace.among_others(OTHERS);
    workspace.converge();
    workspace
}

fn is_told(line: &str) -> bool {
    line.contains(" held: ") && line.starts_with(|c: char| c.is_ascii_digit()) || line.contains(" blocked: ")
}

/// What differs from a row, in words.
fn judge(workspace: &Workspace, row: &Row, command: &[&str], exit: i32) -> Vec<String> {
    let ran = workspace.run(&[command, row.flags].concat());
    let full = |text: &str| text.replace('@', &workspace.prefix);
    let mut wrong = Vec::new();
    let told: Vec<&str> = ran.stdout.lines().filter(|line| is_told(line)).collect();
    let held: Vec<String> = row.held.iter().map(|line| full(line)).collect();
    if told != held {
        wrong.push(format!("held {:#?}\ninstead of {held:#?}", told));
    }
    if !ran.stdout.lines().any(|line| line == row.verdict) {
        let verdict = ran.stdout.lines().find(|line| line.starts_with("Plan: ") || line.starts_with("No changes"));
        wrong.push(format!("{verdict:?} instead of {:?}", row.verdict));
    }
    if ran.code != exit {
        wrong.push(format!("exit {} instead of {exit}\n{}\n{}", ran.code, ran.stdout, ran.stderr));
    }
    wrong
}

/// Plans each row, then applies it, then brings all back.
fn all_hold(rows: &[Row]) {
    let workspace = applied();
    let mut wrong = Vec::new();
    for row in rows {
        (row.change)(&workspace);
        let mut of_row = judge(&workspace, row, &["plan"], 0);
        of_row.extend(judge(&workspace, row, &["apply", "--auto-approve"], row.exit));
        for (things, is_there) in [(row.gone, false), (row.stays, true)] {
            let other = things.iter().filter(|thing| thing.exists(&workspace) != is_there).count();
            if other > 0 {
                of_row.push(format!("{other} of those that should be {}", if is_there { "there" } else { "gone" }));
            }
        }
        wrong.extend(
            (!of_row.is_empty()).then(|| format!("== {}: {}\n{}", row.what, row.flags.join(" "), of_row.join("\n"))),
        );
        declare(&workspace);
        workspace.among_others(OTHERS);
        let everything = ["apply", "--auto-approve", "--allow-interrupt", "all", "--allow-destroy", "all"];
        workspace.run(&everything).exits(0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n").replace(&workspace.prefix, "@"));
}

fn without(name: &'static str, workspace: &Workspace) {
    workspace.remove(&format!("specs/{name}.toml"));
}

const ALL_OF_D: &[Thing] = &[
    Thing::Database("@d"),
    Thing::Database("@d2"),
    Thing::Role("@d_user"),
    Thing::Role("@d_owner"),
    Thing::KvUser("@d"),
];

#[test]
fn every_row_of_an_app_that_goes_or_would() {
    all_hold(&[
        Row {
            what: "an infraspec is gone: everything of the app is held together",
            change: |workspace| without("d", workspace),
            flags: &[],
            held: &["8 held: --allow-destroy all, or the address of each"],
            verdict: NONE,
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "consent to interrupt is none to destroy",
            change: |workspace| without("d", workspace),
            flags: &["--allow-interrupt", "all"],
            held: &["8 held: --allow-destroy all, or the address of each"],
            verdict: NONE,
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "consent to one database is none to the rest of its app",
            change: |workspace| without("d", workspace),
            flags: &["--allow-destroy", "postgres.database.@d2"],
            held: &["7 held: --allow-destroy all, or the address of each"],
            verdict: "Plan: 0 to create, 0 to update, 1 to destroy.",
            exit: 0,
            gone: &[Thing::Database("@d2")],
            stays: &[Thing::Database("@d"), Thing::Role("@d_user"), Thing::Role("@d_owner"), Thing::KvUser("@d")],
        },
        Row {
            what: "a glob",
            change: |workspace| without("d", workspace),
            flags: &["--allow-destroy", "*@d*"],
            held: &[],
            verdict: "Plan: 0 to create, 0 to update, 8 to destroy.",
            exit: 0,
            gone: ALL_OF_D,
            stays: &[Thing::Database("@a"), Thing::Database("@b"), Thing::Topic("@e.one")],
        },
        Row {
            what: "a database leaves the list of its app",
            change: |workspace| workspace.spec("d", &D.replace(", \"@d2\"", "")),
            flags: &[],
            held: &["1 held: --allow-destroy postgres.database.@d2", "1 held: waiting for what is held or blocked"],
            verdict: "Plan: 0 to create, 1 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "a database leaves the list of its app, with consent",
            change: |workspace| workspace.spec("d", &D.replace(", \"@d2\"", "")),
            flags: &["--allow-destroy", "postgres.database.@d2"],
            held: &[],
            verdict: "Plan: 0 to create, 1 to update, 2 to destroy.",
            exit: 0,
            gone: &[Thing::Database("@d2")],
            stays: &[Thing::Database("@d"), Thing::Role("@d_user")],
        },
        Row {
            what: "prevent_destroy beats every consent",
            change: |workspace| workspace.spec("d", &format!("{}{PREVENTS}", D.replace(", \"@d2\"", ""))),
            flags: &["--allow-destroy", "all", "--allow-interrupt", "all"],
            held: &[
                "1 held: waiting for what is held or blocked",
                "1 held: prevent_destroy in an infraspec; no flag releases that",
            ],
            verdict: "Plan: 0 to create, 1 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "only another app is asked for: nothing outside is destroyed or counted",
            change: |workspace| without("d", workspace),
            flags: &["--app", "@a", "--allow-destroy", "all"],
            held: &[],
            verdict: "No changes. 7 resources match their infraspecs.",
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "only another service is asked for",
            change: |workspace| without("d", workspace),
            flags: &["--service", "kafka", "--allow-destroy", "all"],
            held: &[],
            verdict: "No changes. 27 resources match their infraspecs.",
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
        Row {
            what: "more than a third: a glob is not enough",
            change: |workspace| {
                without("d", workspace);
                for number in 0..14 {
                    workspace.remove(&format!("specs/kv{number}.toml"));
                }
            },
            flags: &["--allow-destroy", "*"],
            held: &["36 held: --allow-destroy all"],
            verdict: NONE,
            exit: 0,
            gone: &[],
            stays: ALL_OF_D,
        },
    ]);
}

#[test]
fn every_row_of_what_an_app_gives_up() {
    all_hold(&[
        Row {
            what: "a topic leaves the list of its app",
            change: |workspace| workspace.spec("e", &E.replace(", \"@e.two\"", "")),
            flags: &[],
            held: &["1 held: --allow-destroy kafka.topic.@e.two", "1 held: waiting for what is held or blocked"],
            verdict: "Plan: 0 to create, 1 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: &[Thing::Topic("@e.one"), Thing::Topic("@e.two")],
        },
        Row {
            what: "a reader is not named any more: revoked without asking",
            change: |workspace| workspace.spec("a", &A.replace("readers = [\"@b\"]\n", "")),
            flags: &[],
            held: &[],
            verdict: "Plan: 0 to create, 0 to update, 1 to destroy.",
            exit: 0,
            gone: &[],
            stays: &[Thing::Role("@b_user"), Thing::Database("@a")],
        },
        Row {
            what: "the service of an app leaves its infraspec",
            change: |workspace| workspace.spec("b", &B.replace("[services.kv]\n", "")),
            flags: &[],
            held: &["1 held: --allow-destroy valkey.user.@b"],
            verdict: "Plan: 0 to create, 0 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: &[Thing::KvUser("@b"), Thing::Database("@b")],
        },
        Row {
            what: "another user of a database",
            change: |workspace| {
                workspace.spec("b", &B.replace("[services.postgres]\n", "[services.postgres]\nuser = \"@b_new\"\n"))
            },
            flags: &[],
            held: &["3 held: --allow-destroy postgres.role.@b_user"],
            verdict: "Plan: 3 to create, 1 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: &[Thing::Role("@b_user")],
        },
        Row {
            what: "another namespace",
            change: |workspace| {
                workspace.spec("b", &B.replace("[services.kv]\n", "[services.kv]\nnamespace = \"@bn\"\n"))
            },
            flags: &[],
            held: &[],
            verdict: "Plan: 0 to create, 1 to update, 0 to destroy.",
            exit: 0,
            gone: &[],
            stays: &[Thing::KvUser("@b")],
        },
    ]);
}

#[test]
fn every_row_of_what_gets_another_name() {
    all_hold(&[
        Row {
            what: "a database that nobody is in, with its roles: not asked about",
            change: |workspace| {
                workspace.spec("d", &D.replace("\"@d\", ", "\"@dn\", "));
                let one = "{ from = \"postgres.database.@d\", to = \"postgres.database.@dn\" }";
                workspace.write("nornplan.toml", &format!("moved = [{one}]\n"));
            },
            flags: &[],
            held: &[],
            verdict: "Plan: 0 to create, 1 to update, 0 to destroy, 3 to rename.",
            exit: 0,
            gone: &[Thing::Database("@d"), Thing::Role("@d_user"), Thing::Role("@d_owner")],
            stays: &[Thing::Database("@dn"), Thing::Role("@dn_user"), Thing::Role("@dn_owner"), Thing::Database("@d2")],
        },
        Row {
            what: "a topic: no flag releases what cannot be done",
            change: |workspace| {
                workspace.spec("e", &E.replace("@e.two", "@e.new"));
                let one = "{ from = \"kafka.topic.@e.two\", to = \"kafka.topic.@e.new\" }";
                workspace.write("nornplan.toml", &format!("moved = [{one}]\n"));
            },
            flags: &["--allow-destroy", "all", "--allow-interrupt", "all"],
            held: &["1 held: waiting for what is held or blocked"],
            verdict: "Plan: 0 to create, 0 to update, 0 to destroy.",
            exit: 1,
            gone: &[Thing::Topic("@e.new")],
            stays: &[Thing::Topic("@e.one"), Thing::Topic("@e.two")],
        },
    ]);
}

#[test]
fn a_directory_that_is_empty_or_unreadable_and_a_spec_that_does_not_load_destroy_nothing() {
    let workspace = Workspace::new();
    workspace.spec("b", B);
    workspace.converge();
    let everything = ["--allow-destroy", "all", "--allow-interrupt", "all"];
    let cases: [(&str, &dyn Fn()); 4] = [
        ("empty", &|| workspace.remove("specs/b.toml")),
        ("gone", &|| std::fs::remove_dir_all(workspace.path("specs")).expect("removed")),
        ("a file in its place", &|| {
            std::fs::remove_dir_all(workspace.path("specs")).expect("removed");
            workspace.write("specs", "");
        }),
        ("a spec that does not load", &|| workspace.spec("x", "app = \"@x\"\n[services.postgre]\n")),
    ];
    for (what, change) in cases {
        change();
        for command in [&["plan"][..], &["apply", "--auto-approve"], &["destroy", "--all", "--auto-approve"]] {
            let ran = workspace.run(&[command, &everything].concat()).exits(1);
            assert!(ran.stderr.contains("error"), "{what}: {}", ran.stderr);
        }
        assert!(Thing::Database("@b").exists(&workspace) && Thing::KvUser("@b").exists(&workspace), "{what}");
        drop(std::fs::remove_file(workspace.path("specs")));
        std::fs::create_dir_all(workspace.path("specs")).expect("specs/");
        drop(std::fs::remove_file(workspace.path("specs/x.toml")));
        workspace.spec("b", B);
    }
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

/// What is never created, destroyed, renamed or given credentials, and where it would be declared.
#[test]
fn names_that_are_not_for_apps_are_refused_when_declared_and_never_destroyed() {
    let workspace = Workspace::new();
    workspace.spec("b", B);
    workspace.converge();
    let of_postgres = "pg_x pg_read_all_data postgres template0 template1 template_x default streaming_replica cnpg_x \
        repmgr flypgadmin rdsadmin cloudsqladmin azuresu nornplan _x";
    let mut declared: Vec<String> = Vec::new();
    for name in of_postgres.split(' ') {
        declared.push(format!("[services.postgres]\ndatabase = \"{name}\"\n"));
        declared.push(format!("[services.postgres]\nuser = \"{name}\"\n"));
        declared.push(format!("[services.postgres]\nowner = \"{name}\"\n"));
    }
    declared.extend(["default", "_x"].map(|name| format!("[services.kv]\nuser = \"{name}\"\n")));
    for name in ["__consumer_offsets", "_schemas", "__transaction_state", "_x"] {
        declared.push(format!("[services.events]\ntopics = [\"{name}\"]\n"));
    }
    for name in ["admin", "ANONYMOUS", "_x"] {
        declared.push(format!("[services.events]\nuser = \"{name}\"\ntopics = [\"@c.t\"]\n"));
    }
    for text in &declared {
        workspace.spec("c", &format!("app = \"@c\"\n{text}"));
        let ran = workspace.run(&["validate"]);
        assert!(ran.code == 1 && ran.stderr.contains("specs/c.toml:"), "{text}\n{}\n{}", ran.stdout, ran.stderr);
    }
    workspace.remove("specs/c.toml");
    // A state that claims them, as if an earlier version or somebody's editor had put them there.
    let prefix = &workspace.prefix;
    let state = workspace.read("state/default.json");
    let mut claimed: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    let resources = claimed["resources"].as_object_mut().expect("resources");
    for (ours, theirs) in [
        (format!("postgres.database.{prefix}b"), "postgres.database.postgres"),
        (format!("postgres.database.{prefix}b"), "postgres.database.template1"),
        (format!("postgres.role.{prefix}b_owner"), "postgres.role.postgres"),
        (format!("postgres.role.{prefix}b_owner"), "postgres.role.pg_monitor"),
        (format!("valkey.user.{prefix}b"), "valkey.user.default"),
    ] {
        let (_, name) = theirs.rsplit_once('.').expect("an address");
        let mut entry = resources[&ours].clone();
        entry["applied"]["name"] = name.into();
        resources.insert(theirs.to_owned(), entry);
    }
    let write = |text: &str| std::fs::write(workspace.path("state/default.json"), text).expect("a state");
    write(&serde_json::to_string(&claimed).expect("JSON"));
    let everything = ["apply", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"];
    let ran = workspace.run(&everything).exits(1).flat();
    for address in ["postgres.database.postgres", "postgres.role.pg_monitor", "valkey.user.default"] {
        let told = format!("never destroyed: `nornplan state forget {address}` strikes it from the state");
        assert!(ran.stdout.contains(&told), "{told}\n{}", ran.stdout);
    }
    assert!(ran.stdout.contains("5 blocked"), "{}", ran.stdout);
    write(&state);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_database_is_dumped_before_it_is_dropped_and_stays_where_that_fails() {
    let mut workspace = Workspace::new();
    workspace.spec("b", B);
    workspace.among_others(20);
    workspace.converge();
    servers::works(&workspace.published("@b", "DATABASE_URL"), "CREATE TABLE t (x int)");
    workspace.remove("specs/b.toml");
    workspace.run(&["plan", "--out", "held.json"]).exits(0).says("held: --allow-destroy");
    let bin = workspace.path("bin");
    std::fs::create_dir(&bin).expect("bin/");
    for program in ["pg_dump", "pg_restore"] {
        let real = common::real_program(program);
        let text = format!("#!/bin/sh\ncase \"$*\" in *--version*) exec '{}' \"$@\" ;; esac\nexit 1\n", real.display());
        std::fs::write(bin.join(program), text).expect("a script");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).expect("a program");
    }
    let consent = ["--allow-destroy", "all", "--allow-interrupt", "all"];
    let real = std::env::var("NORNPLAN_POSTGRES_BIN_DIR").unwrap_or_else(|_| "/usr/bin".to_owned());
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &bin.display().to_string());
    let ran = workspace.run(&[&["apply", "--auto-approve"][..], &consent].concat()).exits(1);
    assert!(ran.stdout.contains(" failed"), "{}", ran.stdout);
    let database = Thing::Database("@b");
    assert!(database.exists(&workspace) && Thing::Role("@b_owner").exists(&workspace));
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", &real);
    // A saved plan is held as it was made, and is released by consent that is given with it.
    workspace.run(&["plan", "--out", "held.json"]).exits(0);
    workspace.run(&["apply", "held.json"]).exits(0);
    assert!(database.exists(&workspace));
    workspace.run(&[&["apply", "held.json"][..], &consent].concat()).exits(0);
    assert!(!database.exists(&workspace));
    assert_eq!(std::fs::read_dir(workspace.path("snapshots")).expect("snapshots/").count(), 1);
}

#[test]
fn a_database_that_somebody_has_is_adopted_with_another_owner_by_consent_alone() {
    let workspace = Workspace::new();
    let (database, stranger) = (format!("{}b", workspace.prefix), format!("{}stranger", workspace.prefix));
    servers::postgres(
        "postgres",
        &format!("CREATE ROLE {stranger} LOGIN; CREATE DATABASE {database} OWNER {stranger}"),
    );
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    let owner = format!("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{database}'");
    let owner = || servers::postgres_value("postgres", &owner).expect("an owner");
    let held = format!("held: --allow-interrupt postgres.database.{database}");
    workspace.run(&["plan"]).exits(0).says(&held);
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0);
    assert_eq!(owner(), stranger);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    assert_eq!(owner(), format!("{database}_owner"));
    workspace.converge();
    servers::postgres("postgres", &format!("DROP ROLE {stranger}"));
}
