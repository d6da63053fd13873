//! The one reader: from the common tree to what was written, typed, and nothing filled in yet.

use crate::core::name::AppName;
use crate::error::Diagnostic;
use crate::services::postgres::model::Credential;
use crate::services::valkey::model::{Access, OnDestroy};
use crate::spec::fields::{Fields, MOST_ERRORS, Setting, unknown_key, wrong_type};
use crate::spec::kv;
use crate::spec::node::{Located, Node, Value};
use crate::spec::norn::{Canonical, Form};
use crate::spec::postgres;
use crate::spec::source::Spot;

/// Names of apps are parts of file names and of the names of everything else.
const LONGEST_APP: usize = 100;

const TOP: [&str; 5] = ["app", "services", "publish", "lifecycle", "overlay"];
const KV: [&str; 11] = [
    "namespace",
    "user",
    "access",
    "db",
    "shared",
    "commands",
    "keys",
    "channels",
    "readers",
    "credential",
    "on_destroy",
];
const EVENTS: [&str; 11] = [
    "topics",
    "user",
    "prefix",
    "groups",
    "transactional_ids",
    "readers",
    "writers",
    "external",
    "internal_topics",
    "credential",
    "config_mode",
];
const TOPIC: [&str; 7] = ["name", "partitions", "replication", "config", "config_mode", "readers", "writers"];

/// Kafka in KRaft mode creates so many partitions in one call.
const MOST_PARTITIONS: i64 = 10_000;
const MOST_REPLICAS: i64 = i16::MAX as i64;
const LAST_DB: i64 = 65_535;

/// One infraspec as it was written.
#[derive(Debug)]
pub struct Draft {
    pub name: Located<AppName>,
    pub form: Form,
    pub postgres: Option<postgres::read::Postgres>,
    pub kv: Option<Kv>,
    pub events: Option<Events>,
    pub publish: Vec<Setting>,
    /// Where it says so, if it does.
    pub prevent_destroy: Option<Spot>,
}

#[derive(Debug)]
pub struct Kv {
    pub namespace: Option<Located<String>>,
    /// Where it says `namespace = false`, if it does.
    pub whole_database: Option<Spot>,
    /// Where it says `shared = true`, if it does.
    pub shared: Option<Spot>,
    pub user: Option<Located<String>>,
    pub access: Access,
    pub db: Option<Located<i64>>,
    /// In canonical form, as are keys and channels.
    pub commands: Vec<Located<String>>,
    pub keys: Vec<Located<String>>,
    pub channels: Vec<Located<String>>,
    pub readers: Vec<Located<AppName>>,
    pub credential: Credential,
    pub on_destroy: OnDestroy,
}

#[derive(Debug)]
pub struct Events {
    pub topics: Vec<Topic>,
    pub user: Option<Located<String>>,
    pub prefix: Option<Located<String>>,
    pub groups: Vec<Located<String>>,
    pub transactional_ids: Vec<Located<String>>,
    pub readers: Vec<Located<AppName>>,
    pub writers: Vec<Located<AppName>>,
    pub external: Vec<Located<String>>,
    /// Where it says `internal_topics = true`, if it does.
    pub internal_topics: Option<Spot>,
    pub credential: Credential,
    /// Of its topics that do not say it themselves.
    pub exact: bool,
}

#[derive(Debug)]
pub struct Topic {
    pub name: Located<String>,
    pub partitions: Option<Located<i64>>,
    pub replication: Option<Located<i64>>,
    pub config: Vec<Setting>,
    /// Whether configs that are not declared are reset; as the app says where the topic does not.
    pub exact: Option<bool>,
    pub readers: Vec<Located<AppName>>,
    pub writers: Vec<Located<AppName>>,
}

/// The name of the app, if that much can be read: other apps may speak of it.
pub fn app_name(canonical: &Canonical) -> Option<AppName> {
    let (_, node) = canonical.table.get("app")?;
    if let Value::Text(name) = &node.value { AppName::new(name.clone()).ok() } else { None }
}

