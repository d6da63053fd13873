//! What apps find in their environment, from what their infraspecs declare.

use super::model::{Published, secret_address};
use super::password::{self, Passwords, SHARED, url_part};
use super::sink::Values;
use crate::config::{Config, KafkaConfig, PostgresConfig, ValkeyConfig};
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::postgres::model::Credential;
use crate::services::{Model, ServiceId};
use crate::spec::model::{App, Events, Kv, Postgres, Specs};
use crate::spec::template::{self, Piece};
use std::collections::BTreeMap;

/// What is to be published for every app that has a generated credential, topics or a `[publish]` table.
///
/// # Errors
/// A `[publish]` template that cannot be filled in, or that hides a password where it could not be found again.
pub fn desired(specs: &Specs, config: &Config) -> Result<BTreeMap<Address, Wanted<Model>>> {
    let mut wanted = BTreeMap::new();
    for app in specs.apps.values() {
        let values = values(app, config)?;
        if !values.is_empty() {
            let model = Model::Secret(Published { values });
            wanted.insert(secret_address(app.name.as_str()), Wanted { app: app.name.clone(), model });
        }
    }
    Ok(wanted)
}

/// Servers as the workspace says that apps are to find them: the values that name them alone, and a URL for each service.
pub fn servers(config: &Config) -> BTreeMap<String, String> {
    let Config { postgres, valkey, kafka, .. } = config;
    let brokers = kafka.public_brokers.join(",");
    let mut named = vec![
        ("postgres", format!("postgres://{}:{}", host_part(&postgres.public_host), postgres.public_port)),
        ("valkey", format!("redis://{}:{}", host_part(&valkey.public_host), valkey.public_port)),
        ("kafka", format!("kafka://{brokers}")),
        ("KAFKA_BROKERS", brokers.clone()),
        ("KAFKA_BOOTSTRAP_SERVERS", brokers),
    ];
    if let Some((sentinels, name)) = sentinels(valkey) {
        named.push(("sentinels", format!("redis+sentinel://{sentinels}")));
        named.push(("VALKEY_SENTINELS", sentinels));
        named.push(("VALKEY_SENTINEL_NAME", name));
    }
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What is to be published for an app.
///
/// # Errors
/// As [`desired`].
pub fn values(app: &App, config: &Config) -> Result<BTreeMap<String, String>> {
    let mut pairs = Vec::new();
    if let Some(postgres) = app.postgres.as_ref().filter(|postgres| postgres.credential == Credential::Generate) {
        pairs.extend(postgres_values(postgres, &config.postgres));
    }
    if let Some(kv) = app.kv.as_ref().filter(|kv| kv.credential == Credential::Generate) {
        pairs.extend(kv_values(kv, &config.valkey));
    }
    if let Some(events) = &app.events {
        pairs.extend(events_values(events, &config.kafka));
    }
    let mut values = BTreeMap::new();
    for (name, value) in pairs {
        if values.insert(name.clone(), value).is_some() {
            return Err(wrong(app, format!("two databases or topics of {} would be published as {name}", app.name))
                .hint("names differ there only in letters and digits; rename one of them"));
        }
    }
    for (name, template) in &app.publish {
        if !is_variable(name) {
            return Err(wrong(app, format!("[publish] {name:?} is no name of an environment variable"))
                .hint("letters, digits and _, not starting with a digit"));
        }
        values.insert(name.clone(), fill(app, config, name, template)?);
    }
    check_carriers(app, config, &values)?;
    Ok(values)
}

fn postgres_values(postgres: &Postgres, config: &PostgresConfig) -> Vec<(String, String)> {
    let url = |database: &str| {
        format!(
            "postgres://{}:{{pg.password}}@{}:{}/{}?sslmode={}",
            url_part(&postgres.user),
            host_part(&config.public_host),
            config.public_port,
            url_part(database),
            config.public_sslmode
        )
    };
    let names = postgres.databases.iter().map(|database| database.name.as_str());
    names.enumerate().map(|(at, database)| (database_variable(at, database), url(database))).collect()
}

/// The variable that names a database; `at` counts from 0.
pub(super) fn database_variable(at: usize, database: &str) -> String {
    match at {
        0 => "DATABASE_URL".to_owned(),
        _ => format!("DATABASE_URL_{}", variable_part(database)),
    }
}

/// Behind sentinels nothing here depends on which node is the primary today, so a failover changes no app's environment.
/// No standard says how a URL names sentinels: this is the form of Redis-Sentinel-Url, LangChain, Harbor and Prefect,
/// with the name and then the database as its path. Most client libraries take none (redis-py, ioredis, Celery,
/// go-redis, redis-rb) but the sentinels and the name each on its own.
fn kv_values(kv: &Kv, config: &ValkeyConfig) -> Vec<(String, String)> {
    let scheme = if config.use_tls { "rediss" } else { "redis" };
    let password = if kv.shared { SHARED } else { "{kv.password}" };
    let sign_in = format!("{}:{password}", url_part(&kv.user));
    let both = |url: &str| ["VALKEY_URL", "REDIS_URL"].map(|name| (name.to_owned(), url.to_owned())).to_vec();
    match sentinels(config) {
        Some((sentinels, name)) => {
            let mut pairs = both(&format!("{scheme}+sentinel://{sign_in}@{sentinels}/{}/{}", url_part(&name), kv.db));
            pairs.push(("VALKEY_SENTINELS".to_owned(), sentinels));
            pairs.push(("VALKEY_SENTINEL_NAME".to_owned(), name));
            pairs
        }
        None => {
            let (host, port) = (host_part(&config.public_host), config.public_port);
            both(&format!("{scheme}://{sign_in}@{host}:{port}/{}", kv.db))
        }
    }
}

/// The sentinels, parted by commas, and the name that they know the primary by: if apps are to ask them.
fn sentinels(config: &ValkeyConfig) -> Option<(String, String)> {
    let name = config.sentinel_service.clone().filter(|_| config.publishes_sentinels)?;
    Some((config.sentinels.join(","), name))
}

/// Without a sign-in, or where people look after the credential, only brokers and topics, and TLS if that is spoken.
fn events_values(events: &Events, config: &KafkaConfig) -> Vec<(String, String)> {
    let brokers = config.public_brokers.join(",");
    let mut pairs =
        vec![("KAFKA_BROKERS".to_owned(), brokers.clone()), ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), brokers)];
    if let Some(protocol) = security_protocol(config) {
        pairs.push(("KAFKA_SECURITY_PROTOCOL".to_owned(), protocol.to_owned()));
    }
    if let Some(mechanism) = config.user_mechanism.as_ref().filter(|_| signs_in(events, config)) {
        pairs.push(("KAFKA_USERNAME".to_owned(), events.user.clone()));
        pairs.push(("KAFKA_PASSWORD".to_owned(), "{kafka.password}".to_owned()));
        pairs.push(("KAFKA_SASL_MECHANISM".to_owned(), mechanism.clone()));
    }
    if !events.topics.is_empty() {
        let all: Vec<&str> = events.topics.iter().map(|topic| topic.name.as_str()).collect();
        pairs.push(("KAFKA_TOPICS".to_owned(), all.join(",")));
        pairs.extend(all.iter().map(|name| (topic_variable(name), (*name).to_owned())));
    }
    pairs
}

