//! Databases of PostgreSQL: what each option is by hand is found and repaired, what cannot be is explained.

#[path = "support/databases.rs"]
mod databases;
#[path = "support/postgres.rs"]
mod postgres;
mod support;

use databases::{blocked, declare, fields};
use nornplan::core::step::{Action, Hold, Part, Reason, Risk};
use nornplan::services::postgres::model::{Credential, database_address};
use nornplan::services::{Model, ServiceId, Step};
use nornplan::spec::model::Postgres as Spec;
use postgres::{app, connect, of_database, read};
use sqlx::AssertSqlSafe;
use std::time::Duration;
use support::{World, variable};

#[tokio::test]
async fn options_and_settings_are_made_found_changed_and_repaired() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "dboptless" } else { "dbopt" });
        if lesser {
            world.become_lesser_admin().await;
        }
        declare(&mut world, |shop| {
            let database = &mut shop.databases[0];
            database.connection_limit = Some(9);
            database.encoding = Some("UTF8".to_owned());
            database.locale = Some("C.utf8".to_owned());
            database.locale_provider = Some("libc".to_owned());
            database.tablespace = Some("pg_default".to_owned());
            for (name, value) in [("timezone", "UTC"), ("search_path", "\"$user\",public")] {
                database.settings.insert(name.to_owned(), value.to_owned());
            }
        });
        world.converge().await;
        let database = world.plain("shop_db");
        let options = format!(
            "SELECT datconnlimit || ' ' || datallowconn || ' ' || datcollate || ' ' || datctype || ' ' || \
             pg_encoding_to_char(encoding) || ' ' || (SELECT array_to_string(setconfig, ';') FROM pg_db_role_setting \
             WHERE setdatabase = d.oid AND setrole = 0) FROM pg_database d WHERE datname = '{database}'"
        );
        let expected = read("postgres", &options).await.unwrap();
        assert!(expected.starts_with("9 true C.utf8 C.utf8 UTF8 "), "{expected}");
        let mut shop = world.sign_in("shop", &database).await.unwrap();
        for (setting, value) in [("timezone", "UTC"), ("search_path", "\"$user\", public")] {
            let shown: String =
                sqlx::query_scalar(AssertSqlSafe(format!("SHOW {setting}"))).fetch_one(&mut shop).await.unwrap();
            assert_eq!(shown, value, "{setting}");
        }
        drop(shop);

        for (statement, field) in [
            ("CONNECTION LIMIT -1", "connection_limit"),
            ("CONNECTION LIMIT 5", "connection_limit"),
            ("CONNECTION LIMIT 0", "connection_limit"),
            ("ALLOW_CONNECTIONS false", "allow_connections"),
            ("SET work_mem TO '1MB'", "settings"),
            ("SET \"TimeZone\" TO 'CET'", "settings"),
            ("RESET search_path", "settings"),
            ("RESET ALL", "settings"),
        ] {
            world.as_admin("postgres", &format!("ALTER DATABASE {database} {statement}")).await;
            let plan = world.plan().await;
            assert_eq!(fields(&plan), [field], "{statement}");
            assert_eq!(plan[0].action, Action::Update);
            assert_eq!(plan[0].reasons.iter().copied().collect::<Vec<_>>(), [Reason::Drifted]);
            assert!(plan[0].risks.is_empty(), "{statement}: {plan:#?}");
            world.apply(plan).await;
            assert_eq!(world.plan().await, Vec::new(), "after {statement}");
            let now = read("postgres", &options).await.unwrap();
            let sorted = |text: &str| {
                let mut parts: Vec<String> = text.split([' ', ';']).map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert_eq!(sorted(&now), sorted(&expected), "after {statement}");
        }
        // A setting that only a superuser may set.
        declare(&mut world, |shop| drop(shop.databases[0].settings.insert("app.Tenant".to_owned(), "it's".to_owned())));
        if lesser {
            let plan = world.plan().await;
            let reason = blocked(&plan);
            assert!(reason.contains("GRANT SET ON PARAMETER \"app.tenant\" TO "), "{reason}");
            assert!(reason.contains("(connection limit)"), "{reason}");
        } else {
            world.converge().await;
            let mut shop = world.sign_in("shop", &database).await.unwrap();
            let shown: String = sqlx::query_scalar("SHOW app.tenant").fetch_one(&mut shop).await.unwrap();
            assert_eq!(shown, "it's");
        }
        // Another spelling of the same is no difference but to the state.
        declare(&mut world, |shop| {
            let database = &mut shop.databases[0];
            database.encoding = Some("utf-8".to_owned());
            database.locale = Some("C.UTF-8".to_owned());
        });
        let plan = world.plan().await;
        let fields = fields(&plan);
        assert_eq!(fields, if lesser { vec!["connection_limit", "settings"] } else { vec!["settings"] }, "{plan:#?}");
        assert!(plan[0].reasons.contains(&Reason::ChangedInSpec) && plan[0].runs());
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        let unset = format!(
            "SELECT count(*)::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
             WHERE datname = '{database}'"
        );
        assert_eq!(read("postgres", &unset).await.unwrap(), "0");
        world.drop_all().await;
    }
}

