//! What roles may do in databases, on a real server and by signing in: exactly what is declared, from now on and for
//! what is there.

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::change::Cause;
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::postgres::model::{Access, database_address, grant_address};
use nornplan::services::{ServiceId, Step};
use postgres::{app, code, connect, run};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use support::{World, variable};

const DENIED: &str = "42501";

/// A role that people made, which signs in with the password `outside`.
async fn outsider(world: &World, name: &str) -> String {
    let role = world.plain(name);
    world.as_admin("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'outside'")).await;
    role
}

async fn works(connection: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        run(connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn denied(connection: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        let result = run(connection, statement).await;
        assert!(result.is_err(), "{statement} worked");
        assert_eq!(code(result), DENIED, "{statement}");
    }
}

/// What the server itself answers to the administrator.
async fn is(database: &str, question: &str) -> bool {
    let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, database).await.unwrap();
    let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {question}")));
    query.fetch_one(&mut connection).await.unwrap_or_else(|error| panic!("{question}: {error}"))
}

/// Whether no default privilege of a database names a role.
async fn no_future_for(database: &str, role: &str) -> bool {
    let named = format!("aclexplode(defaclacl) a WHERE a.grantee = '{role}'::regrole");
    is(database, &format!("NOT EXISTS (SELECT FROM pg_default_acl, {named})")).await
}

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
async fn what_is_granted_or_taken_by_hand_is_found_and_put_right() {
    let mut world = World::new(ServiceId::Postgres, "byhand");
    let stranger = outsider(&world, "stranger").await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    shop.writers.insert(world.name("importer"));
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.declare("importer", app(&world, "importer"));
    world.converge().await;
    let (database, user, owner) = (world.plain("shop_db"), world.plain("shop_user"), world.plain("shop_owner"));
    let (reader, writer) = (world.plain("report_user"), world.plain("importer_user"));
    let mut own = world.sign_in("shop", &database).await.unwrap();
    let objects = "CREATE SCHEMA app; CREATE TABLE app.t (x serial); CREATE TABLE t (x int); CREATE SEQUENCE app.s; \
                   CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW app.v AS SELECT 1 AS x";
    works(&mut own, &[objects]).await;
    assert_eq!(world.plan().await, Vec::new());

    let as_role = |role: &str, statement: &str| format!("SET ROLE {role}; {statement}; RESET ROLE");
    let future = |grant: &str| format!("ALTER DEFAULT PRIVILEGES FOR ROLE {user} {grant}");
    let no = |question: &str| format!("NOT {question}");
    let on_database = |role: &str, what: &str| format!("has_database_privilege('{role}', '{database}', '{what}')");
    let on_table = |role: &str, table: &str, what: &str| format!("has_table_privilege('{role}', '{table}', '{what}')");
    let on_schema =
        |role: &str, schema: &str, what: &str| format!("has_schema_privilege('{role}', '{schema}', '{what}')");
    let named = |role: &str| {
        let of = if role == "PUBLIC" { "0".to_owned() } else { format!("'{role}'::regrole") };
        format!("EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = {of})")
    };
    let public_future = "EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = 0 \
                         AND defaclobjtype NOT IN ('f', 'T'))";
    let passes = |role: &str| {
        format!(
            "EXISTS (SELECT FROM pg_database, aclexplode(datacl) a WHERE a.grantee = '{role}'::regrole \
                 AND a.is_grantable)"
        )
    };
    let in_database = format!("database.{database}");
    let (of_reader, of_writer) = (format!("grant.{database}/{reader}"), format!("grant.{database}/{writer}"));
    let by_hand: Vec<(String, &str, String)> = vec![
        // To PUBLIC.
        (
            format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC"),
            &in_database,
            no(&on_database(&stranger, "CONNECT")),
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC".to_owned(),
            &in_database,
            no(&on_schema(&stranger, "public", "CREATE")),
        ),
        (future("GRANT SELECT ON TABLES TO PUBLIC"), &in_database, no(public_future)),
        (future("IN SCHEMA app GRANT ALL ON SEQUENCES TO PUBLIC"), &in_database, no(public_future)),
        // To a stranger.
        (
            format!("GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {stranger}"),
            &in_database,
            no(&on_database(&stranger, "CONNECT, TEMPORARY")),
        ),
        (
            format!("GRANT ALL ON SCHEMA public TO {stranger} WITH GRANT OPTION"),
            &in_database,
            no(&on_schema(&stranger, "public", "CREATE")),
        ),
        (future(&format!("GRANT SELECT, INSERT ON TABLES TO {stranger}")), &in_database, no(&named(&stranger))),
        (future(&format!("IN SCHEMA app GRANT USAGE ON TYPES TO {stranger}")), &in_database, no(&named(&stranger))),
        (
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT EXECUTE ON FUNCTIONS TO {stranger}"),
            &in_database,
            no(&named(&stranger)),
        ),
        // To who may do less.
        (
            format!("GRANT TEMPORARY ON DATABASE {database} TO {reader}"),
            &of_reader,
            no(&on_database(&reader, "TEMPORARY")),
        ),
        (
            format!("GRANT CONNECT ON DATABASE {database} TO {reader} WITH GRANT OPTION"),
            &of_reader,
            no(&passes(&reader)),
        ),
        (format!("GRANT CREATE ON SCHEMA public TO {reader}"), &of_reader, no(&on_schema(&reader, "public", "CREATE"))),
        (format!("GRANT CREATE ON SCHEMA app TO {reader}"), &of_reader, no(&on_schema(&reader, "app", "CREATE"))),
        (format!("GRANT INSERT ON app.t TO {reader}"), &of_reader, no(&on_table(&reader, "app.t", "INSERT"))),
        (format!("GRANT ALL ON app.v TO {reader}"), &of_reader, no(&on_table(&reader, "app.v", "DELETE"))),
        (
            format!("GRANT ALL ON ALL TABLES IN SCHEMA app TO {writer}"),
            &of_writer,
            no(&on_table(&writer, "app.t", "TRUNCATE")),
        ),
        (
            format!("GRANT UPDATE (x) ON t TO {reader}"),
            &of_reader,
            no(&format!("has_column_privilege('{reader}', 't', 'x', 'UPDATE')")),
        ),
        (
            format!("GRANT UPDATE ON SEQUENCE app.s TO {writer}"),
            &of_writer,
            no(&format!("has_sequence_privilege('{writer}', 'app.s', 'UPDATE')")),
        ),
        (
            format!("GRANT EXECUTE ON FUNCTION app.f() TO {reader} WITH GRANT OPTION"),
            &of_reader,
            no(&format!("EXISTS (SELECT FROM pg_proc, aclexplode(proacl) a WHERE a.grantee = '{reader}'::regrole)")),
        ),
        (
            future(&format!("GRANT ALL ON TABLES TO {reader}")),
            &of_reader,
            no(&format!(
                "EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = '{reader}'::regrole \
             AND a.privilege_type NOT IN ('SELECT', 'USAGE'))"
            )),
        ),
        (
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO {reader}"),
            &of_reader,
            no(&format!(
                "EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = '{reader}'::regrole \
                 AND defaclrole = 'postgres'::regrole)"
            )),
        ),
        // Taken from who may.
        (format!("REVOKE SELECT ON app.t FROM {reader}"), &of_reader, on_table(&reader, "app.t", "SELECT")),
        (format!("REVOKE USAGE ON SCHEMA app FROM {reader}"), &of_reader, on_schema(&reader, "app", "USAGE")),
        (format!("REVOKE USAGE ON SCHEMA public FROM {writer}"), &of_writer, on_schema(&writer, "public", "USAGE")),
        (format!("REVOKE CONNECT ON DATABASE {database} FROM {reader}"), &of_reader, on_database(&reader, "CONNECT")),
        (future(&format!("REVOKE ALL ON TABLES FROM {reader}")), &of_reader, named(&reader)),
        (future(&format!("REVOKE ALL ON SEQUENCES FROM {writer}")), &of_writer, named(&writer)),
        (
            future(&format!("REVOKE USAGE ON SCHEMAS FROM {reader}")),
            &of_reader,
            format!(
                "EXISTS (SELECT FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = '{reader}'::regrole \
             AND defaclobjtype = 'n')"
            ),
        ),
        // Given on by who may do less: what it gave goes with its right to give.
        (
            format!(
                "GRANT CONNECT ON DATABASE {database} TO {reader} WITH GRANT OPTION; {}",
                as_role(&reader, &format!("GRANT CONNECT ON DATABASE {database} TO {stranger}, PUBLIC"))
            ),
            &in_database,
            no(&format!("({} OR {})", on_database(&stranger, "CONNECT"), passes(&reader))),
        ),
        (
            format!(
                "GRANT USAGE ON SCHEMA app TO {stranger}; GRANT SELECT ON app.t TO {writer} WITH GRANT OPTION; \
                 REVOKE SELECT ON app.t FROM {reader}; {}",
                as_role(&writer, &format!("GRANT SELECT ON app.t TO {reader}"))
            ),
            &of_writer,
            on_table(&reader, "app.t", "SELECT"),
        ),
    ];
    for (statement, expected, right) in by_hand {
        assert!(is(&database, &right).await, "before {statement}: {right}");
        world.as_admin(&database, &statement).await;
        let plan = world.plan().await;
        let addresses: Vec<String> = plan.iter().map(|step| step.address.to_string()).collect();
        assert!(addresses.contains(&format!("postgres.{expected}")), "{statement}: {addresses:?}");
        let drifted = |step: &Step| {
            step.action == Action::Update && step.changes.iter().all(|change| change.cause == Cause::Drifted)
        };
        assert!(plan.iter().all(drifted), "{statement}: {plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new(), "after {statement}");
        assert!(is(&database, &right).await, "after {statement}: {right}");
    }
    works(&mut own, &["CREATE TABLE app.after (x serial)"]).await;
    works(&mut world.sign_in("report", &database).await.unwrap(), &["SELECT * FROM app.after"]).await;
    assert_eq!(code(connect(&stranger, Some("outside"), &database).await.map(drop)), DENIED);

    // What the workspace says to leave alone is left alone.
    world.config.postgres.ignore_roles = BTreeSet::from([stranger.clone()]);
    world.connect();
    world.as_admin(&database, &format!("GRANT CONNECT ON DATABASE {database} TO {stranger}")).await;
    world.as_admin(&database, &future(&format!("GRANT SELECT ON TABLES TO {stranger}"))).await;
    assert_eq!(world.plan().await, Vec::new());
    connect(&stranger, Some("outside"), &database).await.unwrap();

    // An access level that ends leaves no trace.
    world.config.postgres.ignore_roles.clear();
    world.connect();
    let mut shop = app(&world, "shop");
    shop.writers.insert(world.name("importer"));
    world.declare("shop", shop);
    world.apply(world.plan().await).await;
    assert_eq!(world.plan().await, Vec::new());
    assert!(no_future_for(&database, &reader).await && no_future_for(&database, &stranger).await);
    let named = format!(
        "EXISTS (SELECT FROM pg_shdepend WHERE refobjid = '{reader}'::regrole AND deptype = 'a' \
         AND (dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           OR classid = 'pg_database'::regclass AND objid = (SELECT oid FROM pg_database WHERE datname = '{database}')))"
    );
    assert!(!is(&database, &named).await);
    drop(own);
    world.drop_all().await;
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
