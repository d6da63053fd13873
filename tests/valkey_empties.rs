//! Nobody is sent where their keys are not, without being asked; and what was to go with an app is not lost from sight.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::own_valkey::{OwnValkey, PASSWORD, Saves};
use common::servers::{valkey_at, works};
use common::{Ran, Workspace};
use std::process::Command;
use std::time::{Duration, Instant};

const MAKE: &str = "redis.call('SELECT', ARGV[1]) for i = 1, ARGV[3] do \
                    redis.call('SET', ARGV[2] .. 'k' .. i, 'some value of some length') end";
/// The app `a`, which is told its prefix too.
const APP: &str = "app = \"@a\"\n[publish]\nPREFIX = \"{kv.namespace}:\"\nDB = \"{kv.db}\"\n[services.kv]\n";
const PURGES: &str = "on_destroy = \"purge-keys\"\n";

fn applied(server: &OwnValkey, spec: &str) -> Workspace {
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", &format!("{APP}{spec}"));
    workspace.among_others(5);
    workspace.converge();
    workspace
}

fn make(server: &OwnValkey, db: u32, prefix: &str, keys: usize) {
    server.run(&["EVAL", MAKE, "0", &db.to_string(), prefix, &keys.to_string()]);
}

fn keys_in(server: &OwnValkey, db: u32) -> u64 {
    let words = ["EVAL", "redis.call('SELECT', ARGV[1]) return redis.call('DBSIZE')", "0", &db.to_string()];
    server.run(&words).as_u64().unwrap()
}

/// What an app is answered that uses what is published for it.
fn as_app(workspace: &Workspace, app: &str, words: &[&str]) -> Result<(), String> {
    valkey_at(&workspace.published(app, "VALKEY_URL"), words).map(drop).map_err(|error| error.details().to_owned())
}

fn confines_to_databases(server: &OwnValkey) -> bool {
    server.try_run(&["ACL", "SETUSER", "probe", "db=1"]).is_ok()
        && server.run(&["ACL", "DELUSER", "probe"]).is_integer()
}

fn plan(workspace: &Workspace) -> Ran {
    workspace.run(&["plan"]).exits(0).flat()
}

/// The line that the plan offers, as somebody would paste it; by hand where there is no such program.
fn paste(plan: &str, by_hand: impl Fn()) {
    let begin = plan.find("`redis-cli -h").expect("the plan says how") + 1;
    let line = &plan[begin..begin + plan[begin..].find('`').expect("its end")];
    let is_there =
        |program: &&str| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
    let Some(program) = ["redis-cli", "valkey-cli"].into_iter().find(|program| is_there(program)) else {
        return by_hand();
    };
    let line = line.replace("redis-cli", program);
    let ran = Command::new("sh").args(["-c", &line]).env("REDISCLI_AUTH", PASSWORD).output().expect("a shell");
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_new_namespace_waits_while_there_are_keys_under_the_former_one() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "readers = [\"@kv1\"]\n");
    let name = format!("{}a", workspace.prefix);
    let moved = format!("{APP}namespace = \"@shop\"\nreaders = [\"@kv1\"]\n");
    // Nothing is there yet.
    workspace.spec("a", &moved);
    plan(&workspace).hides("starts empty").hides("held");
    make(&server, 0, &format!("{name}:"), 3_000);
    make(&server, 0, &format!("{name}b:"), 10);
    let told = plan(&workspace)
        .says("the app starts empty")
        .says("3,000 keys, about ")
        .says(&format!("stay under {name}:* in database 0: nobody who is declared reaches them any more"))
        .says(&format!("namespace = \"{name}\" again"))
        .says(&format!("needs --allow-interrupt valkey.user.{name}"))
        .says("published as before until this is done: PREFIX")
        // Who reads the app's keys reads them where they are.
        .says(&format!("held: waits for valkey.user.{name}"));
    workspace.run(&["plan", "--out", "plan.json"]).exits(0);
    for _ in 1..=2 {
        workspace.run(&["apply", "--auto-approve", "--allow-destroy", "all"]).exits(0).says("held");
        as_app(&workspace, "@a", &["SET", &format!("{name}:k1"), "v"]).unwrap();
        as_app(&workspace, "@kv1", &["GET", &format!("{name}:k1")]).unwrap();
        assert_eq!(workspace.published("@a", "PREFIX"), format!("{name}:"));
    }
    // A plan that was saved without the consent publishes nothing for it.
    let late = ["apply", "plan.json", "--auto-approve", "--allow-interrupt", "all"];
    workspace.run(&late).exits(1).flat().says("this plan was saved without that consent");
    // As the plan says it, of ten keys alone.
    let some = told.stdout.replace(&format!("'{name}:*'"), &format!("'{name}:k298?'"));
    assert_ne!(some, told.stdout);
    paste(&some, || {
        for key in 2_980..2_990 {
            server.run(&["COPY", &format!("{name}:k{key}"), &format!("{}shop:k{key}", workspace.prefix)]);
        }
    });
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "valkey.user.@a"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(keys_in(&server, 0), 3_020);
    let there = format!("{}shop:k2985", workspace.prefix);
    assert_eq!(server.run(&["EXISTS", &there]).as_u64(), Some(1));
    as_app(&workspace, "@a", &["GET", &there]).unwrap();
    as_app(&workspace, "@kv1", &["GET", &there]).unwrap();
    assert!(as_app(&workspace, "@a", &["GET", &format!("{name}:k1")]).unwrap_err().starts_with("NOPERM"));
    assert_eq!(workspace.published("@a", "PREFIX"), format!("{}shop:", workspace.prefix));
}

