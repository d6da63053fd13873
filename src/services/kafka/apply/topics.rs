//! Creates, alters and deletes topics in batches.

use super::work::{PAUSE, SETTLING, Work, all_failed, no_model, unanswered};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::ConfigEdit;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::Topic;
use crate::services::{Outcome, Step};
use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication, TopicResult};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;

/// Partitions in one CreateTopics, below KRaft's 10,000; a topic that leaves it to the broker counts as this many.
const PARTITIONS: usize = 9_000;
const UNSAID: usize = 8;
/// Redpanda moves replicas when this is set; on Kafka a step that would need it is blocked.
const REPLICATION: &str = "replication.factor";
/// Stands for the broker's default.
const DEFAULT: i32 = -1;

type Results = HashMap<String, Result<(), Trouble>>;

/// Creates topics, and waits until the brokers know them.
pub async fn create(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let wanted: Vec<&Topic> = steps.iter().filter_map(|step| step.after.as_ref()?.as_kafka_topic()).collect();
    let mut results = Results::new();
    for batch in batches(&wanted) {
        let new: Vec<NewTopic<'_>> = batch.iter().map(|topic| new_topic(topic)).collect();
        let call = work.admin.client().create_topics(&new, &Admin::options());
        let answer = work.admin.safe(call).await;
        collect(&mut results, batch.iter().map(|topic| topic.name.as_str()), answer);
    }
    let made: BTreeSet<&str> = succeeded(&results);
    let seen = until(|| async { Ok(work.reader().shapes(&made).await?.len() == made.len()) });
    if let Err(error) = seen.await {
        return all_failed(steps, error);
    }
    outcomes(work, steps, &results, "CreateTopics", "Create on Cluster")
}

/// Adds partitions, and sets and resets single configs.
pub async fn alter(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let mut results = Results::new();
    let pairs: Vec<(&Topic, &Topic)> = steps
        .iter()
        .filter_map(|step| Some((step.before.as_ref()?.as_kafka_topic()?, step.after.as_ref()?.as_kafka_topic()?)))
        .collect();
    results.extend(pairs.iter().map(|(_, after)| (after.name.clone(), Ok(()))));
    let grown: Vec<(&str, usize)> = pairs
        .iter()
        .filter(|(before, after)| after.partitions > before.partitions)
        .filter_map(|(_, after)| Some((after.name.as_str(), usize::try_from(after.partitions?).ok()?)))
        .collect();
    if !grown.is_empty() {
        let new: Vec<NewPartitions<'_>> = grown.iter().map(|(name, count)| NewPartitions::new(name, *count)).collect();
        let call = work.admin.client().create_partitions(&new, &Admin::options());
        let answer = work.admin.safe(call).await;
        collect(&mut results, grown.iter().map(|(name, _)| *name), answer);
    }
    let replicas = |(before, after): &(&Topic, &Topic)| before.replication.zip(after.replication);
    let moves = |pair: &&(&Topic, &Topic)| replicas(pair).is_some_and(|(there, wanted)| there != wanted);
    let number = |pair: &(&Topic, &Topic)| replicas(pair).map(|(_, wanted)| wanted.to_string()).unwrap_or_default();
    let moved: HashMap<String, String> =
        pairs.iter().filter(moves).map(|pair| (pair.1.name.clone(), number(pair))).collect();
    let edits: Vec<ConfigEdit<'_>> = pairs
        .iter()
        .map(|(before, after)| edit(before, after, moved.get(after.name.as_str())))
        .filter(|edit| !edit.values.is_empty() && results.get(edit.topic).is_some_and(Result::is_ok))
        .collect();
    if !edits.is_empty() {
        match work.admin.alter_topic_configs(&edits).await {
            Ok(answer) => results.extend(answer),
            Err(trouble) => {
                results.extend(edits.iter().map(|edit| (edit.topic.to_owned(), Err(trouble.clone()))));
            }
        }
    }
    let altered = succeeded(&results);
    let seen = until(|| async {
        let there = work.reader().topics(&altered).await?;
        let arrived = |(before, after): &&(&Topic, &Topic)| {
            there.get(&after.name).is_none_or(|there| {
                let grown = after.partitions.is_none() || there.partitions >= after.partitions;
                let in_place = after.replication.is_none() || there.replication == after.replication;
                let edited = edit(before, after, None).values;
                grown && in_place && edited.into_iter().all(|(key, value)| is_so(there, key, value))
            })
        };
        Ok(pairs.iter().all(|pair| arrived(&pair)))
    });
    if let Err(error) = seen.await {
        return all_failed(steps, error);
    }
    outcomes(work, steps, &results, "CreatePartitions, IncrementalAlterConfigs", "Alter and AlterConfigs on Topic *")
}

