//! PostgreSQL's roles: what somebody changes by hand is named and repaired, passwords stay out of the server's log, and
//! a role goes only when nothing depends on it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::change::Cause;
use nornplan::core::step::{Action, Part, Reason, Risk};
use nornplan::services::postgres::model::{Credential, role_address};
use nornplan::services::{ServiceId, Step, Verdict};
use postgres::{app, blocked_drop, drop_of, rows};
use std::path::{Path, PathBuf};
use support::{World, variable};

/// The fields that a plan changes, as `role.field`, of the roles of this test.
fn changed(world: &World, plan: &[Step]) -> Vec<String> {
    let role = |step: &Step| step.address.name.trim_start_matches(&format!("{}_", world.prefix)).to_owned();
    let fields = plan.iter().flat_map(|step| {
        step.changes.iter().map(move |change| {
            assert_eq!(change.cause, Cause::Drifted, "{step:#?}");
            format!("{}.{}", role(step), change.field)
        })
    });
    fields.collect()
}

/// Whether each grantor's membership is a row of its own.
async fn has_grantors() -> bool {
    rows("postgres", "SELECT current_setting('server_version_num')").await[0].parse::<u32>().unwrap() >= 160_000
}

/// All that the catalogs know of some roles, read without nornplan; for ever is for ever, however it was said.
async fn catalogs(roles: &[&str]) -> Vec<String> {
    let names: Vec<String> = roles.iter().map(|role| format!("'{role}'")).collect();
    let names = names.join(", ");
    let mut all = rows(
        "postgres",
        &format!(
            "SELECT rolname || concat_ws(' ', '', rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, \
         rolbypassrls, rolconnlimit, coalesce(rolvaliduntil, 'infinity')) FROM pg_roles WHERE rolname IN ({names}) \
         ORDER BY 1"
        ),
    )
    .await;
    all.extend(
        rows(
            "postgres",
            &format!(
                "SELECT setrole::regrole || ' in ' || setdatabase || ': ' || setconfig::text FROM pg_db_role_setting \
             WHERE setrole::regrole::text IN ({names}) ORDER BY 1"
            ),
        )
        .await,
    );
    all.extend(
        rows(
            "postgres",
            &format!(
                "SELECT member::regrole || ' is in ' || roleid::regrole FROM pg_auth_members \
             WHERE roleid::regrole::text IN ({names}) OR member::regrole::text IN ({names}) ORDER BY 1"
            ),
        )
        .await,
    );
    all
}

