//! What topics are declared to be that has bitten people before.

use crate::core::plan::Level;
use crate::services::ServiceId;
use crate::services::kafka::configs::{
    self, CLEANUP_POLICY, MIN_INSYNC_REPLICAS, RETENTION_BYTES, RETENTION_MS, SEGMENT_MS, deletes,
};
use crate::spec::claims::TopicPlaces;
use crate::spec::lint::Lint;
use crate::spec::model::Topic;
use crate::spec::overlap::Loaded;
use crate::spec::source::Spot;

/// Above so many partitions a topic is worth a second look: they cannot be taken away again.
const MANY_PARTITIONS: i32 = 1_000;
/// A message that is not kept so long (in ms) is gone before anybody who restarts can read it.
const TINY_RETENTION: i64 = 60_000;

/// Looks the topics of all apps over.
pub fn lint(loaded: &[Loaded]) -> Vec<Lint> {
    let mut lints = Vec::new();
    for one in loaded {
        let topics = one.app.events.iter().flat_map(|events| &events.topics);
        for (topic, places) in topics.zip(&one.claims.topics) {
            let found = |(spot, text, hint): Found| Lint {
                service: ServiceId::Kafka,
                app: one.app.name.clone(),
                spot,
                text: format!("topic {}: {text}", topic.name),
                hint,
                level: Level::Warning,
            };
            lints.extend(Declared { topic, places }.all().into_iter().map(found));
        }
    }
    lints
}

/// Where, what, and what would do instead.
type Found = (Spot, String, String);

struct Declared<'a> {
    topic: &'a Topic,
    places: &'a TopicPlaces,
}

impl Declared<'_> {
    fn all(&self) -> Vec<Found> {
        let each = [self.replicas(), self.partitions(), self.useless_retention(), self.segments(), self.elections()];
        each.into_iter().flatten().chain(self.short_retention()).chain(self.unknown()).collect()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.topic.config.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.value(name)?.parse().ok()
    }

    /// At a config's value.
    fn at(&self, name: &str, text: String, hint: impl Into<String>) -> Option<Found> {
        Some((self.places.config.get(name)?.clone(), text, hint.into()))
    }

    fn replicas(&self) -> Option<Found> {
        let (least, replicas) = (self.number(MIN_INSYNC_REPLICAS)?, i64::from(self.topic.replication?));
        if least > replicas {
            let text = format!(
                "{MIN_INSYNC_REPLICAS} is {least} and replication {replicas}: above the replication factor it has no effect, \
                 and before Kafka 3.7 nobody could write with acks=all"
            );
            return self.at(MIN_INSYNC_REPLICAS, text, format!("it may be {replicas} at most"));
        }
        if least == replicas && least > 1 {
            let text = format!(
                "{MIN_INSYNC_REPLICAS} is the replication factor: nobody can write with acks=all while one broker is down"
            );
            return self.at(MIN_INSYNC_REPLICAS, text, format!("{} lets one be down", least - 1));
        }
        None
    }

    fn partitions(&self) -> Option<Found> {
        let count = self.topic.partitions.filter(|count| *count > MANY_PARTITIONS)?;
        let text =
            format!("{count} partitions can never be taken away again, and each takes files and memory of its brokers");
        Some((self.places.partitions.clone()?, text, "begin with fewer: partitions can be added".to_owned()))
    }

    fn deletes(&self) -> bool {
        self.value(CLEANUP_POLICY).is_none_or(deletes)
    }

    fn short_retention(&self) -> Option<Found> {
        if !self.deletes() {
            return None;
        }
        if let Some(kept) = self.number(RETENTION_MS).filter(|kept| (0..TINY_RETENTION).contains(kept)) {
            let text = format!("{RETENTION_MS} is {kept}: messages may be deleted before anybody has read them");
            return self.at(RETENTION_MS, text, "write a duration such as \"1d\", or -1 to keep them for good");
        }
        let kept = self.number(RETENTION_BYTES).filter(|kept| *kept == 0)?;
        let text = format!("{RETENTION_BYTES} is {kept}: messages may be deleted before anybody has read them");
        self.at(RETENTION_BYTES, text, "write a size such as \"1GiB\" (of each partition), or -1 for no limit")
    }

    fn useless_retention(&self) -> Option<Found> {
        let name = [RETENTION_MS, RETENTION_BYTES].into_iter().find(|name| self.value(name).is_some())?;
        if self.deletes() {
            return None;
        }
        let text =
            format!("{name} has no effect: {CLEANUP_POLICY} is compact, which keeps the last message of every key");
        self.at(name, text, format!("leave it out, or write {CLEANUP_POLICY} = \"compact,delete\""))
    }

    fn segments(&self) -> Option<Found> {
        let (kept, segment) = (self.number(RETENTION_MS)?, self.number(SEGMENT_MS)?);
        if kept < 0 || segment <= kept || !self.deletes() {
            return None;
        }
        let text = format!(
            "{SEGMENT_MS} ({segment}) is more than {RETENTION_MS} ({kept}): messages are deleted by whole segments, so that \
             they stay for longer than {RETENTION_MS} says"
        );
        self.at(SEGMENT_MS, text, format!("make it smaller than {RETENTION_MS}"))
    }

    fn elections(&self) -> Option<Found> {
        const UNCLEAN: &str = "unclean.leader.election.enable";
        self.value(UNCLEAN).filter(|value| *value == "true")?;
        let text =
            format!("{UNCLEAN}: a replica that lacks messages may become leader, and they are lost without a word");
        self.at(UNCLEAN, text, "leave it out, unless being up is worth more than what was written")
    }

    /// Configs that nothing here knows.
    fn unknown(&self) -> Vec<Found> {
        let names = self.topic.config.keys();
        let unknown = names.filter(|name| configs::find(name).is_none() && !configs::is_vendors(name));
        let found = unknown.filter_map(|name| {
            let text = format!("nothing is known here of the config {name}: its value is not checked");
            self.at(name, text, "the broker is asked at plan time whether it has it")
        });
        found.collect()
    }
}
