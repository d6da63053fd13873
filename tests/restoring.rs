//! What a restore says before, while and after it is done: at a terminal, and where others own a part.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::servers::{postgres, postgres_at, postgres_value};
use common::{Ran, Workspace, real_program, service};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn a(workspace: &Workspace) -> String {
    format!("{}a", workspace.prefix)
}

fn snapshots(workspace: &Workspace) -> usize {
    std::fs::read_dir(workspace.path("snapshots")).into_iter().flatten().count()
}

/// Takes a snapshot of the app: the name of its file.
fn snapshot(workspace: &Workspace) -> String {
    let made = workspace.run(&["snapshot", "@a"]).exits(0);
    Path::new(made.stdout.trim()).file_name().unwrap().to_str().unwrap().to_owned()
}

/// Runs it at a terminal, and types an answer. What it shows is all on one stream there.
fn at_a_terminal(workspace: &Workspace, arguments: &[&str], answer: &str) -> Ran {
    let inner = workspace.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut command = Command::new("script");
    command
        .args(["-qec", &format!("stty cols 200; {}", words.join(" ")), "/dev/null"])
        .env_clear()
        .env("TERM", "xterm");
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(workspace.path(""));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script runs");
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}

/// Keeps the real programs from ending for a while after their work, for the runs from now on.
fn slow_down(workspace: &mut Workspace) {
    let bin = workspace.path("slow");
    std::fs::create_dir(&bin).unwrap();
    for program in ["pg_dump", "pg_restore"] {
        let real = real_program(program);
        let works = "case \"$*\" in *--format=custom*|*--single-transaction*) sleep 1 ;; esac";
        let script = format!("#!/bin/sh\n'{}' \"$@\"\ncode=$?\n{works}\nexit $code\n", real.display());
        std::fs::write(bin.join(program), script).unwrap();
        std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", bin.to_str().unwrap());
}

#[test]
fn a_terminal_is_asked_about_what_is_lost_and_shown_how_far_it_has_come() {
    let mut workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let (url, database) = (workspace.published("@a", "DATABASE_URL"), a(&workspace));
    let made = "CREATE TABLE orders (id serial PRIMARY KEY, what text) WITH (autovacuum_enabled = false); CREATE SCHEMA s; CREATE TABLE s.\"odd name\" (); \
                INSERT INTO orders (what) SELECT 'row ' || n FROM generate_series(1, 5000) n; ANALYZE";
    postgres_at(&url, made).unwrap();
    let file = snapshot(&workspace);
    postgres_at(&url, "CREATE TABLE mine (); DELETE FROM orders WHERE id > 10").unwrap();
    let address = format!("postgres.database.{database}");
    let restore = ["restore", "@a", file.as_str(), "--allow-destroy", address.as_str()];
    let place = format!(
        "{database} on {}:{} in environment \"default\"",
        service("NORNPLAN_POSTGRES_HOST"),
        service("NORNPLAN_POSTGRES_PORT")
    );
    let question = format!("Replace 2 of 3 tables (about 5000 rows) of {place} with {file} (taken 20");
    let left = at_a_terminal(&workspace, &restore, "no\n").exits(1);
    left.says(&question).says("Nothing was restored.");
    assert_eq!(snapshots(&workspace), 1);
    let one = at_a_terminal(&workspace, &[&restore[..], &["--schema", "s"]].concat(), "no\n").exits(1);
    one.says(&format!("Replace 1 of 3 tables (no rows) of {place} with"));

    slow_down(&mut workspace);
    let done = at_a_terminal(&workspace, &restore, "yes\n").exits(0).says(&question).says("Restored ");
    let done = done.says(" of a database of ").says(&format!("{database}: dumping, ")).hides("row 1");
    // All that the snapshot has was counted, whatever the program calls it.
    let entries = done.stdout.rsplit("restoring, ").next().unwrap().split(" entries").next().unwrap();
    let (so_far, all) = entries.split_once(" of ").expect("counts");
    assert_eq!(so_far, all);
    assert_eq!(postgres_value(&database, "SELECT count(*)::text FROM orders").unwrap(), "5000");

    // Elsewhere it is a plain line.
    let plain = workspace.run(&[&restore[..], &["--auto-approve"]].concat()).exits(0);
    let plain = plain.complains(&format!("{database}: dumping\n")).complains(&format!("{database}: restoring"));
    plain.hides("\u{1b}").hides("pg_restore: ");
    postgres_at(&url, "DROP TABLE mine; DROP TABLE orders; DROP TABLE s.\"odd name\"; DROP SCHEMA s").unwrap();
    let empty = at_a_terminal(&workspace, &restore, "no\n").exits(1);
    empty.says(&format!("Restore {file} (taken 20")).says(&format!(") into the empty {place}?"));
}

#[test]
fn rows_that_cannot_be_restored_are_not_shown() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    // A constraint that its own rows break: pg_dump writes it as one that was checked.
    let made = "CREATE TABLE t (x text); INSERT INTO t VALUES ('hush'); CREATE FUNCTION never(text) RETURNS bool \
                LANGUAGE sql IMMUTABLE AS 'SELECT false'; ALTER TABLE t ADD CONSTRAINT c CHECK (never(x)) NOT VALID";
    postgres_at(&url, made).unwrap();
    postgres(&a(&workspace), "UPDATE pg_constraint SET convalidated = true WHERE conname = 'c'");
    let file = snapshot(&workspace);
    let failed = workspace.run(&["restore", "@a", &file, "--auto-approve", "--allow-destroy", "all"]).exits(1);
    failed.complains("violates check constraint").complains("changed nothing").hides("hush");
}