/// Deletes topics, and waits until they are gone.
pub async fn delete(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let names: Vec<&str> = steps.iter().map(|step| step.address.name.as_str()).collect();
    let mut results = Results::new();
    let answer = work.admin.safe(work.admin.client().delete_topics(&names, &Admin::options())).await;
    collect(&mut results, names.iter().copied(), answer);
    let deleted = succeeded(&results);
    let gone = until(|| async { Ok(work.reader().shapes(&deleted).await?.is_empty()) });
    if let Err(error) = gone.await {
        return all_failed(steps, error);
    }
    let needs = "Delete on Topic *";
    let outcome = |step: &&Step| match results.get(&step.address.name) {
        Some(Ok(())) => Outcome::done(),
        Some(Err(trouble)) if trouble.cause == Cause::Absent => Outcome::AlreadySo,
        Some(Err(trouble)) => work.failed(trouble, step, "DeleteTopics", needs),
        None => no_model(step),
    };
    steps.iter().map(outcome).collect()
}

/// Asks again until it is so, for a bounded time; what is late is left to the next look.
async fn until<F>(mut so: impl FnMut() -> F) -> crate::error::Result<()>
where
    F: Future<Output = crate::error::Result<bool>>,
{
    let start = Instant::now();
    while !so().await? && start.elapsed() < SETTLING {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn outcomes(work: &Work<'_>, steps: &[&Step], results: &Results, call: &str, needs: &str) -> Vec<Outcome> {
    let outcome = |step: &&Step| match results.get(&step.address.name) {
        Some(Ok(())) => Outcome::done(),
        Some(Err(trouble)) => work.failed(trouble, step, call, needs),
        None => no_model(step),
    };
    steps.iter().map(outcome).collect()
}

/// Notes the answer for each of the topics that were asked for.
fn collect<'a>(results: &mut Results, asked: impl Iterator<Item = &'a str>, answer: Result<Vec<TopicResult>, Trouble>) {
    match answer {
        Ok(answer) => {
            results.extend(asked.map(|name| (name.to_owned(), unanswered())));
            results.extend(answer.into_iter().map(|one| match one {
                Ok(name) => (name, Ok(())),
                Err((name, code)) => (name, Err(Trouble::code(code))),
            }));
        }
        Err(trouble) => results.extend(asked.map(|name| (name.to_owned(), Err(trouble.clone())))),
    }
}

fn succeeded(results: &Results) -> BTreeSet<&str> {
    results.iter().filter(|(_, result)| result.is_ok()).map(|(name, _)| name.as_str()).collect()
}

fn new_topic(topic: &Topic) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(topic.replication.unwrap_or(DEFAULT));
    let new = NewTopic::new(&topic.name, topic.partitions.unwrap_or(DEFAULT), replication);
    topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
}

fn edit<'a>(before: &'a Topic, after: &'a Topic, replication: Option<&'a String>) -> ConfigEdit<'a> {
    let mut values: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let gone = before.config.keys().filter(|key| !after.config.contains_key(*key));
    values.extend(gone.map(|key| (key.as_str(), None)));
    let set = after.config.iter().filter(|(key, value)| before.config.get(*key) != Some(value));
    values.extend(set.map(|(key, value)| (key.as_str(), Some(value.as_str()))));
    values.extend(replication.map(|count| (REPLICATION, Some(count.as_str()))));
    ConfigEdit { topic: &after.name, values }
}

/// Whether a config has arrived that was set (`Some`) or reset. Redpanda may show what was set as a default.
fn is_so(there: &Topic, key: &str, value: Option<&str>) -> bool {
    match value {
        Some(value) => there.effective(key) == Some(value),
        None => !there.config.contains_key(key),
    }
}

/// Cuts a list of topics so that no call makes too many partitions.
fn batches<'a>(topics: &[&'a Topic]) -> Vec<Vec<&'a Topic>> {
    let mut batches: Vec<Vec<&Topic>> = Vec::new();
    let mut load = usize::MAX;
    for topic in topics {
        let partitions = topic.partitions.and_then(|count| usize::try_from(count).ok()).unwrap_or(UNSAID);
        if load.saturating_add(partitions) > PARTITIONS {
            batches.push(Vec::new());
            load = 0;
        }
        load += partitions;
        if let Some(batch) = batches.last_mut() {
            batch.push(topic);
        }
    }
    batches
}
