//! What somebody changes by hand between the last look at an object and the write: the write gives way, says so, and the
//! change stays. Here the moment in between is held open: a step is read again, then the hand comes, then the step is
//! carried out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use common::own_valkey::{OwnValkey, PASSWORD};
use common::resp::{Reply, Wire};
use common::{Workspace, servers};
use nornplan::config::PasswordSource;
use nornplan::core::secret::Secret;
use nornplan::core::step::{Action, Part};
use nornplan::services::postgres::model::Credential;
use nornplan::services::valkey::model::{Access, DEFAULT_USER, OnDestroy};
use nornplan::services::{Outcome, ServiceId, Step};
use nornplan::spec::model::{App, Kv};
use serde_json::Value;
use std::collections::BTreeSet;
use support::World;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Has one step carried out, with nothing read before.
#[track_caller]
fn gives_way(runtime: &Runtime, world: &World, step: &Step, case: &str) {
    let mut outcomes = runtime.block_on(world.carry_out(&[step]));
    let outcome = outcomes.pop().unwrap();
    assert!(matches!(&outcome, Outcome::Stale { now: Some(_), .. }), "{case}: {outcome:?}");
}

#[test]
fn postgres_compares_and_writes_in_one_transaction() {
    let runtime = runtime();
    let mut world = World::new(ServiceId::Postgres, "unseen");
    let (role, database) = (world.plain("shop_user"), world.plain("shop_db"));
    let shop = postgres::app(&world, "shop");
    world.declare("shop", shop.clone());
    runtime.block_on(world.converge());
    let value = |query: &str| servers::postgres_value("postgres", query).unwrap_or_default();
    let of_role = |what: &str| value(&format!("SELECT {what}::text FROM pg_authid WHERE rolname = '{role}'"));
    let of_database = |what: &str| value(&format!("SELECT {what}::text FROM pg_database WHERE datname = '{database}'"));
    let by_hand = |statement: &str| servers::postgres("postgres", statement);

    // A new password, of a role that is another one by now.
    world.rotate.insert(world.name("shop"));
    let plan = runtime.block_on(world.plan());
    let step = plan.iter().find(|step| step.action == Action::Rotate).expect("a rotation");
    world.stage(&world.name("shop"));
    let password = of_role("rolpassword");
    by_hand(&format!("ALTER ROLE {role} VALID UNTIL '2099-01-01' CONNECTION LIMIT 77"));
    gives_way(&runtime, &world, step, "rotation");
    assert_eq!((of_role("rolpassword"), of_role("rolconnlimit")), (password, "77".to_owned()));
    assert!(of_role("rolvaliduntil").starts_with("2099-01-01"), "{}", of_role("rolvaliduntil"));
    world.rotate.clear();
    runtime.block_on(world.converge());

    // Closing it.
    let mut closed = shop.clone();
    closed.databases[0].closed = true;
    world.declare("shop", closed);
    let plan = runtime.block_on(world.plan());
    by_hand(&format!("ALTER DATABASE {database} CONNECTION LIMIT 77"));
    gives_way(&runtime, &world, postgres::of_database(&plan), "closing");
    assert_eq!((of_database("datallowconn"), of_database("datconnlimit")), ("true".to_owned(), "77".to_owned()));
    world.declare("shop", shop);
    runtime.block_on(world.converge());

    // Dropping it: nobody is shut out before it is known to be what was planned on.
    world.forget("shop");
    let plan = runtime.block_on(world.plan());
    by_hand(&format!("ALTER DATABASE {database} CONNECTION LIMIT 78"));
    gives_way(&runtime, &world, postgres::of_database(&plan), "drop");
    assert_eq!(of_database("datconnlimit"), "78");
    runtime.block_on(world.drop_all());
}

fn kv(world: &mut World, app: &str, access: Access) {
    let name = world.name(app);
    let kv = Kv {
        namespace: Some(name.to_string()),
        user: name.to_string(),
        access,
        db: 0,
        shared: false,
        commands: Vec::new(),
        keys: BTreeSet::new(),
        channels: BTreeSet::new(),
        readers: BTreeSet::new(),
        credential: Credential::Generate,
        on_destroy: OnDestroy::KeepKeys,
    };
    world.insert(App { kv: Some(kv), ..world.app(name) });
}

