//! What roles may do in databases, on a real server and by signing in: exactly what is declared, from now on and for
//! what is there.

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::postgres::model::{Access, database_address, grant_address};
use nornplan::services::{ServiceId, Step};
use postgres::{app, code, connect, denied, is, outsider, works};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use support::World;

const DENIED: &str = "42501";

const OBJECTS: &str = "CREATE TABLE NAME.t (id serial, other int GENERATED ALWAYS AS IDENTITY, x text); \
    INSERT INTO NAME.t (x) VALUES ('a'); CREATE VIEW NAME.v AS SELECT x FROM NAME.t; \
    CREATE MATERIALIZED VIEW NAME.m AS SELECT x FROM NAME.t; CREATE SEQUENCE NAME.s; \
    CREATE TABLE NAME.parts (x int) PARTITION BY RANGE (x); \
    CREATE TABLE NAME.part PARTITION OF NAME.parts FOR VALUES FROM (0) TO (9); SELECT nextval('NAME.s')";

fn objects_in(schema: &str) -> String {
    OBJECTS.replace("NAME", schema)
}

async fn reads_and_no_more(connection: &mut PgConnection, schemas: &[&str]) {
    for schema in schemas {
        for object in ["t", "v", "m", "s", "parts", "part", "t_id_seq"] {
            works(connection, &[&format!("SELECT * FROM {schema}.{object}")]).await;
        }
        for statement in [
            "INSERT INTO NAME.t (x) VALUES ('b')",
            "UPDATE NAME.t SET x = 'b'",
            "DELETE FROM NAME.t",
            "TRUNCATE NAME.t",
            "SELECT nextval('NAME.s')",
            "DROP TABLE NAME.t",
            "ALTER TABLE NAME.t ADD y int",
            "REFRESH MATERIALIZED VIEW NAME.m",
            "CREATE TABLE NAME.mine ()",
            "CREATE FUNCTION NAME.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ] {
            denied(connection, &[&statement.replace("NAME", schema)]).await;
        }
    }
    denied(connection, &["CREATE SCHEMA mine", "CREATE TEMP TABLE mine ()"]).await;
}

