//! Administrators with fewer rights: what works, and what the plan says beforehand where a right is missing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::step::{Action, Hold};
use nornplan::services::{ServiceId, Step};
use postgres::{app, extend};
use std::collections::BTreeSet;
use support::World;

/// Why steps are blocked.
fn reasons(plan: &[Step]) -> BTreeSet<String> {
    let reason = |step: &Step| match &step.hold {
        Some(Hold::Blocked { reason }) => Some(reason.clone()),
        _ => None,
    };
    plan.iter().filter_map(reason).collect()
}

/// Runs, as a superuser, the statements that the reasons name, until nothing is blocked any more; then applies.
async fn follow_the_advice(world: &World) {
    for _ in 0..4 {
        let reasons = reasons(&world.plan().await);
        if reasons.is_empty() {
            return world.converge().await;
        }
        for reason in reasons {
            let (_, statement) = reason.rsplit_once(" by ").unwrap_or_else(|| panic!("no statement in {reason:?}"));
            world.as_admin("postgres", statement).await;
        }
    }
    panic!("the advice does not help: {:#?}", reasons(&world.plan().await));
}

/// The statements that the doctor names for what others made.
async fn advice(world: &World) -> Vec<String> {
    let checks = world.service().examine(&world.ask()).await;
    let telling = ["has no ADMIN OPTION", "superusers own databases"];
    let told = checks.into_iter().filter(|check| telling.iter().any(|words| check.what.contains(words)));
    told.filter_map(|check| check.hint?.strip_prefix("as a superuser: ").map(str::to_owned)).collect()
}

async fn its_app_works(world: &World) {
    let mut session = world.sign_in("shop", &world.plain("shop_db")).await.unwrap();
    postgres::run(&mut session, "CREATE TABLE IF NOT EXISTS t (x text); INSERT INTO t VALUES ('a')").await.unwrap();
}

#[tokio::test]
async fn an_administrator_without_any_right_is_told_which_ones_it_needs() {
    let mut world = World::new(ServiceId::Postgres, "none");
    world.become_admin_with("LOGIN").await;
    world.declare("shop", app(&world, "shop"));
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Create), "{plan:#?}");
    let reasons = reasons(&plan);
    assert!(reasons.iter().any(|reason| reason.contains("CREATEROLE")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("CREATEDB")), "{reasons:?}");
    follow_the_advice(&world).await;
    its_app_works(&world).await;
    world.drop_all().await;
}

/// As an operator sets a cluster up: roles and databases are there before, made by a superuser.
#[tokio::test]
async fn what_a_superuser_made_is_taken_over_as_far_as_rights_reach() {
    let mut world = World::new(ServiceId::Postgres, "operator");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    world.declare("shop", app(&world, "shop"));
    let (user, owner, database) = (world.plain("shop_user"), world.plain("shop_owner"), world.plain("shop_db"));
    world.as_admin("postgres", &format!("CREATE ROLE {user} LOGIN CONNECTION LIMIT 3; CREATE ROLE {owner}")).await;
    world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {owner}")).await;
    // The doctor tells beforehand what the plan tells, in one statement that helps.
    let blocked = !reasons(&world.plan().await).is_empty();
    let advice = advice(&world).await;
    assert_eq!(advice.len(), usize::from(blocked), "{advice:?}");
    for statement in &advice {
        assert!(statement.contains(&user) && statement.contains(&owner), "{statement}");
        world.as_admin("postgres", statement).await;
    }
    assert_eq!(reasons(&world.plan().await), BTreeSet::new());
    assert_eq!(self::advice(&world).await, Vec::<String>::new());
    for role in [&user, &owner] {
        world.as_admin("postgres", &format!("REVOKE {role} FROM {}", world.plain("zz_admin"))).await;
    }
    follow_the_advice(&world).await;
    its_app_works(&world).await;
    world.drop_all().await;
}

#[tokio::test]
async fn a_database_of_a_superuser_must_be_given_away_by_one() {
    let mut world = World::new(ServiceId::Postgres, "given");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    world.declare("shop", app(&world, "shop"));
    let database = world.plain("shop_db");
    world.as_admin("postgres", &format!("CREATE DATABASE {database}")).await;
    let reasons = reasons(&world.plan().await);
    let statement = format!("ALTER DATABASE .. OWNER TO \"{}\"", world.plain("zz_admin"));
    assert!(reasons.iter().any(|reason| reason.contains(&statement)), "{reasons:?}");
    for statement in advice(&world).await {
        world.as_admin("postgres", &statement).await;
    }
    world.converge().await;
    its_app_works(&world).await;
    world.drop_all().await;
}

/// On every connection anew, as each run of nornplan is.
#[tokio::test]
async fn createrole_and_createdb_are_enough_for_a_whole_life() {
    let mut world = World::new(ServiceId::Postgres, "life");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    extend(&mut shop, world.extension("citext").await);
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    its_app_works(&world).await;

    world.connect();
    shop.connection_limit = Some(4);
    shop.settings.insert("statement_timeout".to_owned(), "30s".to_owned());
    shop.readers.clear();
    world.declare("shop", shop.clone());
    world.converge().await;

    world.connect();
    world.rotate.insert(world.name("shop"));
    world.apply(world.plan().await).await;
    world.rotate.clear();
    its_app_works(&world).await;

    world.connect();
    shop.owner = world.plain("shop_other");
    world.declare("shop", shop);
    world.converge().await;
    its_app_works(&world).await;

    world.connect();
    world.forget("shop");
    world.forget("report");
    world.apply(world.plan().await).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.snapshots().len(), 2);
    world.drop_all().await;
}
