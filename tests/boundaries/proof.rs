//! What must hold after a strike, and after the runs that follow it.

use super::scenario::Scenario;
use common::{Workspace, servers};
use std::path::Path;

/// Something was lost, or does not work.
pub type Verdict = Result<(), String>;

fn check(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn number(database: &str, query: &str) -> String {
    servers::postgres_value(database, query).unwrap_or_default()
}

/// Puts something into the app's database, namespace and topic that must not be lost.
pub fn fill(workspace: &Workspace) {
    let url = workspace.published("@a", "DATABASE_URL");
    servers::works(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)");
    let key = format!("{}a:kept", workspace.prefix);
    servers::valkey_at(&workspace.published("@a", "VALKEY_URL"), &["SET", &key, "1"]).expect("a key");
    servers::send(&format!("{}a.in", workspace.prefix));
}

/// The topic is the one that it was, with the message in it.
pub fn no_message_lost(workspace: &Workspace, scenario: Scenario) -> Verdict {
    match scenario.does() {
        Scenario::Change | Scenario::Rename | Scenario::Rotate | Scenario::Adopt => {
            let left = servers::messages(&format!("{}a.in", workspace.prefix));
            check(left == 1, || format!("{left} messages are left in the topic"))
        }
        // There was nothing yet, or it is gone with consent.
        Scenario::Create
        | Scenario::Destroy
        | Scenario::SavedCreate
        | Scenario::SavedChange
        | Scenario::SavedDestroy => Ok(()),
    }
}

/// Nothing is lost: right after the strike, and in the end.
pub fn nothing_lost(workspace: &Workspace, scenario: Scenario) -> Verdict {
    let prefix = &workspace.prefix;
    match scenario.does() {
        // There was nothing yet.
        Scenario::Create => Ok(()),
        Scenario::Change | Scenario::Rename | Scenario::Rotate | Scenario::Adopt => {
            let query = "SELECT string_agg(datname::text, ' ') FROM pg_database WHERE datname IN";
            let there = number("postgres", &format!("{query} ('{prefix}a_one', '{prefix}a_1st')"));
            let rows = number(&there, "SELECT count(*)::text FROM kept");
            check(rows == "2", || format!("{rows} rows are left in the database"))?;
            let key = servers::valkey(&["GET", &format!("{prefix}a:kept")]).map_err(|error| error.to_string())?;
            check(key.as_string().as_deref() == Some("1"), || "the key is gone".to_owned())
        }
        Scenario::Destroy | Scenario::SavedCreate | Scenario::SavedChange | Scenario::SavedDestroy => {
            let is_kept = |name: &&str| {
                let database = format!("{prefix}a_{name}");
                let query = format!("SELECT count(*)::text FROM pg_database WHERE datname = '{database}'");
                number("postgres", &query) == "1" || has_dump(workspace, &database)
            };
            for names in [&["one", "1st"][..], &["two"]] {
                check(names.iter().any(is_kept), || format!("a_{names:?} is gone, and there is no dump of it"))?;
            }
            Ok(())
        }
    }
}

fn has_dump(workspace: &Workspace, database: &str) -> bool {
    let files = std::fs::read_dir(workspace.path("snapshots")).into_iter().flatten().flatten();
    files.into_iter().any(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_whole = || std::fs::read(file.path()).is_ok_and(|bytes| bytes.starts_with(b"PGDMP"));
        name.starts_with(database) && name.ends_with(".dump") && is_whole()
    })
}

/// What a run leaves half-done, and the last one must not.
pub fn no_leftovers(workspace: &Workspace) -> Verdict {
    let mut found = Vec::new();
    for directory in ["state", "secrets", "snapshots", "."] {
        let files = std::fs::read_dir(workspace.path(directory)).into_iter().flatten().flatten();
        found.extend(files.map(|file| format!("{directory}/{}", file.file_name().to_string_lossy())));
    }
    found.retain(|name| [".tmp", ".partial", ".staged", ".journal"].iter().any(|end| name.ends_with(end)));
    check(found.is_empty(), || format!("left behind: {}", found.join(", ")))
}

/// Every login that shall be there has a published credential that signs in, and none that shall not. Kafka's was tried
/// by `plan --probe-credentials`, and what is left there is found by `drift --unmanaged`.
pub fn credentials_work(workspace: &Workspace, scenario: Scenario) -> Verdict {
    signs_in(workspace, "@r", &["DATABASE_URL"])?;
    if scenario.does() != Scenario::Destroy {
        check(!workspace.published("@a", "KAFKA_PASSWORD").is_empty(), || "no password of Kafka".to_owned())?;
        return signs_in(workspace, "@a", &["DATABASE_URL", "DATABASE_URL_TWO"]);
    }
    let prefix = &workspace.prefix;
    let file = workspace.path(format!("secrets/{prefix}a.env"));
    check(!Path::exists(&file), || "the secrets of what is gone are published".to_owned())?;
    for (what, table, column) in [("database", "pg_database", "datname"), ("role", "pg_roles", "rolname")] {
        let query = format!("SELECT string_agg({column}, ', ')::text FROM {table} WHERE {column} LIKE '{prefix}a%'");
        let left = number("postgres", &query);
        check(left.is_empty(), || format!("a {what} is left: {left}"))?;
    }
    let users = servers::valkey(&["ACL", "USERS"]).map_err(|error| error.to_string())?;
    let is_left =
        |user: fred::types::Value| user.as_string().is_some_and(|user| user.starts_with(&format!("{prefix}a")));
    check(!users.into_array().into_iter().any(is_left), || "a user of Valkey is left".to_owned())?;
    let key = servers::valkey(&["EXISTS", &format!("{prefix}a:kept")]).map_err(|error| error.to_string())?;
    check(key.as_u64() == Some(0), || "a key is left".to_owned())
}

fn signs_in(workspace: &Workspace, app: &str, urls: &[&str]) -> Verdict {
    let refused = |what: &str, error: &dyn std::fmt::Display| format!("{what} of {app} does not sign in: {error}");
    for name in urls {
        let name = if *name == "DATABASE_URL_TWO" { second_url(workspace) } else { (*name).to_owned() };
        let url = workspace.published(app, &name);
        servers::postgres_at(&url, "SELECT 1").map_err(|error| refused(&name, &error))?;
    }
    let url = workspace.published(app, "VALKEY_URL");
    servers::valkey_at(&url, &["ACL", "WHOAMI"]).map(drop).or_else(|error| {
        // Signed in, and not allowed this call.
        if error.to_string().contains("NOPERM") { Ok(()) } else { Err(refused("VALKEY_URL", &error)) }
    })
}

/// `DATABASE_URL_<NAME>` of the second database.
fn second_url(workspace: &Workspace) -> String {
    format!("DATABASE_URL_{}A_TWO", workspace.prefix.to_uppercase())
}
