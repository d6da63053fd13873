//! Topics that apps read and nobody here declares: a slip in such a name would never show.

use super::reader::Reader;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::Ask;
use crate::services::kafka::model::topic_address;
use std::collections::{BTreeMap, BTreeSet};

/// Topics that are asked for at most, and that are named.
const TOPICS: usize = 1_000;
const NAMED: usize = 3;

/// A warning where some of them do not exist. What cannot be read is said elsewhere.
pub async fn missing(reader: &Reader<'_>, ask: &Ask) -> Option<Notice> {
    let mut readers: BTreeMap<&str, &str> = BTreeMap::new();
    for wanted in ask.wanted.values() {
        let bindings = wanted.model.as_kafka_acl().into_iter().flat_map(|acl| &acl.bindings);
        let topics = bindings.filter(|one| one.resource == "topic" && !one.prefixed);
        let external = topics.filter(|one| !ask.wanted.contains_key(&topic_address(&one.name)));
        readers.extend(external.map(|one| (one.name.as_str(), wanted.app.as_str())));
    }
    let names: BTreeSet<&str> = readers.keys().copied().take(TOPICS).collect();
    let there: BTreeSet<String> = reader.shapes(&names).await.ok()?.into_iter().map(|(name, _)| name).collect();
    let lacking = readers.iter().filter(|(name, _)| names.contains(*name) && !there.contains(**name));
    let lacking: Vec<String> = lacking.map(|(name, app)| format!("{name} ({app})")).collect();
    let text =
        format!("apps are to read topics that do not exist, and that nobody declares: {}", some(&lacking, NAMED));
    (!lacking.is_empty()).then(|| Notice { level: Level::Warning, about: "kafka".to_owned(), text })
}
