//! Every privilege that somebody gives or takes by hand is found, put right, and confirmed by what the server says.

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::change::Cause;
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::postgres::model::database_address;
use nornplan::services::{ServiceId, Step};
use postgres::{app, code, connect, is, no_future_for, outsider, works};
use std::collections::BTreeSet;
use support::World;

const DENIED: &str = "42501";

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
async fn who_loses_what_a_reader_passed_on_is_named_before() {
    let mut world = World::new(ServiceId::Postgres, "passedon");
    let (stranger, friend) = (outsider(&world, "stranger").await, outsider(&world, "friend").await);
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let (database, reader) = (world.plain("shop_db"), world.plain("report_user"));
    let mut own = world.sign_in("shop", &database).await.unwrap();
    works(&mut own, &["CREATE TABLE t (x int); CREATE TABLE u (x int)"]).await;
    let pass_on = format!(
        "GRANT SELECT ON t, u TO {reader} WITH GRANT OPTION; GRANT CONNECT ON DATABASE {database} TO {reader} \
         WITH GRANT OPTION; SET ROLE {reader}; GRANT SELECT ON t TO {stranger} WITH GRANT OPTION; \
         GRANT CONNECT ON DATABASE {database} TO PUBLIC; SET ROLE {stranger}; GRANT SELECT ON t TO {friend}; RESET ROLE"
    );
    let named = |passed: &str| vec![format!("what {reader} passed on goes with it: to {passed}")];
    let passed = format!("PUBLIC (the database), {friend} (public.t) and {stranger} (public.t)");
    let mut readers = shop.readers.clone();
    // Both where the reader is put right and where it is one no longer.
    for _ in 0..2 {
        world.as_admin(&database, &pass_on).await;
        shop.readers.clone_from(&readers);
        world.declare("shop", shop.clone());
        let plan = world.plan().await;
        let of_reader = plan.iter().find(|step| step.address.name == format!("{database}/{reader}")).unwrap();
        assert_eq!(of_reader.notes, named(&passed));
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        for role in [&stranger, &friend] {
            assert!(!is(&database, &format!("has_table_privilege('{role}', 't', 'SELECT')")).await);
        }
        readers.clear();
    }
    drop(own);
    world.drop_all().await;
}

/// Whose schema public is.
async fn owner_of_public(database: &str) -> String {
    let query = "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'public'";
    postgres::read(database, query).await.unwrap_or_default()
}

#[tokio::test]
async fn whoever_got_schema_public_by_hand_loses_it_unless_the_database_is_its_own() {
    let mut world = World::new(ServiceId::Postgres, "ownpublic");
    let stranger = outsider(&world, "stranger").await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop);
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let (database, user, owner) = (world.plain("shop_db"), world.plain("shop_user"), world.plain("shop_owner"));
    let reader = world.plain("report_user");
    works(&mut world.sign_in("shop", &database).await.unwrap(), &["CREATE TABLE t (x int)"]).await;
    for intruder in [&stranger, &reader] {
        let taken = format!("ALTER SCHEMA public OWNER TO {intruder}; REVOKE ALL ON SCHEMA public FROM {intruder}");
        for statement in [&format!("ALTER SCHEMA public OWNER TO {intruder}"), &taken] {
            world.as_admin(&database, statement).await;
            let plan = world.plan().await;
            let change = postgres::of_database(&plan).changes.first().unwrap();
            assert_eq!((change.field.as_str(), change.cause), ("strays_inside", Cause::Drifted));
            assert_eq!(change.before, serde_json::json!([format!("OWNERSHIP on schema public to {intruder}")]));
            assert!(postgres::of_database(&plan).notes.is_empty(), "{plan:#?}");
            world.apply(plan).await;
            assert_eq!(world.plan().await, Vec::new(), "after {statement}");
            assert_eq!(owner_of_public(&database).await, "pg_database_owner");
            assert!(is(&database, "has_schema_privilege('pg_database_owner', 'public', 'CREATE, USAGE')").await);
            assert!(is(&database, &format!("NOT has_schema_privilege('{intruder}', 'public', 'CREATE')")).await);
        }
    }
    // What an intruder gave away while it was the owner goes as well.
    let given = format!(
        "ALTER SCHEMA public OWNER TO {stranger}; SET ROLE {stranger}; GRANT ALL ON SCHEMA public TO PUBLIC; \
         REVOKE USAGE ON SCHEMA public FROM {reader}"
    );
    world.as_admin(&database, &given).await;
    world.converge().await;
    assert_eq!(owner_of_public(&database).await, "pg_database_owner");
    works(&mut world.sign_in("report", &database).await.unwrap(), &["SELECT * FROM t"]).await;
    works(&mut world.sign_in("shop", &database).await.unwrap(), &["CREATE TABLE u (x int)"]).await;
    assert!(is(&database, &format!("NOT has_schema_privilege('{stranger}', 'public', 'CREATE')")).await);

    // Harmless: who has the whole database anyway, and whom the workspace says to leave alone.
    for harmless in [&user, &owner, &"postgres".to_owned()] {
        world.as_admin(&database, &format!("ALTER SCHEMA public OWNER TO {harmless}")).await;
        // Who has it no longer may have lost its own rights with it.
        world.converge().await;
        assert_eq!(owner_of_public(&database).await, *harmless);
    }
    world.as_admin(&database, &format!("ALTER SCHEMA public OWNER TO {stranger}")).await;
    assert_eq!(world.plan().await.len(), 1);
    world.config.postgres.ignore_roles = BTreeSet::from([stranger.clone()]);
    world.connect();
    assert_eq!(world.plan().await, Vec::new());
    world.config.postgres.ignore_roles.clear();
    world.connect();

    // Of what is only being adopted nothing is taken without asking.
    world.lose_state();
    let plan = world.plan().await;
    let step = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
    assert!(step.risks.contains(&Risk::Interrupts) && step.reasons.contains(&Reason::NotOursYet), "{step:#?}");
    world.converge().await;
    assert_eq!(owner_of_public(&database).await, "pg_database_owner");
    world.drop_all().await;
}

#[tokio::test]
async fn an_administrator_that_is_no_superuser_gets_schema_public_back() {
    let mut world = World::new(ServiceId::Postgres, "lesspublic");
    world.become_lesser_admin().await;
    world.declare("shop", app(&world, "shop"));
    world.converge().await;
    let (database, stranger) = (world.plain("shop_db"), world.plain("stranger"));
    world.as_itself(&format!("CREATE ROLE {stranger}")).await;
    world.as_admin(&database, &format!("ALTER SCHEMA public OWNER TO {stranger}")).await;
    world.converge().await;
    assert_eq!(owner_of_public(&database).await, "pg_database_owner");
    works(&mut world.sign_in("shop", &database).await.unwrap(), &["CREATE TABLE t (x int)"]).await;

    // Where it may not act for who has it now, that is said beforehand.
    let far = world.plain("far");
    world.as_admin(&database, &format!("CREATE ROLE {far}; ALTER SCHEMA public OWNER TO {far}")).await;
    let plan = world.plan().await;
    let told = format!("it belongs to {far}, for whom");
    match &postgres::of_database(&plan).hold {
        Some(Hold::Blocked { reason }) => assert!(reason.contains(&told), "{reason}"),
        // Before 16 CREATEROLE reaches every role.
        _ => {
            world.apply(plan).await;
            assert_eq!(owner_of_public(&database).await, "pg_database_owner");
        }
    }
    world.drop_all().await;
}
