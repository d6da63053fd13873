//! Settings: what the plan says of those that cannot be set, and that it never says so of one that can.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

#[path = "support/postgres.rs"]
mod postgres;
mod support;

use nornplan::core::address::Address;
use nornplan::core::step::Hold;
use nornplan::services::postgres::model::{database_address, role_address};
use nornplan::services::{ServiceId, Step};
use postgres::{admin, app, read, rows};
use sqlx::Connection;
use std::collections::{BTreeMap, BTreeSet};
use support::World;

/// Values that some settings take and others do not, with bars between them.
const VALUES: &str = concat!(
    "|on|ON|oN | on|o|of|off|offf|t|fal|falsee|y|N|maybe|1|0|01|-1|2|5|20|100|8192|2147483647|2147483648|",
    "-2147483648|-2147483649|99999999999999999999|1e400|1e-400|0x10|0X1f kB|0x|0x1p3|0x1.8|-0x1|010|017MB|08|",
    "010.5|1e3|1E+3|1e|1e+|e5|1.5|.5|-.5|1.|.|0.5|2.5|0.49|-0.4|inf|-Infinity|nan|64kB|64KB|64 kB|64 k B|1MB|",
    "1024MB|0.0001GB|1.5GB|100TB|3000000TB|5B|8191B|8193B|1us|0.5us|499us|1000us|10ms|10.5ms|30s|2min|1h|1d|",
    "24d|25d|1 d|1d |1  min  |1m|1M B|1sec|1mins| 5|\t5|\u{b}5|+5|- 5|+-5|5 |5 5|5,5|5\u{e9}|\u{a0}5|debug|",
    "DEBUG3|info|notice|log|panic|none|ddl|pl|auto|local|remote_apply|safe_encoding|partition|hex|iso_8601|",
    "serializable|read committed|origin|replica|pglz|md5|scram-sha-256|force_custom_plan|content|base64|",
    "regress|try|cache|mmap|C|UTC|iso, dmy|public",
);

/// Names beside those that the server shows: mistyped, of old, hidden, of extensions and of nobody.
const NAMES: &[&str] =
    &["stutement_timeout", "sort_mem", "is_superuser", "seed", "app.tenant", "plpgsql.check_asserts", "plpgsql.nosuch"];

/// Whether the server takes a setting for a role; nothing is kept.
const TAKES: &str = "\
CREATE FUNCTION pg_temp.takes(role text, setting text, value text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER ROLE %I SET %I TO %L', role, setting, value);
  RAISE SQLSTATE 'ZZ999';
EXCEPTION WHEN SQLSTATE 'ZZ999' THEN RETURN true; WHEN OTHERS THEN RETURN false;
END $$";

/// Which settings the reason of a blocked step is about.
fn named(step: &Step) -> BTreeSet<String> {
    let Some(Hold::Blocked { reason }) = &step.hold else { return BTreeSet::new() };
    let name = |line: &str| {
        let rest = line.strip_prefix("the setting ").or_else(|| line.strip_prefix("this server has no setting "));
        let word = rest.unwrap_or_else(|| panic!("{line}")).split(' ').next().unwrap();
        word.trim_matches(['"', '.']).to_owned()
    };
    reason.lines().map(name).collect()
}

