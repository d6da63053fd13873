//! Databases that were alive before they were declared: objects of others, and owners that change under a running app.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::change::Cause;
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::services::postgres::model::{Credential, database_address};
use nornplan::services::{Model, ServiceId};
use nornplan::spec::model::Postgres as Spec;
use postgres::{admin, app, connect, extend, live, of_database, run};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::World;

/// Everything in a schema `old` that has an owner, made by whoever signs in.
const ALL_KINDS: &str = "\
CREATE SCHEMA old;
CREATE TABLE old.plain (id serial PRIMARY KEY, other int GENERATED ALWAYS AS IDENTITY, x text);
CREATE INDEX ON old.plain (x);
CREATE TABLE old.\"Odd \"\"name\" (x int);
CREATE TABLE old.split (at int) PARTITION BY RANGE (at);
CREATE TABLE old.split_1 PARTITION OF old.split FOR VALUES FROM (0) TO (10);
CREATE VIEW old.seen AS SELECT id, x FROM old.plain;
CREATE VIEW old.seen_again AS SELECT id FROM old.seen;
CREATE MATERIALIZED VIEW old.kept AS SELECT id FROM old.seen;
CREATE SEQUENCE old.numbers;
CREATE FUNCTION old.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION old.f(VARIADIC a int[]) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION old.mighty() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 3';
CREATE PROCEDURE old.p(IN a int, OUT b int) LANGUAGE plpgsql AS 'BEGIN b := a; END';
CREATE AGGREGATE old.total(int) (SFUNC = int4pl, STYPE = int);
CREATE AGGREGATE old.every_one(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE FUNCTION old.finish(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION old.step(bigint, int) RETURNS bigint LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE old.ordered(ORDER BY int) (SFUNC = old.step, STYPE = bigint, FINALFUNC = old.finish);
CREATE TYPE old.mood AS ENUM ('sad', 'ok');
CREATE TYPE old.pair AS (a int, b int);
CREATE TYPE old.span AS RANGE (subtype = float8);
CREATE DOMAIN old.positive AS int CHECK (VALUE > 0);
CREATE COLLATION old.plainly (provider = libc, locale = 'C');
CREATE OPERATOR old.### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
CREATE OPERATOR old.@#@ (RIGHTARG = int, FUNCTION = int4abs);
CREATE TEXT SEARCH CONFIGURATION old.words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY old.dictionary (TEMPLATE = simple);
CREATE STATISTICS old.related ON id, x FROM old.plain;
SELECT lo_create(0);
INSERT INTO old.plain (x) VALUES ('a')";

/// Objects in the current database by owner: a read-back that shares nothing with what is tested. A multirange type
/// does not follow its range type on older servers (15), and cannot be altered itself; it is left out.
const OWNERS: &str = "\
SELECT r.rolname::text, count(*) FROM (
  SELECT relowner AS owner FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relnamespace <> 11
  UNION ALL SELECT proowner FROM pg_proc WHERE oid >= 16384 AND prolang <> 12
  UNION ALL SELECT typowner FROM pg_type t WHERE oid >= 16384 AND typnamespace <> 99 AND typname !~ 'multirange'
  UNION ALL SELECT nspowner FROM pg_namespace WHERE (oid >= 16384 OR nspname = 'public') AND nspname !~ '^pg_'
  UNION ALL SELECT lomowner FROM pg_largeobject_metadata
  UNION ALL SELECT collowner FROM pg_collation WHERE oid >= 16384
  UNION ALL SELECT oprowner FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT opcowner FROM pg_opclass WHERE oid >= 16384
  UNION ALL SELECT opfowner FROM pg_opfamily WHERE oid >= 16384
  UNION ALL SELECT cfgowner FROM pg_ts_config WHERE oid >= 16384
  UNION ALL SELECT dictowner FROM pg_ts_dict WHERE oid >= 16384
  UNION ALL SELECT stxowner FROM pg_statistic_ext
  UNION ALL SELECT srvowner FROM pg_foreign_server
) o JOIN pg_roles r ON r.oid = o.owner GROUP BY 1";

async fn owners(database: &str) -> BTreeMap<String, i64> {
    let mut connection = admin(database).await;
    let rows: Vec<(String, i64)> = sqlx::query_as(OWNERS).fetch_all(&mut connection).await.unwrap();
    rows.into_iter().collect()
}

/// An app whose database lives already: it was made by hand, and belongs to `old`.
async fn living(world: &World, old: &str) -> Spec {
    let shop = app(world, "shop");
    let (database, old) = (&shop.databases[0].name, world.plain(old));
    world.as_admin("postgres", &format!("CREATE ROLE {old} LOGIN PASSWORD 'old'")).await;
    world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {old}")).await;
    shop
}

async fn by(role: &str, database: &str, statements: &str) {
    let mut connection = connect(role, Some("old"), database).await.unwrap();
    run(&mut connection, statements).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn objects_of_others_become_the_apps_and_stay_so() {
    let mut world = World::new(ServiceId::Postgres, "adopt");
    let mut shop = living(&world, "old").await;
    shop.adopt_objects = true;
    let (database, old, user) = (shop.databases[0].name.clone(), world.plain("old"), shop.user.clone());
    by(&old, &database, ALL_KINDS).await;
    let by_hand = "CREATE TABLE public.by_hand (id serial); CREATE SCHEMA IF NOT EXISTS public; \
        CREATE OPERATOR CLASS public.oc FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int); \
        CREATE CONVERSION public.con FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; \
        CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER srv FOREIGN DATA WRAPPER fdw; \
        CREATE FOREIGN TABLE public.far (x int) SERVER srv";
    world.as_admin(&database, by_hand).await;
    let extension = world.extension("citext").await;
    if let Some(name) = &extension {
        world.as_admin(&database, &format!("CREATE SCHEMA ext; CREATE EXTENSION {name} SCHEMA ext")).await;
    }
    world.declare("shop", shop);

    let held_by = connect(&old, Some("old"), &database).await.unwrap();
    let plan = world.plan().await;
    let step = of_database(&plan);
    assert!(step.reasons.contains(&Reason::NotOursYet) && step.risks.contains(&Risk::Interrupts));
    let change = step.changes.iter().find(|change| change.field == "objects_of_others").unwrap();
    assert_eq!(change.after, serde_json::json!({}));
    assert_eq!(change.before[&old], 29, "{:#?}", step.notes);
    assert_eq!(change.before["postgres"], 6, "{:#?}", step.notes);
    let notes = step.notes.join("\n");
    for part in [
        "5 functions, 3 aggregates, 3 tables, 3 types, 2 operators, 2 views, 1 collation, 1 domain, 1 extended",
        &format!(" of {old} become {user}'s; {old} (1 session here now) loses its access"),
        &format!("1 SECURITY DEFINER function among them then runs with the rights of {user}"),
    ] {
        assert!(notes.contains(part), "{part}\n{notes}");
    }
    drop(held_by);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());

    // Extensions and the rest of the cluster stay where they are; the old role owns nothing any more.
    let owners = owners(&database).await;
    assert!(!owners.contains_key(&old), "{owners:?}");
    assert_eq!(owners.contains_key("postgres"), extension.is_some(), "{owners:?}");
    world.as_admin(&database, &format!("DROP TYPE old.span CASCADE; DROP ROLE {old}")).await;
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    let daily = "INSERT INTO old.plain (x) VALUES ('b'); SELECT * FROM old.seen_again; ALTER TABLE old.plain ADD y int; \
        REFRESH MATERIALIZED VIEW old.kept; SELECT nextval('old.numbers'); SELECT old.mighty(); DROP TABLE by_hand; \
        ALTER TYPE old.mood ADD VALUE 'happy'; DROP AGGREGATE old.ordered(ORDER BY int); CALL old.p(1, NULL)";
    run(&mut shop, daily).await.unwrap();
    drop(shop);

    // Somebody makes more by hand: that is drift, and repaired without asking.
    world.as_admin(&database, "CREATE TABLE public.more (id int)").await;
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1);
    assert!(plan[0].reasons.contains(&Reason::Drifted), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    run(&mut shop, "INSERT INTO more VALUES (1); DROP TABLE more").await.unwrap();
    drop(shop);

    // What goes is not stale because of who owns what in it.
    world.forget("shop");
    let plan = world.plan().await;
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.drop_all().await;
}

#[tokio::test]
async fn one_apply_adopts_though_the_old_owner_and_a_migrator_have_privileges() {
    let mut world = World::new(ServiceId::Postgres, "adoptonce");
    let mut shop = living(&world, "old").await;
    let (database, old, deploy) = (shop.databases[0].name.clone(), world.plain("old"), world.plain("deploy"));
    world.as_admin("postgres", &format!("CREATE ROLE {deploy} LOGIN")).await;
    // The old owner has privileges on schema public by name too, which it keeps when it owns the database no longer.
    world.as_admin(&database, &format!("GRANT ALL ON SCHEMA public TO {old}, {deploy}")).await;
    by(&old, &database, "CREATE TABLE public.a ()").await;
    world.as_admin(&database, &format!("SET ROLE {deploy}; CREATE TABLE public.d (id serial)")).await;
    shop.adopt_objects = true;
    shop.migrator = Some(deploy.clone());
    world.declare("shop", shop);

    let plan = world.plan().await;
    let gone = of_database(&plan).changes.iter().find(|change| change.field == "strays_inside").unwrap();
    let told = [format!("CREATE on schema public to {old}"), format!("USAGE on schema public to {old}")];
    assert_eq!((&gone.before, &gone.after), (&serde_json::json!(told), &serde_json::json!([])));
    // The change of the owner gives the app its own access; what the migrator's objects need comes with the grant.
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    run(&mut shop, "SELECT * FROM a, d").await.unwrap();
    drop(shop);
    world.as_admin(&database, "DROP TABLE d").await;
    world.forget("shop");
    let plan = world.plan().await;
    world.apply(plan).await;
    world.as_admin("postgres", &format!("DROP ROLE {old}, {deploy}")).await;
    world.drop_all().await;
}

#[tokio::test]
async fn one_apply_adopts_a_database_of_the_apps_own_user_beside_a_migrator() {
    let mut world = World::new(ServiceId::Postgres, "adoptown");
    let mut shop = living(&world, "shop_user").await;
    let (database, deploy) = (shop.databases[0].name.clone(), world.plain("deploy"));
    by(&shop.user, &database, "CREATE TABLE public.a ()").await;
    let made = format!("CREATE ROLE {deploy} LOGIN; GRANT ALL ON SCHEMA public TO {deploy}; SET ROLE {deploy}");
    world.as_admin(&database, &format!("{made}; CREATE TABLE public.d (id serial)")).await;
    shop.migrator = Some(deploy.clone());
    world.declare("shop", shop.clone());

    // The change of the owner gives the app its place on schema public before its own grant does.
    world.apply(world.plan().await).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut shop = world.sign_in("shop", &database).await.unwrap();
    run(&mut shop, "SELECT * FROM a, d").await.unwrap();
    drop(shop);
    world.drop_all().await;
}

#[tokio::test]
async fn objects_that_the_app_cannot_use_are_always_said_and_left_alone() {
    let mut world = World::new(ServiceId::Postgres, "unusable");
    let mut shop = living(&world, "old").await;
    let (database, old, user) = (shop.databases[0].name.clone(), world.plain("old"), shop.user.clone());
    by(&old, &database, "CREATE TABLE public.a (id serial); CREATE TABLE public.b (); CREATE SEQUENCE public.s").await;
    world.declare("shop", shop.clone());

    let told = format!(
        "2 tables and 1 sequence belong to {old}, which the app cannot use: `adopt_objects = true` makes them {user}'s, \
         `migrator = \"{old}\"` gives privileges on them"
    );
    // A role of an app can be nobody's migrator.
    world.declare("other", Spec { user: old.clone(), ..app(&world, "other") });
    let (all_but_the_last, _) = told.split_once(", `migrator").unwrap();
    let plan = world.plan().await;
    let said = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
    assert_eq!(said.notes, [all_but_the_last]);
    world.forget("other");
    let plan = world.plan().await;
    assert_eq!(of_database(&plan).notes, std::slice::from_ref(&told));
    assert!(of_database(&plan).changes.iter().all(|change| change.field != "objects_of_others"));
    world.apply(plan).await;
    // Nothing is left to do, and it is said all the same.
    let observation = world.observe().await;
    let texts: Vec<&str> = observation.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!(texts, [format!("postgres.database.{database}: {told}")]);
    assert_eq!(owners(&database).await.get(&old), Some(&8));

    // What the migrator makes is used by privileges.
    shop.migrator = Some(old.clone());
    world.declare("shop", shop.clone());
    assert_eq!(world.observe().await.notices, Vec::new());
    // Shallow: nobody looks, nothing is said.
    shop.migrator = None;
    world.declare("shop", shop.clone());
    let mut ask = world.ask();
    ask.shallow = true;
    let shallow = world.service().observe(&ask).await.unwrap();
    assert!(shallow.notices.iter().all(|notice| !notice.text.contains("belong")), "{:?}", shallow.notices);
    // Said later, it moves them then.
    shop.adopt_objects = true;
    world.declare("shop", shop);
    let plan = world.plan().await;
    assert_eq!(plan.len(), 1);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(owners(&database).await.get(&old), None);
    world.drop_all().await;
}

#[tokio::test]
async fn a_busy_table_fails_the_step_by_name_and_nothing_moves() {
    let mut world = World::new(ServiceId::Postgres, "busy");
    let mut shop = living(&world, "old").await;
    shop.adopt_objects = true;
    let (database, old) = (shop.databases[0].name.clone(), world.plain("old"));
    by(&old, &database, "CREATE TABLE public.a (); CREATE TABLE public.busy (); CREATE TABLE public.c ()").await;
    world.declare("shop", shop);
    let before = owners(&database).await;
    let mut holder = connect(&old, Some("old"), &database).await.unwrap();
    run(&mut holder, "BEGIN; SELECT * FROM busy").await.unwrap();
    let plan = world.plan().await;
    let start = Instant::now();
    let refused = world.try_apply(plan).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(refused.contains("ALTER TABLE public.busy OWNER TO"), "{refused}");
    assert!(refused.contains("nothing was moved"), "{refused}");
    assert_eq!(owners(&database).await, before);
    run(&mut holder, "COMMIT").await.unwrap();
    world.converge().await;
    assert_eq!(owners(&database).await.get(&old), None);
    drop(holder);
    world.drop_all().await;
}

#[tokio::test]
async fn a_thousand_tables_are_moved_at_once() {
    let mut world = World::new(ServiceId::Postgres, "thousand");
    let mut shop = living(&world, "old").await;
    shop.adopt_objects = true;
    let (database, old) = (shop.databases[0].name.clone(), world.plain("old"));
    let tables: Vec<String> = (0..1000).map(|n| format!("CREATE TABLE public.t{n} (id int)")).collect();
    for some in tables.chunks(250) {
        by(&old, &database, &some.join("; ")).await;
    }
    world.declare("shop", shop);
    world.converge().await;
    assert_eq!(owners(&database).await.get(&old), None);
    world.drop_all().await;
}

#[tokio::test]
async fn a_lesser_administrator_adopts_what_belongs_to_roles_that_it_may_join() {
    let mut world = World::new(ServiceId::Postgres, "adoptless");
    world.become_lesser_admin().await;
    let mut shop = app(&world, "shop");
    shop.adopt_objects = true;
    world.declare("shop", shop.clone());
    world.converge().await;
    let (database, old) = (shop.databases[0].name.clone(), world.plain("old"));
    world.as_itself(&format!("CREATE ROLE {old} LOGIN PASSWORD 'old'")).await;
    world
        .as_admin(&database, &format!("GRANT ALL ON DATABASE {database} TO {old}; GRANT ALL ON SCHEMA public TO {old}"))
        .await;
    by(&old, &database, ALL_KINDS).await;
    by(&old, &database, "CREATE TABLE public.one ()").await;
    world.as_admin(&database, &format!("REVOKE ALL ON DATABASE {database} FROM {old}")).await;
    let plan = world.plan().await;
    assert!(plan.iter().any(|step| step.address == database_address(&database)), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(owners(&database).await.get(&old), None);

    // What belongs to a superuser is out of its reach: the plan says it, and no apply tries.
    world.as_admin(&database, "CREATE TABLE public.high ()").await;
    let mut plan = world.plan().await;
    let held = plan[0].hold.take();
    assert!(matches!(held, Some(Hold::Blocked { reason }) if reason.contains("ALTER TABLE .. OWNER TO")), "{plan:#?}");
    // If it did, the error would name the statement, and nothing would move.
    let refused = world.try_apply(plan).await.unwrap_err();
    assert!(refused.contains("GRANT \"postgres\" TO CURRENT_USER"), "{refused}");
    world.drop_all().await;
}

#[tokio::test]
async fn a_running_app_and_its_readers_never_lose_access() {
    let mut world = World::new(ServiceId::Postgres, "alive");
    for (case, (owner, grants)) in [
        // The app owned its database itself; somebody else did, and it came in as everybody; it keeps owning it.
        ("own", ("own_user", "")),
        ("other", ("boss", "GRANT ALL ON SCHEMA public TO PUBLIC")),
        ("kept", ("kept_owner", "GRANT ALL ON SCHEMA public TO PUBLIC")),
        ("schema", ("boss", "ALTER SCHEMA public OWNER TO BOSS; GRANT ALL ON SCHEMA public TO PUBLIC")),
    ] {
        let name = case;
        let mut spec = app(&world, name);
        spec.credential = Credential::Keep;
        spec.adopt_objects = true;
        spec.readers.insert(world.name("report"));
        let (database, user, boss) = (spec.databases[0].name.clone(), spec.user.clone(), world.plain("boss"));
        let reader = world.plain("report_user");
        for role in [&user, &boss, &reader, &world.plain(owner)] {
            let exists = format!(
                "DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'old'; \
                EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            );
            world.as_admin("postgres", &exists).await;
        }
        world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {}", world.plain(owner))).await;
        let made = format!(
            "{}; CREATE TABLE public.mine (id serial, x text); ALTER TABLE public.mine OWNER TO {user}; \
             GRANT SELECT ON public.mine TO {reader}; \
             CREATE TABLE public.theirs (id serial, x text); GRANT ALL ON public.theirs TO {user}; \
             GRANT SELECT ON public.theirs TO {reader}; GRANT ALL ON SEQUENCE public.theirs_id_seq TO {user}",
            grants.replace("BOSS", &boss)
        );
        world.as_admin(&database, &made).await;
        let mut report = app(&world, "report");
        report.credential = Credential::Keep;
        world.declare("report", report);
        world.declare(name, spec);

        let stop = Arc::new(AtomicBool::new(false));
        let daily = "INSERT INTO mine (x) VALUES ('a'); SELECT count(*) FROM mine; \
            INSERT INTO theirs (x) VALUES ('a'); SELECT count(*) FROM theirs; DELETE FROM theirs";
        let apps: Vec<_> = (0..3)
            .map(|_| tokio::spawn(live(user.clone(), database.clone(), daily, stop.clone())))
            .chain([tokio::spawn(live(reader, database.clone(), "SELECT count(*) FROM theirs, mine", stop.clone()))])
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.converge().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
        for one in apps {
            let (rounds, failures) = one.await.unwrap();
            assert!(rounds > 3, "{case}: only {rounds}");
            assert_eq!(failures, Vec::<String>::new(), "{case}");
        }
        let owners = owners(&database).await;
        assert!(!owners.contains_key(&boss), "{case}: {owners:?}");
    }
    world.drop_all().await;
}

#[tokio::test]
async fn another_user_takes_over_what_the_last_one_made() {
    let mut world = World::new(ServiceId::Postgres, "renamed");
    let mut shop = app(&world, "shop");
    shop.adopt_objects = true;
    // The last user's name comes after the new one's.
    shop.user = world.plain("zz_user");
    world.declare("shop", shop.clone());
    world.converge().await;
    let database = shop.databases[0].name.clone();
    let password = world.password(&world.name("shop"));
    let mut zz = connect(&shop.user, Some(&password), &database).await.unwrap();
    run(&mut zz, "CREATE TABLE t (id serial)").await.unwrap();
    drop(zz);
    shop.user = world.plain("aa_user");
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    assert!(
        plan.iter().any(|step| step.action == Action::Update && matches!(step.after, Some(Model::PostgresDatabase(_))))
    );
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(owners(&database).await.get(&world.plain("zz_user")), None);
    world.drop_all().await;
}

#[tokio::test]
async fn a_lesser_administrator_hands_over_what_the_last_user_made_and_nothing_else() {
    let mut world = World::new(ServiceId::Postgres, "handover");
    world.become_lesser_admin().await;
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let (database, last, next) = (shop.databases[0].name.clone(), shop.user.clone(), world.plain("next_user"));
    let mut own = world.sign_in("shop", &database).await.unwrap();
    run(&mut own, ALL_KINDS).await.unwrap();
    // Its multirange type would stay with the last user on 15.
    run(&mut own, "DROP TYPE old.span").await.unwrap();
    drop(own);
    world.as_admin(&database, "CREATE TABLE public.by_hand ()").await;
    shop.user = next.clone();
    world.declare("shop", shop);
    let plan = world.plan().await;
    let step = of_database(&plan);
    let change = step.changes.iter().find(|change| change.field == "objects_of_others").unwrap();
    assert_eq!((change.before.clone(), change.cause), (serde_json::json!({ &last: 28 }), Cause::ChangedInSpec));
    assert!(step.reasons.contains(&Reason::HandsOver), "{step:#?}");
    assert!(step.notes.iter().any(|note| note.contains("1 table belongs to postgres")), "{:?}", step.notes);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let owners = owners(&database).await;
    assert_eq!((owners.get(&last), owners.get("postgres")), (None, Some(&3)), "{owners:?}");
    let mut reader = world.sign_in("report", &database).await.unwrap();
    run(&mut reader, "SELECT * FROM old.plain; SELECT * FROM old.kept").await.unwrap();
    drop(reader);
    world.drop_all().await;
}

#[tokio::test]
async fn a_user_that_owns_its_database_adopts_as_well() {
    let mut world = World::new(ServiceId::Postgres, "keeps");
    let mut norn = living(&world, "norn").await;
    norn.user = world.plain("norn");
    norn.owner = norn.user.clone();
    norn.credential = Credential::Keep;
    norn.adopt_objects = true;
    extend(&mut norn, world.extension("pgcrypto").await);
    let database = norn.databases[0].name.clone();
    by(&norn.user, &database, "CREATE TABLE own (id serial)").await;
    world.as_admin(&database, "CREATE TABLE by_hand (id serial)").await;
    world.declare("norn", norn.clone());
    let plan = world.plan().await;
    let change = of_database(&plan).changes.iter().find(|change| change.field == "objects_of_others").unwrap();
    assert_eq!(change.before, serde_json::json!({"postgres": 1}));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    by(&norn.user, &database, "DROP TABLE own, by_hand").await;
    world.drop_all().await;
}