/// Reads a whole infraspec. `None` when it has no usable name; whatever else is wrong is pushed onto `errors`.
pub fn read(canonical: &Canonical, start: &Spot, errors: &mut Vec<Diagnostic>) -> Option<Draft> {
    let form = canonical.form;
    let root = Located::new(Value::Table(canonical.table.clone()), start.clone());
    let name = read_name(&mut Fields::open(&root, "the infraspec", &TOP, errors)?, form);
    let (mut sql, mut kv, mut events) = (None, None, None);
    if let Some(services) = child(&root, "services") {
        check_services(services, form, errors);
        sql = child(services, "postgres").and_then(|node| postgres::read::read(node, form, errors));
        kv = child(services, "kv").and_then(|node| read_kv(node, form, errors));
        events = child(services, "events").and_then(|node| read_events(node, form, errors));
    }
    let publish = match child(&root, "publish") {
        Some(node) => read_publish(node, errors),
        None => Vec::new(),
    };
    let lifecycle = child(&root, "lifecycle");
    let prevent_destroy = lifecycle.and_then(|node| {
        let mut fields = Fields::open(node, "lifecycle", &["prevent_destroy"], errors)?;
        fields.flag("prevent_destroy").filter(|prevents| *prevents).and_then(|_| fields.key_spot("prevent_destroy"))
    });
    Some(Draft { name: name?, form, postgres: sql, kv, events, publish, prevent_destroy })
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    if let Value::Table(table) = &node.value { table.get(key).map(|(_, node)| node) } else { None }
}

fn read_name(fields: &mut Fields<'_, '_>, form: Form) -> Option<Located<AppName>> {
    if fields.key_spot("app").is_none() {
        let hint = match form {
            Form::Services => "give the file a first line such as app = \"my-app\" (TOML) or app: my-app (YAML)",
            Form::Infrastructure => "give the file a first line such as name: my-app",
        };
        let error = fields.spot.error("the app has no name");
        fields.fail(error.hint(hint));
        return None;
    }
    let text = fields.text("app")?;
    let long = text.value.len() > LONGEST_APP;
    match AppName::new(text.value) {
        Ok(_) if long => {
            let error = text.spot.error(format!("the app's name is longer than {LONGEST_APP} characters"));
            fields.fail(error.hint("choose a shorter one"));
            None
        }
        Ok(name) => Some(Located::new(name, text.spot)),
        Err(message) => {
            fields.fail(text.spot.error(message).hint("such as \"mail-agent\""));
            None
        }
    }
}

/// The services are mapped to our keys already; errors name the keys of the file.
fn check_services(services: &Node, form: Form, errors: &mut Vec<Diagnostic>) {
    let Value::Table(table) = &services.value else {
        errors.push(wrong_type(services, form.services(), "a table"));
        return;
    };
    for (key, (spot, _)) in table {
        if errors.len() < MOST_ERRORS && !["postgres", "kv", "events"].contains(&key.as_str()) {
            errors.push(unknown_key(key, spot, form.services(), &form.known()));
        }
    }
}

fn read_kv(node: &Node, form: Form, errors: &mut Vec<Diagnostic>) -> Option<Kv> {
    let words = [("readwrite", Access::Readwrite), ("readonly", Access::Readonly), ("queue", Access::Queue)];
    let ends = [("keep-keys", OnDestroy::KeepKeys), ("purge-keys", OnDestroy::PurgeKeys)];
    let mut fields = Fields::open(node, form.kv(), &KV, errors)?;
    let (namespace, whole_database) = kv::namespace(&mut fields);
    let shared = fields.flag("shared").filter(|shared| *shared).and_then(|_| fields.key_spot("shared"));
    if let Some(shared) = &shared {
        kv::check_shared(&mut fields, shared);
    } else if let Some(whole) = &whole_database {
        kv::check_whole(&mut fields, whole);
    }
    Some(Kv {
        namespace,
        whole_database,
        shared,
        user: fields.text("user"),
        access: fields.choice("access", &words).unwrap_or_default(),
        db: fields.number("db", 0..=LAST_DB),
        commands: kv::rules::commands(&mut fields),
        keys: kv::rules::keys(&mut fields),
        channels: kv::rules::channels(&mut fields),
        readers: fields.apps("readers"),
        credential: read_credential(&mut fields),
        on_destroy: fields.choice("on_destroy", &ends).unwrap_or_default(),
    })
}

