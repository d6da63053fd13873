//! Ways that a broker has to be asked for: share groups and delegation tokens, both off unless somebody switches them on.

use super::Control::{Neighbour, Nobody};
use super::{CLUSTER, FOREIGN_TOKEN, GROUP, TOPIC, Way, way};
use serde_json::{Value, json};

/// What switches them on.
pub const LINES: &str = "delegation.token.secret.key=only-for-tests\nunstable.api.versions.enable=true\nunstable.feature.versions.enable=true\n\
    group.coordinator.rebalance.protocols=classic,consumer,share,streams\ngroup.share.enable=true";

const MEMBER: &str = "AAAAAAAAAAAAAAAAAAAAAA";

pub fn ways() -> Vec<Way> {
    shares().into_iter().chain(tokens()).collect()
}

fn shares() -> Vec<Way> {
    let beats = |group: &str, topic: &str| json!({ "group_id": group, "member_id": MEMBER, "member_epoch": 0, "subscribed_topic_names": [topic] });
    let fetches = |group: &str| {
        json!({ "group_id": group, "member_id": MEMBER, "share_session_epoch": 0, "max_wait_ms": 10, "min_bytes": 1,
            "max_bytes": 999, "max_records": 9, "batch_size": 9, "topics": [
                { "topic_id": "YOUR_ID", "partitions": [{ "partition_index": 0, "acknowledgement_batches": [] }] }],
            "forgotten_topics_data": [] })
    };
    let acknowledges = json!({ "group_id": "YOUR_GROUP", "member_id": MEMBER, "share_session_epoch": 1,
        "topics": [{ "topic_id": "YOUR_ID", "partitions": [{ "partition_index": 0, "acknowledgement_batches": [] }] }] });
    let moves = json!({ "group_id": "YOUR_GROUP", "topics": [
        { "topic_name": "YOUR_TOPIC", "partitions": [{ "partition_index": 0, "start_offset": 0 }] }] });
    let forgets = json!({ "group_id": "YOUR_GROUP", "topics": [{ "topic_name": "YOUR_TOPIC" }] });
    let one_group = json!({ "groups": [{ "group_id": "YOUR_GROUP", "topics": null }] });
    let described = json!({ "group_ids": ["YOUR_GROUP"], "include_authorized_operations": true });
    let streams = json!({ "group_id": "YOUR_GROUP", "member_id": MEMBER, "member_epoch": 0,
        "endpoint_information_epoch": 0, "rebalance_timeout_ms": 10000, "topology": null });
    vec![
        way("join a share group", "ShareGroupHeartbeat", GROUP, Neighbour, beats("YOUR_GROUP.share", "YOUR_TOPIC")),
        way(
            "read a topic in one's own share group",
            "ShareGroupHeartbeat",
            TOPIC,
            Nobody,
            beats("MY_GROUP.share", "YOUR_TOPIC"),
        ),
        way("read in a share group", "ShareFetch", GROUP, Neighbour, fetches("YOUR_GROUP")),
        way("acknowledge in a share group", "ShareAcknowledge", GROUP, Neighbour, acknowledges),
        way("see a share group", "ShareGroupDescribe", GROUP, Neighbour, described.clone()),
        way("see how far a share group is", "DescribeShareGroupOffsets", GROUP, Neighbour, one_group),
        way("move a share group", "AlterShareGroupOffsets", GROUP, Neighbour, moves),
        way("forget how far a share group is", "DeleteShareGroupOffsets", GROUP, Nobody, forgets),
        way("join a group of Kafka Streams", "StreamsGroupHeartbeat", GROUP, Neighbour, streams),
        way("see a group of Kafka Streams", "StreamsGroupDescribe", GROUP, Neighbour, described),
    ]
}

/// A token outlives its owner's password.
fn tokens() -> Vec<Way> {
    let made = json!({ "owner_principal_type": "User", "owner_principal_name": "YOUR_USER", "renewers": [],
        "max_lifetime_ms": -1 });
    let state = |partition: Value| json!({ "group_id": "YOUR_GROUP", "topics": [{ "topic_id": "YOUR_ID", "partitions": [partition] }] });
    vec![
        way("make a token for another", "CreateDelegationToken", FOREIGN_TOKEN, Nobody, made),
        way(
            "read a share group's state",
            "ReadShareGroupState",
            CLUSTER,
            Nobody,
            state(json!({ "partition": 0, "leader_epoch": 0 })),
        ),
    ]
}
