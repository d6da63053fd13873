//! Databases that belong, when they are adopted, to a role that the infraspec gives access to.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::services::postgres::model::{Access, Credential, database_address};
use nornplan::services::{ServiceId, Step};
use nornplan::spec::model::Postgres as Spec;
use postgres::{app, connect, denied, live, run, works};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::World;

const READS: &str = "SELECT count(*) FROM t";
const WRITES: &str = "INSERT INTO t (x) VALUES ('b'); SELECT count(*) FROM t; DELETE FROM t WHERE x = 'b'";
const MAKES: &str =
    "BEGIN; CREATE TABLE public.probe (id serial); CREATE SCHEMA probes; ROLLBACK; SELECT count(*) FROM t";

/// How the owner of a database until now is declared, and what it does all the time.
struct Case {
    name: &'static str,
    declare: fn(&mut Spec, &World, String),
    daily: &'static str,
    told: &'static str,
}

const CASES: [Case; 5] = [
    Case { name: "migrator", declare: migrator, daily: MAKES, told: "makes objects for the app" },
    Case { name: "readonly", declare: readonly, daily: READS, told: "reads" },
    Case { name: "readwrite", declare: readwrite, daily: WRITES, told: "reads and writes" },
    Case { name: "reader", declare: reader, daily: READS, told: "reads" },
    Case { name: "writer", declare: writer, daily: WRITES, told: "reads and writes" },
];

fn migrator(shop: &mut Spec, _: &World, role: String) {
    shop.migrator = Some(role);
}

fn readonly(shop: &mut Spec, _: &World, role: String) {
    shop.grants.insert(role, Access::Readonly);
}

fn readwrite(shop: &mut Spec, _: &World, role: String) {
    shop.grants.insert(role, Access::Readwrite);
}

fn reader(shop: &mut Spec, world: &World, _: String) {
    shop.readers.insert(world.name("report"));
}

fn writer(shop: &mut Spec, world: &World, _: String) {
    shop.writers.insert(world.name("report"));
}

/// The app `shop`, whose database was made by hand and belongs to `owner`, with a table of a role `old` in it, which is
/// declared so; and the name of that role. If the database is another's, schema public is that role's.
async fn living(world: &mut World, case: &Case, adopt_objects: bool, owner: &str) -> (Spec, String) {
    let mut shop = app(world, "shop");
    shop.adopt_objects = adopt_objects;
    let (database, old, owner) = (shop.databases[0].name.clone(), world.plain("old"), world.plain(owner));
    world.as_itself(&format!("CREATE ROLE {old} LOGIN PASSWORD 'old'")).await;
    if owner != old {
        world.as_itself(&format!("CREATE ROLE {owner}")).await;
    }
    world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {owner}")).await;
    if owner != old {
        world.as_admin(&database, &format!("ALTER SCHEMA public OWNER TO {old}")).await;
    }
    let mut owner = connect(&old, Some("old"), &database).await.unwrap();
    run(&mut owner, "CREATE TABLE public.t (id serial, x text)").await.unwrap();
    (case.declare)(&mut shop, world, old.clone());
    if matches!(case.name, "reader" | "writer") {
        let report = Spec { user: old.clone(), credential: Credential::Keep, ..app(world, "report") };
        world.declare("report", report);
    }
    world.declare("shop", shop.clone());
    (shop, old)
}

