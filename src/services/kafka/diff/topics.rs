//! What becomes of topics.

use super::deleted::{holdings_of, plans_on_nothing, what_is_in};
use super::losses::{losses, sooner};
use super::managed::first_resets;
use crate::core::listing::some;
use crate::core::step::{Hold, Reason, Risk};
use crate::services::kafka::configs::broker::{Fate, fate};
use crate::services::kafka::configs::{CLEANUP_POLICY, MAX_MESSAGE_BYTES, compacts, told};
use crate::services::kafka::model::{CONTENT, TOPIC, Topic};
use crate::services::kafka::server::{Flavor, Server};
use crate::services::{DiffInput, Model, Step};

/// So many configs are named in a sentence.
const NAMED: usize = 5;

/// Says what a new topic means, and why it cannot be made.
pub fn judge_created(step: &mut Step, server: &Server) {
    let Some(topic) = step.after.as_ref().and_then(Model::as_kafka_topic) else { return };
    let said = server.refused.get(&topic.name).map(|words| format!("the broker refuses it: {words}"));
    let reason = impossible(topic, server).or(said);
    let keyed = topic.config.get(CLEANUP_POLICY).is_some_and(|policy| compacts(policy));
    if keyed {
        step.notes.push(NEEDS_KEYS.to_owned());
    }
    step.hold = reason.map(|reason| Hold::Blocked { reason });
}

const NEEDS_KEYS: &str = "the topic is compacted: messages without a key are refused";

/// Says what a change means, what it loses, and which cannot be made.
pub fn judge_altered(step: &mut Step, input: &DiffInput<'_>, server: &Server) {
    let (Some(before), Some(after)) = (
        step.before.as_ref().and_then(Model::as_kafka_topic).cloned(),
        step.after.as_ref().and_then(Model::as_kafka_topic).cloned(),
    ) else {
        return;
    };
    let seen = input.observation.resources.get(&step.address);
    let there = seen.and_then(|seen| seen.model.as_kafka_topic()).unwrap_or(&before);
    let change = Change { before: &before, after: &after, there, server };
    change.weigh(step, is_empty(input, step));
    if step.risks.contains(&Risk::LosesData) {
        let holdings = holdings_of(&step.address, input);
        step.notes.extend(what_is_in(&holdings).map(|told| format!("it holds {told}")));
        let unread = holdings.unread.as_ref().and_then(|unread| unread.get(CONTENT));
        step.notes.extend(unread.map(|why| format!("not known: {CONTENT} ({why})")));
    }
    let last = input.applied.get(&step.address).and_then(|last| last.model.as_kafka_topic());
    let resets: Vec<&str> = first_resets(&before, &after, last).collect();
    if after.is_exact() && !resets.is_empty() {
        step.risks.insert(Risk::Interrupts);
        step.notes.push(format!(
            "config_mode is \"exact\", so that what nobody declared is reset: {}",
            some(
                resets.iter().map(|name| format!("{name} = {}", there.config.get(*name).map_or("", String::as_str))),
                NAMED
            )
        ));
        step.hold = Some(Hold::Interrupt);
    }
    let reason = change.shrinks().or_else(|| change.moves()).or_else(|| impossible(&after, server));
    if let Some(reason) = reason {
        step.hold = Some(Hold::Blocked { reason });
    }
}

/// Says what is in a topic that somebody else made: whoever reads it from its beginning gets that.
pub fn tell_adopted(step: &mut Step, input: &DiffInput<'_>) {
    let is_taken_over = step.address.kind == TOPIC && step.reasons.contains(&Reason::NotOursYet);
    if !is_taken_over || step.risks.contains(&Risk::LosesData) {
        return;
    }
    let holdings = holdings_of(&step.address, input);
    let filled = what_is_in(&holdings).filter(|_| holdings.messages != Some(0));
    step.notes.extend(filled.map(|told| format!("it holds {told} already")));
}

/// Whether it was counted that no message is in the topic.
fn is_empty(input: &DiffInput<'_>, step: &Step) -> bool {
    holdings_of(&step.address, input).messages == Some(0)
}

/// Why the broker cannot have a topic as it is declared.
fn impossible(topic: &Topic, server: &Server) -> Option<String> {
    if let Some(even) = topic.replication.filter(|count| server.flavor == Flavor::Redpanda && count % 2 == 0) {
        let (less, more) = (even - 1, even + 1);
        return Some(format!(
            "Redpanda takes odd replication factors alone, and {even} is declared: write {less} or {more}"
        ));
    }
    let reported = server.configs.as_ref();
    topic.config.keys().find_map(|name| match fate(server.flavor, name, reported) {
        Fate::Refused(why) => Some(why),
        Fate::Kept | Fate::Unseen | Fate::Ignored(_) => None,
    })
}

