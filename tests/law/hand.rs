//! What people do by hand, at random: each is a statement that may well fail, for what it names need not be there.

use super::wish::{APPS, METABASE, MIGRATOR, STRANGER, all_databases};
use crate::postgres::{connect, run};
use crate::support::World;
use proptest::prelude::*;
use sqlx::Connection;

/// A statement, and the database to run it in: none is `postgres`. `@` stands for the test's prefix.
#[derive(Clone, Debug)]
pub struct ByHand {
    pub database: Option<String>,
    pub statement: String,
}

fn pick(names: impl IntoIterator<Item = String>) -> impl Strategy<Value = String> {
    prop::sample::select(names.into_iter().collect::<Vec<_>>())
}

fn user() -> impl Strategy<Value = String> {
    pick(APPS.map(|app| format!("@_{app}_user")))
}

fn owner() -> impl Strategy<Value = String> {
    pick(APPS.map(|app| format!("@_{app}_owner")))
}

fn database() -> impl Strategy<Value = String> {
    pick(all_databases().into_iter().map(|name| format!("@_{name}")))
}

/// Roles that grants go to: apps' users, outside ones, everybody.
fn anybody() -> impl Strategy<Value = String> {
    let outside = [METABASE, STRANGER, MIGRATOR].map(|role| format!("@_{role}"));
    pick(APPS.map(|app| format!("@_{app}_user")).into_iter().chain(outside).chain(["PUBLIC".to_owned()]))
}