fn read_events(node: &Node, form: Form, errors: &mut Vec<Diagnostic>) -> Option<Events> {
    let mut fields = Fields::open(node, form.events(), &EVENTS, errors)?;
    let items = fields.list("topics", "topics").unwrap_or_default();
    let events = Events {
        topics: Vec::new(),
        user: fields.text("user"),
        prefix: fields.text("prefix"),
        groups: fields.texts("groups").unwrap_or_default(),
        transactional_ids: fields.texts("transactional_ids").unwrap_or_default(),
        readers: fields.apps("readers"),
        writers: fields.apps("writers"),
        external: fields.texts("external").unwrap_or_default(),
        internal_topics: fields
            .flag("internal_topics")
            .filter(|makes| *makes)
            .and_then(|_| fields.key_spot("internal_topics")),
        credential: read_credential(&mut fields),
        exact: read_config_mode(&mut fields).unwrap_or_default(),
    };
    let mut topics = Vec::new();
    for item in items {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        topics.extend(read_topic(item, errors));
    }
    Some(Events { topics, ..events })
}

/// A topic is its name, or a table with more.
fn read_topic(node: &Node, errors: &mut Vec<Diagnostic>) -> Option<Topic> {
    if let Value::Text(name) = &node.value {
        let name = Located::new(name.clone(), node.spot.clone());
        let (config, readers, writers) = (Vec::new(), Vec::new(), Vec::new());
        return Some(Topic { name, partitions: None, replication: None, config, exact: None, readers, writers });
    }
    if !matches!(node.value, Value::Table(_)) {
        let hint = "write \"orders\", or { name = \"orders\", partitions = 6 }";
        errors.push(wrong_type(node, "a topic", "a string or a table").hint(hint));
        return None;
    }
    let mut fields = Fields::open(node, "a topic", &TOPIC, errors)?;
    let name = fields.text("name");
    if fields.key_spot("name").is_none() {
        let error = fields.spot.error("the topic has no name").hint("write { name = \"orders\", ... }");
        fields.fail(error);
    }
    let partitions = fields.number("partitions", 1..=MOST_PARTITIONS);
    let replication = fields.number("replication", 1..=MOST_REPLICAS);
    let (config, exact) = (fields.scalars("config"), read_config_mode(&mut fields));
    let (readers, writers) = (fields.apps("readers"), fields.apps("writers"));
    Some(Topic { name: name?, partitions, replication, config, exact, readers, writers })
}

/// Whether configs of topics that are not declared are reset.
fn read_config_mode(fields: &mut Fields<'_, '_>) -> Option<bool> {
    fields.choice("config_mode", &[("declared", false), ("exact", true)])
}

/// Who looks after the password of what signs in.
pub fn read_credential(fields: &mut Fields<'_, '_>) -> Credential {
    let words = [("generate", Credential::Generate), ("keep", Credential::Keep)];
    fields.choice("credential", &words).unwrap_or_default()
}

/// Names of variables and their templates; `crate::spec::publish` checks both.
fn read_publish(node: &Node, errors: &mut Vec<Diagnostic>) -> Vec<Setting> {
    let Value::Table(table) = &node.value else {
        errors.push(wrong_type(node, "publish", "a table"));
        return Vec::new();
    };
    let mut published = Vec::new();
    for (name, (spot, node)) in table {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        if let Value::Text(text) = &node.value {
            let name = Located::new(name.clone(), spot.clone());
            published.push((name, Located::new(text.clone(), node.spot.clone())));
        } else {
            errors.push(wrong_type(node, name, "a string"));
        }
    }
    published
}
