//! What the server really has, read by statements of this test's own, against what the infraspecs want.

use super::wish::{APPS, METABASE, MIGRATOR, STRANGER, Wish, Wishes, databases};
use crate::postgres::{connect, run};
use crate::support::{World, variable};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Demands that everything that is wanted is so, and nothing else.
pub async fn check(world: &World, wishes: &Wishes, told: &str) {
    TOLD.with_borrow_mut(|last| told.clone_into(last));
    let mut cluster = connect(&variable("NORNPLAN_POSTGRES_USER"), None, "postgres").await.unwrap();
    for (app, wish) in wishes {
        roles(world, &mut cluster, app, wish).await;
        for database in databases(app, wish) {
            outside(world, &mut cluster, wishes, app, &database).await;
            inside(world, wishes, app, &database).await;
        }
    }
    cluster.close().await.unwrap();
}

thread_local! {
    /// What is checked, for whoever reads the failure.
    static TOLD: RefCell<String> = const { RefCell::new(String::new()) };
}

async fn text(connection: &mut PgConnection, query: &str) -> String {
    let value: Option<String> = sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    value.unwrap_or_default()
}

async fn expect(connection: &mut PgConnection, query: &str, wanted: &str) {
    let found = text(connection, query).await;
    assert_eq!(found, wanted, "{query}\n{}", TOLD.with_borrow(Clone::clone));
}

/// As `pg_db_role_setting` has them, sorted.
fn stored(settings: &BTreeMap<String, String>) -> String {
    let one = |(name, value): (&String, &String)| format!("{name}={value}");
    settings.iter().map(one).collect::<Vec<_>>().join("; ")
}

const SETTINGS: &str =
    "SELECT coalesce(string_agg(c, '; ' ORDER BY c), '') FROM pg_db_role_setting s, unnest(setconfig) c";

async fn roles(world: &World, cluster: &mut PgConnection, app: &str, wish: &Wish) {
    let (user, owner) = (world.plain(&format!("{app}_user")), world.plain(&format!("{app}_owner")));
    for (role, login, limit) in [(&user, true, wish.connection_limit), (&owner, false, None)] {
        let query = format!(
            "SELECT concat_ws(' ', rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, \
             rolconnlimit, coalesce(rolvaliduntil, 'infinity')) FROM pg_roles WHERE rolname = '{role}'"
        );
        let limit = limit.map_or(-1, i64::from);
        let login = if login { 't' } else { 'f' };
        expect(cluster, &query, &format!("{login} f f f f f {limit} infinity")).await;
        let query = format!(
            "SELECT count(*)::text FROM pg_auth_members JOIN pg_roles m ON m.oid = member JOIN pg_roles r ON r.oid = roleid \
             WHERE '{role}' IN (m.rolname, r.rolname) AND NOT m.rolsuper"
        );
        expect(cluster, &query, "0").await;
        let query = format!("{SETTINGS} WHERE setrole = '{role}'::regrole AND setdatabase <> 0");
        expect(cluster, &query, "").await;
    }
    let query = format!("{SETTINGS} WHERE setrole = '{user}'::regrole AND setdatabase = 0");
    expect(cluster, &query, &stored(&wish.settings)).await;
}

/// What each role may do with the database: C connect, T temporary, R create.
fn on_database(wishes: &Wishes, app: &str, role: &str) -> &'static str {
    match level(wishes, app, role) {
        Level::App => "CTR",
        Level::Migrator => "CTR",
        Level::Writer | Level::Reader => "C",
        Level::None => "",
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    App,
    Migrator,
    Writer,
    Reader,
    None,
}

/// How much a role shall be able to do in an app's databases. Roles are named without the test's prefix.
fn level(wishes: &Wishes, app: &str, role: &str) -> Level {
    let wish = &wishes[app];
    let other = APPS.iter().position(|other| role == format!("{other}_user"));
    match other {
        Some(index) if APPS[index] == app => Level::App,
        Some(index) if !wishes.contains_key(APPS[index]) => Level::None,
        Some(index) if wish.writers.contains(&index) => Level::Writer,
        Some(index) if wish.readers.contains(&index) => Level::Reader,
        Some(_) => Level::None,
        None if role == MIGRATOR && wish.migrator => Level::Migrator,
        None if role == METABASE => match wish.metabase {
            Some(true) => Level::Writer,
            Some(false) => Level::Reader,
            None => Level::None,
        },
        None => Level::None,
    }
}

fn all_roles() -> Vec<String> {
    let users = APPS.iter().map(|app| format!("{app}_user"));
    users.chain([METABASE, MIGRATOR, STRANGER].map(str::to_owned)).collect()
}