/// What clients call `security.protocol`; nothing where it is what they take without being told (PLAINTEXT).
fn security_protocol(config: &KafkaConfig) -> Option<&'static str> {
    match (config.has_principals(), config.use_tls) {
        (true, true) => Some("SASL_SSL"),
        (true, false) => Some("SASL_PLAINTEXT"),
        (false, true) => Some("SSL"),
        (false, false) => None,
    }
}

/// The variable that names a topic.
pub(super) fn topic_variable(topic: &str) -> String {
    format!("KAFKA_TOPIC_{}", variable_part(topic))
}

fn signs_in(events: &Events, config: &KafkaConfig) -> bool {
    config.user_mechanism.is_some() && events.credential == Credential::Generate
}

/// Fills in everything but passwords.
fn fill(app: &App, config: &Config, name: &str, template: &str) -> Result<String> {
    let pieces = template::parse(template).map_err(|error| wrong(app, format!("[publish] {name}: {error}")))?;
    let url = template.contains("://");
    let mut value = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => value.push_str(&text),
            Piece::Placeholder(placeholder) => {
                let found = lookup(app, config, &placeholder, url).ok_or_else(|| {
                    wrong(app, format!("[publish] {name}: {} has nothing to put in for {{{placeholder}}}", app.name))
                        .hint(
                            "there is no such placeholder, the app lacks that service, or it says \
                             credential = \"keep\"; behind sentinels there is {kv.sentinels} and no {kv.host}",
                        )
                })?;
                value.push_str(&found);
            }
        }
    }
    Ok(value)
}