/// One topic that changes.
struct Change<'a> {
    before: &'a Topic,
    after: &'a Topic,
    /// With all that was read of it.
    there: &'a Topic,
    server: &'a Server,
}

impl Change<'_> {
    fn is(&self, config: &str) -> Option<String> {
        self.there.effective(config).map(str::to_owned)
    }

    /// The value that will count: what is no longer its own becomes the broker's default.
    fn becomes(&self, config: &str) -> Option<String> {
        let reset = self.before.config.contains_key(config);
        self.after.config.get(config).cloned().or_else(|| match reset {
            true => self.server.defaults.get(config).cloned(),
            false => self.is(config),
        })
    }

    fn weigh(&self, step: &mut Step, empty: bool) {
        let lost = losses(&|name: &str| self.is(name), &|name: &str| self.becomes(name));
        if !lost.is_empty() && empty {
            plans_on_nothing(step);
        } else if !lost.is_empty() {
            step.risks.insert(Risk::LosesData);
            step.notes.extend(lost);
        }
        step.notes.extend(sooner(&|name: &str| self.is(name), &|name: &str| self.becomes(name)));
        let compacted = |policy: Option<String>| policy.is_some_and(|policy| compacts(&policy));
        let (was, will_be) = (compacted(self.is(CLEANUP_POLICY)), compacted(self.becomes(CLEANUP_POLICY)));
        if will_be && !was {
            step.notes.push(NEEDS_KEYS.to_owned());
        }
        let size = |value: Option<String>| value.and_then(|value| value.parse::<i64>().ok());
        if let (Some(had), Some(has)) = (size(self.is(MAX_MESSAGE_BYTES)), size(self.becomes(MAX_MESSAGE_BYTES)))
            && has < had
        {
            let most = told(MAX_MESSAGE_BYTES, &has.to_string());
            step.risks.insert(Risk::Interrupts);
            step.notes.push(format!("producers that send more than {most} at once are refused from then on"));
        }
        if self.grows() {
            if was || will_be {
                step.risks.insert(Risk::Interrupts);
                step.notes.push(
                    "keys go to other partitions from then on, and the topic is compacted: the last message of a key stays \
                     in its old partition for ever beside the new one, so that readers may take an old value for the last"
                        .to_owned(),
                );
            } else {
                step.notes.push(
                    "keys go to other partitions from then on: the order of one key's messages does not hold across the \
                     change"
                        .to_owned(),
                );
            }
        }
    }

    fn grows(&self) -> bool {
        matches!((self.before.partitions, self.after.partitions), (Some(there), Some(wanted)) if wanted > there)
    }

    /// Why partitions cannot become fewer.
    fn shrinks(&self) -> Option<String> {
        let (there, wanted) = (self.before.partitions?, self.after.partitions?);
        (wanted < there).then(|| {
            format!(
                "Kafka cannot take partitions away: {} has {there} and {wanted} are declared; declare {there}, or make \
                 another topic",
                self.after.name
            )
        })
    }

    /// Why replicas cannot be moved; Redpanda moves them by itself.
    fn moves(&self) -> Option<String> {
        let (there, wanted) = (self.before.replication?, self.after.replication?);
        if there == wanted || self.server.flavor == Flavor::Redpanda {
            return None;
        }
        let name = &self.after.name;
        let brokers = self.server.brokers;
        if brokers > 0 && usize::try_from(wanted).is_ok_and(|wanted| wanted > brokers) {
            return Some(format!(
                "the replication factor of {name} is {there} and {wanted} is declared, which takes as many brokers: the cluster has \
                 {brokers}"
            ));
        }
        let ids: Vec<String> = (1..=wanted).map(|id| id.to_string()).collect();
        let partitions = self.before.partitions.unwrap_or(1);
        Some(format!(
            "the replication factor of {name} is {there} and {wanted} is declared: that is a reassignment, which takes the \
             broker's own tools. Write reassign.json with an entry for each of its partitions (0 to {}), the ids of {wanted} \
             brokers in each: {{\"version\":1,\"partitions\":[{{\"topic\":\"{name}\",\"partition\":0,\"replicas\":[{}]}}]}}\n\
             then run: kafka-reassign-partitions.sh --bootstrap-server BROKER --command-config ADMIN.properties \
             --reassignment-json-file reassign.json --execute (then the same with --verify), or declare replication = {there}",
            partitions - 1,
            ids.join(",")
        ))
    }
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
