//! Creates, alters and deletes topics in batches, and looks whether what was done can be seen.

use super::meanwhile::refused;
use super::work::{PAUSE, SETTLING, Work, no_model};
use crate::core::step::StepId;
use crate::error::Diagnostic;
use crate::services::kafka::client::batches::{RECORDS, batches};
use crate::services::kafka::client::native::{ConfigEdit, NewTopic};
use crate::services::kafka::client::refusals::DELETION;
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::client::words::unanswered;
use crate::services::kafka::model::Topic;
use crate::services::{Outcome, Step};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;

/// Redpanda moves replicas when this is set; on Kafka a step that would need it is blocked.
const REPLICATION: &str = "replication.factor";

/// What became of one topic.
enum Verdict {
    Done,
    AlreadySo,
    /// The broker took it, and does not show it yet: to be looked at again.
    Late,
    /// The same, and nothing depends on it.
    Noted,
    Failed(Trouble),
}

type Verdicts = HashMap<String, Verdict>;

/// Creates topics, and waits until the brokers know them.
pub async fn create(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let wanted: Vec<&Topic> = steps.iter().filter_map(|step| step.after.as_ref()?.as_kafka_topic()).collect();
    let mut verdicts = Verdicts::new();
    let new = wanted.iter().map(|topic| NewTopic::of(topic)).collect();
    let answers = work.admin.create_many_topics(new, false).await;
    note(&mut verdicts, wanted.iter().map(|topic| topic.name.as_str()), Ok(answers));
    let made = with(&verdicts, is_done);
    let seen = until(|| async {
        let there = work.reader().shapes(&borrowed(&made)).await?;
        Ok((there.len() == made.len(), there.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>()))
    });
    let seen = seen.await;
    late(&mut verdicts, &seen, BTreeSet::contains);
    // It may be the work of our own earlier call, whose answer did not come.
    let unsure = with(&verdicts, |verdict| may_be_done(verdict) || fails_by(verdict, Cause::Exists));
    match work.reader().topics(&borrowed(&unsure)).await {
        Ok(mut there) => {
            for topic in wanted {
                let is_so = |there: Topic| is_as_wanted(&there, topic);
                match verdicts.get_mut(&topic.name) {
                    Some(verdict @ Verdict::Failed(_)) if there.contains_key(&topic.name) => {
                        if there.remove(&topic.name).is_some_and(is_so) {
                            *verdict = Verdict::AlreadySo;
                        }
                    }
                    // One of this name is about to go, or about to come.
                    Some(Verdict::Failed(trouble)) if [Cause::Exists, Cause::Unanswered].contains(&trouble.cause) => {
                        trouble.cause = Cause::Transient;
                    }
                    Some(_) | None => {}
                }
            }
        }
        Err(error) => {
            let exist =
                with(&verdicts, |verdict| fails_by(verdict, Cause::Exists) || fails_by(verdict, Cause::Unanswered));
            unread(&mut verdicts, exist, &error);
        }
    }
    outcomes(work, steps, &verdicts, "CreateTopics", "Create on Cluster")
}

