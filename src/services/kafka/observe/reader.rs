//! Reading resources in few calls. What cannot be read is an error; what is left out does not exist.

use crate::error::{Diagnostic, Result};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{ConfigEntry, ConfigSource, OwnedBinding, Resource, TopicFound};
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::client::words::unanswered;
use crate::services::kafka::configs::as_stored;
use crate::services::kafka::model::{Acl, Binding, Topic};
use crate::services::kafka::redpanda::AdminApi;
use std::collections::{BTreeMap, BTreeSet};

/// Topics in one DescribeConfigs: 5,000 of them answer with 22 MB.
const CONFIG_BATCH: usize = 1000;
/// A topic and a principal that nobody has.
const NOBODY: &str = "nornplan-asks-for-an-authorizer";

/// ACLs by principal, without the `User:` in front.
#[derive(Debug, Default)]
pub struct Acls {
    pub by_principal: BTreeMap<String, Acl>,
    /// ACLs of these principals that have words unknown to us, and are left alone: how many.
    pub strange: BTreeMap<String, usize>,
}

/// Reads with one client.
pub struct Reader<'a> {
    pub admin: &'a Admin,
    pub endpoint: &'a str,
    /// Where users are kept if the broker's Kafka API has no calls for them.
    pub redpanda: Option<&'a AdminApi>,
}

impl Reader<'_> {
    pub(super) fn failed(&self, object: &str, call: &str, needs: &str) -> impl Fn(Trouble) -> Diagnostic {
        move |trouble| trouble.of(self.admin.principal()).tell(self.endpoint, object, call, needs)
    }

    /// Named topics with all configs: their own, and what they have from the brokers.
    pub async fn topics(&self, names: &BTreeSet<&str>) -> Result<BTreeMap<String, Topic>> {
        let mut topics = BTreeMap::new();
        for (name, found) in self.shapes(names).await? {
            let partitions = i32::try_from(found.partitions).ok();
            let replication = i32::try_from(found.replication).ok();
            let id = found.id.map(topic_id);
            topics.insert(name.clone(), Topic { name, partitions, replication, id, ..Topic::default() });
        }
        let existing: Vec<String> = topics.keys().cloned().collect();
        for batch in existing.chunks(CONFIG_BATCH) {
            let asked: Vec<Resource<'_>> = batch.iter().map(|name| Resource::Topic(name)).collect();
            let (call, needs) = ("DescribeConfigs", "DescribeConfigs on Topic *");
            let read = self.admin.describe_configs(&asked).await.map_err(self.failed("", call, needs))?;
            for (name, configs) in batch.iter().zip(read) {
                match configs {
                    Ok(configs) => {
                        if let Some(topic) = topics.get_mut(name) {
                            (topic.config, topic.inherited) = split(configs);
                        }
                    }
                    // Deleted since its shape was read.
                    Err(trouble) if trouble.cause == Cause::Absent => drop(topics.remove(name)),
                    Err(trouble) => return Err(self.failed(name, call, needs)(trouble)),
                }
            }
        }
        Ok(topics)
    }

    /// Partitions and replicas of the named topics that exist.
    pub async fn shapes(&self, names: &BTreeSet<&str>) -> Result<Vec<(String, TopicFound)>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = names.iter().copied().collect();
        let needs = "Describe on Topic *";
        let read = self.admin.describe_topics(&names).await.map_err(self.failed("", "DescribeTopics", needs))?;
        let mut found = Vec::new();
        for (name, topic) in read {
            match topic {
                Ok(topic) => found.push((name, topic)),
                Err(trouble) if trouble.cause == Cause::Absent => {}
                Err(trouble) => return Err(self.failed(&name, "DescribeTopics", needs)(trouble)),
            }
        }
        Ok(found)
    }

    /// Whether no ACLs means no ACLs: an empty list may also be a refusal, or a broker that keeps none.
    pub async fn has_authorizer(&self) -> Result<bool> {
        let needs = "Describe on Cluster";
        let cluster = self.admin.describe_cluster().await.map_err(self.failed("", "DescribeCluster", needs))?;
        let may_describe = cluster.allowed.map(|allowed| allowed.contains("describe"));
        if may_describe == Some(false) {
            let denied = Trouble::new(Cause::Authorization, "ACLs and users cannot be read");
            return Err(self.failed("", "DescribeAcls", needs)(denied));
        }
        // Only the results of DeleteAcls tell it. This ACL is nobody's, so nothing is deleted.
        let mut nobody = Binding::allow("topic", NOBODY, false, "describe");
        nobody.allow = false;
        let probe = OwnedBinding { principal: format!("User:{NOBODY}"), binding: nobody };
        let answer = self.admin.delete_acls(&[probe]).await;
        let answer = answer.and_then(|each| each.into_iter().next().unwrap_or_else(|| Err(unanswered())));
        match answer {
            Ok(()) => Ok(true),
            Err(trouble) if trouble.cause == Cause::SecurityDisabled => Ok(false),
            // Only an authorizer refuses anything. Who may describe the cluster has seen that there are no ACLs.
            Err(trouble) if trouble.cause == Cause::Authorization && may_describe == Some(true) => Ok(true),
            Err(trouble) => Err(self.failed("", "DeleteAcls", "Describe and Alter on Cluster")(trouble)),
        }
    }
}

/// A topic's id as a model has it.
pub fn topic_id(id: u128) -> String {
    format!("{id:032x}")
}

/// A topic's own configs, and the others that count for it, in canonical form.
fn split(configs: Vec<ConfigEntry>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (own, others): (Vec<ConfigEntry>, Vec<ConfigEntry>) =
        configs.into_iter().partition(|entry| entry.source == ConfigSource::DynamicTopic);
    let values = |entries: Vec<ConfigEntry>| {
        let values = entries.into_iter().filter_map(|entry| {
            let value = as_stored(&entry.name, &entry.value?);
            Some((entry.name, value))
        });
        values.collect()
    };
    (values(own), values(others))
}