/// Reads again what steps are about, as is done right before they are carried out.
fn read_again(runtime: &Runtime, world: &World, step: &Step) {
    let addresses = BTreeSet::from([step.address.clone()]);
    runtime.block_on(world.service().read(&addresses, &[step])).unwrap_or_else(|error| panic!("{error}"));
}

/// A world on a server of its own.
fn on(server: &OwnValkey, test: &str) -> World {
    let mut world = World::new(ServiceId::Valkey, test);
    world.config.valkey.port = server.port;
    world.config.valkey.password = PasswordSource::Given(Secret::new(PASSWORD.to_owned()));
    world.connect();
    world
}

#[test]
fn rules_and_passwords_that_somebody_gave_a_user_meanwhile_are_put_back() {
    let (runtime, server) = (runtime(), OwnValkey::start());
    let mut world = on(&server, "unseen");
    kv(&mut world, "a", Access::Readwrite);
    kv(&mut world, "b", Access::Readwrite);
    runtime.block_on(world.converge());
    let user = world.name("a").to_string();
    let now = || format!("{:?}", server.run(&["ACL", "GETUSER", &user]));
    let of = |plan: &[Step], app: &str| plan.iter().find(|step| step.address.name == app).expect("a step").clone();

    // Others are read in between, as their kind is carried out at the same time.
    kv(&mut world, "a", Access::Queue);
    kv(&mut world, "b", Access::Queue);
    let plan = runtime.block_on(world.plan());
    let (step, other) = (of(&plan, &user), of(&plan, &world.name("b").to_string()));
    read_again(&runtime, &world, &step);
    read_again(&runtime, &world, &other);
    server.run(&["ACL", "SETUSER", &user, "~by-hand:*"]);
    gives_way(&runtime, &world, &step, "rules");
    assert!(now().contains("~by-hand:*"), "{}", now());
    runtime.block_on(world.converge());

    // The last step of a rotation takes the former passwords, and those alone that were there.
    let name = world.name("a");
    world.rotate.insert(name.clone());
    let plan = runtime.block_on(world.plan());
    let part = |part| plan.iter().find(|step| step.part == part).expect("a rotation").clone();
    let (first, step) = (part(Part::Credential), part(Part::Close));
    world.stage(&name);
    read_again(&runtime, &world, &first);
    let outcome = runtime.block_on(world.carry_out(&[&first])).pop().unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    read_again(&runtime, &world, &step);
    server.run(&["ACL", "SETUSER", &user, ">by-hand"]);
    gives_way(&runtime, &world, &step, "passwords");
    assert_eq!(Wire::open(server.port).say(&["AUTH", &user, "by-hand"]), Reply::Text("OK".to_owned()));
    // What is only put back is no reason to refuse the next one.
    read_again(&runtime, &world, &step);
    let outcome = runtime.block_on(world.carry_out(&[&step])).pop().unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

#[test]
fn a_password_that_somebody_gave_the_user_default_meanwhile_stays() {
    let (runtime, server) = (runtime(), OwnValkey::start());
    let world = on(&server, "unseendefault");
    server.run(&["ACL", "SETUSER", "default", ">former"]);
    let mut workspace = Workspace::new();
    server.serve(&mut workspace);
    workspace.spec("a", "app = \"@a\"\n[services.kv]\n");
    workspace.write("nornplan.toml", "[valkey]\ndefault_user = \"admin-only\"\n");
    workspace.run(&["plan", "--service", "valkey", "--out", "plan.json"]).exits(0);
    let saved: Value = serde_json::from_str(&workspace.read("plan.json")).unwrap();
    let plan: Value = serde_json::from_str(saved["plan"].as_str().unwrap()).unwrap();
    let steps: Vec<Step> = serde_json::from_value(plan["steps"].clone()).unwrap();
    let step = steps.iter().find(|step| step.address.kind == DEFAULT_USER).expect("it takes a password too many");
    read_again(&runtime, &world, step);
    server.run(&["ACL", "SETUSER", "default", ">by-hand"]);
    gives_way(&runtime, &world, step, "default");
    for password in ["former", "by-hand", PASSWORD] {
        let said = Wire::open(server.port).say(&["AUTH", password]);
        assert_eq!(said, Reply::Text("OK".to_owned()), "{password}");
    }
    read_again(&runtime, &world, step);
    let outcome = runtime.block_on(world.carry_out(&[step])).pop().unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let said = Wire::open(server.port).say(&["AUTH", "by-hand"]);
    assert_ne!(said, Reply::Text("OK".to_owned()));
}