async fn outside(world: &World, cluster: &mut PgConnection, wishes: &Wishes, app: &str, database: &str) {
    let name = world.plain(database);
    let wish = &wishes[app];
    let query = format!(
        "SELECT concat_ws(' ', pg_get_userbyid(datdba), datconnlimit, datallowconn) FROM pg_database WHERE datname = '{name}'"
    );
    let limit = wish.database_limit.map_or(-1, i64::from);
    expect(cluster, &query, &format!("{} {limit} t", world.plain(&format!("{app}_owner")))).await;
    let oid = format!("(SELECT oid FROM pg_database WHERE datname = '{name}')");
    let query = format!("{SETTINGS} WHERE setrole = 0 AND setdatabase = {oid}");
    expect(cluster, &query, &stored(&wish.database_settings)).await;
    for role in all_roles() {
        let wanted = on_database(wishes, app, &role);
        let role = world.plain(&role);
        let query = format!(
            "SELECT CASE WHEN has_database_privilege(r.oid, {oid}, 'CONNECT') THEN 'C' ELSE '' END || \
             CASE WHEN has_database_privilege(r.oid, {oid}, 'TEMPORARY') THEN 'T' ELSE '' END || \
             CASE WHEN has_database_privilege(r.oid, {oid}, 'CREATE') THEN 'R' ELSE '' END \
             FROM (SELECT (SELECT oid FROM pg_roles WHERE rolname = '{role}') AS oid) r"
        );
        let exists = text(cluster, &format!("SELECT count(*)::text FROM pg_roles WHERE rolname = '{role}'")).await;
        if exists == "1" {
            let found = text(cluster, &query).await;
            assert_eq!(found, wanted, "{role} in {name}");
        }
    }
    let options = format!(
        "SELECT count(*)::text FROM pg_database d, aclexplode(datacl) a WHERE d.oid = {oid} AND is_grantable AND a.grantee <> datdba"
    );
    expect(cluster, &options, "0").await;
}

async fn inside(world: &World, wishes: &Wishes, app: &str, database: &str) {
    let mut session = connect(&variable("NORNPLAN_POSTGRES_USER"), None, &world.plain(database)).await.unwrap();
    for extension in &wishes[app].extensions {
        let query = format!("SELECT count(*)::text FROM pg_extension WHERE extname = '{extension}'");
        expect(&mut session, &query, "1").await;
    }
    let user = world.plain(&format!("{app}_user"));
    // What will be made is looked at as what is there: in a transaction that is not committed.
    run(&mut session, "BEGIN").await.unwrap();
    let migrates = if wishes[app].migrator { vec![user.clone(), world.plain(MIGRATOR)] } else { vec![user.clone()] };
    for (n, maker) in migrates.iter().enumerate() {
        let made = format!(
            "SET LOCAL ROLE {maker}; CREATE TABLE probe{n} (id serial, x text); CREATE VIEW seen{n} AS SELECT * FROM probe{n}; \
             CREATE SCHEMA later{n}; CREATE TABLE later{n}.probe (id serial); RESET ROLE"
        );
        run(&mut session, &made).await.unwrap_or_else(|error| panic!("{database}: {made}: {error}"));
    }
    for role in all_roles() {
        let level = level(wishes, app, &role);
        let role = world.plain(&role);
        let exists = text(&mut session, &format!("SELECT count(*)::text FROM pg_roles WHERE rolname = '{role}'")).await;
        if exists != "1" {
            continue;
        }
        let creates =
            text(&mut session, &format!("SELECT has_schema_privilege('{role}', 'public', 'CREATE')::text")).await;
        assert_eq!(creates == "true", matches!(level, Level::App | Level::Migrator), "{role} in public of {database}");
        // What a role owns it may do all with; a migrator's own are its business.
        let (reads, writes, more) = match level {
            Level::App => ("true", "true", "true"),
            Level::Writer => ("true", "true", "false"),
            Level::Reader => ("true", "false", "false"),
            // Without CONNECT, what a table's own list says is of no use.
            Level::None | Level::Migrator => continue,
        };
        let makers = migrates.iter().map(|maker| format!("'{maker}'")).collect::<Vec<_>>().join(", ");
        let query = format!(
            "SELECT coalesce(string_agg(DISTINCT concat_ws(' ', has_schema_privilege('{role}', n.oid, 'USAGE')::text, \
                has_table_privilege('{role}', c.oid, 'SELECT')::text, has_table_privilege('{role}', c.oid, 'INSERT')::text, \
                has_table_privilege('{role}', c.oid, 'TRUNCATE')::text), ' | '), '') \
             FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE relkind IN ('r', 'v') AND nspname !~ '^pg_|^information_schema$' AND pg_get_userbyid(relowner) IN ({makers}) \
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
        );
        expect(&mut session, &query, &format!("true {reads} {writes} {more}")).await;
        let query = format!(
            "SELECT coalesce(string_agg(DISTINCT has_sequence_privilege('{role}', c.oid, 'SELECT')::text || ' ' || \
                has_sequence_privilege('{role}', c.oid, 'USAGE')::text, ' | '), '') FROM pg_class c JOIN pg_namespace n ON \
             n.oid = relnamespace WHERE relkind = 'S' AND pg_get_userbyid(relowner) IN ({makers})"
        );
        expect(&mut session, &query, &format!("true {writes}")).await;
    }
    run(&mut session, "ROLLBACK").await.unwrap();
    // Nothing belongs to anybody but the app and its migrator.
    let query = format!(
        "SELECT coalesce(string_agg(relname || ' of ' || pg_get_userbyid(relowner), ', '), '') FROM pg_class c \
         WHERE relkind IN ('r', 'v', 'S') AND relnamespace::regnamespace::text !~ '^pg_|^information_schema$' \
           AND pg_get_userbyid(relowner) NOT IN ({}) \
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
        migrates.iter().map(|maker| format!("'{maker}'")).collect::<Vec<_>>().join(", ")
    );
    expect(&mut session, &query, "").await;
    session.close().await.unwrap();
}
