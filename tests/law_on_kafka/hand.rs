//! What people do by hand, at random: it may well fail, for what it names need not be there.

use super::wish::{APPS, CONFIGS, OUTSIDE};
use common::kafka_client::{ADMIN, Client, Everything};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A request of the admin's, at something that is there.
#[derive(Clone, Debug)]
pub enum ByHand {
    SetConfig { topic: Index, config: usize },
    ResetConfig { topic: Index, config: usize },
    AddPartition { topic: Index },
    DeleteTopic { topic: Index },
    DeleteAcl { acl: Index },
    DeleteAcls { user: Index },
    AddAcl { user: Index, resource: u8, name: String, prefixed: bool, operation: u8, deny: bool, host: String },
    MoreIterations { user: Index },
    DeleteUser { user: Index },
}

/// One thing done by hand.
pub fn by_hand() -> impl Strategy<Value = ByHand> {
    let index = any::<Index>;
    let names: Vec<String> = ["*", "@", "@.one.", "@.two.a", "kafka-cluster"].map(str::to_owned).into_iter().collect();
    let names: Vec<String> =
        names.into_iter().chain(OUTSIDE.map(str::to_owned)).chain(APPS.map(|app| format!("@{app}"))).collect();
    let added = (
        index(),
        2u8..6,
        select(names),
        any::<bool>(),
        2u8..13,
        prop::bool::weighted(0.3),
        select(vec!["*", "10.0.0.1"]),
    );
    let added = added.prop_map(|(user, resource, name, prefixed, operation, deny, host)| ByHand::AddAcl {
        user,
        resource,
        name,
        prefixed,
        operation,
        deny,
        host: host.to_owned(),
    });
    prop_oneof![
        4 => (index(), 0..CONFIGS.len()).prop_map(|(topic, config)| ByHand::SetConfig { topic, config }),
        3 => (index(), 0..CONFIGS.len()).prop_map(|(topic, config)| ByHand::ResetConfig { topic, config }),
        2 => index().prop_map(|topic| ByHand::AddPartition { topic }),
        1 => index().prop_map(|topic| ByHand::DeleteTopic { topic }),
        4 => index().prop_map(|acl| ByHand::DeleteAcl { acl }),
        1 => index().prop_map(|user| ByHand::DeleteAcls { user }),
        5 => added,
        2 => index().prop_map(|user| ByHand::MoreIterations { user }),
        1 => index().prop_map(|user| ByHand::DeleteUser { user }),
    ]
}

/// Does it to something of an app's; says whether the broker did.
pub fn perform(client: &Client, change: &ByHand, there: &Everything, prefix: &str) -> bool {
    let of_apps = |name: &&String| name.starts_with(&format!("{prefix}."));
    let topics: Vec<&String> = there.topics.keys().filter(of_apps).collect();
    let users: Vec<&String> = there.users.keys().collect();
    let is_own = |acl: &&String| users.iter().any(|user| acl.contains(&format!(" User:{user} ")));
    let acls: Vec<&String> = there.acls.iter().filter(is_own).collect();
    let pick = |from: &[&String], index: &Index| (!from.is_empty()).then(|| (*index.get(from)).clone());
    let edit = |topic: &Index, config: usize, operation: u8| {
        let (name, _, value) = CONFIGS[config];
        let value = (operation == 0).then_some(value);
        let config = json!({ "name": name, "config_operation": operation, "value": value });
        let resource = json!({ "resource_type": 2, "resource_name": pick(&topics, topic)?, "configs": [config] });
        Some(("IncrementalAlterConfigs", json!({ "resources": [resource], "validate_only": false })))
    };
    let request = match change {
        ByHand::SetConfig { topic, config } => edit(topic, *config, 0),
        ByHand::ResetConfig { topic, config } => edit(topic, *config, 1),
        ByHand::AddPartition { topic } => pick(&topics, topic).map(|name| {
            let count = there.topics[&name].partitions + 1;
            ("CreatePartitions", json!({ "topics": [{ "name": name, "count": count }], "timeout_ms": 9000 }))
        }),
        ByHand::DeleteTopic { topic } => {
            pick(&topics, topic).map(|name| ("DeleteTopics", json!({ "topics": [{ "name": name }], "timeout_ms": 9000 })))
        }
        ByHand::DeleteAcl { acl } => pick(&acls, acl).map(|acl| ("DeleteAcls", json!({ "filters": [exactly(&acl)] }))),
        ByHand::DeleteAcls { user } => pick(&users, user).map(|user| {
            let filter = json!({ "resource_type_filter": 1, "resource_name_filter": null, "pattern_type_filter": 1,
                "principal_filter": format!("User:{user}"), "host_filter": null, "operation": 1, "permission_type": 1 });
            ("DeleteAcls", json!({ "filters": [filter] }))
        }),
        ByHand::AddAcl { user, resource, name, prefixed, operation, deny, host } => pick(&users, user).map(|user| {
            let acl = json!({ "resource_type": resource, "resource_name": name.replace('@', prefix),
                "resource_pattern_type": if *prefixed { 4 } else { 3 }, "principal": format!("User:{user}"), "host": host,
                "operation": operation, "permission_type": if *deny { 2 } else { 3 } });
            ("CreateAcls", json!({ "creations": [acl] }))
        }),
        ByHand::MoreIterations { user } => {
            let Some(user) = pick(&users, user) else { return false };
            let set = json!({ "user": user, "password": "by-hand", "iterations": 8192 });
            return client.does(ADMIN, "set_password", set).is_ok();
        }
        ByHand::DeleteUser { user } => pick(&users, user).map(|user| {
            let deletion = json!([{ "name": user, "mechanism": 2 }]);
            ("AlterUserScramCredentials", json!({ "deletions": deletion, "upsertions": [] }))
        }),
    };
    let Some((api, body)) = request else { return false };
    client.sends(ADMIN, api, &body).0 == [0]
}

/// A filter for one ACL, out of `allow read topic literal NAME User:NAME *`.
fn exactly(acl: &str) -> Value {
    let words: Vec<&str> = acl.split(' ').collect();
    let [permission, operation, resource, pattern, name, principal, host] = words[..] else { panic!("{acl}") };
    let number = |names: &[&str], name: &str| names.iter().position(|one| *one == name).expect(name) + 2;
    let operations = [
        "all",
        "read",
        "write",
        "create",
        "delete",
        "alter",
        "describe",
        "cluster_action",
        "describe_configs",
        "alter_configs",
        "idempotent_write",
    ];
    json!({
        "resource_type_filter": number(&["topic", "group", "cluster", "transactional_id"], resource),
        "resource_name_filter": name,
        "pattern_type_filter": number(&["match", "literal", "prefixed"], pattern),
        "principal_filter": principal,
        "host_filter": host,
        "operation": number(&operations, operation),
        "permission_type": number(&["deny", "allow"], permission),
    })
}
