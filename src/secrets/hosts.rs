//! Whether what a saved plan publishes leads an app, and its passwords, where nobody has said that it shall. Pure.

use super::password::{SHARED, placeholder};
use crate::services::ServiceId;
use std::collections::{BTreeMap, BTreeSet};

/// Values that name servers, as the workspace says, whatever an infraspec says.
const SERVERS: [&str; 4] = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "VALKEY_SENTINELS", "VALKEY_SENTINEL_NAME"];

type Values = BTreeMap<String, String>;

/// The first value that is neither what an app was told last, nor what it is to be told now. Where the infraspec is
/// another one by now (`has_changed`), a value may be another, too: but it leads to the same servers.
pub fn strange<'a>(values: &'a Values, last: &Values, wanted: &Values, has_changed: bool) -> Option<&'a str> {
    let is_known =
        |(name, value): &(&String, &String)| [last, wanted].iter().any(|known| known.get(*name) == Some(value));
    let hosts: BTreeSet<&str> = last.values().chain(wanted.values()).flat_map(|value| hosts(value)).collect();
    let stays = |(name, value): &(&String, &String)| {
        let leads_on = has_password(value) && hosts_of_all(value).is_none_or(|of| !of.is_subset(&hosts));
        has_changed && !SERVERS.contains(&name.as_str()) && !leads_on
    };
    let strange = values.iter().find(|one| !is_known(one) && !stays(one));
    strange.map(|(name, _)| name.as_str())
}

/// A password alone leads nowhere.
fn hosts_of_all(value: &str) -> Option<BTreeSet<&str>> {
    let is_alone = ServiceId::ALL.into_iter().filter_map(placeholder).any(|placeholder| value == placeholder);
    let hosts: BTreeSet<&str> = hosts(value).collect();
    (is_alone || !hosts.is_empty()).then_some(hosts)
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
        let cases = [
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/old?sslmode=require", true, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/new?sslmode=require", true, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432/other", false, true),
            ("DATABASE_URL", "postgres://a:{pg.password}@evil:5432/new", false, false),
            ("DATABASE_URL", "postgres://a:{pg.password}@db:5432,evil:5432/new", false, false),
            ("DATABASE_URL", "postgres://evil/?p=a:{pg.password}@db:5432/new", false, false),
            ("OTHER", "host=evil password={pg.password}", false, false),
            ("KAFKA_PASSWORD", "{kafka.password}", false, true),
            ("KAFKA_BROKERS", "evil:9092", false, false),
            ("KAFKA_TOPICS", "a,b", false, true),
            ("MODE", "slow", false, true),
        ];
        for (name, value, strict, changed) in cases {
            let published = values(&[(name, value)]);
            let is_fine = |has_changed| strange(&published, &last, &wanted, has_changed).is_none();
            assert_eq!((is_fine(false), is_fine(true)), (strict, changed), "{name}={value}");
        }
    }
}