#[tokio::test]
async fn what_the_plan_calls_impossible_the_server_refuses() {
    let mut world = World::new(ServiceId::Postgres, "setall");
    let mut names = rows("postgres", "SELECT lower(name) FROM pg_settings WHERE name NOT LIKE '%.%'").await;
    names.extend(NAMES.iter().map(|name| (*name).to_owned()));
    for (index, value) in VALUES.split('|').enumerate() {
        let mut spec = app(&world, &format!("v{index}"));
        spec.settings = names.iter().map(|name| (name.clone(), value.to_owned())).collect();
        world.declare(&format!("v{index}"), spec);
    }
    let plan = world.plan().await;
    let step = |address| plan.iter().find(|step| step.address == address).unwrap();
    let probe = world.plain("probe");
    let mut connection = admin("postgres").await;
    postgres::run(&mut connection, &format!("BEGIN; CREATE ROLE {probe}; {TAKES}")).await.unwrap();
    let (mut foreseen, mut unforeseen, mut wrong) = (0, Vec::new(), Vec::new());
    for (index, value) in VALUES.split('|').enumerate() {
        let impossible = named(step(role_address(&world.plain(&format!("v{index}_user")))));
        let takes: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_temp.takes($1, name, $3) FROM unnest($2::text[]) WITH ORDINALITY n (name, at) ORDER BY at",
        )
        .bind(&probe)
        .bind(&names)
        .bind(value)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        for (name, taken) in names.iter().zip(takes) {
            match (impossible.contains(name), taken) {
                (true, true) => wrong.push(format!("{name} = {value:?}")),
                (true, false) => foreseen += 1,
                (false, false) => unforeseen.push(format!("{name} = {value:?}")),
                (false, true) => {}
            }
        }
    }
    postgres::run(&mut connection, "ROLLBACK").await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(wrong, Vec::<String>::new(), "the server takes what the plan calls impossible");
    // What is left is what only the server can tell: a time zone, a locale, an encoding.
    assert!(foreseen > 10 * unforeseen.len(), "{foreseen} were foreseen, not {}: {unforeseen:?}", unforeseen.len());
    let plain = |case: &&String| case.starts_with("statement_timeout") || case.starts_with("jit =");
    assert_eq!(unforeseen.iter().find(|case| plain(case) && !case.contains("1e") && !case.contains("0x")), None);
}

/// Why the step on an address is blocked.
fn blocked<'a>(plan: &'a [Step], address: &Address) -> &'a str {
    let step = plan.iter().find(|step| step.address == *address).unwrap_or_else(|| panic!("no step on {address}"));
    let Some(Hold::Blocked { reason }) = &step.hold else { panic!("{address} is not blocked: {step:#?}") };
    reason
}

fn set(settings: &mut BTreeMap<String, String>, name: &str, value: &str) {
    settings.insert(name.to_owned(), value.to_owned());
}

#[tokio::test]
async fn what_is_wrong_and_what_to_do_is_said() {
    let mut world = World::new(ServiceId::Postgres, "setwhy");
    let (user, database) = (role_address(&world.plain("shop_user")), database_address(&world.plain("shop_db")));
    for (name, value, why, next) in [
        ("stutement_timeout", "30s", "no setting \"stutement_timeout\"", "did you mean \"statement_timeout\"?"),
        ("statement_timeout", "30sec", "cannot be \"30sec\"", "units d, h, min, s, ms, us"),
        ("work_mem", "1kB", "cannot be \"1kB\"", "between 64 and 2147483647, in units of kB"),
        ("jit", "maybe", "cannot be \"maybe\"", "on or off"),
        ("client_min_messages", "warn", "one of debug5", "notice"),
        ("intervalstyle", "postgress", "one of ", "did you mean \"postgres\"?"),
        ("shared_buffers", "1GB", "of the whole server", "ALTER SYSTEM SET \"shared_buffers\" = '1GB', then restarts"),
        ("log_destination", "jsonlog", "of the whole server", "pg_reload_conf()"),
        ("server_version", "19", "cannot be set", "Remove it from the infraspec"),
        ("log_connections", "on", "before a session knows its role", "options='-c log_connections=on'"),
    ] {
        let mut shop = app(&world, "shop");
        set(&mut shop.settings, name, value);
        set(&mut shop.databases[0].settings, name, value);
        world.declare("shop", shop);
        let plan = world.plan().await;
        for address in [&user, &database] {
            let reason = blocked(&plan, address);
            assert!(reason.contains(why) && reason.contains(next), "{name}: {reason}");
        }
    }
    // Only what changes is looked at, and what else was to change waits with it.
    let mut shop = app(&world, "shop");
    set(&mut shop.settings, "work_mem", "1MB");
    world.declare("shop", shop.clone());
    world.converge().await;
    set(&mut shop.settings, "nosuch", "1");
    shop.connection_limit = Some(3);
    world.declare("shop", shop);
    let plan = world.plan().await;
    let reason = blocked(&plan, &user);
    assert!(reason.ends_with("until then nothing else of it is changed (connection limit)"), "{reason}");
    assert_eq!(plan.len(), 1, "{plan:#?}");
    world.drop_all().await;
}

