//! Calls on topics: shapes, configs, offsets.

use super::{
    Admin, Cause, Natives, PATIENCE, Reply, Trouble, coded, get, items, part, placed, some_string, string, told, trial,
};
use super::{doomed_topic, given_topics, new_edit, new_partitions, new_resource, new_topic, partition_list};
use super::{rd_kafka_ConfigEntry_source, rd_kafka_ConfigResource_error, rd_kafka_topic_result_error};
use crate::boundary;
use crate::services::kafka::client::again::again;
use crate::services::kafka::client::batches::{RECORDS, batches};
use crate::services::kafka::client::native::{
    ConfigEdit, ConfigEntry, ConfigSource, NewTopic, Offset, Resource, TopicFound,
};
use crate::services::kafka::client::words::{offset_spec, unanswered};
use rdkafka_sys as sys;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

impl Admin {
    /// All topics that the principal may see, internal ones too. Creates none.
    ///
    /// # Errors
    /// Why they could not be read.
    pub async fn all_topics(self: &Arc<Self>) -> Result<BTreeMap<String, TopicFound>, Trouble> {
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let metadata = this.client.fetch_metadata(None, PATIENCE)?;
            // One with an error has none. The error itself is not looked at: the binding makes an enum of any number.
            let there = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
            let found = there.map(|topic| {
                let replication = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
                (topic.name().to_owned(), TopicFound { partitions: topic.partitions().len(), replication, id: None })
            });
            Ok(found.collect())
        });
        let canceled = |_| Trouble::new(Cause::Other, "the reading of topics was given up");
        tokio::select! {
            answer = read => answer.map_err(canceled)?,
            trouble = self.client.context().broken() => Err(trouble),
        }
    }

    /// Partitions and replicas of named topics, or why one of them cannot be read. Creates none of them.
    pub async fn describe_topics(&self, names: &[&str]) -> Reply<Vec<(String, Reply<TopicFound>)>> {
        let parts = (sys::rd_kafka_event_DescribeTopics_result as _, sys::rd_kafka_DescribeTopics_result_topics as _);
        again(self.link(), || async { self.ask_list(given_topics(names)?, parts, read_topic).await }).await
    }

    /// All configs of each resource, in order, or why they cannot be read. At most one of them is a broker.
    pub async fn describe_configs(&self, resources: &[Resource<'_>]) -> Reply<Vec<Reply<Vec<ConfigEntry>>>> {
        let parts =
            (sys::rd_kafka_event_DescribeConfigs_result as _, sys::rd_kafka_DescribeConfigs_result_resources as _);
        again(self.link(), || async {
            let natives = Natives::new(resources, sys::rd_kafka_ConfigResource_destroy, new_resource)?;
            let call = natives.given_to(sys::rd_kafka_DescribeConfigs);
            self.ask_each(resources.len(), call, parts, read_configs).await
        })
        .await
    }

    /// All configs of a broker.
    pub async fn broker_configs(&self, broker: i32) -> Reply<Vec<ConfigEntry>> {
        let configs = self.describe_configs(&[Resource::Broker(&broker.to_string())]).await?.pop();
        configs.unwrap_or_else(|| Err(unanswered()))
    }

    /// Creates topics, or only lets the broker judge them; one result for each, in order, in the broker's own words.
    pub async fn create_topics(&self, topics: &[NewTopic<'_>], validate_only: bool) -> Reply<Vec<Reply<()>>> {
        let written = async {
            let natives = Natives::new(topics, sys::rd_kafka_NewTopic_destroy, new_topic)?;
            let call = trial(validate_only, natives.given_to(sys::rd_kafka_CreateTopics));
            let parts = (sys::rd_kafka_event_CreateTopics_result as _, sys::rd_kafka_CreateTopics_result_topics as _);
            self.ask_each(topics.len(), call, parts, topic_result).await
        };
        if validate_only {
            return written.await;
        }
        boundary::around(|| "kafka CreateTopics".to_owned(), written).await
    }

    /// The same in as many calls as it takes, also where the broker's own default of partitions is greater than we think.
    pub async fn create_many_topics(&self, topics: Vec<NewTopic<'_>>, validate_only: bool) -> Vec<Reply<()>> {
        let mut results = Vec::with_capacity(topics.len());
        let mut open = VecDeque::from(batches(topics, RECORDS, NewTopic::records));
        while let Some(mut batch) = open.pop_front() {
            match self.create_topics(&batch, validate_only).await {
                Ok(each) if batch.len() > 1 && each.iter().all(is_too_large) => {
                    let half = batch.split_off(batch.len() / 2);
                    open.push_front(half);
                    open.push_front(batch);
                }
                Ok(each) => results.extend(each),
                Err(trouble) => results.extend(batch.iter().map(|_| Err(trouble.clone()))),
            }
        }
        results
    }

    /// Gives topics more partitions (this many in all), or only lets the broker judge it; results as of a creation.
    pub async fn create_partitions(&self, grown: &[(&str, usize)], validate_only: bool) -> Reply<Vec<Reply<()>>> {
        let written = async {
            let natives = Natives::new(grown, sys::rd_kafka_NewPartitions_destroy, new_partitions)?;
            let call = trial(validate_only, natives.given_to(sys::rd_kafka_CreatePartitions));
            let parts =
                (sys::rd_kafka_event_CreatePartitions_result as _, sys::rd_kafka_CreatePartitions_result_topics as _);
            self.ask_each(grown.len(), call, parts, topic_result).await
        };
        if validate_only {
            return written.await;
        }
        boundary::around(|| "kafka CreatePartitions".to_owned(), written).await
    }

    /// Deletes topics; one result for each, in order.
    pub async fn delete_topics(&self, names: &[&str]) -> Reply<Vec<Reply<()>>> {
        let written = async {
            let natives = Natives::new(names, sys::rd_kafka_DeleteTopic_destroy, doomed_topic)?;
            let parts = (sys::rd_kafka_event_DeleteTopics_result as _, sys::rd_kafka_DeleteTopics_result_topics as _);
            self.ask_each(names.len(), natives.given_to(sys::rd_kafka_DeleteTopics), parts, topic_result).await
        };
        boundary::around(|| "kafka DeleteTopics".to_owned(), written).await
    }

    /// Sets (`Some`) and resets (`None`) single configs of topics and leaves all others; the result of each topic.
    pub async fn alter_topic_configs(&self, edits: &[ConfigEdit<'_>]) -> Reply<HashMap<String, Reply<()>>> {
        let written = async {
            let natives = Natives::new(edits, sys::rd_kafka_ConfigResource_destroy, new_edit)?;
            let parts = (
                sys::rd_kafka_event_IncrementalAlterConfigs_result as _,
                sys::rd_kafka_IncrementalAlterConfigs_result_resources as _,
            );
            let read = |one: &_| (string(one, sys::rd_kafka_ConfigResource_name), resource_result(one));
            let call = natives.given_to(sys::rd_kafka_IncrementalAlterConfigs);
            Ok(self.ask_list(call, parts, read).await?.into_iter().collect())
        };
        boundary::around(|| "kafka IncrementalAlterConfigs".to_owned(), written).await
    }

    /// An offset of each partition, and for [`Offset::LastTimestamp`] a time: milliseconds since 1970, -1 if there is
    /// no message. No partition may be named twice.
    pub async fn list_offsets(&self, partitions: &[(&str, i32)], at: Offset) -> Reply<Vec<(String, i32, Reply<i64>)>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let parts = (sys::rd_kafka_event_ListOffsets_result as _, sys::rd_kafka_ListOffsets_result_infos as _);
        let read = move |one: &sys::rd_kafka_ListOffsetsResultInfo_t| {
            let (topic, partition, offset) = placed(one, sys::rd_kafka_ListOffsetsResultInfo_topic_partition);
            let time = get(one, sys::rd_kafka_ListOffsetsResultInfo_timestamp);
            (topic, partition, offset.map(|offset| if at == Offset::LastTimestamp { time } else { offset }))
        };
        again(self.link(), || async {
            let call = partition_list(partitions, offset_spec(at))?.only_given_to(sys::rd_kafka_ListOffsets);
            self.ask_list(call, parts, read).await
        })
        .await
    }
}

fn is_too_large(result: &Reply<()>) -> bool {
    // "Unable to perform excessively large batch operation.", "Excessively large number of partitions per request."
    result.as_ref().is_err_and(|trouble| trouble.cause == Cause::Policy && trouble.message.contains("xcessively large"))
}

fn topic_result(one: &sys::rd_kafka_topic_result_t) -> Reply<()> {
    coded(get(one, rd_kafka_topic_result_error), || string(one, sys::rd_kafka_topic_result_error_string))
}

fn resource_result(one: &sys::rd_kafka_ConfigResource_t) -> Reply<()> {
    coded(get(one, rd_kafka_ConfigResource_error), || string(one, sys::rd_kafka_ConfigResource_error_string))
}

fn read_topic(topic: &sys::rd_kafka_TopicDescription_t) -> (String, Reply<TopicFound>) {
    let found = told(part(topic, sys::rd_kafka_TopicDescription_error)).map(|()| {
        let all = || items(topic, sys::rd_kafka_TopicDescription_partitions);
        let replicas = |one| items(one, sys::rd_kafka_TopicPartitionInfo_replicas).count();
        TopicFound {
            replication: all().flatten().map(replicas).max().unwrap_or_default(),
            partitions: all().count(),
            id: part(topic, sys::rd_kafka_TopicDescription_topic_id).and_then(read_id),
        }
    });
    (string(topic, sys::rd_kafka_TopicDescription_name), found)
}

/// Zero stands for none.
fn read_id(id: &sys::rd_kafka_Uuid_t) -> Option<u128> {
    let halves =
        [get(id, sys::rd_kafka_Uuid_most_significant_bits), get(id, sys::rd_kafka_Uuid_least_significant_bits)];
    let [most, least] = halves.map(|half| u128::from(half.cast_unsigned()));
    Some(most << 64 | least).filter(|id| *id != 0)
}

fn read_configs(of: &sys::rd_kafka_ConfigResource_t) -> Reply<Vec<ConfigEntry>> {
    resource_result(of)?;
    let entries = items(of, sys::rd_kafka_ConfigResource_configs).flatten();
    Ok(entries
        .map(|entry| ConfigEntry {
            name: string(entry, sys::rd_kafka_ConfigEntry_name),
            value: some_string(entry, sys::rd_kafka_ConfigEntry_value),
            source: ConfigSource::of(get(entry, rd_kafka_ConfigEntry_source)),
            read_only: get(entry, sys::rd_kafka_ConfigEntry_is_read_only) == 1,
            sensitive: get(entry, sys::rd_kafka_ConfigEntry_is_sensitive) == 1,
        })
        .collect())
}
