//! PostgreSQL through its `Service`, against a real server: what is made, found, repaired, isolated and dropped.

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::step::{Action, Reason, Risk};
use nornplan::services::postgres::model::{Credential, role_address};
use nornplan::services::{CredentialStatus, ServiceId};
use nornplan::spec::postgres::encoding;
use postgres::{app, database, extend, of_database};
use std::collections::BTreeSet;
use support::World;

#[tokio::test]
async fn what_is_declared_is_made_once_and_adopted_without_a_state() {
    let mut world = World::new(ServiceId::Postgres, "made");
    let mut shop = app(&world, "shop");
    extend(&mut shop, world.extension("pgcrypto").await);
    shop.connection_limit = Some(7);
    shop.settings.insert("statement_timeout".to_owned(), "30s".to_owned());
    shop.settings.insert("search_path".to_owned(), "app,public".to_owned());
    shop.readers.insert(world.name("report"));
    shop.writers.insert(world.name("importer"));
    shop.databases.push(database(world.plain("shop_more")));
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.declare("importer", app(&world, "importer"));

    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Create), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());

    // The app works: it makes tables, also with the trusted extension, and others get in as declared.
    let database = world.plain("shop_db");
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    postgres::run(&mut shop, "CREATE SCHEMA app; CREATE TABLE public.t (id serial, x text)").await.unwrap();
    postgres::run(&mut shop, "INSERT INTO public.t (x) VALUES ('a')").await.unwrap();
    if let Some(trusted) = world.extension("citext").await {
        postgres::run(&mut shop, &format!("CREATE EXTENSION {trusted}")).await.unwrap();
    }
    let mut report = world.sign_in("report", &database).await.unwrap();
    postgres::run(&mut report, "SELECT * FROM t").await.unwrap();
    assert_eq!(postgres::code(postgres::run(&mut report, "INSERT INTO t (x) VALUES ('b')").await), "42501");
    assert_eq!(postgres::code(postgres::run(&mut report, "CREATE TABLE mine ()").await), "42501");
    assert_eq!(postgres::code(postgres::run(&mut report, "CREATE TEMP TABLE mine ()").await), "42501");
    let mut importer = world.sign_in("importer", &database).await.unwrap();
    postgres::run(&mut importer, "INSERT INTO t (x) VALUES ('c'); UPDATE t SET x = 'd'; DELETE FROM t").await.unwrap();
    assert_eq!(postgres::code(postgres::run(&mut importer, "TRUNCATE t").await), "42501");
    assert_eq!(world.plan().await, Vec::new());

    // Nobody undoes the isolation from inside, and nobody crosses.
    for statement in [
        format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC"),
        format!("ALTER DATABASE {database} CONNECTION LIMIT 99"),
        format!("ALTER DATABASE {database} OWNER TO {}", world.plain("shop_user")),
        format!("DROP DATABASE {database}"),
        format!("SET ROLE {}", world.plain("shop_owner")),
        "CREATE ROLE nobody_else".to_owned(),
        "SELECT * FROM pg_authid".to_owned(),
    ] {
        let result = postgres::run(&mut shop, &statement).await;
        // A GRANT without the right only warns; what counts is that nothing has changed.
        if !statement.starts_with("GRANT") {
            assert!(result.is_err(), "{statement}");
        }
    }
    assert_eq!(world.plan().await, Vec::new());
    for stranger in ["report", "importer"] {
        let denied = world.sign_in("shop", &world.plain(&format!("{stranger}_db"))).await;
        assert_eq!(postgres::code(denied.map(drop)), "42501");
    }

    // The state is lost: everything is taken over as it is, by reading alone.
    world.lose_state();
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Adopt), "{plan:#?}");
    drop((shop, report, importer));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn encodings_are_named_as_the_server_names_them() {
    let mut admin = postgres::admin("postgres").await;
    for number in 0..=41 {
        let name: String = sqlx::query_scalar("SELECT pg_encoding_to_char($1)::text")
            .bind(number)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        // From 35 on they are for clients.
        assert_eq!(encoding::canonical(&name).ok(), Some(name.as_str()).filter(|_| number < 35), "{name}");
    }
    for spelling in ["utf-8", "Unicode", "ISO-8859-1", "iso_8859-15", "iso885916", "windows-1251", "Win", "KOI8", "ALT"]
    {
        let query = "SELECT pg_encoding_to_char(pg_char_to_encoding($1))::text";
        let name: String = sqlx::query_scalar(query).bind(spelling).fetch_one(&mut admin).await.unwrap();
        assert_eq!(encoding::canonical(spelling), Ok(name.as_str()), "{spelling}");
    }
}