#[test]
fn a_new_database_number_is_published_only_with_consent() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "[services.postgres]\n");
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 40);
    let url = workspace.published("@a", "VALKEY_URL");
    workspace.spec("a", &format!("{APP}db = 2\n[services.postgres]\n"));
    let told = plan(&workspace)
        .says(&format!("stay under {name}:* in database 0: nobody who is declared reaches them any more"))
        .says("published as before until this is done: DB, REDIS_URL, VALKEY_URL")
        .says("have db = 0 again; or");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(workspace.published("@a", "VALKEY_URL"), url);
    as_app(&workspace, "@a", &["SET", &format!("{name}:k1"), "v"]).unwrap();
    // A password that is asked for meanwhile does not set it off, nor keep another one from being published.
    let database = workspace.published("@a", "DATABASE_URL");
    workspace.run(&["rotate", "@a", "--auto-approve"]).exits(0);
    assert_ne!(workspace.published("@a", "DATABASE_URL"), database);
    works(&workspace.published("@a", "DATABASE_URL"), "SELECT 1");
    as_app(&workspace, "@a", &["SET", &format!("{name}:k1"), "v"]).unwrap();
    assert!(workspace.published("@a", "VALKEY_URL").ends_with("/0"));
    paste(&told.stdout, || {
        for key in 1..=40 {
            let key = format!("{name}:k{key}");
            server.run(&["COPY", &key, &key, "DB", "2"]);
        }
    });
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert!(workspace.published("@a", "VALKEY_URL").ends_with("/2"));
    as_app(&workspace, "@a", &["GET", &format!("{name}:k40")]).unwrap();
    assert_eq!((keys_in(&server, 0), keys_in(&server, 2)), (40, 40));
    // Other rules on the same keys ask nothing, and neither does a pattern that opens the former ones.
    workspace.spec("a", &format!("{APP}db = 2\naccess = \"readonly\"\nkeys = [\"@old:*\"]\n[services.postgres]\n"));
    plan(&workspace).hides("starts empty");
    workspace.spec("a", &format!("{APP}db = 2\nnamespace = \"@new\"\nkeys = [\"{name}:*\"]\n[services.postgres]\n"));
    plan(&workspace).hides("starts empty").hides("held");
}

