//! What of a topic is managed: what of it is compared, and with what.

use crate::services::kafka::configs::{TRANSIENT, WEIGHTY};
use crate::services::kafka::model::Topic;
use crate::services::kafka::server::Flavor;
use std::collections::BTreeMap;

/// The topic as it is compared with what is wanted: configs that are declared, or were, and all of its own where it is
/// exact. Those of others are not ours to see.
///
/// Redpanda shows a config that is set to the default as if nobody had set it, and does not show at all what it ignores:
/// there a config is as it is wanted if its value is, and one that is not shown is unknown, which is equal to anything.
/// Kafka tells what is a topic's own, so there a declared config is pinned even where the default is the same by now.
pub fn managed(mut there: Topic, wanted: Option<&Topic>, last: Option<&Topic>, flavor: Flavor) -> Topic {
    let named = |name: &str| wanted.into_iter().chain(last).any(|topic| topic.config.contains_key(name));
    let exact = wanted.is_some_and(Topic::is_exact);
    let counts = |name: &str| there.effective(name).map(|value| (name.to_owned(), value.to_owned()));
    let weighty: BTreeMap<String, String> = WEIGHTY.into_iter().filter_map(counts).collect();
    there.config.retain(|name, _| named(name) || (exact && !TRANSIENT.contains(&name.as_str())));
    if flavor == Flavor::Redpanda {
        for (name, value) in wanted.iter().flat_map(|wanted| &wanted.config) {
            if !there.config.contains_key(name) {
                let counts = there.inherited.get(name).unwrap_or(value).clone();
                there.config.insert(name.clone(), counts);
            }
        }
    }
    // What is lost by a change depends on what nobody declared, too.
    there.inherited = weighty.into_iter().filter(|(name, _)| !there.config.contains_key(name)).collect();
    // No broker knows it: what it asks for stands in the configs.
    there.exact = exact.then_some(true);
    there
}

/// Prepares what was last applied and what is wanted for the comparison. What was never declared until now has not
/// drifted, as nobody managed it: there, what there is counts as what was last applied. And a topic that is exact no more
/// says so once, so that the state notes it.
pub fn compare(last: &mut Topic, wanted: &mut Topic, there: &Topic) {
    let was_exact = last.is_exact();
    if was_exact && wanted.exact.is_none() {
        wanted.exact = Some(false);
    }
    let counts = [
        (&mut last.partitions, wanted.partitions, there.partitions),
        (&mut last.replication, wanted.replication, there.replication),
    ];
    for (last, wanted, there) in counts {
        if last.is_none() && wanted.is_some() && wanted != there {
            *last = there;
        }
    }
    for (name, value) in &there.config {
        let declared = wanted.config.get(name);
        // In an exact topic a config that nobody ever declared is drift.
        let is_drift = was_exact && declared.is_none();
        if !last.config.contains_key(name) && declared != Some(value) && !is_drift {
            last.config.insert(name.clone(), value.clone());
        }
    }
}

/// Configs that the step takes away and that nobody ever declared.
pub fn first_resets<'a>(before: &'a Topic, after: &'a Topic, last: Option<&'a Topic>) -> impl Iterator<Item = &'a str> {
    let declared_once = move |name: &str| last.is_some_and(|last| last.is_exact() || last.config.contains_key(name));
    let gone = before.config.keys().map(String::as_str).filter(|name| !after.config.contains_key(*name));
    gone.filter(move |name| !declared_once(name))
}