#[tokio::test]
async fn what_is_changed_by_hand_is_found_and_repaired() {
    let mut world = World::new(ServiceId::Postgres, "drift");
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    extend(&mut shop, world.extension("pgcrypto").await);
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let (database, user, reader) = (world.plain("shop_db"), world.plain("shop_user"), world.plain("report_user"));
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    postgres::run(&mut shop, "CREATE TABLE t (id serial)").await.unwrap();
    drop(shop);

    let by_hand = [
        (&*database, format!("REVOKE ALL ON DATABASE {database} FROM {user}"), format!("grant.{database}/{user}")),
        (&*database, format!("REVOKE CREATE ON SCHEMA public FROM {user}"), format!("grant.{database}/{user}")),
        (&*database, format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC"), format!("database.{database}")),
        (&*database, format!("ALTER DATABASE {database} OWNER TO {user}"), format!("database.{database}")),
        (&*database, "DROP EXTENSION pgcrypto".to_owned(), format!("database.{database}")),
        (&*database, format!("GRANT CREATE ON DATABASE {database} TO {reader}"), format!("grant.{database}/{reader}")),
        (&*database, format!("REVOKE SELECT ON t FROM {reader}"), format!("grant.{database}/{reader}")),
        (
            &*database,
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {user} REVOKE SELECT ON TABLES FROM {reader}"),
            format!("grant.{database}/{reader}"),
        ),
        ("postgres", format!("ALTER ROLE {user} CONNECTION LIMIT 3 CREATEDB"), format!("role.{user}")),
        ("postgres", format!("ALTER ROLE {user} SET work_mem = '8MB'"), format!("role.{user}")),
        ("postgres", format!("ALTER ROLE {user} NOLOGIN"), format!("role.{user}")),
    ];
    let has_extension = world.extension("pgcrypto").await.is_some();
    for (place, statement, expected) in by_hand {
        if statement.starts_with("DROP EXTENSION") && !has_extension {
            continue;
        }
        world.as_admin(place, &statement).await;
        let plan = world.plan().await;
        let addresses: Vec<String> = plan.iter().map(|step| step.address.to_string()).collect();
        assert!(addresses.contains(&format!("postgres.{expected}")), "{statement}: {addresses:?}");
        assert!(plan.iter().all(|step| step.action == Action::Update && step.reasons.contains(&Reason::Drifted)));
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new(), "after {statement}");
    }
    let mut report = world.sign_in("report", &database).await.unwrap();
    postgres::run(&mut report, "SELECT * FROM t").await.unwrap();
    drop(report);

    // Gone altogether.
    world.as_admin("postgres", &format!("DROP DATABASE {database}")).await;
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.reasons.contains(&Reason::Vanished)), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn a_spec_that_changes_changes_only_that() {
    let mut world = World::new(ServiceId::Postgres, "change");
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;

    shop.connection_limit = Some(5);
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    let fields: Vec<&str> = plan.iter().flat_map(|step| &step.changes).map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["connection_limit"]);
    world.apply(plan).await;

    shop.writers.insert(world.name("report"));
    shop.readers.clear();
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.address.kind.as_str() == "postgres.grant"));
    assert!(plan.iter().all(|step| step.risks.contains(&Risk::WidensAccess)));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());

    // No reader any more, and another owner: the app keeps its access.
    shop.writers.clear();
    shop.owner = world.plain("shop_keeper");
    world.declare("shop", shop);
    let plan = world.plan().await;
    let actions: Vec<Action> = plan.iter().map(|step| step.action).collect();
    assert_eq!(actions.iter().filter(|action| **action == Action::Destroy).count(), 2, "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.sign_in("shop", &world.plain("shop_db")).await.unwrap();
    assert!(world.sign_in("report", &world.plain("shop_db")).await.is_err());
    world.drop_all().await;
}

