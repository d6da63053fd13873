//! `nornplan doctor` on PostgreSQL: what a plan would be blocked for is told before, with the statement that helps.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::step::Hold;
use nornplan::services::{Check, ServiceId, Verdict};
use postgres::{app, extend};
use std::collections::BTreeSet;
use support::World;

async fn doctor(world: &World) -> Vec<Check> {
    world.service().examine(&world.ask()).await
}

/// What is told of rights that are missing for something, without the statement.
fn lacking(checks: &[Check]) -> BTreeSet<String> {
    checks.iter().filter(|check| check.what.contains("lacks a right for")).map(|check| check.what.clone()).collect()
}

fn says_all_is_well(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.verdict == Verdict::Good && check.what.starts_with("the rights of"))
}

/// Every line of why steps are blocked.
async fn blocked(world: &World) -> BTreeSet<String> {
    let reason = |hold: Option<Hold>| if let Some(Hold::Blocked { reason }) = hold { Some(reason) } else { None };
    let reasons: Vec<String> = world.plan().await.into_iter().filter_map(|step| reason(step.hold)).collect();
    reasons.iter().flat_map(|reason| reason.lines()).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_plan_is_blocked_for_is_told_beforehand_with_the_statement_that_helps() {
    let mut world = World::new(ServiceId::Postgres, "docrights");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    let mut shop = app(&world, "shop");
    world.declare("shop", shop.clone());
    assert!(says_all_is_well(&doctor(&world).await));
    world.converge().await;
    assert!(says_all_is_well(&doctor(&world).await));

    shop.settings.insert("log_statement".to_owned(), "ddl".to_owned());
    let extension = world.extension("postgres_fdw").await;
    extend(&mut shop, extension.clone());
    world.declare("shop", shop.clone());
    let told = doctor(&world).await;
    assert!(!says_all_is_well(&told), "{told:#?}");
    assert!(told.iter().all(|check| check.verdict != Verdict::Bad), "{told:#?}");
    // The same words as in the plan, and nothing that the plan has not.
    let blocked = blocked(&world).await;
    let hints: BTreeSet<String> = told
        .iter()
        .filter(|check| check.what.contains("lacks a right for"))
        .map(|check| check.hint.clone().unwrap())
        .collect();
    assert_eq!(hints.len(), 1 + usize::from(extension.is_some()), "{told:#?}");
    assert!(hints.is_subset(&blocked), "{hints:#?} {blocked:#?}");
    let (user, database) = (world.plain("shop_user"), world.plain("shop_db"));
    let admin = world.plain("zz_admin");
    assert!(lacking(&told).contains(&format!("{admin} lacks a right for postgres.role.{user}")), "{told:#?}");

    let setting = hints.iter().find(|hint| hint.contains("log_statement")).unwrap();
    world.as_admin("postgres", setting.split_once(" by ").unwrap().1).await;
    if let Some(hint) = hints.iter().find(|hint| hint.contains("postgres_fdw")) {
        let (place, statement) = hint.rsplit_once(": ").unwrap();
        assert!(place.ends_with(&format!("in the database {database}")), "{hint}");
        world.as_admin(&database, statement).await;
    }
    let told = doctor(&world).await;
    assert!(says_all_is_well(&told), "{told:#?}");
    world.converge().await;
    world.as_admin("postgres", &format!("REVOKE SET ON PARAMETER log_statement FROM {admin}")).await;
    // What is there already takes no right.
    assert!(says_all_is_well(&doctor(&world).await));
    world.drop_all().await;
}

#[tokio::test]
async fn objects_of_a_superuser_that_the_app_shall_get_are_told_beforehand() {
    let mut world = World::new(ServiceId::Postgres, "docobjects");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    let mut shop = app(&world, "shop");
    world.declare("shop", shop.clone());
    world.converge().await;
    world.as_admin(&world.plain("shop_db"), "CREATE TABLE public.mine (x int)").await;
    shop.adopt_objects = true;
    world.declare("shop", shop);
    let told = doctor(&world).await;
    assert!(!says_all_is_well(&told), "{told:#?}");
    let told: BTreeSet<String> = told.into_iter().filter_map(|check| check.hint).collect();
    let blocked = blocked(&world).await;
    assert!(!blocked.is_empty() && blocked.is_subset(&told), "{blocked:#?} {told:#?}");
    world.drop_all().await;
}

#[tokio::test]
async fn an_administrator_that_may_nothing_is_not_called_able() {
    let mut world = World::new(ServiceId::Postgres, "docnone");
    world.become_admin_with("LOGIN").await;
    world.declare("shop", app(&world, "shop"));
    let admin = world.plain("zz_admin");
    for (lacks, attributes) in [("CREATEROLE and CREATEDB", "CREATEROLE CREATEDB"), ("CREATEDB", "CREATEDB")] {
        let told = doctor(&world).await;
        assert!(!says_all_is_well(&told), "{told:#?}");
        let check = told.iter().find(|check| check.what.contains("lacks")).unwrap();
        assert_eq!((&check.what, check.verdict), (&format!("{admin} lacks {lacks}"), Verdict::Bad));
        let statement = format!("ALTER ROLE \"{admin}\" {attributes}");
        assert_eq!(check.hint, Some(format!("as a superuser: {statement}")));
        assert_eq!(told.iter().filter(|check| check.what.contains("lacks")).count(), 1, "told once: {told:#?}");
        let given = if lacks == "CREATEDB" { statement } else { format!("ALTER ROLE {admin} CREATEROLE") };
        world.as_admin("postgres", &given).await;
    }
    assert!(says_all_is_well(&doctor(&world).await));
    world.converge().await;
    world.drop_all().await;
}

#[tokio::test]
async fn roles_without_a_limit_are_counted_beside_those_that_have_one() {
    let world = World::new(ServiceId::Postgres, "doclimits");
    let role = world.plain("unlimited");
    world.as_admin("postgres", &format!("CREATE ROLE {role} LOGIN")).await;
    let told = doctor(&world).await;
    let line = told.iter().find(|check| check.what.starts_with("connection limits of roles sum up to")).unwrap();
    let (_, rest) = line.what.split_once("; ").unwrap_or_else(|| panic!("{line:?}"));
    let (number, words) = rest.split_once(' ').unwrap();
    assert!(number.parse::<usize>().unwrap() >= 1 && words.contains("that can sign in ha"), "{line:?}");
    assert!(words.ends_with(" none"), "{line:?}");
    world.as_admin("postgres", &format!("DROP ROLE {role}")).await;
}
