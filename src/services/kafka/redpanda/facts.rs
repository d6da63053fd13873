//! What the Admin API tells of a cluster, read from its JSON: pure. What is not there is unknown.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Cluster properties that rules depend on (`GET /v1/cluster_config?include_defaults=true`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Whether the Kafka API checks ACLs. `kafka_enable_authorization`, which follows `enable_sasl` while it is null.
    pub authorization: Option<bool>,
    /// Users above all ACLs, who may also use the Admin API.
    pub superusers: Option<BTreeSet<String>>,
    /// Topics that nobody may delete.
    pub nodelete_topics: Option<BTreeSet<String>>,
}

impl ClusterFacts {
    /// `None` if this is no cluster configuration.
    pub fn of(config: &Value) -> Option<Self> {
        let all = config.as_object()?;
        let list = |name: &str| all.get(name).and_then(names);
        let flag = |name: &str| all.get(name).and_then(Value::as_bool);
        let authorization = match all.get("kafka_enable_authorization") {
            Some(Value::Bool(on)) => Some(*on),
            Some(Value::Null) => flag("enable_sasl"),
            Some(_) | None => None,
        };
        Some(Self { authorization, superusers: list("superusers"), nodelete_topics: list("kafka_nodelete_topics") })
    }
}

/// A list of names (`GET /v1/security/users`).
pub fn names(list: &Value) -> Option<BTreeSet<String>> {
    list.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The oldest version of the brokers (`GET /v1/brokers`: "v25.2.1 - 4f0..."), without its build.
pub fn version(brokers: &Value) -> Option<String> {
    let versions = brokers.as_array()?.iter().filter_map(|broker| broker.get("version")?.as_str());
    let plain = versions.map(|text| text.split([' ', '-']).next().unwrap_or_default().trim_start_matches('v'));
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap_or_default()).collect() };
    plain.filter(|text| !text.is_empty()).min_by_key(|text| numbers(text)).map(str::to_owned)
}

/// Names of roles (`GET /v1/security/roles`: `{"roles": [{"name": "..."}]}`).
pub fn roles(answer: &Value) -> Option<Vec<String>> {
    answer.get("roles")?.as_array()?.iter().map(|role| role.get("name")?.as_str().map(str::to_owned)).collect()
}

/// Users that have a role (`GET /v1/security/roles/{role}/members`).
pub fn members(answer: &Value) -> Option<BTreeSet<String>> {
    let members = answer.get("members")?.as_array()?.iter();
    let users = members.filter(|member| member.get("principal_type").and_then(Value::as_str) == Some("User"));
    users.map(|member| member.get("name")?.as_str().map(str::to_owned)).collect()
}

/// What is known of a user's one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// `SCRAM-SHA-512`, as Kafka calls it; `None` if it is one that we do not know.
    pub mechanism: Option<String>,
    /// When the password was last set; 1970 if that was before Redpanda kept it.
    pub set_at: Option<String>,
}

/// Credentials by user (`SecurityService/ListScramCredentials`). Protobuf's JSON leaves out an empty list.
pub fn credentials(answer: &Value) -> Option<BTreeMap<String, Credential>> {
    let Some(list) = answer.as_object()?.get("scramCredentials") else { return Some(BTreeMap::new()) };
    let read = |one: &Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str);
        let mechanism = match text("mechanism") {
            Some("SCRAM_MECHANISM_SCRAM_SHA_256") => Some("SCRAM-SHA-256".to_owned()),
            Some("SCRAM_MECHANISM_SCRAM_SHA_512") => Some("SCRAM-SHA-512".to_owned()),
            Some(_) | None => None,
        };
        let set_at = text("passwordSetAt").map(str::to_owned);
        Some((text("name")?.to_owned(), Credential { mechanism, set_at }))
    };
    list.as_array()?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::{ClusterFacts, credentials, members, names, roles, version};
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn authorization_follows_sasl_only_while_it_is_null() {
        let of = |value| ClusterFacts::of(&value).unwrap().authorization;
        assert_eq!(of(json!({"kafka_enable_authorization": true, "enable_sasl": false})), Some(true));
        assert_eq!(of(json!({"kafka_enable_authorization": false, "enable_sasl": true})), Some(false));
        assert_eq!(of(json!({"kafka_enable_authorization": null, "enable_sasl": true})), Some(true));
        assert_eq!(of(json!({"kafka_enable_authorization": null, "enable_sasl": false})), Some(false));
        assert_eq!(of(json!({"kafka_enable_authorization": null})), None);
        assert_eq!(of(json!({"enable_sasl": true})), None, "what is not shown is not known");
        assert_eq!(ClusterFacts::of(&json!([])), None);
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        let lists = ClusterFacts::of(&json!({"superusers": ["admin"], "kafka_nodelete_topics": 3})).unwrap();
        assert_eq!(lists.superusers, Some(BTreeSet::from(["admin".to_owned()])));
        assert_eq!(lists.nodelete_topics, None);
        assert_eq!(names(&json!(["a", 1])), None);
        assert_eq!(roles(&json!({"roles": [{"name": "r"}]})), Some(vec!["r".to_owned()]));
        assert_eq!(roles(&json!({})), None);
        let both =
            json!({"members": [{"principal_type": "User", "name": "a"}, {"principal_type": "Group", "name": "g"}]});
        assert_eq!(members(&both), Some(BTreeSet::from(["a".to_owned()])));
    }

    #[test]
    fn the_oldest_broker_counts() {
        let brokers = json!([{"version": "v25.10.1 - 4f0"}, {"version": "v25.2.1 - 4f0"}, {"node_id": 3}]);
        assert_eq!(version(&brokers).as_deref(), Some("25.2.1"));
        assert_eq!(version(&json!([])), None);
    }

    #[test]
    fn credentials_tell_mechanism_and_time() {
        let list = json!({"scramCredentials": [
            {"name": "a", "mechanism": "SCRAM_MECHANISM_SCRAM_SHA_256", "passwordSetAt": "2026-05-01T10:00:00Z"},
            {"name": "b", "mechanism": "SCRAM_MECHANISM_SCRAM_SHA_1024"},
        ]});
        let read = credentials(&list).unwrap();
        assert_eq!(read["a"].mechanism.as_deref(), Some("SCRAM-SHA-256"));
        assert_eq!(read["a"].set_at.as_deref(), Some("2026-05-01T10:00:00Z"));
        assert_eq!((read["b"].mechanism.clone(), read["b"].set_at.clone()), (None, None));
        assert!(credentials(&json!({})).unwrap().is_empty());
        assert_eq!(credentials(&json!(["a"])), None);
    }
}