#[tokio::test]
async fn credentials_are_verified_rotated_and_found_wrong() {
    let mut world = World::new(ServiceId::Postgres, "creds");
    world.declare("shop", app(&world, "shop"));
    world.converge().await;
    let user = role_address(&world.plain("shop_user"));
    assert_eq!(world.status(&user).await, Some(CredentialStatus::Verified));
    let before = world.password(&world.name("shop"));
    // Without the fingerprint it signs in.
    world.lose_fingerprints();
    assert_eq!(world.status(&user).await, Some(CredentialStatus::Verified));

    world.rotate.insert(world.name("shop"));
    let plan = world.plan().await;
    assert_eq!(plan.iter().map(|step| step.action).collect::<Vec<_>>(), [Action::Rotate]);
    assert_eq!(plan[0].reasons.iter().copied().collect::<Vec<_>>(), [Reason::AskedFor]);
    world.apply(plan).await;
    world.rotate.clear();
    assert_eq!(world.plan().await, Vec::new());
    assert_ne!(world.password(&world.name("shop")), before);
    world.sign_in("shop", &world.plain("shop_db")).await.unwrap();

    world.as_admin("postgres", &format!("ALTER ROLE {} PASSWORD 'by hand'", user.name)).await;
    assert_eq!(world.status(&user).await, Some(CredentialStatus::Wrong));
    let plan = world.plan().await;
    assert_eq!(plan[0].reasons.iter().copied().collect::<Vec<_>>(), [Reason::CredentialWrong]);
    world.stage(&world.name("shop"));
    assert_eq!(world.status(&user).await, Some(CredentialStatus::Staged));
    let plan = world.plan().await;
    assert_eq!(plan[0].reasons.iter().copied().collect::<Vec<_>>(), [Reason::UnfinishedRun]);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn a_kept_role_that_owns_its_database_is_adopted_as_it_is() {
    let mut world = World::new(ServiceId::Postgres, "keep");
    let mut norn = app(&world, "norn");
    norn.user = world.plain("norn");
    norn.owner = norn.user.clone();
    norn.credential = Credential::Keep;
    let (user, database) = (norn.user.clone(), norn.databases[0].name.clone());
    world.declare("norn", norn);
    world.as_admin("postgres", &format!("CREATE ROLE {user} LOGIN CREATEDB CONNECTION LIMIT 9 PASSWORD 'norn'")).await;
    world.as_admin("postgres", &format!("ALTER ROLE {user} SET work_mem = '5MB'")).await;
    world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {user}")).await;

    let plan = world.plan().await;
    let role = plan.iter().find(|step| step.address == role_address(&user)).unwrap();
    assert_eq!(role.action, Action::Adopt);
    let closing: Vec<_> = plan.iter().filter(|step| step.action == Action::Update).collect();
    assert_eq!(closing.len(), 1);
    assert_eq!(closing[0].risks.iter().copied().collect::<Vec<_>>(), [Risk::Interrupts]);
    assert_eq!(plan.len(), 2);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    postgres::connect(&user, Some("norn"), &database).await.unwrap();
    let by_hand = "NOCREATEDB CONNECTION LIMIT 4";
    world.as_admin("postgres", &format!("ALTER ROLE {user} {by_hand}; ALTER ROLE {user} SET work_mem = '6MB'")).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn an_app_that_is_gone_is_dropped_after_a_dump_and_not_under_anybodys_feet() {
    let mut world = World::new(ServiceId::Postgres, "gone");
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let database = world.plain("shop_db");
    world.forget("shop");

    let plan = world.plan().await;
    let session = world.sign_in("report", &database).await.unwrap();
    let addresses: Vec<String> = plan.iter().map(|step| step.address.to_string()).collect();
    let position = |text: &str| addresses.iter().position(|address| address.starts_with(text)).unwrap();
    assert!(position("postgres.database") < position("postgres.grant"));
    assert!(position("postgres.grant") < position("postgres.role"));
    assert_eq!(of_database(&plan).risks, BTreeSet::from([Risk::LosesData]));
    let planned_now = of_database(&world.plan().await).clone();
    assert!(planned_now.notes[0].contains("1 session"), "{:?}", planned_now.notes);
    assert_eq!(planned_now.risks, BTreeSet::from([Risk::Interrupts, Risk::LosesData]));
    let refused = world.try_apply(plan).await.unwrap_err();
    assert!(refused.contains("1 session is connected"), "{refused}");
    assert_eq!(world.snapshots().len(), 0);

    drop(session);
    let plan = world.plan().await;
    postgres::eventually(|| world.sessions(&database)).await;
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let snapshots = world.snapshots();
    assert_eq!(snapshots.len(), 1);
    assert!(snapshots[0].0.starts_with(&format!("{database}_manual_")));
    assert_eq!(snapshots[0].1 & 0o777, 0o600);
    world.drop_all().await;
}

#[tokio::test]
async fn what_a_killed_run_left_is_finished_without_asking() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "killedless" } else { "killed" });
        if lesser {
            world.become_lesser_admin().await;
        }
        world.declare("shop", app(&world, "shop"));
        let (database, owner) = (world.plain("shop_db"), world.plain("shop_owner"));
        world.as_itself(&format!("CREATE ROLE {owner}")).await;
        world.as_itself(&format!("GRANT {owner} TO CURRENT_USER")).await;
        world.as_itself(&format!("CREATE DATABASE {database} OWNER {owner} CONNECTION LIMIT 0")).await;
        let plan = world.plan().await;
        assert!(plan.iter().all(|step| step.risks.is_empty()), "{plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        world.sign_in("shop", &database).await.unwrap();
        world.drop_all().await;
    }
}

#[tokio::test]
async fn an_administrator_with_createrole_and_createdb_is_enough() {
    let mut world = World::new(ServiceId::Postgres, "fewer");
    world.become_lesser_admin().await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    extend(&mut shop, world.extension("citext").await);
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.converge().await;
    world.sign_in("shop", &world.plain("shop_db")).await.unwrap();
    world.forget("shop");
    world.forget("report");
    let plan = world.plan().await;
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn connections_that_fail_say_why() {
    let world = World::new(ServiceId::Postgres, "fail");
    for (change, expected) in postgres::broken_configs(&world) {
        let message = postgres::observe_error(&change).await;
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(message.contains("help: "), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[tokio::test]
async fn the_server_is_looked_over() {
    let world = World::new(ServiceId::Postgres, "doctor");
    let checks = world.service().examine(&world.ask()).await;
    assert!(checks.iter().any(|check| check.what.contains("superuser")), "{checks:?}");
    assert!(checks.iter().any(|check| check.what == "passwords are checked"), "{checks:?}");
}
