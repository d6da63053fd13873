//! Extensions of databases: made, updated, moved, found dropped, and told beforehand where they cannot be had.

#[path = "support/databases.rs"]
mod databases;
#[path = "support/postgres.rs"]
mod postgres;
mod support;

use databases::{blocked, declare, fields};
use nornplan::core::step::{Action, Reason};
use nornplan::services::ServiceId;
use nornplan::services::postgres::model::Extension;
use nornplan::spec::model::Postgres as Spec;
use postgres::read;
use support::World;

const EXTENSIONS: &str = "SELECT string_agg(extname || ' ' || extversion || ' ' || extnamespace::regnamespace, ', ' \
                          ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'";

fn extension(version: Option<&str>, schema: Option<&str>) -> Extension {
    Extension { version: version.map(str::to_owned), schema: schema.map(str::to_owned) }
}

#[tokio::test]
async fn extensions_are_made_updated_moved_and_found_dropped() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "dbextless" } else { "dbext" });
        if lesser {
            world.become_lesser_admin().await;
        }
        let database = world.plain("shop_db");
        let with = |all: &[(&str, Extension)]| {
            let all: Vec<(String, Extension)> =
                all.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect();
            move |shop: &mut Spec| shop.databases[0].extensions.extend(all)
        };
        declare(
            &mut world,
            with(&[("hstore", extension(Some("1.4"), Some("Ext"))), ("citext", extension(None, None))]),
        );
        world.converge().await;
        let made = read(&database, EXTENSIONS).await.unwrap();
        assert!(made.starts_with("citext ") && made.ends_with(" public, hstore 1.4 \"Ext\""), "{made}");
        let mut shop = world.sign_in("shop", &database).await.unwrap();
        postgres::run(&mut shop, "CREATE TABLE t (x \"Ext\".hstore, y citext)").await.unwrap();
        drop(shop);

        // By hand: dropped, moved, updated. One that nobody declared is left alone.
        for statement in [
            "DROP EXTENSION citext CASCADE",
            "ALTER EXTENSION hstore SET SCHEMA public",
            "CREATE EXTENSION btree_gin; ALTER EXTENSION hstore SET SCHEMA public",
        ] {
            world.as_admin(&database, statement).await;
            let plan = world.plan().await;
            assert_eq!(fields(&plan), ["extensions"], "{statement}");
            if lesser && statement.contains("SET SCHEMA") {
                let statement = "ALTER EXTENSION \"hstore\" SET SCHEMA \"Ext\"";
                assert!(blocked(&plan).contains(statement), "{plan:#?}");
                world.as_admin(&database, statement).await;
                assert_eq!(world.plan().await, Vec::new());
                continue;
            }
            assert!(plan[0].reasons.contains(&Reason::Drifted) && plan[0].runs());
            world.apply(plan).await;
            assert_eq!(world.plan().await, Vec::new(), "after {statement}");
        }
        world.as_admin(&database, "DROP EXTENSION btree_gin").await;
        assert_eq!(read(&database, EXTENSIONS).await.unwrap(), made);
        world.as_admin(&database, "ALTER EXTENSION hstore UPDATE TO '1.5'").await;
        let reason = blocked(&world.plan().await);
        assert!(reason.contains("no update to 1.4; from 1.5 there are updates to 1.6, 1.7, 1.8"), "{reason}");

        // The infraspec moves on.
        let schema = if lesser { "Ext" } else { "public" };
        declare(
            &mut world,
            with(&[("hstore", extension(Some("1.8"), Some(schema))), ("citext", extension(None, None))]),
        );
        let plan = world.plan().await;
        assert!(plan.iter().all(|step| step.runs()), "{plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        assert!(
            read(&database, EXTENSIONS)
                .await
                .unwrap()
                .ends_with(&format!("hstore 1.8 {}", if lesser { "\"Ext\"" } else { schema }))
        );
        declare(&mut world, with(&[("hstore", extension(None, None)), ("citext", extension(None, None))]));
        world.only_records().await;
        world.drop_all().await;
    }
}

