//! How large messages are: a look at the last few of each topic. librdkafka has no call for the size of a topic
//! (DescribeLogDirs).
//!
//! The consumer is given its partitions, so it joins no group, and it commits nothing. librdkafka gives partitions only to
//! a consumer with the name of a group, and looks for that group's coordinator all the same: brokers make the topic of
//! groups for that if they have none. So where there is none nobody is asked.

use super::count::Offsets;
use super::difference;
use crate::config::KafkaConfig;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::connect::settings;
use crate::services::kafka::client::trouble::Trouble;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Partitions of a topic that are looked into, those with most messages.
const PARTITIONS: usize = 4;
/// Messages of each of them.
const MESSAGES: i64 = 25;
/// So long it may take.
const LONGEST: Duration = Duration::from_secs(3);
/// Where Kafka keeps the offsets of groups.
const TOPIC_OF_GROUPS: &str = "__consumer_offsets";

/// The mean size of messages in bytes (key, value and headers), by topic. Topics of which none came are left out.
pub async fn sizes(
    config: &KafkaConfig,
    admin: &Admin,
    offsets: &Offsets,
    until: Instant,
) -> Result<BTreeMap<String, u64>, Trouble> {
    let chosen = chosen(offsets);
    if chosen.is_empty() {
        return Ok(BTreeMap::new());
    }
    let groups = admin.describe_topics(&[TOPIC_OF_GROUPS]).await?;
    if !groups.iter().any(|(_, found)| found.is_ok()) {
        return Err(Trouble::other("no consumer was ever here, and a look would make the topic of groups"));
    }
    let password = config.password.resolve().await.map_err(|error| Trouble::other(error.message))?;
    let mut settings = settings(config, &config.brokers, &config.user, &config.mechanism, password.as_ref());
    settings
        .set("group.id", "nornplan")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.message.max.bytes", "65536")
        .set("queued.max.messages.kbytes", "16384");
    let until = until.min(Instant::now() + LONGEST).into_std();
    let looked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = settings.create()?;
        consumer.assign(&assignment(&chosen)?)?;
        Ok::<_, rdkafka::error::KafkaError>(look(&consumer, chosen.len(), until))
    });
    match looked.await {
        Ok(Ok(sizes)) if sizes.is_empty() => Err(Trouble::other("none of its messages could be read")),
        Ok(sizes) => sizes.map_err(Trouble::from),
        Err(_) => Err(Trouble::other("the look was broken off")),
    }
}

/// Where to begin in each partition that is looked into.
fn chosen(offsets: &Offsets) -> Vec<(String, i32, i64)> {
    let mut by_topic: BTreeMap<&str, Vec<(u64, i32, i64)>> = BTreeMap::new();
    for ((topic, partition), (first, next)) in offsets.iter().filter(|(_, (first, next))| next > first) {
        let begin = next.saturating_sub(MESSAGES).max(*first);
        by_topic.entry(topic).or_default().push((difference(*first, *next), *partition, begin));
    }
    let mut chosen = Vec::new();
    for (topic, mut partitions) in by_topic {
        partitions.sort_by_key(|(messages, _, _)| std::cmp::Reverse(*messages));
        chosen.extend(partitions.into_iter().take(PARTITIONS).map(|(_, at, begin)| (topic.to_owned(), at, begin)));
    }
    chosen
}

fn assignment(chosen: &[(String, i32, i64)]) -> rdkafka::error::KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(chosen.len());
    for (topic, partition, begin) in chosen {
        list.add_partition_offset(topic, *partition, Offset::Offset(*begin))?;
    }
    Ok(list)
}

/// Reads until each partition has ended or failed, or the time is over.
fn look(consumer: &BaseConsumer, partitions: usize, until: std::time::Instant) -> BTreeMap<String, u64> {
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut ended = 0;
    while ended < partitions {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match consumer.poll(left) {
            None => break,
            // The end of a partition comes as an error, and so does that it may not be read.
            Some(Err(_)) => ended += 1,
            Some(Ok(message)) => {
                let (count, bytes) = seen.entry(message.topic().to_owned()).or_default();
                let headers = message.headers().map_or(0, |headers| {
                    headers.iter().map(|one| one.key.len() + one.value.map_or(0, <[u8]>::len)).sum()
                });
                *count += 1;
                *bytes += (message.key_len() + message.payload_len() + headers) as u64;
            }
        }
    }
    seen.into_iter().map(|(topic, (count, bytes))| (topic, bytes / count.max(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_of_the_fullest_partitions_are_looked_at() {
        let of = |partition: i32, first, next| (("orders".to_owned(), partition), (first, next));
        let mut offsets: Offsets = (0..6).map(|at| of(at, 0, i64::from(at) * 100)).collect();
        offsets.insert(("paid".to_owned(), 0), (10, 12));
        let expected = [(5, 475), (4, 375), (3, 275), (2, 175)].map(|(at, begin)| ("orders".to_owned(), at, begin));
        assert_eq!(chosen(&offsets)[..4], expected);
        assert_eq!(chosen(&offsets)[4..], [("paid".to_owned(), 0, 10)]);
    }
}