#[tokio::test]
async fn taking_settings_or_connections_away_when_adopting_is_asked_for() {
    for (index, (by_hand, asks)) in [
        ("SET work_mem TO '1MB'", true),
        ("CONNECTION LIMIT 20", true),
        ("CONNECTION LIMIT 5", false),
        ("ALLOW_CONNECTIONS false", false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = World::new(ServiceId::Postgres, &format!("dbadopt{index}"));
        let (owner, database) = (world.plain("shop_owner"), world.plain("shop_db"));
        world.as_admin("postgres", &format!("CREATE ROLE {owner}")).await;
        world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {owner} CONNECTION LIMIT 10")).await;
        world.as_admin("postgres", &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await;
        world.as_admin("postgres", &format!("ALTER DATABASE {database} {by_hand}")).await;
        declare(&mut world, |shop| shop.databases[0].connection_limit = Some(10));
        let plan = world.plan().await;
        let step = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
        assert_eq!(step.reasons.iter().copied().collect::<Vec<_>>(), [Reason::NotOursYet]);
        assert_eq!(step.risks.contains(&Risk::Interrupts), asks, "{by_hand}: {step:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        world.drop_all().await;
    }
}

#[tokio::test]
async fn what_is_fixed_or_not_ours_to_move_is_explained() {
    let mut world = World::new(ServiceId::Postgres, "dbfixed");
    let database = world.plain("shop_db");
    declare(&mut world, |shop| {
        shop.databases[0].encoding = Some("SQL_ASCII".to_owned());
        shop.databases[0].locale = Some("C".to_owned());
    });
    world.converge().await;
    let row = format!(
        "SELECT pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype || ' ' || \
         (to_jsonb(d) ->> 'datlocprovider') FROM pg_database d WHERE datname = '{database}'"
    );
    assert_eq!(read("postgres", &row).await.unwrap(), "SQL_ASCII C C c");

    declare(&mut world, |shop| shop.databases[0].encoding = Some("UTF8".to_owned()));
    let plan = world.plan().await;
    assert_eq!(fields(&plan), ["encoding"]);
    let reason = blocked(&plan);
    assert!(reason.contains("it is SQL_ASCII, the infraspec wants UTF8") && reason.contains("remove `encoding`"));
    assert!(!reason.contains("until then"), "{reason}");
    declare(&mut world, |shop| {
        shop.databases[0].locale = Some("C.utf8".to_owned());
        shop.databases[0].locale_provider = Some("icu".to_owned());
        shop.databases[0].connection_limit = Some(3);
    });
    let reason = blocked(&world.plan().await);
    for expected in ["the locale is fixed", "it is C, the infraspec wants C.utf8", "it is libc", "(connection limit)"] {
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    declare(&mut world, |shop| shop.databases[0].tablespace = Some("fast".to_owned()));
    let reason = blocked(&world.plan().await);
    assert!(reason.contains("no tablespace \"fast\"") && reason.contains("pg_default"), "{reason}");
    // A new database: what this server cannot do at all.
    for (provider, locale, expected) in [("icu", None, "ICU"), ("builtin", None, "builtin locale provider needs")] {
        declare(&mut world, |shop| {
            shop.databases[0].name = world_name(&database);
            shop.databases[0].locale_provider = Some(provider.to_owned());
            shop.databases[0].locale = locale;
        });
        let plan = world.plan().await;
        let step = plan.iter().find(|step| step.action == Action::Create).unwrap();
        assert!(matches!(&step.hold, Some(Hold::Blocked { reason }) if reason.contains(expected)), "{step:#?}");
    }
    world.drop_all().await;
}

fn world_name(database: &str) -> String {
    format!("{database}_new")
}

#[tokio::test]
async fn locales_of_other_providers_are_made_and_stay_as_they_are() {
    let mut world = World::new(ServiceId::Postgres, "dblocale");
    let builtin = read("postgres", "SELECT current_setting('server_version_num')").await.unwrap().as_str() >= "170000";
    let icu = read("postgres", "SELECT count(*)::text FROM pg_collation WHERE collprovider = 'i'").await.unwrap();
    let available = [
        ("builtin", "C.UTF-8", builtin),
        ("builtin", "C", builtin),
        ("icu", "en-US", icu.len() > 1),
        ("icu", "en_US", icu.len() > 1),
    ];
    let mut databases = Vec::new();
    for (provider, locale, _) in available.iter().filter(|(_, _, available)| *available) {
        let mut database = postgres::database(world.plain(&format!("shop_{}", databases.len())));
        database.locale_provider = Some((*provider).to_owned());
        database.locale = Some((*locale).to_owned());
        databases.push(database);
    }
    assert!(!databases.is_empty(), "one of the two providers is in each server that tests run on");
    declare(&mut world, |shop| shop.databases.clone_from(&databases));
    world.converge().await;
    for database in &databases {
        let row = format!(
            "SELECT concat(to_jsonb(d) ->> 'datlocprovider', ' ', to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> \
             'daticulocale') FROM pg_database d WHERE datname = '{}'",
            database.name
        );
        let provider = &database.locale_provider.as_ref().unwrap()[..1];
        let made = read("postgres", &row).await.unwrap();
        // From 16 on ICU's are kept as language tags, however they were written.
        let same = |text: &str| if provider == "i" { text.replace('_', "-") } else { text.to_owned() };
        assert_eq!(same(&made), same(&format!("{provider} {}", database.locale.as_ref().unwrap())));
    }
    // One that the operating system does not have: only the server can tell.
    let mut other = postgres::database(world.plain("shop_other"));
    other.locale = Some("tlh_QO.utf8".to_owned());
    databases.push(other);
    declare(&mut world, |shop| shop.databases = databases);
    let refused = world.try_apply(world.plan().await).await.unwrap_err();
    assert!(refused.contains("locale -a"), "{refused}");
    world.drop_all().await;
}

#[tokio::test]
async fn a_closed_database_is_closed_last_and_opens_again() {
    for lesser in [false, true] {
        let mut world = World::new(ServiceId::Postgres, if lesser { "dbshutless" } else { "dbshut" });
        if lesser {
            world.become_lesser_admin().await;
        }
        let database = world.plain("shop_db");
        let closed = |shop: &mut Spec| shop.databases[0].closed = true;
        declare(&mut world, closed);
        let plan = world.plan().await;
        let last = plan.iter().rfind(|step| step.address == database_address(&database)).unwrap();
        assert_eq!(last.part, Part::Close);
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        let denied = postgres::connect(&variable("NORNPLAN_POSTGRES_USER"), None, &database).await;
        assert_eq!(postgres::code(denied.map(drop)), "55000");

        // From outside it is kept as declared all the same; what is inside waits.
        for statement in [
            format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC"),
            format!("ALTER DATABASE {database} SET work_mem TO '1MB'; ALTER DATABASE {database} CONNECTION LIMIT 7"),
            format!("ALTER DATABASE {database} OWNER TO {}", world.plain("shop_user")),
        ] {
            world.as_admin("postgres", &statement).await;
            let plan = world.plan().await;
            assert!(plan.iter().all(|step| step.runs()), "{statement}: {plan:#?}");
            world.apply(plan).await;
            assert_eq!(world.plan().await, Vec::new(), "after {statement}");
        }
        let trusted = world.extension("citext").await.expect("both servers have citext");
        let reader = |shop: &mut Spec, name| assert!(shop.readers.insert(name));
        world.declare("report", app(&world, "report"));
        let report = world.name("report");
        declare(&mut world, |shop| {
            closed(shop);
            reader(shop, report.clone());
            postgres::extend(shop, Some(trusted.clone()));
        });
        let plan = world.plan().await;
        let held: Vec<&Step> = plan.iter().filter(|step| !step.runs()).collect();
        assert_eq!(held.len(), 1, "{plan:#?}");
        let why = held[0].hold.as_ref().unwrap();
        assert!(
            matches!(why, Hold::Blocked { reason } if reason.contains("remove `allow_connections = false`")),
            "{why:?}"
        );

        // One plan opens it and does what waited.
        declare(&mut world, |shop| {
            reader(shop, report);
            postgres::extend(shop, Some(trusted));
        });
        let plan = world.plan().await;
        assert!(plan.iter().all(|step| step.runs()), "{plan:#?}");
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        let count = "SELECT count(*)::text FROM pg_extension WHERE extname = 'citext'";
        assert_eq!(read(&database, count).await.unwrap(), "1");
        world.sign_in("report", &database).await.unwrap();

        // Closed again: a step of its own where nothing else changes. And it is dropped with a dump.
        let report = world.name("report");
        declare(&mut world, |shop| {
            closed(shop);
            reader(shop, report);
            postgres::extend(shop, Some("citext".to_owned()));
        });
        let plan = world.plan().await;
        assert_eq!(fields(&plan), ["allow_connections"]);
        assert_eq!(plan[0].risks.iter().copied().collect::<Vec<_>>(), [Risk::Interrupts]);
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        world.forget("shop");
        postgres::eventually(|| world.sessions(&database)).await;
        let plan = world.plan().await;
        world.apply(plan).await;
        assert_eq!(world.plan().await, Vec::new());
        assert_eq!(world.snapshots().len(), 1);
        world.drop_all().await;
    }
}

#[tokio::test]
async fn what_a_cancelled_drop_left_is_explained_and_can_be_dropped() {
    let mut world = World::new(ServiceId::Postgres, "dbinvalid");
    let database = world.plain("shop_db");
    declare(&mut world, |_| {});
    world.converge().await;
    let break_it = format!("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{database}'");
    world.as_admin("postgres", &break_it).await;
    let plan = world.plan().await;
    assert_eq!(fields(&plan), ["invalid"]);
    let reason = blocked(&plan);
    assert!(reason.contains(&format!("Run DROP DATABASE \"{database}\"")), "{reason}");
    world.lose_state();
    assert!(blocked(&world.plan().await).contains("cancelled"));

    // By hand, and it comes again.
    world.as_admin("postgres", &format!("DROP DATABASE {database}")).await;
    world.converge().await;
    world.sign_in("shop", &database).await.unwrap();

    // Not wanted any more: it goes, and nothing is there to dump.
    postgres::eventually(|| world.sessions(&database)).await;
    world.as_admin("postgres", &break_it).await;
    world.forget("shop");
    let plan = world.plan().await;
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    assert_eq!(world.snapshots().len(), 0);
    world.drop_all().await;
}

#[tokio::test]
async fn what_a_killed_creation_left_is_finished_without_asking() {
    let mut world = World::new(ServiceId::Postgres, "dbkilled");
    declare(&mut world, |shop| {
        shop.databases[0].closed = true;
        shop.databases[0].connection_limit = Some(4);
        shop.databases[0].settings.insert("work_mem".to_owned(), "8MB".to_owned());
        postgres::extend(shop, Some("citext".to_owned()));
    });
    let (database, owner) = (world.plain("shop_db"), world.plain("shop_owner"));
    world.as_admin("postgres", &format!("CREATE ROLE {owner}")).await;
    world.as_admin("postgres", &format!("CREATE DATABASE {database} OWNER {owner} CONNECTION LIMIT 0")).await;
    let plan = world.plan().await;
    let step = plan.iter().find(|step| step.address == database_address(&database)).unwrap();
    assert_eq!((step.part, step.action), (Part::Main, Action::Update));
    assert!(matches!(&step.after, Some(Model::PostgresDatabase(after)) if after.allow_connections), "{step:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let row = format!("SELECT datconnlimit || ' ' || datallowconn FROM pg_database WHERE datname = '{database}'");
    assert_eq!(read("postgres", &row).await.unwrap(), "4 false");
    world.drop_all().await;
}

#[tokio::test]
async fn who_is_connected_through_public_is_named() {
    let mut world = World::new(ServiceId::Postgres, "throughpublic");
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    let database = shop.databases[0].name.clone();
    world.as_admin("postgres", &format!("CREATE DATABASE {database}")).await;
    let (metabase, grafana, reader) = (world.plain("metabase"), world.plain("grafana"), world.plain("report_user"));
    let mut sessions = Vec::new();
    for (role, number) in [(&metabase, 2), (&grafana, 1), (&reader, 1)] {
        world.as_admin("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'old'")).await;
        for _ in 0..number {
            sessions.push(connect(role, Some("old"), &database).await.unwrap());
        }
    }
    world.declare("shop", shop);
    let mut report = app(&world, "report");
    report.credential = Credential::Keep;
    world.declare("report", report);
    let told = format!(
        "connected now through PUBLIC: {grafana} (1 session), {metabase} (2 sessions): they cannot sign in again; declare \
         them in `grants` or `readers`"
    );
    world.apply(world.plan().await.into_iter().filter(|step| step.app == world.name("report")).collect()).await;
    assert_eq!(of_database(&world.plan().await).notes, [told]);
    drop(sessions);
    // Who has CONNECT of its own is not shut out, nor who is not there.
    world.as_admin("postgres", &format!("GRANT CONNECT ON DATABASE {database} TO {metabase}")).await;
    let _session = connect(&metabase, Some("old"), &database).await.unwrap();
    for _ in 0..100 {
        if of_database(&world.plan().await).notes.is_empty() {
            world.drop_all().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", of_database(&world.plan().await).notes);
}
