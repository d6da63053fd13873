//! What a topic gets that says nothing itself, from the configs of a broker.

use super::{CLEANUP_POLICY, MAX_MESSAGE_BYTES, MIN_COMPACTION_LAG};
use super::{REMOTE_DELETE, REMOTE_STORAGE, RETENTION_BYTES, RETENTION_MS};
use std::collections::BTreeMap;

/// Configs of a broker that say it, the first that has a value counts; and in what they count. Kafka's are from
/// `ServerTopicConfigSynonyms`, Redpanda's have underscores.
const SOURCES: [(&str, &[(&str, i64)]); 5] = [
    (
        RETENTION_MS,
        &[
            ("log.retention.ms", 1),
            ("log.retention.minutes", 60_000),
            ("log.retention.hours", 3_600_000),
            ("log_retention_ms", 1),
        ],
    ),
    (RETENTION_BYTES, &[("log.retention.bytes", 1), ("retention_bytes", 1)]),
    (CLEANUP_POLICY, &[("log.cleanup.policy", 1), ("log_cleanup_policy", 1)]),
    (MIN_COMPACTION_LAG, &[("log.cleaner.min.compaction.lag.ms", 1), ("min_compaction_lag_ms", 1)]),
    (MAX_MESSAGE_BYTES, &[("message.max.bytes", 1), ("kafka_batch_max_bytes", 1)]),
];

/// The defaults of the weighty configs that a broker's own configs tell.
pub fn of_topics(broker: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    for (name, sources) in SOURCES {
        let told = sources.iter().find_map(|(source, factor)| Some((broker.get(*source)?, *factor)));
        let Some((value, factor)) = told else { continue };
        let value = match value.parse::<i64>() {
            Ok(number) if number > 0 => number.saturating_mul(factor).to_string(),
            Ok(_) | Err(_) => value.clone(),
        };
        defaults.insert(name.to_owned(), super::as_stored(name, &value));
    }
    // No broker has a default of its own for these.
    defaults.extend([REMOTE_STORAGE, REMOTE_DELETE].map(|name| (name.to_owned(), "false".to_owned())));
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_unit_counts_first() {
        let broker = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let retention = |pairs| of_topics(&broker(pairs)).remove(RETENTION_MS);
        assert_eq!(retention(&[("log.retention.hours", "168")]).as_deref(), Some("604800000"));
        assert_eq!(retention(&[("log.retention.hours", "168"), ("log.retention.ms", "5")]).as_deref(), Some("5"));
        assert_eq!(retention(&[("log.retention.hours", "-1")]).as_deref(), Some("-1"));
        assert_eq!(retention(&[("log_retention_ms", "5")]).as_deref(), Some("5"));
        assert_eq!(retention(&[]), None);
        let policy = of_topics(&broker(&[("log.cleanup.policy", "delete,compact")]));
        assert_eq!(policy[CLEANUP_POLICY], "compact,delete");
    }
}
