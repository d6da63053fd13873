//! Whether what a saved plan publishes leads an app, and its passwords, where nobody has said that it shall. Pure.

use super::password::{SHARED, placeholder};
use crate::services::ServiceId;
use std::collections::{BTreeMap, BTreeSet};

/// Values that name servers, as the workspace says, whatever an infraspec says.
const SERVERS: [&str; 4] = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "VALKEY_SENTINELS", "VALKEY_SENTINEL_NAME"];

type Values = BTreeMap<String, String>;

/// The first value that is neither what an app was told last, nor what it is to be told now. Where the infraspec is
/// another one by now, or cannot be read (`has_changed`), a value may be another, too: but it leads to the same servers, or
/// to those that the workspace names (`servers`).
pub fn strange<'a>(
    values: &'a Values,
    last: &Values,
    wanted: &Values,
    servers: &Values,
    has_changed: bool,
) -> Option<&'a str> {
    let is_known = |(name, value): &(&String, &String)| {
        let is_server = SERVERS.contains(&name.as_str());
        let known = [last, wanted].into_iter().chain((has_changed && is_server).then_some(servers));
        known.into_iter().any(|known| known.get(*name) == Some(value))
    };
    let known = [last, wanted, servers].into_iter().flat_map(Values::values);
    let trusted: BTreeSet<&str> = known.flat_map(|value| hosts(value)).collect();
    let leads_on = |value: &str| {
        let bare = |server: &str| trusted.iter().any(|one| without_port(one) == without_port(server));
        has_password(value) && !(hosts(value).all(|server| trusted.contains(server)) && named(value).all(bare))
    };
    let stays =
        |(name, value): &(&String, &String)| has_changed && !SERVERS.contains(&name.as_str()) && !leads_on(value);
    let strange = values.iter().find(|one| !is_known(one) && !stays(one));
    strange.map(|(name, _)| name.as_str())
}

/// The servers in `host=db port=5432`, `Server=db,1433;` and their like, and those that stand after a URL's own.
fn named(value: &str) -> impl Iterator<Item = &str> {
    const KEYS: [&str; 4] = ["host", "server", "addr", "source"];
    let pairs = value.split([' ', '\t', '\n', ';', '?', '&', '"', '\'']).filter_map(|pair| pair.split_once('='));
    let of_servers = pairs.filter(|(key, _)| KEYS.iter().any(|word| key.to_ascii_lowercase().contains(word)));
    let is_port = |server: &&str| !server.is_empty() && server.chars().all(|c| c.is_ascii_digit());
    of_servers.flat_map(|(_, servers)| servers.split(',')).filter(move |server| !is_port(server))
}

fn without_port(server: &str) -> &str {
    match server.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
        Some(_) | None => server,
    }
}

fn has_password(value: &str) -> bool {
    ServiceId::ALL.into_iter().filter_map(placeholder).chain([SHARED]).any(|placeholder| value.contains(placeholder))
}

/// The servers that a URL names.
fn hosts(value: &str) -> impl Iterator<Item = &str> {
    let authority =
        value.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#', '\\']).next().unwrap_or_default());
    let servers = authority.map(|authority| authority.rsplit_once('@').map_or(authority, |(_, servers)| servers));
    servers.into_iter().flat_map(|servers| servers.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_led_nowhere_that_nobody_named() {
        let values = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let last = values(&[("DATABASE_URL", "postgres://a:{pg.password}@db:5432/old?sslmode=require")]);
        let wanted = values(&[
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/new?sslmode=require"),
            ("KAFKA_BROKERS", "k:9092"),
            ("MODE", "fast"),
        ]);
        let servers = values(&[("valkey", "redis://kv:6379"), ("VALKEY_SENTINELS", "s1:26379")]);
        let cases = [
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/old?sslmode=require", true, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/new?sslmode=require", true, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/other", false, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@evil:5432/new", false, false),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432,evil:5432/new", false, false),
            ("DATABASE_URL", "postgres://evil/?p=a:{pg.password}@db:5432/new", false, false),
            ("OTHER", "host=evil password={pg.password}", false, false),
            ("OTHER", "host=db password={pg.password}", false, true),
            ("OTHER", "host=db,evil password={pg.password}", false, false),
            ("OTHER", "Server=db,5432;Password={pg.password}", false, true),
            ("OTHER", "a:{pg.password}", false, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/new?host=evil", false, false),
            ("VALKEY_URL", "redis://a:{kv.password}@kv:6379/0", false, true),
            ("VALKEY_SENTINELS", "s1:26379", false, true),
            ("KAFKA_PASSWORD", "{kafka.password}", false, true),
            ("KAFKA_BROKERS", "evil:9092", false, false),
            ("KAFKA_TOPICS", "a,b", false, true),
            ("MODE", "slow", false, true),
        ];
        for (name, value, strict, changed) in cases {
            let published = values(&[(name, value)]);
            let is_fine = |has_changed| strange(&published, &last, &wanted, &servers, has_changed).is_none();
            assert_eq!((is_fine(false), is_fine(true)), (strict, changed), "{name}={value}");
        }
    }
}