#[tokio::test]
async fn readers_and_writers_use_what_is_there_and_what_comes() {
    let mut world = World::new(ServiceId::Postgres, "levels");
    let metabase = outsider(&world, "metabase").await;
    let importing = outsider(&world, "robot").await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    shop.writers.insert(world.name("importer"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.declare("importer", app(&world, "importer"));
    world.converge().await;

    let database = world.plain("shop_db");
    let mut own = world.sign_in("shop", &database).await.unwrap();
    works(&mut own, &[&objects_in("public"), "CREATE SCHEMA later", &objects_in("later")]).await;
    works(&mut own, &["CREATE SCHEMA \"Odd; name\"", &objects_in("\"Odd; name\"")]).await;
    assert_eq!(world.plan().await, Vec::new());
    let schemas = ["public", "later", "\"Odd; name\""];
    let mut report = world.sign_in("report", &database).await.unwrap();
    reads_and_no_more(&mut report, &schemas).await;

    // Two more, that people look after, and for which all of it is there already; and what another role made.
    world.as_admin(&database, "CREATE SCHEMA foreign_made; CREATE TABLE foreign_made.t (x int)").await;
    world.as_admin(&database, "CREATE SCHEMA extended; ALTER EXTENSION plpgsql ADD SCHEMA extended").await;
    world.as_admin(&database, "CREATE TABLE public.extended (); ALTER EXTENSION plpgsql ADD TABLE extended").await;
    shop.grants.insert(metabase.clone(), Access::Readonly);
    shop.grants.insert(importing.clone(), Access::Readwrite);
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    let drifted: Vec<&Step> = plan.iter().filter(|step| step.action == Action::Update).collect();
    assert!(drifted.iter().all(|step| step.changes.iter().all(|change| change.field == "present_objects")));
    assert_eq!(drifted.len(), 2, "the reader and the writer cannot use what the administrator made: {plan:#?}");
    let told: BTreeSet<&str> = drifted.iter().flat_map(|step| &step.notes).map(String::as_str).collect();
    let lacks = |role: &str, how: &str| format!("{} {how} foreign_made.t, schema foreign_made", world.plain(role));
    let expected = [lacks("report_user", "may not read"), lacks("importer_user", "lacks privileges on")];
    assert_eq!(told, expected.iter().map(String::as_str).collect());
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut outside = connect(&metabase, Some("outside"), &database).await.unwrap();
    reads_and_no_more(&mut outside, &schemas).await;
    works(&mut outside, &["SELECT * FROM foreign_made.t"]).await;
    works(&mut report, &["SELECT * FROM foreign_made.t"]).await;
    denied(&mut outside, &["SELECT * FROM public.extended", "CREATE TABLE extended.t ()"]).await;
    assert!(!is(&database, &format!("has_schema_privilege('{metabase}', 'extended', 'USAGE')")).await);

    let robot = connect(&importing, Some("outside"), &database).await.unwrap();
    for mut writer in [world.sign_in("importer", &database).await.unwrap(), robot] {
        for schema in schemas {
            for statement in [
                "INSERT INTO NAME.t (x) VALUES ('c')",
                "UPDATE NAME.t SET x = 'd'",
                "INSERT INTO NAME.parts VALUES (1)",
                "DELETE FROM NAME.t",
                "SELECT nextval('NAME.s')",
                "SELECT * FROM NAME.m",
            ] {
                works(&mut writer, &[&statement.replace("NAME", schema)]).await;
            }
            for statement in [
                "TRUNCATE NAME.t",
                "DROP TABLE NAME.t",
                "ALTER TABLE NAME.t ADD y int",
                "SELECT setval('NAME.s', 9)",
                "CREATE TABLE NAME.mine ()",
                "CREATE TRIGGER x BEFORE INSERT ON NAME.t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            ] {
                denied(&mut writer, &[&statement.replace("NAME", schema)]).await;
            }
        }
        denied(&mut writer, &["CREATE SCHEMA mine", "CREATE TEMP TABLE mine ()"]).await;
    }

    // No longer declared: nothing is left of it, and the role is still people's.
    shop.grants.clear();
    world.declare("shop", shop);
    let plan = world.plan().await;
    assert!(plan.iter().all(|step| step.action == Action::Destroy), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(code(connect(&metabase, Some("outside"), &database).await.map(drop)), DENIED);
    world.as_admin("postgres", &format!("DROP ROLE {metabase}; DROP ROLE {importing}")).await;
    drop((own, report, outside));
    world.drop_all().await;
}

#[tokio::test]
async fn a_migrators_objects_serve_the_app_and_its_readers() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "migless" } else { "mig" });
        if lesser {
            world.become_lesser_admin().await;
        }
        let (migrator, user) = (world.plain("deploy"), world.plain("shop_user"));
        let mut shop = app(&world, "shop");
        shop.readers.insert(world.name("report"));
        shop.writers.insert(world.name("importer"));
        shop.migrator = Some(migrator.clone());
        shop.grants.insert(world.plain("metabase"), Access::Readonly);
        for other in ["report", "importer"] {
            world.declare(other, app(&world, other));
        }
        world.declare("shop", shop.clone());

        // Neither of the two roles is there: only what they shall get waits for them.
        let plan = world.plan().await;
        let reason = |step: &Step| match &step.hold {
            Some(Hold::Blocked { reason }) => Some(reason.clone()),
            _ => None,
        };
        let blocked: Vec<String> = plan.iter().filter_map(reason).collect();
        let absent = |role: &str, list| {
            format!("there is no role {:?} on the server: create it, or take it out of {list}", world.plain(role))
        };
        assert_eq!(blocked, [absent("deploy", "migrator"), absent("metabase", "grants")]);
        world.apply(plan.into_iter().filter(Step::runs).collect()).await;
        let database = world.plain("shop_db");
        let mut own = world.sign_in("shop", &database).await.unwrap();
        works(&mut own, &["CREATE TABLE mine (id serial)"]).await;
        assert!(world.plan().await.iter().all(|step| step.hold.is_some()));

        for role in ["deploy", "metabase"] {
            world.as_itself(&format!("CREATE ROLE {} LOGIN PASSWORD 'outside'", world.plain(role))).await;
        }
        let plan = world.plan().await;
        assert!(plan.iter().all(|step| step.address.kind.as_str() == "postgres.grant" && step.runs()), "{plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        let mut deploy = connect(&migrator, Some("outside"), &database).await.unwrap();
        works(&mut deploy, &[&objects_in("public"), "CREATE SCHEMA later", &objects_in("later")]).await;
        works(&mut deploy, &["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"]).await;
        works(&mut deploy, &["CREATE TYPE later.mood AS ENUM ('good')", "CREATE TEMP TABLE x ()"]).await;
        denied(&mut deploy, &["DROP TABLE mine", "SELECT * FROM mine"]).await;
        assert_eq!(world.plan().await, Vec::new());
        for schema in ["public", "later"] {
            for statement in [
                "INSERT INTO NAME.t (x) VALUES ('b')",
                "UPDATE NAME.t SET x = 'c'",
                "DELETE FROM NAME.t",
                "TRUNCATE NAME.t",
                "SELECT setval('NAME.s', 3)",
                "CREATE TABLE NAME.refers (id int)",
                "SELECT public.f(), 'good'::later.mood",
            ] {
                works(&mut own, &[&statement.replace("NAME", schema)]).await;
            }
            denied(&mut own, &[&format!("DROP TABLE {schema}.t")]).await;
        }
        reads_and_no_more(&mut world.sign_in("report", &database).await.unwrap(), &["public", "later"]).await;
        let mut metabase = connect(&world.plain("metabase"), Some("outside"), &database).await.unwrap();
        reads_and_no_more(&mut metabase, &["public", "later"]).await;
        let mut importer = world.sign_in("importer", &database).await.unwrap();
        works(&mut importer, &["INSERT INTO later.t (x) VALUES ('c')", "SELECT nextval('later.s')"]).await;

        // What is there of it, and what is to come, is put right when somebody takes it.
        for statement in [
            format!("REVOKE INSERT ON later.t FROM {user}"),
            format!("REVOKE USAGE ON SCHEMA later FROM {user}"),
            format!("REVOKE USAGE ON SEQUENCE later.s FROM {user}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {migrator} REVOKE TRUNCATE ON TABLES FROM {user}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {migrator} GRANT ALL ON TABLES TO {user}"),
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {migrator} REVOKE USAGE ON SCHEMAS FROM {user}"),
            format!("REVOKE CREATE ON SCHEMA public FROM {migrator}"),
            format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {migrator} REVOKE SELECT ON TABLES FROM {}",
                world.plain("report_user")
            ),
        ] {
            world.as_admin(&database, &statement).await;
            let plan = world.plan().await;
            // Without MAINTAIN, which 15 does not know, that one is what is wanted.
            if plan.is_empty() && statement.contains("GRANT ALL") {
                assert!(is("postgres", "current_setting('server_version_num')::int < 170000").await);
                continue;
            }
            assert!(
                plan.iter().all(|step| step.reasons == BTreeSet::from([Reason::Drifted])),
                "{statement}: {plan:#?}"
            );
            assert_eq!(plan.len(), 1, "{statement}: {plan:#?}");
            world.apply(plan).await;
            assert_eq!(world.plan().await, Vec::new(), "{statement}");
        }
        works(&mut own, &["INSERT INTO later.t (x) VALUES ('b')", "SELECT nextval('later.s')"]).await;

        // Taken out again: nothing of it stays, neither for the app nor for its readers.
        shop.migrator = None;
        world.declare("shop", shop);
        world.apply(world.plan().await).await;
        assert_eq!(world.plan().await, Vec::new());
        for role in [&user, &world.plain("report_user"), &world.plain("importer_user")] {
            let question = format!(
                "NOT EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a \
                 WHERE defaclrole = '{migrator}'::regrole AND a.grantee = '{role}'::regrole)"
            );
            assert!(is(&database, &question).await, "{role}");
        }
        assert_eq!(code(connect(&migrator, Some("outside"), &database).await.map(drop)), DENIED);
        drop((own, deploy, metabase, importer));
        world.drop_all().await;
    }
}

