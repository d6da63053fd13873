//! Snapshots and restores through the binary, with the real pg_dump and pg_restore.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::held::Session;
use common::servers::{postgres, postgres_at, postgres_value, works};
use common::{Workspace, real_program, service};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// One app with a table that has all that belongs to one, and a reader.
fn applied() -> Workspace {
    let workspace = Workspace::new();
    let extensions = if has_extensions() { "extensions = [\"citext\"]\n" } else { "" };
    workspace.spec("a", &format!("app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n{extensions}"));
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    fill(&workspace);
    workspace
}

fn fill(workspace: &Workspace) {
    postgres_at(
        &workspace.published("@a", "DATABASE_URL"),
        "CREATE SCHEMA inner_one; \
         CREATE TABLE orders (id serial PRIMARY KEY, what text NOT NULL); \
         CREATE INDEX orders_what ON orders (what); \
         CREATE TABLE inner_one.\"odd name\" (id int GENERATED ALWAYS AS IDENTITY, o int REFERENCES orders (id)); \
         INSERT INTO orders (what) SELECT 'row ' || n FROM generate_series(1, 100) n; \
         INSERT INTO inner_one.\"odd name\" (o) VALUES (1)",
    )
    .expect("tables");
    if has_extensions() {
        // One that an administrator made, and one that the app makes itself.
        let statements = "CREATE TABLE words (word citext); CREATE EXTENSION hstore; ALTER TABLE words ADD h hstore";
        postgres_at(&workspace.published("@a", "DATABASE_URL"), statements).expect("extensions");
    }
}

/// Some packages come without the contributed extensions.
fn has_extensions() -> bool {
    let statement = "SELECT 'yes' FROM pg_available_extensions WHERE name IN ('citext', 'hstore') HAVING count(*) = 2";
    postgres_value("postgres", statement).is_some()
}

fn a(workspace: &Workspace) -> String {
    format!("{}a", workspace.prefix)
}

fn rows(workspace: &Workspace) -> String {
    postgres_value(&a(workspace), "SELECT count(*)::text FROM orders").expect("a count")
}

/// The files in the directory of snapshots.
fn files(workspace: &Workspace) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace.path("snapshots")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Takes a snapshot of the app: the name of its file.
fn snapshot(workspace: &Workspace) -> String {
    let made = workspace.run(&["snapshot", "@a"]).exits(0);
    name(std::path::Path::new(made.stdout.trim()))
}

