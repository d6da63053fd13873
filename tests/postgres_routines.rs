//! Functions, aggregates and procedures that an app made, and what roles may do with them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::services::ServiceId;
use nornplan::services::postgres::model::role_address;
use postgres::{app, denied, is, of_database, read, rows, works};
use support::World;

/// Routines of every kind, with every way to spell their arguments.
const ROUTINES: &str = "\
CREATE SCHEMA \"Odd \"\"place\";
CREATE TYPE \"Odd \"\"place\".\"My type\" AS ENUM ('a');
CREATE FUNCTION step(int[], int) RETURNS int[] LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION last(int[]) RETURNS int[] LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION last(int[], int) RETURNS int[] LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE ordered(ORDER BY int) (SFUNC = step, STYPE = int[], FINALFUNC = last);
CREATE AGGREGATE ordered(int ORDER BY int) (SFUNC = step, STYPE = int[], FINALFUNC = last);
CREATE AGGREGATE every_one(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE AGGREGATE \"Odd \"\"place\".\"tot al\"(\"Arg\" \"char\") (SFUNC = array_append, STYPE = \"char\"[]);
CREATE FUNCTION \"Odd \"\"place\".\"f, g\"(\"x y\" \"Odd \"\"place\".\"My type\", OUT b text, VARIADIC c bigint[])
  LANGUAGE sql AS 'SELECT ''b''';
CREATE FUNCTION times(timestamp with time zone, numeric(5, 2), bit varying, character(3), interval) RETURNS int
  LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION twice(a int, OUT b int, INOUT c int) LANGUAGE sql AS 'SELECT 1, 1';
CREATE FUNCTION same(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE same(OUT int) LANGUAGE plpgsql AS 'BEGIN $1 := 1; END';
CREATE PROCEDURE work(int) LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE work(OUT int) LANGUAGE plpgsql AS 'BEGIN $1 := 1; END';
CREATE PROCEDURE work(IN a text, OUT b int, INOUT c \"Odd \"\"place\".\"My type\", VARIADIC d int[])
  LANGUAGE plpgsql AS 'BEGIN b := 1; END'";

/// The app's own statements that give everything to somebody.
const GIVES: &str = "SELECT format('GRANT EXECUTE ON %s %s TO ', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, \
    CASE prokind WHEN 'p' THEN format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) \
      ELSE p.oid::regprocedure::text END) \
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE p.oid >= 16384 ORDER BY 1";

#[tokio::test]
async fn what_an_app_gives_on_routines_of_any_kind_is_taken_from_a_reader() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "routineless" } else { "routine" });
        if lesser {
            world.become_lesser_admin().await;
        }
        let mut shop = app(&world, "shop");
        let (database, reader) = (shop.databases[0].name.clone(), world.plain("report_user"));
        shop.readers.insert(world.name("report"));
        world.declare("shop", shop.clone());
        world.declare("report", app(&world, "report"));
        world.converge().await;

        let mut own = world.sign_in("shop", &database).await.unwrap();
        works(&mut own, &[ROUTINES]).await;
        // Only a superuser makes a function of the server's own code.
        let window =
            "CREATE FUNCTION pick(anyelement) RETURNS anyelement LANGUAGE internal WINDOW AS 'window_first_value'";
        world.as_admin(&database, &format!("{window}; ALTER FUNCTION pick OWNER TO {}", shop.user)).await;
        let gifts: Vec<String> = rows(&database, GIVES).await;
        assert_eq!(gifts.len(), 17, "{gifts:#?}");
        for gift in gifts {
            works(&mut own, &[&format!("{gift} {reader}")]).await;
        }
        drop(own);

        let plan = world.plan().await;
        assert_eq!(plan.len(), 1, "{plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        let left =
            format!("NOT EXISTS (SELECT FROM pg_proc, aclexplode(proacl) a WHERE a.grantee = '{reader}'::regrole)");
        assert!(is(&database, &left).await);

        // One is shown by its name, and taken with all that the reader has.
        let mut own = world.sign_in("shop", &database).await.unwrap();
        works(&mut own, &[&format!("GRANT EXECUTE ON FUNCTION ordered(int, int) TO {reader}")]).await;
        drop(own);
        let plan = world.plan().await;
        let beyond = plan[0].changes.iter().find(|change| change.field == "beyond").unwrap();
        assert_eq!(beyond.before, serde_json::json!(["EXECUTE on public.ordered(integer, integer)"]));
        shop.readers.clear();
        world.declare("shop", shop);
        world.apply(world.plan().await).await;
        assert!(is(&database, &left).await);
        assert_eq!(world.plan().await, Vec::new());
        world.drop_all().await;
    }
}

#[tokio::test]
async fn what_an_app_adds_to_an_extension_of_its_own_stays_in_sight() {
    let mut world = World::new(ServiceId::Postgres, "added");
    let mut shop = app(&world, "shop");
    let (database, reader, former) = (shop.databases[0].name.clone(), world.plain("report_user"), shop.user.clone());
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let mut own = world.sign_in("shop", &database).await.unwrap();
    let made = "CREATE EXTENSION citext; CREATE TABLE t (x int); CREATE FUNCTION evil(text) RETURNS int LANGUAGE sql \
        AS 'SELECT 1'; ALTER EXTENSION citext ADD FUNCTION evil(text); ALTER EXTENSION citext ADD TABLE t";
    works(
        &mut own,
        &[made, &format!("GRANT EXECUTE ON FUNCTION evil(text) TO {reader}; GRANT INSERT ON t TO {reader}")],
    )
    .await;
    drop(own);

    let plan = world.plan().await;
    let beyond = plan[0].changes.iter().find(|change| change.field == "beyond").unwrap();
    assert_eq!(beyond.before, serde_json::json!(["EXECUTE on public.evil(text)", "INSERT on public.t"]));
    world.converge().await;
    let mut report = world.sign_in("report", &database).await.unwrap();
    works(&mut report, &["SELECT * FROM t"]).await;
    denied(&mut report, &["INSERT INTO t VALUES (1)"]).await;
    drop(report);

    // It goes to the next user as all else does; what the extension itself brought stays the superuser's.
    shop.user = world.plain("shop_next");
    world.declare("shop", shop);
    let plan = world.plan().await;
    assert!(of_database(&plan).notes.iter().any(|note| note.contains("1 function and 1 table")), "{plan:#?}");
    let keep = plan.into_iter().filter(|step| step.address != role_address(&former)).collect();
    world.apply(keep).await;
    let left = "SELECT string_agg(proname, ' ') FROM pg_proc WHERE proowner = 'NAME'::regrole";
    assert_eq!(read(&database, &left.replace("NAME", &former)).await, None);
    assert_eq!(read(&database, &left.replace("NAME", &world.plain("shop_next"))).await.as_deref(), Some("evil"));
    world.drop_all().await;
}
