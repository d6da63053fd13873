//! Topics: their configs in the form that a broker stores.

use crate::services::kafka::configs;
use crate::spec::claims::{Shared, TopicPlaces};
use crate::spec::fields::{MOST_ERRORS, shown};
use crate::spec::model::Topic;
use crate::spec::names::Named;
use crate::spec::node::Located;
use crate::spec::read;
use crate::spec::resolve::Resolver;
use std::collections::BTreeMap;

/// Resolves one topic of an app, which says how its topics are managed that do not say it themselves.
pub fn resolve(resolver: &mut Resolver<'_>, written: &read::Topic, exact: bool) -> Topic {
    let name = resolver.written(Named::Topic, &written.name);
    let (readers, writers) = resolver.guests(&written.readers, &written.writers, Shared::Events);
    let topic = Topic {
        name,
        partitions: written.partitions.as_ref().and_then(|count| i32::try_from(count.value).ok()),
        replication: written.replication.as_ref().and_then(|count| i32::try_from(count.value).ok()),
        config: config(resolver, written),
        exact: written.exact.unwrap_or(exact),
        readers,
        writers,
    };
    let places = TopicPlaces {
        name: written.name.spot.clone(),
        partitions: written.partitions.as_ref().map(|count| count.spot.clone()),
        replication: written.replication.as_ref().map(|count| count.spot.clone()),
        config: written.config.iter().map(|(name, value)| (name.value.clone(), value.spot.clone())).collect(),
    };
    contradictions(resolver, &topic, &places);
    resolver.claims.topics.push(places);
    topic
}

/// Every config that is one, by name and in canonical form; the others are errors.
fn config(resolver: &mut Resolver<'_>, written: &read::Topic) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    for (name, value) in &written.config {
        if resolver.errors.len() >= MOST_ERRORS {
            break;
        }
        if !is_config(resolver, name) {
            continue;
        }
        match configs::check(&name.value, &value.value) {
            Ok(text) => {
                config.insert(name.value.clone(), text);
            }
            Err(wrong) => {
                let error = value.spot.error(format!("{}: {}", name.value, wrong.message));
                resolver.errors.push(error.hint(wrong.hint));
            }
        }
    }
    config
}

/// Whether a topic may have a config of this name. What nobody here knows may be one of a newer broker, which is asked at
/// plan time; but not if it looks like a slip.
fn is_config(resolver: &mut Resolver<'_>, name: &Located<String>) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '_' || c == '-';
    let error = if name.value.is_empty() || !name.value.chars().all(legal) {
        let lower = name.value.to_lowercase();
        let near = configs::find(&lower).map(|config| config.name).or_else(|| configs::suggestion(&lower));
        let hint = near.map(|near| format!("did you mean {near:?}?"));
        let error = name.spot.error(format!("{:?} is no config of a topic", shown(&name.value)));
        error.hint(hint.unwrap_or_else(|| "such as retention.ms, in lower case".to_owned()))
    } else if let Some((why, hint)) = configs::refused(&name.value) {
        name.spot.error(format!("{} {why}", name.value)).hint(hint)
    } else if configs::find(&name.value).is_some() {
        return true;
    } else if let Some(near) = configs::suggestion(&name.value) {
        name.spot.error(format!("unknown config {:?} of a topic", name.value)).hint(format!("did you mean {near:?}?"))
    } else {
        return true;
    };
    resolver.errors.push(error);
    false
}

/// Configs that no broker takes together.
fn contradictions(resolver: &mut Resolver<'_>, topic: &Topic, places: &TopicPlaces) {
    let number = |name: &str| topic.config.get(name)?.parse::<i64>().ok();
    let mut wrong = |name: &str, message: String, hint: &str| {
        if let Some(spot) = places.config.get(name) {
            resolver.errors.push(spot.error(message).hint(hint));
        }
    };
    let (least, most) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
    if let (Some(min), Some(max)) = (number(least), number(most))
        && min > max
    {
        wrong(least, format!("{least} ({min}) is more than {most} ({max})"), "make it no more than that");
    }
    if topic.config.get(configs::REMOTE_STORAGE).is_none_or(|remote| remote != "true") {
        return;
    }
    let policy = topic.config.get(configs::CLEANUP_POLICY);
    if policy.is_some_and(|policy| configs::compacts(policy)) {
        let message = format!("{}: only topics that are not compacted can be stored remotely", configs::REMOTE_STORAGE);
        wrong(configs::REMOTE_STORAGE, message, "leave it out, or write cleanup.policy = \"delete\"");
    }
    for (local, whole) in
        [("local.retention.ms", configs::RETENTION_MS), ("local.retention.bytes", configs::RETENTION_BYTES)]
    {
        if let (Some(near), Some(all)) = (number(local), number(whole))
            && all >= 0
            && (near == -1 || near > all)
        {
            wrong(local, format!("{local} ({near}) is more than {whole} ({all})"), "make it no more than that");
        }
    }
}