/// Puts shell lines before the real programs, for the runs from now on.
fn wrap(workspace: &mut Workspace, before_dump: &str) {
    let bin = workspace.path("bin");
    std::fs::create_dir(&bin).unwrap();
    for (program, before) in [("pg_dump", before_dump), ("pg_restore", "")] {
        let script = format!(
            "#!/bin/sh\ntr '\\0' ' ' </proc/$$/cmdline >>'{}/said'\n{before}\nexec '{}' \"$@\"\n",
            bin.display(),
            real_program(program).display()
        );
        let file = bin.join(program);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    workspace.set("NORNPLAN_POSTGRES_BIN_DIR", bin.to_str().unwrap());
}

#[test]
fn a_snapshot_is_private_named_as_norn_lists_it_and_tells_nobody_the_password() {
    let mut workspace = applied();
    wrap(&mut workspace, "");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let made = workspace.run(&["snapshot", "@a", "--commit", commit, "-v"]).exits(0);
    let made = made.complains("dumped, ").complains("--format=custom").hides(&service("NORNPLAN_POSTGRES_PASSWORD"));
    let file = PathBuf::from(made.stdout.trim());
    assert!(name(&file).starts_with(&format!("{}_0123456789ab_20", a(&workspace))), "{file:?}");
    assert!(name(&file).ends_with(".dump") && name(&file).len() == a(&workspace).len() + 34, "{file:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(workspace.path("snapshots")).unwrap().permissions().mode() & 0o777, 0o700);
    let said = workspace.read("bin/said");
    assert!(said.contains("pg_dump") && said.contains("--list"), "{said}");
    assert!(!said.contains(&service("NORNPLAN_POSTGRES_PASSWORD")), "a password in a list of processes");

    // Only the newest are kept where that is asked for.
    workspace.set("NORNPLAN_SNAPSHOTS_KEEP", "1");
    workspace.run(&["snapshot", "@a"]).exits(0).complains("removed the older");
    assert_eq!(files(&workspace).len(), 1);
}

#[test]
fn a_database_that_cannot_be_dumped_does_not_keep_the_others_from_it() {
    let workspace = applied();
    postgres("postgres", &format!("DROP DATABASE {}", a(&workspace)));
    let made = workspace.run(&["snapshot", "--all"]).exits(1).complains("there is no such database");
    assert_eq!(made.stdout.lines().count(), 1);
    assert!(made.stdout.contains(&format!("{}b_manual_", workspace.prefix)));
    workspace.run(&["snapshot", "@aa"]).exits(1).complains("there is no app").complains("did you mean");
    workspace.run(&["snapshot", "@a", "--commit", "../x"]).exits(1).complains("is no commit");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
}

#[test]
fn a_table_that_an_app_has_locked_keeps_no_other_database_from_being_dumped() {
    let workspace = applied();
    let url = workspace.published("@a", "DATABASE_URL");
    works(&url, "CREATE TABLE mine (n int)");
    let mut holder = Session::open(&url).expect("the app signs in");
    holder.run("BEGIN; LOCK TABLE mine IN ACCESS EXCLUSIVE MODE");
    let made = workspace.run(&["snapshot", "--all"]).exits(1).flat();
    let made =
        made.complains("due to statement timeout").complains("SELECT pid, usename, state, query FROM pg_stat_activity");
    assert!(made.stdout.contains(&format!("{}b_manual_", workspace.prefix)), "{}", made.stdout);
    drop(holder);
}

#[test]
fn a_snapshot_is_restored_into_an_empty_database_and_over_a_full_one_with_consent() {
    let mut workspace = applied();
    let file = snapshot(&workspace);
    let url = workspace.published("@a", "DATABASE_URL");
    let address = format!("postgres.database.{}", a(&workspace));

    // Over what is there: with consent, after a snapshot, and what fails changes nothing.
    postgres_at(&url, "DELETE FROM inner_one.\"odd name\"; DELETE FROM orders WHERE id > 50").unwrap();
    let restore = ["restore", "@a", file.as_str(), "--auto-approve"];
    workspace.run(&restore).exits(1).complains("it is not empty").complains(&format!("--allow-destroy {address}"));
    assert_eq!((rows(&workspace), files(&workspace).len()), ("50".to_owned(), 1));
    let with_consent = [&restore[..], &["--allow-destroy", address.as_str()]].concat();
    postgres_at(&url, "CREATE TABLE mine (o int REFERENCES orders (id))").unwrap();
    workspace.run(&with_consent).exits(1).complains("the restore failed and changed nothing");
    assert_eq!(rows(&workspace), "50");
    postgres_at(&url, "DROP TABLE mine").unwrap();
    let restored = workspace.run(&with_consent).exits(0).says("Restored ").complains("_pre-restore_");
    restored.complains("gives readers and writers what they lack");
    assert_eq!(rows(&workspace), "100");
    assert_eq!(files(&workspace).iter().filter(|file| name(file).contains("_pre-restore_")).count(), 2);
    // What the snapshot brings belongs to the app, and its reader reads it.
    postgres_at(&url, "ALTER TABLE orders ADD COLUMN more int").expect("it is the app's");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0);

    // One table of it, with all that belongs to that.
    postgres_at(&url, "DROP TABLE inner_one.\"odd name\"; DROP TABLE orders; CREATE TABLE other (x int)").unwrap();
    workspace.run(&[&with_consent[..], &["--table", "nothing"]].concat()).exits(1).complains("does not have nothing");
    workspace.run(&[&with_consent[..], &["--table", "orders"]].concat()).exits(0);
    assert_eq!(rows(&workspace), "100");
    let indexes = "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'";
    assert_eq!(postgres_value(&a(&workspace), indexes).unwrap(), "orders_pkey orders_what");
    postgres_at(&url, "INSERT INTO orders (what) VALUES ('new')").expect("its sequence is there, and goes on");
    assert_eq!(postgres_value(&a(&workspace), "SELECT max(id)::text FROM orders").unwrap(), "101");
    workspace.run(&[&with_consent[..], &["--schema", "inner_one"]].concat()).exits(0);
    assert_eq!(postgres_value(&a(&workspace), "SELECT count(*)::text FROM inner_one.\"odd name\"").unwrap(), "1");

    // Into an empty one, after the app was destroyed and made again; no consent is needed.
    let destroy = ["destroy", "--app", "@a", "--auto-approve", "--allow-destroy", "all"];
    workspace.run(&destroy).exits(0);
    workspace.converge();
    workspace.run(&restore).exits(0);
    assert_eq!(rows(&workspace), "100");

    workspace.set("NORNPLAN_POSTGRES_PORT", "1");
    let list = workspace.run(&["restore", "@a", &file, "--list"]).exits(0);
    list.says(&format!("Snapshot of {}", a(&workspace))).says("public.orders").says("inner_one.odd name");
    workspace.set("NORNPLAN_POSTGRES_PORT", &service("NORNPLAN_POSTGRES_PORT"));
}

#[test]
fn what_must_not_be_destroyed_is_not_replaced_whatever_is_allowed() {
    let workspace = Workspace::new();
    let open = "app = \"@a\"\n[services.postgres]\n";
    workspace.spec("a", &format!("{open}[lifecycle]\nprevent_destroy = true\n"));
    workspace.converge();
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(&url, "CREATE TABLE orders (x int); INSERT INTO orders VALUES (1)").unwrap();
    let file = snapshot(&workspace);
    postgres_at(&url, "INSERT INTO orders VALUES (2)").unwrap();
    let restore = ["restore", "@a", file.as_str(), "--auto-approve", "--allow-destroy", "all"];
    let refused = workspace.run(&restore).exits(1).complains("a.toml:4:1: ").complains("4 | prevent_destroy = true");
    refused.complains("is not replaced").complains("it holds 1 table").complains("take it out of the infraspec");
    assert_eq!((rows(&workspace), files(&workspace).len()), ("2".to_owned(), 1));
    // Nothing is lost where nothing is.
    postgres_at(&url, "DROP TABLE orders").unwrap();
    workspace.run(&restore).exits(0).hides("readers and writers");
    workspace.spec("a", &format!("{open}[lifecycle]\nprevent_destroy = false\n"));
    workspace.run(&restore).exits(0).complains("_pre-restore_");
    assert_eq!(rows(&workspace), "1");
}

#[test]
fn what_is_no_whole_snapshot_of_the_database_is_refused_before_anything_is_done() {
    let workspace = applied();
    let file = snapshot(&workspace);
    let whole = std::fs::read(workspace.path("snapshots").join(&file)).unwrap();
    std::fs::write(workspace.path("cut.dump"), &whole[..whole.len() - 300]).unwrap();
    workspace.write("none.dump", "SELECT 1;\n");
    let restore = |app: &str, file: &str, more: &[&str]| {
        workspace.run(&[&["restore", app, file, "--auto-approve", "--allow-destroy", "all"], more].concat())
    };
    for wrong in ["cut.dump", "none.dump"] {
        restore("@a", wrong, &[]).exits(1).complains("this is no whole snapshot");
    }
    restore("@a", "gone.dump", &[]).exits(1).complains("there is no such snapshot").complains("snapshots are in");
    restore("@aa", &file, &[]).exits(1).complains("did you mean");
    restore("@b", &file, &[]).exits(1).complains(&format!("the snapshot is of {}", a(&workspace)));
    restore("@a", &file, &["--database", "postgres"]).exits(1).complains("is no database of");
    assert_eq!((rows(&workspace), files(&workspace).len()), ("100".to_owned(), 1));
    restore("@b", &file, &["--database", "@b"]).exits(0);
    let there = postgres_value(&format!("{}b", workspace.prefix), "SELECT tableowner::text FROM pg_tables LIMIT 1");
    assert!(there.unwrap().starts_with(&workspace.prefix));
    if has_extensions() {
        // What the app may not make itself must be there before.
        postgres(&a(&workspace), "CREATE EXTENSION dblink");
        let more = snapshot(&workspace);
        restore("@b", &more, &["--database", "@b"]).exits(1).complains("does not have: dblink");
    }
    // A database in use is left alone.
    let session = common::servers::block_on(async {
        use sqlx::Connection;
        sqlx::PgConnection::connect(&workspace.published("@a", "DATABASE_URL")).await.unwrap()
    });
    restore("@a", &file, &[]).exits(1).complains("it is in use: 1 session");
    drop(session);
}

#[test]
fn a_database_that_somebody_dropped_is_made_empty_and_the_plan_says_so() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\n");
    workspace.run(&["plan"]).exits(0).hides("EMPTY");
    workspace.converge();
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE orders (x int)").unwrap();
    postgres("postgres", &format!("DROP DATABASE {}", a(&workspace)));
    workspace.run(&["plan"]).exits(0).says("it is made EMPTY").hides("snapshot");
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    postgres_at(&workspace.published("@a", "DATABASE_URL"), "CREATE TABLE orders (x int)").unwrap();
    let file = snapshot(&workspace);
    postgres("postgres", &format!("DROP DATABASE {}", a(&workspace)));
    let restore = format!("nornplan restore {} {file}", a(&workspace));
    let plan = workspace.run(&["plan", "--format", "json"]).exits(0);
    plan.says(&format!("it is made EMPTY; the newest snapshot: {file} (`{restore}`)"));
    workspace.run(&["apply", "--auto-approve"]).exits(0);
    workspace.run(&["plan"]).exits(0).hides("EMPTY");
    // What it says to do brings everything back.
    workspace.run(&["restore", "@a", &file, "--auto-approve"]).exits(0);
    assert_eq!(rows(&workspace), "0");
}
