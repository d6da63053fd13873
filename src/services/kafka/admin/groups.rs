//! Calls on consumer groups.

use super::{
    Admin, Event, Natives, Reply, all_placed, constant, get, given_names, given_nothing, items, nth, offsets_of_group,
};
use super::{part, string, told};
use crate::services::kafka::client::again::again;
use crate::services::kafka::client::native::{Broker, Group, Member};
use crate::services::kafka::client::words::unanswered;
use rdkafka::types::RDKafkaType;
use rdkafka_sys as sys;
use std::collections::BTreeSet;

impl Admin {
    /// Whom the broker takes the client for, as ACLs name it (`User:admin`).
    pub fn principal(&self) -> &str {
        self.client.context().principal()
    }

    /// Names of all consumer groups that the principal may see. It fails if one broker did not tell its own.
    pub async fn list_groups(&self) -> Reply<Vec<String>> {
        let read = |event: &Event| {
            let result = event.answer(sys::rd_kafka_event_ListConsumerGroups_result)?;
            for error in items(result, sys::rd_kafka_ListConsumerGroups_result_errors).flatten() {
                told(Some(error))?;
            }
            let groups = items(result, sys::rd_kafka_ListConsumerGroups_result_valid).flatten();
            let names = groups.map(|one| string(one, sys::rd_kafka_ConsumerGroupListing_group_id));
            // A group that just moved is told by two brokers.
            Ok(names.collect::<BTreeSet<String>>().into_iter().collect())
        };
        again(self.link(), || self.ask(given_nothing(sys::rd_kafka_ListConsumerGroups), read)).await
    }

    /// State and members of groups, in the order of their names, none of them twice.
    pub async fn describe_groups(&self, names: &[&str]) -> Reply<Vec<Reply<Group>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let parts = (
            sys::rd_kafka_event_DescribeConsumerGroups_result as _,
            sys::rd_kafka_DescribeConsumerGroups_result_groups as _,
        );
        again(self.link(), || async {
            let call = given_names(names, sys::rd_kafka_DescribeConsumerGroups)?;
            self.ask_each(names.len(), call, parts, read_group).await
        })
        .await
    }

    /// Topic, partition and offset of all that a group has committed.
    pub async fn group_offsets(&self, group: &str) -> Reply<Vec<(String, i32, i64)>> {
        let parts = (
            sys::rd_kafka_event_ListConsumerGroupOffsets_result as _,
            sys::rd_kafka_ListConsumerGroupOffsets_result_groups as _,
        );
        let admin = self.for_groups()?;
        let committed = again(self.link(), || async {
            let natives = Natives::new(&[group], sys::rd_kafka_ListConsumerGroupOffsets_destroy, offsets_of_group)?;
            let call = natives.given_to(sys::rd_kafka_ListConsumerGroupOffsets);
            admin.ask_each(1, call, parts, read_offsets).await?.pop().unwrap_or_else(|| Err(unanswered()))
        });
        // Less than zero stands for none.
        Ok(committed.await?.into_iter().filter(|(_, _, offset)| *offset >= 0).collect())
    }

    /// Offsets of groups are asked by a consumer: librdkafka 2.12 follows a null pointer in any other client when the
    /// group's coordinator moves (`rk_cgrp` in rd_kafka_handle_OffsetFetch). It joins no group.
    fn for_groups(&self) -> Reply<&Self> {
        if let Some(admin) = self.groups.get() {
            return Ok(admin);
        }
        let mut config = self.config.clone();
        config.set("group.id", "nornplan").set("enable.auto.commit", "false");
        let made = Self::of_kind(config, RDKafkaType::RD_KAFKA_CONSUMER)?;
        Ok(self.groups.get_or_init(|| Box::new(made)))
    }
}

fn read_offsets(one: &sys::rd_kafka_group_result_t) -> Reply<Vec<(String, i32, i64)>> {
    told(part(one, sys::rd_kafka_group_result_error))?;
    let partitions = all_placed(one, sys::rd_kafka_group_result_partitions).into_iter();
    partitions.map(|(topic, partition, offset)| Ok((topic, partition, offset?))).collect()
}

fn read_group(group: &sys::rd_kafka_ConsumerGroupDescription_t) -> Reply<Group> {
    told(part(group, sys::rd_kafka_ConsumerGroupDescription_error))?;
    let count = get(group, sys::rd_kafka_ConsumerGroupDescription_member_count);
    let members = (0..count).filter_map(|at| {
        let member = nth(group, at, sys::rd_kafka_ConsumerGroupDescription_member)?;
        let assigned = part(member, sys::rd_kafka_MemberDescription_assignment);
        let partitions = assigned.map(|all| all_placed(all, sys::rd_kafka_MemberAssignment_partitions));
        Some(Member {
            client_id: string(member, sys::rd_kafka_MemberDescription_client_id),
            host: string(member, sys::rd_kafka_MemberDescription_host),
            topics: partitions.into_iter().flatten().map(|(topic, _, _)| topic).collect(),
        })
    });
    let (name, members) = (string(group, sys::rd_kafka_ConsumerGroupDescription_group_id), members.collect());
    let state = get(group, sys::rd_kafka_ConsumerGroupDescription_state);
    let state = constant(state, sys::rd_kafka_consumer_group_state_name);
    Ok(Group { name, state, members })
}

pub fn read_broker(node: &sys::rd_kafka_Node_t) -> Broker {
    let (id, port) = (get(node, sys::rd_kafka_Node_id), get(node, sys::rd_kafka_Node_port));
    Broker { id, host: string(node, sys::rd_kafka_Node_host), port }
}
