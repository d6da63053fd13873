//! Ways to more rights, and to what all apps share.

use super::Control::{Admin, Nobody};
use super::{CLUSTER, GROUP, SILENCE, Way, way};
use serde_json::{Value, json};

pub fn ways() -> Vec<Way> {
    [rights(), servers(), among_brokers()].into_iter().flatten().collect()
}

/// A password as it would be stored: which one does not matter.
fn upsert(user: &str) -> Value {
    json!({ "deletions": [], "upsertions": [{ "name": user, "mechanism": 2, "iterations": 4096,
        "salt": "sixteen-bytes-of", "salted_password": "and-sixty-four-bytes-of-a-password-that-somebody-has-salted-himself" }] })
}

fn rights() -> Vec<Way> {
    let acl = json!({ "resource_type": 2, "resource_name": "YOUR_TOPIC", "resource_pattern_type": 3,
        "principal": "User:MY_USER", "host": "*", "operation": 3, "permission_type": 3 });
    let filter = |principal: &str| {
        json!({ "resource_type_filter": 1, "resource_name_filter": null, "pattern_type_filter": 1,
            "principal_filter": principal, "host_filter": null, "operation": 1, "permission_type": 1 })
    };
    let removes = json!({ "deletions": [{ "name": "YOUR_USER", "mechanism": 2 }], "upsertions": [] });
    let quota = |user: &str| {
        json!({ "entries": [{ "entity": [{ "entity_type": "user", "entity_name": user }],
            "ops": [{ "key": "producer_byte_rate", "value": 1.0, "remove": false }] }], "validate_only": true })
    };
    let quotas = json!({ "components": [{ "entity_type": "user", "match_type": 2, "match": null }], "strict": false });
    vec![
        way("see all ACLs", "DescribeAcls", CLUSTER, Admin, filter_all()),
        way("see one's own ACLs", "DescribeAcls", CLUSTER, Admin, filter("User:MY_USER")),
        way("give oneself a topic", "CreateAcls", CLUSTER, Admin, json!({ "creations": [acl] })),
        way(
            "take another's rights away",
            "DeleteAcls",
            CLUSTER,
            Admin,
            json!({ "filters": [filter("User:YOUR_USER")] }),
        ),
        // The broker stumbles over its own refusal, and says nothing at all.
        way("see all users", "DescribeUserScramCredentials", SILENCE, Admin, json!({ "users": null })),
        way(
            "see another user",
            "DescribeUserScramCredentials",
            CLUSTER,
            Admin,
            json!({ "users": [{ "name": "YOUR_USER" }] }),
        ),
        way("see oneself", "DescribeUserScramCredentials", CLUSTER, Admin, json!({ "users": [{ "name": "MY_USER" }] })),
        way("set another's password", "AlterUserScramCredentials", CLUSTER, Admin, upsert("YOUR_USER")),
        way("set one's own password", "AlterUserScramCredentials", CLUSTER, Admin, upsert("MY_USER")),
        way("set the admin's password", "AlterUserScramCredentials", CLUSTER, Nobody, upsert("admin")),
        way("make a user", "AlterUserScramCredentials", CLUSTER, Admin, upsert("PREFIX_made")),
        way("take another's password away", "AlterUserScramCredentials", CLUSTER, Admin, removes),
        way("slow another down", "AlterClientQuotas", CLUSTER, Admin, quota("YOUR_USER")),
        way("lift one's own limits", "AlterClientQuotas", CLUSTER, Admin, quota("MY_USER")),
        way("see everybody's limits", "DescribeClientQuotas", CLUSTER, Admin, quotas),
    ]
}

fn filter_all() -> Value {
    json!({ "resource_type_filter": 1, "resource_name_filter": null, "pattern_type_filter": 1,
        "principal_filter": null, "host_filter": null, "operation": 1, "permission_type": 1 })
}

