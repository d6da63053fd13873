//! What `doctor` says of Kafka.

use super::about_redpanda;
use super::admin::Admin;
use super::client::connect::first_look;
use super::observe::reader::Reader;
use super::redpanda::AdminApi;
use super::server::Flavor;
use crate::config::KafkaConfig;
use crate::services::{Ask, Check};
use std::collections::BTreeSet;

/// What nornplan does to a cluster, and so must be allowed to.
const NEEDED: [&str; 3] = ["describe", "create", "alter"];

/// Looks the cluster over.
pub async fn examine(config: &KafkaConfig, admin: &Admin, redpanda: Option<&AdminApi>, ask: &Ask) -> Vec<Check> {
    let endpoint = config.endpoint();
    let cluster = match first_look(config, admin).await {
        Ok(cluster) => cluster,
        Err(told) => return vec![Check::failed(&told)],
    };
    let flavor = Flavor::told(config.flavor, cluster.id.as_deref());
    let (product, brokers) = (flavor.product(), cluster.broker_ids.len());
    let id = cluster.id.as_deref().unwrap_or("without an id");
    let mut checks = vec![Check::good(format!("{endpoint} answers: {product}, cluster {id}, brokers: {brokers}"))];
    checks.extend(about_redpanda::setting(config, cluster.id.as_deref()));
    if config.authenticates() {
        let how = if config.use_tls { "over TLS" } else { "without TLS" };
        checks.push(Check::good(format!("signed in as {} by {} {how}", config.user, config.mechanism)));
    } else {
        checks.push(Check::bad(
            "everybody is let in without a sign-in: no app is isolated from another",
            "give the listener SASL/SCRAM, and set kafka.mechanism",
        ));
    }
    let reader = Reader { admin, endpoint: &endpoint, redpanda };
    if flavor == Flavor::Redpanda {
        checks.extend(about_redpanda::look(config, admin, redpanda, ask).await);
    }
    match reader.acls(&BTreeSet::from([config.user.as_str()])).await {
        // Redpanda answers the same whether it checks ACLs or not.
        Ok(_) if flavor == Flavor::Redpanda => {}
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