#[test]
fn a_whole_database_in_the_place_of_a_namespace_and_back() {
    let server = OwnValkey::start();
    if !confines_to_databases(&server) {
        return;
    }
    let workspace = applied(&server, "db = 3\n");
    let name = format!("{}a", workspace.prefix);
    make(&server, 3, &format!("{name}:"), 20);
    let whole = "app = \"@a\"\n[services.kv]\nnamespace = false\n";
    // All of the same database has the namespace in it.
    workspace.spec("a", &format!("{whole}db = 3\n"));
    plan(&workspace).hides("starts empty").hides("held");
    workspace.converge();
    make(&server, 3, "bare", 7);
    workspace.spec("a", &format!("{APP}db = 3\n"));
    let told = plan(&workspace)
        .says("7 keys stay in database 3: nobody who is declared reaches them any more")
        .says("have namespace = false again; or")
        .says(&format!("--scan | grep -v '^{name}:' | sort -u |"));
    paste(&told.stdout, || {
        for key in 1..=7 {
            server.run(&[
                "EVAL",
                "redis.call('SELECT', 3) redis.call('COPY', ARGV[1], ARGV[2])",
                "0",
                &format!("bare{key}"),
                &format!("{name}:bare{key}"),
            ]);
        }
    });
    assert_eq!(keys_in(&server, 3), 34);
    workspace.spec("a", &format!("{whole}db = 4\n"));
    let told = plan(&workspace).says("34 keys stay in database 3").says("have db = 3 again; or");
    paste(&told.stdout, || {
        server.run(&["EVAL", "redis.call('SELECT', 3) for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', k, k, 'DB', 4) end", "0"]);
    });
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    as_app(&workspace, "@a", &["GET", "bare7"]).unwrap();
    assert_eq!(keys_in(&server, 4), 34);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_new_user_with_a_new_namespace_waits_as_well() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "");
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 5);
    let before = workspace.secrets("@a");
    // Another name for the same keys is another matter.
    workspace.spec("a", &format!("{APP}user = \"@a2\"\nnamespace = \"@a\"\n"));
    plan(&workspace).hides("starts empty");
    workspace.spec("a", &format!("{APP}user = \"@a2\"\nnamespace = \"@shop\"\n"));
    plan(&workspace).says("5 keys, about ").says(&format!("needs --allow-interrupt valkey.user.{name}2"));
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@a*"]).exits(0);
    assert_eq!(workspace.secrets("@a"), before);
    as_app(&workspace, "@a", &["SET", &format!("{name}:k1"), "v"]).unwrap();
    let both = ["apply", "--auto-approve", "--allow-destroy", "*@a*", "--allow-interrupt", "*@a*"];
    workspace.run(&both).exits(0);
    as_app(&workspace, "@a", &["SET", &format!("{}shop:k1", workspace.prefix), "v"]).unwrap();
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_goes_with_an_app_goes_wherever_it_had_it() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 30);
    workspace.spec("a", &format!("{APP}{PURGES}db = 1\n"));
    plan(&workspace).says("nobody who is declared reaches them any more; they go when the app is destroyed, as before");
    // What is remembered follows when the app does.
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["state", "list"]).hides(&format!("valkey.keys.{name}/1"));
    let allowed = ["apply", "--auto-approve", "--allow-interrupt", "*@a"];
    workspace.run(&allowed).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    make(&server, 1, &format!("{name}:"), 20);
    workspace.spec("a", &format!("{APP}{PURGES}namespace = \"@shop\"\n"));
    workspace.run(&allowed).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
    make(&server, 0, &format!("{}shop:", workspace.prefix), 10);
    make(&server, 0, "beside:", 3);
    workspace.remove("specs/a.toml");
    let (first, second, last) = (
        format!("valkey.keys.{name}"),
        format!("valkey.keys.{name}/1"),
        format!("valkey.keys.{}shop", workspace.prefix),
    );
    plan(&workspace)
        .says(&format!("its keys go after it: {first}, {second}, {last}"))
        .says("holds 30 keys")
        .says("holds 20 keys")
        .says("holds 10 keys");
    let purged = workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@*"]).exits(0);
    purged.says("30 keys removed").says("20 keys removed").says("10 keys removed");
    assert_eq!((keys_in(&server, 0), keys_in(&server, 1)), (3, 0));
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_is_no_longer_to_go_is_forgotten_and_said_to_stay() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 30);
    workspace.spec("a", &format!("{APP}{PURGES}db = 1\n"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    // Whose they are by now decides.
    workspace.spec("b", &format!("app = \"@b\"\n[services.kv]\nkeys = [\"{name}:*\"]\n"));
    let stays = format!("its keys stay, also when {}b is destroyed", workspace.prefix);
    plan(&workspace).says("forget · stays as it is").says(&stays).hides("already gone");
    workspace.remove("specs/b.toml");
    workspace.spec("a", &format!("{APP}db = 1\n"));
    plan(&workspace)
        .says("forget · stays as it is")
        .says(&format!("its keys stay, also when {name} is destroyed: its infraspec does not say"))
        .says(&format!("its keys stay, also when {name} is destroyed"))
        .hides("already gone");
    workspace.converge().says("2 forgotten");
    // What is gone is said to be.
    server.run(&["ACL", "DELUSER", &format!("{}kv4", workspace.prefix)]);
    workspace.remove("specs/kv4.toml");
    plan(&workspace).says("forget · already gone");
    workspace.remove("specs/a.toml");
    workspace.run(&["apply", "--auto-approve", "--allow-destroy", "*@*"]).exits(0);
    assert_eq!(keys_in(&server, 0), 30);
}

#[test]
fn a_password_that_waits_for_consent_says_what_is_published_meanwhile() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "");
    let name = format!("{}a", workspace.prefix);
    server.run(&["ACL", "SETUSER", &name, "resetpass", ">by-hand"]);
    let wrong = "published as before until this is done, and does not sign in: REDIS_URL, VALKEY_URL";
    plan(&workspace).says("the published credential does not sign in").says(wrong);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    as_app(&workspace, "@a", &["PING"]).unwrap();

    // Somebody's own user, whose password nobody knows.
    server.run(&["ACL", "SETUSER", &format!("{}b", workspace.prefix), "on", ">by-hand", "+get"]);
    workspace.spec("b", "app = \"@b\"\n[publish]\nNAME = \"{app}\"\n[services.kv]\n");
    plan(&workspace).says("credential unknown").says("not published until this is done: REDIS_URL, VALKEY_URL");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@b"]).exits(0);
    as_app(&workspace, "@b", &["PING"]).unwrap();

    // A user that is made again gets the password that its app has.
    let before = workspace.secrets("@a");
    server.run(&["ACL", "DELUSER", &name]);
    plan(&workspace).says("published values stay").hides("published values change");
    workspace.converge();
    assert_eq!(workspace.secrets("@a"), before);
    plan(&workspace).hides("published values");
}

