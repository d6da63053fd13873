//! What `doctor` says of Kafka.

use super::admin::Admin;
use super::read::Reader;
use crate::config::KafkaConfig;
use crate::services::{Check, Verdict};
use std::collections::BTreeSet;

/// What nornplan does to a cluster, and so must be allowed to.
const NEEDED: [&str; 3] = ["describe", "create", "alter"];

/// Looks the cluster over.
pub async fn examine(config: &KafkaConfig, admin: &Admin) -> Vec<Check> {
    let endpoint = config.endpoint();
    let check = |verdict, what: String, hint: Option<&str>| Check { verdict, what, hint: hint.map(str::to_owned) };
    let cluster = match admin.describe_cluster().await {
        Ok(cluster) => cluster,
        Err(trouble) => {
            return vec![Check::failed(&trouble.tell(&endpoint, "", "", "Describe on Cluster"))];
        }
    };
    let id = cluster.id.unwrap_or_else(|| "without an id".to_owned());
    let mut checks =
        vec![check(Verdict::Good, format!("{endpoint} answers: cluster {id}, brokers: {}", cluster.brokers), None)];
    if config.authenticates() {
        let how = if config.use_tls { "over TLS" } else { "without TLS" };
        checks.push(check(Verdict::Good, format!("signed in as {} by {} {how}", config.user, config.mechanism), None));
    } else {
        checks.push(check(
            Verdict::Bad,
            "everybody is let in without a sign-in: no app is isolated from another".to_owned(),
            Some("give the listener SASL/SCRAM, and set kafka.mechanism"),
        ));
    }
    let reader = Reader { admin, endpoint: &endpoint };
    match reader.acls(&BTreeSet::from([config.user.as_str()])).await {
        Ok(Some(_)) => checks.push(check(Verdict::Good, "an authorizer is on: ACLs isolate apps".to_owned(), None)),
        Ok(None) => checks.push(check(
            Verdict::Bad,
            "there is no authorizer: every user may do everything".to_owned(),
            Some("set authorizer.class.name (Redpanda: kafka_enable_authorization), and super.users"),
        )),
        Err(told) => checks.push(Check::failed(&told)),
    }
    let Some(allowed) = cluster.allowed else {
        checks.push(check(
            Verdict::Warning,
            format!("the broker does not say what {} may do to the cluster", config.user),
            Some("nornplan needs Describe, Create and Alter on Cluster, and all on Topic *"),
        ));
        return checks;
    };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|right| !allowed.contains(right)).collect();
    if missing.is_empty() {
        checks.push(check(Verdict::Good, format!("{} may describe, create and alter", config.user), None));
    } else {
        checks.push(check(
            Verdict::Bad,
            format!("{} lacks rights on the cluster: {}", config.user, missing.join(", ")),
            Some("add ACLs for them on Cluster, or make it one of super.users"),
        ));
    }
    checks
}