fn lookup(app: &App, config: &Config, placeholder: &str, url: bool) -> Option<String> {
    let encoded = |text: &str| if url { url_part(text) } else { text.to_owned() };
    let host = |host: &str| if url { host_part(host) } else { host.to_owned() };
    let Some((service, field)) = placeholder.split_once('.') else {
        return (placeholder == "app").then(|| app.name.to_string());
    };
    match service {
        "pg" => {
            let postgres = app.postgres.as_ref()?;
            match field {
                "user" => Some(encoded(&postgres.user)),
                "password" if postgres.credential == Credential::Generate => Some("{pg.password}".to_owned()),
                "host" => Some(host(&config.postgres.public_host)),
                "port" => Some(config.postgres.public_port.to_string()),
                "database" => postgres.databases.first().map(|database| encoded(&database.name)),
                "sslmode" => Some(config.postgres.public_sslmode.clone()),
                _ => None,
            }
        }
        "kv" => {
            let kv = app.kv.as_ref()?;
            match field {
                "user" => Some(encoded(&kv.user)),
                "password" if kv.shared => Some(SHARED.to_owned()),
                "password" if kv.credential == Credential::Generate => Some("{kv.password}".to_owned()),
                // With sentinels there is no one host: which node is the primary changes.
                "host" if !config.valkey.publishes_sentinels => Some(host(&config.valkey.public_host)),
                "port" if !config.valkey.publishes_sentinels => Some(config.valkey.public_port.to_string()),
                "sentinels" => sentinels(&config.valkey).map(|(sentinels, _)| sentinels),
                "sentinel_name" => sentinels(&config.valkey).map(|(_, name)| encoded(&name)),
                "db" => Some(kv.db.to_string()),
                "namespace" => kv.namespace.clone(),
                _ => None,
            }
        }
        "kafka" => {
            let events = app.events.as_ref()?;
            match field {
                "user" => Some(encoded(&events.user)),
                "password" if signs_in(events, &config.kafka) => Some("{kafka.password}".to_owned()),
                "brokers" => Some(config.kafka.public_brokers.join(",")),
                "mechanism" => config.kafka.user_mechanism.clone(),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A published password must be found again in what is published, or the next plan would have to renew it.
fn check_carriers(app: &App, config: &Config, values: &BTreeMap<String, String>) -> Result<()> {
    let generated = [
        (ServiceId::Postgres, app.postgres.as_ref().is_some_and(|one| one.credential == Credential::Generate)),
        (ServiceId::Valkey, app.kv.as_ref().is_some_and(|one| one.credential == Credential::Generate && !one.shared)),
        (ServiceId::Kafka, app.events.as_ref().is_some_and(|one| signs_in(one, &config.kafka))),
    ];
    let sample = |service: &ServiceId| Secret::new(format!("sample{service}"));
    let samples: Passwords = generated.iter().map(|(service, _)| (*service, sample(service))).collect();
    let filled: Values = values
        .iter()
        .filter_map(|(name, template)| Some((name.clone(), password::fill(template, &samples).ok()?)))
        .collect();
    for (service, _) in generated.iter().filter(|(_, generated)| *generated) {
        let found = password::published(&filled, *service);
        if found.is_none_or(|found| found.expose() != sample(service).expose()) {
            let carriers = password::carriers(*service).join(" and ");
            let placeholder = password::placeholder(*service).unwrap_or_default();
            return Err(wrong(app, format!("[publish] leaves no {carriers} with the password in it")).hint(format!(
                "nornplan finds {placeholder} again in {carriers}, so keep its form; give another form another name"
            )));
        }
    }
    Ok(())
}

fn wrong(app: &App, message: String) -> Diagnostic {
    Diagnostic::new(Kind::Spec, message).at(app.place.clone())
}

/// A host as a URL has it: IPv6 addresses in brackets.
fn host_part(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Upper case, and _ for all but letters and digits.
fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