#[tokio::test]
async fn whatever_drifts_of_a_role_is_named_and_repaired() {
    let mut world = World::new(ServiceId::Postgres, "rdrift");
    let mut shop = app(&world, "shop");
    shop.connection_limit = Some(7);
    shop.settings.insert("statement_timeout".to_owned(), "30s".to_owned());
    world.declare("shop", shop);
    world.converge().await;
    let (user, owner, database) = (world.plain("shop_user"), world.plain("shop_owner"), world.plain("shop_db"));
    let (group, boss) = (world.plain("group"), world.plain("boss"));
    world.as_admin("postgres", &format!("CREATE ROLE {group}; CREATE ROLE {boss} LOGIN")).await;
    let as_wanted = catalogs(&[&user, &owner]).await;
    assert!(as_wanted.len() == 3, "{as_wanted:?}");

    let mut by_hand: Vec<(String, Vec<&str>)> = Vec::new();
    for attribute in ["SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"] {
        by_hand.push((format!("ALTER ROLE {user} {attribute}"), vec!["shop_user.attributes"]));
        by_hand.push((format!("ALTER ROLE {owner} {attribute}"), vec!["shop_owner.attributes"]));
    }
    for moment in ["2001-02-03 04:05:06+07", "2100-01-01", "-infinity"] {
        by_hand.push((format!("ALTER ROLE {user} VALID UNTIL '{moment}'"), vec!["shop_user.valid_until"]));
    }
    let in_databases = format!(
        "ALTER ROLE {user} IN DATABASE {database} SET statement_timeout = '1h'; \
         ALTER ROLE {user} IN DATABASE postgres SET search_path = elsewhere, public; \
         ALTER ROLE {user} IN DATABASE postgres SET \"odd.name\" = 'x=y'"
    );
    let through_many = format!(
        "GRANT {owner} TO {boss} WITH ADMIN OPTION; SET ROLE {boss}; GRANT {owner} TO {group}; RESET ROLE; \
         GRANT {owner} TO {group}"
    );
    let others = [
        (format!("ALTER ROLE {user} NOLOGIN"), vec!["shop_user.login"]),
        (format!("ALTER ROLE {owner} LOGIN"), vec!["shop_owner.login"]),
        (format!("ALTER ROLE {user} CONNECTION LIMIT -1"), vec!["shop_user.connection_limit"]),
        (format!("ALTER ROLE {owner} CONNECTION LIMIT 3"), vec!["shop_owner.connection_limit"]),
        (format!("ALTER ROLE {user} SET statement_timeout = '1h'"), vec!["shop_user.settings"]),
        (format!("ALTER ROLE {user} RESET ALL; ALTER ROLE {user} SET work_mem = '8MB'"), vec!["shop_user.settings"]),
        (in_databases, vec!["shop_user.settings_in_databases"]),
        (format!("GRANT {group} TO {user}"), vec!["shop_user.member_of"]),
        (format!("GRANT pg_read_all_data TO {user} WITH ADMIN OPTION"), vec!["shop_user.member_of"]),
        (format!("GRANT {owner} TO {boss}"), vec!["shop_owner.members"]),
        (format!("GRANT {owner} TO {user}"), vec!["shop_owner.members", "shop_user.member_of"]),
        (through_many, vec!["shop_owner.members"]),
        (
            format!("GRANT {owner} TO {user}; ALTER ROLE {owner} CREATEDB; ALTER ROLE {user} VALID UNTIL '2001-01-01'"),
            vec!["shop_owner.attributes", "shop_owner.members", "shop_user.valid_until", "shop_user.member_of"],
        ),
    ];
    by_hand.extend(others);
    if has_grantors().await {
        for options in ["ADMIN TRUE, INHERIT FALSE, SET FALSE", "INHERIT FALSE", "SET FALSE"] {
            by_hand.push((format!("GRANT {owner} TO {boss} WITH {options}"), vec!["shop_owner.members"]));
        }
    }
    for (statement, expected) in by_hand {
        world.as_admin("postgres", &statement).await;
        assert_ne!(catalogs(&[&user, &owner]).await, as_wanted, "{statement}");
        let plan = world.plan().await;
        assert_eq!(changed(&world, &plan), expected, "{statement}");
        world.apply(plan).await;
        assert_eq!(catalogs(&[&user, &owner]).await, as_wanted, "after {statement}");
        assert_eq!(world.plan().await, Vec::new(), "after {statement}");
    }
    world.sign_in("shop", &database).await.unwrap();
    world.drop_all().await;
}

#[tokio::test]
async fn what_an_adopted_role_would_lose_is_asked_for_and_who_is_ignored_keeps_it() {
    let mut world = World::new(ServiceId::Postgres, "radopt");
    let (user, owner) = (world.plain("shop_user"), world.plain("shop_owner"));
    let (dba, monitor, helper) = (world.plain("dba_anna"), world.plain("monitor"), world.plain("helper"));
    let boss = world.plain("boss");
    world
        .as_admin(
            "postgres",
            &format!(
                "CREATE ROLE {owner}; CREATE ROLE {user} LOGIN; CREATE ROLE {dba}; CREATE ROLE {monitor}; \
                 CREATE ROLE {helper}; CREATE ROLE {boss} SUPERUSER; \
                 GRANT {owner} TO {dba}; GRANT {monitor} TO {user}; GRANT {owner} TO {boss}; GRANT {owner} TO {helper}"
            ),
        )
        .await;
    world.config.postgres.ignore_roles = [world.plain("dba_*"), monitor.clone()].into();
    world.connect();
    world.declare("shop", app(&world, "shop"));
    let plan = world.plan().await;
    let step = |name: &str| plan.iter().find(|step| step.address == role_address(name) && step.part == Part::Main);
    let taken = step(&owner).unwrap();
    assert_eq!(taken.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["members"]);
    assert_eq!(taken.changes[0].before, serde_json::json!([helper]));
    assert!(taken.reasons.contains(&Reason::NotOursYet) && taken.risks.contains(&Risk::Interrupts), "{taken:#?}");
    assert_eq!(step(&user).unwrap().action, Action::Adopt);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let left = rows(
        "postgres",
        &format!(
            "SELECT member::regrole || ' in ' || roleid::regrole FROM pg_auth_members \
         WHERE roleid::regrole::text LIKE '{}%' ORDER BY 1",
            world.prefix
        ),
    )
    .await;
    assert_eq!(left, [format!("{boss} in {owner}"), format!("{dba} in {owner}"), format!("{user} in {monitor}")]);

    // What is no longer ignored is drift from then on, and settings that somebody made are asked for like members.
    world.config.postgres.ignore_roles.clear();
    world.connect();
    assert_eq!(changed(&world, &world.plan().await), ["shop_owner.members", "shop_user.member_of"]);
    world.converge().await;
    world.lose_state();
    world.as_admin("postgres", &format!("ALTER ROLE {user} IN DATABASE postgres SET work_mem = '9MB'")).await;
    let plan = world.plan().await;
    let asked = plan.iter().find(|step| step.address == role_address(&user)).unwrap();
    assert!(asked.risks.contains(&Risk::Interrupts), "{asked:#?}");
    world.drop_all().await;
}

