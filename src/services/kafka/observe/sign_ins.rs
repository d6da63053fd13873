//! What a broker's configuration says of sign-ins: how long an open session goes on, and whether there are ways in beside
//! passwords.

use crate::services::kafka::client::native::{ConfigEntry, ConfigSource};
use std::collections::BTreeSet;

/// How long sessions go on, of Kafka and of Redpanda. Listeners of Kafka may each have their own
/// (`listener.name.NAME.MECHANISM.connections.max.reauth.ms`).
const REAUTHENTICATES: [&str; 2] = ["connections.max.reauth.ms", "kafka_sasl_max_reauth_ms"];
/// With it a user may make tokens that sign in for it; its value is never shown.
const TOKENS: &str = "delegation.token.secret.key";

/// What is known of sign-ins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignIns {
    /// In milliseconds; 0 is for ever.
    pub reauthenticates_ms: Option<u64>,
    pub delegation_tokens: Option<bool>,
}

/// What a broker does not show is unknown.
pub fn of(entries: &[ConfigEntry]) -> SignIns {
    let is_one =
        |name: &str| REAUTHENTICATES.iter().any(|known| name == *known || name.ends_with(&format!(".{known}")));
    let times: BTreeSet<u64> = entries
        .iter()
        .filter(|entry| is_one(&entry.name))
        .map(|entry| entry.value.as_ref().and_then(|value| value.parse().ok()).unwrap_or_default())
        .collect();
    // Where listeners differ, nobody knows by which one an app comes.
    let reauthenticates_ms = times.first().copied().filter(|_| times.len() == 1);
    let tokens = entries.iter().find(|entry| entry.name == TOKENS);
    SignIns { reauthenticates_ms, delegation_tokens: tokens.map(|entry| entry.source != ConfigSource::Default) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: Option<&str>, source: ConfigSource) -> ConfigEntry {
        ConfigEntry {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            source,
            read_only: true,
            sensitive: value.is_none(),
        }
    }

    #[test]
    fn what_brokers_show_is_understood() {
        let reauth = |value| entry("connections.max.reauth.ms", Some(value), ConfigSource::StaticBroker);
        let tokens = |source| entry(TOKENS, None, source);
        let case = |entries: &[ConfigEntry]| {
            let SignIns { reauthenticates_ms, delegation_tokens } = of(entries);
            (reauthenticates_ms, delegation_tokens)
        };
        assert_eq!(case(&[]), (None, None));
        assert_eq!(case(&[reauth("0"), tokens(ConfigSource::Default)]), (Some(0), Some(false)));
        assert_eq!(case(&[reauth("60000"), tokens(ConfigSource::StaticBroker)]), (Some(60_000), Some(true)));
        let of_listener = "listener.name.apps.scram-sha-512.connections.max.reauth.ms";
        let other = entry(of_listener, Some("5"), ConfigSource::StaticBroker);
        assert_eq!(case(&[reauth("0"), other]), (None, None));
        assert_eq!(case(&[entry("kafka_sasl_max_reauth_ms", None, ConfigSource::Default)]), (Some(0), None));
    }
}