#[test]
fn what_others_own_is_found_before_anything_is_dumped() {
    let workspace = Workspace::new();
    let open = "app = \"@a\"\n[services.postgres]\n";
    workspace.spec("a", open);
    workspace.converge();
    let (url, database, legacy) =
        (workspace.published("@a", "DATABASE_URL"), a(&workspace), format!("{}legacy", workspace.prefix));
    postgres("postgres", &format!("CREATE ROLE {legacy}"));
    postgres(&database, &format!("CREATE SCHEMA hid AUTHORIZATION {legacy}"));
    for table in ["a", "\"B c\""] {
        postgres(&database, &format!("CREATE TABLE hid.{table} (x int); ALTER TABLE hid.{table} OWNER TO {legacy}"));
    }
    postgres_at(&url, "CREATE TABLE orders (x int); INSERT INTO orders VALUES (1)").unwrap();
    let file = snapshot(&workspace);
    let restore = ["restore", "@a", file.as_str(), "--auto-approve", "--allow-destroy", "all"];
    let refused = workspace.run(&restore).exits(1);
    let refused = refused.complains(&format!("schema hid and 2 tables belong to {legacy}, so they cannot be replaced"));
    let refused = refused.complains("set adopt_objects = true and apply, or ");
    let statement = format!("ALTER SCHEMA hid OWNER TO {database}_user");
    refused.complains(&statement).complains(&format!("ALTER TABLE hid.\"B c\" OWNER TO {database}_user"));
    assert_eq!(snapshots(&workspace), 1, "nothing was dumped");
    // What is the app's can be restored, and what the snapshot does not have is nobody's concern.
    workspace.run(&[&restore[..], &["--table", "orders"]].concat()).exits(0);
    postgres(&database, &format!("CREATE TABLE public.apart (); ALTER TABLE public.apart OWNER TO {legacy}"));
    // As it says.
    workspace.spec("a", &format!("{open}adopt_objects = true\n"));
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    postgres(&database, &format!("CREATE TABLE public.other (); ALTER TABLE public.other OWNER TO {legacy}"));
    workspace.run(&restore).exits(0).hides("belong");
    postgres(&database, &format!("DROP OWNED BY {legacy}"));
    postgres("postgres", &format!("DROP ROLE {legacy}"));
}

#[test]
fn what_a_migrator_owns_is_given_to_the_app_before_and_back_afterwards() {
    let workspace = Workspace::new();
    let migrator = format!("{}mig", workspace.prefix);
    postgres("postgres", &format!("CREATE ROLE {migrator}"));
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nmigrator = \"@mig\"\n");
    workspace.converge();
    let database = a(&workspace);
    postgres(&database, &format!("SET ROLE {migrator}; CREATE TABLE orders (x int); INSERT INTO orders VALUES (1)"));
    let file = snapshot(&workspace);
    let restore = ["restore", "@a", file.as_str(), "--auto-approve", "--allow-destroy", "all"];
    let refused = workspace.run(&restore).exits(1);
    let refused = refused.complains(&format!("table public.orders belongs to {migrator}, so it cannot be replaced"));
    let statement = format!("ALTER TABLE public.orders OWNER TO {database}_user");
    let refused = refused.complains(&statement).hides("adopt_objects");
    refused.complains(&format!("give {migrator} what it shall change again"));
    assert_eq!(snapshots(&workspace), 1);
    postgres(&database, &statement);
    let restored = workspace.run(&restore).exits(0);
    restored.complains(&format!("What was restored belongs to {database}_user")).complains("The next `nornplan apply`");
    postgres(&database, &format!("ALTER TABLE orders OWNER TO {migrator}"));
    workspace.converge();
    // The app and its migrator go on as before.
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "INSERT INTO orders VALUES (2)").unwrap();
    postgres(&database, &format!("SET ROLE {migrator}; ALTER TABLE orders ADD y int; DROP TABLE orders"));
    workspace
        .run(&["destroy", "--all", "--auto-approve", "--allow-destroy", "all", "--allow-interrupt", "all"])
        .exits(0);
    postgres("postgres", &format!("DROP ROLE {migrator}"));
}