#[tokio::test]
async fn a_kept_role_is_its_peoples_business() {
    let mut world = World::new(ServiceId::Postgres, "rkeep");
    let mut shop = app(&world, "shop");
    shop.credential = Credential::Keep;
    shop.settings.insert("statement_timeout".to_owned(), "30s".to_owned());
    world.declare("shop", shop);
    world.converge().await;
    let (user, group, team) = (world.plain("shop_user"), world.plain("group"), world.plain("team"));
    world
        .as_admin(
            "postgres",
            &format!(
                "CREATE ROLE {group}; CREATE ROLE {team}; GRANT {group} TO {user}; GRANT {user} TO {team}; \
                 ALTER ROLE {user} VALID UNTIL '2001-01-01' CREATEDB; ALTER ROLE {user} SET work_mem = '9MB'; \
                 ALTER ROLE {user} IN DATABASE postgres SET work_mem = '8MB'"
            ),
        )
        .await;
    let theirs = catalogs(&[&user]).await;
    assert_eq!(world.plan().await, Vec::new());
    // What is declared is kept all the same, beside a change to what is not.
    world.as_admin("postgres", &format!("ALTER ROLE {user} SET statement_timeout = '1h'")).await;
    let plan = world.plan().await;
    assert_eq!(changed(&world, &plan), ["shop_user.settings"]);
    world.as_admin("postgres", &format!("REVOKE {user} FROM {team}; ALTER ROLE {user} VALID UNTIL '2002-01-01'")).await;
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.as_admin("postgres", &format!("GRANT {user} TO {team}; ALTER ROLE {user} VALID UNTIL '2001-01-01'")).await;
    assert_eq!(catalogs(&[&user]).await, theirs);
    world.drop_all().await;
}