/// What the plan says beforehand, and a run that tries it all the same is told by the server.
#[tokio::test]
async fn what_is_tried_all_the_same_is_explained() {
    let mut world = World::new(ServiceId::Postgres, "settry");
    world.become_lesser_admin().await;
    for (name, value, expected) in [
        ("stutement_timeout", "30s", "settings.stutement_timeout under [services.postgres]"),
        ("statement_timeout", "banana", "settings.statement_timeout under [services.postgres]"),
        ("client_min_messages", "banana", "Available values: debug5"),
        ("app.tenant", "x", "GRANT SET ON PARAMETER \"app.tenant\" TO "),
    ] {
        for of_database in [false, true] {
            let mut shop = app(&world, "shop");
            set(if of_database { &mut shop.databases[0].settings } else { &mut shop.settings }, name, value);
            world.declare("shop", shop);
            let mut plan = world.plan().await;
            assert!(plan.iter_mut().filter_map(|step| step.hold.take()).count() > 0, "{name}");
            let error = world.try_apply(plan).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
    world.drop_all().await;
}

#[tokio::test]
async fn a_setting_of_superusers_is_set_by_who_was_given_the_right() {
    let mut world = World::new(ServiceId::Postgres, "setright");
    world.become_lesser_admin().await;
    let admin = world.plain("zz_admin");
    let (user, database) = (role_address(&world.plain("shop_user")), database_address(&world.plain("shop_db")));
    let tenant = world.plain("app.tenant");
    let both = [(&user, "log_executor_stats"), (&database, tenant.as_str())];
    let mut shop = app(&world, "shop");
    world.declare("shop", shop.clone());
    world.converge().await;
    set(&mut shop.settings, "log_executor_stats", "on");
    set(&mut shop.databases[0].settings, &tenant, "x");
    world.declare("shop", shop.clone());
    let plan = world.plan().await;
    for (address, name) in both {
        let statement = format!("GRANT SET ON PARAMETER \"{name}\" TO \"{admin}\"");
        assert!(blocked(&plan, address).ends_with(&format!(" a superuser allows it by {statement}")));
        world.as_admin("postgres", &statement).await;
    }
    world.converge().await;
    let set = format!(
        "SELECT string_agg(array_to_string(setconfig, ' '), ' ' ORDER BY setrole) FROM pg_db_role_setting \
         LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase \
         WHERE starts_with(coalesce(rolname, datname), '{}')",
        world.plain("")
    );
    assert_eq!(read("postgres", &set).await.unwrap(), format!("{tenant}=x log_executor_stats=on"));
    // Taking it back needs the right as well.
    let names = format!("log_executor_stats, {tenant}");
    world.as_admin("postgres", &format!("REVOKE SET ON PARAMETER {names} FROM {admin}")).await;
    world.declare("shop", app(&world, "shop"));
    let plan = world.plan().await;
    for (address, name) in both {
        assert!(blocked(&plan, address).contains(&format!("may not set {name}")));
    }
    world.as_admin("postgres", &format!("GRANT SET ON PARAMETER {names} TO {admin}")).await;
    world.converge().await;
    assert_eq!(read("postgres", &set).await, None);
    world.as_admin("postgres", &format!("REVOKE SET ON PARAMETER {names} FROM {admin}")).await;
    world.drop_all().await;
}
