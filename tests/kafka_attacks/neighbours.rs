//! Ways into another app's topics, groups and transactions.

use super::Control::{Admin, Neighbour, Nobody};
use super::{GROUP, TOPIC, TRANSACTION, Way, way};
use serde_json::{Value, json};

const NEW: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// In the order in which the control does them: the neighbour's topic and group are gone at the end.
pub fn ways() -> Vec<Way> {
    [messages(), transactions(), groups(), topics()].into_iter().flatten().collect()
}

fn one_partition(name: &str) -> Value {
    json!([{ "name": name, "partitions": [{ "partition_index": 0, "committed_offset": 0 }] }])
}

fn messages() -> Vec<Way> {
    let fetched = json!([{ "topic": "YOUR_TOPIC", "partitions": [{ "partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999 }] }]);
    let by_id = json!([{ "topic_id": "YOUR_ID", "partitions": [{ "partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999 }] }]);
    let fetch = |topics: &Value| json!({ "max_wait_ms": 10, "min_bytes": 1, "max_bytes": 9999, "topics": topics });
    let produced = |named: Value| {
        let mut topic = json!({ "partition_data": [{ "index": 0, "records": "smuggled" }] });
        topic.as_object_mut().expect("an object").extend(named.as_object().expect("an object").clone());
        json!({ "acks": -1, "timeout_ms": 5000, "topic_data": [topic] })
    };
    let offsets = |time: i64| {
        json!({ "replica_id": -1, "isolation_level": 0, "topics": [
            { "name": "YOUR_TOPIC", "partitions": [{ "partition_index": 0, "timestamp": time, "current_leader_epoch": -1 }] }] })
    };
    let epochs = json!({ "replica_id": -1, "topics": [
        { "topic": "YOUR_TOPIC", "partitions": [{ "partition": 0, "current_leader_epoch": -1, "leader_epoch": 0 }] }] });
    vec![
        way("read a topic", "Fetch", TOPIC, Neighbour, fetch(&fetched)).in_version(12),
        way("read a topic by its id", "Fetch", TOPIC, Neighbour, fetch(&by_id)).in_version(13),
        way("write to a topic", "Produce", TOPIC, Neighbour, produced(json!({ "name": "YOUR_TOPIC" }))).in_version(9),
        way("write to a topic by its id", "Produce", TOPIC, Neighbour, produced(json!({ "topic_id": "YOUR_ID" })))
            .in_version(13),
        way("see where a topic ends", "ListOffsets", TOPIC, Neighbour, offsets(-1)),
        way("see when the last message came", "ListOffsets", TOPIC, Neighbour, offsets(-3)),
        way("see the leaders that a topic had", "OffsetForLeaderEpoch", TOPIC, Neighbour, epochs),
        way(
            "see who writes to a topic",
            "DescribeProducers",
            TOPIC,
            Neighbour,
            json!({ "topics": [{ "name": "YOUR_TOPIC", "partition_indexes": [0] }] }),
        ),
    ]
}

fn transactions() -> Vec<Way> {
    let begins = |id: &str| json!({ "transactional_id": id, "transaction_timeout_ms": 9000, "producer_id": -1, "producer_epoch": -1 });
    let partitions = |id: &str| {
        json!({ "v3_and_below_transactional_id": id, "v3_and_below_producer_id": 1, "v3_and_below_producer_epoch": 0,
            "v3_and_below_topics": [{ "name": "YOUR_TOPIC", "partitions": [0] }] })
    };
    let offsets = |id: &str, group: &str| json!({ "transactional_id": id, "producer_id": 1, "producer_epoch": 0, "group_id": group });
    let commits = |id: &str, group: &str, topic: &str| {
        json!({ "transactional_id": id, "group_id": group, "producer_id": 1, "producer_epoch": 0, "generation_id": -1,
            "member_id": "", "topics": one_partition(topic) })
    };
    let ends = |committed: bool| json!({ "transactional_id": "YOUR_TX", "producer_id": 1, "producer_epoch": 0, "committed": committed });
    let coordinator = json!({ "key_type": 1, "coordinator_keys": ["YOUR_TX", "YOUR_OTHER_TX"] });
    let marks = json!({ "markers": [{ "producer_id": 1, "producer_epoch": 0, "transaction_result": false,
        "coordinator_epoch": 0, "topics": [{ "name": "YOUR_TOPIC", "partition_indexes": [0] }] }] });
    vec![
        way("begin transactions as another", "InitProducerId", TRANSACTION, Neighbour, begins("YOUR_TX")),
        way("the same by a further id of it", "InitProducerId", TRANSACTION, Neighbour, begins("YOUR_TX.one")),
        way("the same by an id that it names", "InitProducerId", TRANSACTION, Neighbour, begins("YOUR_OTHER_TX")),
        way("find who looks after its transactions", "FindCoordinator", TRANSACTION, Neighbour, coordinator),
        way("take a topic into one's transaction", "AddPartitionsToTxn", TOPIC, Nobody, partitions("MY_TX"))
            .in_version(3),
        way("take a topic into its transaction", "AddPartitionsToTxn", TRANSACTION, Neighbour, partitions("YOUR_TX"))
            .in_version(3),
        way("take a group into one's transaction", "AddOffsetsToTxn", GROUP, Nobody, offsets("MY_TX", "YOUR_GROUP")),
        way(
            "take a group into its transaction",
            "AddOffsetsToTxn",
            TRANSACTION,
            Neighbour,
            offsets("YOUR_TX", "YOUR_GROUP"),
        ),
        way(
            "move a group within one's transaction",
            "TxnOffsetCommit",
            GROUP,
            Nobody,
            commits("MY_TX", "YOUR_GROUP", "MY_TOPIC"),
        ),
        way(
            "move oneself on a topic, in a transaction",
            "TxnOffsetCommit",
            TOPIC,
            Nobody,
            commits("MY_TX", "MY_GROUP", "YOUR_TOPIC"),
        ),
        way(
            "move a group within its transaction",
            "TxnOffsetCommit",
            TRANSACTION,
            Neighbour,
            commits("YOUR_TX", "YOUR_GROUP", "YOUR_TOPIC"),
        ),
        way("abort its transaction", "EndTxn", TRANSACTION, Neighbour, ends(false)),
        way("commit its transaction", "EndTxn", TRANSACTION, Neighbour, ends(true)),
        way(
            "see its transaction",
            "DescribeTransactions",
            TRANSACTION,
            Neighbour,
            json!({ "transactional_ids": ["YOUR_TX"] }),
        ),
        way("mark its transaction as aborted", "WriteTxnMarkers", super::CLUSTER, Admin, marks),
    ]
}

fn groups() -> Vec<Way> {
    let joins = |group: &str| {
        json!({ "group_id": group, "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000, "member_id": "",
            "protocol_type": "consumer", "protocols": [{ "name": "range", "metadata": "" }] })
    };
    let beats = |group: &str, topic: &str| {
        json!({ "group_id": group, "member_id": NEW, "member_epoch": 0, "rebalance_timeout_ms": 10000,
            "subscribed_topic_names": [topic], "topic_partitions": [] })
    };
    let member = json!({ "group_id": "YOUR_GROUP", "generation_id": 1, "member_id": "x" });
    let syncs = json!({ "group_id": "YOUR_GROUP", "generation_id": 1, "member_id": "x", "protocol_type": "consumer",
        "protocol_name": "range", "assignments": [] });
    let commits = |group: &str, topic: &str| json!({ "group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "topics": one_partition(topic) });
    let fetches = |group: &str, topic: &str| json!({ "groups": [{ "group_id": group, "topics": [{ "name": topic, "partition_indexes": [0] }] }] });
    let deletes = json!({ "group_id": "YOUR_GROUP", "topics": [{ "name": "YOUR_TOPIC", "partitions": [{ "partition_index": 0 }] }] });
    let leaves = json!({ "group_id": "YOUR_GROUP", "members": [{ "member_id": "x", "group_instance_id": null }] });
    let described = json!({ "group_ids": ["YOUR_GROUP"], "include_authorized_operations": true });
    let keys = json!({ "key_type": 0, "coordinator_keys": ["YOUR_GROUP", "YOUR_GROUP.one", "YOUR_OTHER_GROUP"] });
    let mut ways = vec![
        way("join a group", "JoinGroup", GROUP, Neighbour, joins("YOUR_GROUP")),
        way("join a further group of it", "JoinGroup", GROUP, Neighbour, joins("YOUR_GROUP.one")),
        way("join a group that it names", "JoinGroup", GROUP, Neighbour, joins("YOUR_OTHER_GROUP")),
        way("stay in a group", "Heartbeat", GROUP, Neighbour, member),
        way("say who in a group reads what", "SyncGroup", GROUP, Neighbour, syncs),
        way("throw a member out", "LeaveGroup", GROUP, Neighbour, leaves),
        way(
            "join a group the new way",
            "ConsumerGroupHeartbeat",
            GROUP,
            Neighbour,
            beats("YOUR_GROUP.new", "YOUR_TOPIC"),
        ),
        way(
            "read a topic in one's own group, the new way",
            "ConsumerGroupHeartbeat",
            TOPIC,
            Nobody,
            beats("MY_GROUP.new", "YOUR_TOPIC"),
        ),
        way("move a group", "OffsetCommit", GROUP, Neighbour, commits("YOUR_GROUP", "YOUR_TOPIC")).in_version(9),
        way("move oneself on a topic", "OffsetCommit", TOPIC, Nobody, commits("MY_GROUP", "YOUR_TOPIC")).in_version(9),
        way("see how far a group is", "OffsetFetch", GROUP, Neighbour, fetches("YOUR_GROUP", "YOUR_TOPIC"))
            .in_version(8),
        way("see how far one is on a topic", "OffsetFetch", TOPIC, Nobody, fetches("MY_GROUP", "YOUR_TOPIC"))
            .in_version(8),
        way("see a group's members", "DescribeGroups", GROUP, Neighbour, json!({ "groups": ["YOUR_GROUP"] })),
        way("see them the new way", "ConsumerGroupDescribe", GROUP, Neighbour, described),
        way("find who looks after its groups", "FindCoordinator", GROUP, Neighbour, keys),
        way("forget how far a group is", "OffsetDelete", GROUP, Admin, deletes),
        way(
            "delete groups",
            "DeleteGroups",
            GROUP,
            Admin,
            json!({ "groups_names": ["YOUR_OTHER_GROUP", "YOUR_GROUP"] }),
        ),
    ];
    // Names that only look like one's own: `<app>.` is closed by its dot.
    for group in ["MY_GROUP-x", "MY_GROUPx", "MY_GROUP-", "", "*", "YOUR_PREFIX"] {
        ways.insert(3, way("join a group whose name is like one's own", "JoinGroup", GROUP, Nobody, joins(group)));
    }
    ways
}

fn topics() -> Vec<Way> {
    let named = |names: &[&str]| {
        let topics: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "topics": topics, "allow_auto_topic_creation": true })
    };
    let created = |names: &[&str]| {
        let topic = |name: &&str| json!({ "name": name, "num_partitions": 1, "replication_factor": 1 });
        json!({ "topics": names.iter().map(topic).collect::<Vec<_>>(), "timeout_ms": 9000, "validate_only": false })
    };
    let grown =
        |name: &str| json!({ "topics": [{ "name": name, "count": 7 }], "timeout_ms": 9000, "validate_only": false });
    let emptied = |name: &str| json!({ "topics": [{ "name": name, "partitions": [{ "partition_index": 0, "offset": -1 }] }], "timeout_ms": 9000 });
    let deleted = |topic: Value| json!({ "topics": [topic], "timeout_ms": 9000 });
    let edited = |name: &str| {
        let config = json!({ "name": "retention.ms", "config_operation": 0, "value": "1000" });
        json!({ "resources": [{ "resource_type": 2, "resource_name": name, "configs": [config] }], "validate_only": false })
    };
    let replaced = |name: &str| {
        let config = json!({ "name": "retention.ms", "value": "1000" });
        json!({ "resources": [{ "resource_type": 2, "resource_name": name, "configs": [config] }], "validate_only": false })
    };
    let configs =
        json!({ "resources": [{ "resource_type": 2, "resource_name": "YOUR_TOPIC", "configuration_keys": null }] });
    let reassigned = json!({ "timeout_ms": 9000, "topics": [
        { "name": "YOUR_TOPIC", "partitions": [{ "partition_index": 0, "replicas": [1] }] }] });
    let elected = json!({ "election_type": 0, "timeout_ms": 9000,
        "topic_partitions": [{ "topic": "YOUR_TOPIC", "partitions": [0] }] });
    let moved = json!({ "dirs": [{ "path": "/nowhere", "topics": [{ "name": "YOUR_TOPIC", "partitions": [0] }] }] });
    vec![
        way("look at a topic", "Metadata", TOPIC, Neighbour, named(&["YOUR_TOPIC"])),
        way("look at one that is not there", "Metadata", TOPIC, Nobody, named(&["YOUR_TOPIC.none"])),
        way("look at names like one's own", "Metadata", TOPIC, Nobody, named(&["MY_TOPICx", "MY_TOPIC-", "MY_TOPIC.x", "MY_GROUP.x"])),
        way("look at a topic by its id", "Metadata", TOPIC, Neighbour, json!({ "topics": [{ "topic_id": "YOUR_ID", "name": null }] }))
            .in_version(12),
        way("look at its partitions", "DescribeTopicPartitions", TOPIC, Neighbour,
            json!({ "topics": [{ "name": "YOUR_TOPIC" }], "response_partition_limit": 10, "cursor": null })),
        way("read a topic's configs", "DescribeConfigs", TOPIC, Admin, configs),
        way("set a topic's configs", "IncrementalAlterConfigs", TOPIC, Admin, edited("YOUR_TOPIC")),
        way("set a topic's configs the old way", "AlterConfigs", TOPIC, Admin, replaced("YOUR_TOPIC")),
        way("set one's own topic's configs", "IncrementalAlterConfigs", TOPIC, Admin, edited("MY_TOPIC")),
        way("add partitions to a topic", "CreatePartitions", TOPIC, Admin, grown("YOUR_TOPIC")),
        way("add partitions to one's own", "CreatePartitions", TOPIC, Admin, grown("MY_TOPIC")),
        way("choose a topic's leaders", "ElectLeaders", super::CLUSTER, Admin, elected),
        way("move a topic to other brokers", "AlterPartitionReassignments", super::CLUSTER, Admin, reassigned),
        way("see what moves", "ListPartitionReassignments", super::CLUSTER, Admin, json!({ "timeout_ms": 9000, "topics": null })),
        way("move a topic to another disk", "AlterReplicaLogDirs", super::CLUSTER, Admin, moved),
        way("make topics", "CreateTopics", TOPIC, Admin, created(&["YOUR_TOPIC.new", "MY_TOPIC.new", "MY_GROUP.new", "PREFIX_free"])),
        way("make a topic that Kafka keeps for itself", "CreateTopics", TOPIC, Nobody, created(&["__consumer_offsets"])),
        way("remove messages", "DeleteRecords", TOPIC, Admin, emptied("YOUR_TOPIC")),
        way("remove one's own messages", "DeleteRecords", TOPIC, Admin, emptied("MY_TOPIC")),
        way("read what groups have read", "Fetch", TOPIC, Nobody, json!({ "max_wait_ms": 10, "min_bytes": 1, "max_bytes": 9999,
            "topics": [{ "topic": "__consumer_offsets", "partitions": [{ "partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999 }] }] }))
            .in_version(12),
        way("delete one's own topic", "DeleteTopics", TOPIC, Nobody, deleted(json!({ "name": "MY_TOPIC" }))),
        way("delete a topic by its id", "DeleteTopics", TOPIC, Nobody, deleted(json!({ "name": null, "topic_id": "YOUR_ID" }))),
        way("delete a topic", "DeleteTopics", TOPIC, Admin, deleted(json!({ "name": "YOUR_TOPIC" }))),
    ]
}