/// Adopts everything in one apply, while the former owner signs in anew all the time.
async fn adopt(world: &mut World, case: &Case, adopt_objects: bool, owner: &str) {
    let what = format!("{} of {owner}'s with adopt_objects = {adopt_objects}", case.name);
    let (shop, old) = living(world, case, adopt_objects, owner).await;
    let database = shop.databases[0].name.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let sessions: Vec<_> =
        (0..2).map(|_| tokio::spawn(live(old.clone(), database.clone(), case.daily, stop.clone()))).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let plan = world.plan().await;
    world.try_apply(plan).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    for session in sessions {
        let (rounds, failures) = session.await.unwrap();
        assert!(rounds > 3, "{what}: only {rounds}");
        assert_eq!(failures, Vec::<String>::new(), "{what}");
    }
    assert_eq!(world.plan().await, Vec::new(), "{what}");

    // It has what the infraspec gives it, and not what an owner has.
    let mut former = connect(&old, Some("old"), &database).await.unwrap();
    works(&mut former, &[case.daily]).await;
    if case.name != "migrator" {
        denied(&mut former, &["CREATE TABLE public.mine ()", "CREATE SCHEMA mine"]).await;
    }
    if adopt_objects && case.daily == READS {
        denied(&mut former, &["DELETE FROM t"]).await;
    }
    drop(former);
    let mut app = world.sign_in("shop", &database).await.unwrap();
    if adopt_objects {
        works(&mut app, &["INSERT INTO t (x) VALUES ('c')"]).await;
    }
}

#[tokio::test]
async fn a_declared_role_that_owned_the_database_keeps_its_access_all_the_time() {
    for case in &CASES {
        for adopt_objects in [false, true] {
            let mut world = World::new(ServiceId::Postgres, &format!("fo{}{adopt_objects}", case.name));
            adopt(&mut world, case, adopt_objects, "old").await;
            world.drop_all().await;
        }
    }
}

#[tokio::test]
async fn a_declared_role_that_owned_only_what_is_in_it_keeps_its_access_as_well() {
    for case in CASES.iter().filter(|case| case.name != "migrator") {
        let mut world = World::new(ServiceId::Postgres, &format!("foi{}", case.name));
        adopt(&mut world, case, true, "boss").await;
        world.drop_all().await;
    }
}

#[tokio::test]
async fn a_lesser_administrator_keeps_a_declared_role_in_as_well() {
    for case in &CASES {
        let mut world = World::new(ServiceId::Postgres, &format!("fol{}", case.name));
        world.become_lesser_admin().await;
        adopt(&mut world, case, true, "old").await;
        world.drop_all().await;
    }
}

/// As a plan was saved before it said what former owners keep.
fn of_an_older_version(plan: &[Step]) -> Vec<Step> {
    let mut saved = serde_json::to_value(plan).unwrap();
    let mut removed = 0;
    for step in saved.as_array_mut().unwrap() {
        if let Some(operation) = step.pointer_mut("/op/do/alter_database") {
            removed += u32::from(operation.as_object_mut().unwrap().remove("keeps").is_some());
        }
    }
    assert_eq!(removed, 1, "{saved:#}");
    serde_json::from_value(saved).unwrap()
}

#[tokio::test]
async fn a_plan_saved_by_an_older_version_is_carried_out_in_one_go() {
    for case in &CASES {
        let mut world = World::new(ServiceId::Postgres, &format!("foo{}", case.name));
        let (shop, old) = living(&mut world, case, true, "old").await;
        let plan = of_an_older_version(&world.plan().await);
        world.try_apply(plan).await.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(world.plan().await, Vec::new(), "{}", case.name);
        let mut former = connect(&old, Some("old"), &shop.databases[0].name).await.unwrap();
        works(&mut former, &[case.daily]).await;
        drop(former);
        world.drop_all().await;
    }
}

#[tokio::test]
async fn the_plan_says_what_a_former_owner_keeps() {
    for case in &CASES {
        for (owner, owns) in [("old", "who owns it now"), ("boss", "who owns something in it now")] {
            // A migrator may own schema public, and what it makes stays its own.
            if (case.name, owner) == ("migrator", "boss") {
                continue;
            }
            let mut world = World::new(ServiceId::Postgres, &format!("fos{}{owner}", case.name));
            let (shop, old) = living(&mut world, case, true, owner).await;
            let address = database_address(&shop.databases[0].name);
            let plan = world.plan().await;
            let notes = &plan.iter().find(|step| step.address == address).unwrap().notes;
            let told = format!("{old}, {owns}, keeps what the infraspec gives it: {}", case.told);
            let loses = notes.iter().any(|note| note.contains("loses its access"));
            assert!(notes.contains(&told) && !loses, "{}: {notes:?}", case.name);
            world.drop_all().await;
        }
    }
}
