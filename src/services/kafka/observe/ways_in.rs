//! Ways in beside the passwords that nornplan keeps, by what a broker says of its listeners. Pure.

use crate::services::kafka::client::native::ConfigEntry;
use std::collections::{BTreeMap, BTreeSet};

/// A listener by which somebody comes in who has none of these passwords.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// As the broker names it, with where it listens: `OPEN (0.0.0.0:9094)`.
    pub listener: String,
    pub by: By,
    /// Whether it is there for brokers alone, as far as they say.
    pub of_brokers: bool,
}

/// What a listener asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Nothing: whoever comes is `User:ANONYMOUS`.
    Nothing,
    /// A sign-in by something else than SCRAM too.
    Mechanisms(BTreeSet<String>),
}

/// Finds them. Redpanda says nothing of its listeners so.
pub fn of(entries: &[ConfigEntry]) -> Vec<Way> {
    let values = entries.iter().filter(|entry| !entry.sensitive);
    let values = values.filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)));
    let configs = Configs(values.collect());
    let controllers = configs.names("controller.listener.names");
    let all: Vec<(String, String)> = configs
        .list("listeners")
        .filter_map(|one| one.split_once("://"))
        .map(|(name, at)| (name.to_ascii_uppercase(), at.to_owned()))
        .filter(|(name, _)| !controllers.contains(name))
        .collect();
    let protocols: BTreeMap<String, &str> = configs
        .list("listener.security.protocol.map")
        .filter_map(|one| one.split_once(':'))
        .map(|(name, protocol)| (name.to_ascii_uppercase(), protocol))
        .collect();
    // One that is the only one is everybody's.
    let of_brokers = configs.names("inter.broker.listener.name").into_iter().next().filter(|_| all.len() > 1);
    let mut ways = Vec::new();
    for (name, at) in &all {
        let protocol = protocols.get(name).map_or(name.as_str(), |protocol| *protocol).to_ascii_uppercase();
        let of_brokers = of_brokers.as_ref() == Some(name);
        let by = match protocol.as_str() {
            "PLAINTEXT" => By::Nothing,
            "SSL" if configs.of_listener(name, "ssl.client.auth") != Some("required") => By::Nothing,
            "SASL_PLAINTEXT" | "SASL_SSL" if !of_brokers => {
                let offered = configs.of_listener(name, "sasl.enabled.mechanisms").unwrap_or_default();
                let others = parts(offered).filter(|mechanism| !mechanism.starts_with("SCRAM-"));
                By::Mechanisms(others.map(str::to_owned).collect())
            }
            _ => continue,
        };
        if by != By::Mechanisms(BTreeSet::new()) {
            ways.push(Way { listener: format!("{name} ({at})"), by, of_brokers });
        }
    }
    ways
}

struct Configs<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Configs<'a> {
    fn list(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        parts(self.0.get(name).copied().unwrap_or_default())
    }

    /// Names of listeners, which are the same in capitals.
    fn names(&self, name: &str) -> BTreeSet<String> {
        self.list(name).map(str::to_ascii_uppercase).collect()
    }

    /// A config of one listener, or else that of all.
    fn of_listener(&self, listener: &str, name: &str) -> Option<&'a str> {
        let own = format!("listener.name.{}.{name}", listener.to_ascii_lowercase());
        self.0.get(own.as_str()).or_else(|| self.0.get(name)).copied()
    }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::kafka::client::native::ConfigSource;

    fn found(configs: &[(&str, &str)]) -> Vec<String> {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::StaticBroker,
            read_only: true,
            sensitive: false,
        };
        let tell = |way: Way| {
            let by = match way.by {
                By::Nothing => "nothing".to_owned(),
                By::Mechanisms(mechanisms) => mechanisms.into_iter().collect::<Vec<_>>().join("+"),
            };
            format!("{}: {by}{}", way.listener, if way.of_brokers { ", of brokers" } else { "" })
        };
        of(&configs.iter().map(entry).collect::<Vec<_>>()).into_iter().map(tell).collect()
    }

    const OURS: [(&str, &str); 6] = [
        ("listeners", "APPS://127.0.0.1:1,CONTROLLER://127.0.0.1:2,INTERNAL://127.0.0.1:3"),
        ("listener.security.protocol.map", "APPS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,INTERNAL:SASL_PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "INTERNAL"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512,SCRAM-SHA-256"),
        ("listener.name.internal.sasl.enabled.mechanisms", "PLAIN"),
    ];

    #[test]
    fn sane_brokers_have_no_other_way_in() {
        assert_eq!(found(&[]), [""; 0]);
        assert_eq!(found(&OURS), [""; 0]);
        let certified =
            [("listeners", "SSL://:1"), ("listener.security.protocol.map", "SSL:SSL"), ("ssl.client.auth", "required")];
        assert_eq!(found(&certified), [""; 0]);
    }

    #[test]
    fn listeners_without_a_sign_in_and_other_mechanisms_are_found() {
        let with = |more: &[(&'static str, &'static str)]| found(&[&OURS[..], more].concat());
        let open = with(&[
            (
                "listeners",
                "APPS://:1,CONTROLLER://:2,INTERNAL://:3,open://0.0.0.0:4,TLS://:5,MUTUAL://:6,PLAINTEXT://:7",
            ),
            (
                "listener.security.protocol.map",
                "APPS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,OPEN:PLAINTEXT,TLS:SSL,MUTUAL:SSL",
            ),
            ("listener.name.mutual.ssl.client.auth", "required"),
            ("ssl.client.auth", "requested"),
        ]);
        assert_eq!(
            open,
            [
                "INTERNAL (:3): nothing, of brokers",
                "OPEN (0.0.0.0:4): nothing",
                "TLS (:5): nothing",
                "PLAINTEXT (:7): nothing"
            ]
        );
        assert_eq!(
            with(&[("sasl.enabled.mechanisms", "SCRAM-SHA-512, PLAIN,OAUTHBEARER")]),
            ["APPS (127.0.0.1:1): OAUTHBEARER+PLAIN"]
        );
        let only_one = [
            ("listeners", "SASL_SSL://:1"),
            ("inter.broker.listener.name", "SASL_SSL"),
            ("sasl.enabled.mechanisms", "PLAIN"),
        ];
        assert_eq!(found(&only_one), ["SASL_SSL (:1): PLAIN"]);
    }
}
