//! Fields, values and whole resources in plain words.

use super::clean;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Action, Risk};
use crate::secrets::model::Published;
use crate::services::kafka::model::{Acl, Topic, User as KafkaUser};
use crate::services::postgres::model::{Access as GrantAccess, Credential, Database, Expiry, Grant, LockDown, Role};
use crate::services::valkey::model::{
    Accepts, Access as KvAccess, DefaultUser, Keys, User as KvUser, channels_in_words, keys_in_words,
};
use crate::services::{Model, ServiceId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// What follows a word that says that something was destroyed.
pub(super) fn its_dump(file: &Path) -> String {
    format!("; its dump: {}", clean(&file.display().to_string()))
}

/// What is told after that.
pub(super) fn and_that(note: &str) -> String {
    format!("; {}", clean(note))
}

/// The name of a field as people say it.
pub(super) fn field(name: &str) -> String {
    let known = match name {
        "login" => "may sign in",
        "public" => "PUBLIC may",
        "admin" => "own CONNECT for nornplan",
        "credential" => "password",
        "database_privileges" => "on the database",
        "schema_privileges" => "on schema public",
        "makers" => "on objects made by",
        "future_schemas" => "on future schemas",
        "beyond" => "beyond its access",
        "strays" => "granted to others",
        "strays_inside" => "granted inside it",
        "future_tables" => "on future tables",
        "future_sequences" => "on future sequences",
        "allow_connections" => "open to connections",
        "invalid" => "left by a cancelled DROP",
        "present_objects" => "all present objects covered",
        "reads_databases" => "reads",
        "more_commands" => "commands",
        "more_keys" => "keys",
        "more_channels" => "channels",
        "whole_database" => "all keys of its database",
        "other_mechanisms" => "more credentials",
        "enabled" => "may sign in",
        "keys" => "key rules",
        "channels" => "channel rules",
        "databases" => "database rule",
        "commands" => "command rules",
        "generated" => "password by nornplan",
        "extra_passwords" => "extra passwords",
        "nopass" => "accepts any password",
        "skips_sanitizing" => "RESTORE goes unchecked",
        "uneven_nodes" => "nodes that differ",
        "values" => "variables",
        "bindings" => "may",
        other => return clean(&other.replace('_', " ")),
    };
    known.to_owned()
}

/// A value as people say it. `key` is the field's name, or the key of a map's entry.
pub(super) fn value(key: &str, value: &Value) -> String {
    match value {
        Value::Null if key == "connection_limit" => "unlimited".to_owned(),
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => quantity(key, &number.to_string()),
        Value::String(text) if key == "accepts" => accepted(value).map_or_else(|| string(text), str::to_owned),
        Value::String(text) if key == "mode" => string(&text.replace('_', "-")),
        Value::String(text) => quantity(key, &string(text)),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(|item| self::value("", item)).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}={}", clean(key), self::value(key, value))).collect();
            entries.join(", ")
        }
    }
}

/// With what one signs in as the user `default`.
fn accepted(value: &Value) -> Option<&'static str> {
    Some(match serde_json::from_value(value.clone()).ok()? {
        Accepts::Anything => "any password, and none",
        Accepts::AdminPassword => "the administrator's password alone",
        Accepts::OtherPasswords => "other passwords",
        Accepts::NoPassword => "no password at all",
    })
}

/// A string as it stands, in quotes only where its ends would not be seen.
fn string(text: &str) -> String {
    let cleaned = clean(text);
    if cleaned.is_empty() || cleaned.trim() != cleaned { format!("\"{cleaned}\"") } else { cleaned }
}

/// `604800000` of `retention.ms` is `7d`; what is no whole number of a unit keeps its digits.
fn quantity(key: &str, text: &str) -> String {
    const DURATIONS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    const SIZES: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let units = match key.rsplit(['.', '_']).next() {
        Some("ms") => DURATIONS,
        Some("bytes") => SIZES,
        Some(_) | None => return text.to_owned(),
    };
    if text == "-1" {
        return "unlimited".to_owned();
    }
    let Ok(number) = text.parse::<u64>() else { return text.to_owned() };
    units
        .iter()
        .find(|(size, _)| number > 0 && number % size == 0)
        .map_or_else(|| text.to_owned(), |(size, unit)| format!("{}{unit}", number / size))
}

