//! What a plan must know beside the topics themselves: which configs the broker has, their defaults, and what it would
//! say to the new topics.

use super::reader::Reader;
use super::settings::Settings;
use crate::core::listing::some;
use crate::core::plan::{Level, Notice};
use crate::services::Ask;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::NewTopic;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::configs::broker::{Fate, fate};
use crate::services::kafka::configs::{TRANSIENT, WEIGHTY, of_topics, told};
use crate::services::kafka::model::{Topic, topic_address};
use crate::services::kafka::server::{Flavor, Server};
use std::collections::{BTreeMap, BTreeSet};

/// So many topics are named in a sentence.
const NAMED: usize = 3;

/// All topics that exist, by name.
type Topics = BTreeMap<String, Topic>;

/// Fills in what is known of configs and of the topics to come.
pub async fn look_around(reader: &Reader<'_>, ask: &Ask, settings: &Settings, topics: &Topics, server: &mut Server) {
    let shown = topics.values().flat_map(|topic| topic.config.keys().chain(topic.inherited.keys()));
    let shown: BTreeSet<String> = shown.cloned().collect();
    server.configs = Some(shown).filter(|_| !topics.is_empty());
    server.defaults = defaults(ask, settings, topics);
    server.refused = refused(reader.admin, ask, topics).await;
}

fn wanted<'a>(ask: &'a Ask, name: &str) -> Option<&'a Topic> {
    ask.wanted.get(&topic_address(name)).and_then(|wanted| wanted.model.as_kafka_topic())
}

fn applied<'a>(ask: &'a Ask, name: &str) -> Option<&'a Topic> {
    ask.applied.get(&topic_address(name)).and_then(|last| last.model.as_kafka_topic())
}

/// What topics get that say nothing: told by one that says nothing, else, where one is to be reset, by a broker.
fn defaults(ask: &Ask, settings: &Settings, topics: &Topics) -> BTreeMap<String, String> {
    let told =
        |name: &str| topics.values().find_map(|topic| Some((name.to_owned(), topic.inherited.get(name)?.clone())));
    let mut defaults: BTreeMap<String, String> = WEIGHTY.into_iter().filter_map(told).collect();
    let is_reset = |(name, topic): (&String, &Topic)| {
        let Some(wanted) = wanted(ask, name) else { return false };
        let ours =
            |config: &str| wanted.is_exact() || applied(ask, name).is_some_and(|last| last.config.contains_key(config));
        let gone = |config: &str| topic.config.contains_key(config) && !wanted.config.contains_key(config);
        WEIGHTY.iter().any(|config| gone(config) && ours(config) && !defaults.contains_key(*config))
    };
    if topics.iter().any(is_reset) {
        let configs = of_topics(&settings.values());
        configs.into_iter().for_each(|(name, value)| _ = defaults.entry(name).or_insert(value));
    }
    defaults
}

/// Lets the broker judge the topics that are to come, and makes none. Where it will not say, apply will find out.
async fn refused(admin: &Admin, ask: &Ask, topics: &Topics) -> BTreeMap<String, String> {
    let new = ask.wanted.values().filter_map(|wanted| wanted.model.as_kafka_topic());
    let new: Vec<&Topic> = new.filter(|topic| !topics.contains_key(&topic.name)).collect();
    let verdicts = admin.create_many_topics(new.iter().map(|topic| NewTopic::of(topic)).collect(), true).await;
    new.into_iter().zip(verdicts).filter_map(|(topic, verdict)| Some((topic.name.clone(), no(verdict)?))).collect()
}

/// The broker's words, if it is the topic that it does not want.
fn no(verdict: Result<(), Trouble>) -> Option<String> {
    let trouble = verdict.err()?;
    match trouble.cause {
        Cause::Policy => Some(format!("by its policy (create.topic.policy.class.name): {}", trouble.message)),
        Cause::Invalid => Some(trouble.message),
        Cause::Unreachable
        | Cause::Authentication
        | Cause::Authorization
        | Cause::SecurityDisabled
        | Cause::TimedOut
        | Cause::Transient
        | Cause::Absent
        | Cause::Exists
        | Cause::Unanswered
        | Cause::Unsupported
        | Cause::Other => None,
    }
}

/// Only what a plan looks at of what a topic has from the brokers: all of it for thousands of topics would be a lot.
pub fn without_the_rest(ask: &Ask, mut topic: Topic) -> Topic {
    let named = |config: &str| {
        let declared = [wanted(ask, &topic.name), applied(ask, &topic.name)];
        declared.into_iter().flatten().any(|declared| declared.config.contains_key(config))
    };
    let kept: BTreeSet<String> =
        topic.inherited.keys().filter(|config| WEIGHTY.contains(&config.as_str()) || named(config)).cloned().collect();
    topic.inherited.retain(|config, _| kept.contains(config));
    topic
}

/// What is declared and comes to nothing here, and what is there and nobody declared.
pub fn notices(ask: &Ask, topics: &Topics, server: &Server) -> Vec<Notice> {
    ignored(ask, server).into_iter().chain(undeclared(ask, topics)).collect()
}

fn ignored(ask: &Ask, server: &Server) -> Vec<Notice> {
    if server.flavor == Flavor::Kafka {
        return Vec::new();
    }
    let mut ignored: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for topic in ask.wanted.values().filter_map(|wanted| wanted.model.as_kafka_topic()) {
        for config in topic.config.keys() {
            if let Fate::Ignored(why) = fate(server.flavor, config, server.configs.as_ref()) {
                ignored.entry(why).or_default().insert(&topic.name);
            }
        }
    }
    let notice = |(why, topics): (String, BTreeSet<&str>)| {
        let text = format!("{why}; declared for {}", some(topics, NAMED));
        Notice { level: Level::Warning, about: "kafka".to_owned(), text }
    };
    ignored.into_iter().map(notice).collect()
}

fn undeclared(ask: &Ask, topics: &Topics) -> Option<Notice> {
    let of_topic = |(name, topic): (&String, &Topic)| {
        let wanted = wanted(ask, name).filter(|wanted| !wanted.is_exact())?;
        let last = applied(ask, name);
        let declared = |config: &str| {
            wanted.config.contains_key(config) || last.is_some_and(|last| last.config.contains_key(config))
        };
        let others =
            topic.config.iter().filter(|(config, _)| !declared(config) && !TRANSIENT.contains(&config.as_str()));
        let others: Vec<String> = others.map(|(config, value)| format!("{config} = {}", told(config, value))).collect();
        (!others.is_empty()).then(|| format!("{name} ({})", some(others, NAMED)))
    };
    let found: Vec<String> = topics.iter().filter_map(of_topic).collect();
    let text = format!(
        "topics have configs of their own that no infraspec declares, which stay as they are: {}; config_mode = \"exact\" \
         would reset them",
        some(&found, NAMED)
    );
    (!found.is_empty()).then(|| Notice { level: Level::Note, about: "kafka".to_owned(), text })
}
