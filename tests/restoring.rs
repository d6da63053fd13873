//! What a restore says where others own a part.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::servers::{postgres, postgres_at};
use common::Workspace;
use std::path::Path;

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