/// Where an address lies, as people write the product's name.
pub(super) fn service_title(name: &str) -> String {
    ServiceId::ALL.into_iter().find(|id| id.as_str() == name).map_or_else(|| clean(name), |id| id.title().to_owned())
}

/// Why what an app has is kept though it has no infraspec, and the way out.
pub(super) fn last_said(app: &AppName) -> String {
    format!("the last infraspec of {app} said prevent_destroy; to let it go, apply it once without that")
}

/// How many resources have a risk: `1 loses data`, `2 lose data`.
pub(super) fn risks(number: usize, risk: Risk) -> String {
    let many = match risk {
        Risk::Interrupts => "interrupt",
        Risk::WidensAccess => "widen access",
        Risk::RemovesLogin => "remove a login",
        Risk::LosesData => "lose data",
    };
    super::count(number, risk.as_str(), many)
}

/// An action that is over.
pub(super) fn past(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Destroy => "destroyed",
        Action::Adopt => "adopted",
        Action::Forget => "forgotten",
        Action::Rotate => "rotated",
        Action::Record => "recorded",
        Action::Rename => "renamed",
    }
}

/// An action under way.
pub(super) fn present(action: Action) -> &'static str {
    match action {
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Replace => "replacing",
        Action::Destroy => "destroying",
        Action::Adopt => "adopting",
        Action::Forget => "forgetting",
        Action::Rotate => "rotating",
        Action::Record => "recording",
        Action::Rename => "renaming",
    }
}