#[test]
fn a_rotation_that_was_killed_leaves_no_stranger_behind() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "");
    let name = format!("{}a", workspace.prefix);
    let mut left = 0;
    for _ in 0..10 {
        let before = workspace.published("@a", "VALKEY_URL");
        let mut command = workspace.command(&["rotate", "@a", "--auto-approve"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while workspace.published("@a", "VALKEY_URL") == before {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is published");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if as_url(&before).is_ok() {
            left += 1;
            plan(&workspace)
                .says("an earlier run did not finish")
                .says("it is the former one: a rotation did not finish")
                .hides("drifted");
        }
        workspace.converge();
        assert!(as_url(&before).is_err());
        if left == 2 {
            break;
        }
    }
    assert!(left > 0, "never killed between the two");
    // Anything else is a stranger.
    server.run(&["ACL", "SETUSER", &name, ">by-hand"]);
    plan(&workspace).says("an extra password is accepted").says("drifted").hides("did not finish");
}

fn as_url(url: &str) -> Result<(), String> {
    valkey_at(url, &["PING"]).map(drop).map_err(|error| error.to_string())
}

#[test]
fn an_app_with_the_common_password_has_none_to_rotate() {
    let server = OwnValkey::with(Saves::AclFile, "");
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.set("NORNPLAN_VALKEY_SHARED_PASSWORD", PASSWORD);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\nnamespace = false\ndb = 3\nshared = true\n");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    let shared = |db: u32| format!("app = \"@a\"\n[services.kv]\nnamespace = false\ndb = {db}\nshared = true\n");
    workspace.spec("a", &shared(4));
    plan(&workspace).says("the app is told to use database 4 of Valkey: what it has in database 3 stays there");
    workspace.spec("a", &shared(3));
    workspace.spec("a", "app = \"@a\"\n[services.kv]\ndb = 3\n");
    plan(&workspace).says("any others that it has in database 3 stay there, out of its reach");
    workspace.spec("a", &shared(3));
    for words in [&["rotate", "@a"][..], &["rotate", "@a", "--service", "valkey"]] {
        workspace.run(words).exits(1).complains("generates no password").complains("shared = true");
    }
}

