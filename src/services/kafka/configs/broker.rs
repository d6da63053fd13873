//! What the broker that is there makes of declared configs.

use super::{Config, OnKafka, OnRedpanda, find, is_vendors};
use crate::services::kafka::server::Flavor;
use std::collections::BTreeSet;

/// The names of configs that the broker shows of topics; `None` if no topic was looked at.
pub type Reported<'a> = Option<&'a BTreeSet<String>>;

/// What becomes of a declared config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The broker keeps it, and shows it.
    Kept,
    /// The broker keeps it, and never shows it: it is set when the topic is made.
    Unseen,
    /// The broker takes it without a word and does nothing: why.
    Ignored(String),
    /// The broker has no such config: why, and what to do.
    Refused(String),
}

/// What the broker makes of a config. What it shows counts for more than what the table knows: brokers get older and
/// newer than the table.
pub fn fate(flavor: Flavor, name: &str, reported: Reported<'_>) -> Fate {
    if reported.is_some_and(|names| names.contains(name)) {
        return Fate::Kept;
    }
    let known = find(name);
    match flavor {
        Flavor::Kafka => on_kafka(name, known, reported),
        Flavor::Redpanda => on_redpanda(name, known, reported),
    }
}

fn on_kafka(name: &str, known: Option<&Config>, reported: Reported<'_>) -> Fate {
    match known.map(|config| config.kafka) {
        Some(OnKafka::HasNot) => {
            Fate::Refused(format!("{name} is a config of Redpanda, and this is Kafka: leave it out"))
        }
        Some(OnKafka::Since(version)) if reported.is_some() => Fate::Refused(format!(
            "this Kafka has no {name} yet (it came with {version}): leave it out, or update Kafka"
        )),
        Some(OnKafka::Has) | None if reported.is_some() => {
            Fate::Refused(format!("neither nornplan nor this broker knows a config {name} of topics: leave it out"))
        }
        // CreateTopics says so of what it does not know.
        Some(OnKafka::Has | OnKafka::Since(_)) | None => Fate::Kept,
    }
}

fn on_redpanda(name: &str, known: Option<&Config>, reported: Reported<'_>) -> Fate {
    let says = |why: &str| Fate::Ignored(format!("Redpanda takes {name} and {why}"));
    match known.map(|config| config.redpanda) {
        Some(OnRedpanda::Ignores) => says("does nothing with it"),
        Some(OnRedpanda::HasNot) => says("does nothing with it when the topic is made, and refuses it afterwards"),
        Some(OnRedpanda::AtCreation) => Fate::Unseen,
        Some(OnRedpanda::Since(version)) if reported.is_some() => {
            Fate::Ignored(format!("this Redpanda ignores {name} (it does not before {version})"))
        }
        // Features that are switched off show none of their configs.
        Some(OnRedpanda::Has) if reported.is_some() => {
            says("does not show it, so that it cannot be told whether it is so")
        }
        None if is_vendors(name) && reported.is_some() => {
            says("does not show it, so that it cannot be told whether it is so")
        }
        None if reported.is_some() => Fate::Refused(format!(
            "neither nornplan nor this broker knows a config {name} of topics (Redpanda would take it without a word and \
             ignore it): leave it out"
        )),
        Some(OnRedpanda::Has | OnRedpanda::Since(_)) | None => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_shows_counts_for_more_than_the_table() {
        let shown = BTreeSet::from(["retention.ms".to_owned(), "new.of.kafka".to_owned()]);
        let fate = |flavor, name| super::fate(flavor, name, Some(&shown));
        let said = |fate: Fate| match fate {
            Fate::Kept | Fate::Unseen => String::new(),
            Fate::Ignored(why) => format!("ignored: {why}"),
            Fate::Refused(why) => format!("refused: {why}"),
        };
        for flavor in [Flavor::Kafka, Flavor::Redpanda] {
            assert_eq!(fate(flavor, "retention.ms"), Fate::Kept);
            assert_eq!(fate(flavor, "new.of.kafka"), Fate::Kept);
            assert!(said(fate(flavor, "nobodys")).starts_with("refused: neither"));
        }
        for (name, kafka, redpanda) in [
            (
                "write.caching",
                "refused: write.caching is a config of Redpanda",
                "ignored: Redpanda takes write.caching",
            ),
            ("min.insync.replicas", "refused: neither", "ignored: Redpanda takes min.insync.replicas"),
            ("compression.zstd.level", "refused: this Kafka has no compression.zstd.level yet", "ignored: "),
            (
                "min.compaction.lag.ms",
                "refused: neither",
                "ignored: this Redpanda ignores min.compaction.lag.ms (it does not before 25.2)",
            ),
            ("compaction.strategy", "refused: compaction.strategy is a config of Redpanda", ""),
            ("redpanda.to.come", "refused: neither", "ignored: "),
        ] {
            assert!(said(fate(Flavor::Kafka, name)).starts_with(kafka), "{name}: {:?}", fate(Flavor::Kafka, name));
            let there = said(fate(Flavor::Redpanda, name));
            assert!(there.starts_with(redpanda) && there.is_empty() == redpanda.is_empty(), "{name}: {there}");
        }
    }

    #[test]
    fn where_no_topic_was_looked_at_only_the_table_is_known() {
        assert_eq!(fate(Flavor::Kafka, "nobodys", None), Fate::Kept);
        assert_eq!(fate(Flavor::Redpanda, "nobodys", None), Fate::Kept);
        assert!(matches!(fate(Flavor::Kafka, "write.caching", None), Fate::Refused(_)));
        assert!(matches!(fate(Flavor::Redpanda, "min.insync.replicas", None), Fate::Ignored(_)));
        assert_eq!(fate(Flavor::Redpanda, "min.compaction.lag.ms", None), Fate::Kept);
    }
}