fn words(words: &[&str]) -> impl Strategy<Value = String> + use<> {
    pick(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

/// One thing done by hand.
pub fn by_hand() -> impl Strategy<Value = ByHand> {
    let outside =
        |statement: BoxedStrategy<String>| statement.prop_map(|statement| ByHand { database: None, statement });
    prop_oneof![
        4 => outside(roles().boxed()),
        4 => outside(databases().boxed()),
        5 => (database(), inside()).prop_map(|(database, statement)| {
            let own = database.trim_start_matches("@_").split('_').next().unwrap_or_default().to_owned();
            let statement = statement.replace("{own}", &own);
            // What an owner takes from itself it can give itself again: nobody else's business.
            let from_itself = statement.contains("REVOKE") && statement.ends_with(&format!(" FROM @_{own}_user"));
            let statement = if from_itself { statement.replace(&format!("FROM @_{own}_user"), "FROM PUBLIC") } else { statement };
            ByHand { database: Some(database), statement }
        }),
    ]
}

fn roles() -> impl Strategy<Value = String> {
    let attributes = words(&["SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS", "NOLOGIN"]);
    let until = words(&["2001-01-01", "2040-01-01", "infinity"]);
    prop_oneof![
        (user(), attributes).prop_map(|(role, attribute)| format!("ALTER ROLE {role} {attribute}")),
        (user(), 0..9).prop_map(|(role, limit)| format!("ALTER ROLE {role} CONNECTION LIMIT {limit}")),
        (user(), until).prop_map(|(role, until)| format!("ALTER ROLE {role} VALID UNTIL '{until}'")),
        (user(), words(&["work_mem TO '1MB'", "statement_timeout TO '9s'", "search_path TO pg_catalog"]))
            .prop_map(|(role, setting)| format!("ALTER ROLE {role} SET {setting}")),
        user().prop_map(|role| format!("ALTER ROLE {role} RESET ALL")),
        (user(), database())
            .prop_map(|(role, database)| { format!("ALTER ROLE {role} IN DATABASE {database} SET work_mem TO '3MB'") }),
        owner().prop_map(|role| format!("ALTER ROLE {role} LOGIN CREATEDB")),
        (owner(), user()).prop_map(|(owner, user)| format!("GRANT {owner} TO {user}")),
        (user(), words(&["pg_read_all_data", "pg_monitor", "@_stranger"]))
            .prop_map(|(user, group)| format!("GRANT {group} TO {user}")),
        user().prop_map(|user| format!("GRANT {user} TO @_stranger WITH ADMIN OPTION")),
        user().prop_map(|user| format!("DROP ROLE {user}")),
    ]
}

fn databases() -> impl Strategy<Value = String> {
    let privileges = || words(&["CONNECT", "TEMPORARY", "CREATE", "ALL"]);
    prop_oneof![
        3 => (privileges(), database(), anybody(), words(&["", " WITH GRANT OPTION"])).prop_map(|(what, database, role, option)| {
            let option = if role == "PUBLIC" { String::new() } else { option };
            format!("GRANT {what} ON DATABASE {database} TO {role}{option}")
        }),
        2 => (privileges(), database(), anybody())
            .prop_map(|(what, database, role)| format!("REVOKE {what} ON DATABASE {database} FROM {role}")),
        1 => (database(), -1..9).prop_map(|(database, limit)| format!("ALTER DATABASE {database} CONNECTION LIMIT {limit}")),
        1 => database().prop_map(|database| format!("ALTER DATABASE {database} SET work_mem TO '4MB'")),
        1 => database().prop_map(|database| format!("ALTER DATABASE {database} RESET ALL")),
        1 => (database(), anybody()).prop_map(|(database, role)| format!("ALTER DATABASE {database} OWNER TO {role}")),
        1 => database().prop_map(|database| format!("ALTER DATABASE {database} OWNER TO CURRENT_USER")),
        1 => database().prop_map(|database| format!("DROP DATABASE {database}")),
    ]
}

/// `{own}` stands for the app that the database belongs to.
fn inside() -> impl Strategy<Value = String> {
    let makers = || words(&["@_{own}_user", "@_{own}_user", "@_migrator"]);
    let outside = || words(&["@_metabase", "@_stranger", "PUBLIC"]);
    let readers = || pick(APPS.map(|app| format!("@_{app}_user")).into_iter().chain([format!("@_{METABASE}")]));
    let on_schema = words(&["USAGE", "CREATE", "ALL"]);
    let kinds = words(&["SELECT ON TABLES", "ALL ON TABLES", "USAGE ON SEQUENCES", "USAGE ON SCHEMAS"]);
    prop_oneof![
        (on_schema, anybody()).prop_map(|(what, role)| format!("GRANT {what} ON SCHEMA public TO {role}")),
        anybody().prop_map(|role| format!("REVOKE ALL ON SCHEMA public FROM {role}")),
        (makers(), kinds, outside()).prop_map(|(maker, what, role)| {
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} GRANT {what} TO {role}")
        }),
        (makers(), outside()).prop_map(|(maker, role)| {
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} IN SCHEMA public GRANT INSERT ON TABLES TO {role}")
        }),
        (makers(), readers()).prop_map(|(maker, role)| {
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker} REVOKE ALL ON TABLES FROM {role}")
        }),
        (makers(), words(&["t", "u", "archive.t"]), any::<u8>()).prop_map(|(maker, table, n)| {
            format!(
                "SET ROLE {maker}; CREATE SCHEMA IF NOT EXISTS archive; CREATE TABLE {table}{n} (id serial, x text)"
            )
        }),
        any::<u8>().prop_map(|n| format!("CREATE TABLE by_superuser{n} (id int GENERATED ALWAYS AS IDENTITY)")),
        any::<u8>().prop_map(|n| format!("CREATE TABLE lost{n} (); ALTER TABLE lost{n} OWNER TO @_stranger")),
        words(&["@_metabase", "@_stranger"])
            .prop_map(|role| format!("GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA public TO {role}")),
        readers().prop_map(|role| format!("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {role}")),
        words(&["citext", "pgcrypto", "hstore"]).prop_map(|name| format!("DROP EXTENSION {name} CASCADE")),
        words(&["citext", "hstore"]).prop_map(|name| format!("CREATE EXTENSION {name}")),
    ]
}

/// Does it; says whether the server did.
pub async fn perform(world: &World, change: &ByHand) -> bool {
    let named = |text: &str| text.replace('@', &world.prefix);
    let database = change.database.as_deref().map_or_else(|| "postgres".to_owned(), named);
    let Ok(mut session) = connect(&crate::support::variable("NORNPLAN_POSTGRES_USER"), None, &database).await else {
        return false;
    };
    let done = run(&mut session, &named(&change.statement)).await.is_ok();
    session.close().await.unwrap();
    done
}