/// Adds partitions, and sets and resets single configs.
pub async fn alter(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let refused = refused(work, steps).await;
    let pairs: Vec<(&Topic, &Topic)> = steps
        .iter()
        .filter(|step| !refused.contains_key(&step.address.name))
        .filter_map(|step| Some((step.before.as_ref()?.as_kafka_topic()?, step.after.as_ref()?.as_kafka_topic()?)))
        .collect();
    let mut verdicts: Verdicts = pairs.iter().map(|(_, after)| (after.name.clone(), Verdict::Done)).collect();
    let grown = pairs.iter().filter_map(|(before, after)| {
        let (had, has) = (count(before.partitions).unwrap_or_default(), count(after.partitions)?);
        (has > had).then_some((after.name.as_str(), has, has - had))
    });
    let grown: Vec<(&str, usize, usize)> = grown.collect();
    for batch in batches(grown.clone(), RECORDS, |(_, _, more)| *more) {
        let asked: Vec<(&str, usize)> = batch.iter().map(|(name, total, _)| (*name, *total)).collect();
        let answer = work.admin.create_partitions(&asked, false).await;
        note(&mut verdicts, asked.iter().map(|(name, _)| *name), answer);
    }
    take_for_grown(work, &grown, &mut verdicts).await;
    let replicas = |(before, after): &(&Topic, &Topic)| before.replication.zip(after.replication);
    let moves = |pair: &&(&Topic, &Topic)| replicas(pair).is_some_and(|(there, wanted)| there != wanted);
    let number = |pair: &(&Topic, &Topic)| replicas(pair).map(|(_, wanted)| wanted.to_string()).unwrap_or_default();
    let moved: HashMap<String, String> =
        pairs.iter().filter(moves).map(|pair| (pair.1.name.clone(), number(pair))).collect();
    let edits = pairs.iter().map(|(before, after)| edit(before, after, moved.get(after.name.as_str())));
    let edits = edits.filter(|edit| !edit.values.is_empty() && verdicts.get(edit.topic).is_some_and(is_done));
    for batch in batches(edits.collect(), RECORDS, |edit| edit.values.len()) {
        let names = batch.iter().map(|edit| edit.topic);
        let answer = work.admin.alter_topic_configs(&batch).await;
        let answer = answer.map(|mut by_name| {
            let each = names.clone().map(|name| by_name.remove(name).unwrap_or_else(|| Err(unanswered())));
            each.collect::<Vec<_>>()
        });
        note(&mut verdicts, names, answer);
    }
    let edited = with(&verdicts, |verdict| is_done(verdict) || may_be_done(verdict));
    let arrived = |there: &BTreeMap<String, Topic>, (before, after): &(&Topic, &Topic)| {
        there.get(&after.name).is_some_and(|there| {
            (after.partitions.is_none() || there.partitions == after.partitions)
                && (after.replication.is_none() || there.replication == after.replication)
                && edit(before, after, None).values.into_iter().all(|(key, value)| is_so(there, key, value))
        })
    };
    let is_waited_for = |(_, after): &&(&Topic, &Topic)| verdicts.get(&after.name).is_some_and(is_done);
    let seen = until(|| async {
        let there = work.reader().topics(&borrowed(&edited)).await?;
        let so = pairs.iter().filter(|pair| arrived(&there, pair)).map(|(_, after)| after.name.clone());
        let so: BTreeSet<String> = so.collect();
        Ok((pairs.iter().filter(is_waited_for).all(|(_, after)| so.contains(&after.name)), so))
    });
    let seen = seen.await;
    late(&mut verdicts, &seen, BTreeSet::contains);
    for name in seen.iter().flatten() {
        if let Some(verdict @ Verdict::Failed(_)) = verdicts.get_mut(name) {
            *verdict = Verdict::Done;
        }
    }
    // No step waits for it, and a broker may have reasons to show another value.
    for verdict in verdicts.values_mut().filter(|verdict| matches!(verdict, Verdict::Late)) {
        *verdict = Verdict::Noted;
    }
    verdicts.extend(refused.into_iter().map(|(name, trouble)| (name, Verdict::Failed(trouble))));
    outcomes(work, steps, &verdicts, "CreatePartitions, IncrementalAlterConfigs", "Alter and AlterConfigs on Topic *")
}

/// Kafka refuses a growth that an earlier call of ours has made already, and does not answer some that it makes. What is as
/// large as it shall be goes on; what is not may be tried again, if it was not refused.
async fn take_for_grown(work: &Work<'_>, grown: &[(&str, usize, usize)], verdicts: &mut Verdicts) {
    let unsure = with(verdicts, |verdict| may_be_done(verdict) || fails_by(verdict, Cause::Invalid));
    // What cannot be read stays as it is.
    let there: BTreeMap<String, usize> = match work.reader().shapes(&borrowed(&unsure)).await {
        Ok(there) => there.into_iter().map(|(name, shape)| (name, shape.partitions)).collect(),
        Err(_) => BTreeMap::new(),
    };
    for (name, total, _) in grown.iter().filter(|(name, ..)| unsure.contains(*name)) {
        match verdicts.get_mut(*name) {
            Some(verdict) if there.get(*name) == Some(total) => *verdict = Verdict::Done,
            Some(Verdict::Failed(trouble)) if trouble.cause == Cause::Unanswered => trouble.cause = Cause::Transient,
            Some(_) | None => {}
        }
    }
}

/// Deletes topics, and waits until they are gone.
pub async fn delete(work: &Work<'_>, steps: &[&Step]) -> Vec<Outcome> {
    let refused = refused(work, steps).await;
    let names =
        steps.iter().map(|step| step.address.name.as_str()).filter(|name| !refused.contains_key(*name)).collect();
    let mut verdicts = Verdicts::new();
    for batch in batches(names, RECORDS, |_| 1) {
        let answer = work.admin.delete_topics(&batch).await;
        note(&mut verdicts, batch.into_iter(), answer);
    }
    let done = with(&verdicts, is_done);
    let deleted = with(&verdicts, |verdict| is_done(verdict) || may_be_done(verdict));
    let left = until(|| async {
        let there: BTreeSet<String> =
            work.reader().shapes(&borrowed(&deleted)).await?.into_iter().map(|(name, _)| name).collect();
        Ok((there.is_disjoint(&done), there))
    });
    let left = left.await;
    late(&mut verdicts, &left, |left, name| !left.contains(name));
    for (name, verdict) in &mut verdicts {
        match verdict {
            Verdict::Failed(trouble) if trouble.cause == Cause::Absent => *verdict = Verdict::AlreadySo,
            // It timed out, and yet it is gone.
            Verdict::Failed(_) if deleted.contains(name) && left.as_ref().is_ok_and(|left| !left.contains(name)) => {
                *verdict = Verdict::Done;
            }
            Verdict::Failed(trouble) if trouble.cause == Cause::Invalid => {
                trouble.next.get_or_insert_with(|| DELETION.to_owned());
            }
            Verdict::Failed(_) | Verdict::Done | Verdict::AlreadySo | Verdict::Late | Verdict::Noted => {}
        }
    }
    verdicts.extend(refused.into_iter().map(|(name, trouble)| (name, Verdict::Failed(trouble))));
    outcomes(work, steps, &verdicts, "DeleteTopics", "Delete on Topic *")
}

