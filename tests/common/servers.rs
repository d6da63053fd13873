//! The servers by raw clients, as somebody who does not use nornplan: to look, and to change things by hand.

use super::service;
use super::waiting::runs;
use fred::prelude::*;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};

/// Runs asynchronous code of a test.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Where the administrator signs in.
pub fn admin_url(database: &str) -> String {
    format!(
        "postgres://{}:{}@{}:{}/{database}",
        service("NORNPLAN_POSTGRES_USER"),
        service("NORNPLAN_POSTGRES_PASSWORD"),
        service("NORNPLAN_POSTGRES_HOST"),
        service("NORNPLAN_POSTGRES_PORT"),
    )
}

/// Runs statements as the admin, in a database.
pub fn postgres(database: &str, statements: &str) {
    postgres_at(&admin_url(database), statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// Does something in a session of its own, which nobody counts any more when this returns: a server lists one for a moment
/// after it was closed.
async fn in_session<T>(
    url: &str,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let process = process_of(&mut connection).await?;
    let done = work(&mut connection).await;
    drop(connection.close().await);
    until_it_ended(&process);
    done
}

/// The server's process for a session.
pub async fn process_of(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let query = sqlx::query_scalar("SELECT pg_catalog.pg_backend_pid()::text").persistent(false);
    query.fetch_one(connection).await
}

/// Waits for the end of a session's process. A pooler keeps it.
pub fn until_it_ended(process: &str) {
    let since = Instant::now();
    while runs(process) && since.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs statements as whom the URL names, each on its own.
pub fn postgres_at(url: &str, statements: &str) -> Result<(), sqlx::Error> {
    block_on(in_session(url, async |connection| {
        for statement in statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *connection).await?;
        }
        Ok(())
    }))
}

/// Demands that statements work for whom the URL names.
#[track_caller]
pub fn works(url: &str, statements: &str) {
    postgres_at(url, statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// Runs statements as whom the URL names, all in one message: some have semicolons in them.
pub fn at_once(url: &str, statements: &str) {
    let run = in_session(url, async |connection| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(connection).await
    });
    block_on(run).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// One value as the admin.
pub fn postgres_value(database: &str, query: &str) -> Option<String> {
    value_at(&admin_url(database), query)
}

/// One value as whom the URL names.
pub fn value_at(url: &str, query: &str) -> Option<String> {
    let asked = in_session(url, async |connection| {
        sqlx::query_as(sqlx::AssertSqlSafe(query.to_owned())).fetch_optional(connection).await
    });
    let value: Option<(Option<String>,)> = block_on(asked).unwrap_or_else(|error| panic!("{query}: {error}"));
    value.and_then(|(value,)| value)
}

/// Runs a command as the admin of Valkey.
pub fn valkey(words: &[&str]) -> Result<fred::types::Value, fred::error::Error> {
    let url = format!(
        "redis://default:{}@{}:{}",
        service("NORNPLAN_VALKEY_PASSWORD"),
        service("NORNPLAN_VALKEY_HOST"),
        service("NORNPLAN_VALKEY_PORT")
    );
    valkey_at(&url, words)
}

/// Runs a command as whom the URL names.
pub fn valkey_at(url: &str, words: &[&str]) -> Result<fred::types::Value, fred::error::Error> {
    block_on(async {
        let config = Config::from_url(url)?;
        let client = Builder::from_config(config).build()?;
        client.init().await?;
        let (name, arguments) = words.split_first().expect("a command");
        let command = fred::types::CustomCommand::new((*name).to_owned(), fred::types::ClusterHash::FirstKey, false);
        let value = client.custom(command, arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).await;
        let _ = client.quit().await;
        value
    })
}

/// How to sign in to Kafka as somebody.
pub fn kafka_as(user: &str, password: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", service("NORNPLAN_KAFKA_BROKERS"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", user)
        .set("sasl.password", password)
        .set("log_level", "0");
    config
}

pub fn kafka_admin() -> ClientConfig {
    kafka_as(&service("NORNPLAN_KAFKA_USER"), &service("NORNPLAN_KAFKA_PASSWORD"))
}

/// Partitions of a topic as the admin sees it; 0 if there is none.
pub fn partitions(topic: &str) -> usize {
    let consumer: BaseConsumer = kafka_admin().create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len())
}

/// Sends a message to the first partition of a topic.
pub fn send(topic: &str) {
    let producer: FutureProducer = kafka_admin().create().expect("a producer");
    let record = FutureRecord::<(), str>::to(topic).payload("x").partition(0);
    block_on(producer.send(record, Duration::from_secs(10))).expect("it is sent");
}

/// How many messages the first partition of a topic holds.
pub fn messages(topic: &str) -> i64 {
    let consumer: BaseConsumer = kafka_admin().create().expect("a consumer");
    let (first, next) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).expect("offsets");
    next - first
}

/// One config of a topic.
pub fn topic_config(topic: &str, name: &str) -> Option<String> {
    block_on(async {
        let admin: AdminClient<DefaultClientContext> = kafka_admin().create().expect("an admin");
        let found =
            admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &AdminOptions::new()).await.expect("configs");
        let found = found.into_iter().next()?.ok()?;
        found.get(name).and_then(|entry| entry.value.clone())
    })
}
