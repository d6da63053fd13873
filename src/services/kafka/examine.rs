//! What `doctor` says of Kafka.

use super::admin::Admin;
use super::client::connect::first_look;
use super::observe::reader::Reader;
use crate::config::KafkaConfig;
use crate::services::Check;
use std::collections::BTreeSet;

/// What nornplan does to a cluster, and so must be allowed to.
const NEEDED: [&str; 3] = ["describe", "create", "alter"];

/// Looks the cluster over.
pub async fn examine(config: &KafkaConfig, admin: &Admin) -> Vec<Check> {
    let endpoint = config.endpoint();
    let cluster = match first_look(config, admin).await {
        Ok(cluster) => cluster,
        Err(told) => return vec![Check::failed(&told)],
    };
    let id = cluster.id.unwrap_or_else(|| "without an id".to_owned());
    let mut checks =
        vec![Check::good(format!("{endpoint} answers: cluster {id}, brokers: {}", cluster.broker_ids.len()))];
    if config.authenticates() {
        let how = if config.use_tls { "over TLS" } else { "without TLS" };
        checks.push(Check::good(format!("signed in as {} by {} {how}", config.user, config.mechanism)));
    } else {
        checks.push(Check::bad(
            "everybody is let in without a sign-in: no app is isolated from another",
            "give the listener SASL/SCRAM, and set kafka.mechanism",
        ));
    }
    let reader = Reader { admin, endpoint: &endpoint };
    match reader.acls(&BTreeSet::from([config.user.as_str()])).await {
        Ok(Some(_)) => checks.push(Check::good("an authorizer is on: ACLs isolate apps")),
        Ok(None) => checks.push(Check::bad(
            "there is no authorizer: every user may do everything",
            "set authorizer.class.name (Redpanda: kafka_enable_authorization), and super.users",
        )),
        Err(told) => checks.push(Check::failed(&told)),
    }
    let Some(allowed) = cluster.allowed else {
        checks.push(Check::warning(
            format!("the broker does not say what {} may do to the cluster", config.user),
            "nornplan needs Describe, Create and Alter on Cluster, and all on Topic *",
        ));
        return checks;
    };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|right| !allowed.contains(right)).collect();
    if missing.is_empty() {
        checks.push(Check::good(format!("{} may describe, create and alter", config.user)));
    } else {
        checks.push(Check::bad(
            format!("{} lacks rights on the cluster: {}", config.user, missing.join(", ")),
            "add ACLs for them on Cluster, or make it one of super.users",
        ));
    }
    checks
}