/// Which topics are not to be deleted as things are.
pub async fn foresee(work: &Work<'_>, steps: &[&Step]) -> Vec<(StepId, Outcome)> {
    let refused = refused(work, steps).await;
    let outcome = |step: &&Step| {
        let trouble = refused.get(&step.address.name)?;
        Some((step.id(), work.failed(trouble, step, "DeleteTopics", "Delete on Topic *")))
    };
    steps.iter().filter_map(outcome).collect()
}

/// Looks again until all is so or the time is over, and gives what was seen last.
async fn until<T, F>(mut look: impl FnMut() -> F) -> crate::error::Result<T>
where
    F: Future<Output = crate::error::Result<(bool, T)>>,
{
    let start = Instant::now();
    loop {
        let (all, seen) = look().await?;
        if all || start.elapsed() > SETTLING {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What was done and cannot be seen is late; if nothing could be read, that is told of what was done.
fn late<T>(verdicts: &mut Verdicts, seen: &crate::error::Result<T>, is_so: impl Fn(&T, &String) -> bool) {
    let done = with(verdicts, is_done);
    match seen {
        Ok(seen) => {
            for name in done.iter().filter(|name| !is_so(seen, name)) {
                verdicts.insert(name.clone(), Verdict::Late);
            }
        }
        Err(error) => unread(verdicts, done, error),
    }
}

fn unread(verdicts: &mut Verdicts, names: BTreeSet<String>, error: &Diagnostic) {
    let said = format!("the broker took it, and then it could not be read: {}", error.message);
    let failed = || Verdict::Failed(Trouble::new(Cause::Transient, said.clone()));
    verdicts.extend(names.into_iter().map(|name| (name, failed())));
}

fn outcomes(work: &Work<'_>, steps: &[&Step], verdicts: &Verdicts, call: &str, needs: &str) -> Vec<Outcome> {
    let outcome = |step: &&Step| match verdicts.get(&step.address.name) {
        Some(Verdict::Done) => Outcome::done(),
        Some(Verdict::AlreadySo) => Outcome::AlreadySo,
        Some(Verdict::Late) => work.failed(&Trouble::new(Cause::Transient, not_shown()), step, call, needs),
        Some(Verdict::Noted) => Outcome::Done { fingerprint: None, dump: None, note: Some(not_shown()) },
        Some(Verdict::Failed(trouble)) => work.failed(trouble, step, call, needs),
        None => no_model(step),
    };
    steps.iter().map(outcome).collect()
}

fn not_shown() -> String {
    format!("the broker took it, and does not show it after {} s", SETTLING.as_secs())
}

/// Notes the answer for each of the topics that were asked for.
fn note<'a>(
    verdicts: &mut Verdicts,
    asked: impl Iterator<Item = &'a str>,
    answer: Result<Vec<Result<(), Trouble>>, Trouble>,
) {
    let (each, all) = match answer {
        Ok(each) => (each, unanswered()),
        Err(trouble) => (Vec::new(), trouble),
    };
    let mut each = each.into_iter();
    for name in asked {
        let verdict = match each.next().unwrap_or_else(|| Err(all.clone())) {
            Ok(()) => Verdict::Done,
            Err(trouble) => Verdict::Failed(trouble),
        };
        verdicts.insert(name.to_owned(), verdict);
    }
}

fn is_done(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Done)
}

fn fails_by(verdict: &Verdict, cause: Cause) -> bool {
    matches!(verdict, Verdict::Failed(trouble) if trouble.cause == cause)
}

/// Whether it may have been done although the broker did not say so.
fn may_be_done(verdict: &Verdict) -> bool {
    [Cause::TimedOut, Cause::Unreachable, Cause::Unanswered].into_iter().any(|cause| fails_by(verdict, cause))
}

fn with(verdicts: &Verdicts, is: impl Fn(&Verdict) -> bool) -> BTreeSet<String> {
    verdicts.iter().filter(|(_, verdict)| is(verdict)).map(|(name, _)| name.clone()).collect()
}

fn borrowed(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

fn count(said: Option<i32>) -> Option<usize> {
    said.and_then(|count| usize::try_from(count).ok())
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

/// Whether a topic is what it should have been made as.
fn is_as_wanted(there: &Topic, wanted: &Topic) -> bool {
    let fits = |wanted: Option<i32>, there: Option<i32>| wanted.is_none() || wanted == there;
    fits(wanted.partitions, there.partitions)
        && fits(wanted.replication, there.replication)
        && wanted.config.iter().all(|(key, value)| is_so(there, key, Some(value)))
}

/// Whether a config has arrived that was set (`Some`) or reset. Redpanda may show what was set as a default.
fn is_so(there: &Topic, key: &str, value: Option<&str>) -> bool {
    match value {
        Some(value) => there.effective(key) == Some(value),
        None => !there.config.contains_key(key),
    }
}