/// A time span: `0.2s`, `12s`, `3m 20s`.
pub(super) fn elapsed(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", span.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60.. => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

/// An address that is safe to show.
pub(super) fn address(address: &Address) -> String {
    clean(&address.to_string())
}

/// A whole resource in few words: what is not a default, and nothing that follows from something else. One phrase each.
pub(super) fn describe(model: &Model) -> Vec<String> {
    let phrases = match model {
        Model::PostgresRole(role) => role_words(role),
        Model::PostgresDatabase(database) => database_words(database),
        Model::PostgresGrant(grant) => grant_words(grant),
        Model::PostgresLockDown(lock_down) => lock_down_words(lock_down),
        Model::ValkeyUser(user) => kv_words(user),
        Model::ValkeyDefaultUser(user) => vec![default_user_words(user)],
        Model::ValkeyPersistence(persisted) => {
            vec![if persisted.saved { "users are saved" } else { "users are not saved" }.to_owned()]
        }
        Model::ValkeyKeys(keys) => kv_keys_words(keys),
        Model::KafkaUser(user) => kafka_user_words(user),
        Model::KafkaTopic(topic) => topic_words(topic),
        Model::KafkaAcl(acl) => acl_words(acl),
        Model::Secret(published) => secret_words(published),
    };
    phrases.iter().map(|phrase| clean(phrase)).collect()
}

fn role_words(role: &Role) -> Vec<String> {
    let Role {
        name: _,
        login,
        connection_limit,
        attributes,
        settings,
        credential,
        valid_until,
        member_of,
        members,
        settings_in_databases,
    } = role;
    let mut words = vec![match (login, credential) {
        (false, _) => "cannot sign in".to_owned(),
        (true, Some(Credential::Generate)) => "signs in, password generated".to_owned(),
        (true, Some(Credential::Keep)) => "signs in, password left alone".to_owned(),
        (true, Some(Credential::None) | None) => "signs in".to_owned(),
    }];
    words.extend(
        connection_limit.map(|limit| format!("at most {}", super::count(limit as usize, "connection", "connections"))),
    );
    if !attributes.is_empty() {
        words.push(join(attributes));
    }
    words.extend(map_words(settings));
    if let Some(Expiry::At(moment)) = valid_until {
        words.push(format!("until {moment}"));
    }
    for (what, roles) in [("member of", member_of), ("with the members", members)] {
        words.extend(roles.as_ref().filter(|roles| !roles.is_empty()).map(|roles| format!("{what} {}", join(roles))));
    }
    for (database, settings) in settings_in_databases.iter().flatten() {
        words.extend(map_words(settings).into_iter().map(|setting| format!("{setting} in {database}")));
    }
    words
}

fn database_words(database: &Database) -> Vec<String> {
    let Database {
        name: _,
        owner,
        public,
        connection_limit,
        allow_connections,
        settings,
        encoding,
        locale,
        locale_provider,
        tablespace,
        invalid,
        holds_state,
        extensions,
        strays,
        strays_inside,
        objects_of_others: _,
        migrator: _,
        former_users: _,
        oid: _,
    } = database;
    let mut words = vec![format!("owner {owner}")];
    if *invalid {
        words.push("left behind by a cancelled DROP".to_owned());
    }
    if *holds_state {
        words.push("with a state of nornplan".to_owned());
    }
    if !allow_connections {
        words.push("closed".to_owned());
    }
    if !public.is_empty() {
        words.push(format!("PUBLIC may {}", join(public)));
    }
    words.extend(
        connection_limit.map(|limit| format!("at most {}", super::count(limit as usize, "connection", "connections"))),
    );
    words.extend(encoding.as_ref().map(|encoding| format!("encoding {encoding}")));
    let of_provider = locale_provider.as_ref().map(|provider| format!(" ({provider})")).unwrap_or_default();
    words.extend(locale.as_ref().map(|locale| format!("locale {locale}{of_provider}")));
    let elsewhere = tablespace.as_ref().filter(|tablespace| *tablespace != "pg_default");
    words.extend(elsewhere.map(|tablespace| format!("in tablespace {tablespace}")));
    words.extend(map_words(settings));
    words.extend(strays.iter().chain(strays_inside.iter().flatten()).cloned());
    if let Some(extensions) = extensions.as_ref().filter(|extensions| !extensions.is_empty()) {
        let named = extensions.iter().map(|(name, extension)| format!("{name}{extension}"));
        words.push(format!("with {}", named.collect::<Vec<_>>().join(", ")));
    }
    words
}

fn grant_words(grant: &Grant) -> Vec<String> {
    let words = match grant.access {
        Some(GrantAccess::App) => "full use of its own database".to_owned(),
        Some(GrantAccess::Readonly) => "may read".to_owned(),
        Some(GrantAccess::Readwrite) => "may read and write".to_owned(),
        Some(GrantAccess::Migrator) => "makes objects for the app".to_owned(),
        None if grant.database_privileges.is_empty() => return Vec::new(),
        None => join(&grant.database_privileges),
    };
    vec![words]
}

fn lock_down_words(lock_down: &LockDown) -> Vec<String> {
    let LockDown { database: _, public, admin: _ } = lock_down;
    vec![if public.is_empty() { "closed to PUBLIC".to_owned() } else { format!("PUBLIC may {}", join(public)) }]
}

fn default_user_words(user: &DefaultUser) -> String {
    match (user.enabled, user.accepts) {
        (false, _) => "switched off",
        (true, Some(Accepts::Anything)) => "needs no password",
        (true, Some(Accepts::AdminPassword)) => "takes the administrator's password alone",
        (true, Some(Accepts::OtherPasswords | Accepts::NoPassword) | None) => "switched on",
    }
    .to_owned()
}

fn kv_words(user: &KvUser) -> Vec<String> {
    let mut words = Vec::new();
    match (&user.namespace, &user.keys) {
        (Some(namespace), _) => words.push(match user.access {
            Some(KvAccess::Readonly) => format!("reads {namespace}:*"),
            Some(KvAccess::Queue) => format!("reads and writes {namespace}:*, and job queues"),
            Some(KvAccess::Readwrite) | None => format!("reads and writes {namespace}:*"),
        }),
        (None, _) if user.whole_database == Some(true) => words.push(match user.access {
            Some(KvAccess::Readonly) => "reads all keys of its database".to_owned(),
            Some(KvAccess::Queue) => "reads and writes all keys of its database, and job queues".to_owned(),
            Some(KvAccess::Readwrite) | None => "reads and writes all keys of its database".to_owned(),
        }),
        (None, Some(keys)) => words.extend(may(keys_in_words(keys))),
        (None, None) => {}
    }
    words.extend(user.reads.iter().flatten().map(|(namespace, _)| format!("reads {namespace}:*")));
    words.extend(user.reads_databases.iter().flatten().map(|db| format!("reads db {db}")));
    words.extend(user.db.filter(|db| *db > 0).map(|db| format!("db {db}")));
    words.extend(user.more_keys.iter().flat_map(|more| may(keys_in_words(more))));
    words.extend(user.more_channels.iter().flat_map(|more| may(channels_in_words(more))));
    let commands = user.more_commands.iter().filter(|more| !more.is_empty());
    words.extend(commands.map(|more| format!("commands {}", more.join(" "))));
    if user.generated == Some(false) {
        words.push("password left alone".to_owned());
    }
    if !user.enabled {
        words.push("switched off".to_owned());
    }
    if user.nopass {
        words.push("accepts any password".to_owned());
    }
    words
}

fn may(phrases: impl IntoIterator<Item = String>) -> Vec<String> {
    phrases.into_iter().map(|phrase| format!("may {phrase}")).collect()
}

fn kv_keys_words(keys: &Keys) -> Vec<String> {
    let Keys { namespace, db } = keys;
    let mut words = vec![format!("{namespace}:* goes with its app")];
    words.extend((*db > 0).then(|| format!("db {db}")));
    words
}

/// SCRAM iterations that go without saying.
const USUAL_ITERATIONS: u32 = 4096;

fn kafka_user_words(user: &KafkaUser) -> Vec<String> {
    let mut words: Vec<String> = user.mechanism.iter().cloned().collect();
    if let Some(iterations) = user.iterations.filter(|iterations| *iterations > USUAL_ITERATIONS) {
        words.push(format!("{iterations} iterations"));
    }
    if user.generated == Some(false) {
        words.push("password left alone".to_owned());
    }
    words
}

fn topic_words(topic: &Topic) -> Vec<String> {
    let Topic { name: _, partitions, replication, config, exact, inherited: _, id: _, empty: _ } = topic;
    let mut words = Vec::new();
    let whole = |number: i32| usize::try_from(number).unwrap_or_default();
    words.extend(partitions.map(|number| super::count(whole(number), "partition", "partitions")));
    words.extend(replication.filter(|number| *number > 1).map(|number| format!("{number} replicas")));
    words.extend(map_words(config));
    words.extend((*exact == Some(true)).then(|| "no other configs".to_owned()));
    words
}

fn acl_words(acl: &Acl) -> Vec<String> {
    super::acls::group_bindings(&acl.bindings)
}

fn secret_words(published: &Published) -> Vec<String> {
    if published.values.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<String> = published.values.keys().cloned().collect();
    vec![format!("publishes {}", join(&names))]
}

fn join(items: &BTreeSet<String>) -> String {
    items.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn map_words(map: &BTreeMap<String, String>) -> Vec<String> {
    map.iter().map(|(key, text)| format!("{key}={}", quantity(key, text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_keep_their_value() {
        assert_eq!(value("retention.ms", &json!("604800000")), "7d");
        assert_eq!(value("retention.ms", &json!("90000")), "90s");
        assert_eq!(value("retention.ms", &json!("90001")), "90001");
        assert_eq!(value("retention.ms", &json!("0")), "0");
        assert_eq!(value("retention.bytes", &json!("-1")), "unlimited");
        assert_eq!(value("retention.bytes", &json!("1073741824")), "1GiB");
        assert_eq!(value("cleanup.policy", &json!("compact")), "compact");
    }

    #[test]
    fn nothing_hides_in_a_value() {
        assert_eq!(value("x", &json!("a\u{1b}[2Jb\n")), "a\\u{1b}[2Jb\\n");
        assert_eq!(value("x", &json!("")), "\"\"");
        assert_eq!(value("x", &json!(" a")), "\" a\"");
        assert_eq!(value("x", &json!("\u{202e}txt")), "\\u{202e}txt");
    }
}