#[tokio::test]
async fn a_restored_database_is_isolated_with_consent() {
    let mut world = World::new(ServiceId::Postgres, "restored");
    let stranger = outsider(&world, "stranger").await;
    let (database, user) = (world.plain("shop_db"), world.plain("shop_user"));
    world.as_admin("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD 'old'")).await;
    world.as_admin("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0")).await;
    // As a dump of 14 leaves it.
    let dump = "ALTER SCHEMA public OWNER TO postgres; REVOKE ALL ON SCHEMA public FROM pg_database_owner; \
                GRANT ALL ON SCHEMA public TO PUBLIC";
    world.as_admin(&database, dump).await;
    world.as_admin(&database, &format!("GRANT ALL ON DATABASE {database} TO {stranger}")).await;
    let mut old = connect(&user, Some("old"), &database).await.unwrap();
    works(&mut old, &["CREATE TABLE t (id serial)"]).await;
    let futures = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {user} GRANT ALL ON TABLES TO PUBLIC");
    world.as_admin(&database, &futures).await;
    let mut stranger_there = connect(&stranger, Some("outside"), &database).await.unwrap();
    works(&mut stranger_there, &["CREATE TABLE planted ()", "DROP TABLE planted"]).await;

    world.declare("shop", app(&world, "shop"));
    let plan = world.plan().await;
    let of_database = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
    assert!(of_database.reasons.contains(&Reason::NotOursYet) && of_database.risks.contains(&Risk::Interrupts));
    let shown = |field: &str| {
        let change = of_database.changes.iter().find(|change| change.field == field).unwrap();
        change.before.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let on_database: Vec<String> =
        ["CONNECT", "CREATE", "TEMPORARY"].iter().map(|what| format!("{what} to {stranger}")).collect();
    assert_eq!(shown("strays"), on_database);
    let inside = shown("strays_inside");
    assert!(inside.contains(&"CREATE on schema public to PUBLIC".to_owned()), "{inside:?}");
    assert!(inside.contains(&format!("SELECT on future tables of {user} to PUBLIC")), "{inside:?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());

    assert_eq!(code(connect(&stranger, Some("outside"), &database).await.map(drop)), DENIED);
    denied(&mut stranger_there, &["CREATE TABLE public.planted ()", "CREATE SCHEMA planted"]).await;
    let mut own = world.sign_in("shop", &database).await.unwrap();
    works(
        &mut own,
        &["CREATE TABLE more (id serial); INSERT INTO more DEFAULT VALUES", "INSERT INTO t DEFAULT VALUES"],
    )
    .await;
    denied(&mut stranger_there, &["SELECT * FROM public.more"]).await;
    drop((own, old, stranger_there));
    world.drop_all().await;
}

#[tokio::test]
async fn a_reader_that_already_had_more_keeps_it_until_somebody_consents() {
    let mut world = World::new(ServiceId::Postgres, "hadmore");
    let metabase = outsider(&world, "metabase").await;
    let mut shop = app(&world, "shop");
    world.declare("shop", shop.clone());
    world.converge().await;
    let database = world.plain("shop_db");
    works(&mut world.sign_in("shop", &database).await.unwrap(), &["CREATE TABLE t (x int)"]).await;
    world.as_admin(&database, &format!("GRANT ALL ON t TO {metabase}")).await;
    // Without CONNECT it is of no use, and nobody's business.
    assert_eq!(world.plan().await, Vec::new());
    shop.grants.insert(metabase.clone(), Access::Readonly);
    world.declare("shop", shop);
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1, "{plan:#?}");
    assert_eq!(plan[0].address, grant_address(&database, &metabase));
    assert!(plan[0].reasons.contains(&Reason::NotOursYet) && plan[0].risks.contains(&Risk::Interrupts), "{plan:#?}");
    assert!(plan[0].risks.contains(&Risk::WidensAccess));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut outside = connect(&metabase, Some("outside"), &database).await.unwrap();
    works(&mut outside, &["SELECT * FROM t"]).await;
    denied(&mut outside, &["INSERT INTO t VALUES (1)", "TRUNCATE t"]).await;
    drop(outside);
    world.drop_all().await;
}