#[test]
fn in_a_cluster_keys_with_the_hash_tag_count_too() {
    let server = OwnValkey::with(Saves::AclFile, "cluster-enabled yes\n");
    server.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let began = Instant::now();
    while !server.run(&["CLUSTER", "INFO"]).as_str_lossy().unwrap_or_default().contains("cluster_state:ok") {
        assert!(began.elapsed() < Duration::from_secs(20), "no cluster: {}", server.log());
    }
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.set("NORNPLAN_VALKEY_CLUSTER", "true");
    workspace.spec("a", APP);
    workspace.converge();
    let name = format!("{}a", workspace.prefix);
    for key in [format!("{name}:k"), format!("{{{name}}}:k"), format!("{name}b:k")] {
        server.run(&["SET", &key, "v"]);
    }
    workspace.spec("a", &format!("{APP}namespace = \"@shop\"\n"));
    plan(&workspace)
        .says("2 keys, about ")
        .says("move each by DUMP and RESTORE (RENAME and COPY stay in one slot)")
        .says(&format!("needs --allow-interrupt valkey.user.{name}"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn of_a_user_that_is_gone_the_keys_may_be_there_still() {
    let server = OwnValkey::start();
    let workspace = applied(&server, "");
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 5);
    server.run(&["ACL", "DELUSER", &name]);
    workspace.spec("a", &format!("{APP}db = 1\n"));
    plan(&workspace)
        .says(&format!("how many keys stay under {name}:* in database 0 is not known"))
        .says("published as before until this is done: DB *")
        .says("left as it is until this is done: REDIS_URL, VALKEY_URL")
        .says(&format!("needs --allow-interrupt valkey.user.{name}"));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(workspace.published("@a", "DB"), "0");
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "*@a"]).exits(0);
    as_app(&workspace, "@a", &["SET", &format!("{name}:k1"), "v"]).unwrap();
    assert_eq!((keys_in(&server, 0), keys_in(&server, 1)), (5, 1));
}

#[test]
fn nobody_gets_what_another_app_had_unasked() {
    let server = OwnValkey::start();
    let workspace = applied(&server, PURGES);
    let name = format!("{}a", workspace.prefix);
    make(&server, 0, &format!("{name}:"), 3);
    let taking = "app = \"@b\"\n[services.kv]\nnamespace = \"@a\"\n";
    workspace.remove("specs/a.toml");
    workspace.spec("b", taking);
    let held = format!("--allow-interrupt valkey.user.{}b", workspace.prefix);
    let gets = format!("what lies under {name}:* in database 0 is {name}'s until now, 3 keys");
    workspace
        .run(&["apply", "--auto-approve"])
        .exits(0)
        .flat()
        .says(&gets)
        .says(&held)
        .says("reaches what is another app's until now");
    assert!(
        server.try_run(&["ACL", "GETUSER", &format!("{}b", workspace.prefix)]).unwrap().is_null(),
        "b reaches them"
    );
    let user = format!("valkey.user.{}b", workspace.prefix);
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", &user]).exits(0);
    assert_eq!(as_app(&workspace, "@b", &["GET", &format!("{name}:k1")]), Ok(()));
    workspace.run(&["plan"]).exits(0).flat().hides(&gets);
    assert_eq!(keys_in(&server, 0), 3);
}