fn servers() -> Vec<Way> {
    let alter = |kind: u8, name: &str, key: &str, value: &str| {
        json!({ "resources": [{ "resource_type": kind, "resource_name": name, "configs":
            [{ "name": key, "config_operation": 0, "value": value }] }], "validate_only": true })
    };
    let describe = |kind: u8, name: &str| json!({ "resources": [{ "resource_type": kind, "resource_name": name, "configuration_keys": null }] });
    let voter = |more: &[(&str, Value)]| {
        let mut body = json!({ "cluster_id": "another", "voter_id": 9, "voter_directory_id": "11111111-1111-1111-1111-111111111111" });
        body.as_object_mut()
            .expect("an object")
            .extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        body
    };
    let listeners =
        [("timeout_ms", json!(1000)), ("listeners", json!([{ "name": "CONTROLLER", "host": "127.0.0.1", "port": 1 }]))];
    let feature = json!({ "timeout_ms": 1000, "validate_only": true,
        "feature_updates": [{ "feature": "metadata.version", "max_version_level": 27, "upgrade_type": 1 }] });
    vec![
        way(
            "set a broker's configs",
            "IncrementalAlterConfigs",
            CLUSTER,
            Admin,
            alter(4, "1", "log.cleaner.threads", "1"),
        ),
        way(
            "set all brokers' configs",
            "IncrementalAlterConfigs",
            CLUSTER,
            Admin,
            alter(4, "", "log.cleaner.threads", "1"),
        ),
        way(
            "set what brokers log",
            "IncrementalAlterConfigs",
            CLUSTER,
            Admin,
            alter(8, "1", "kafka.request.logger", "DEBUG"),
        ),
        way(
            "set another group's configs",
            "IncrementalAlterConfigs",
            GROUP,
            Admin,
            alter(32, "YOUR_GROUP", "consumer.session.timeout.ms", "50000"),
        ),
        way(
            "ask clients for metrics",
            "IncrementalAlterConfigs",
            CLUSTER,
            Admin,
            alter(16, "PREFIX_sub", "interval.ms", "1000"),
        ),
        way("read a broker's configs", "DescribeConfigs", CLUSTER, Admin, describe(4, "1")),
        way("read what brokers log", "DescribeConfigs", CLUSTER, Admin, describe(8, "1")),
        way("read another group's configs", "DescribeConfigs", GROUP, Admin, describe(32, "YOUR_GROUP")),
        way("read what clients are asked for", "DescribeConfigs", CLUSTER, Admin, describe(16, "PREFIX_sub")),
        way("see what has configs", "ListConfigResources", CLUSTER, Admin, json!({ "resource_types": [] })),
        way("see the disks, and how big topics are", "DescribeLogDirs", CLUSTER, Admin, json!({ "topics": null })),
        way(
            "see the controllers",
            "DescribeQuorum",
            CLUSTER,
            Admin,
            json!({ "topics": [{ "topic_name": "__cluster_metadata", "partitions": [{ "partition_index": 0 }] }] }),
        ),
        way("switch features", "UpdateFeatures", CLUSTER, Admin, feature),
        way("take a broker out", "UnregisterBroker", CLUSTER, Admin, json!({ "broker_id": 9999 })),
        way("add a controller", "AddRaftVoter", CLUSTER, Admin, voter(&listeners)),
        way("remove a controller", "RemoveRaftVoter", CLUSTER, Admin, voter(&[])),
    ]
}

/// What brokers say to one another.
fn among_brokers() -> Vec<Way> {
    let follows = json!({ "replica_state": { "replica_id": 1, "replica_epoch": 1 }, "max_wait_ms": 10, "min_bytes": 1,
        "max_bytes": 9999, "topics": [{ "topic_id": "YOUR_ID",
            "partitions": [{ "partition": 0, "fetch_offset": 0, "partition_max_bytes": 9999 }] }] });
    let state = |partition: Value| json!({ "group_id": "YOUR_GROUP", "topics": [{ "topic_id": "YOUR_ID", "partitions": [partition] }] });
    let verifies = json!({ "transactions": [{ "transactional_id": "YOUR_TX", "producer_id": 1, "producer_epoch": 0,
        "verify_only": true, "topics": [{ "name": "YOUR_TOPIC", "partitions": [0] }] }] });
    let plain = json!({ "partition": 0, "leader_epoch": 0 });
    let begun = json!({ "partition": 0, "state_epoch": 0, "start_offset": 0 });
    let written =
        json!({ "partition": 0, "state_epoch": 0, "leader_epoch": 0, "start_offset": 0, "state_batches": [] });
    vec![
        way("copy a topic as a broker does", "Fetch", super::TOPIC, Nobody, follows).in_version(17),
        way("verify a transaction as a broker does", "AddPartitionsToTxn", CLUSTER, Nobody, verifies).in_version(5),
        way("read a share group's state", "ReadShareGroupState", CLUSTER, Nobody, state(plain.clone())),
        way("read it in short", "ReadShareGroupStateSummary", CLUSTER, Nobody, state(plain)),
        way("begin a share group's state", "InitializeShareGroupState", CLUSTER, Nobody, state(begun)),
        way("write a share group's state", "WriteShareGroupState", CLUSTER, Nobody, state(written)),
        way("delete a share group's state", "DeleteShareGroupState", CLUSTER, Nobody, state(json!({ "partition": 0 }))),
    ]
}
