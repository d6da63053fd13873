//! Topics, users and principals that nobody declares and that are not ours, in three calls.

use super::summary;
use crate::core::address::Address;
use crate::core::plan::{Level, Notice};
use crate::error::{Diagnostic, Result};
use crate::services::Facts;
use crate::services::kafka::admin::Admin;
use crate::services::kafka::client::native::{Cluster, OwnedBinding, ScramUser};
use crate::services::kafka::client::trouble::{Cause, Trouble};
use crate::services::kafka::model::{acl_address, topic_address, user_address};
use crate::services::kafka::redpanda::AdminApi;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Users in one DescribeUserScramCredentials: librdkafka takes answers of no more than 10,000.
const USER_BATCH: usize = 5_000;

/// What was found, and what could not be told of all of it.
pub struct Listed {
    pub found: BTreeMap<Address, Facts>,
    pub notices: Vec<Notice>,
}

/// Everything beside what is known. Where nobody signs in there are topics only; where somebody does, `cluster` tells what
/// the admin may do.
///
/// # Errors
/// Something could not be read.
pub async fn list(
    admin: &Arc<Admin>,
    endpoint: &str,
    redpanda: Option<&AdminApi>,
    known: &BTreeSet<Address>,
    cluster: Option<&Cluster>,
) -> Result<Listed> {
    let failed = |call: &'static str, needs: &'static str| {
        move |trouble: Trouble| -> Diagnostic { trouble.of(admin.principal()).tell(endpoint, "", call, needs) }
    };
    let mut listed = Listed { found: BTreeMap::new(), notices: Vec::new() };
    for (name, topic) in admin.all_topics().await.map_err(failed("Metadata", "Describe on Topic *"))? {
        let facts = [("partitions", topic.partitions.into()), ("replication", topic.replication.into())];
        let facts = facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        listed.add(topic_address(&name), facts, known);
    }
    let Some(cluster) = cluster else { return Ok(listed) };
    // Kafka 4.1 never answers a question for all users to who may not ask it (a NullPointerException in the broker).
    if cluster.allowed.as_ref().is_some_and(|allowed| !allowed.contains("describe")) {
        let denied = Trouble::new(Cause::Authorization, "users and ACLs cannot be listed");
        return Err(failed("DescribeUserScramCredentials", "Describe on Cluster")(denied));
    }
    let acls = match admin.describe_acls(None).await {
        Err(trouble) if trouble.is_too_much() || trouble.cause == Cause::Invalid => {
            listed.notices.push(no_acls(&trouble));
            Vec::new()
        }
        acls => acls.map_err(failed("DescribeAcls", "Describe on Cluster"))?,
    };
    let mut principals: BTreeMap<&str, Vec<&OwnedBinding>> = BTreeMap::new();
    for owned in &acls {
        let principal = owned.principal.strip_prefix("User:").unwrap_or(&owned.principal);
        principals.entry(principal).or_default().push(owned);
    }
    let call = "DescribeUserScramCredentials";
    let users = match admin.all_users().await {
        // More than librdkafka takes, or a broker that does not tell of all of them at once.
        Err(trouble) if trouble.cause == Cause::Other => {
            listed.notices.push(only_some(&trouble));
            let names: Vec<&str> = principals.keys().copied().filter(|name| !name.is_empty()).collect();
            by_name(admin, &names).await
        }
        Err(trouble) if trouble.cause == Cause::Unsupported => {
            match redpanda {
                Some(api) => {
                    let names = api.users().await?;
                    names.iter().for_each(|name| listed.add(user_address(name), Facts::new(), known));
                }
                None => listed.notices.push(no_call()),
            }
            Ok(Vec::new())
        }
        users => users,
    };
    for user in users.map_err(failed(call, "Describe on Cluster"))? {
        listed.add(user_address(&user.name), Facts::from([("iterations".to_owned(), iterations(&user))]), known);
    }
    for (principal, acls) in principals {
        listed.add(acl_address(principal), summary::facts(&acls), known);
    }
    Ok(listed)
}

impl Listed {
    fn add(&mut self, address: Address, facts: Facts, known: &BTreeSet<Address>) {
        if !known.contains(&address) {
            self.found.insert(address, facts);
        }
    }
}

async fn by_name(admin: &Admin, names: &[&str]) -> Result<Vec<ScramUser>, Trouble> {
    let mut users = Vec::new();
    for batch in names.chunks(USER_BATCH) {
        users.extend(admin.describe_users(batch).await?);
    }
    Ok(users)
}

fn iterations(user: &ScramUser) -> Value {
    user.credentials.iter().map(|(mechanism, iterations)| (mechanism.clone(), Value::from(*iterations))).collect()
}

/// A Redpanda before 25.2 whose Admin API is not named.
fn no_call() -> Notice {
    let text =
        "users cannot be listed: the broker's Kafka API has no call for them; set kafka.admin_url if it is a Redpanda";
    Notice { level: Level::Warning, about: "kafka".to_owned(), text: text.to_owned() }
}

fn no_acls(trouble: &Trouble) -> Notice {
    let text = format!(
        "ACLs cannot be listed all at once ({}), as with more than 100,000 of them: those that are not managed are not listed; \
         see kafka-acls.sh --list",
        trouble.message
    );
    Notice { level: Level::Warning, about: "kafka".to_owned(), text }
}

fn only_some(trouble: &Trouble) -> Notice {
    let text = format!(
        "users cannot be listed all at once ({}), as with more than 10,000 of them: of those that are not managed only the \
         ones that have ACLs are listed",
        trouble.message
    );
    Notice { level: Level::Warning, about: "kafka".to_owned(), text }
}
