//! Reading resources in few calls. What cannot be read is an error; what is left out does not exist.

use crate::error::{Diagnostic, Result};
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{OwnedBinding, TopicFound};
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::configs::as_stored;
use crate::services::kafka::model::{Acl, Binding, Topic};
use crate::services::kafka::redpanda::AdminApi;
use rdkafka::admin::{ConfigEntry, ConfigResource, ConfigSource, OwnedResourceSpecifier, ResourceSpecifier};
use std::collections::{BTreeMap, BTreeSet};

/// Topics in one DescribeConfigs: 5,000 of them answer with 22 MB.
const CONFIG_BATCH: usize = 1000;
/// Principals that are asked for one by one; for more, all ACLs are read at once.
const FEW: usize = 4;

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
    fn failed(&self, object: &str, call: &str, needs: &str) -> impl Fn(Trouble) -> Diagnostic {
        move |trouble| trouble.of(self.admin.principal()).tell(self.endpoint, object, call, needs)
    }

    /// Named topics with all configs: their own, and what they have from the brokers.
    pub async fn topics(&self, names: &BTreeSet<&str>) -> Result<BTreeMap<String, Topic>> {
        let mut topics = BTreeMap::new();
        for (name, found) in self.shapes(names).await? {
            let partitions = i32::try_from(found.partitions).ok();
            let replication = i32::try_from(found.replication).ok();
            topics.insert(name.clone(), Topic { name, partitions, replication, ..Topic::default() });
        }
        let existing: Vec<String> = topics.keys().cloned().collect();
        for batch in existing.chunks(CONFIG_BATCH) {
            let asked: Vec<ResourceSpecifier<'_>> = batch.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
            let call = self.admin.client().describe_configs(&asked, &Admin::options());
            let needs = "DescribeConfigs on Topic *";
            let read = self.admin.safe(call).await.map_err(self.failed("", "DescribeConfigs", needs))?;
            for resource in read.into_iter().flatten() {
                let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
                // Every topic has configs. The safe binding drops the error of a single topic and leaves none.
                if resource.entries.is_empty() {
                    let denied = Trouble::new(Cause::Authorization, "its configs cannot be read");
                    return Err(self.failed(name, "DescribeConfigs", needs)(denied));
                }
                if let Some(topic) = topics.get_mut(name.as_str()) {
                    (topic.config, topic.inherited) = split(resource);
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

    /// The ACLs of named principals; `None` if the broker has no authorizer.
    pub async fn acls(&self, principals: &BTreeSet<&str>) -> Result<Option<Acls>> {
        let mut all = Vec::new();
        let filters: Vec<Option<String>> = if principals.len() <= FEW {
            principals.iter().map(|name| Some(format!("User:{name}"))).collect()
        } else {
            vec![None]
        };
        for filter in filters {
            let found = self.admin.describe_acls(filter.as_deref()).await;
            all.extend(found.map_err(self.failed("", "DescribeAcls", "Describe on Cluster"))?);
        }
        if all.is_empty() && !self.has_authorizer().await? {
            return Ok(None);
        }
        Ok(Some(super::acls::sort(all, principals).0))
    }

    /// Whether no ACLs means no ACLs: an empty list may also be a refusal, or a broker that keeps none.
    pub async fn has_authorizer(&self) -> Result<bool> {
        let needs = "Describe on Cluster";
        let cluster = self.admin.describe_cluster().await.map_err(self.failed("", "DescribeCluster", needs))?;
        if cluster.allowed.is_some_and(|allowed| !allowed.contains("describe")) {
            let denied = Trouble::new(Cause::Authorization, "ACLs and users cannot be read");
            return Err(self.failed("", "DescribeAcls", needs)(denied));
        }
        // Only the results of DeleteAcls tell it. This ACL is nobody's, so nothing is deleted.
        let mut nobody = Binding::allow("topic", NOBODY, false, "describe");
        nobody.allow = false;
        let probe = OwnedBinding { principal: format!("User:{NOBODY}"), binding: nobody };
        let answer =
            self.admin.delete_acls(&[probe]).await.map_err(self.failed("", "DeleteAcls", "Alter on Cluster"))?;
        Ok(!answer.iter().any(|one| one.as_ref().is_err_and(|trouble| trouble.cause == Cause::SecurityDisabled)))
    }
}

/// A topic's own configs, and the others that count for it, in canonical form.
fn split(resource: ConfigResource) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (own, others): (Vec<ConfigEntry>, Vec<ConfigEntry>) =
        resource.entries.into_iter().partition(|entry| entry.source == ConfigSource::DynamicTopic);
    let values = |entries: Vec<ConfigEntry>| {
        let values = entries.into_iter().filter_map(|entry| {
            let value = as_stored(&entry.name, &entry.value?);
            Some((entry.name, value))
        });
        values.collect()
    };
    (values(own), values(others))
}
