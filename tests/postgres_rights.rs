//! Administrators with fewer rights: what works, and what the plan says beforehand where a right is missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::step::{Action, Hold};
use nornplan::services::postgres::model::database_address;
use nornplan::services::{Model, ServiceId, Step};
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
        if reasons(&world.plan().await).is_empty() {
            return world.converge().await;
        }
        follow_the_advice_once(world).await;
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

/// Runs the statements that the reasons name.
async fn follow_the_advice_once(world: &World) {
    for reason in reasons(&world.plan().await) {
        let (_, statement) = reason.rsplit_once(" by ").unwrap_or_else(|| panic!("no statement in {reason:?}"));
        world.as_admin("postgres", statement).await;
    }
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
    for closed in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if closed { "opclosed" } else { "operator" });
        world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
        world.declare("shop", app(&world, "shop"));
        let (user, owner, database) = (world.plain("shop_user"), world.plain("shop_owner"), world.plain("shop_db"));
        world.as_admin("postgres", &format!("CREATE ROLE {user} LOGIN CONNECTION LIMIT 3; CREATE ROLE {owner}")).await;
        world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {owner}")).await;
        if closed {
            world.as_admin("postgres", &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await;
        } else {
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
        }
        follow_the_advice(&world).await;
        its_app_works(&world).await;
        world.drop_all().await;
    }
}

#[tokio::test]
async fn a_database_of_a_superuser_must_be_given_away_by_one() {
    let mut world = World::new(ServiceId::Postgres, "given");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    world.declare("shop", app(&world, "shop"));
    let database = world.plain("shop_db");
    world.as_admin("postgres", &format!("CREATE DATABASE {database}")).await;
    let reasons = reasons(&world.plan().await);
    let statement = format!("ALTER DATABASE \"{database}\" OWNER TO \"{}\"", world.plain("zz_admin"));
    assert!(reasons.iter().any(|reason| reason.contains(&statement)), "{reasons:?}");
    for statement in advice(&world).await {
        world.as_admin("postgres", &statement).await;
    }
    world.converge().await;
    its_app_works(&world).await;
    world.drop_all().await;
}

#[tokio::test]
async fn what_a_superuser_owns_in_a_database_is_not_adopted_by_a_lesser_one() {
    let mut world = World::new(ServiceId::Postgres, "notmine");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    let mut shop = app(&world, "shop");
    let (database, user, outside) = (world.plain("shop_db"), shop.user.clone(), world.plain("outside"));
    world.declare("shop", shop.clone());
    world.converge().await;
    let made = "CREATE TABLE public.mine (x int); CREATE ROLE NAME; GRANT CREATE ON SCHEMA public TO NAME; \
        SET ROLE NAME; CREATE TABLE public.other (x int)";
    world.as_admin(&database, &made.replace("NAME", &outside)).await;
    shop.adopt_objects = true;
    world.declare("shop", shop);

    let told = reasons(&world.plan().await);
    let statement = format!("in the database {database}, for each of them: ALTER TABLE .. OWNER TO \"{user}\"");
    let of_superuser = |told: &BTreeSet<String>| told.iter().any(|reason| reason.contains(&statement));
    if of_superuser(&told) {
        world.as_admin(&database, &format!("ALTER TABLE mine OWNER TO {user}")).await;
    } else {
        // The first of the two owners is told.
        assert!(told.iter().any(|reason| reason.contains(&format!("GRANT \"{outside}\" TO"))), "{told:?}");
        follow_the_advice_once(&world).await;
        assert!(of_superuser(&reasons(&world.plan().await)));
        world.as_admin(&database, &format!("ALTER TABLE mine OWNER TO {user}")).await;
    }
    follow_the_advice(&world).await;
    let mut session = world.sign_in("shop", &database).await.unwrap();
    postgres::run(&mut session, "SELECT * FROM mine, other").await.unwrap();
    drop(session);
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

/// Two apps, as they are after some time; then somebody closes the database of one to the administrator.
#[tokio::test]
async fn a_database_that_we_may_not_enter_holds_up_nobody_else() {
    let mut world = World::new(ServiceId::Postgres, "entry");
    world.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    let mut shop = app(&world, "shop");
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    its_app_works(&world).await;
    let (admin, owner) = (world.plain("zz_admin"), world.plain("shop_owner"));
    let (database, user) = (world.plain("shop_db"), world.plain("shop_user"));
    let closing = format!("REVOKE CONNECT ON DATABASE {database} FROM {owner}");
    world.as_admin("postgres", &closing).await;

    // Nothing of it is taken for empty: what could not be seen is as it was.
    let observation = world.observe().await;
    let text = &observation.notices.first().unwrap().text;
    let statement = format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{admin}\"");
    assert!(text.contains("could not be looked into") && text.contains(&statement), "{text}");
    let Model::PostgresDatabase(seen) = &observation.resources[&database_address(&database)].model else { panic!() };
    assert_eq!((&seen.extensions, &seen.strays_inside), (&None, &None));
    assert_eq!(world.plan().await, Vec::new());

    // What changes there is blocked, by name; what changes elsewhere is done.
    shop.databases[0].connection_limit = Some(4);
    extend(&mut shop, world.extension("citext").await);
    shop.readers.insert(world.name("report"));
    shop.connection_limit = Some(5);
    world.declare("shop", shop.clone());
    let mut report = app(&world, "report");
    report.databases[0].connection_limit = Some(6);
    world.declare("report", report);
    world.declare("third", app(&world, "third"));
    let plan = world.plan().await;
    let in_shop = |step: &Step| step.address.name.starts_with(&database);
    assert_eq!(plan.iter().filter(|step| in_shop(step)).count(), 2, "the database and the reader's grant: {plan:#?}");
    for step in &plan {
        assert_eq!(step.hold.is_some(), in_shop(step), "{step:#?}");
    }
    assert!(reasons(&plan).iter().all(|reason| reason.ends_with(&statement)), "{plan:#?}");
    let (blocked, free): (Vec<Step>, Vec<Step>) = plan.into_iter().partition(in_shop);
    world.apply(free).await;
    let rest = world.plan().await;
    assert_eq!(rest, blocked);

    // Neither is it taken over, nor forgotten, nor dropped without a look.
    world.lose_state();
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.hold.is_some() == in_shop(step)), "{plan:#?}");
    world.apply(plan.into_iter().filter(|step| !in_shop(step)).collect()).await;
    world.forget("shop");
    assert!(world.plan().await.iter().all(|step| !in_shop(step)), "what was not taken over is not dropped");
    world.declare("shop", shop);

    follow_the_advice(&world).await;
    its_app_works(&world).await;
    // By now it is a member of the app's user as well.
    world.as_admin("postgres", &format!("REVOKE CONNECT ON DATABASE {database} FROM {owner}, {user}, {admin}")).await;
    world.forget("shop");
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.hold.is_some() == in_shop(step)), "{plan:#?}");
    let drop = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
    assert!(drop.notes.iter().any(|note| note.contains("cannot be read")), "{drop:#?}");
    follow_the_advice_once(&world).await;
    world.apply(world.plan().await).await;
    assert!(
        postgres::rows("postgres", &format!("SELECT rolname::text FROM pg_roles WHERE rolname = '{user}'"))
            .await
            .is_empty()
    );
    world.drop_all().await;
}