#[tokio::test]
async fn a_lesser_administrator_repairs_what_it_may_and_names_who_must_do_the_rest() {
    let mut world = World::new(ServiceId::Postgres, "rless");
    let superusers = world.config.postgres.clone();
    world.become_lesser_admin().await;
    world.declare("shop", app(&world, "shop"));
    world.converge().await;
    let (user, owner, helper) = (world.plain("shop_user"), world.plain("shop_owner"), world.plain("helper"));
    // Its own memberships, by which it acts for the owner, are no drift: neither for itself nor for another.
    let own =
        rows("postgres", &format!("SELECT count(*)::text FROM pg_auth_members WHERE roleid = '{owner}'::regrole"))
            .await;
    assert_ne!(own, ["0"]);
    world.as_itself(&format!("CREATE ROLE {helper}; GRANT {owner} TO {helper}")).await;
    let plan = world.plan().await;
    assert_eq!(changed(&world, &plan), ["shop_owner.members"]);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let kept =
        rows("postgres", &format!("SELECT count(*)::text FROM pg_auth_members WHERE roleid = '{owner}'::regrole"))
            .await;
    assert_eq!(kept, own);

    // Another administrator takes away by what this one acts, and leaves the mark by which it may come back.
    world.as_itself(&format!("REVOKE {owner} FROM CURRENT_USER; GRANT {owner} TO CURRENT_USER")).await;
    let lessers = std::mem::replace(&mut world.config.postgres, superusers);
    world.connect();
    let plan = world.plan().await;
    assert_eq!(changed(&world, &plan), ["shop_owner.members"]);
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.config.postgres = lessers;
    world.connect();
    world.as_itself(&format!("GRANT {owner} TO CURRENT_USER; ALTER ROLE {owner} CONNECTION LIMIT -1")).await;
    assert_eq!(world.plan().await, Vec::new());

    let superuser = variable("NORNPLAN_POSTGRES_USER");
    world.as_admin("postgres", &format!("GRANT {owner} TO {helper}")).await;
    let plan = world.plan().await;
    let applied = world.try_apply(plan).await;
    if has_grantors().await {
        let refused = applied.unwrap_err();
        let expected = format!("{helper} is still a member of {owner} (granted by {superuser})");
        assert!(refused.contains(&expected), "{refused}");
        let statement = format!("REVOKE \"{owner}\" FROM \"{helper}\" GRANTED BY \"{superuser}\"");
        assert!(refused.contains(&format!("help: sign in as who granted it, or as a superuser, and run: {statement}")));
        world.as_admin("postgres", &statement).await;
    } else {
        applied.unwrap();
    }
    assert_eq!(world.plan().await, Vec::new());

    // An expired password looks like a wrong one to whoever may not read verifiers; it is not rotated for that.
    world.as_admin("postgres", &format!("ALTER ROLE {user} VALID UNTIL '2001-01-01'")).await;
    let plan = world.plan().await;
    assert_eq!(changed(&world, &plan), ["shop_user.valid_until"]);
    assert!(plan.iter().all(|step| step.action == Action::Update), "{plan:#?}");
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    world.sign_in("shop", &world.plain("shop_db")).await.unwrap();
    world.drop_all().await;
}

/// The server's log, which lies beside its data.
async fn log_file() -> PathBuf {
    let data = rows("postgres", "SHOW data_directory").await.remove(0);
    let beside = Path::new(&data).ancestors().map(|place| place.join("log/postgres.log")).find(|file| file.is_file());
    beside.unwrap_or_else(|| Path::new(&variable("INFRA_DIR")).join("log/postgres.log"))
}

/// What makes the server write every statement of a role down.
const LOUD: [&str; 5] = [
    "log_statement = 'all'",
    "log_min_error_statement = 'info'",
    "log_min_duration_statement = 0",
    "log_transaction_sample_rate = 1",
    "debug_print_parse = on",
];