#[tokio::test]
async fn what_the_server_does_not_have_or_allow_is_known_when_planning() {
    let mut world = World::new(ServiceId::Postgres, "dbextno");
    let want = |name: &str, one: Extension| {
        let name = name.to_owned();
        move |shop: &mut Spec| drop(shop.databases[0].extensions.insert(name, one))
    };
    let cases = [
        (
            want("hstor", extension(None, None)),
            "\"hstor\" is not on this server (did you mean \"hstore\"?). Install its package on the server, or remove it",
        ),
        (want("no_such_extension", extension(None, None)), " more. Install its package on the server"),
        (want("hstore", extension(Some("0.1"), None)), "version 0.1 of the extension \"hstore\" is not on this server"),
    ];
    for (change, expected) in cases {
        declare(&mut world, change);
        let plan = world.plan().await;
        let reason = blocked(&plan);
        assert!(reason.contains(expected), "{expected}: {reason}");
        assert!(reason.len() < 350, "{reason}");
        assert!(plan.iter().any(|step| step.runs()), "the owner can be made all the same");
    }

    declare(&mut world, |shop| {
        want("ltrees", extension(None, None))(shop);
        want("pgvector_x", extension(None, None))(shop);
        want("another_one", extension(None, None))(shop);
    });
    let reason = blocked(&world.plan().await);
    let lists = |line: &str| line.split_once("; there are ").map(|(_, names)| names.matches(", ").count());
    let listed: Vec<Option<usize>> = reason.lines().map(lists).collect();
    assert_eq!(listed, [Some(8), None, None], "{reason}");

    // Another extension is required: as a superuser it is made along, said beforehand, with its version if declared.
    declare(&mut world, want("earthdistance", extension(None, None)));
    let plan = world.plan().await;
    assert!(plan.iter().any(|step| step.notes == ["earthdistance requires cube: made with it"]), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let database = world.plain("shop_db");
    assert!(read(&database, EXTENSIONS).await.unwrap().starts_with("cube "));
    world.as_admin(&database, "DROP EXTENSION cube CASCADE").await;
    declare(&mut world, |shop| {
        want("earthdistance", extension(None, None))(shop);
        want("cube", extension(Some("1.4"), None))(shop);
    });
    world.converge().await;
    assert!(read(&database, EXTENSIONS).await.unwrap().starts_with("cube 1.4 public, earthdistance "));

    world.drop_all().await;
}

#[tokio::test]
async fn an_administrator_with_fewer_rights_is_told_what_a_superuser_must_do() {
    let mut world = World::new(ServiceId::Postgres, "dbless");
    world.become_lesser_admin().await;
    let database = world.plain("shop_db");
    declare(&mut world, |shop| {
        shop.databases[0].extensions.insert("dblink".to_owned(), extension(None, Some("public")));
    });
    let plan = world.plan().await;
    let reason = blocked(&plan);
    let statement = "CREATE EXTENSION \"dblink\" SCHEMA \"public\"";
    let way = format!("apply; then, as a superuser, run in that database: {statement}; then put the extension back");
    assert!(reason.contains("Take the extension out") && reason.ends_with(&way), "{reason}");
    // The required one is trusted, this one is not.
    declare(&mut world, |shop| postgres::extend(shop, Some("earthdistance".to_owned())));
    assert!(blocked(&world.plan().await).contains("\"earthdistance\" is not trusted"));
    declare(&mut world, |shop| shop.databases[0].connection_limit = Some(0));
    let reason = blocked(&world.plan().await);
    assert!(reason.contains("shuts out nornplan too"), "{reason}");
    // That way goes to the end.
    declare(&mut world, |_| {});
    world.converge().await;
    let wanted = |shop: &mut Spec| {
        shop.databases[0].extensions.insert("dblink".to_owned(), extension(None, Some("public")));
    };
    declare(&mut world, wanted);
    let reason = blocked(&world.plan().await);
    assert!(reason.ends_with(&format!("As one, run in the database {database}: {statement}")), "{reason}");
    declare(&mut world, |_| {});
    world.as_admin(&database, statement).await;
    declare(&mut world, wanted);
    world.only_records().await;
    world.drop_all().await;
}

#[tokio::test]
async fn who_makes_an_extension_that_is_not_trusted_is_told_what_its_script_may_call() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "dbtrustless" } else { "dbtrust" });
        let name = world.extension("pgrowlocks").await.unwrap();
        if lesser {
            world.become_lesser_admin().await;
        }
        declare(&mut world, |_| {});
        world.converge().await;
        let notes = async |world: &mut World, name: &str, schema: Option<&str>| {
            declare(world, |shop| drop(shop.databases[0].extensions.insert(name.to_owned(), extension(None, schema))));
            let plan = world.plan().await;
            let mut notes = plan.iter().flat_map(|step| step.notes.clone());
            notes.find(|note| note.contains("is not trusted"))
        };
        assert_eq!(notes(&mut world, &name, None).await, None, "there is nothing");
        let mut shop = world.sign_in("shop", &world.plain("shop_db")).await.unwrap();
        let planted = "CREATE FUNCTION public.length(text) RETURNS int LANGUAGE sql AS 'SELECT 1'";
        postgres::run(&mut shop, &format!("{planted}; CREATE EXTENSION citext")).await.unwrap();
        let told = notes(&mut world, &name, None).await;
        assert_eq!(told.is_some(), !lesser, "{told:?}");
        let text = "in schema public, where 1 function or operator is not a superuser's";
        assert!(lesser || told.as_ref().unwrap().contains(text), "{told:?}");
        assert_eq!(notes(&mut world, &name, Some("public")).await, told);
        assert_eq!(notes(&mut world, &name, Some("ext")).await, None);
        assert_eq!(notes(&mut world, "hstore", None).await, None, "a trusted one");
        // Whoever made an extension may make an own function a part of it: that hides nothing.
        postgres::run(&mut shop, "ALTER EXTENSION citext ADD FUNCTION public.length(text)").await.unwrap();
        assert_eq!(notes(&mut world, &name, None).await, told);

        // Another version of one that is there runs a script as well.
        let (old, new) = ("1.8", "1.9");
        let made = format!("CREATE EXTENSION pageinspect VERSION '{old}'");
        world.as_admin(&world.plain("shop_db"), &made).await;
        let mut updated = async |version: &str| {
            let wanted = extension(Some(version), None);
            declare(&mut world, |shop| drop(shop.databases[0].extensions.insert("pageinspect".to_owned(), wanted)));
            world.plan().await.iter().any(|step| step.notes.iter().any(|note| note.contains("is not trusted")))
        };
        assert_eq!((updated(old).await, updated(new).await), (false, !lesser));
        drop(shop);
        world.drop_all().await;
    }
}

