//! What apps have on Kafka: names and prefixes of topics, groups and transactional ids. Pure.

use crate::services::Ask;
use crate::services::kafka::model::Binding;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// What apps have, by kind of resource.
#[derive(Debug, Default)]
pub struct Places(BTreeMap<String, Kind>);

#[derive(Debug, Default)]
struct Kind {
    names: BTreeSet<String>,
    prefixes: BTreeSet<String>,
}

impl Places {
    /// What is declared or ours: topics and prefixes of topics, groups and transactional ids. A topic that an app only
    /// reads and nobody declares is nobody's.
    pub fn of(ask: &Ask) -> Self {
        let mut places = Self::default();
        let (wanted, applied) = (ask.wanted.values().map(|one| &one.model), ask.applied.values().map(|one| &one.model));
        for model in wanted.chain(applied) {
            if let Some(topic) = model.as_kafka_topic() {
                places.add("topic", &topic.name, false);
            }
            for acl in model.as_kafka_acl().into_iter().flat_map(|acl| &acl.bindings).filter(|acl| acl.allow) {
                if acl.prefixed || acl.resource != "topic" {
                    places.add(&acl.resource, &acl.name, acl.prefixed);
                }
            }
        }
        places
    }

    pub fn add(&mut self, resource: &str, name: &str, prefixed: bool) {
        let kind = self.0.entry(resource.to_owned()).or_default();
        let names = if prefixed { &mut kind.prefixes } else { &mut kind.names };
        names.insert(name.to_owned());
    }

    /// What of it an ACL is about, as people write it (`mail.*`); what lies in a prefix stands for itself.
    pub fn reached(&self, acl: &Binding) -> Vec<String> {
        let Some(kind) = self.0.get(&acl.resource) else { return Vec::new() };
        if acl.is_every() {
            return kind.starting("");
        }
        let within = kind.prefix_of(&acl.name).is_some_and(|_| !acl.name.is_empty());
        match acl.prefixed {
            _ if within => vec![acl.pattern()],
            true => kind.starting(&acl.name),
            false => kind.names.get(&acl.name).into_iter().cloned().collect(),
        }
    }
}

impl Kind {
    /// The prefix that a name, or another prefix, lies in.
    fn prefix_of(&self, name: &str) -> Option<&String> {
        let ends = name.char_indices().map(|(start, letter)| start + letter.len_utf8());
        ends.filter_map(|end| self.prefixes.get(name.get(..end)?)).next()
    }

    /// All prefixes that start so, and names that start so and lie in none of them.
    fn starting(&self, start: &str) -> Vec<String> {
        let from = (Bound::Included(start), Bound::Unbounded);
        let prefixes = self.prefixes.range::<str, _>(from).take_while(|prefix| prefix.starts_with(start));
        let outer = prefixes.filter(|prefix| self.prefix_of(prefix) == Some(prefix)).map(|prefix| format!("{prefix}*"));
        let names = self.names.range::<str, _>(from).take_while(|name| name.starts_with(start));
        outer.chain(names.filter(|name| self.prefix_of(name).is_none()).cloned()).collect()
    }
}