#[tokio::test]
async fn no_password_and_no_verifier_is_in_the_servers_log() {
    let log = log_file().await;
    for superuser in [true, false] {
        let mut world = World::new(ServiceId::Postgres, if superuser { "rlogs" } else { "rlogl" });
        world.become_lesser_admin().await;
        let admin = world.plain("zz_admin");
        let parameters = "log_statement, log_min_error_statement, log_min_duration_statement, \
                          log_min_duration_sample, log_transaction_sample_rate";
        if superuser {
            world.as_admin("postgres", &format!("ALTER ROLE {admin} SUPERUSER")).await;
        } else {
            world.as_admin("postgres", &format!("GRANT SET ON PARAMETER {parameters} TO {admin}")).await;
        }
        for parameter in LOUD {
            world.as_admin("postgres", &format!("ALTER ROLE {admin} SET {parameter}")).await;
        }
        let (user, control) = (world.plain("shop_user"), world.plain("control_word"));
        let mut passwords = Vec::new();

        // One creation that fails, one that succeeds, a rotation, and one that fails.
        let mut shop = app(&world, "shop");
        shop.settings.insert("work_mem".to_owned(), "plenty".to_owned());
        world.declare("shop", shop);
        // The plan says beforehand that it cannot be done: what if it were tried?
        let mut plan = world.plan().await;
        assert!(plan.iter_mut().any(|step| step.hold.take().is_some()));
        assert!(world.try_apply(plan).await.unwrap_err().contains("work_mem"));
        world.declare("shop", app(&world, "shop"));
        world.converge().await;
        passwords.push(world.password(&world.name("shop")));
        let mut stored = rows("postgres", &format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'")).await;
        world.rotate.insert(world.name("shop"));
        world.apply(world.plan().await).await;
        passwords.push(world.password(&world.name("shop")));
        stored.extend(rows("postgres", &format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'")).await);
        if !superuser {
            world.as_admin("postgres", &format!("ALTER ROLE {user} SUPERUSER")).await;
            let mut plan = world.plan().await;
            plan.retain(|step| step.part == Part::Credential);
            assert_eq!(plan.len(), 1);
            // The plan says beforehand that it cannot be done: what if it were tried?
            for step in &mut plan {
                step.needs.clear();
                assert!(step.hold.take().is_some());
            }
            world.try_apply(plan).await.unwrap_err();
            world.as_admin("postgres", &format!("ALTER ROLE {user} NOSUPERUSER")).await;
        }
        world.rotate.clear();

        // The same administrator's own statement is in the log: it is this log, and it is loud.
        world.as_itself(&format!("ALTER ROLE {user} PASSWORD '{control}'")).await;
        let logged = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        assert!(logged.contains(&format!("ALTER ROLE {user} PASSWORD '{control}'")));
        assert!(stored.len() == 2 && stored.iter().all(|verifier| verifier.starts_with("SCRAM-SHA-256$")));
        for secret in passwords.iter().chain(&stored) {
            assert!(!logged.contains(secret), "a secret is in the server's log");
        }
        let shown = logged.lines().filter(|line| line.contains(&world.prefix) && line.contains("SCRAM-SHA-256$"));
        assert_eq!(shown.count(), 0, "a verifier is in the server's log");
        if !superuser {
            world.as_admin("postgres", &format!("REVOKE SET ON PARAMETER {parameters} FROM {admin}")).await;
        }
        world.drop_all().await;
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_kept_quiet_is_warned_of() {
    let mut world = World::new(ServiceId::Postgres, "rwarn");
    world.become_lesser_admin().await;
    let admin = world.plain("zz_admin");
    world.as_admin("postgres", &format!("ALTER ROLE {admin} SET log_statement = 'ddl'")).await;
    let mut shop = app(&world, "shop");
    shop.credential = Credential::Keep;
    world.declare("shop", shop.clone());
    assert_eq!(world.observe().await.notices, Vec::new());
    shop.credential = Credential::Generate;
    world.declare("shop", shop);
    let notices = world.observe().await.notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    let text = &notices[0].text;
    assert!(text.contains("verifiers of new passwords, not the passwords") && text.contains("log_statement = ddl"));
    let doctor = world.service().examine(&world.ask()).await;
    let line = doctor.iter().find(|check| check.what.contains("verifiers")).unwrap();
    assert_eq!(line.verdict, Verdict::Warning);

    // What it says is what helps.
    let statement = line.hint.clone().unwrap().replace("as a superuser: ", "");
    assert!(text.ends_with(&statement) && statement.starts_with("GRANT SET ON PARAMETER"), "{text}");
    world.as_admin("postgres", &statement).await;
    assert_eq!(world.observe().await.notices, Vec::new());
    let doctor = world.service().examine(&world.ask()).await;
    assert!(doctor.iter().any(|check| check.what.contains("verifiers") && check.verdict == Verdict::Good));
    world.as_admin("postgres", &statement.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")).await;
    world.drop_all().await;
}

#[tokio::test]
async fn a_renamed_user_is_not_dropped_with_what_is_not_handed_over() {
    let mut world = World::new(ServiceId::Postgres, "rrename");
    let mut shop = app(&world, "shop");
    shop.readers.insert(world.name("report"));
    world.declare("shop", shop.clone());
    world.declare("report", app(&world, "report"));
    world.converge().await;
    let (old, new, database) = (world.plain("shop_user"), world.plain("shop_new"), world.plain("shop_db"));
    let mut session = world.sign_in("shop", &database).await.unwrap();
    // Publications are left to who replicates.
    let made = "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1); CREATE PUBLICATION news FOR TABLE kept";
    postgres::run(&mut session, made).await.unwrap();
    drop(session);

    shop.user.clone_from(&new);
    world.declare("shop", shop);
    let plan = world.plan().await;
    // What the plan hands over or revokes is not told.
    assert_eq!(drop_of(&plan, &old).notes, Vec::<String>::new());
    let refused = world.try_apply(plan).await.unwrap_err();
    assert!(refused.contains("not dropped: it owns 1 object") && refused.contains("publication news"), "{refused}");
    assert!(refused.contains(&format!("REASSIGN OWNED BY \"{old}\" TO <its new owner>")), "{refused}");
    assert_eq!(rows("postgres", &format!("SELECT rolname::text FROM pg_roles WHERE rolname = '{old}'")).await, [&*old]);

    let plan = world.plan().await;
    let notes = blocked_drop(&plan, &old);
    let solution = format!("in database {database}: REASSIGN OWNED BY \"{old}\" TO \"{new}\"; DROP OWNED BY \"{old}\"");
    assert!(notes.contains("it cannot be dropped while it owns 1 object"), "{notes}");
    assert!(notes.contains(&format!(" in database {database}")) && notes.contains(&solution), "{notes}");
    let statements = solution.split_once(": ").unwrap().1.to_owned();
    world.as_admin(&database, &statements).await;
    let plan = world.plan().await;
    assert_eq!(drop_of(&plan, &old).notes, Vec::<String>::new());
    world.apply(plan).await;
    assert_eq!(world.plan().await, Vec::new());
    let mut session = postgres::connect(&new, Some(&world.password(&world.name("shop"))), &database).await.unwrap();
    postgres::run(&mut session, "INSERT INTO kept VALUES (2)").await.unwrap();
    drop(session);
    world.drop_all().await;
}

#[tokio::test]
async fn what_others_let_a_role_do_stands_in_the_way_of_its_drop() {
    let mut world = World::new(ServiceId::Postgres, "rprivs");
    world.declare("shop", app(&world, "shop"));
    world.declare("old", app(&world, "old"));
    world.converge().await;
    let (user, other) = (world.plain("old_user"), world.plain("elsewhere"));
    let (owner, helper) = (world.plain("shop_owner"), world.plain("helper"));
    world.as_admin("postgres", &format!("CREATE DATABASE {other}")).await;
    world.as_admin(&other, &format!("CREATE TABLE theirs (id int); GRANT SELECT ON theirs TO {user}")).await;
    world.as_admin("postgres", &format!("CREATE ROLE {helper}; GRANT SET ON PARAMETER work_mem TO {user}")).await;
    // Memberships go with the role, and settings with the database, in whatever order the steps come.
    let (database, shop) = (world.plain("old_db"), world.plain("shop_user"));
    let ties = format!(
        "GRANT {owner} TO {user}; GRANT {user} TO {helper}; ALTER ROLE {owner} CREATEDB; \
         ALTER ROLE {shop} IN DATABASE {database} SET work_mem = '9MB'; ALTER ROLE {shop} CONNECTION LIMIT 3; \
         ALTER ROLE {user} IN DATABASE {database} SET work_mem = '9MB'"
    );
    world.as_admin("postgres", &ties).await;

    world.forget("old");
    let plan = world.plan().await;
    let notes = blocked_drop(&plan, &user);
    let expected = [
        format!("has privileges on 1 object in database {other}"),
        "has privileges on parameter work_mem".to_owned(),
        format!("in database {other}: DROP OWNED BY \"{user}\""),
    ];
    for words in &expected {
        assert!(notes.contains(words), "{notes}");
    }
    assert!(!notes.contains(&database) && !notes.contains("membership"), "{notes}");
    assert_eq!(drop_of(&plan, &world.plain("old_owner")).notes, Vec::<String>::new());
    // As if it had come in between.
    let plan = plan.into_iter().map(|step| Step { hold: None, ..step }).collect();
    let refused = world.try_apply(plan).await.unwrap_err();
    assert!(refused.contains(&expected[0]) && refused.contains("table public.theirs"), "{refused}");
    assert!(refused.contains(&expected[2]), "{refused}");

    world.as_admin(&other, &format!("DROP OWNED BY {user}")).await;
    world.converge().await;
    assert_eq!(
        rows("postgres", &format!("SELECT rolname::text FROM pg_roles WHERE rolname LIKE '{}%old%'", world.prefix))
            .await
            .len(),
        0
    );
    world.as_admin(&other, "SELECT * FROM theirs").await;
    world.drop_all().await;
}