#[tokio::test]
async fn a_schema_that_is_made_for_an_extension_serves_readers_as_it_is() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "extreadless" } else { "extread" });
        if lesser {
            world.become_lesser_admin().await;
        }
        let reading = world.name("report");
        world.declare("report", postgres::app(&world, "report"));
        declare(&mut world, |shop| shop.readers.extend([reading.clone()]));
        world.converge().await;
        declare(&mut world, |shop| {
            shop.readers.insert(reading.clone());
            shop.databases[0].extensions.insert("citext".to_owned(), extension(None, Some("Ext")));
        });
        world.converge().await;
        let database = world.plain("shop_db");
        let mut report = world.sign_in("report", &database).await.unwrap();
        postgres::works(&mut report, &["SELECT 'A'::\"Ext\".citext = 'a'"]).await;

        // Somebody closes it: then the reader gets it by name.
        world.as_admin(&database, "REVOKE USAGE ON SCHEMA \"Ext\" FROM PUBLIC").await;
        postgres::denied(&mut report, &["SELECT 'A'::\"Ext\".citext"]).await;
        world.converge().await;
        postgres::works(&mut report, &["SELECT 'A'::\"Ext\".citext"]).await;
        drop(report);
        world.drop_all().await;
    }
}

#[tokio::test]
async fn an_extension_that_is_declared_no_longer_stays_and_that_is_said() {
    let mut world = World::new(ServiceId::Postgres, "extleft");
    declare(&mut world, |shop| postgres::extend(shop, Some("citext".to_owned())));
    world.converge().await;
    let database = world.plain("shop_db");
    let note = format!(
        "the extension citext stays: if nothing needs it any more, run DROP EXTENSION \"citext\" in {database}"
    );
    // Another in its place is an edit, and nobody has done anything by hand.
    declare(&mut world, |shop| postgres::extend(shop, Some("hstore".to_owned())));
    let plan = world.plan().await;
    assert_eq!(plan[0].reasons, [Reason::ChangedInSpec].into(), "{plan:#?}");
    assert_eq!((fields(&plan), &plan[0].notes), (vec!["extensions"], &vec![note.clone()]));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    // None at all: there is nothing to do but to say it.
    declare(&mut world, |_| {});
    let plan = world.plan().await;
    assert_eq!((plan[0].action, &plan[0].notes), (Action::Record, &vec![note.replace("citext", "hstore")]));
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert!(read(&database, EXTENSIONS).await.unwrap().starts_with("citext "));
    world.drop_all().await;
}
